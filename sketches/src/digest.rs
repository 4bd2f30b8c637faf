//! The digest of a pane or a rollup: the rows that were kept, and the floor under which everything else stays.
//!
//! Laws, certain but for a collision of 64-bit hashes:
//! - `lower <= true <= upper` for an item with a row, and `upper <= lower + floor`;
//! - an item without a row has at most `floor`;
//! - a floor of 0 means that every item has its row and every row is exact.
//!
//! Of a digest of [different values](crate::Shape::distinct), what is kept are bounds of the pairs that were counted, and of each row
//! the [set](crate::DistinctSet) of its values. From these follow the bounds of the number of values: `lower` is that of the set,
//! and `upper` is by the same doubt above the number of hashes in the set, or above the pairs counted where it has only registers. So
//! `upper - lower` may be more than the floor there, and a row inexact under a floor of 0.
//!
//! Digests of disjoint parts of a stream merge: lower bounds add up, and so do upper bounds, where a digest that lacks
//! the row counts with its floor. A cut keeps the rows of greatest upper bound and raises the floor to the greatest
//! upper bound that it drops. Merging and then cutting once is better than cutting first, never wrong either way.
//!
//! ```
//! use crest_sketches::{Bounds, Digest, Merged, PaneSketch, Shape, item_hash};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let digest = |a, b| {
//!     let mut pane = PaneSketch::new(&shape);
//!     pane.add(b"a", a);
//!     pane.add(b"b", b);
//!     let mut merged = Merged::new(&shape);
//!     merged.add(&pane);
//!     merged.cut(1)
//! };
//! // The first keeps a (9) above a floor of 4, the second keeps b (8) above a floor of 1.
//! let both = Digest::merge(&[digest(9, 4), digest(1, 8)]);
//! let bounds = |key: &[u8]| both.bounds(item_hash(key, 7), key);
//! assert_eq!(bounds(b"a"), Bounds::new(9, 10));
//! assert_eq!(bounds(b"b"), Bounds::new(8, 12));
//! assert_eq!(bounds(b"c"), Bounds::at_most(5));
//! assert_eq!(both.total(), 22);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```
//!
//! Of a digest [less](Digest::less) another one other laws hold. It is ranked and asked, and neither merged nor stored.

mod items;
mod less;
pub(crate) mod parts;

use crate::bounds::Bounds;
use crate::distinct_set::DistinctSet;
use crate::estimate::Estimate;
use crate::hash::item_hash;
#[cfg(doc)]
use crate::keys::MAX_KEY_BYTES;
use crate::keys::{KeyRef, Keys};
use crate::parts::sum;
use crate::ranking::{Candidate, Estimated, Ranking};
use crate::shape::Shape;

/// The cut summary of a pane, or of any run of panes. The default is that of an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    total: u64,
    floor: u64,
    /// By hash, then key; their keys follow each other in the same order.
    rows: Vec<Row>,
    keys: Keys,
    /// The values of the rows, in their order; none where weights are counted.
    sets: Vec<DistinctSet>,
    /// Where another digest was taken away from this one.
    difference: Option<Box<Difference>>,
}

/// What is known of a digest [less](Digest::less) another besides its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Difference {
    /// The weight that was removed.
    removed: u64,
    /// All items without a row have together at most this weight.
    others: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) hash: u64,
    /// Of the weight, or of the pairs that were counted.
    pub(crate) bounds: Bounds,
    pub(crate) key: KeyRef,
}

/// One item of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestRow<'a> {
    /// Its [`item_hash`](crate::item_hash).
    pub hash: u64,
    /// Its key.
    pub key: &'a [u8],
    /// Of its weight, or of how many different values it had.
    pub bounds: Bounds,
    /// How many different values it had, if these are counted.
    pub estimate: Option<Estimate>,
    /// The values that are known of it, if different values are counted.
    pub values: Option<&'a DistinctSet>,
}

/// A row on its way into a union.
struct Part<'a> {
    hash: u64,
    key: &'a [u8],
    bounds: &'a Bounds,
    relief: u64,
    set: Option<&'a DistinctSet>,
}

