//! Bytes in and bytes out: Kafka, files, standard input and a generator on one side; Redis, standard output
//! and memory on the other. This crate parses no event and knows no dataflow.

pub mod snapshot;
pub mod source;
