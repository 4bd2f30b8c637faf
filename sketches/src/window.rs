//! A sliding window as a running sum: digests are added as they come and taken out again, whole and exactly.
//!
//! A *node* is the digest of a fixed run of panes (a pane, a minute); it stays in memory in some five bytes a row.
//! Every item with a row in some node is a *candidate*. With `F` the sum of the nodes' floors, and an item's relief
//! the sum, over the nodes that have it, of the floor less the doubt (`upper - lower`):
//!
//! - `lower sum <= true <= lower sum + F - relief` for a candidate;
//! - an item that is none has at most `F`.
//!
//! All of these are sums of unsigned integers, so that taking a node out leaves what would be there without it.
//!
//! **Thinning.** Panes of flat streams share no rows, and a day of them would be more than a million candidates. So
//! every node is cut to the longest of a ladder of lengths (all, 4096, 2048, … 1, 0) at which it and the nodes *after*
//! it have at most 32,768 items between them: recent nodes stay long, and older ones are cut where there are too many.
//! How long a node is depends on it and on those after it, never on what has expired, so that a window that was
//! rebuilt from its nodes is the same as one that slid there. What is cut raises the node's floor. Each length of the
//! ladder adds at most 32,768 candidates, and usually half of that; a window of 1,440 nodes of 1,024 rows, no two
//! alike, has 121,000.
//!
//! ```
//! use crest_sketches::{Bounds, Merged, PaneSketch, Shape, WindowSum};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut window = WindowSum::new();
//! for (pane, [a, b]) in [[5, 1], [2, 4], [3, 3]].into_iter().enumerate() {
//!     let mut sketch = PaneSketch::new(&shape);
//!     sketch.add(b"a", a);
//!     sketch.add(b"b", b);
//!     let mut merged = Merged::new(&shape);
//!     merged.add(&sketch);
//!     window.push(pane as u64, &merged.cut(100));
//! }
//! let first = &window.rank(1).rows[0];
//! assert_eq!((&*first.key, first.bounds), (&b"a"[..], Bounds::exactly(10)));
//! window.expire(1);
//! assert_eq!(window.rank(1).rows[0].key, b"b"); // 7 to 5
//! assert_eq!(window.total(), 12);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

mod candidates;
mod ladder;

use crate::digest::Digest;
use crate::packed::{PackedRow, PackedRows};
use crate::parts::sum;
use crate::ranking::{Candidate, Ranking};
use candidates::{Candidates, Sum};
use ladder::{CANDIDATES, Ladder, length_at};
use std::collections::VecDeque;

/// The running sum of a window's nodes.
#[derive(Clone, Debug, Default)]
pub struct WindowSum {
    /// By number, so that the oldest are first; their steps never rise along the way.
    nodes: VecDeque<Node>,
    /// How many nodes there were before these.
    first: u32,
    ladder: Ladder,
    candidates: Candidates,
    total: u64,
    floor: u64,
}

#[derive(Clone, Debug)]
struct Node {
    number: u64,
    total: u64,
    floor: u64,
    /// Of the ladder, that it is cut to.
    step: u8,
    rows: PackedRows,
}

impl WindowSum {
    /// No nodes.
    pub fn new() -> Self {
        WindowSum::default()
    }

    /// Adds a node.
    ///
    /// # Panics
    /// If its number is not above those of all nodes held, or the totals and floors of all add up to more than 64 bits
    /// hold.
    pub fn push(&mut self, node: u64, digest: &Digest) {
        assert!(self.nodes.back().is_none_or(|last| last.number < node), "nodes come in their order");
        // No bound is above both together.
        sum(sum(self.total, digest.total()), sum(self.floor, digest.floor()));
        let mut rows: Vec<_> = digest
            .rows()
            .map(|row| {
                let slot = self.candidates.slot(row.hash, row.key);
                self.candidates.add(slot, Sum::of(row.bounds, digest.floor()));
                PackedRow { slot, bounds: row.bounds }
            })
            .collect();
        let rank = |row: &PackedRow| (row.bounds.upper(), self.candidates.key(row.slot));
        rows.sort_unstable_by(|a, b| rank(b).cmp(&rank(a)));
        if !self.ladder.is_empty() {
            self.ladder.push(&rows.iter().map(|row| row.slot).collect::<Vec<_>>());
        }
        let (total, floor) = (digest.total(), digest.floor());
        self.nodes.push_back(Node {
            number: node,
            total,
            floor,
            step: 0,
            rows: PackedRows::new(rows.into_iter()),
        });
        self.total += total;
        self.floor += floor;
        if !self.ladder.is_empty() || self.candidates.len() > CANDIDATES {
            self.thin();
        }
    }

