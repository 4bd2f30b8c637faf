//! The rows of a pane: the count of each item in each group, by their numbers, in 12 bytes each; where different values are
//! counted, its values too, in 8 bytes each. What is removed of an item is taken from its count, which may become negative.

use super::names::{Name, Names};
use super::round::Round;
use crest_connectors::group_key::GroupKey;
use crest_sketches::{Digest, DigestRow};
use crest_state::removed::RemovedIn;
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
    /// What was removed, and the most that was removed of an item besides.
    pub(super) removed: u64,
    pub(super) removed_floor: u64,
    /// The numbers of the items, in order.
    items: Vec<u32>,
    counts: Vec<i64>,
    /// Where different values are counted, the values' hashes: of each item as many as it counts, in order.
    values: Vec<u64>,
}

/// A row of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row<'a> {
    item: u32,
    count: i64,
    values: &'a [u64],
}

/// What changes of an item in a group of a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Its count, by so much.
    Count(i64),
    /// It gets this value (1), or loses it (-1).
    Value(u64, i8),
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
        let (mut groups, removed_in) = (BTreeMap::new(), RemovedIn::of(digests));
        for (key, digest) in digests.iter().filter(|(key, _)| key.is_group()) {
            let mut number = |row: DigestRow<'_>| {
                let (item, name) = names.items.number(row.hash, row.key);
                if let Some(name) = name {
                    new(item, name);
                }
                item
            };
            // A pane may have millions of rows, so that they are held here as numbers alone.
            let count = |row: &DigestRow<'_>| row.bounds.lower() as i64;
            let of_place: Vec<i64> = digest.rows().map(|row| count(&row)).collect();
            let mut places: Vec<(u32, u32)> = digest.rows().map(&mut number).zip(0..).collect();
            places.sort_unstable();
            let mut items: Vec<u32> = places.iter().map(|(item, _)| *item).collect();
            let mut counts: Vec<i64> = places.iter().map(|(_, at)| of_place[*at as usize]).collect();
            let values = match digest.is_distinct() {
                true => places
                    .iter()
                    .filter_map(|(_, at)| digest.row(*at as usize).values?.hashes())
                    .flatten()
                    .copied()
                    .collect(),
                false => Vec::new(),
            };
            let removed = removed_in.of_group(key);
            if let Some(removed) = removed {
                let removed = removed.rows().map(|row| (number(row), -count(&row)));
                (items, counts) = less(std::mem::take(&mut items), counts, removed.collect());
            }
            let (group, _) = names.groups.number(names.hashing.hash_one(key), key.as_str().as_bytes());
            let (total, floor) = (digest.total(), digest.floor());
            let (removed, removed_floor) =
                removed.map_or((0, 0), |removed| (removed.total(), removed.floor()));
            let rows = GroupRows { total, floor, removed, removed_floor, items, counts, values };
            groups.insert(group, rows);
        }
        PaneRows { groups, rest: rest_of(digests) }
    }

    /// Calls `each` for everything that differs in `new`, with its group and its item.
    pub(super) fn changes(&self, new: &PaneRows, mut each: impl FnMut(u32, u32, Changed)) {
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
                    (Some(old), Some(now)) => old.item.cmp(&now.item),
                };
                let was = if order.is_le() { old.next() } else { None };
                let is = if order.is_ge() { now.next() } else { None };
                let Some(Row { item, .. }) = was.or(is) else { break };
                if was != is {
                    let none = Row { item, count: 0, values: &[] };
                    was.unwrap_or(none).changes(&is.unwrap_or(none), |changed| each(group, item, changed));
                }
            }
        }
    }

    /// Calls `each` with everything that makes these rows, or takes them away, with its group and its item.
    pub(super) fn each(&self, is_taken: bool, mut each: impl FnMut(u32, u32, Changed)) {
        for (&group, rows) in &self.groups {
            for row in rows.rows() {
                let none = Row { item: row.item, count: 0, values: &[] };
                let (was, is) = if is_taken { (row, none) } else { (none, row) };
                was.changes(&is, |changed| each(group, row.item, changed));
            }
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
                + (rows.counts.capacity() + rows.values.capacity()) * size_of::<u64>()
        };
        self.groups.values().map(rows).sum()
    }
}

