//! The groups of one batch of events. Each has a number, from 0 on, in the order in which they came.

use crate::group_names::NameKey;
use crest_connectors::group_key::{GroupBuffer, GroupText, GroupTexts};
use hashbrown::HashTable;

/// The groups. They are used again for the next batch, so that a group allocates nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchGroups {
    key: NameKey,
    texts: GroupTexts,
    /// By number.
    hashes: Vec<u64>,
    /// The hashes of the groups, and their numbers.
    index: HashTable<(u64, u32)>,
}

impl BatchGroups {
    /// No groups, which are hashed by this key.
    pub(crate) fn new(key: NameKey) -> Self {
        BatchGroups { key, ..BatchGroups::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The number of a group, which is the next one where the group is new.
    #[inline]
    pub(crate) fn number(&mut self, group: &GroupBuffer) -> u32 {
        let hash = self.key.hash(group.as_str());
        let texts = &self.texts;
        let same = |&(known, number): &(u64, u32)| {
            known == hash && texts.get(number as usize).as_str() == group.as_str()
        };
        if let Some(&(_, number)) = self.index.find(hash, same) {
            return number;
        }
        let number = self.hashes.len() as u32;
        self.texts.push(group);
        self.hashes.push(hash);
        self.index.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        number
    }

    /// The hash and the text of a group.
    pub(crate) fn get(&self, number: u32) -> (u64, GroupText<'_>) {
        (self.hashes[number as usize], self.texts.get(number as usize))
    }

    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.hashes.clear();
        self.index.clear();
    }
}
