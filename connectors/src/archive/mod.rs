//! The archive: what a log delivered, kept in a store of objects beyond the log's own retention.
//!
//! A store (see [`StateStore`](crate::state::StateStore)) holds `archive.json`, which says of which log it is, and blocks:
//! `blocks/TOPIC/PARTITION/DAY/FROM-TO_….ndjson.zst`. Each is a file of JSON lines, one a record, compressed by zstd, that
//! covers the offsets from `FROM` up to `TO`, exclusive. Offsets in it that have no line were no records in the log, such
//! as the marks of transactions. Offsets that no block covers are a gap: the log had let go of them before they were
//! archived. Blocks of two runs may overlap; whoever reads goes by offsets, and takes each once.
//!
//! [`crate::tee`] writes an archive, [`ArchiveFactory`] reads one.

mod block;
mod catalog;
mod line;
mod meta;
mod name;
mod raw;
mod reader;

pub(crate) use block::Encoder;
pub use catalog::{Archive, PartitionReport};
pub(crate) use catalog::{BLOCKS, delete_old, ends, object};
pub(crate) use meta::Begin;
pub use meta::{ArchiveError, Meta};
pub(crate) use name::Day;
pub(crate) use raw::RawRecords;
pub use reader::ArchiveFactory;
