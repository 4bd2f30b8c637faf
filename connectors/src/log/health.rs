//! Since when the log has been known to take what is written to it: only then is its end an end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A write that takes longer says that the disk is stuck, and that events may wait which nobody reads yet.
const STALL: Duration = Duration::from_secs(1);

/// What is known of the last writes.
pub(super) struct Health(Mutex<State>);

struct State {
    /// None after a failure.
    since: Option<Instant>,
    /// Since when a write is under way.
    writing: Option<Instant>,
}

impl Health {
    /// Of a log that was opened just now.
    pub(super) fn new() -> Self {
        Health(Mutex::new(State { since: Some(Instant::now()), writing: None }))
    }

    /// A write begins.
    pub(super) fn begin(&self) {
        self.lock().writing = Some(Instant::now());
    }

    /// It has ended; says whether that is news: the first failure, or the first success after one.
    pub(super) fn end(&self, written: bool) -> bool {
        let mut state = self.lock();
        let stalled = state.writing.take().is_some_and(|began| began.elapsed() >= STALL);
        let before = state.since.is_some();
        state.since = match (written, state.since) {
            (true, Some(since)) if !stalled => Some(since),
            (true, _) => Some(Instant::now()),
            (false, _) => None,
        };
        before != written
    }

    /// Since when all was well without a break; `None` where it is not.
    pub(super) fn since(&self) -> Option<Instant> {
        let state = self.lock();
        let stalled = state.writing.is_some_and(|began| began.elapsed() >= STALL);
        state.since.filter(|_| !stalled)
    }

    /// Whether the last write failed.
    pub(super) fn failed(&self) -> bool {
        self.lock().since.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(!health.end(true));
        assert_eq!(health.since(), Some(first));
        assert!(health.end(false) && health.failed() && health.since().is_none());
        assert!(!health.end(false));
        assert!(health.end(true) && !health.failed());
        assert!(health.since().unwrap() > first);
    }
}
