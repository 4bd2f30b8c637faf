//! The open panes of the script.

use crate::ids::Ids;
use crate::windows::{Counts, PANE, Spec, Windows};
use std::collections::VecDeque;
use std::io::Write;

/// How far behind the newest an event may be, in milliseconds.
const OUT_OF_ORDERNESS: i64 = 5_000;

/// Counts events, and hands the panes that are closed to the windows.
pub struct Counter<W> {
    ids: Ids,
    /// The panes that may still get events, from number `first` on.
    open: VecDeque<Pane>,
    first: i64,
    newest: i64,
    windows: Windows<W>,
}

#[derive(Default)]
struct Pane {
    /// By the numbers of the items.
    counts: Vec<u32>,
    /// Those that have a count.
    items: Vec<u32>,
}

impl<W: Write> Counter<W> {
    pub fn new(windows: &[Spec], out: W) -> Self {
        Counter {
            ids: Ids::default(),
            open: VecDeque::new(),
            first: i64::MIN,
            newest: i64::MIN,
            windows: Windows::new(windows, out),
        }
    }

    /// Counts an event, by its time in milliseconds since 1970.
    pub fn count(&mut self, item: &str, time: i64) {
        let item = self.ids.number(item);
        let pane = time / PANE;
        if time > self.newest {
            self.advance(time);
        }
        // An earlier pane is closed: the event is late.
        let Ok(place) = usize::try_from(pane - self.first) else { return };
        if place >= self.open.len() {
            self.open.resize_with(place + 1, Pane::default);
        }
        self.open[place].add(item);
    }

    /// Closes the panes that the newest event has left behind.
    fn advance(&mut self, newest: i64) {
        self.newest = newest;
        let watermark = (newest - OUT_OF_ORDERNESS) / PANE;
        if self.open.is_empty() {
            self.first = watermark;
        }
        while self.first < watermark {
            self.close();
        }
    }

    fn close(&mut self) {
        let mut pane = self.open.pop_front().unwrap_or_default();
        self.first += 1;
        self.windows.push(pane.take(), self.first, &self.ids);
    }

    /// Closes what is open.
    pub fn finish(mut self) {
        while !self.open.is_empty() {
            self.close();
        }
        self.windows.finish(self.first, &self.ids);
    }
}

impl Pane {
    fn add(&mut self, item: u32) {
        let place = item as usize;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        if self.counts[place] == 0 {
            self.items.push(item);
        }
        self.counts[place] += 1;
    }

    fn take(&mut self) -> Counts {
        self.items.drain(..).map(|item| (item, self.counts[item as usize])).collect()
    }
}
