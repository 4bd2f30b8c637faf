//! The pairs of an item and a value that were counted lately: who comes again is recognised, mostly.
//!
//! A fixed number of places, in sets of four: a pair that comes goes to the front of its set, and the last one there is
//! forgotten. So a pair that is recognised was certainly counted, but for a collision of 64-bit hashes, and one that is
//! not may have been. What is in it is a function of the sequence of pairs.

use crate::registers::mix;

/// Pairs of a set.
const WAYS: usize = 4;
/// Pairs for each row of the shape.
const PAIRS_PER_ROW: usize = 8;

/// The pairs that came lately.
#[derive(Clone, Debug)]
pub(crate) struct PairCache {
    /// The latest first; 0 where there is none.
    sets: Box<[[u64; WAYS]]>,
}

impl PairCache {
    /// Memory of one for a shape of so many rows, in bytes.
    pub(crate) const fn bytes_for(rows: usize) -> usize {
        rows * PAIRS_PER_ROW * size_of::<u64>()
    }

    /// An empty one, for a shape of so many rows, a power of two.
    pub(crate) fn new(rows: usize) -> Self {
        PairCache { sets: vec![[0; WAYS]; rows * PAIRS_PER_ROW / WAYS].into() }
    }

    /// Notes a pair, and says whether it was there.
    pub(crate) fn note(&mut self, item: u64, value: u64) -> bool {
        let pair = hash(item, value);
        let mask = self.sets.len() - 1;
        let set = &mut self.sets[pair as usize & mask];
        let found = set.iter().position(|other| *other == pair);
        set[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = pair;
        found.is_some()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }
}

/// The identity of a pair. Never 0.
fn hash(item: u64, value: u64) -> u64 {
    mix(item ^ mix(value ^ 0xa076_1d64_78bd_642f)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_recognised_until_four_others_came_to_its_set() {
        let mut cache = PairCache::new(32);
        assert_eq!(cache.bytes(), PairCache::bytes_for(32));
        let of_set: Vec<u64> =
            (1..).filter(|value| hash(3, *value) as usize % cache.sets.len() == 5).take(6).collect();
        for value in &of_set[..4] {
            assert!(!cache.note(3, *value));
        }
        assert!(cache.note(3, of_set[0]), "the first of four");
        assert!(!cache.note(3, of_set[4]));
        assert!(cache.note(3, of_set[0]), "it came again since");
        assert!(!cache.note(3, of_set[1]), "forgotten for the fifth");
        assert!(!cache.note(of_set[0], 3), "a pair of the same two numbers, the other way round");
    }
}
