//! The names of the groups of one pane and partition, each of which has a number: from 0, in the order in which they came.

use crest_connectors::group_key::{GroupKey, GroupText};
use crest_host::draw;
use crest_sketches::item_hash;
use hashbrown::HashTable;

/// The random key by which a worker hashes the names of groups. Senders choose the groups, and must not be able to bring about
/// collisions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameKey(u64);

impl Default for NameKey {
    fn default() -> Self {
        NameKey(draw::random())
    }
}

impl NameKey {
    /// The hash of a name.
    pub(crate) fn hash(self, name: &str) -> u64 {
        item_hash(name.as_bytes(), self.0)
    }

    /// The hash of a pane and a feed, which senders choose in part, too.
    pub(crate) fn hash_of_pane(self, pane: u64, feed: u32) -> u64 {
        item_hash(&[], self.0 ^ pane ^ (u64::from(feed) << 48))
    }
}

/// The names.
#[derive(Debug)]
pub(crate) struct GroupNames {
    keys: Vec<GroupKey>,
    /// Bytes of all of them.
    text_bytes: usize,
    /// The hashes of the names, and their numbers.
    index: HashTable<(u64, u32)>,
    key: NameKey,
}

impl GroupNames {
    /// No names, which are hashed by this key.
    pub(crate) fn new(key: NameKey) -> Self {
        GroupNames { keys: Vec::new(), text_bytes: 0, index: HashTable::new(), key }
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: u32) -> &str {
        self.keys[number as usize].as_str()
    }

    /// The group of a number.
    pub(crate) fn key(&self, number: u32) -> GroupKey {
        self.keys[number as usize].clone()
    }

    /// The number of a name.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.find(self.key.hash(name), name)
    }

    /// The number of a name of this hash, which is the next one where the name is new; `None` where it would be one more than
    /// `limit`.
    pub(crate) fn number_or_add(&mut self, hash: u64, name: GroupText<'_>, limit: usize) -> Option<u32> {
        let known = self.find(hash, name.as_str());
        if known.is_some() || self.keys.len() >= limit {
            return known;
        }
        let number = self.keys.len() as u32;
        self.text_bytes += name.as_str().len();
        self.keys.push(name.into());
        self.index.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        Some(number)
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.text_bytes + self.keys.capacity() * size_of::<GroupKey>() + self.index.allocation_size()
    }

    fn find(&self, hash: u64, name: &str) -> Option<u32> {
        let same = |&(known, number): &(u64, u32)| known == hash && self.name(number) == name;
        self.index.find(hash, same).map(|(_, number)| *number)
    }
}

/// Names in their order, each with what comes with it; of equal ones in the order in which they came. Most names of a board
/// begin alike, so they are compared from there on, and by one number first.
pub(crate) fn in_order<'a, T: Copy>(names: impl Iterator<Item = (&'a str, T)>) -> Vec<(&'a str, T)> {
    let names: Vec<_> = names.collect();
    let Some((first, _)) = names.first() else { return names };
    let common = |name: &str| first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let common = names.iter().map(|(name, _)| common(name)).min().unwrap_or(0);
    let front = |name: &str| {
        let mut front = [0; 8];
        let rest = &name.as_bytes()[common..];
        let len = rest.len().min(8);
        front[..len].copy_from_slice(&rest[..len]);
        u64::from_be_bytes(front)
    };
    let mut keyed: Vec<_> = names.into_iter().map(|(name, of)| (front(name), name, of)).collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    keyed.into_iter().map(|(_, name, of)| (name, of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_groups::BatchGroups;
    use crest_connectors::group_key::{Dimension, GroupBuffer};
    use proptest::prelude::*;

    #[test]
    fn names_have_numbers_up_to_a_limit() {
        let key = NameKey::default();
        let mut names = GroupNames::new(key);
        let mut groups = BatchGroups::new(key);
        let numbers = ["1", "", "1", "2", "3"].map(|value| {
            let mut group = GroupBuffer::WHOLE;
            group.push(&Dimension::new("a"), value);
            let number = groups.number(&group);
            let (hash, name) = groups.get(number);
            names.number_or_add(hash, name, 3)
        });
        assert_eq!(numbers, [Some(0), Some(1), Some(0), Some(2), None]);
        assert_eq!([0, 1, 2].map(|number| names.name(number)), ["a=1", "a=", "a=2"]);
        assert_eq!((names.number("a=2"), names.number("a=3")), (Some(2), None));
    }

    proptest! {
        #[test]
        fn names_are_put_in_order(names in prop::collection::vec("r=[a-bé0]{0,12}", 0..40)) {
            let sorted = in_order(names.iter().map(String::as_str).zip(0..));
            let mut expected: Vec<_> = names.iter().map(String::as_str).zip(0..).collect();
            expected.sort();
            prop_assert_eq!(sorted, expected);
        }
    }
}
