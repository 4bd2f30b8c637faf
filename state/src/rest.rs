//! The rest of a block: what any one group may have that the block does not list.
//!
//! A board has a bounded number of groups (see [`crate::admission`]). What the others have is counted in the whole, and
//! stands beside the groups of the block as one more digest, which has a floor and nothing else. Whoever adds blocks up
//! for a group takes it where the group is not listed, so that the group's bounds stay true.

use crest_sketches::Digest;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// Under this text, which is no group's: those are `name=value`, and the whole board's is empty.
pub const REST: &str = "*";

/// Whether the text is that of a group, and neither that of the whole board nor that of the rest.
pub fn is_group(text: &str) -> bool {
    !text.is_empty() && text != REST
}

/// What a block says of a group, or of the whole board: its own digest, or else the rest.
pub fn of_group<'a, D>(block: &'a BTreeMap<String, D>, text: &str) -> Option<&'a D> {
    block.get(text).or_else(|| block.get(REST).filter(|_| !text.is_empty()))
}

/// What any one group may have that the block does not list.
pub fn rest_of<D: Borrow<Digest>>(block: &BTreeMap<String, D>) -> u64 {
    block.get(REST).map_or(0, |rest| rest.borrow().floor())
}

/// The rollups of the groups named by `texts`, the rest among them, of children numbered from 0. Where a child does not
/// list a group, its rest counts for it.
pub fn roll_up_groups(
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

/// Keeps at most `limit` groups of a rollup: those of the greatest weight, of equal ones those first by their texts.
/// One that is dropped has at most its weight and its floor, which becomes the rest where that is less.
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

/// Takes groups out of an open pane. Each of them has at most its weight, and what was in the rest before.
pub fn leave_out(pane: &mut BTreeMap<String, Rc<Digest>>, groups: &[String]) {
    let most = groups.iter().filter_map(|text| pane.remove(text)).map(|digest| digest.total()).max();
    let rest = rest_of(pane) + most.unwrap_or(0);
    pane.insert(REST.to_owned(), Rc::new(Digest::unseen(rest)));
}

/// The order in which groups get a place: by weight, greatest first, then by text.
pub fn heaviest_first<T: Ord>(a: &(u64, T), b: &(u64, T)) -> std::cmp::Ordering {
    b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

/// The rests of a window's blocks, by their first panes, and their sum.
#[derive(Clone, Debug, Default)]
pub struct Rests {
    blocks: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Rests {
    /// Adds that of a block, later than all before.
    pub fn push(&mut self, start: u64, rest: u64) {
        if rest > 0 {
            self.blocks.push_back((start, rest));
            self.sum += rest;
        }
    }

    /// Takes out those of the blocks before `start`.
    pub fn expire(&mut self, start: u64) {
        while let Some((_, rest)) = self.blocks.pop_front_if(|(at, _)| *at < start) {
            self.sum -= rest;
        }
    }

    /// What they come to.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// What those from `start` on come to.
    pub fn sum_from(&self, start: u64) -> u64 {
        let earlier = self.blocks.iter().take_while(|(at, _)| *at < start);
        self.sum - earlier.map(|(_, rest)| rest).sum::<u64>()
    }

    /// Memory held, in bytes.
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
