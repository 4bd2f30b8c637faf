//! A schema as a registry has it, and what is known of an id.

use std::sync::Arc;

/// A schema with all that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its language, as the registry calls it: `AVRO`, `PROTOBUF` or `JSON`.
    pub language: String,
    /// Its text.
    pub text: String,
    /// The schemas that it refers to, and those that these refer to: the name of each and its text.
    pub references: Vec<(String, String)>,
}

/// What is known of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its schema.
    Schema(Arc<Schema>),
    /// Nothing yet: it is being asked for.
    Waiting,
    /// The registry does not know it, for this reason.
    Unknown(Arc<str>),
}
