//! Compares rollups with a naive merge, and a restored pyramid with one that was never interrupted; checks its memory.

use super::*;
use crest_connectors::group_key::GroupKey;
use crest_sketches::{Merged, PaneSketch, Shape};
use proptest::prelude::*;
use std::time::Duration;

const SEED: u64 = 11;
/// So few that some digests are cut and others are exact.
const ROWS: usize = 40;
/// A limit that no test reaches.
const LIMIT: usize = 100;

/// Closed panes, by the digest of each group.
type Panes = BTreeMap<Pane, BTreeMap<GroupKey, Rc<Digest>>>;
type Complete = Vec<(Block, BTreeMap<GroupKey, Rc<Digest>>)>;

fn digest(shape: &Shape, rows: usize, items: impl Iterator<Item = (u64, u32)>) -> Digest {
    let mut sketch = PaneSketch::new(shape);
    items.for_each(|(item, weight)| sketch.add(format!("item:{item}").as_bytes(), weight));
    let mut merged = Merged::new(shape);
    merged.add(&sketch);
    merged.cut(rows)
}

/// Panes with gaps of all sizes, each with the whole board and perhaps a group.
fn panes() -> impl Strategy<Value = Panes> {
    let gap = prop_oneof![8 => 1u64..4, 4 => 5u64..90, 2 => 300u64..800, 1 => 8000u64..9000];
    let items = prop::collection::vec((0u64..80, 1u32..5), 1..60);
    let pane = (gap, items, prop::option::of(0u64..7));
    prop::collection::vec(pane, 1..60).prop_map(|list| {
        let shape = Shape::new(32, 0.01, 0.01, SEED).unwrap();
        let mut at = 0;
        let pane = |(gap, items, group): (u64, Vec<(u64, u32)>, Option<u64>)| {
            at += gap;
            let whole = digest(&shape, ROWS, items.iter().copied());
            let group = group.map(|item| {
                let part = digest(&shape, ROWS, std::iter::once((item, 1)));
                (GroupKey::from_values([("region", (item % 2).to_string())]), Rc::new(part))
            });
            (at, BTreeMap::from_iter(group.into_iter().chain([(GroupKey::WHOLE, Rc::new(whole))])))
        };
        list.into_iter().map(pane).collect()
    })
}

/// The digest of a group over a block, from the panes.
fn naive(levels: &Levels, panes: &Panes, block: Block, group: &GroupKey) -> Option<Digest> {
    if block.level == 0 {
        return panes.get(&block.start)?.get(group).map(|digest| Digest::clone(digest));
    }
    panes.range(block.start..levels.end(block)).next()?;
    let parts: Vec<Digest> =
        levels.children(block).filter_map(|child| naive(levels, panes, child, group)).collect();
    (!parts.is_empty()).then(|| Digest::merge(&parts).cut(ROWS))
}

/// The blocks of a level that hold an event.
fn blocks(levels: &Levels, panes: &Panes, level: usize) -> BTreeSet<Block> {
    panes.keys().map(|pane| levels.block(level, *pane)).collect()
}

fn groups(levels: &Levels, panes: &Panes, block: Block) -> BTreeMap<GroupKey, Rc<Digest>> {
    let keys: BTreeSet<&GroupKey> = panes.values().flat_map(|groups| groups.keys()).collect();
    let digests = keys.into_iter().map(|group| (group.clone(), naive(levels, panes, block, group)));
    digests.filter_map(|(group, digest)| Some((group, Rc::new(digest?)))).collect()
}

fn complete(pyramid: &mut Pyramid, to: Pane) -> Complete {
    let next = || pyramid.complete_next(to).map(|rollup| (rollup.block, rollup.groups));
    std::iter::from_fn(next).collect()
}

/// Closes panes, each after time has passed to it.
fn close<'a>(
    pyramid: &mut Pyramid,
    panes: impl Iterator<Item = (&'a Pane, &'a BTreeMap<GroupKey, Rc<Digest>>)>,
) -> Complete {
    let mut all = Vec::new();
    for (&pane, groups) in panes {
        all.extend(complete(pyramid, pane));
        pyramid.add(PaneDigests { pane, groups: groups.clone() });
    }
    all
}

