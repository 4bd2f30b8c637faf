//! What became of the batches of a log since it was opened.

use crate::append::AppendStats;
use crest_host::clock;
use parking_lot::Mutex;
use std::time::Instant;

/// Counters that every thread may add to.
#[derive(Default)]
pub(crate) struct AppendCounts(Mutex<AppendStats>);

impl AppendCounts {
    /// A batch of so many events and bytes, which was taken at `since`, is kept.
    pub(crate) fn kept(&self, events: usize, bytes: usize, since: Instant) {
        let mut stats = self.0.lock();
        stats.events += events as u64;
        stats.bytes += bytes as u64;
        stats.batches += 1;
        stats.time += clock::since(since);
    }

    /// A batch was refused since too much waits.
    pub(crate) fn full(&self) {
        self.0.lock().full += 1;
    }

    /// A batch failed otherwise.
    pub(crate) fn failed(&self) {
        self.0.lock().failed += 1;
    }

    /// All of it, with what is known elsewhere.
    pub(crate) fn stats(&self, waiting_bytes: u64, unavailable: bool) -> AppendStats {
        AppendStats { waiting_bytes, unavailable, ..*self.0.lock() }
    }
}
