//! The rolling windows of the script: a closed pane is added to each window, and the one that leaves it subtracted.

use crate::ids::Ids;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Write;

/// A window: its name, and its size and slide in panes.
pub type Spec = (&'static str, usize, i64);

/// The default windows of a job.
#[allow(dead_code)] // a bench may have others
pub const WINDOWS: [Spec; 3] = [("last_1m", 6, 1), ("last_1h", 360, 1), ("last_24h", 8_640, 6)];

/// The length of a pane, in milliseconds.
pub const PANE: i64 = 10_000;

const K: usize = 100;

/// A row of a ranking, named as in the snapshots of crest.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Row<'a> {
    #[serde(borrow)]
    pub item_id: Cow<'a, str>,
    pub count: u64,
}

/// A ranking, on a line of its own, named as in the snapshots of crest. Times are milliseconds since 1970.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking<'a> {
    #[serde(borrow)]
    pub window: Cow<'a, str>,
    pub window_end: i64,
    pub total: u64,
    #[serde(borrow)]
    pub items: Vec<Row<'a>>,
}

/// The counts of a closed pane, by the numbers of their items.
pub type Counts = Vec<(u32, u32)>;

/// The closed panes that a window still holds, and the windows.
pub struct Windows<W> {
    /// The newest is at the back; panes without an event are there, too.
    panes: VecDeque<Counts>,
    windows: Vec<Window>,
    out: W,
}

struct Window {
    name: &'static str,
    size: usize,
    slide: i64,
    /// By the numbers of the items.
    counts: Vec<u32>,
    total: u64,
}

impl<W: Write> Windows<W> {
    pub fn new(windows: &[Spec], out: W) -> Self {
        let window = |&(name, size, slide): &_| Window { name, size, slide, counts: Vec::new(), total: 0 };
        Windows { panes: VecDeque::new(), windows: windows.iter().map(window).collect(), out }
    }

    /// Takes the pane that ends with pane number `end`, and prints the windows that end there.
    pub fn push(&mut self, counts: Counts, end: i64, ids: &Ids) {
        self.panes.push_back(counts);
        for window in &mut self.windows {
            window.slide_to(&self.panes, ids);
            if end % window.slide == 0 {
                window.print(end, ids, &mut self.out);
            }
        }
        if self.panes.len() > self.windows.iter().map(|window| window.size).max().unwrap_or(0) {
            self.panes.pop_front();
        }
    }

    /// After the last pane, which ended with pane number `end`: prints the windows that end later.
    pub fn finish(mut self, end: i64, ids: &Ids) {
        let (panes, out) = (&mut self.panes, &mut self.out);
        for window in self.windows.iter_mut().filter(|window| end % window.slide != 0) {
            let last = end + window.slide - end % window.slide;
            for _ in end..last {
                panes.push_back(Counts::new());
                window.slide_to(panes, ids);
            }
            window.print(last, ids, out);
            panes.truncate(panes.len() - (last - end) as usize);
        }
        self.out.flush().unwrap();
    }
}

impl Window {
    /// Adds the newest pane, and subtracts the one that it drives out.
    fn slide_to(&mut self, panes: &VecDeque<Counts>, ids: &Ids) {
        self.counts.resize(ids.len(), 0);
        for &(id, count) in panes.back().into_iter().flatten() {
            self.counts[id as usize] += count;
            self.total += u64::from(count);
        }
        let leaving = panes.len().checked_sub(self.size + 1).map(|n| &panes[n]);
        for &(id, count) in leaving.into_iter().flatten() {
            self.counts[id as usize] -= count;
            self.total -= u64::from(count);
        }
    }

    /// Prints nothing where the window has no event.
    fn print(&self, end: i64, ids: &Ids, out: &mut impl Write) {
        if self.total == 0 {
            return;
        }
        let row = |(count, id)| Row { item_id: ids.text(id).into(), count: u64::from(count) };
        let items = self.top(ids).into_iter().map(row).collect();
        let ranking = Ranking { window: self.name.into(), window_end: end * PANE, total: self.total, items };
        serde_json::to_writer(&mut *out, &ranking).unwrap();
        out.write_all(b"\n").unwrap();
    }

    /// The K greatest counts with their items; of equal counts the greatest ids.
    fn top(&self, ids: &Ids) -> Vec<(u32, u32)> {
        let order =
            |a: &(u32, u32), b: &(u32, u32)| b.0.cmp(&a.0).then_with(|| ids.text(b.1).cmp(ids.text(a.1)));
        let (mut best, mut least) = (Vec::with_capacity(2 * K), 1);
        for (id, &count) in self.counts.iter().enumerate() {
            if count >= least {
                best.push((count, id as u32));
                if best.len() == 2 * K {
                    best.select_nth_unstable_by(K - 1, order);
                    best.truncate(K);
                    least = best[K - 1].0;
                }
            }
        }
        best.sort_unstable_by(order);
        best.truncate(K);
        best
    }
}
