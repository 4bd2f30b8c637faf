//! Every item of a pane, counted: what an exact board counts with, in the place of a sketch.
//!
//! Laws, of items told apart by hash and key: a row's count is the item's weight, and an item without a row has none.
//! Memory follows the distinct items: 24 bytes of row, some 6 of index, and the key, each in memory that grows by
//! doubling.
//!
//! ```
//! use crest_sketches::{Bounds, PaneSketch, Shape, item_hash};
//! let shape = Shape::new(32, 0.01, 0.0005, 7)?.exact();
//! let mut pane = PaneSketch::new(&shape);
//! for item in 0..1000u32 {
//!     pane.add(&item.to_le_bytes(), 1 + item);
//! }
//! assert_eq!((pane.rows(), pane.total()), (1000, 500_500));
//! assert_eq!(pane.bounds(item_hash(&0u32.to_le_bytes(), 7)), Bounds::exactly(1));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::keys::{Entry, KeyRef, Keys, clip};
use hashbrown::HashTable;

/// Memory of a row and of its places in the index, in bytes.
pub(crate) const ROW_BYTES: usize = 2 * (size_of::<Row>() + size_of::<u32>() + 1);

/// The table of an exact sketch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exact {
    rows: Vec<Row>,
    /// Places in `rows`, by hash.
    index: HashTable<u32>,
    keys: Keys,
}

/// An item and its weight.
#[derive(Clone, Copy, Debug)]
struct Row {
    hash: u64,
    count: u64,
    key: KeyRef,
}

impl Exact {
    /// # Panics
    /// If there are more than 2^32 items.
    pub(crate) fn count<'k>(&mut self, hash: u64, weight: u64, key: impl Fn() -> &'k [u8]) {
        if weight > 0 {
            let at = self.row(hash, key());
            self.add(at, weight);
        }
    }

    /// The place of an item's row, a new one of no weight if it has none.
    ///
    /// # Panics
    /// If there are more than 2^32 items.
    pub(crate) fn row(&mut self, hash: u64, key: &[u8]) -> usize {
        let (rows, keys, key) = (&mut self.rows, &mut self.keys, clip(key));
        let same = |&at: &u32| {
            let row = &rows[at as usize];
            row.hash == hash && keys.get(row.key) == key
        };
        if let Some(&at) = self.index.find(hash, same) {
            return at as usize;
        }
        assert!(rows.len() < u32::MAX as usize, "too many items for one pane");
        let at = rows.len() as u32;
        rows.push(Row { hash, count: 0, key: keys.push(key) });
        self.index.insert_unique(hash, at, |&at| rows[at as usize].hash);
        at as usize
    }

    /// Adds to the weight of the item at this place.
    pub(crate) fn add(&mut self, at: usize, weight: u64) {
        self.rows[at].count += weight;
    }

    /// The weight of the items of this hash, together.
    pub(crate) fn bounds(&self, hash: u64) -> Bounds {
        let of_hash = self.index.iter_hash(hash).map(|&at| &self.rows[at as usize]);
        Bounds::exactly(of_hash.filter(|row| row.hash == hash).map(|row| row.count).sum())
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.index.allocation_size() + self.keys.capacity()
    }

    pub(crate) fn floor(&self) -> u64 {
        0
    }

    /// The places of the rows of this hash.
    pub(crate) fn places(&self, hash: u64) -> impl Iterator<Item = usize> {
        let of_hash = self.index.iter_hash(hash).map(|&at| at as usize);
        of_hash.filter(move |&at| self.rows[at].hash == hash)
    }

    /// The places of all rows, by hash, then key.
    pub(crate) fn sorted_places(&self) -> Vec<usize> {
        let mut places: Vec<_> = (0..self.rows.len()).collect();
        places.sort_unstable_by_key(|&at| (self.rows[at].hash, self.keys.get(self.rows[at].key)));
        places
    }

    pub(crate) fn sorted_rows(&self) -> Vec<Entry<'_>> {
        let entry = |row: &Row| (row.hash, row.count, 0, self.keys.get(row.key));
        let mut rows: Vec<_> = self.rows.iter().map(entry).collect();
        rows.sort_unstable_by_key(|row| (row.0, row.3));
        rows
    }
}
