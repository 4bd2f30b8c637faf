//! Since when the log has been known to take what is written to it: only then is its end an end.

use crate::outage::Outage;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// A write that takes longer says that the disk is stuck, and that events may wait which nobody reads yet.
const STALL: Duration = Duration::from_secs(1);

/// What is known of the last writes.
pub(super) struct Health(Mutex<State>);

struct State {
    outage: Outage,
    /// When the present run of good writes began; without meaning during an outage.
    since: Instant,
    /// Since when a write is under way.
    writing: Option<Instant>,
}

impl Health {
    /// Of a log that was opened just now.
    pub(super) fn new() -> Self {
        Health(Mutex::new(State { outage: Outage::default(), since: Instant::now(), writing: None }))
    }

    /// A write begins.
    pub(super) fn begin(&self) {
        self.0.lock().writing = Some(Instant::now());
    }

    /// It has ended, or failed for a reason; says whether that is news: the first failure, or the first success after one.
    pub(super) fn end(&self, failure: Option<&str>) -> bool {
        let mut state = self.0.lock();
        let stalled = state.writing.take().is_some_and(|began| began.elapsed() >= STALL);
        if let Some(reason) = failure {
            return state.outage.begin(reason);
        }
        let recovered = state.outage.end().is_some();
        if stalled || recovered {
            state.since = Instant::now();
        }
        recovered
    }

    /// Since when all was well without a break; `None` where it is not.
    pub(super) fn since(&self) -> Option<Instant> {
        let state = self.0.lock();
        let stalled = state.writing.is_some_and(|began| began.elapsed() >= STALL);
        (!stalled && !state.outage.is_on()).then_some(state.since)
    }

    /// Whether the last write failed.
    pub(super) fn failed(&self) -> bool {
        self.0.lock().outage.is_on()
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
        assert!(!health.end(None));
        assert_eq!(health.since(), Some(first));
        assert!(health.end(Some("full")) && health.failed() && health.since().is_none());
        assert!(!health.end(Some("full")));
        assert!(health.end(None) && !health.failed());
        assert!(health.since().unwrap() > first);
    }
}
