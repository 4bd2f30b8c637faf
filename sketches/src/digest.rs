//! The digest of a pane or a rollup: the rows that were kept, and the floor under which everything else stays.
//!
//! Laws, certain but for a collision of 64-bit hashes:
//! - `lower <= true <= upper` for an item with a row, and `upper <= lower + floor`;
//! - an item without a row has at most `floor`;
//! - a floor of 0 means that every item has its row and every row is exact.
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

pub(crate) mod parts;

use crate::bounds::Bounds;
use crate::hash::item_hash;
#[cfg(doc)]
use crate::keys::MAX_KEY_BYTES;
use crate::keys::{KeyRef, Keys};
use crate::parts::sum;
use crate::ranking::{Candidate, Ranking};

/// The cut summary of a pane, or of any run of panes. The default is that of an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    total: u64,
    floor: u64,
    /// By hash, then key; their keys follow each other in the same order.
    rows: Vec<Row>,
    keys: Keys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) hash: u64,
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
    /// Of its weight.
    pub bounds: Bounds,
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
        Digest { total, floor, rows, keys: kept }
    }

    /// Of a stream of which nothing was counted, and any item may have so much.
    pub fn unseen(weight: u64) -> Self {
        Digest { floor: weight, ..Digest::default() }
    }

    /// The weight counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// An item without a row has at most this weight.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Whether every item counted has its row and every row is exact.
    pub fn is_exact(&self) -> bool {
        self.floor == 0
    }

    /// Whether its rows are exact and all that was counted.
    pub fn is_whole(&self) -> bool {
        let counted = self.rows.iter().try_fold(0u64, |sum, row| sum.checked_add(row.bounds.lower()));
        self.is_exact() && counted == Some(self.total)
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.keys.capacity()
    }

    /// The rows, by hash, then key.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = DigestRow<'_>> + Clone {
        self.rows.iter().map(|row| DigestRow {
            hash: row.hash,
            key: self.keys.get(row.key),
            bounds: row.bounds,
        })
    }

    /// What is known of the item `key` of this hash, whether it has a row or not.
    pub fn bounds(&self, hash: u64, key: &[u8]) -> Bounds {
        let found = self.rows.binary_search_by(|row| (row.hash, self.keys.get(row.key)).cmp(&(hash, key)));
        found.map_or(Bounds::at_most(self.floor), |at| self.rows[at].bounds)
    }

    /// The top `k`.
    pub fn rank(&self, k: usize) -> Ranking {
        let candidates =
            self.rows.iter().zip(0..).map(|(row, id)| Candidate { upper: row.bounds.upper(), id });
        let row = |id| &self.rows[id as usize];
        let key = |id| self.keys.get(row(id).key);
        Ranking::new(self.total, self.floor, candidates, k, key, |id| row(id).bounds.lower()).to_owned()
    }

    /// The uncut union of digests of disjoint parts of a stream, the same for any order.
    ///
    /// # Panics
    /// If their totals and floors add up to more than 64 bits hold.
    pub fn merge<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let (mut total, mut floor, mut all) = (0, 0, Vec::new());
        for digest in digests {
            total = sum(total, digest.total);
            floor = sum(floor, digest.floor);
            all.extend(digest.rows().map(|row| (row, digest.floor - row.bounds.doubt())));
        }
        // No bound is above both together.
        sum(total, floor);
        // One sorted run a digest, which a stable sort merges.
        all.sort_by(|(a, _), (b, _)| a.hash.cmp(&b.hash).then_with(|| a.key.cmp(b.key)));
        let (mut rows, mut keys) = (Vec::with_capacity(all.len()), Keys::default());
        for same in all.chunk_by(|(a, _), (b, _)| a.hash == b.hash && a.key == b.key) {
            let lower: u64 = same.iter().map(|(row, _)| row.bounds.lower()).sum();
            let relief: u64 = same.iter().map(|(_, relief)| relief).sum();
            let (DigestRow { hash, key, .. }, _) = same[0];
            let bounds = Bounds::new(lower, lower + floor - relief);
            rows.push(Row { hash, bounds, key: keys.push(key) });
        }
        Digest { total, floor, rows, keys }
    }

    /// The union of uncut digests of parts that were counted exactly, as [`Merged`](crate::Merged) makes it: of two keys
    /// that share a hash, the lesser one is kept.
    ///
    /// # Panics
    /// If their totals add up to more than 64 bits hold.
    pub fn merge_exact<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let mut union = Digest::merge(digests);
        debug_assert!(union.is_exact());
        union.rows.dedup_by(|next, first| {
            let same = next.hash == first.hash;
            if same {
                first.bounds = first.bounds + next.bounds;
            }
            same
        });
        Digest::new(union.total, union.floor, union.rows, &union.keys)
    }

    /// The same with the items hashed under `seed`, so that it can be merged with digests of that seed. Rows of one key,
    /// which are of several items with more than [`MAX_KEY_BYTES`] bytes, cannot be told apart under another seed, and become
    /// one.
    pub fn rehashed(&self, seed: u64) -> Digest {
        let rehash = |row: &Row| Row { hash: item_hash(self.keys.get(row.key), seed), ..row.clone() };
        let rows = self.rows.iter().map(rehash).collect();
        let Digest { total, mut floor, mut rows, keys } =
            Digest::new(self.total, self.floor, rows, &self.keys);
        let before = rows.len();
        rows.dedup_by(|next, first| {
            let same = next.hash == first.hash && keys.get(next.key) == keys.get(first.key);
            if same {
                first.bounds = first.bounds + next.bounds;
                floor = floor.max(first.bounds.doubt());
            }
            same
        });
        let is_same = rows.len() == before;
        if is_same { Digest { total, floor, rows, keys } } else { Digest::new(total, floor, rows, &keys) }
    }

    /// The `rows` items of greatest upper bound, of equal ones those of greater key, and the floor of all others.
    pub fn cut(mut self, rows: usize) -> Digest {
        if self.rows.len() <= rows {
            return self;
        }
        let cut = keep_top(&mut self.rows, &self.keys, rows);
        Digest::new(self.total, self.floor.max(cut), self.rows, &self.keys)
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
