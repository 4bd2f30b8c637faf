//! A sliding window as a running sum: digests are added as they come and taken out again, whole and exactly.
//!
//! A *node* is the digest of a fixed run of panes (a pane, a minute); it stays in memory in some five bytes a row. Nodes that
//! have few rows between them stay as they are, and a ranking adds them up; that is the same, in less memory.
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
//! **Different values** are never taken out of a count, so that a window of them keeps its nodes, and a ranking merges them:
//! dozens of them, since those of 16 consecutive numbers, and 16 such blocks, are merged beforehand (and cut to 4,096 rows,
//! but those of exact shapes), where the window has them all. That, too, follows from the nodes that are in the window. A node takes
//! 256 KiB at most, and a block 1 MiB, but of exact shapes. Which it is follows from the digests: those of weights and those of different
//! values cannot be in one window.
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
mod distinct;
mod few;
mod ladder;
mod less;
mod part;
mod running;

use crate::digest::Digest;
use crate::parts::sum;
use crate::ranking::{Candidate, Ranking};
use distinct::DistinctNodes;
use few::{FewNode, FewNodes, FewRow, add_up};
use running::Running;

const MIXED: &str = "a window of weights and of different values";

/// The sum of a window's nodes.
#[derive(Clone, Debug, Default)]
pub struct WindowSum {
    total: u64,
    floor: u64,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Few(FewNodes),
    Running(Box<Running>),
    Distinct(DistinctNodes),
}

impl Default for Form {
    fn default() -> Self {
        Form::Few(FewNodes::default())
    }
}

/// What is taken away from a window.
#[derive(Clone, Copy, Debug)]
pub struct Removed<'a> {
    /// Nodes of the same panes as those of the window.
    pub sum: &'a WindowSum,
    /// What is taken away in panes that are still counting.
    pub open: &'a [&'a Digest],
    /// Weight that neither window has counted, and that any one item may have besides, or lack.
    pub unseen: u64,
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
    /// hold, or different values were counted in it and weights in others.
    pub fn push(&mut self, node: u64, digest: &Digest) {
        let last = match &self.form {
            Form::Few(few) => few.last(),
            Form::Running(running) => running.last(),
            Form::Distinct(distinct) => distinct.last(),
        };
        assert!(last.is_none_or(|last| last < node), "nodes come in their order");
        // No bound is above both together.
        sum(sum(self.total, digest.total()), sum(self.floor, digest.floor()));
        let has_weights = !digest.is_distinct() && digest.rows().len() > 0;
        match &mut self.form {
            Form::Distinct(distinct) => {
                assert!(!has_weights, "{MIXED}");
                distinct.push(node, digest);
            }
            Form::Few(few) if digest.is_distinct() => {
                let mut distinct = distinct_of(few.take());
                distinct.push(node, digest);
                self.form = Form::Distinct(distinct);
            }
            Form::Running(_) if digest.is_distinct() => panic!("{MIXED}"),
            Form::Few(few) if few.fits(digest) => few.push(node, digest),
            Form::Few(few) => {
                let mut running = Running::default();
                few.take().iter().for_each(|node| running.push_few(node));
                running.push(node, digest);
                self.form = Form::Running(Box::new(running));
            }
            Form::Running(running) => running.push(node, digest),
        }
        self.note_sums(digest.total(), digest.floor());
    }

    /// Takes out all nodes before the one numbered `before`.
    pub fn expire(&mut self, before: u64) {
        match &mut self.form {
            Form::Few(few) => {
                let (total, floor) = few.expire(before);
                (self.total, self.floor) = (self.total - total, self.floor - floor);
            }
            Form::Running(running) => {
                running.expire(before);
                (self.total, self.floor) = (running.total(), running.floor());
                if running.is_empty() {
                    self.form = Form::default();
                }
            }
            Form::Distinct(distinct) => {
                distinct.expire(before);
                (self.total, self.floor) = distinct.sums();
                if distinct.is_empty() {
                    self.form = Form::default();
                }
            }
        }
    }

    /// Whether it holds no node.
    pub fn is_empty(&self) -> bool {
        match &self.form {
            Form::Few(few) => few.is_empty(),
            Form::Running(running) => running.is_empty(),
            Form::Distinct(distinct) => distinct.is_empty(),
        }
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
        match &self.form {
            Form::Few(few) => few.bytes(),
            Form::Running(running) => size_of::<Running>() + running.bytes(),
            Form::Distinct(distinct) => distinct.bytes(),
        }
    }

    /// The top `k`.
    pub fn rank(&self, k: usize) -> Ranking {
        self.rank_with(k, |ranking| ranking.to_owned())
    }

    /// What `then` makes of the top `k`, whose keys are not copied for it.
    pub fn rank_with<R>(&self, k: usize, then: impl FnOnce(Ranking<&[u8]>) -> R) -> R {
        match &self.form {
            Form::Few(few) => then(rank_few(few, 0, Vec::new(), (self.total, self.floor), k)),
            Form::Running(running) => then(running.rank(k)),
            Form::Distinct(distinct) => distinct.rank_with(0, &[], k, then),
        }
    }

    /// The top `k` as if the nodes before `expire_before` were gone and the digests `open`, whose panes are still
    /// counting, had been added. The window itself stays as it is, and nothing is thinned.
    pub fn rank_provisional(&self, expire_before: u64, open: &[&Digest], k: usize) -> Ranking {
        self.rank_provisional_with(expire_before, open, k, |ranking| ranking.to_owned())
    }

    /// What `then` makes of the top `k` of [`rank_provisional`](Self::rank_provisional), whose keys are not copied for it.
    pub fn rank_provisional_with<R>(
        &self,
        expire_before: u64,
        open: &[&Digest],
        k: usize,
        then: impl FnOnce(Ranking<&[u8]>) -> R,
    ) -> R {
        if let Form::Distinct(distinct) = &self.form {
            return distinct.rank_with(expire_before, open, k, then);
        }
        if open.iter().any(|digest| digest.is_distinct()) {
            let Form::Few(few) = &self.form else { panic!("{MIXED}") };
            return distinct_of(few.from(0).to_vec()).rank_with(expire_before, open, k, then);
        }
        let (mut rows, sums) = (rows_of(open), self.sums_from(expire_before, open));
        match &self.form {
            Form::Few(few) => then(rank_few(few, expire_before, rows, sums, k)),
            Form::Running(running) => {
                add_up(&mut rows);
                then(running.rank_provisional(expire_before, &rows, sums, k))
            }
            Form::Distinct(_) => unreachable!("ranked already"),
        }
    }

    /// The total and the floor of the nodes from the one numbered `from` on, and of digests of open panes.
    fn sums_from(&self, from: u64, open: &[&Digest]) -> (u64, u64) {
        let (mut total, mut floor) = (self.total, self.floor);
        for digest in open {
            (total, floor) = (sum(total, digest.total()), sum(floor, digest.floor()));
        }
        sum(total, floor);
        let gone = match &self.form {
            Form::Few(few) => few.before(from),
            Form::Running(running) => running.before(from),
            Form::Distinct(_) => panic!("{MIXED}"),
        };
        (total - gone.0, floor - gone.1)
    }

    fn note_sums(&mut self, total: u64, floor: u64) {
        (self.total, self.floor) = match &self.form {
            Form::Few(_) => (self.total + total, self.floor + floor),
            // Nodes may have been thinned, which raises the floor.
            Form::Running(running) => (running.total(), running.floor()),
            // Or merged and cut.
            Form::Distinct(distinct) => distinct.sums(),
        };
    }
}

