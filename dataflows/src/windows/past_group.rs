//! One group of a window that is ranked anew from a state: the running sum of its nodes. On a sketched board the nodes
//! are thinned as in the job; on an exact board they are whole.

use super::group::{GroupWindow, Span};
use super::publish::Publisher;
use crate::ranked::Ranks;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_sketches::{Bounds, Digest, RankedRow, Ranking};
use crest_state::levels::Block;
use crest_state::pane::Pane;
use crest_state::rest::Rests;
use crest_state::spec::{BoardSpec, Engine};
use std::collections::{HashMap, VecDeque};

/// One group of a past window.
pub(super) struct PastGroup {
    key: GroupKey,
    sum: Sum,
    /// On an exact board, the rests of its nodes.
    listed: Rests,
    /// The ranks in the previous ranking.
    ranks: Ranks,
    /// Whether it holds events, or did at the previous end.
    pub(super) live: bool,
}

enum Sum {
    Sketched(Box<GroupWindow>),
    Exact(WholeSum),
    /// Different values do not add up: the nodes are merged anew for each ranking.
    ExactDistinct(VecDeque<(Pane, Digest)>),
}

impl PastGroup {
    /// A group of a board.
    pub(super) fn new(key: &GroupKey, board: &BoardSpec) -> Self {
        let sum = match board.engine {
            Engine::Sketch => Sum::Sketched(Box::default()),
            Engine::Exact if board.count.is_distinct() => Sum::ExactDistinct(VecDeque::new()),
            Engine::Exact => Sum::Exact(WholeSum::default()),
        };
        let (listed, ranks) = (Rests::default(), Ranks::default());
        PastGroup { key: key.clone(), sum, listed, ranks, live: false }
    }

    /// Adds a node, later than all before. `rest` is the weight that groups may have which the node does not list.
    pub(super) fn push(&mut self, block: Block, digest: &Digest, rest: u64, span: &Span) {
        match &mut self.sum {
            Sum::Sketched(window) => window.push(block, digest, rest, span),
            Sum::Exact(sum) => {
                sum.push(block.start, digest.clone());
                self.listed.push(block.start, rest);
            }
            Sum::ExactDistinct(nodes) => {
                nodes.push_back((block.start, digest.clone()));
                self.listed.push(block.start, rest);
            }
        }
        self.live = true;
    }

    /// Takes out all nodes, so that the nodes that follow may have other numbers.
    pub(super) fn clear(&mut self) {
        match &mut self.sum {
            Sum::Sketched(window) => window.clear(),
            Sum::Exact(sum) => sum.expire(Pane::MAX),
            Sum::ExactDistinct(nodes) => nodes.clear(),
        }
        self.listed.expire(Pane::MAX);
    }

    /// Slides to the publisher's end and ranks the group. `rests` are those of the window that ends there.
    pub(super) fn final_of(&mut self, publisher: &Publisher<'_>, rests: &Rests) -> Snapshot {
        let (span, top) = (publisher.span, &publisher.top);
        let (ranking, empty) = match &mut self.sum {
            Sum::Sketched(window) => {
                window.slide_to(publisher.end, span);
                (top.rank(|k| window.sum.rank(k)).add_unseen(window.unseen(rests)), window.sum.is_empty())
            }
            Sum::Exact(sum) => {
                let start = span.start(publisher.end);
                sum.expire(start);
                self.listed.expire(start);
                (top.rank(|k| sum.rank(k)).add_unseen(rests.sum() - self.listed.sum()), sum.nodes.is_empty())
            }
            Sum::ExactDistinct(nodes) => {
                let start = span.start(publisher.end);
                while nodes.pop_front_if(|(node, _)| *node < start).is_some() {}
                self.listed.expire(start);
                let merged = Digest::merge(nodes.iter().map(|(_, digest)| digest));
                (top.rank(|k| merged.rank(k)).add_unseen(rests.sum() - self.listed.sum()), nodes.is_empty())
            }
        };
        self.live = !empty;
        let watermark = publisher.clock.start(publisher.end);
        let snapshot = publisher.snapshot(&self.key, &ranking, &self.ranks, watermark, true);
        self.ranks = Ranks::of(&snapshot.items, publisher.seed);
        snapshot
    }
}

