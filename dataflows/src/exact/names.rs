//! Numbers that stand for items and groups in the graph. They are small and dense, and are reused once nothing needs them.
//!
//! **Always holds**: a number means one name from the round in which it is assigned until all rounds that use it are
//! complete.

use super::round::Round;
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::sync::Arc;

/// The bytes of a name, shared by everything that knows its number.
pub(super) type Name = Arc<[u8]>;

/// The names in use, with how many panes hold each.
#[derive(Default)]
pub(super) struct Names {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Numbers whose last holder released them, with the round in which it did; in the order of rounds.
    retired: VecDeque<(Round, u32)>,
}

struct Entry {
    name: Name,
    hash: u64,
    /// How many panes hold the number.
    holders: u32,
    /// The round in which its last holder released it most recently.
    retired: Round,
}

impl Names {
    /// The number of a name; also the name, if it is new.
    pub(super) fn number(&mut self, hash: u64, name: &[u8]) -> (u32, Option<Name>) {
        if let Some(number) = self.find(hash, name) {
            return (number, None);
        }
        let shared: Name = name.into();
        let entry = Entry { name: shared.clone(), hash, holders: 0, retired: 0 };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                assert!(self.entries.len() < u32::MAX as usize, "too many items for one board");
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        let entries = &self.entries;
        self.index.insert_unique(hash, number, |&number| entries[number as usize].hash);
        (number, Some(shared))
    }

    /// The number of a name that has one.
    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        let same = |&number: &u32| {
            let entry = &self.entries[number as usize];
            entry.hash == hash && *entry.name == *name
        };
        self.index.find(hash, same).copied()
    }

    /// The name of a number in use.
    pub(super) fn name(&self, number: u32) -> &Name {
        &self.entries[number as usize].name
    }

    /// Notes that one more pane holds the number.
    pub(super) fn hold(&mut self, number: u32) {
        self.entries[number as usize].holders += 1;
    }

    /// Notes that a pane releases the number, and retracts its counts in `round`.
    pub(super) fn release(&mut self, number: u32, round: Round) {
        let entry = &mut self.entries[number as usize];
        entry.holders -= 1;
        if entry.holders == 0 {
            entry.retired = round;
            self.retired.push_back((round, number));
        }
    }

    /// Frees the numbers that were not held since a round before `complete`, and calls `each` with each of them.
    pub(super) fn reclaim(&mut self, complete: Round, mut each: impl FnMut(u32)) {
        while let Some((round, number)) = self.retired.pop_front_if(|(round, _)| *round < complete) {
            let entry = &self.entries[number as usize];
            // It may be held again. Or it was held again in between, and then it is in the queue once more.
            if entry.holders > 0 || entry.retired != round {
                continue;
            }
            if let Ok(found) = self.index.find_entry(entry.hash, |&other| other == number) {
                found.remove();
                self.entries[number as usize].name = Name::from([]);
                self.free.push(number);
                each(number);
            }
        }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let held = self.entries.len() - self.free.len();
        // A name is estimated at 40 bytes: an id of some twenty, and what the allocator adds.
        self.entries.capacity() * size_of::<Entry>() + self.index.allocation_size() + held * 40
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that is the same for many names.
    fn hash(name: &str) -> u64 {
        name.len() as u64
    }

    fn number(names: &mut Names, name: &str) -> (u32, bool) {
        let (number, new) = names.number(hash(name), name.as_bytes());
        (number, new.is_some())
    }

    #[test]
    fn a_number_is_used_again_once_all_rounds_that_used_it_are_complete() {
        let mut names = Names::default();
        let [a, b] = ["a", "b"].map(|name| number(&mut names, name));
        assert_eq!((a, b), ((0, true), (1, true)));
        assert_eq!(number(&mut names, "a"), (0, false));
        (0..2).for_each(|_| names.hold(0));
        names.hold(1);
        names.release(0, 5);
        names.reclaim(100, |_| panic!("it is still held"));
        names.release(0, 6);
        names.reclaim(6, |_| panic!("round 6 is not complete"));
        names.reclaim(7, |number| assert_eq!(number, 0));
        assert_eq!((names.find(hash("a"), b"a"), &**names.name(1)), (None, &b"b"[..]));
        assert_eq!(number(&mut names, "c"), (0, true));
    }

    #[test]
    fn a_name_that_comes_back_keeps_its_number() {
        let mut names = Names::default();
        number(&mut names, "a");
        for round in [1, 1, 2] {
            names.hold(0);
            names.release(0, round);
        }
        names.reclaim(2, |_| panic!("it was held in round 2"));
        names.hold(0);
        names.reclaim(9, |_| panic!("it is held"));
        assert_eq!(number(&mut names, "a"), (0, false));
        names.release(0, 9);
        let mut reclaimed = 0;
        names.reclaim(10, |_| reclaimed += 1);
        assert_eq!(reclaimed, 1, "once, however often it was let go of");
    }
}
