//! What a rollup is: the merged digests of the blocks below it, cut once, with at most as many groups as its board may have.
//! The same blocks make the same rollup, whoever builds it: the windows as panes close, a reader, a repair or a backfill.

use crate::removed::RemovedIn;
use crate::rest::{heaviest_first, rest_of, weight_of};
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
/// group, its rest stands for it, and for what was removed of it. At most `limit` groups are kept.
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
    let counted = groups.iter().filter(|group| group.removed_of().is_none());
    let mut rolled: BTreeMap<_, _> = counted.map(|group| ((*group).clone(), digest(group))).collect();
    if groups.contains(&GroupKey::REMOVED_OF_WHOLE) {
        let removed = |group: &GroupKey| {
            let key = group.removed();
            let of = |number: usize| {
                let is_listed = || group.is_whole() || child(number, group).is_some();
                child(number, &key).or_else(|| rests[number].clone().filter(|_| !is_listed()))
            };
            let digests: Vec<_> = (0..children).filter_map(of).collect();
            (!digests.is_empty()).then(|| (key, roll_up(digests.iter().map(Rc::as_ref), rows)))
        };
        // Whoever reads one group alone reads what was removed of the whole board too, and not what was counted of it.
        let of_groups = groups.iter().copied().filter(|group| group.has_values());
        rolled.extend(of_groups.chain([&GroupKey::WHOLE]).filter_map(removed));
    }
    keep_groups(&mut rolled, limit);
    rolled
}

/// Keeps at most `limit` groups of a rollup: those of the greatest weight, and among equal ones those whose keys sort
/// first. A dropped group has at most its weight plus its floor, both of what was counted and of what was removed, so the
/// rest is raised to that.
fn keep_groups(block: &mut BTreeMap<GroupKey, Digest>, limit: usize) {
    let groups = block.iter().filter(|(group, _)| group.has_values());
    let removed = RemovedIn::of(block);
    let weight = |group: &GroupKey, digest: &Digest| weight_of(digest, removed.of_group(group));
    let mut by_weight: Vec<_> =
        groups.map(|(group, digest)| (weight(group, digest), group.clone())).collect();
    if by_weight.len() <= limit {
        return;
    }
    by_weight.sort_unstable_by(heaviest_first);
    let retracts = removed.is_some();
    let dropped = by_weight.into_iter().skip(limit).map(|(_, group)| {
        let removed = retracts.then(|| block.remove(&group.removed())).flatten();
        [block.remove(&group), removed]
    });
    let most = |digests: [Option<Digest>; 2]| {
        digests.into_iter().flatten().map(|digest| digest.total() + digest.floor()).sum()
    };
    let most: u64 = dropped.map(most).max().unwrap_or(0);
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

    #[test]
    fn what_was_removed_of_a_group_is_kept_where_the_group_is() {
        let block = |groups: &[(&str, u32, u64)]| -> BTreeMap<GroupKey, Rc<Digest>> {
            let digest =
                |(text, weight, unseen): &(&str, _, _)| (key(text), Rc::new(digest(*weight, *unseen)));
            groups.iter().map(digest).collect()
        };
        let children = [
            block(&[("", 30, 0), ("-", 9, 0), ("r=a", 8, 0), ("-,r=a", 4, 0), ("r=b", 5, 0)]),
            block(&[("", 20, 0), ("-", 7, 0), ("r=b", 9, 0), ("-,r=b", 6, 0), ("r=c", 1, 0), ("*", 0, 3)]),
        ];
        let keys = children.iter().flat_map(BTreeMap::keys).collect();
        let rolled = |limit| {
            let child = |number: usize, group: &GroupKey| children[number].get(group).cloned();
            roll_up_groups(&keys, 2, child, 10, limit)
        };
        let shown = |block: &BTreeMap<GroupKey, Digest>| -> Vec<(String, u64, u64)> {
            block.iter().map(|(key, digest)| (key.to_string(), digest.total(), digest.floor())).collect()
        };
        // Of one group alone, on two levels.
        let of_b = ["-", "-,r=b", "r=b", "*"].map(key);
        let mut picked: Vec<BTreeMap<GroupKey, Rc<Digest>>> = children.to_vec();
        picked.iter_mut().for_each(|block| block.retain(|group, _| of_b.contains(group)));
        for _ in 0..2 {
            let keys = picked.iter().flat_map(BTreeMap::keys).collect();
            let child = |number: usize, group: &GroupKey| picked[number].get(group).cloned();
            let rolled = roll_up_groups(&keys, picked.len(), child, 10, 9);
            let expected = [("*", 0, 3), ("-", 16, 0), ("-,r=b", 6, 0), ("r=b", 14, 0)];
            assert_eq!(shown(&rolled), expected.map(|(key, total, floor)| (key.to_owned(), total, floor)));
            picked = vec![rolled.into_iter().map(|(group, digest)| (group, Rc::new(digest))).collect()];
        }
        let all = [
            ("", 50, 0),
            ("*", 0, 3),
            ("-", 16, 0),
            ("-,r=a", 4, 3),
            ("-,r=b", 6, 0),
            ("r=a", 8, 3),
            ("r=b", 14, 0),
        ];
        let all = all.map(|(key, total, floor)| (key.to_owned(), total, floor));
        assert_eq!(shown(&rolled(9))[..7], all, "of the rest, r=a may have had some removed");
        assert_eq!(rolled(9).len(), 8, "and r=c");
        let kept = rolled(1);
        let expected = [("", 50, 0), ("*", 0, 8 + 3 + 4 + 3), ("-", 16, 0), ("-,r=b", 6, 0), ("r=b", 14, 0)];
        assert_eq!(shown(&kept), expected.map(|(key, total, floor)| (key.to_owned(), total, floor)));
    }
}
