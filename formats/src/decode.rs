//! Decoders: they turn the records of other formats into JSON text, which the one parser then reads.
//!
//! **In**: the bytes of one record. **Out**: the same record as one JSON value in UTF-8, or the reason why it is refused.
//! A decoder allocates next to nothing for a record of CSV, text or Avro; its buffers are the caller's. Whatever the bytes
//! are, it does not panic, its time and memory are bounded by the length of the record and by [`MAX_JSON_BYTES`], and nesting is
//! bounded as well.
//!
//! ```
//! use crest_formats::decode::{CsvSpec, FormatSpec};
//!
//! let columns = Some(["user", "movie", "rating"].map(String::from).to_vec());
//! let spec = FormatSpec::Csv(CsvSpec { columns, header: false, ..CsvSpec::default() });
//! let mut decoder = spec.decoder(None).unwrap().unwrap();
//! let mut json = Vec::new();
//! decoder.decode(br#"72,"Up, and away",5"#, &mut json).unwrap();
//! assert_eq!(json, br#"{"user":"72","movie":"Up, and away","rating":"5"}"#);
//! ```

mod avro;
mod contract;
mod csv;
mod error;
mod framed_json;
mod json_text;
mod protobuf;
mod registry;
mod schemas;
mod spec;
mod text;

pub use contract::{Decode, Undecoded};
pub use csv::CsvSpec;
pub use error::FormatError;
pub use json_text::MAX_JSON_BYTES;
pub use protobuf::compile_proto;
pub use registry::{Lookup, Reference, RegisteredSchema, Registry, SchemaKind};
pub use spec::{AvroSchema, FormatSpec, ProtobufSchema};