fn pending(pyramid: &Pyramid) -> usize {
    pyramid.pending.iter().map(Vec::len).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn rollups_are_the_merge_of_their_panes(
        panes in panes(), seconds in prop::sample::select(vec![10u64, 24, 60]), silence in 0u64..10_000,
    ) {
        let levels = Levels::new(Duration::from_secs(seconds));
        let top = levels.count() - 1;
        let mut pyramid = Pyramid::new(levels, top, ROWS, SEED, LIMIT);
        let mut all = close(&mut pyramid, panes.iter());
        let to = panes.keys().last().map_or(0, |last| last + 1 + silence);
        all.extend(complete(&mut pyramid, to));
        let order: Vec<_> = all.iter().map(|(block, _)| (levels.end(*block), block.level)).collect();
        prop_assert!(order.is_sorted(), "{order:?}");
        let mut expected: Vec<Block> = (1..=top).flat_map(|level| blocks(&levels, &panes, level)).collect();
        expected.retain(|block| levels.end(*block) <= to);
        let mut completed: Vec<Block> = all.iter().map(|(block, _)| *block).collect();
        completed.sort();
        prop_assert_eq!(completed, expected);
        for (block, rollup) in all {
            prop_assert_eq!(&rollup, &groups(&levels, &panes, block));
            for (text, digest) in rollup {
                let parts = panes.range(block.start..levels.end(block));
                let whole = Digest::merge(parts.filter_map(|(_, groups)| groups.get(&text)).map(Rc::as_ref));
                prop_assert_eq!(digest.total(), whole.total());
                prop_assert!(!digest.is_exact() || *digest == whole, "exact, and not the same");
            }
        }
        let incomplete = |level: &usize| {
            let above = |block: &Block| levels.end(levels.block(level + 1, block.start)) > to;
            blocks(&levels, &panes, *level).iter().filter(|block| levels.end(**block) <= to && above(block)).count()
        };
        prop_assert_eq!(pending(&pyramid), (0..top).map(|level| incomplete(&level)).sum::<usize>());
    }

    #[test]
    fn one_that_goes_on_from_what_is_stored_completes_and_shows_the_same(
        panes in panes(), at in any::<prop::sample::Index>(), later in 0u64..20,
    ) {
        let levels = Levels::new(Duration::from_secs(10));
        let top = levels.count() - 1;
        let durable = 1 + later + *at.get(&panes.keys().copied().collect::<Vec<_>>());
        let mut whole = Pyramid::new(levels, top, ROWS, SEED, LIMIT);
        close(&mut whole, panes.range(..durable));
        complete(&mut whole, durable);
        let mut gone_on = Pyramid::new(levels, top, ROWS, SEED, LIMIT);
        let known: Panes = panes.range(..durable).map(|(pane, groups)| (*pane, groups.clone())).collect();
        for level in 0..top {
            for block in blocks(&levels, &known, level) {
                let above = levels.block(level + 1, block.start);
                if levels.end(block) <= durable && levels.end(above) > durable {
                    gone_on.restore(block, groups(&levels, &known, block));
                }
            }
        }
        for level in 0..=top {
            let block = levels.block(level, durable);
            for group in ["", "region=0", "region=1"].map(|text| text.parse::<GroupKey>().unwrap()) {
                let partial = whole.partial(&group, level, block.start);
                let expected = naive(&levels, &known, block, &group).filter(|_| level > 0);
                prop_assert_eq!(partial.as_deref(), expected.as_ref());
                prop_assert_eq!(partial, gone_on.partial(&group, level, 0));
                prop_assert_eq!(whole.partial(&group, level, block.start + 1), None);
            }
        }
        let rest = || panes.range(durable..);
        prop_assert_eq!(close(&mut whole, rest()), close(&mut gone_on, rest()));
        prop_assert_eq!(complete(&mut whole, Pane::MAX), complete(&mut gone_on, Pane::MAX));
        prop_assert_eq!((pending(&whole), pending(&gone_on)), (0, 0));
    }
}

#[test]
fn it_completes_no_level_beyond_the_highest_that_is_asked_for() {
    let (levels, shape) = (Levels::new(Duration::from_secs(10)), Shape::new(32, 0.01, 0.01, SEED).unwrap());
    let whole = Rc::new(digest(&shape, ROWS, std::iter::once((1, 1))));
    let panes: Panes =
        (0..100).map(|pane| (pane, BTreeMap::from([(GroupKey::WHOLE, whole.clone())]))).collect();
    for (top, count) in [(0, 0), (1, 16), (2, 17), (3, 17)] {
        let mut pyramid = Pyramid::new(levels, top, ROWS, SEED, LIMIT);
        let mut all = close(&mut pyramid, panes.iter());
        all.extend(complete(&mut pyramid, 100));
        assert_eq!(all.len(), count, "up to level {top}");
        assert_eq!(pyramid.partial(&GroupKey::WHOLE, top, 0).is_some(), top > 0);
    }
}

#[test]
fn a_day_of_full_panes_is_a_few_megabytes() {
    let (levels, rows) = (Levels::new(Duration::from_secs(10)), 8192);
    let shape = Shape::new(16_384, 0.001, 0.00005, SEED).unwrap();
    let pane = |pane: u64| {
        let items = (0..9_000).map(|item| (item * 16 + pane % 16 + 1_000_000_000, (item % 900) as u32 + 1));
        BTreeMap::from([(GroupKey::WHOLE, Rc::new(digest(&shape, rows, items)))])
    };
    let panes: Vec<_> = (0..16).map(pane).collect();
    let mut pyramid = Pyramid::new(levels, 4, rows, SEED, LIMIT);
    // As an hour ends, all levels are as full as they get; the last one of the day is the worst.
    let hour = |hour: u64| (hour * 360, &panes[hour as usize % 16][""]);
    for (start, digest) in (0..22).map(hour) {
        let groups = BTreeMap::from([(GroupKey::WHOLE, digest.clone())]);
        pyramid.restore(Block { level: 3, start }, groups);
    }
    let (mut bytes, mut children) = (0, 0);
    for pane in 22 * 360..8640 {
        complete(&mut pyramid, pane);
        pyramid.add(PaneDigests { pane, groups: panes[pane as usize % 16].clone() });
        // All that a window of months shows, once in a while.
        if pane % 60 == 59 {
            assert!(
                pyramid.partial(&GroupKey::WHOLE, 4, 0).is_some_and(|digest| digest.rows().len() == rows)
            );
        }
        (bytes, children) = (bytes.max(pyramid.bytes()), children.max(pending(&pyramid)));
    }
    assert!(bytes < 8_000_000, "{bytes}");
    // The last pane of all is closed, and its minute not complete yet.
    assert_eq!(children, 6 + 9 + 5 + 23);
    assert_eq!(complete(&mut pyramid, 8640).len(), 4);
    assert_eq!(pyramid.bytes(), 0);
}
