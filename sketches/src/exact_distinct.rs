//! Every item of a pane, with every value that it had: what an exact board counts different values with.
//!
//! Laws, of items told apart by hash and key: a row has counted each value of its item once, and an item without a row
//! had none. Memory follows the different pairs of an item and a value: some 10 to 20 bytes each, besides the rows of an
//! [exact table](crate::exact).
//!
//! ```
//! use crest_sketches::{Bounds, PaneSketch, Shape, item_hash};
//! let mut pane = PaneSketch::new(&Shape::new(32, 0.01, 0.0005, 7)?.exact().distinct());
//! for event in 0..10_000u32 {
//!     pane.add_distinct(b"read by many", &(event % 4000).to_le_bytes());
//! }
//! assert_eq!(pane.bounds(item_hash(b"read by many", 7)), Bounds::exactly(4000));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::distinct_set::DistinctSet;
use crate::exact::Exact;
use crate::keys::Entry;
use hashbrown::HashTable;

/// Memory of a row with one value, besides the row of an exact table, in bytes.
pub(crate) const ROW_BYTES: usize = 2 * size_of::<HashTable<u64>>() + 64;

/// The table of an exact sketch of different values.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExactDistinct {
    items: Exact,
    /// The values of each row.
    values: Vec<HashTable<u64>>,
    /// Memory of these, besides themselves.
    value_bytes: usize,
}

impl ExactDistinct {
    /// Counts a pair, unless it is a repetition. Says whether it counts.
    ///
    /// # Panics
    /// If there are more than 2^32 items.
    pub(crate) fn count_value<'k>(&mut self, hash: u64, value: u64, key: impl Fn() -> &'k [u8]) -> bool {
        let at = self.items.row(hash, key());
        if at == self.values.len() {
            self.values.push(HashTable::new());
        }
        let values = &mut self.values[at];
        if values.find(value, |other| *other == value).is_some() {
            return false;
        }
        let before = values.allocation_size();
        values.insert_unique(value, value, |value| *value);
        self.value_bytes = self.value_bytes + values.allocation_size() - before;
        self.items.add(at, 1);
        true
    }

    /// How many values the items of this hash had, together.
    pub(crate) fn bounds(&self, hash: u64) -> Bounds {
        let mut all = DistinctSet::unlimited();
        self.items.places(hash).for_each(|at| all.union(&self.set(at)));
        Bounds::exactly(all.lower())
    }

    pub(crate) fn rows(&self) -> usize {
        self.items.rows()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.items.bytes() + self.values.capacity() * size_of::<HashTable<u64>>() + self.value_bytes
    }

    pub(crate) fn floor(&self) -> u64 {
        self.items.floor()
    }

    pub(crate) fn sorted_rows(&self) -> Vec<Entry<'_>> {
        self.items.sorted_rows()
    }

    /// The values of the rows, in the order of these.
    pub(crate) fn sorted_sets(&self) -> Vec<DistinctSet> {
        self.items.sorted_places().into_iter().map(|at| self.set(at)).collect()
    }

    fn set(&self, at: usize) -> DistinctSet {
        let mut values: Vec<_> = self.values[at].iter().copied().collect();
        values.sort_unstable();
        DistinctSet::of_sorted(values, true)
    }
}
