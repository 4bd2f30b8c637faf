//! The names under which a field is looked for.

use serde::{Deserialize, Serialize};

/// One name, or several that are tried in order. As JSON and TOML it is a text, or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMore", into = "OneOrMore")]
pub struct Names(pub Vec<String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a string or a list of strings")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Names {
    fn from(names: OneOrMore) -> Self {
        match names {
            OneOrMore::One(name) => Names(vec![name]),
            OneOrMore::More(names) => Names(names),
        }
    }
}

impl From<Names> for OneOrMore {
    fn from(Names(mut names): Names) -> Self {
        if names.len() == 1 { OneOrMore::One(names.remove(0)) } else { OneOrMore::More(names) }
    }
}

impl From<&str> for Names {
    fn from(name: &str) -> Self {
        Names(vec![name.to_owned()])
    }
}

impl std::fmt::Display for Names {
    /// As messages name the field: `sku or product_id`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}
