//! What a rollup is: the merged digests of the blocks below it, cut once, with at most as many groups as its board may have.
//! The same blocks make the same rollup, whoever builds it: the windows as panes close, a reader, a repair or a backfill.

use crate::rest::{heaviest_first, rest_of};
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The digest of a rollup: the merged digests of the blocks below it, cut to `rows` rows.
pub fn roll_up<'a>(children: impl IntoIterator<Item = &'a Digest>, rows: usize) -> Digest {
    Digest::merge(children).cut(rows)
}

/// The digests of a rollup: for each group of `groups`, which may have the rest, the merged digests of the children, cut
/// to `rows` rows. `child` returns the digest of a group in a child, numbered from 0. Where a child does not list a
/// group, its rest stands for it. At most `limit` groups are kept.
pub(super) fn roll_up_groups(
    groups: &BTreeSet<&GroupKey>,
    children: usize,
    child: impl Fn(usize, &GroupKey) -> Option<Rc<Digest>>,
    rows: usize,
    limit: usize,
) -> BTreeMap<GroupKey, Digest> {
    let rests: Vec<_> = (0..children).map(|number| child(number, &GroupKey::REST)).collect();
    let of = |number: usize, group: &GroupKey| {
        let rest = || rests[number].clone().filter(|_| !group.is_whole());
        child(number, group).or_else(rest)
    };
    let digest = |group: &GroupKey| {
        let digests: Vec<_> = (0..children).filter_map(|number| of(number, group)).collect();
        roll_up(digests.iter().map(Rc::as_ref), rows)
    };
    let mut groups = groups.iter().map(|group| ((*group).clone(), digest(group))).collect();
    keep_groups(&mut groups, limit);
    groups
}

/// Keeps at most `limit` groups of a rollup: those of the greatest weight, and among equal ones those whose keys sort
/// first. A dropped group has at most its weight plus its floor, so the rest is raised to that.
fn keep_groups(block: &mut BTreeMap<GroupKey, Digest>, limit: usize) {
    let groups = block.iter().filter(|(group, _)| group.has_values());
    let mut by_weight: Vec<_> = groups.map(|(group, digest)| (digest.total(), group.clone())).collect();
    if by_weight.len() <= limit {
        return;
    }
    by_weight.sort_unstable_by(heaviest_first);
    let dropped = by_weight.into_iter().skip(limit).filter_map(|(_, group)| block.remove(&group));
    let most = dropped.map(|digest| digest.total() + digest.floor()).max().unwrap_or(0);
    let rest = rest_of(block).max(most);
    block.insert(GroupKey::REST, Digest::unseen(rest));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::of_group;
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

    fn key(text: &str) -> GroupKey {
        text.parse().unwrap()
    }

    #[test]
    fn the_heaviest_groups_are_kept_and_the_rest_bounds_each_of_the_others() {
        let of = |groups: &[(&str, u32, u64)]| -> BTreeMap<GroupKey, Digest> {
            let digest = |(text, weight, unseen): &(&str, _, _)| (key(text), digest(*weight, *unseen));
            groups.iter().map(digest).collect()
        };
        let all = of(&[("", 30, 0), ("r=a", 5, 0), ("r=b", 5, 9), ("r=c", 9, 0), ("r=d", 1, 2)]);
        let kept = |limit| {
            let mut block = all.clone();
            keep_groups(&mut block, limit);
            (
                block.keys().filter(|group| group.has_values()).map(GroupKey::to_string).collect::<Vec<_>>(),
                rest_of(&block),
            )
        };
        assert_eq!(kept(4), (["r=a", "r=b", "r=c", "r=d"].map(String::from).to_vec(), 0));
        assert_eq!(kept(3), (["r=a", "r=b", "r=c"].map(String::from).to_vec(), 3));
        assert_eq!(kept(2), (["r=a", "r=c"].map(String::from).to_vec(), 14));
        let mut block = all.clone();
        block.insert(GroupKey::REST, Digest::unseen(100));
        keep_groups(&mut block, 1);
        assert_eq!((block.len(), rest_of(&block)), (3, 100), "the whole, one group and the rest");
        let floor = |text| of_group(&block, &key(text)).map(Digest::floor);
        assert_eq!((floor("r=c"), floor("r=a"), floor("")), (Some(0), Some(100), Some(0)));
    }
}
