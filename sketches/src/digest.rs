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
//! use crest_sketches::{Digest, Events, KeySpan, Ledger, Merged, Shape, item_hash};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let digest = |weights: &[u32; 2]| {
//!     let mut ledger = Ledger::new(&shape);
//!     let keys = &[KeySpan { offset: 0, len: 1 }, KeySpan { offset: 1, len: 1 }];
//!     ledger.update(Events { hashes: &[item_hash(b"a", 7), item_hash(b"b", 7)], weights, keys, arena: b"ab" });
//!     let mut merged = Merged::new(&shape);
//!     merged.add(&ledger);
//!     merged.cut(1)
//! };
//! // The first keeps a (9) above a floor of 4, the second keeps b (8) above a floor of 1.
//! let both = Digest::merge(&[digest(&[9, 4]), digest(&[1, 8])]);
//! let mut rows: Vec<_> = both.rows().map(|row| (row.key, row.lower, row.upper)).collect();
//! rows.sort();
//! assert_eq!(rows, [(&b"a"[..], 9, 10), (&b"b"[..], 8, 12)]);
//! assert_eq!((both.floor(), both.total()), (5, 22));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

mod parts;

use crate::keys::{KeyRef, Keys};

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
    pub(crate) lower: u64,
    pub(crate) upper: u64,
    pub(crate) key: KeyRef,
}

/// One item of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestRow<'a> {
    /// Its [`item_hash`](crate::item_hash).
    pub hash: u64,
    /// Its key.
    pub key: &'a [u8],
    /// It has at least this weight …
    pub lower: u64,
    /// … and at most this.
    pub upper: u64,
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

    /// The rows, by hash, then key.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = DigestRow<'_>> {
        self.rows.iter().map(|row| DigestRow {
            hash: row.hash,
            key: self.keys.get(row.key),
            lower: row.lower,
            upper: row.upper,
        })
    }

    /// The uncut union of digests of disjoint parts of a stream, the same for any order.
    pub fn merge<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let (mut total, mut floor, mut all) = (0, 0, Vec::new());
        for digest in digests {
            total += digest.total;
            floor += digest.floor;
            all.extend(digest.rows().map(|row| (row, digest.floor + row.lower - row.upper)));
        }
        // One sorted run a digest, which a stable sort merges.
        all.sort_by(|(a, _), (b, _)| a.hash.cmp(&b.hash).then_with(|| a.key.cmp(b.key)));
        let (mut rows, mut keys) = (Vec::new(), Keys::default());
        for same in all.chunk_by(|(a, _), (b, _)| a.hash == b.hash && a.key == b.key) {
            let lower = same.iter().map(|(row, _)| row.lower).sum();
            let relief: u64 = same.iter().map(|(_, relief)| relief).sum();
            let (DigestRow { hash, key, .. }, _) = same[0];
            rows.push(Row { hash, lower, upper: lower + floor - relief, key: keys.push(key) });
        }
        Digest { total, floor, rows, keys }
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
        b.upper
            .cmp(&a.upper)
            .then_with(|| keys.get(b.key).cmp(keys.get(a.key)))
            .then_with(|| b.hash.cmp(&a.hash))
    };
    let (_, first_dropped, _) = rows.select_nth_unstable_by(keep, by_rank);
    let dropped = first_dropped.upper;
    rows.truncate(keep);
    dropped
}