    /// Takes out all nodes before the one numbered `before`.
    pub fn expire(&mut self, before: u64) {
        while let Some(node) = self.nodes.pop_front_if(|node| node.number < before) {
            for row in node.rows.iter() {
                self.candidates.take(row.slot, Sum::of(row.bounds, node.floor));
            }
            self.total -= node.total;
            self.floor -= node.floor;
            self.first += 1;
        }
        self.ladder.expire(self.first);
        if self.candidates.len() < CANDIDATES / 2 {
            self.ladder.clear();
        }
        self.candidates.compact();
    }

    /// Whether it holds no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The weight in the window.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// An item that is no candidate has at most this weight.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let nodes = self.nodes.capacity() * size_of::<Node>();
        nodes
            + self.ladder.bytes()
            + self.nodes.iter().map(|node| node.rows.bytes()).sum::<usize>()
            + self.candidates.bytes()
    }

    /// The top `k`.
    pub fn rank(&self, k: usize) -> Ranking {
        let candidates =
            self.candidates.iter().map(|(id, sum)| Candidate { upper: sum.upper(self.floor), id });
        let key = |slot| self.candidates.key(slot);
        Ranking::new(self.total, self.floor, candidates, k, key, |slot| self.candidates.sum(slot).lower)
    }

    /// The top `k` as if the nodes before `expire_before` were gone and the digests `open`, whose panes are still
    /// counting, had been added. The window itself stays as it is, and nothing is thinned.
    pub fn rank_provisional(&self, expire_before: u64, open: &[&Digest], k: usize) -> Ranking {
        let open = Digest::merge(open.iter().copied());
        let (mut total, mut floor) = (sum(self.total, open.total()), sum(self.floor, open.floor()));
        sum(total, floor);
        let mut sums = self.candidates.sums();
        for node in self.nodes.iter().take_while(|node| node.number < expire_before) {
            for row in node.rows.iter() {
                sums[row.slot as usize] -= Sum::of(row.bounds, node.floor);
            }
            total -= node.total;
            floor -= node.floor;
        }
        let held = sums.len();
        let mut new_keys = Vec::new();
        for row in open.rows() {
            let sum = Sum::of(row.bounds, open.floor());
            match self.candidates.find(row.hash, row.key) {
                Some(slot) => sums[slot as usize] += sum,
                None => {
                    sums.push(sum);
                    new_keys.push(row.key);
                }
            }
        }
        let live = sums.iter().zip(0..).filter(|(sum, _)| sum.nodes > 0);
        let candidates = live.map(|(sum, id)| Candidate { upper: sum.upper(floor), id });
        let key = |id: u32| match (id as usize).checked_sub(held) {
            None => self.candidates.key(id),
            Some(new) => new_keys[new],
        };
        Ranking::new(total, floor, candidates, k, key, |id| sums[id as usize].lower)
    }

    /// Cuts every node to the first step of the ladder that it fits.
    fn thin(&mut self) {
        let end = self.first + self.nodes.len() as u32;
        while self.ladder.first_that_fits().is_none_or(|fits| fits > self.first) {
            // Who was cut to a later step did not fit this one, and never will.
            let step = self.ladder.steps() as u8;
            let whole = self.nodes.iter().rev().take_while(|node| node.step <= step);
            self.ladder.extend(end, whole.map(|node| node.rows.iter().map(|row| row.slot)));
        }
        for index in 0..self.nodes.len() {
            let step = self.ladder.step_of(self.first + index as u32) as u8;
            if step == 0 {
                break;
            }
            if step > self.nodes[index].step {
                self.cut(index, step);
            }
        }
        self.candidates.compact();
    }

    /// Cuts a node to a step of the ladder.
    fn cut(&mut self, index: usize, step: u8) {
        let node = &mut self.nodes[index];
        node.step = step;
        let length = length_at(step.into());
        let Some(dropped) = node.rows.iter().nth(length) else { return };
        let floor = node.floor.max(dropped.bounds.upper());
        for (place, row) in node.rows.iter().enumerate() {
            if place < length {
                self.candidates.add(row.slot, Sum::of(row.bounds, floor));
            }
            self.candidates.take(row.slot, Sum::of(row.bounds, node.floor));
        }
        self.floor += floor - node.floor;
        node.floor = floor;
        let kept: Vec<_> = node.rows.iter().take(length).collect();
        node.rows = PackedRows::new(kept.into_iter());
    }
}
