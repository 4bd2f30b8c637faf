//! Avro: bare datums and single-object encodings of a local schema, or framed datums with the schemas of a registry.
//!
//! Timestamps, times of day and durations are numbers in the unit of their logical type, dates are text such as
//! `2026-03-10`, decimals are numbers with all their digits, UUIDs are text, bytes are text where they are UTF-8 and base64
//! where not, an enum is its symbol, a union is its value, and what JSON has no number for is null.

mod datum;
mod plan;

use super::contract::{Decode, Undecoded};
use super::error::FormatError;
use super::json_text::whole;
use super::registry::{RegisteredSchema, Registry, SchemaKind, unframe};
use super::schemas::Schemas;
use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use plan::Plan;
use serde_json::Value;
use std::sync::Arc;

/// What a single-object encoding begins with; the fingerprint of its schema follows.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
/// The attributes of a schema in its canonical form.
const CANONICAL: [&str; 8] = ["name", "namespace", "type", "fields", "symbols", "items", "values", "size"];

/// Reads datums.
pub(super) enum Avro {
    Registered(Schemas<Plan>),
    Local { plan: Plan, single_object: Vec<u8> },
}

impl Avro {
    /// With the schemas of a registry.
    pub(super) fn registered(registry: Arc<dyn Registry>) -> Self {
        Avro::Registered(Schemas::new(registry, prepare))
    }

    /// With a schema in JSON.
    pub(super) fn local(schema: &str) -> Result<Self, FormatError> {
        let refuse = |reason| FormatError::new("source.schema", "Avro", reason);
        let plan = Plan::new(schema, &[]).map_err(refuse)?;
        let fingerprint = fingerprint(schema).map_err(|error| refuse(error.to_string()))?;
        Ok(Avro::Local { plan, single_object: [&SINGLE_OBJECT[..], &fingerprint].concat() })
    }
}

/// The fingerprint of a schema's canonical form, CRC-64-AVRO with the lowest byte first. Avro's own crate leaves what
/// belongs to logical types in the form, so that it is taken out before.
fn fingerprint(schema: &str) -> Result<Vec<u8>, apache_avro::Error> {
    let mut bare: Value = serde_json::from_str(schema).unwrap_or_default();
    strip(&mut bare);
    Ok(Schema::parse(&bare)?.fingerprint::<Rabin>().bytes)
}

/// Leaves only the attributes that the canonical form has, and those that make its names.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(attributes) => {
            attributes.retain(|name, _| CANONICAL.contains(&name.as_str()));
            attributes.values_mut().for_each(strip);
        }
        Value::Array(several) => several.iter_mut().for_each(strip),
        _ => {}
    }
}

fn prepare(schema: &RegisteredSchema) -> Result<Plan, String> {
    if schema.kind != SchemaKind::Avro {
        return Err(format!("it is one of {:?}, and the format is avro", schema.kind));
    }
    let references: Vec<&str> = schema.references.iter().map(|reference| reference.text.as_str()).collect();
    Plan::new(&schema.text, &references)
}

impl Decode for Avro {
    fn decode(&mut self, payload: &[u8], json: &mut Vec<u8>) -> Result<(), Undecoded> {
        let (plan, datum) = match self {
            Avro::Registered(schemas) => {
                let (id, datum) = unframe(payload)?;
                (schemas.get(id)?, datum)
            }
            Avro::Local { plan, single_object } => {
                (&*plan, payload.strip_prefix(single_object.as_slice()).unwrap_or(payload))
            }
        };
        whole(json, |json| datum::push(plan, datum, json)).map_err(Undecoded::from)
    }

    fn why(&self) -> Option<&str> {
        if let Avro::Registered(schemas) = self { schemas.why() } else { None }
    }
}

#[cfg(test)]
mod tests;