impl Digest {
    /// One of these rows, in any order, whose keys are among `keys`.
    pub(crate) fn new(total: u64, floor: u64, mut rows: Vec<Row>, keys: &Keys) -> Self {
        rows.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| keys.get(a.key).cmp(keys.get(b.key))));
        let mut kept = Keys::with_capacity(rows.iter().map(|row| row.key.len()).sum());
        for row in &mut rows {
            row.key = kept.push(keys.get(row.key));
        }
        rows.shrink_to_fit();
        Digest { total, floor, rows, keys: kept, ..Digest::default() }
    }

    /// The same of rows that have these sets, in the same order, or none.
    pub(crate) fn with_sets(
        total: u64,
        floor: u64,
        rows: Vec<Row>,
        sets: Vec<DistinctSet>,
        keys: &Keys,
    ) -> Self {
        if sets.is_empty() {
            return Digest::new(total, floor, rows, keys);
        }
        debug_assert_eq!(sets.len(), rows.len());
        let mut both: Vec<_> = rows.into_iter().zip(sets).collect();
        both.sort_unstable_by(|(a, _), (b, _)| {
            a.hash.cmp(&b.hash).then_with(|| keys.get(a.key).cmp(keys.get(b.key)))
        });
        let (rows, sets) = both.into_iter().unzip();
        Digest { sets, ..Digest::new(total, floor, rows, keys) }
    }

    /// Of a stream of which nothing was counted, and any item may have so much.
    pub fn unseen(weight: u64) -> Self {
        Digest { floor: weight, ..Digest::default() }
    }

    /// Of which this is known.
    pub(crate) fn without_rows(total: u64, floor: u64) -> Self {
        Digest { total, floor, ..Digest::default() }
    }

    /// Whether different values were counted, and not weights. One without rows is of either.
    pub fn is_distinct(&self) -> bool {
        !self.sets.is_empty()
    }

    /// Whether it is of an exact shape, if different values were counted.
    pub(crate) fn is_exact_kind(&self) -> bool {
        self.is_distinct() && self.sets.iter().all(DistinctSet::is_unlimited)
    }

    /// Whether it may be of a sketch of this shape: its rows count what that one counts.
    pub fn is_of(&self, shape: &Shape) -> bool {
        let is_exact = |set: &DistinctSet| set.is_unlimited() == shape.is_exact_kind();
        self.rows.is_empty() || self.is_distinct() == shape.is_distinct() && self.sets.iter().all(is_exact)
    }

    /// The weight counted, or the pairs of an item and a value. Where something was taken away, what is left; at least 0.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// An item without a row has at most this weight.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Whether every item counted has its row and every row is exact.
    pub fn is_exact(&self) -> bool {
        let are_left_exactly =
            || self.difference.is_none() || self.rows.iter().all(|row| row.bounds.is_exact());
        self.floor == 0 && self.sets.iter().all(DistinctSet::is_exact) && are_left_exactly()
    }

    /// Whether every item counted has its row, and the rows are all that was counted.
    pub fn is_whole(&self) -> bool {
        let counted = self.rows.iter().try_fold(0u64, |sum, row| sum.checked_add(row.bounds.lower()));
        self.floor == 0 && counted == Some(self.total)
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let sets = self.sets.capacity() * size_of::<DistinctSet>();
        let values: usize = self.sets.iter().map(DistinctSet::bytes).sum();
        self.rows.capacity() * size_of::<Row>() + self.keys.capacity() + sets + values
    }

    /// The rows, by hash, then key.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = DigestRow<'_>> + Clone {
        (0..self.rows.len()).map(|at| self.row(at))
    }

    /// The row at this place, counted from 0.
    ///
    /// # Panics
    /// If there is none.
    pub fn row(&self, at: usize) -> DigestRow<'_> {
        let (Row { hash, key, .. }, values) = (&self.rows[at], self.sets.get(at));
        let bounds = self.bounds_at(at);
        let estimate = values.map(|set| set.estimate_within(bounds));
        DigestRow { hash: *hash, key: self.keys.get(*key), bounds, estimate, values }
    }

    /// Bytes of the rows' keys.
    pub(crate) fn key_bytes(&self) -> usize {
        self.keys.len()
    }

    /// The rows' hashes, keys and bounds, without their estimates, which take some microseconds each.
    pub(crate) fn bounded_rows(&self) -> impl ExactSizeIterator<Item = (u64, &[u8], Bounds)> + Clone {
        (0..self.rows.len())
            .map(|at| (self.rows[at].hash, self.keys.get(self.rows[at].key), self.bounds_at(at)))
    }

    /// The rows' hashes, keys, what was counted of them, and sets, where there are any.
    pub(crate) fn counted_rows(
        &self,
    ) -> impl ExactSizeIterator<Item = (u64, &[u8], Bounds, Option<&DistinctSet>)> + Clone {
        self.rows
            .iter()
            .enumerate()
            .map(|(at, row)| (row.hash, self.keys.get(row.key), row.bounds, self.sets.get(at)))
    }

    /// What is known of the item `key` of this hash, whether it has a row or not.
    pub fn bounds(&self, hash: u64, key: &[u8]) -> Bounds {
        let found = self.rows.binary_search_by(|row| (row.hash, self.keys.get(row.key)).cmp(&(hash, key)));
        found.map_or(Bounds::at_most(self.floor), |at| self.bounds_at(at))
    }

    fn bounds_at(&self, at: usize) -> Bounds {
        let counted = self.rows[at].bounds;
        self.sets.get(at).map_or(counted, |set| set.bounds(counted))
    }

    /// The top `k`.
    pub fn rank(&self, k: usize) -> Ranking {
        if self.is_distinct() {
            let estimated = |(row, set): (&Row, &DistinctSet)| {
                let bounds = set.bounds(row.bounds);
                Estimated { key: self.keys.get(row.key), bounds, estimate: set.estimate_within(bounds) }
            };
            let candidates = self.rows.iter().zip(&self.sets).map(estimated).collect();
            return Ranking::by_estimate(self.total, self.floor, candidates, k).to_owned();
        }
        if let Some(difference) = &self.difference {
            return self.rank_left(difference, k);
        }
        let candidates =
            self.rows.iter().zip(0..).map(|(row, id)| Candidate { upper: row.bounds.upper(), id });
        let row = |id| &self.rows[id as usize];
        let key = |id| self.keys.get(row(id).key);
        Ranking::new(self.total, self.floor, candidates, k, key, |id| row(id).bounds.lower()).to_owned()
    }

    /// The uncut union of digests of disjoint parts of a stream, the same for any order.
    ///
    /// # Panics
    /// If their totals and floors add up to more than 64 bits hold, or weights were counted in some and different values in
    /// others, or one is a digest [less](Self::less) another.
    pub fn merge<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let (mut total, mut floor, mut all) = (0, 0, Vec::new());
        let (mut of_weights, mut of_values) = (false, false);
        for digest in digests {
            digest.assert_counted();
            total = sum(total, digest.total);
            floor = sum(floor, digest.floor);
            of_values |= digest.is_distinct();
            of_weights |= !digest.is_distinct() && !digest.rows.is_empty();
            all.extend(digest.rows.iter().enumerate().map(|(at, row)| Part {
                hash: row.hash,
                key: digest.keys.get(row.key),
                bounds: &row.bounds,
                relief: digest.floor - row.bounds.doubt(),
                set: digest.sets.get(at),
            }));
        }
        assert!(!(of_weights && of_values), "weights and different values cannot be added up");
        // No bound is above both together.
        sum(total, floor);
        // One sorted run a digest, which a stable sort merges.
        all.sort_by(|a, b| a.hash.cmp(&b.hash).then_with(|| a.key.cmp(b.key)));
        let (mut rows, mut keys, mut sets) = (Vec::with_capacity(all.len()), Keys::default(), Vec::new());
        for same in all.chunk_by(|a, b| a.hash == b.hash && a.key == b.key) {
            let lower: u64 = same.iter().map(|part| part.bounds.lower()).sum();
            let relief: u64 = same.iter().map(|part| part.relief).sum();
            let Part { hash, key, set, .. } = same[0];
            let bounds = Bounds::new(lower, lower + floor - relief);
            rows.push(Row { hash, bounds, key: keys.push(key) });
            if let Some(mut set) = set.cloned() {
                same[1..].iter().filter_map(|part| part.set).for_each(|other| set.union(other));
                sets.push(set);
            }
        }
        Digest { total, floor, rows, keys, sets, difference: None }
    }

    /// The union of uncut digests of parts that were counted exactly, as [`Merged`](crate::Merged) makes it: of two keys
    /// that share a hash, the lesser one is kept.
    ///
    /// # Panics
    /// As [`merge`](Self::merge) does.
    pub fn merge_exact<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let mut union = Digest::merge(digests);
        debug_assert_eq!(union.floor, 0);
        union.join_rows(|next, first, _| next.hash == first.hash);
        Digest::with_sets(union.total, union.floor, union.rows, union.sets, &union.keys)
    }

    /// The same with the items hashed under `seed`, so that it can be merged with digests of that seed. Rows of one key,
    /// which are of several items with more than [`MAX_KEY_BYTES`] bytes, cannot be told apart under another seed, and become
    /// one. The values' hashes, if there are any, stay what they are.
    pub fn rehashed(&self, seed: u64) -> Digest {
        let rehash = |row: &Row| Row { hash: item_hash(self.keys.get(row.key), seed), ..row.clone() };
        let rows = self.rows.iter().map(rehash).collect();
        let mut digest = Digest::with_sets(self.total, self.floor, rows, self.sets.clone(), &self.keys);
        let before = digest.rows.len();
        digest.join_rows(|next, first, keys| {
            next.hash == first.hash && keys.get(next.key) == keys.get(first.key)
        });
        if digest.rows.len() == before {
            return digest;
        }
        let doubts = digest.rows.iter().map(|row| row.bounds.doubt());
        let floor = doubts.fold(digest.floor, u64::max);
        Digest::with_sets(digest.total, floor, digest.rows, digest.sets, &digest.keys)
    }

    /// Makes one row of neighbours that are the same.
    fn join_rows(&mut self, same: impl Fn(&Row, &Row, &Keys) -> bool) {
        let mut sets = std::mem::take(&mut self.sets).into_iter();
        self.sets.extend(sets.next());
        self.rows.dedup_by(|next, first| {
            let is_same = same(next, first, &self.keys);
            if is_same {
                first.bounds = first.bounds + next.bounds;
            }
            if let Some(set) = sets.next() {
                match self.sets.last_mut() {
                    Some(last) if is_same => last.union(&set),
                    _ => self.sets.push(set),
                }
            }
            is_same
        });
    }

    /// The `rows` items of greatest upper bound, or, where different values are counted, of greatest
    /// [estimate](DigestRow::estimate); of equal ones those of greater key; and the floor of all others.
    pub fn cut(mut self, rows: usize) -> Digest {
        if self.rows.len() <= rows {
            return self;
        }
        if self.is_distinct() {
            return Digest::of_leading(self.total, self.floor, &self.rows, &self.sets, &self.keys, rows);
        }
        let cut = keep_top(&mut self.rows, &self.keys, rows);
        Digest::new(self.total, self.floor.max(cut), self.rows, &self.keys)
    }

    /// The rows of greatest estimate, of equal ones those of greater key, and the floor of all others.
    pub(crate) fn of_leading(
        total: u64,
        floor: u64,
        rows: &[Row],
        sets: &[DistinctSet],
        keys: &Keys,
        keep: usize,
    ) -> Digest {
        let (mut floor, mut places) = (floor, (0..rows.len()).collect::<Vec<_>>());
        if keep < rows.len() {
            let bounds: Vec<_> = rows.iter().zip(sets).map(|(row, set)| set.bounds(row.bounds)).collect();
            let each = sets.iter().zip(&bounds);
            let estimates: Vec<_> = each.map(|(set, bounds)| set.estimate_within(*bounds).count).collect();
            let rank = |at: usize| (estimates[at], keys.get(rows[at].key), rows[at].hash);
            places.select_nth_unstable_by(keep, |&a, &b| rank(b).cmp(&rank(a)));
            floor = places[keep..].iter().map(|&at| bounds[at].upper()).fold(floor, u64::max);
            places.truncate(keep);
        }
        let kept = places.iter().map(|&at| rows[at].clone()).collect();
        let sets = places.iter().map(|&at| sets[at].clone()).collect();
        Digest::with_sets(total, floor, kept, sets, keys)
    }
}

/// Keeps the rows of greatest upper bound, of equal ones those of greater key, in no particular order; the answer is
/// the greatest upper bound that was dropped, 0 if none was.
pub(crate) fn keep_top(rows: &mut Vec<Row>, keys: &Keys, keep: usize) -> u64 {
    if rows.len() <= keep {
        return 0;
    }
    let by_rank = |a: &Row, b: &Row| {
        let (ours, theirs) = (a.bounds.upper(), b.bounds.upper());
        theirs.cmp(&ours).then_with(|| keys.get(b.key).cmp(keys.get(a.key))).then_with(|| b.hash.cmp(&a.hash))
    };
    let (_, first_dropped, _) = rows.select_nth_unstable_by(keep, by_rank);
    let dropped = first_dropped.bounds.upper();
    rows.truncate(keep);
    dropped
}
