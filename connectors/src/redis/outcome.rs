//! What became of some writes and removals.

use super::keys::RankingName;
use super::pending::Write;
use ::redis::RedisError;
use std::time::Duration;

/// A ranking to be removed, and the epoch of the run that asks for it.
pub(super) type Removal = (RankingName, u64);

/// What became of some writes.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) rounds: u64,
    pub(super) round_time: Duration,
    pub(super) written: u64,
    pub(super) outdated: u64,
    /// To be tried again at once.
    pub(super) failed: Vec<Write>,
    /// To be tried again later: another job writes them, or a key is not ours.
    pub(super) held: Vec<Write>,
    /// To be tried again later: an earlier run has shown a later time.
    pub(super) early: Vec<Write>,
    /// Rankings that are gone.
    pub(super) removed: u64,
    /// Removals to be tried again at once, and later.
    pub(super) unremoved: Vec<Removal>,
    pub(super) held_removals: Vec<Removal>,
    pub(super) error: Option<RedisError>,
    /// What is in the way in all, in words, and as windows of other jobs and keys that are not ours.
    pub(super) refused: Option<String>,
    pub(super) refusals: (u64, u64),
}
