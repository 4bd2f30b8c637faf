//! Which item holds which rank at which time, and what the items are called.
//!
//! Every [`STEP_MS`] two neighbours near the top change places, and now and then an item from further down
//! surges to the top, from where it sinks again as others surge. All partitions of a generator see the same
//! order at the same time.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::io::Write;

/// The order changes this often, in milliseconds of event time.
const STEP_MS: i64 = 2000;
/// Every so many steps an item surges.
const STEPS_BETWEEN_SURGES: u64 = 6;
/// Ranks that ever change; the tail keeps its order, which nobody could see anyway.
const SHIFTING_RANKS: u64 = 2048;
/// Ranks whose holders change places with a neighbour.
const RESTLESS_RANKS: usize = 12;
/// A surge ends at one of so many ranks from the top.
const SURGE_RANKS: usize = 3;

/// The order of the items by popularity.
pub(super) struct Popularity {
    seed: u64,
    step: u64,
    /// The items of the first ranks; further ranks hold the item of their own number.
    order: Vec<u32>,
}

impl Popularity {
    /// The order at the start.
    pub(super) fn new(items: u64, seed: u64) -> Self {
        Popularity { seed, step: 0, order: (0..items.min(SHIFTING_RANKS) as u32).collect() }
    }

    /// Makes the changes up to `elapsed` milliseconds after the start.
    pub(super) fn advance_to(&mut self, elapsed: i64) {
        let step = (elapsed / STEP_MS) as u64;
        while self.step < step {
            self.step += 1;
            self.shift();
        }
    }

    /// The item that holds a rank, both from 0.
    pub(super) fn item_at(&self, rank: u64) -> u64 {
        self.order.get(rank as usize).map_or(rank, |item| u64::from(*item))
    }

    /// One step's changes, which depend on the seed and the step alone.
    fn shift(&mut self) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed.wrapping_add(self.step.rotate_left(32)));
        if self.order.len() < 2 {
            return;
        }
        let upper = random.random_range(0..RESTLESS_RANKS.min(self.order.len() - 1));
        self.order.swap(upper, upper + 1);
        if self.step.is_multiple_of(STEPS_BETWEEN_SURGES) {
            let to = random.random_range(0..SURGE_RANKS.min(self.order.len() - 1));
            let from = random.random_range(to + 1..self.order.len());
            self.order[to..=from].rotate_right(1);
        }
    }
}

const KINDS: [&[u8]; 4] = [b"video:", b"product:", b"song:", b"article:"];
const WORDS: [&[u8]; 32] = [
    b"aurora", b"breeze", b"canyon", b"delta", b"ember", b"fjord", b"glacier", b"harbor", b"island",
    b"juniper", b"koala", b"lagoon", b"meadow", b"nebula", b"orchid", b"prairie", b"quartz", b"ripple",
    b"saffron", b"tundra", b"umbra", b"violet", b"willow", b"xenon", b"yarrow", b"zephyr", b"cobalt",
    b"lotus", b"maple", b"onyx", b"pebble", b"raven",
];

/// Appends an item's name, such as `video:aurora-42`; each item has its own.
pub(super) fn push_name(line: &mut Vec<u8>, item: u64) {
    let word = (item % WORDS.len() as u64) as usize;
    let number = item / WORDS.len() as u64;
    // Neighbours in rank should not be of one kind: the word and the number both choose it.
    line.extend_from_slice(KINDS[(word + word / 4 + number as usize) % KINDS.len()]);
    line.extend_from_slice(WORDS[word]);
    line.push(b'-');
    push_number(line, number + 1);
}

/// Appends a number in decimal.
pub(super) fn push_number(line: &mut Vec<u8>, number: u64) {
    // Writing to memory does not fail.
    let _ = write!(line, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_head_shifts_and_stays_a_permutation() {
        for items in [1, 2, 5, 100_000] {
            let mut popularity = Popularity::new(items, 3);
            let before = popularity.order.clone();
            popularity.advance_to(10 * 60 * 1000);
            let mut sorted = popularity.order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, before);
            assert!(items < 5 || popularity.order[..5] != before[..5]);
        }
        assert_eq!(Popularity::new(1 << 30, 3).item_at(1 << 29), 1 << 29);
    }

    #[test]
    fn the_order_depends_on_the_time_and_not_on_how_it_is_reached() {
        let mut at_once = Popularity::new(1000, 3);
        at_once.advance_to(60_000);
        let mut slowly = Popularity::new(1000, 3);
        (0..=60_000).step_by(70).for_each(|time| slowly.advance_to(time));
        slowly.advance_to(60_000);
        assert_eq!(at_once.order, slowly.order);
    }

    #[test]
    fn names_differ_and_numbers_are_written_as_they_are() {
        let names: HashSet<Vec<u8>> = (0..10_000)
            .map(|item| {
                let mut name = Vec::new();
                push_name(&mut name, item);
                name
            })
            .collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.contains(b"video:aurora-1".as_slice()));
        for number in [0, 9, 10, 1_767_225_600_000, u64::MAX] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string().into_bytes());
        }
    }
}