/// A running sum of digests that keeps all their rows. Its bounds are those of [`Digest::merge`], without a new merge for
/// each ranking.
#[derive(Default)]
struct WholeSum {
    /// The nodes with their first panes, in order.
    nodes: VecDeque<(Pane, Digest)>,
    items: HashMap<Box<[u8]>, Item>,
    total: u64,
    floor: u64,
}

/// The sums over the nodes that have a row for the item.
#[derive(Default)]
struct Item {
    /// How many nodes have a row for it.
    nodes: u32,
    lower: u64,
    /// The floors of these nodes, less the width of the item's bounds in them. The item's upper bound is its lower bound
    /// plus the floors of all nodes, less this.
    relief: u64,
}

impl WholeSum {
    fn push(&mut self, start: Pane, digest: Digest) {
        for row in digest.rows() {
            let relief = digest.floor() - row.bounds.doubt();
            let item = match self.items.get_mut(row.key) {
                Some(item) => item,
                None => self.items.entry(row.key.into()).or_default(),
            };
            item.nodes += 1;
            item.lower += row.bounds.lower();
            item.relief += relief;
        }
        self.total += digest.total();
        self.floor += digest.floor();
        self.nodes.push_back((start, digest));
    }

    fn expire(&mut self, before: Pane) {
        while let Some((_, digest)) = self.nodes.pop_front_if(|(start, _)| *start < before) {
            for row in digest.rows() {
                let Some(item) = self.items.get_mut(row.key) else { continue };
                item.nodes -= 1;
                item.lower -= row.bounds.lower();
                item.relief -= digest.floor() - row.bounds.doubt();
                if item.nodes == 0 {
                    self.items.remove(row.key);
                }
            }
            self.total -= digest.total();
            self.floor -= digest.floor();
        }
    }

    fn rank(&self, k: usize) -> Ranking {
        let upper = |item: &Item| item.lower + self.floor - item.relief;
        let mut rows: Vec<_> =
            self.items.iter().map(|(key, item)| (upper(item), &**key, item.lower)).collect();
        let by_rank = |a: &(u64, &[u8], u64), b: &(u64, &[u8], u64)| (b.0, b.1).cmp(&(a.0, a.1));
        let mut outside = self.floor;
        if rows.len() > k {
            let (_, next, _) = rows.select_nth_unstable_by(k, by_rank);
            outside = outside.max(next.0);
            rows.truncate(k);
        }
        rows.sort_unstable_by(by_rank);
        let row = |(upper, key, lower): (u64, &[u8], u64)| RankedRow {
            key: key.to_vec(),
            bounds: Bounds::new(lower, upper),
            estimate: None,
        };
        Ranking { total: self.total, floor: self.floor, outside, rows: rows.into_iter().map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Merged, PaneSketch, Shape};
    use proptest::prelude::*;

    /// Some rows are cut off, so that there are floors and doubts.
    fn digest(counts: &[(u8, u32)], rows: usize) -> Digest {
        let Ok(shape) = Shape::new(64, 0.001, 0.00005, 7) else { unreachable!("sizes in range") };
        let mut sketch = PaneSketch::new(&shape);
        counts.iter().for_each(|(item, weight)| sketch.add(format!("item:{item}").as_bytes(), *weight));
        let mut merged = Merged::new(&shape);
        merged.add(&sketch);
        merged.cut(rows)
    }

    fn nodes() -> impl Strategy<Value = Vec<(Vec<(u8, u32)>, usize)>> {
        let counts = prop::collection::vec((0u8..20, 1u32..6), 1..30);
        prop::collection::vec((counts, 3usize..25), 1..20)
    }

    proptest! {
        #[test]
        fn it_is_the_merge_of_the_nodes_it_holds(nodes in nodes(), size in 1usize..6, k in 0usize..25) {
            let digests: Vec<Digest> = nodes.iter().map(|(counts, rows)| digest(counts, *rows)).collect();
            let mut sum = WholeSum::default();
            for (end, node) in (1..).zip(&digests) {
                sum.push(end as Pane - 1, node.clone());
                let start = end - size.min(end);
                sum.expire(start as Pane);
                prop_assert_eq!(sum.rank(k), Digest::merge(&digests[start..end]).rank(k));
            }
            sum.expire(Pane::MAX);
            prop_assert_eq!((sum.items.len(), sum.total, sum.floor), (0, 0, 0));
        }
    }
}
