//! The candidates of a window: who has a row in some node, and the sums over these rows.

use crate::bounds::Bounds;
use crate::keys::{KeyRef, Keys};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;
use std::ops::{AddAssign, SubAssign};

/// Keys of candidates that are gone are swept when they are more than this and more than half of all, in bytes.
const SWEEP: usize = 1 << 16;

/// What an item has in some nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// The sum of its lower bounds.
    pub(crate) lower: u64,
    /// The sum of what each node's floor is above the item's doubt there.
    relief: u64,
    /// How many nodes have it.
    pub(crate) nodes: u32,
}

impl Sum {
    /// Over one node, of this floor.
    pub(crate) fn of(bounds: Bounds, floor: u64) -> Sum {
        Sum { lower: bounds.lower(), relief: floor - bounds.doubt(), nodes: 1 }
    }

    /// Of the item's weight, where the floors of all nodes sum to `floor`.
    pub(crate) fn bounds(&self, floor: u64) -> Bounds {
        Bounds::new(self.lower, self.upper(floor))
    }

    /// The item's weight at most, where the floors of all nodes sum to `floor`.
    pub(crate) fn upper(&self, floor: u64) -> u64 {
        self.lower + floor - self.relief
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        self.lower += other.lower;
        self.relief += other.relief;
        self.nodes += other.nodes;
    }
}

impl SubAssign for Sum {
    fn sub_assign(&mut self, other: Sum) {
        self.lower -= other.lower;
        self.relief -= other.relief;
        self.nodes -= other.nodes;
    }
}

/// Candidates by slot, which they keep for as long as some node has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    entries: Vec<Entry>,
    /// Slots that hold no one.
    free: Vec<u32>,
    index: HashTable<u32>,
    keys: Keys,
    /// Bytes of keys whose candidates are gone.
    stale: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: u64,
    key: KeyRef,
    sum: Sum,
}

impl Candidates {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * size_of::<u32>()
            + self.index.allocation_size()
            + self.keys.capacity()
    }

    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        self.keys.get(self.entries[slot as usize].key)
    }

    pub(crate) fn hash(&self, slot: u32) -> u64 {
        self.entries[slot as usize].hash
    }

    pub(crate) fn sum(&self, slot: u32) -> &Sum {
        &self.entries[slot as usize].sum
    }

    /// The sums of all slots; those that hold no one have no nodes.
    pub(crate) fn sums(&self) -> Vec<Sum> {
        self.entries.iter().map(|entry| entry.sum).collect()
    }

    /// All candidates.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Sum)> {
        (0..).zip(&self.entries).map(|(slot, entry)| (slot, &entry.sum)).filter(|(_, sum)| sum.nodes > 0)
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index
            .find(hash, |&slot| {
                let entry = &self.entries[slot as usize];
                entry.hash == hash && self.keys.get(entry.key) == key
            })
            .copied()
    }

    /// The item's slot, a new one if it has none; to be added to at once.
    pub(crate) fn slot(&mut self, hash: u64, key: &[u8]) -> u32 {
        let Candidates { entries, free, index, keys, .. } = self;
        let same = |&slot: &u32| {
            let entry = &entries[slot as usize];
            entry.hash == hash && keys.get(entry.key) == key
        };
        let place = match index.entry(hash, same, |&slot| entries[slot as usize].hash) {
            Place::Occupied(known) => return *known.get(),
            Place::Vacant(place) => place,
        };
        let slot = free.pop().unwrap_or(entries.len() as u32);
        place.insert(slot);
        let entry = Entry { hash, key: keys.push(key), sum: Sum::default() };
        match entries.get_mut(slot as usize) {
            Some(reused) => *reused = entry,
            None => entries.push(entry),
        }
        slot
    }

    pub(crate) fn add(&mut self, slot: u32, sum: Sum) {
        self.entries[slot as usize].sum += sum;
    }

    /// Takes out what was added; who has no node left is no candidate any more.
    pub(crate) fn take(&mut self, slot: u32, sum: Sum) {
        let entry = &mut self.entries[slot as usize];
        entry.sum -= sum;
        if entry.sum.nodes == 0 {
            self.stale += entry.key.len();
            if let Ok(found) = self.index.find_entry(entry.hash, |&other| other == slot) {
                found.remove();
            }
            self.free.push(slot);
        }
    }

    /// Sweeps the keys of candidates that are gone, once there are many.
    pub(crate) fn compact(&mut self) {
        let kept = self.entries.iter_mut().filter(|entry| entry.sum.nodes > 0);
        self.keys.sweep(&mut self.stale, SWEEP, kept.map(|entry| &mut entry.key));
    }
}