/// The rows of digests, as they come.
fn rows_of<'a>(open: &[&'a Digest]) -> Vec<FewRow<'a>> {
    let mut rows = Vec::with_capacity(open.iter().map(|digest| digest.rows().len()).sum());
    for digest in open {
        rows.extend(digest.rows().map(|row| FewRow::of(row.hash, row.key, row.bounds, digest.floor())));
    }
    rows
}

/// The sums over the nodes from the one numbered `from` on, and over more rows, of each item.
fn add_few<'a>(few: &'a FewNodes, from: u64, rows: &mut Vec<FewRow<'a>>) {
    let nodes = few.from(from);
    rows.reserve_exact(nodes.iter().map(FewNode::len).sum());
    for node in nodes {
        rows.extend(node.rows().map(|(hash, key, bounds)| FewRow::of(hash, key, bounds, node.floor)));
    }
    add_up(rows);
}

/// The same nodes, none of which has rows.
fn distinct_of(few: Vec<FewNode>) -> DistinctNodes {
    let mut distinct = DistinctNodes::default();
    for node in few {
        assert!(node.len() == 0, "{MIXED}");
        distinct.push(node.number, &Digest::without_rows(node.total, node.floor));
    }
    distinct
}

/// The top `k` of the nodes from the one numbered `from` on, and of more rows. All together have this total and this
/// floor.
fn rank_few<'a>(
    few: &'a FewNodes,
    from: u64,
    mut rows: Vec<FewRow<'a>>,
    (total, floor): (u64, u64),
    k: usize,
) -> Ranking<&'a [u8]> {
    add_few(few, from, &mut rows);
    let candidates = rows.iter().zip(0..).map(|(row, id)| Candidate { upper: row.sum.upper(floor), id });
    let row = |id: u32| &rows[id as usize];
    Ranking::new(total, floor, candidates, k, |id| row(id).key, |id| row(id).sum.lower)
}
