//! What is known of the writing of an archive, for health checks and metrics.

use std::time::Instant;

/// What the writers of one process have done, and what they wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArchiveStatus {
    /// Blocks written.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Their bytes, compressed.
    pub bytes: u64,
    /// Calls of the store that failed and were repeated.
    pub retries: u64,
    /// Offsets that the log had let go of before they were archived.
    pub gap_offsets: u64,
    /// Blocks deleted since they were older than the retention.
    pub deleted: u64,
    /// Bytes of records that are not in a block of the store yet.
    pub held_bytes: u64,
    /// Workers that read nothing just now, since too much waits for the store.
    pub held_up: u64,
    /// Since when, in milliseconds since 1970 UTC, and why the store cannot be written; `None` while it can.
    pub waiting: Option<(i64, String)>,
    /// When the call of the store began that is under way.
    pub calling: Option<Instant>,
}
