//! The rest of a block: an upper bound for any group that the block does not list.
//!
//! A board has a bounded number of groups. Events of other groups are counted in the whole board only. The rest stands
//! beside the groups of the block as one more digest, which has a floor and no rows. A sum over blocks for a group
//! takes the rest of each block that does not list the group, so that the group's bounds stay true.

use crest_sketches::Digest;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// The text under which a block has its rest. No group has it: theirs are `name=value`, and the whole board's is empty.
pub const REST: &str = "*";

/// Whether a text is that of a group, and neither the whole board's nor the rest's.
pub fn is_group(text: &str) -> bool {
    !text.is_empty() && text != REST
}

/// The digest of a group or of the whole board in a block; the rest where the block does not list the group.
pub fn of_group<'a, D>(block: &'a BTreeMap<String, D>, text: &str) -> Option<&'a D> {
    block.get(text).or_else(|| block.get(REST).filter(|_| !text.is_empty()))
}

/// The most weight that any group can have in a block which does not list it.
pub fn rest_of<D: Borrow<Digest>>(block: &BTreeMap<String, D>) -> u64 {
    block.get(REST).map_or(0, |rest| rest.borrow().floor())
}

/// The digests of a rollup: for each group of `texts`, which may name the rest, the merged digests of the children, cut
/// to `rows` rows. `child` returns the digest of a group in a child, numbered from 0. Where a child does not list a
/// group, its rest stands for it. At most `limit` groups are kept.
pub(super) fn roll_up_groups(
    texts: &BTreeSet<&String>,
    children: usize,
    child: impl Fn(usize, &str) -> Option<Rc<Digest>>,
    rows: usize,
    limit: usize,
) -> BTreeMap<String, Digest> {
    let rests: Vec<_> = (0..children).map(|number| child(number, REST)).collect();
    let of = |number: usize, text: &str| {
        let rest = || rests[number].clone().filter(|_| !text.is_empty());
        child(number, text).or_else(rest)
    };
    let digest = |text: &String| {
        let digests: Vec<_> = (0..children).filter_map(|number| of(number, text)).collect();
        Digest::merge(digests.iter().map(Rc::as_ref)).cut(rows)
    };
    let mut groups = texts.iter().map(|text| (text.to_string(), digest(text))).collect();
    keep_groups(&mut groups, limit);
    groups
}

/// Keeps at most `limit` groups of a rollup: those of the greatest weight, and among equal ones those whose texts sort
/// first. A dropped group has at most its weight plus its floor, so the rest is raised to that.
fn keep_groups(block: &mut BTreeMap<String, Digest>, limit: usize) {
    let groups = block.iter().filter(|(text, _)| is_group(text));
    let mut by_weight: Vec<_> = groups.map(|(text, digest)| (digest.total(), text.clone())).collect();
    if by_weight.len() <= limit {
        return;
    }
    by_weight.sort_unstable_by(heaviest_first);
    let dropped = by_weight.into_iter().skip(limit).filter_map(|(_, text)| block.remove(&text));
    let most = dropped.map(|digest| digest.total() + digest.floor()).max().unwrap_or(0);
    let rest = rest_of(block).max(most);
    block.insert(REST.to_owned(), Digest::unseen(rest));
}

/// Removes groups from an open pane. Each of them has at most its weight plus the former rest, so the rest is raised to
/// that.
pub fn leave_out(pane: &mut BTreeMap<String, Rc<Digest>>, groups: &[String]) {
    let most = groups.iter().filter_map(|text| pane.remove(text)).map(|digest| digest.total()).max();
    let rest = rest_of(pane) + most.unwrap_or(0);
    pane.insert(REST.to_owned(), Rc::new(Digest::unseen(rest)));
}

/// The order in which groups are kept: by weight, greatest first, then by text.
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
    use crest_sketches::{Merged, PaneSketch, Shape};

    fn digest(weight: u32, unseen: u64) -> Digest {
        let shape = Shape::new(32, 0.001, 0.00005, 7).unwrap();
        let mut sketch = PaneSketch::new(&shape);
        sketch.add(b"item", weight);
        let mut merged = Merged::new(&shape);
        merged.add(&sketch);
        merged.add_unseen(unseen);
        merged.cut(10)
    }

    #[test]
    fn the_heaviest_groups_are_kept_and_the_rest_bounds_each_of_the_others() {
        let of = |groups: &[(&str, u32, u64)]| -> BTreeMap<String, Digest> {
            groups.iter().map(|(text, weight, unseen)| (text.to_string(), digest(*weight, *unseen))).collect()
        };
        let all = of(&[("", 30, 0), ("r=a", 5, 0), ("r=b", 5, 9), ("r=c", 9, 0), ("r=d", 1, 2)]);
        let kept = |limit| {
            let mut block = all.clone();
            keep_groups(&mut block, limit);
            (block.keys().filter(|text| is_group(text)).cloned().collect::<Vec<_>>(), rest_of(&block))
        };
        assert_eq!(kept(4), (["r=a", "r=b", "r=c", "r=d"].map(String::from).to_vec(), 0));
        assert_eq!(kept(3), (["r=a", "r=b", "r=c"].map(String::from).to_vec(), 3));
        assert_eq!(kept(2), (["r=a", "r=c"].map(String::from).to_vec(), 14));
        let mut block = all.clone();
        block.insert(REST.to_owned(), Digest::unseen(100));
        keep_groups(&mut block, 1);
        assert_eq!((block.len(), rest_of(&block)), (3, 100), "the whole, one group and the rest");
        let floor = |text| of_group(&block, text).map(Digest::floor);
        assert_eq!((floor("r=c"), floor("r=a"), floor("")), (Some(0), Some(100), Some(0)));
    }

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
