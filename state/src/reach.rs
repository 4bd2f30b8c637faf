//! How far back a window reaches from each of its ends, in panes.

use crate::calendar::{Calendar, QUARTER};
use crate::levels::Levels;
use crate::pane::{Pane, PaneWidth};
use crate::spec::{Engine, SketchSpec, Sliding};
use std::ops::Range;

/// How many rows the nodes of one window aim to hold together. A node has at least `rows_kept` of them, up to
/// [`MOST_WINDOW_ROWS`], and the nodes of short windows have more.
const WINDOW_ROWS: usize = 1_500_000;
/// How many rows they hold at most, in some four bytes each, as long as a node has at least a quarter of `rows_kept`. A
/// day that slides by 10 s has 8,640 nodes of 405 rows.
const MOST_WINDOW_ROWS: usize = 3_500_000;

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

    /// The most rows that each node of the window keeps, where a node is so many panes long.
    pub fn node_rows(&self, node: u64, sketch: &SketchSpec) -> usize {
        let nodes = (self.size / node) as usize;
        let least = (MOST_WINDOW_ROWS / nodes).clamp(sketch.rows_kept / 4, sketch.rows_kept);
        (WINDOW_ROWS / nodes).clamp(least, sketch.pane_rows())
    }

    /// The level whose blocks the window is made of. A unit of the calendar begins at any quarter of an hour.
    pub fn level(&self, levels: &Levels, engine: Engine) -> usize {
        match self.calendar {
            None => levels.of_window(engine, self.size, self.slide),
            Some(_) => levels.of_parts(engine, (self.size, self.slide), self.width.panes(QUARTER)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TimeSpec;
    use std::time::Duration;

    #[test]
    fn the_longer_a_window_the_fewer_rows_a_node_keeps() {
        let levels = Levels::new(TimeSpec::default().pane);
        let rows = |size: u64, slide| {
            let (size, slide) = (Duration::from_secs(size), Duration::from_secs(slide));
            let window = Sliding { name: &"w".into(), size, slide, calendar: None };
            let reach = Reach::of(&window, levels.pane());
            let node = levels.width(reach.level(&levels, Engine::Sketch));
            (reach.size / node, reach.node_rows(node, &SketchSpec::default()))
        };
        assert_eq!(rows(60, 10), (6, 8192));
        assert_eq!(rows(3600, 10), (360, 4166));
        assert_eq!(rows(86_400, 60), (1440, 1041));
        assert_eq!(rows(8 * 3600, 10), (2880, 1024));
        assert_eq!(rows(86_400, 10), (8640, 405));
        assert_eq!(rows(7 * 86_400, 10), (60_480, 256));
    }
}
