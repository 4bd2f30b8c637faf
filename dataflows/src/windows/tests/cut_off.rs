//! Compares the windows of a run that was cut off anywhere and resumed from its stored blocks with those of one run.

use super::*;
use crest_state::levels::Levels;
use crest_state::rollup::roll_up;
use std::collections::BTreeSet;

fn levels() -> Levels {
    Levels::new(Duration::from_secs(10))
}

/// The digests of all blocks that hold an event and end at or before `durable`.
fn stored(panes: &Panes, durable: Pane) -> BTreeMap<Block, Groups> {
    let levels = levels();
    let pane = |(&start, groups): (&Pane, &Groups)| (Block { level: 0, start }, groups.clone());
    let mut all: BTreeMap<Block, Groups> = panes.range(..durable).map(pane).collect();
    for level in 1..levels.count() {
        let blocks: BTreeSet<Block> =
            panes.range(..durable).map(|(pane, _)| levels.block(level, *pane)).collect();
        for block in blocks.into_iter().filter(|block| levels.end(*block) <= durable) {
            let children: Vec<&Groups> = levels.children(block).filter_map(|child| all.get(&child)).collect();
            let keys: BTreeSet<&GroupKey> = children.iter().flat_map(|groups| groups.keys()).collect();
            let of =
                |key: &GroupKey| children.iter().filter_map(|groups| groups.get(key)).collect::<Vec<_>>();
            let roll_up = |key: &GroupKey| (key.clone(), roll_up(of(key), 8 * ROWS_KEPT));
            let groups = keys.into_iter().map(roll_up).collect();
            all.insert(block, groups);
        }
    }
    all
}

/// The resume point that an earlier run left, and the blocks that the state then restores.
fn left(
    panes: &Panes,
    windows: &[(&str, u64, u64)],
    (durable, published): (Pane, Pane),
    longest_first: bool,
) -> (ResumePoint, Vec<(Block, Groups)>) {
    let levels = levels();
    let first = panes.range(..durable).next().map(|(first, _)| *first);
    let go_on = |size: u64, slide: u64| {
        let end = (published / slide * slide).max((first? + 1).next_multiple_of(slide));
        Some((end, end.saturating_sub(size)))
    };
    let windows: Vec<_> = windows
        .iter()
        .map(|(_, size, slide)| (levels.of_window(Engine::Sketch, *size, *slide), go_on(*size, *slide)))
        .collect();
    let needed = |block: &Block| {
        let of = windows.iter().filter(|(level, _)| *level == block.level);
        let from = of.filter_map(|(_, go_on)| go_on.map(|(_, from)| from)).min();
        let above = block.level + 1;
        let pending = above < levels.count() && levels.end(levels.block(above, block.start)) > durable;
        pending || from.is_some_and(|from| from <= block.start)
    };
    let mut blocks: Vec<_> = stored(panes, durable).into_iter().filter(|(block, _)| needed(block)).collect();
    if longest_first {
        blocks.reverse();
    }
    blocks.sort_by_key(|(block, _)| levels.end(*block));
    let windows = windows.into_iter().map(|(_, go_on)| go_on).collect();
    let lacking = Vec::new();
    (
        ResumePoint {
            durable,
            published,
            input_end: 0,
            finished: false,
            windows,
            lacking,
            ..ResumePoint::default()
        },
        blocks,
    )
}

/// Compares a run that was cut off and resumed with one that was not.
fn cut_off(
    windows: &[(&str, u64, u64)],
    panes: &Panes,
    bounded: bool,
    (durable, published): (Pane, Pane),
    (longest_first, at_once): (bool, bool),
) {
    let levels = levels();
    let end = end_of(bounded, panes).map(|end| end.max(durable));
    let mut whole = Run::new(windows, bounded, None);
    go_through(&mut whole, panes.range(..durable), false);
    whole.advance(Some(durable));
    go_through(&mut whole, panes.range(durable..), false);
    whole.advance(end);
    let (resume_point, blocks) = left(panes, windows, (durable, published), longest_first);
    let mut run = Run::new(windows, bounded, Some(resume_point));
    run.restore(blocks);
    run.advance(Some(durable));
    go_through(&mut run, panes.range(durable..), at_once);
    run.advance(end);
    let mut expected = whole.finals();
    expected.retain(|_, snapshot| snapshot.window_end > published as i64 * 10_000);
    let finals = run.finals();
    for (key, snapshot) in &expected {
        assert_eq!(finals.get(key), Some(snapshot), "{key:?}");
    }
    assert_eq!(finals.len(), expected.len(), "more than expected");
    let mut rollups = whole.rollups;
    rollups.retain(|(block, _)| levels.end(*block) > durable);
    assert_eq!(run.rollups, rollups);
}

/// Of a minute that the cut-off went through, the first panes are not in its rollup yet when the hour is found to be empty.
#[test]
fn one_that_goes_on_within_a_minute_after_a_gap_misses_no_end() {
    let hour = ("1h/1m", 360, 6);
    let pane = |pane: Pane| (pane, [(GroupKey::WHOLE, digest(std::iter::once((1, 1))))].into());
    let panes: Panes = [9065, 9468, 9469, 9474, 9475].map(pane).into();
    for bounded in [true, false] {
        for durable in 9066..9476 {
            cut_off(&[hour], &panes, bounded, (durable, durable), (true, false));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_was_cut_off_anywhere_publishes_what_one_run_does(
        windows in some_windows(), panes in panes(60, 9000), durable in any::<prop::sample::Index>(),
        published in any::<prop::sample::Index>(), how in any::<(bool, bool)>(),
    ) {
        let (first, last) = (*panes.keys().next().unwrap(), *panes.keys().last().unwrap());
        let durable = first + durable.index((last - first) as usize + 2) as u64;
        let published = first + published.index((durable - first) as usize + 1) as u64;
        cut_off(&windows, &panes, true, (durable, published), how);
    }

    #[test]
    fn so_does_one_that_was_cut_off_after_a_pane(
        windows in some_windows(), panes in panes(200, 3000), durable in any::<prop::sample::Index>(),
        behind in 0u64..3, silence in prop_oneof![3 => Just(0u64), 1 => 1u64..300], how in any::<(bool, bool)>(),
    ) {
        // The events of other boards may have moved time on.
        let list: Vec<Pane> = panes.keys().map(|pane| pane + 1 + silence).collect();
        let durable = *durable.get(&list);
        cut_off(&windows, &panes, true, (durable, durable.saturating_sub(behind)), how);
    }

    #[test]
    fn so_does_one_of_a_live_stream(
        windows in some_windows(), panes in panes(60, 900), durable in any::<prop::sample::Index>(),
        published in any::<prop::sample::Index>(), how in any::<(bool, bool)>(),
    ) {
        let (first, last) = (*panes.keys().next().unwrap(), *panes.keys().last().unwrap());
        let durable = first + durable.index((last - first) as usize + 2) as u64;
        let published = first + published.index((durable - first) as usize + 1) as u64;
        cut_off(&windows, &panes, false, (durable, published), how);
    }
}
