//! The running sum of whole digests, in which no row is cut: what an exact board's past windows are ranked from.

use crest_sketches::{Bounds, Digest, RankedRow, Ranking};
use crest_state::pane::Pane;
use std::collections::{HashMap, VecDeque};

/// A running sum of digests that keeps all their rows. Its bounds are those of [`Digest::merge`], without a new merge for
/// each ranking.
#[derive(Default)]
pub(super) struct WholeSum {
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
    /// Adds a node, later than all before.
    pub(super) fn push(&mut self, start: Pane, digest: Digest) {
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

    /// Takes out the nodes before a pane.
    pub(super) fn expire(&mut self, before: Pane) {
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

    /// Whether it holds no node.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The top `k`.
    pub(super) fn rank(&self, k: usize) -> Ranking {
        let upper = |item: &Item| item.lower + self.floor - item.relief;
        let rows = self.items.iter().map(|(key, item)| (upper(item), &**key, item.lower)).collect();
        top(rows, (self.total, self.floor), k)
    }

    /// The top `k` of the items of which more was counted than was removed, where any one may have `unseen` weight besides,
    /// counted or removed: as the [exact engine](crate::exact) ranks them.
    pub(super) fn rank_less(&self, removed: &WholeSum, unseen: u64, k: usize) -> Ranking {
        let (floor, doubt) = (self.floor + unseen, removed.floor + unseen);
        let rows = self.items.iter().filter_map(|(key, item)| {
            let (gone, relief) = removed.items.get(key).map_or((0, 0), |gone| (gone.lower, gone.relief));
            let left = item.lower.checked_sub(gone).filter(|left| *left > 0)?;
            Some((left + floor - item.relief, &**key, left.saturating_sub(doubt - relief)))
        });
        let ranking = top(rows.collect(), (self.total.saturating_sub(removed.total), floor), k);
        Ranking { removed: removed.total, ..ranking }
    }
}

/// The top `k` of rows, each of an upper bound, a key and a lower bound. All together have this total and this floor.
fn top(mut rows: Vec<(u64, &[u8], u64)>, (total, floor): (u64, u64), k: usize) -> Ranking {
    let by_rank = |a: &(u64, &[u8], u64), b: &(u64, &[u8], u64)| (b.0, b.1).cmp(&(a.0, a.1));
    let mut outside = floor;
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
    Ranking { total, removed: 0, floor, outside, rows: rows.into_iter().map(row).collect() }
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

        /// Where all rows are kept, against a recount, and against the difference of the merges.
        #[test]
        fn what_is_left_is_what_was_counted_less_what_was_removed(
            counted in nodes(), removed in nodes(), unseen in 0u64..4, k in 0usize..25,
        ) {
            let mut sums = [WholeSum::default(), WholeSum::default()];
            let mut truth: HashMap<u8, i64> = HashMap::new();
            for ((nodes, sign), sum) in [(&counted, 1), (&removed, -1)].into_iter().zip(&mut sums) {
                for (start, (counts, _)) in (0..).zip(nodes) {
                    counts.iter().for_each(|(item, weight)| *truth.entry(*item).or_default() += sign * i64::from(*weight));
                    sum.push(start, digest(counts, usize::MAX));
                }
            }
            let ranking = sums[0].rank_less(&sums[1], unseen, usize::MAX);
            let mut left: Vec<(u64, String)> = truth
                .iter()
                .filter(|(_, left)| **left > 0)
                .map(|(item, left)| (*left as u64, format!("item:{item}")))
                .collect();
            left.sort_by(|a, b| b.cmp(a));
            let expected: Vec<_> = left
                .iter()
                .map(|(left, key)| (key.clone().into_bytes(), Bounds::new(left.saturating_sub(unseen), left + unseen)))
                .collect();
            let rows: Vec<_> = ranking.rows.iter().map(|row| (row.key.clone(), row.bounds)).collect();
            prop_assert_eq!(rows, expected);
            let merged = |nodes: &[(Vec<(u8, u32)>, usize)]| {
                Digest::merge(&nodes.iter().map(|(counts, _)| digest(counts, usize::MAX)).collect::<Vec<_>>())
            };
            let difference = merged(&counted).less(&merged(&removed));
            prop_assert_eq!(sums[0].rank_less(&sums[1], 0, k), difference.rank(k));
        }
    }
}
