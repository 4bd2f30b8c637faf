//! What a job and those that stand by for it know of each other: the manifest has a [`Heartbeat`] that changes while the job
//! lives, and the job has a [`Lease`], until whose end nobody can have taken its state over.

use crest_host::clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The longest time between two manifests of a job that lives and can write.
const EVERY: Duration = Duration::from_secs(2);
/// How long the lease lasts after a write began that was carried out. It must be shorter than [`SILENCE`], which a standby
/// counts from a later moment, by more than two clocks drift apart meanwhile.
pub(super) const LEASE: Duration = Duration::from_secs(6);
/// A standby takes over when it has seen no change of the manifest for so long.
pub(super) const SILENCE: Duration = Duration::from_secs(7);

/// What the manifest says of the heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeat {
    /// The number of beats, by which two manifests differ.
    beats: u64,
    /// The job was stopped, and whoever stands by may take over at once.
    pub(super) released: bool,
}

/// Until when no standby takes the state over, as far as this run knows: it renews the lease with every manifest that it
/// writes. A run whose lease has passed publishes no final ranking, since it may have been stopped for a while, or cut off
/// from the store, and another one publishes by now.
///
/// It goes by the monotonic clock, which goes on while a process is stopped, and need not while a whole machine is.
#[derive(Debug, Default)]
pub struct Lease(Mutex<Option<Instant>>);

impl Lease {
    /// Whether it has not passed.
    pub fn is_held(&self) -> bool {
        self.0.lock().is_some_and(|written| clock::since(written) < LEASE)
    }

    /// Notes a manifest that was written by a call that began at `began`.
    pub(super) fn renew(&self, began: Instant) {
        let mut written = self.0.lock();
        *written = (*written).max(Some(began));
    }

    /// The time until the next beat is due.
    pub(super) fn due(&self) -> Duration {
        self.0.lock().map_or(Duration::ZERO, |written| EVERY.saturating_sub(clock::since(written)))
    }
}

impl Heartbeat {
    /// The one after another one, of a job that lives, or that was stopped.
    pub(super) fn after(before: Option<&Heartbeat>, released: bool) -> Self {
        let beats = before.map_or(0, |heartbeat| heartbeat.beats);
        Heartbeat { beats: beats.wrapping_add(1), released }
    }
}
