//! What a board that retracts takes away in one pane and partition: of the whole board, and of each group beside what is
//! counted of it.
//!
//! **Always holds**: a group is here only where it is among those that the pane counts, so that it takes no place of its own. It is
//! counted by sketches of the same shape.

use crest_sketches::{Events, GroupCounts, PaneGroups, PaneSketch, Shape};

/// See the module.
pub(crate) struct RemovedCounts {
    whole: PaneSketch,
    groups: PaneGroups,
    /// For each group by its number in the pane, its number in `groups`; `None` where nothing was removed of it.
    numbers: Vec<Option<u32>>,
}

impl RemovedCounts {
    pub(crate) fn new(shape: &Shape) -> Self {
        RemovedCounts { whole: PaneSketch::new(shape), groups: PaneGroups::new(shape), numbers: Vec::new() }
    }

    /// Counts events that take away from the whole board.
    pub(crate) fn count_whole(&mut self, events: Events<'_>) {
        self.whole.update(events);
    }

    /// Counts events that take away from the group of this number.
    pub(crate) fn count(&mut self, number: u32, events: Events<'_>) {
        let at = number as usize;
        if at >= self.numbers.len() {
            self.numbers.resize(at + 1, None);
        }
        let next = self.groups.len();
        self.groups.update(*self.numbers[at].get_or_insert(next), events);
    }

    /// What was removed of the whole board.
    pub(crate) fn of_whole(&self) -> GroupCounts<'_> {
        GroupCounts::Sketch(&self.whole)
    }

    /// What was removed of the group of this number; `None` where nothing was.
    pub(crate) fn of(&self, number: u32) -> Option<GroupCounts<'_>> {
        let number = *self.numbers.get(number as usize)?;
        number.map(|number| self.groups.counts(number))
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.whole.bytes() + self.groups.bytes() + self.numbers.capacity() * size_of::<Option<u32>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{KeySpan, item_hash};

    #[test]
    fn groups_of_any_numbers_are_counted_apart() {
        let shape = Shape::new(64, 0.001, 0.00005, 7).unwrap();
        let (mut removed, keys) = (RemovedCounts::new(&shape), [KeySpan { offset: 0, len: 3 }]);
        let hashes = [item_hash(b"tea", 7)];
        let events = |weights: &'static [u32]| Events {
            hashes: &hashes,
            weights,
            keys: &keys,
            arena: b"tea",
            values: &[],
        };
        removed.count_whole(events(&[9]));
        removed.count(5, events(&[3]));
        removed.count(2, events(&[4]));
        removed.count(5, events(&[1]));
        let total = |counts: GroupCounts<'_>| match counts {
            GroupCounts::Few(digest) => digest.total(),
            GroupCounts::Sketch(sketch) => sketch.total(),
        };
        assert_eq!(total(removed.of_whole()), 9);
        assert_eq!([0, 2, 5, 6].map(|number| removed.of(number).map(total)), [None, Some(4), Some(4), None]);
    }
}
