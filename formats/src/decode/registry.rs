//! Schema registries, as decoders see them, and the frame that tells which of its schemas a record has.

use crate::refusal::Refusal;
use std::sync::Arc;

/// Knows schemas by their ids. It never blocks.
pub trait Registry: Send + Sync {
    /// The schema of an id, or that it is being fetched.
    fn schema(&self, id: u32) -> Lookup;
}

/// What a registry says of an id.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The schema.
    Ready(Arc<RegisteredSchema>),
    /// It is being fetched, or the registry does not answer: ask again a little later.
    Waiting,
    /// The registry has no such schema, for this reason.
    Unknown(Arc<str>),
}

/// A schema with everything that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// Its language.
    pub kind: SchemaKind,
    /// Its text.
    pub text: String,
    /// The schemas that it refers to, and those that these refer to, each once.
    pub references: Vec<Reference>,
}

/// A schema that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// How it is referred to: the path of an import in Protobuf, a full name in Avro.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The language of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// Apache Avro.
    Avro,
    /// Protocol Buffers.
    Protobuf,
    /// JSON Schema.
    Json,
}

/// The bytes before a framed record: a zero and the schema's id.
const FRAME_BYTES: usize = 5;

/// Takes Confluent's frame off: the id of the schema, in four bytes with the highest first, and what follows.
pub(super) fn unframe(payload: &[u8]) -> Result<(u32, &[u8]), Refusal> {
    match payload.split_first_chunk::<FRAME_BYTES>() {
        Some((&[0, a, b, c, d], body)) => Ok((u32::from_be_bytes([a, b, c, d]), body)),
        _ => Err(Refusal::Malformed),
    }
}
