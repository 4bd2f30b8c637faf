//! The rest of a block: an upper bound for any group that the block does not list.
//!
//! A board has a bounded number of groups. Events of other groups are counted in the whole board only. The rest stands
//! beside the groups of the block as one more digest, which has a floor and no rows. A sum over blocks for a group
//! takes the rest of each block that does not list the group, so that the group's bounds stay true. On a board that retracts, the
//! rest bounds what was counted and what was removed of a group together.

use crate::removed::RemovedIn;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The digest of a group or of the whole board in a block, or that of what is removed of one; the rest where the block does not
/// list the group.
pub fn of_group<'a, D>(block: &'a BTreeMap<GroupKey, D>, group: &GroupKey) -> Option<&'a D> {
    let is_listed = || match group.removed_of() {
        Some(of) => of.is_empty() || block.contains_key(of),
        None => group.is_whole(),
    };
    block.get(group).or_else(|| block.get(&GroupKey::REST).filter(|_| !is_listed()))
}

/// As [`of_group`], taken out of the block.
pub(crate) fn take_group(block: &mut BTreeMap<GroupKey, Digest>, group: &GroupKey) -> Option<Digest> {
    block.remove(group).or_else(|| block.remove(&GroupKey::REST).filter(|_| !group.is_whole()))
}

/// The most weight that any group can have in a block which does not list it.
pub fn rest_of<D: Borrow<Digest>>(block: &BTreeMap<GroupKey, D>) -> u64 {
    block.get(&GroupKey::REST).map_or(0, |rest| rest.borrow().floor())
}

/// The weight that a block has of a group, with what was removed of it.
pub fn weight_of<D: Borrow<Digest>>(digest: &Digest, removed: Option<&D>) -> u64 {
    digest.total().saturating_add(removed.map_or(0, |removed| removed.borrow().total()))
}

/// Removes groups from an open pane. Each of them has at most its weight plus the former rest, so the rest is raised to
/// that.
pub fn leave_out(pane: &mut BTreeMap<GroupKey, Rc<Digest>>, groups: &[GroupKey]) {
    let retracts = RemovedIn::of(pane).is_some();
    let weights = groups.iter().filter_map(|group| {
        let (digest, removed) =
            (pane.remove(group)?, retracts.then(|| pane.remove(&group.removed())).flatten());
        Some(weight_of(&digest, removed.as_ref()))
    });
    let most = weights.max();
    let rest = rest_of(pane) + most.unwrap_or(0);
    pane.insert(GroupKey::REST, Rc::new(Digest::unseen(rest)));
}

/// The order in which groups are kept: by weight, greatest first, then by key.
pub fn heaviest_first<T: Ord>(a: &(u64, T), b: &(u64, T)) -> std::cmp::Ordering {
    b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

/// The rests of a window's blocks, each with the first pane of its block, and their sum.
#[derive(Clone, Debug, Default)]
pub struct Rests {
    blocks: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Rests {
    /// Adds the rest of a block, which is later than all before.
    pub fn push(&mut self, start: u64, rest: u64) {
        if rest > 0 {
            self.blocks.push_back((start, rest));
            self.sum += rest;
        }
    }

    /// Removes the rests of the blocks before `start`.
    pub fn expire(&mut self, start: u64) {
        while let Some((_, rest)) = self.blocks.pop_front_if(|(at, _)| *at < start) {
            self.sum -= rest;
        }
    }

    /// The sum of all rests.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The sum of the rests of the blocks from `start` on.
    pub fn sum_from(&self, start: u64) -> u64 {
        let earlier = self.blocks.iter().take_while(|(at, _)| *at < start);
        self.sum - earlier.map(|(_, rest)| rest).sum::<u64>()
    }

    /// The memory they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<(u64, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_stored_as_any_digest() {
        for weight in [1, 300, 1 << 61] {
            let rest = Digest::unseen(weight);
            assert_eq!(Digest::decode(&rest.encode(7), 7), Ok(rest));
        }
    }

    #[test]
    fn the_rest_stands_for_what_was_removed_of_groups_that_are_not_listed() {
        let key = |text: &str| text.parse::<GroupKey>().unwrap();
        let all = [("", 1), ("-", 2), ("r=a", 3), ("-,r=a", 4), ("r=b", 5), ("*", 6)];
        let block: BTreeMap<GroupKey, u64> = all.iter().map(|(text, value)| (key(text), *value)).collect();
        let of = |text: &str| of_group(&block, &key(text)).copied();
        assert_eq!(["", "r=a", "r=b", "r=c"].map(of), [Some(1), Some(3), Some(5), Some(6)]);
        assert_eq!(["-", "-,r=a", "-,r=b", "-,r=c"].map(of), [Some(2), Some(4), None, Some(6)]);
        let without = |gone: &[&str]| {
            let mut block = block.clone();
            block.retain(|group, _| !gone.contains(&group.as_str()));
            block
        };
        assert_eq!(of_group(&without(&["-"]), &key("-")), None, "the whole board is always listed");
        let removed = RemovedIn::of(&block);
        assert_eq!(
            ["", "r=a", "r=b"].map(|text| removed.of_group(&key(text)).copied()),
            [Some(2), Some(4), None]
        );
        assert!(!RemovedIn::of(&without(&["-", "-,r=a"])).is_some());
    }

    #[test]
    fn a_group_that_is_left_out_leaves_what_was_removed_of_it_to_the_rest() {
        let key = |text: &str| text.parse::<GroupKey>().unwrap();
        let digest = |total| Rc::new(digest(total));
        let mut pane: BTreeMap<GroupKey, Rc<Digest>> =
            [("", 20), ("-", 9), ("r=a", 5), ("-,r=a", 4), ("r=b", 8), ("*", 0)]
                .map(|(text, total)| {
                    (key(text), if text == "*" { Rc::new(Digest::unseen(2)) } else { digest(total) })
                })
                .into();
        leave_out(&mut pane, &[key("r=a"), key("r=b")]);
        assert_eq!(pane.keys().map(GroupKey::as_str).collect::<Vec<_>>(), ["", "*", "-"]);
        assert_eq!(rest_of(&pane), 2 + 9, "5 that were counted and 4 that were removed are more than 8");
    }

    fn digest(weight: u32) -> Digest {
        let Ok(shape) = crest_sketches::Shape::new(32, 0.001, 0.00005, 7) else {
            unreachable!("sizes in range")
        };
        let mut sketch = crest_sketches::PaneSketch::new(&shape);
        sketch.add(b"item", weight);
        let mut merged = crest_sketches::Merged::new(&shape);
        merged.add(&sketch);
        merged.cut(10)
    }

    #[test]
    fn rests_leave_as_they_came() {
        let mut rests = Rests::default();
        [(3, 5), (4, 0), (6, 7), (9, 1)].into_iter().for_each(|(at, rest)| rests.push(at, rest));
        assert_eq!((rests.sum(), rests.sum_from(4), rests.sum_from(7), rests.sum_from(10)), (13, 8, 1, 0));
        rests.expire(6);
        assert_eq!((rests.sum(), rests.sum_from(0)), (8, 8));
        rests.expire(u64::MAX);
        assert_eq!(rests.sum(), 0);
    }
}
