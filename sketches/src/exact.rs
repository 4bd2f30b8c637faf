//! Every item of a pane, counted: what an exact board counts with, in the place of a sketch.
//!
//! Laws, of items told apart by hash and key: a row's count is the item's weight, and an item without a row has none.
//! Memory follows the distinct items: 24 bytes of row, some 6 of index, and the key, each in memory that grows by
//! doubling.
//!
//! ```
//! use crest_sketches::{Bounds, Exact, Shape, item_hash};
//! let shape = Shape::new(32, 0.01, 0.0005, 7)?.exact();
//! let mut pane = Exact::new(&shape);
//! for item in 0..1000u32 {
//!     pane.add(&item.to_le_bytes(), 1 + item);
//! }
//! assert_eq!((pane.rows(), pane.total()), (1000, 500_500));
//! assert_eq!(pane.bounds(item_hash(&0u32.to_le_bytes(), 7)), Bounds::exactly(1));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

pub(crate) mod row;

use crate::bounds::Bounds;
use crate::events::Events;
use crate::hash::item_hash;
use crate::keys::{Keys, clip};
use crate::shape::Shape;
use hashbrown::HashTable;
use row::Row;

/// All items of one pane of one partition and group.
#[derive(Clone, Debug)]
pub struct Exact {
    shape: Shape,
    rows: Vec<Row>,
    /// Places in `rows`, by hash.
    index: HashTable<u32>,
    keys: Keys,
    total: u64,
}

impl Exact {
    /// No items.
    pub fn new(shape: &Shape) -> Self {
        Exact {
            shape: shape.clone(),
            rows: Vec::new(),
            index: HashTable::new(),
            keys: Keys::default(),
            total: 0,
        }
    }

    /// Counts a batch.
    ///
    /// # Panics
    /// If the columns differ in length, or a key is not within the arena; or there are more than 2^32 items.
    pub fn update(&mut self, events: Events<'_>) {
        for event in events.iter() {
            self.count(event.hash, event.weight, event.key());
        }
    }

    /// Counts one event.
    pub fn add(&mut self, key: &[u8], weight: u32) {
        self.count(item_hash(key, self.shape.seed()), weight.into(), key);
    }

    fn count(&mut self, hash: u64, weight: u64, key: &[u8]) {
        if weight == 0 {
            return;
        }
        self.total += weight;
        let (rows, keys, key) = (&mut self.rows, &mut self.keys, clip(key));
        let same = |&at: &u32| {
            let row = &rows[at as usize];
            row.hash == hash && keys.get(row.key) == key
        };
        if let Some(&at) = self.index.find(hash, same) {
            rows[at as usize].count += weight;
            return;
        }
        assert!(rows.len() < u32::MAX as usize, "too many items for one pane");
        let at = rows.len() as u32;
        rows.push(Row { hash, count: weight, key: keys.push(key) });
        self.index.insert_unique(hash, at, |&at| rows[at as usize].hash);
    }

    /// What is known of the items of this hash, together: it is their weight.
    pub fn bounds(&self, hash: u64) -> Bounds {
        let hash = hash.max(1); // as it was counted
        let of_hash = self.index.iter_hash(hash).map(|&at| &self.rows[at as usize]);
        Bounds::exactly(of_hash.filter(|row| row.hash == hash).map(|row| row.count).sum())
    }

    /// The weight counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Items counted.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.index.allocation_size() + self.keys.capacity()
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All rows, by hash, then key.
    pub(crate) fn sorted_rows(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        rows.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| self.key(a).cmp(self.key(b))));
        rows
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: &Row) -> &[u8] {
        self.keys.get(row.key)
    }
}
