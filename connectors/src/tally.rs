//! What became of the batches of a log since it was opened.

use crate::append::AppendStats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters that every thread may add to.
#[derive(Default)]
pub(crate) struct Tally {
    events: AtomicU64,
    bytes: AtomicU64,
    batches: AtomicU64,
    full: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Tally {
    /// A batch of so many events and bytes, which was taken at `since`, is kept.
    pub(crate) fn kept(&self, events: usize, bytes: usize, since: Instant) {
        let time = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(time, Ordering::Relaxed);
    }

    /// A batch was refused since too much waits.
    pub(crate) fn full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    /// A batch failed otherwise.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, with what is known elsewhere.
    pub(crate) fn stats(&self, waiting_bytes: u64, unavailable: bool) -> AppendStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AppendStats {
            events: read(&self.events),
            bytes: read(&self.bytes),
            batches: read(&self.batches),
            full: read(&self.full),
            failed: read(&self.failed),
            waiting_bytes,
            time: Duration::from_nanos(read(&self.nanoseconds)),
            unavailable,
        }
    }
}
