//! What became of the telemetry that was sent.

use parking_lot::Mutex;
use std::fmt;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The figures.
    Metrics,
    /// The way of panes.
    Traces,
}

/// What became of one signal, since the process's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that the collector has taken.
    pub exports: u64,
    /// Requests that it has not taken.
    pub failures: u64,
    /// Points or spans that were let go: not sent, not taken, or refused one by one.
    pub dropped: u64,
    /// Whether the collector takes nothing.
    pub disconnected: bool,
}

/// What became of all signals. Shared by who sends and who shows.
#[derive(Debug, Default)]
pub struct Tally(Mutex<[Counts; 2]>);

impl Tally {
    /// What became of one.
    pub fn of(&self, signal: Signal) -> Counts {
        self.0.lock()[signal as usize]
    }

    pub(super) fn change(&self, signal: Signal, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock()[signal as usize]);
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
        })
    }
}
