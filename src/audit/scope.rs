//! Which windows are judged: those that lie wholly in the panes that are counted. Where a source is counted from its
//! beginning to its end, all: what the first and the last ones lack nobody has.

use crest_dataflows::event_time::Clock;
use crest_state::pane::Pane;
use std::ops::Range;

/// The times between which windows are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Option<Range<i64>>);

impl Scope {
    /// The scope of a range of panes; everything where there is none.
    pub fn new(panes: Option<&Range<Pane>>, clock: &Clock) -> Self {
        Scope(panes.map(|panes| clock.start(panes.start)..clock.start(panes.end)))
    }

    /// In milliseconds since 1970 UTC.
    pub fn times(&self) -> Option<&Range<i64>> {
        self.0.as_ref()
    }

    /// Whether everything is judged.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the window between these times is judged.
    pub fn holds(&self, window_start: i64, window_end: i64) -> bool {
        self.0.as_ref().is_none_or(|times| times.start <= window_start && window_end <= times.end)
    }
}
