//! Repeats calls of the store until they succeed. Meanwhile the job waits, which it logs once, and loses nothing.

use crate::error::StateFailure;
use crate::monitor::{Monitor, Waiting};
use crest_connectors::outage::{Backoff, Outage};
use crest_connectors::state::StateError;
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use std::sync::Arc;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why the committer stops.
pub(super) enum Broken {
    /// The job was asked to stop.
    Stopped,
    /// The state cannot be written any longer.
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

/// Repeats calls, and reports to the monitor how many failed and whether the job waits.
pub(super) struct Retry {
    monitor: Arc<dyn Monitor>,
    outage: Outage,
}

impl Retry {
    pub(super) fn new(monitor: Arc<dyn Monitor>) -> Self {
        Retry { monitor, outage: Outage::default() }
    }

    /// Repeats the call until it succeeds, the manifest was superseded, or the job is asked to stop. Refusals by the
    /// store (access denied, a read-only disk) are retried as well, since they may be put right while the job waits.
    pub(super) fn call<T>(&mut self, mut call: impl FnMut() -> Result<T, StateError>) -> Result<T, Broken> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            if self.monitor.stopping() {
                return Err(Broken::Stopped);
            }
            match self.timed(&mut call) {
                Ok(done) => {
                    self.note(None);
                    return Ok(done);
                }
                Err(error @ StateError::Superseded { .. }) => return Err(error.into()),
                Err(error) => self.note(Some(&error)),
            }
            self.pause(backoff.pause());
        }
    }

    /// Repeats a read until it succeeds or finds something missing or damaged, or the job is asked to stop.
    pub(super) fn read<T>(&mut self, mut read: impl FnMut() -> Result<T, StateFailure>) -> Result<T, Broken> {
        let found = self.call(|| match read() {
            Err(StateFailure::Store(error)) => Err(error),
            found => Ok(found),
        })?;
        Ok(found?)
    }

    /// Calls once. Meanwhile the counts say since when the call is under way.
    pub(super) fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        self.monitor.update(&mut |counts| counts.calling = Some(clock::now()));
        let answer = call();
        self.monitor.update(&mut |counts| counts.calling = None);
        answer
    }

    /// Sleeps, until the job is asked to stop.
    fn pause(&self, mut left: Duration) {
        while !left.is_zero() && !self.monitor.stopping() {
            let nap = left.min(Duration::from_millis(50));
            crest_host::thread::sleep(nap);
            left -= nap;
        }
    }

    /// Reports that the store has answered, or why it failed.
    pub(super) fn note(&mut self, error: Option<&StateError>) {
        if let Some(error) = error {
            self.monitor.update(&mut |counts| counts.retries += 1);
            if self.outage.begin(error.to_string()) {
                tracing::warn!(%error, "the state fails: the job waits, and tries again until it can go on");
                let mut waiting = Some(Waiting { since: wall_clock_ms(), reason: error.to_string() });
                self.monitor.update(&mut |counts| counts.waiting = waiting.take());
            }
        } else if self.outage.end().is_some() {
            tracing::info!("the state is in order again");
            self.monitor.update(&mut |counts| counts.waiting = None);
        }
    }
}
