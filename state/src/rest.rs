//! The rest of a block: an upper bound for any group that the block does not list.
//!
//! A board has a bounded number of groups. Events of other groups are counted in the whole board only. The rest stands
//! beside the groups of the block as one more digest, which has a floor and no rows. A sum over blocks for a group
//! takes the rest of each block that does not list the group, so that the group's bounds stay true.

use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The digest of a group or of the whole board in a block; the rest where the block does not list the group.
pub fn of_group<'a, D>(block: &'a BTreeMap<GroupKey, D>, group: &GroupKey) -> Option<&'a D> {
    block.get(group).or_else(|| block.get(&GroupKey::REST).filter(|_| !group.is_whole()))
}

/// As [`of_group`], taken out of the block.
pub(crate) fn take_group(block: &mut BTreeMap<GroupKey, Digest>, group: &GroupKey) -> Option<Digest> {
    block.remove(group).or_else(|| block.remove(&GroupKey::REST).filter(|_| !group.is_whole()))
}

/// The most weight that any group can have in a block which does not list it.
pub fn rest_of<D: Borrow<Digest>>(block: &BTreeMap<GroupKey, D>) -> u64 {
    block.get(&GroupKey::REST).map_or(0, |rest| rest.borrow().floor())
}

/// Removes groups from an open pane. Each of them has at most its weight plus the former rest, so the rest is raised to
/// that.
pub fn leave_out(pane: &mut BTreeMap<GroupKey, Rc<Digest>>, groups: &[GroupKey]) {
    let most = groups.iter().filter_map(|group| pane.remove(group)).map(|digest| digest.total()).max();
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
