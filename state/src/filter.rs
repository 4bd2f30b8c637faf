//! Which values of a field a board takes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The condition that a board sets on a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a value, a list of values, or a table with not, prefix or exists")]
pub enum Filter {
    /// The field has one of these values.
    AnyOf(Vec<Constant>),
    /// All of these conditions hold.
    All(Conditions),
}

/// Conditions on one field. Those that are absent hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The field has none of these values, or is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Vec<Constant>>,
    /// The field's text begins with one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Vec<String>>,
    /// The field is present and not `null`, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// A value that a field is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a string, a number or a boolean")]
pub enum Constant {
    /// Equal to a text, and to a number or boolean that is written so.
    Text(String),
    /// Equal to a number of this value.
    Integer(i64),
    /// Equal to a number of this value.
    Decimal(f64),
    /// Equal to a boolean.
    Bool(bool),
}

impl Filter {
    /// Whether it, or one of its lists, is empty and says nothing.
    pub fn is_void(&self) -> bool {
        match self {
            Filter::AnyOf(constants) => constants.is_empty(),
            Filter::All(Conditions { not: None, prefix: None, exists: None }) => true,
            Filter::All(Conditions { not, prefix, .. }) => {
                not.as_ref().is_some_and(Vec::is_empty) || prefix.as_ref().is_some_and(Vec::is_empty)
            }
        }
    }

    /// All values that a field is compared with.
    pub fn constants(&self) -> impl Iterator<Item = &Constant> {
        let constants = match self {
            Filter::AnyOf(constants) => Some(constants),
            Filter::All(conditions) => conditions.not.as_ref(),
        };
        constants.into_iter().flatten()
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Text(text) => write!(f, "{text:?}"),
            Constant::Integer(number) => number.fmt(f),
            Constant::Decimal(number) => number.fmt(f),
            Constant::Bool(truth) => truth.fmt(f),
        }
    }
}

impl Constant {
    /// Whether it is anything but NaN or an infinite number.
    pub fn is_finite(&self) -> bool {
        if let Constant::Decimal(number) = self { number.is_finite() } else { true }
    }
}

impl From<&str> for Constant {
    fn from(text: &str) -> Self {
        Constant::Text(text.to_owned())
    }
}

impl From<Vec<String>> for Filter {
    fn from(texts: Vec<String>) -> Self {
        Filter::AnyOf(texts.into_iter().map(Constant::Text).collect())
    }
}
