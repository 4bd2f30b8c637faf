//! The schema registry, as the decoders ask it.

use crest_connectors::registry::{Found, SchemaRegistry};
use crest_formats::decode::{Lookup, Reference, RegisteredSchema, Registry, SchemaKind};
use std::sync::Arc;

/// The registry that a connector asks.
pub struct Schemas(pub SchemaRegistry);

impl Registry for Schemas {
    fn schema(&self, id: u32) -> Lookup {
        let schema = match self.0.schema(id) {
            Found::Schema(schema) => schema,
            Found::Waiting => return Lookup::Waiting,
            Found::Unknown(reason) => return Lookup::Unknown(reason),
        };
        let kind = match schema.language.as_str() {
            "AVRO" => SchemaKind::Avro,
            "PROTOBUF" => SchemaKind::Protobuf,
            "JSON" => SchemaKind::Json,
            other => return Lookup::Unknown(format!("it is in {other:?}, which is not read").into()),
        };
        let reference =
            |(name, text): &(String, String)| Reference { name: name.clone(), text: text.clone() };
        Lookup::Ready(Arc::new(RegisteredSchema {
            kind,
            text: schema.text.clone(),
            references: schema.references.iter().map(reference).collect(),
        }))
    }
}