/// The counts of items with what was removed of them, which is negative. An item of which nothing is left keeps its row, which
/// holds its number.
fn less(items: Vec<u32>, counts: Vec<i64>, mut removed: Vec<(u32, i64)>) -> (Vec<u32>, Vec<i64>) {
    removed.extend(items.into_iter().zip(counts));
    removed.sort_unstable_by_key(|(item, _)| *item);
    removed.dedup_by(|next, first| {
        let is_same = next.0 == first.0;
        first.1 += if is_same { next.1 } else { 0 };
        is_same
    });
    removed.into_iter().unzip()
}

impl GroupRows {
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut rest = self.values.as_slice();
        self.items.iter().zip(&self.counts).map(move |(&item, &count)| {
            let (values, others) = rest.split_at(rest.len().min(count as usize));
            rest = others;
            Row { item, count, values }
        })
    }
}

impl Row<'_> {
    /// Calls `each` with everything that makes of this row the other one, which is of the same item.
    fn changes(&self, now: &Row<'_>, mut each: impl FnMut(Changed)) {
        if self.values.is_empty() && now.values.is_empty() {
            let change = now.count - self.count;
            return if change != 0 {
                each(Changed::Count(change))
            };
        }
        let (mut old, mut new) = (self.values.iter().peekable(), now.values.iter().peekable());
        loop {
            match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(&was), Some(&is)) if was == is => {
                    old.next();
                    new.next();
                }
                (Some(&was), is) if is.is_none_or(|is| was < is) => {
                    each(Changed::Value(*was, -1));
                    old.next();
                }
                (_, Some(&is)) => {
                    each(Changed::Value(*is, 1));
                    new.next();
                }
                (Some(_), None) => unreachable!("what is less than nothing was taken above"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn rows(items: &BTreeMap<u32, BTreeSet<u64>>) -> PaneRows {
        let mut rows = GroupRows::default();
        for (item, values) in items {
            rows.items.push(*item);
            rows.counts.push(values.len() as i64);
            rows.values.extend(values);
        }
        PaneRows { groups: [(0, rows)].into(), rest: 0 }
    }

    fn items() -> impl Strategy<Value = BTreeMap<u32, BTreeSet<u64>>> {
        prop::collection::btree_map(0u32..6, prop::collection::btree_set(0u64..9, 1..6), 0..6)
    }

    #[test]
    fn what_is_removed_is_taken_from_the_counts() {
        let (items, counts) = less(vec![1, 3, 7], vec![5, 2, 4], vec![(7, -4), (2, -1), (3, -9)]);
        assert_eq!((items, counts), (vec![1, 2, 3, 7], vec![5, -1, -7, 0]));
    }

    proptest! {
        #[test]
        fn the_changes_of_values_make_the_one_pane_of_the_other(was in items(), is in items()) {
            let mut held = was.clone();
            rows(&was).changes(&rows(&is), |_, item, changed| match changed {
                Changed::Value(value, 1) => assert!(held.entry(item).or_default().insert(value)),
                Changed::Value(value, -1) => assert!(held.entry(item).or_default().remove(&value)),
                other => panic!("{other:?}"),
            });
            held.retain(|_, values| !values.is_empty());
            prop_assert_eq!(&held, &is);
            let mut taken = 0;
            rows(&is).each(true, |_, item, changed| match changed {
                Changed::Value(value, -1) => {
                    assert!(is[&item].contains(&value));
                    taken += 1;
                }
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(taken, is.values().map(BTreeSet::len).sum::<usize>());
        }
    }
}
