//! The late pane, in which a job with a window of the whole input counts the events that are late for panes.
//!
//! It is one more pane of each partition, after all others. Only windows of the whole input take it. It closes at the end
//! of the input and is never stored: a run that resumes reads again from the first late event on, and counts it anew.

use crest_state::pane::Pane;
use serde::{Deserialize, Serialize};

/// The number of the late pane. No event time is in a pane of so great a number.
pub const LATE: Pane = 1 << 62;

/// How a late event of this pane travels to the late pane.
pub fn late(pane: Pane) -> Pane {
    LATE + pane
}

/// The first and the last of some panes with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneSpan {
    /// The first.
    pub first: Pane,
    /// The last.
    pub last: Pane,
}

impl PaneSpan {
    /// Of one pane.
    pub fn of(pane: Pane) -> Self {
        PaneSpan { first: pane, last: pane }
    }

    /// Of the panes of both.
    pub fn with(self, other: Option<PaneSpan>) -> Self {
        let other = other.unwrap_or(self);
        PaneSpan { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}
