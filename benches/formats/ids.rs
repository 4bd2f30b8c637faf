//! The ids of the script's items, interned: so densely that a million of them stay in the processor's cache.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// Ids as numbers from 0 on, in the order in which they came.
#[derive(Default)]
pub struct Ids {
    numbers: HashTable<u32>,
    texts: Texts,
    hasher: RandomState,
}

/// The texts of all ids, one behind the other, and where each ends.
#[derive(Default)]
struct Texts {
    joined: String,
    ends: Vec<u32>,
}

impl Ids {
    /// The number of an id; nothing is allocated for one that is known.
    pub fn number(&mut self, text: &str) -> u32 {
        let Ids { numbers, texts, hasher } = self;
        let known = |&number: &u32| texts.get(number) == text;
        match numbers.entry(hasher.hash_one(text), known, |&number| hasher.hash_one(texts.get(number))) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(texts.push(text)).get(),
        }
    }

    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number)
    }

    pub fn len(&self) -> usize {
        self.texts.ends.len()
    }
}

impl Texts {
    fn get(&self, number: u32) -> &str {
        let end = |n: usize| self.ends[n] as usize;
        let start = (number as usize).checked_sub(1).map_or(0, end);
        &self.joined[start..end(number as usize)]
    }

    fn push(&mut self, text: &str) -> u32 {
        self.joined.push_str(text);
        self.ends.push(self.joined.len() as u32);
        self.ends.len() as u32 - 1
    }
}
