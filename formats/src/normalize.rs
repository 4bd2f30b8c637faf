//! Rules that make different texts of one item the same.

use serde::{Deserialize, Serialize};

/// A rule, which is applied to the text of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Takes off white space at both ends.
    Trim,
    /// Makes letters small, by Unicode.
    Lowercase,
    /// Takes off a URL's query and fragment: all from the first `?` or `#` on.
    StripQuery,
}

/// Applies rules to texts, one after another.
#[derive(Clone, Debug, Default)]
pub struct Normalizer {
    rules: Vec<Rule>,
    text: String,
}

impl Normalizer {
    /// Applies these rules, in this order.
    pub fn new(rules: &[Rule]) -> Self {
        Normalizer { rules: rules.to_vec(), text: String::new() }
    }

    /// Whether there are no rules.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The text by the rules. It may be empty.
    #[inline]
    pub fn apply<'t>(&'t mut self, text: &'t str) -> &'t str {
        if self.rules.is_empty() { text } else { self.apply_all(text) }
    }

    fn apply_all(&mut self, text: &str) -> &str {
        self.text.clear();
        self.text.push_str(text);
        for rule in &self.rules {
            match rule {
                Rule::Trim => {
                    self.text.truncate(self.text.trim_end().len());
                    let start = self.text.len() - self.text.trim_start().len();
                    self.text.drain(..start);
                }
                Rule::Lowercase if self.text.is_ascii() => self.text.make_ascii_lowercase(),
                Rule::Lowercase => self.text = self.text.to_lowercase(),
                Rule::StripQuery => {
                    let end = self.text.find(['?', '#']).unwrap_or(self.text.len());
                    self.text.truncate(end);
                }
            }
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_in_their_order() {
        let apply = |rules: &[Rule], text: &str| Normalizer::new(rules).apply(text).to_owned();
        assert_eq!(apply(&[], " A "), " A ");
        assert_eq!(apply(&[Rule::Trim, Rule::Lowercase], "\u{3000}ÀB \n"), "àb");
        assert_eq!(apply(&[Rule::StripQuery, Rule::Trim], "/p ?q=1#x"), "/p");
        assert_eq!(apply(&[Rule::Trim, Rule::StripQuery], "/p ?q=1"), "/p ");
        assert_eq!(apply(&[Rule::StripQuery], "#top"), "");
        assert_eq!(apply(&[Rule::Trim], "  "), "");
    }
}
