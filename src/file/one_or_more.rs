//! Values of the configuration file that may be a single text or a list of texts.

use crest_formats::names::Names;
use serde::{Deserialize, Serialize};

/// A string where there is one, a list where there are more.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a string or a list of strings")]
pub enum OneOrMore {
    /// `"a"`
    One(String),
    /// `["a", "b"]`
    More(Vec<String>),
}

impl OneOrMore {
    /// As a list.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(list) => list,
        }
    }
}

impl From<Vec<String>> for OneOrMore {
    fn from(mut list: Vec<String>) -> Self {
        match (list.pop(), list.is_empty()) {
            (Some(only), true) => OneOrMore::One(only),
            (last, _) => {
                list.extend(last);
                OneOrMore::More(list)
            }
        }
    }
}

impl From<OneOrMore> for Names {
    fn from(names: OneOrMore) -> Self {
        Names(names.into_vec())
    }
}

impl From<Names> for OneOrMore {
    fn from(Names(names): Names) -> Self {
        names.into()
    }
}
