//! The ledger that counts how many different values each item has: one of pairs of an item and a value, of which those
//! that are known to be repetitions do not count.
//!
//! A row has the [set](crate::DistinctSet) of the values that came since it has its row. A set that keeps hashes knows
//! every repetition. For the others, and for items without a row, a [cache](crate::pair_cache) of what was counted
//! lately knows most of them. A pair that is not recognised counts once more.
//!
//! Laws, certain but for a collision of 64-bit hashes, whatever the stream:
//! - every different pair is counted at least once, in its item's row or in the tail, so that the laws of the
//!   [ledger](crate::ledger) bound the number of an item's values from above;
//! - a row whose set keeps hashes has counted each value of it once: its item has at most `base` more;
//! - the values in a row's set are different ones of its item.
//!
//! So an item that is clicked a million times by few gains nothing: as long as it has a row, its set knows them all, and while
//! it has none, a pair counts again at most once for every four others that come to its place in the cache.
//!
//! ```
//! use crest_sketches::{Bounds, PaneSketch, Shape, item_hash};
//! let mut pane = PaneSketch::new(&Shape::new(32, 0.01, 0.0005, 7)?.distinct());
//! for user in 0..10u32 {
//!     pane.add_distinct(b"read by ten", &user.to_le_bytes());
//! }
//! for click in 0..1000u32 {
//!     pane.add_distinct(b"clicked by two", &(click % 2).to_le_bytes());
//! }
//! assert_eq!(pane.bounds(item_hash(b"read by ten", 7)), Bounds::exactly(10));
//! assert_eq!(pane.bounds(item_hash(b"clicked by two", 7)), Bounds::exactly(2));
//! assert_eq!(pane.total(), 12);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::distinct_set::{DistinctSet, MOST_HASHES, Seen};
use crate::ledger::{Ledger, Sets};
use crate::pair_cache::PairCache;
use crate::shape::Shape;

/// A ledger of pairs.
pub(crate) type DistinctLedger = Ledger<ValueSets>;

/// The values of the rows, and the pairs that came lately.
#[derive(Clone, Debug)]
pub(crate) struct ValueSets {
    /// By name; those that are free are empty.
    sets: Vec<DistinctSet>,
    free: Vec<u32>,
    /// There once anything needs it.
    cache: Option<PairCache>,
    rows: usize,
    /// The value that is being counted.
    value: u64,
    /// Memory of the sets, besides themselves.
    set_bytes: usize,
}

impl ValueSets {
    pub(crate) fn new(shape: &Shape) -> Self {
        let (sets, free) = (Vec::new(), Vec::new());
        ValueSets { sets, free, cache: None, rows: shape.rows(), value: 0, set_bytes: 0 }
    }

    /// Adds a value to the set of an item. Says whether it counts.
    fn add(&mut self, name: u32, item: u64, value: u64) -> bool {
        let set = &mut self.sets[name as usize];
        if let Some(hashes) = set.hashes().filter(|hashes| hashes.len() == MOST_HASHES)
            && hashes.binary_search(&value).is_err()
        {
            // The set is about to forget them.
            let cache = self.cache.get_or_insert_with(|| PairCache::new(self.rows));
            hashes.iter().for_each(|value| _ = cache.note(item, *value));
        }
        let before = set.bytes();
        let seen = set.insert(value);
        if seen == Seen::Before {
            return false;
        }
        self.set_bytes = self.set_bytes + set.bytes() - before;
        if set.is_exact() {
            return true;
        }
        let cache = self.cache.get_or_insert_with(|| PairCache::new(self.rows));
        // It is noted in either case.
        let came_lately = cache.note(item, value);
        seen == Seen::New || !came_lately
    }
}

impl Sets for ValueSets {
    type Name = u32;

    fn admit(&mut self) -> u32 {
        let name = self.free.pop().unwrap_or_else(|| {
            self.sets.push(DistinctSet::new());
            self.sets.len() as u32 - 1
        });
        let set = &mut self.sets[name as usize];
        set.insert(self.value);
        self.set_bytes += set.bytes();
        name
    }

    fn fold(&mut self, hash: u64, name: u32) {
        let set = std::mem::take(&mut self.sets[name as usize]);
        self.set_bytes -= set.bytes();
        self.free.push(name);
        let cache = self.cache.get_or_insert_with(|| PairCache::new(self.rows));
        let values = set.hashes().unwrap_or_default();
        values.iter().for_each(|value| _ = cache.note(hash, *value));
    }
}

impl Ledger<ValueSets> {
    /// Counts a pair, unless it is known to be a repetition. Says whether it counts.
    #[inline]
    pub(crate) fn count_value<'k>(&mut self, hash: u64, value: u64, key: impl Fn() -> &'k [u8]) -> bool {
        if let Some(row) = self.table.get_mut(hash) {
            let counts = self.sets.add(row.set, hash, value);
            row.count += u64::from(counts);
            return counts;
        }
        // Before there is a tail, an item without a row is one that never came.
        if self.tail.is_some() {
            let cache = self.sets.cache.get_or_insert_with(|| PairCache::new(self.shape.rows()));
            if cache.note(hash, value) {
                return false;
            }
        }
        self.sets.value = value;
        self.miss(hash, 1, key);
        true
    }

    /// How many values the item of this hash had.
    pub(crate) fn bounds(&self, hash: u64) -> Bounds {
        let (counted, set) = self.counted(hash);
        set.map_or(counted, |name| self.sets.sets[name as usize].bounds(counted))
    }

    /// Whether every row keeps the hashes of its values.
    pub(crate) fn is_of_hashes(&self) -> bool {
        self.sets.sets.iter().all(DistinctSet::is_exact)
    }

    /// The sets of the rows, in the order of their items' hashes.
    pub(crate) fn sorted_sets(&self) -> Vec<&DistinctSet> {
        let mut names: Vec<_> = self.table.iter().map(|(hash, row)| (hash, row.set)).collect();
        names.sort_by_key(|name| name.0);
        names.into_iter().map(|(_, name)| &self.sets.sets[name as usize]).collect()
    }

    /// Memory held for values, in bytes.
    pub(crate) fn value_bytes(&self) -> usize {
        let ValueSets { sets, free, cache, set_bytes, .. } = &self.sets;
        let own = sets.capacity() * size_of::<DistinctSet>() + free.capacity() * size_of::<u32>();
        own + set_bytes + cache.as_ref().map_or(0, PairCache::bytes)
    }
}
