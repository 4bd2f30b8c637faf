//! The rows of a pane: the count of each item in each group, by their numbers, in 12 bytes each.

use super::names::{Name, Names};
use super::round::Round;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use crest_state::rest::rest_of;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// The rows of one pane.
#[derive(Default)]
pub(super) struct PaneRows {
    pub(super) groups: BTreeMap<u32, GroupRows>,
    /// The weight that any one group may have which is not among these.
    pub(super) rest: u64,
}

/// The counts of one group of a pane.
#[derive(Default)]
pub(super) struct GroupRows {
    pub(super) total: u64,
    /// The most that an item may have beyond its count, from events whose group was one too many.
    pub(super) floor: u64,
    /// The numbers of the items, in order.
    items: Vec<u32>,
    counts: Vec<u64>,
}

/// The names that a board's panes use.
#[derive(Default)]
pub(super) struct Dictionary {
    pub(super) items: Names,
    pub(super) groups: Names,
    /// The hash of the groups' keys.
    hashing: RandomState,
}

impl Dictionary {
    /// The number of a group that some pane holds.
    pub(super) fn group(&self, key: &GroupKey) -> Option<u32> {
        self.groups.find(self.hashing.hash_one(key), key.as_str().as_bytes())
    }
}

impl PaneRows {
    /// The rows of a pane's digests. Calls `new` with the number and the name of each item that is new.
    pub(super) fn new(
        digests: &BTreeMap<GroupKey, Rc<Digest>>,
        names: &mut Dictionary,
        mut new: impl FnMut(u32, Name),
    ) -> Self {
        let mut groups = BTreeMap::new();
        for (key, digest) in digests.iter().filter(|(key, _)| !key.is_rest()) {
            let mut rows: Vec<(u32, u64)> = Vec::with_capacity(digest.rows().len());
            for row in digest.rows() {
                let (item, name) = names.items.number(row.hash, row.key);
                if let Some(name) = name {
                    new(item, name);
                }
                rows.push((item, row.bounds.lower()));
            }
            rows.sort_unstable();
            let (items, counts) = rows.into_iter().unzip();
            let (group, _) = names.groups.number(names.hashing.hash_one(key), key.as_str().as_bytes());
            groups.insert(group, GroupRows { total: digest.total(), floor: digest.floor(), items, counts });
        }
        PaneRows { groups, rest: rest_of(digests) }
    }

    /// Calls `each` for every row that differs in `new`: with its group, its item, and its count before and after, which
    /// is 0 where the row is missing.
    pub(super) fn changes(&self, new: &PaneRows, mut each: impl FnMut(u32, u32, u64, u64)) {
        let nothing = GroupRows::default();
        let texts =
            self.groups.keys().chain(new.groups.keys().filter(|group| !self.groups.contains_key(group)));
        for &group in texts {
            let of = |pane: &'_ PaneRows| pane.groups.contains_key(&group);
            let before = if of(self) { &self.groups[&group] } else { &nothing };
            let after = if of(new) { &new.groups[&group] } else { &nothing };
            let (mut old, mut now) = (before.rows().peekable(), after.rows().peekable());
            loop {
                let order = match (old.peek(), now.peek()) {
                    (None, None) => break,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (Some((old, _)), Some((now, _))) => old.cmp(now),
                };
                let was = if order.is_le() { old.next() } else { None };
                let is = if order.is_ge() { now.next() } else { None };
                let Some((item, _)) = was.or(is) else { break };
                let count = |row: Option<(u32, u64)>| row.map_or(0, |(_, count)| count);
                if was != is {
                    each(group, item, count(was), count(is));
                }
            }
        }
    }

    /// Calls `each` for every row: with its group, its item and its count.
    pub(super) fn each(&self, mut each: impl FnMut(u32, u32, u64)) {
        for (&group, rows) in &self.groups {
            rows.rows().for_each(|(item, count)| each(group, item, count));
        }
    }

    /// Holds the numbers of these rows, and releases in `round` those of the rows that they replace.
    pub(super) fn hold_instead(&self, before: &PaneRows, names: &mut Dictionary, round: Round) {
        for (&group, rows) in &self.groups {
            names.groups.hold(group);
            rows.items.iter().for_each(|&item| names.items.hold(item));
        }
        for (&group, rows) in &before.groups {
            names.groups.release(group, round);
            rows.items.iter().for_each(|&item| names.items.release(item, round));
        }
    }

    /// The number of rows, of all groups.
    pub(super) fn len(&self) -> u64 {
        self.groups.values().map(|rows| rows.items.len() as u64).sum()
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let rows = |rows: &GroupRows| {
            size_of::<GroupRows>()
                + rows.items.capacity() * size_of::<u32>()
                + rows.counts.capacity() * size_of::<u64>()
        };
        self.groups.values().map(rows).sum()
    }
}

impl GroupRows {
    fn rows(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.items.iter().copied().zip(self.counts.iter().copied())
    }
}
