//! Since when the log has been known to take what is written to it: only then is its end an end.

use crest_host::clock;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// A write that takes longer says that the disk is stuck, and that events may wait which nobody reads yet.
const STALL: Duration = Duration::from_secs(1);

/// What is known of the last writes.
pub(super) struct Health(Mutex<Writes>);

struct Writes {
    /// When the present run of good writes began; `None` where the last write failed.
    good_since: Option<Instant>,
    /// Since when a write is under way.
    writing: Option<Instant>,
}

impl Writes {
    fn is_stuck(&self) -> bool {
        self.writing.is_some_and(|began| clock::since(began) >= STALL)
    }
}

impl Health {
    /// The health of a log that was opened just now.
    pub(super) fn new() -> Self {
        Health(Mutex::new(Writes { good_since: Some(clock::now()), writing: None }))
    }

    /// A write begins.
    pub(super) fn begin(&self) {
        self.0.lock().writing = Some(clock::now());
    }

    /// The write has ended, or failed. Returns whether that is news: the first failure, or the first success after one.
    pub(super) fn end(&self, failed: bool) -> bool {
        let mut state = self.0.lock();
        let was_stuck = state.is_stuck();
        state.writing = None;
        if failed {
            return state.good_since.take().is_some();
        }
        let recovered = state.good_since.is_none();
        if was_stuck || recovered {
            state.good_since = Some(clock::now());
        }
        recovered
    }

    /// Since when all was well without a break; `None` where it is not.
    pub(super) fn since(&self) -> Option<Instant> {
        let state = self.0.lock();
        state.good_since.filter(|_| !state.is_stuck())
    }

    /// Whether the last write failed.
    pub(super) fn failed(&self) -> bool {
        self.0.lock().good_since.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_it_and_the_next_success_begins_it_anew() {
        let health = Health::new();
        let first = health.since().unwrap();
        health.begin();
        assert!(!health.end(false));
        assert_eq!(health.since(), Some(first));
        assert!(health.end(true) && health.failed() && health.since().is_none());
        assert!(!health.end(true));
        assert!(health.end(false) && !health.failed());
        assert!(health.since().unwrap() > first);
    }
}
