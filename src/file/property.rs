//! A value of a table whose keys are others' names.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A property of librdkafka or of a state store, however it is written.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a string, a whole number or a boolean")]
pub enum Property {
    /// `"lz4"`
    Text(String),
    /// `500`
    Number(i64),
    /// `true`
    Switch(bool),
}

impl Property {
    /// All of them as texts, by their names.
    pub fn into_texts(all: BTreeMap<String, Property>) -> BTreeMap<String, String> {
        all.into_iter().map(|(name, value)| (name, value.into_text())).collect()
    }

    /// As librdkafka and state stores want it.
    pub fn into_text(self) -> String {
        match self {
            Property::Text(text) => text,
            Property::Number(number) => number.to_string(),
            Property::Switch(on) => on.to_string(),
        }
    }
}
