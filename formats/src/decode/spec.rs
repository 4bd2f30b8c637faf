//! The format of a source's records, and the decoder for it.

use super::avro::Avro;
use super::contract::Decode;
use super::csv::{Csv, CsvSpec};
use super::error::FormatError;
use super::framed_json::FramedJson;
use super::protobuf::Protobuf;
use super::registry::Registry;
use super::text::Text;
use std::sync::Arc;

/// The format of a source's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FormatSpec {
    /// JSON.
    #[default]
    Json,
    /// JSON, maybe behind the frame of a schema registry.
    FramedJson,
    /// Rows of CSV or the like.
    Csv(CsvSpec),
    /// Lines that a regular expression with named groups takes apart; here is the expression.
    Text(String),
    /// Avro.
    Avro(AvroSchema),
    /// Protocol Buffers.
    Protobuf(ProtobufSchema),
}

/// Where the schema of an Avro record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvroSchema {
    /// In a registry, by the id in the record's frame.
    Registry,
    /// Here, as JSON. The records are bare, or single-object encodings of this schema.
    Local(Arc<str>),
}

/// Where the schema of a Protobuf record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtobufSchema {
    /// In a registry, by the id in the record's frame.
    Registry,
    /// Here. The records are bare.
    Local {
        /// An encoded `FileDescriptorSet`, such as `protoc` writes; [`compile_proto`](super::compile_proto) makes one.
        descriptors: Arc<[u8]>,
        /// The full name of the records' message; it may be left out where there is one.
        message: Option<String>,
    },
}

impl FormatSpec {
    /// The decoder of this format; `None` for plain JSON.
    ///
    /// # Errors
    /// A setting cannot be used, or the format wants a registry and there is none.
    pub fn decoder(
        &self,
        registry: Option<Arc<dyn Registry>>,
    ) -> Result<Option<Box<dyn Decode>>, FormatError> {
        let registry = || registry.ok_or_else(|| FormatError::new("source.registry", "none", "is wanted"));
        Ok(Some(match self {
            FormatSpec::Json => return Ok(None),
            FormatSpec::FramedJson => Box::new(FramedJson),
            FormatSpec::Csv(spec) => Box::new(Csv::new(spec)?),
            FormatSpec::Text(pattern) => Box::new(Text::new(pattern)?),
            FormatSpec::Avro(AvroSchema::Registry) => Box::new(Avro::registered(registry()?)),
            FormatSpec::Avro(AvroSchema::Local(schema)) => Box::new(Avro::local(schema)?),
            FormatSpec::Protobuf(ProtobufSchema::Registry) => Box::new(Protobuf::registered(registry()?)),
            FormatSpec::Protobuf(ProtobufSchema::Local { descriptors, message }) => {
                Box::new(Protobuf::local(descriptors, message.as_deref())?)
            }
        }))
    }

    /// Whether a decoder can be made.
    ///
    /// # Errors
    /// As [`decoder`](Self::decoder), a registry aside.
    pub fn check(&self) -> Result<(), FormatError> {
        if self.wants_registry() { Ok(()) } else { self.decoder(None).map(drop) }
    }

    /// Whether the schemas of the records are in a registry.
    pub fn wants_registry(&self) -> bool {
        matches!(
            self,
            FormatSpec::Avro(AvroSchema::Registry) | FormatSpec::Protobuf(ProtobufSchema::Registry)
        )
    }

    /// Whether all values are text, so that filters and weights take text as numbers and booleans too.
    pub fn untyped(&self) -> bool {
        matches!(self, FormatSpec::Csv(_) | FormatSpec::Text(_))
    }
}
