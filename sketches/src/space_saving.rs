//! Space-Saving: a fixed number of counters that follow the heaviest items.
//!
//! An item without a counter takes over the least one: it starts at that counter's count, and notes it as its error
//! (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT 2005).
//! Laws, certain but for a collision of 64-bit hashes, for `m` counters on a stream of weight `N`:
//! - `count - error <= true <= count` for an item with a counter, and `error <= floor`;
//! - an item without one has at most the `floor`, which is the least count, at most `N / m`; it is 0 until a counter
//!   was taken over, and until then every count is exact.
//!
//! Counters are kept in a binary heap, so that an event of any weight costs `log m` steps. It fails where the stream is
//! flat: every event of an item that is unknown takes a counter over, and all counts end near `N / m`.
//!
//! ```
//! use crest_sketches::{Bounds, SpaceSaving, item_hash};
//! let hash = |key: &str| item_hash(key.as_bytes(), 7);
//! let mut heavy = SpaceSaving::new(2);
//! for (key, weight) in [("a", 9), ("b", 2), ("c", 1), ("a", 1)] {
//!     heavy.add(hash(key), weight, key.as_bytes());
//! }
//! assert_eq!(heavy.bounds(hash("a")), Bounds::exactly(10));
//! assert_eq!(heavy.bounds(hash("c")), Bounds::new(1, 3)); // it took over from b
//! assert_eq!(heavy.bounds(hash("b")), Bounds::at_most(3));
//! ```

use crate::bounds::Bounds;
use crate::keys::{KeyRef, Keys};
use hashbrown::HashTable;

/// Keys of items that lost their counter are swept when they are more than this and more than half of all, in bytes.
const SWEEP: usize = 1 << 14;

/// Memory of a counter: itself, its place in the heap and in the index, in bytes.
pub(crate) const ROW_BYTES: usize = size_of::<Counter>() + size_of::<u32>() + 2 * (size_of::<u32>() + 1);

/// The counters of the heaviest items of a stream.
#[derive(Clone, Debug)]
pub struct SpaceSaving {
    capacity: usize,
    counters: Vec<Counter>,
    /// The counters by number, no one above those at twice its place: the first is the least.
    heap: Vec<u32>,
    index: HashTable<u32>,
    keys: Keys,
    /// Bytes of keys whose items lost their counter.
    stale: usize,
    /// Whether a counter was ever taken over.
    taken_over: bool,
}

/// An item's counter.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) hash: u64,
    pub(crate) count: u64,
    /// What it was taken over with.
    pub(crate) error: u64,
    key: KeyRef,
    /// Its place in the heap.
    place: u32,
}

impl SpaceSaving {
    /// No counters yet, and never more than `counters`.
    ///
    /// # Panics
    /// If that is none at all.
    pub fn new(counters: usize) -> Self {
        assert!(counters > 0, "no counters");
        SpaceSaving {
            capacity: counters,
            counters: Vec::new(),
            heap: Vec::new(),
            index: HashTable::new(),
            keys: Keys::default(),
            stale: 0,
            taken_over: false,
        }
    }

    /// Counts `weight` more of the item `key` of this hash; 0 counts nothing.
    pub fn add(&mut self, hash: u64, weight: u64, key: &[u8]) {
        if weight == 0 {
            return;
        }
        let found = self.find(hash);
        let number = match found {
            Some(number) => {
                self.counters[number as usize].count += weight;
                number
            }
            None if self.counters.len() < self.capacity => return self.open(hash, weight, key),
            None => self.take_over(hash, weight, key),
        };
        self.sink(number);
    }

    /// What is known of the item of this hash.
    pub fn bounds(&self, hash: u64) -> Bounds {
        match self.find(hash).map(|number| &self.counters[number as usize]) {
            Some(counter) => Bounds::new(counter.count - counter.error, counter.count),
            None => Bounds::at_most(self.floor()),
        }
    }

    /// An item without a counter has at most this weight.
    pub fn floor(&self) -> u64 {
        if self.taken_over { self.counters[self.heap[0] as usize].count } else { 0 }
    }

    /// Whether every item has its counter.
    pub fn is_exact(&self) -> bool {
        !self.taken_over
    }

    /// Items that have a counter.
    pub fn counters(&self) -> usize {
        self.counters.len()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.counters.capacity() * size_of::<Counter>()
            + self.heap.capacity() * size_of::<u32>()
            + self.index.allocation_size()
            + self.keys.capacity()
    }

    /// Whether the item of this hash has a counter, or may have one that no other item had.
    pub(crate) fn has_room(&self, hash: u64) -> bool {
        self.counters.len() < self.capacity || self.find(hash).is_some()
    }

    /// All counters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Counter> {
        self.counters.iter()
    }

    /// The key of a counter's item.
    pub(crate) fn key(&self, counter: &Counter) -> &[u8] {
        self.keys.get(counter.key)
    }

    fn find(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |&number| self.counters[number as usize].hash == hash).copied()
    }

    /// Gives the item a counter that no other one had.
    fn open(&mut self, hash: u64, weight: u64, key: &[u8]) {
        let (number, key) = (self.counters.len() as u32, self.keys.push(key));
        self.counters.push(Counter { hash, count: weight, error: 0, key, place: number });
        self.heap.push(number);
        self.enter(number);
        self.rise(number);
    }

    /// Gives the item the least counter, whose count becomes its error.
    fn take_over(&mut self, hash: u64, weight: u64, key: &[u8]) -> u32 {
        let number = self.heap[0];
        let loser = &self.counters[number as usize];
        self.stale += loser.key.len();
        if let Ok(entry) = self.index.find_entry(loser.hash, |&other| other == number) {
            entry.remove();
        }
        self.taken_over = true;
        let (error, key) = (loser.count, self.keys.push(key));
        self.counters[number as usize] = Counter { hash, count: error + weight, error, key, place: 0 };
        self.enter(number);
        self.sweep();
        number
    }

    fn enter(&mut self, number: u32) {
        let hash = self.counters[number as usize].hash;
        self.index.insert_unique(hash, number, |&number| self.counters[number as usize].hash);
    }

    fn count_at(&self, place: usize) -> u64 {
        self.counters[self.heap[place] as usize].count
    }

    fn put(&mut self, place: usize, number: u32) {
        self.heap[place] = number;
        self.counters[number as usize].place = place as u32;
    }

    /// Brings a counter that grew back into the order of the heap.
    fn sink(&mut self, number: u32) {
        let count = self.counters[number as usize].count;
        let mut place = self.counters[number as usize].place as usize;
        loop {
            let below = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(least) = below.min_by_key(|&below| self.count_at(below)) else { break };
            if self.count_at(least) >= count {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, number);
    }

    /// Brings a new counter, the last of the heap, into its order.
    fn rise(&mut self, number: u32) {
        let count = self.counters[number as usize].count;
        let mut place = self.counters[number as usize].place as usize;
        while place > 0 && self.count_at((place - 1) / 2) > count {
            self.put(place, self.heap[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        self.put(place, number);
    }

    /// Sweeps the keys of items that lost their counter, once there are many.
    fn sweep(&mut self) {
        let kept = self.counters.iter_mut().map(|counter| &mut counter.key);
        self.keys.sweep(&mut self.stale, SWEEP, kept);
    }
}
