//! How far back a window reaches from each of its ends, in panes.

use crate::calendar::{Calendar, QUARTER};
use crate::levels::Levels;
use crate::pane::{Pane, PaneWidth};
use crate::spec::{Engine, Sliding};
use std::ops::Range;

/// The reach of a window.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    width: PaneWidth,
    /// The panes of the window; the most that it may have, where the calendar says.
    pub size: u64,
    /// The panes between two of its ends.
    pub slide: u64,
    calendar: Option<Calendar>,
}

impl Reach {
    /// The reach of a window over panes of this width.
    pub fn of(window: &Sliding<'_>, width: PaneWidth) -> Self {
        let (size, slide) = (width.panes(window.size), width.panes(window.slide));
        Reach { width, size, slide, calendar: window.calendar }
    }

    /// The first pane of the window that ends at `end`, the first pane after it.
    pub fn start(&self, end: Pane) -> Pane {
        match self.calendar {
            None => end.saturating_sub(self.size),
            Some(calendar) => {
                let last = self.width.start(end) - 1;
                self.width.pane(calendar.start_of(last.max(0)).max(0))
            }
        }
    }

    /// The panes of the window that ends at `end`.
    pub fn panes(&self, end: Pane) -> Range<Pane> {
        self.start(end)..end
    }

    /// The unit of the calendar that the window is of, if it is.
    pub fn calendar(&self) -> Option<Calendar> {
        self.calendar
    }

    /// Whether the window that ends at `end` has all of its unit of the calendar.
    pub fn is_full_unit(&self, end: Pane) -> bool {
        let ms = self.width.start(end);
        self.calendar.is_some_and(|calendar| calendar.start_of(ms) == ms)
    }

    /// The level whose blocks the window is made of. A unit of the calendar begins at any quarter of an hour.
    pub fn level(&self, levels: &Levels, engine: Engine) -> usize {
        match self.calendar {
            None => levels.of_window(engine, self.size, self.slide),
            Some(_) => levels.of_parts(engine, (self.size, self.slide), self.width.panes(QUARTER)),
        }
    }
}
