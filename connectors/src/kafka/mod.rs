//! Kafka: topics as a source, the loader that fills one, the log that events are written to, and the courier
//! that brings rankings to one.
//!
//! [`KafkaFactory`] connects once, settles at which offset each partition begins, and looks for new partitions and topics
//! while the job runs; each worker's reader has a client of its own. Partitions are assigned by their number
//! and never by a consumer group, so nothing is ever rebalanced.

mod append;
mod availability;
mod batch;
mod client;
mod connect;
mod courier;
mod end_offsets;
mod errors;
mod factory;
mod fate;
mod health;
mod in_flight;
#[cfg(test)]
#[path = "../../tests/support/kafka_server.rs"]
mod kafka_server;
mod options;
mod place;
mod probe;
mod producer;
mod resolve;
mod shared;
mod source;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests_support;
mod topic_id;

pub use append::KafkaLog;
pub use courier::KafkaCourier;
pub use factory::KafkaFactory;
pub use options::KafkaOptions;
pub use probe::partitions_of;
pub use probe::probe;
pub use producer::{Loader, ProduceError, Topic, ensure_topic};
