//! Who has a place, for panes that come one after the other and for those that go on from what is stored.

use super::*;
use crest_state::levels::Levels;
use crest_state::spec::{Engine, TimeSpec, WindowSpec};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: usize = 4;
/// Sizes and slides in panes of 10 s, made of panes, of minutes and of 10 minutes.
const WINDOWS: [(u64, u64); 7] = [(6, 1), (3, 3), (25, 1), (24, 24), (360, 6), (192, 6), (1920, 60)];

type Groups = BTreeMap<GroupKey, u64>;

fn key(number: u64) -> GroupKey {
    GroupKey::from_values([("g", number.to_string())])
}

fn admission(windows: &[(u64, u64)]) -> Admission {
    let window = |(size, slide): &(u64, u64)| {
        WindowSpec::sliding("w", Duration::from_secs(10 * size), Duration::from_secs(10 * slide))
    };
    let windows = windows.iter().map(window).collect();
    let board = BoardSpec { max_groups: LIMIT, windows, ..BoardSpec::default() };
    Admission::of(&board, PaneWidth::new(TimeSpec::default().pane))
}

/// Closes a pane: its groups that have a place.
fn close(admission: &mut Admission, pane: Pane, groups: &Groups) -> BTreeSet<GroupKey> {
    let dropped = admission.admit(pane, groups.iter().map(|(group, weight)| (group, *weight)));
    groups.keys().filter(|text| !dropped.contains(text)).cloned().collect()
}

fn panes() -> impl Strategy<Value = BTreeMap<Pane, Groups>> {
    let gap = prop_oneof![12 => 1u64..3, 4 => 3u64..40, 1 => 300u64..2500];
    let group = prop_oneof![2 => 0u64..3, 3 => 3u64..40];
    let groups = prop::collection::vec((group, 1u64..6), 0..8);
    (0u64..5000, prop::collection::vec((gap, groups), 1..60)).prop_map(|(mut at, list)| {
        let pane = |(gap, groups): (u64, Vec<(u64, u64)>)| {
            at += gap;
            (at, groups.into_iter().map(|(group, weight)| (key(group), weight)).collect())
        };
        list.into_iter().map(pane).collect()
    })
}

proptest! {
    #[test]
    fn every_window_has_at_most_so_many_groups_and_who_is_in_one_stays(
        windows in prop::sample::subsequence(WINDOWS.to_vec(), 1..4), panes in panes(),
    ) {
        let (mut admission, mut kept) = (admission(&windows), BTreeMap::<Pane, BTreeSet<GroupKey>>::new());
        for (pane, groups) in &panes {
            let listed = close(&mut admission, *pane, groups);
            let of = |from: Pane| kept.range(from..).flat_map(|(_, texts)| texts).cloned().collect::<BTreeSet<_>>();
            let firsts = windows.iter().map(|(size, slide)| {
                (pane + 1).next_multiple_of(*slide).saturating_sub(*size)
            });
            let held = of(firsts.min().unwrap());
            prop_assert!(groups.keys().filter(|text| held.contains(*text)).all(|text| listed.contains(text)));
            // No room is left while somebody waits, and who waits is not heavier than who came in.
            let waits = |text: &&GroupKey| !listed.contains(*text);
            let now = held.union(&listed).count();
            prop_assert!(now <= LIMIT && (now == LIMIT || groups.keys().all(|text| !waits(&text))));
            let least = listed.difference(&held).map(|text| groups[text]).min().unwrap_or(u64::MAX);
            prop_assert!(groups.iter().filter(|(text, _)| waits(text)).all(|(_, weight)| *weight <= least));
            kept.insert(*pane, listed);
        }
        for (size, slide) in windows {
            for end in panes.keys().map(|pane| (pane + 1).next_multiple_of(slide)) {
                let range = kept.range(end.saturating_sub(size)..end);
                prop_assert!(range.flat_map(|(_, texts)| texts).collect::<BTreeSet<_>>().len() <= LIMIT);
            }
        }
    }

    #[test]
    fn a_run_that_goes_on_from_the_stored_blocks_of_its_windows_decides_the_same(
        windows in prop::sample::subsequence(WINDOWS.to_vec(), 1..4), panes in panes(),
        durable in any::<prop::sample::Index>(), behind in 0u64..3,
    ) {
        let levels = Levels::new(Duration::from_secs(10));
        let (first, last) = (*panes.keys().next().unwrap(), *panes.keys().last().unwrap());
        let durable = first + durable.index((last - first) as usize + 2) as u64;
        let published = durable.saturating_sub(behind);
        let (mut whole, mut kept) = (admission(&windows), BTreeMap::new());
        for (pane, groups) in panes.range(..durable) {
            kept.insert(*pane, close(&mut whole, *pane, groups));
        }
        let mut resumed = admission(&windows);
        // The blocks that the state hands out: of each window those of its level, and all whose rollup is not complete.
        for level in 0..levels.count() {
            let of_windows = windows.iter().filter(|(size, slide)| {
                levels.of_window(Engine::Sketch, *size, *slide) == level
            });
            let from = of_windows.map(|(size, slide)| (published / slide * slide).saturating_sub(*size)).min();
            let blocks: BTreeSet<Block> = kept.keys().map(|pane| levels.block(level, *pane)).collect();
            for block in blocks.into_iter().filter(|block| levels.end(*block) <= durable) {
                let above = (level + 1 < levels.count()).then(|| levels.block(level + 1, block.start));
                let incomplete = above.is_some_and(|above| levels.end(above) > durable);
                if incomplete || from.is_some_and(|from| from <= block.start) {
                    let texts = kept.range(block.start..levels.end(block)).flat_map(|(_, texts)| texts);
                    resumed.restore(block, &texts.map(|text| (text.clone(), ())).collect());
                }
            }
        }
        for (pane, groups) in panes.range(durable..) {
            prop_assert_eq!(close(&mut whole, *pane, groups), close(&mut resumed, *pane, groups), "pane {}", pane);
        }
    }
}

#[test]
fn without_windows_each_pane_decides_alone() {
    let mut admission = admission(&[]);
    let groups = |from: u64| -> Groups { (from..from + 6).map(|n| (key(n), 1 + n % 3)).collect() };
    assert_eq!(close(&mut admission, 5, &groups(0)), [1, 2, 4, 5].map(key).into());
    assert_eq!(close(&mut admission, 6, &groups(6)).len(), LIMIT);
}
