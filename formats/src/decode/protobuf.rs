//! Protocol Buffers: bare messages of a local schema, or framed ones with the schemas of a registry.
//!
//! Fields have their names of the `.proto` file. Those without presence are written with their default where the record
//! does not hold them, all others only where it does. Whole numbers of 64 bits are numbers, an enum is its name, bytes are
//! text where they are UTF-8 and base64 where not, what JSON has no number for is null, and most of Google's
//! well-known types are as in Protobuf's own JSON: a `Timestamp` is RFC 3339 text. `Any` and the wrapper of bytes are written
//! field by field.

mod files;
mod message;

pub use files::compile_proto;

use super::contract::{Decode, Undecoded};
use super::error::FormatError;
use super::json_text::whole;
use super::registry::{RegisteredSchema, Registry, SchemaKind, unframe};
use super::schemas::Schemas;
use crate::refusal::Refusal;
use files::compile;
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, MessageDescriptor};
use std::sync::Arc;

/// Messages are nested in each other no deeper than this, and so no more numbers name one.
const MAX_INDEXES: u64 = 32;

/// Reads messages.
pub(super) enum Protobuf {
    Registered(Schemas<FileDescriptor>),
    Local(MessageDescriptor),
}

impl Protobuf {
    /// With the schemas of a registry.
    pub(super) fn registered(registry: Arc<dyn Registry>) -> Self {
        Protobuf::Registered(Schemas::new(registry, prepare))
    }

    /// With an encoded `FileDescriptorSet`, and the message in it.
    pub(super) fn local(descriptors: &[u8], message: Option<&str>) -> Result<Self, FormatError> {
        let pool = DescriptorPool::decode(descriptors)
            .map_err(|error| FormatError::new("source.schema", "Protobuf", error.to_string()))?;
        let there_are = || {
            let names: Vec<String> = records(&pool).map(|message| message.full_name().to_owned()).collect();
            format!("must name a message of the schema: {}", names.join(", "))
        };
        let message = match message {
            Some(name) => pool
                .get_message_by_name(name)
                .ok_or_else(|| FormatError::new("source.message", format!("{name:?}"), there_are()))?,
            None => {
                let mut all = records(&pool);
                match (all.next(), all.next()) {
                    (Some(only), None) => only,
                    _ => return Err(FormatError::new("source.message", "none", there_are())),
                }
            }
        };
        Ok(Protobuf::Local(message))
    }
}

/// The messages that may be those of the records: all that are in no other one, except Google's.
fn records(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> {
    pool.all_messages()
        .filter(|message| message.parent_message().is_none() && message.package_name() != "google.protobuf")
}

fn prepare(schema: &RegisteredSchema) -> Result<FileDescriptor, String> {
    if schema.kind != SchemaKind::Protobuf {
        return Err(format!("it is one of {:?}, and the format is protobuf", schema.kind));
    }
    compile(&schema.text, &schema.references)
}

/// Takes off the numbers that say which message of its file a record is: how many there are, then that of a message, of a
/// message in that one, and so on. No numbers stand for the first message.
fn indexed<'a>(file: &FileDescriptor, body: &'a [u8]) -> Result<(MessageDescriptor, &'a [u8]), Refusal> {
    let mut rest = body;
    let count = zigzag(&mut rest)?;
    if count > MAX_INDEXES {
        return Err(Refusal::Malformed);
    }
    let mut message = None;
    for _ in 0..count.max(1) {
        let index = if count == 0 { 0 } else { zigzag(&mut rest)? };
        let index = usize::try_from(index).map_err(|_| Refusal::Malformed)?;
        message = match &message {
            None => file.messages().nth(index),
            Some(message) => MessageDescriptor::child_messages(message).nth(index),
        };
        if message.is_none() {
            return Err(Refusal::Malformed);
        }
    }
    message.map(|message| (message, rest)).ok_or(Refusal::Malformed)
}

/// A whole number that is not negative, as a varint in zigzag.
fn zigzag(bytes: &mut &[u8]) -> Result<u64, Refusal> {
    let mut bits = 0_u64;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Refusal::Malformed)?;
        *bytes = rest;
        bits |= u64::from(byte & 0x7F) << shift;
        if *byte < 0x80 {
            return if bits & 1 == 0 { Ok(bits >> 1) } else { Err(Refusal::Malformed) };
        }
    }
    Err(Refusal::Malformed)
}

impl Decode for Protobuf {
    fn decode(&mut self, payload: &[u8], json: &mut Vec<u8>) -> Result<(), Undecoded> {
        let (message, body) = match self {
            Protobuf::Registered(schemas) => {
                let (id, body) = unframe(payload)?;
                indexed(schemas.get(id)?, body)?
            }
            Protobuf::Local(message) => (message.clone(), payload),
        };
        let message = DynamicMessage::decode(message, body).map_err(|_| Refusal::Malformed)?;
        whole(json, |json| message::push(&message, json)).map_err(Undecoded::from)
    }

    fn why(&self) -> Option<&str> {
        if let Protobuf::Registered(schemas) = self { schemas.why() } else { None }
    }
}

#[cfg(test)]
mod tests;
