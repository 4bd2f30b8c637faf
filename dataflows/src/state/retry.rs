//! Calls of the store that are repeated until they succeed: the job waits, says so once, and loses nothing.

use super::StateFailure;
use crate::status::JobView;
use crest_connectors::state::StateError;
use std::sync::Arc;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What becomes of the keeper's work.
pub(super) enum Broken {
    /// The job was asked to stop: what is not done need not be.
    Stopped,
    /// The state can be kept no longer.
    Failed(StateFailure),
}

impl From<StateFailure> for Broken {
    fn from(failure: StateFailure) -> Self {
        Broken::Failed(failure)
    }
}

impl From<StateError> for Broken {
    fn from(error: StateError) -> Self {
        Broken::Failed(StateFailure::Store(error))
    }
}

/// Repeats calls, and keeps count.
pub(super) struct Retry {
    view: Arc<JobView>,
    failing: bool,
}

impl Retry {
    pub(super) fn new(view: Arc<JobView>) -> Self {
        Retry { view, failing: false }
    }

    /// Calls until it succeeds, fails for good, or the job is asked to stop. A store that refuses (access denied,
    /// a disk gone read-only) may be put right while the job waits.
    pub(super) fn call<T>(&mut self, mut call: impl FnMut() -> Result<T, StateError>) -> Result<T, Broken> {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.view.stopping() {
                return Err(Broken::Stopped);
            }
            match call() {
                Ok(done) => {
                    self.note(None);
                    return Ok(done);
                }
                Err(error @ StateError::Superseded { .. }) => return Err(error.into()),
                Err(error) => self.note(Some(&error)),
            }
            self.pause(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Pauses, but not beyond a stop.
    fn pause(&self, mut left: Duration) {
        while !left.is_zero() && !self.view.stopping() {
            let nap = left.min(Duration::from_millis(50));
            std::thread::sleep(nap);
            left -= nap;
        }
    }

    fn note(&mut self, error: Option<&StateError>) {
        if let Some(error) = error {
            self.view.update_state(|counts| counts.retries += 1);
            if !self.failing {
                tracing::warn!(%error, "the state cannot be written: the job waits, and tries again until it can");
            }
        } else if self.failing {
            tracing::info!("the state can be written again");
        }
        if self.failing != error.is_some() {
            self.failing = error.is_some();
            self.view.update_state(|counts| counts.waiting = self.failing);
        }
    }
}
