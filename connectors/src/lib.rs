//! Bytes in and bytes out: Kafka, files, standard input, a generator and an embedded log on one side; Redis, Kafka,
//! standard output and memory on the other; and a store of objects for durable state. This crate parses no event and knows no
//! dataflow.
//!
//! [`open_source`] opens any source by its URL; the sinks are opened one by one and fanned out by [`Sinks`]. What the
//! API accepts is written by an [`EventLog`](append::EventLog): [`Log`] or [`KafkaLog`].

pub mod append;
mod append_counts;
pub mod archive;
pub mod changes;
pub mod endpoint;
pub mod fanout;
pub mod file;
pub mod finals;
pub mod framing;
mod gap;
pub mod generator;
pub mod group_key;
pub mod http_agent;
pub mod id_list;
pub mod item_id;
pub mod kafka;
pub mod log;
pub mod memory;
pub mod ndjson;
mod open;
pub mod outage;
pub mod outbox;
pub mod outbox_sink;
mod owned_record;
mod partition;
mod range;
pub mod redis;
pub mod registry;
pub mod rising;
pub mod selection;
pub mod snapshot;
mod snapshot_line;
pub mod source;
mod span;
mod start;
pub mod state;
pub mod stdin;
pub mod tee;
mod unpack;

pub use fanout::Sinks;

pub use endpoint::{is_secret, without_secrets};
pub use framing::{Framing, FramingError, UnknownFraming};
pub use kafka::KafkaLog;
pub use log::Log;
pub use open::{SourceOptions, open_source, probe};
pub use owned_record::OwnedRecord;
pub use range::{OnGap, OnGapError, Probed, Until};
pub use start::{Start, StartError};
pub use unpack::{Compression, UnknownCompression};
