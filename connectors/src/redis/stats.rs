//! What became of the snapshots that Redis was to hold.

use std::time::Duration;

/// What became of the snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RedisStats {
    /// Rankings and buckets written.
    pub written: u64,
    /// Not written, since Redis held a newer one already.
    pub outdated: u64,
    /// Rankings removed, since their groups had left.
    pub removed: u64,
    /// Attempts that failed; what they were to write is tried again.
    pub failures: u64,
    /// Pipelines sent and answered.
    pub rounds: u64,
    /// Time that they took, in all.
    pub round_time: Duration,
    /// Lost, since too many waited.
    pub dropped: u64,
    /// Waiting or on their way just now.
    pub pending: u64,
    /// Whether Redis cannot be written to just now.
    pub disconnected: bool,
    /// Windows whose rankings a newer job writes just now, while this one's wait.
    pub fenced: u64,
    /// Rankings that cannot be written, since of their keys one was not written by a job.
    pub foreign: u64,
}
