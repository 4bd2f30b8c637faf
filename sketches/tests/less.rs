//! What is left of what was counted where some was removed: digests and windows against a recount of both streams, and
//! against each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{Bounds, Digest, Ranking, Removed, Rises, WindowSum};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;

/// Panes of two streams, cut to a few rows.
fn panes(most: usize) -> impl Strategy<Value = Vec<(Vec<Event>, Digest)>> {
    let pane = (stream(300), prop_oneof![Just(usize::MAX), 0..40usize]).prop_map(|(events, rows)| {
        let digest = digest(&small(), &events, rows);
        (events, digest)
    });
    prop::collection::vec(pane, 0..most)
}

fn digests(panes: &[(Vec<Event>, Digest)]) -> Vec<&Digest> {
    panes.iter().map(|(_, digest)| digest).collect()
}

/// By key, what is left; less than nothing of some.
fn left(counted: &[(Vec<Event>, Digest)], removed: &[(Vec<Event>, Digest)]) -> BTreeMap<Vec<u8>, i64> {
    let of = |panes: &[(Vec<Event>, Digest)]| recount(panes.iter().flat_map(|(events, _)| events));
    let mut left: BTreeMap<Vec<u8>, i64> =
        of(counted).into_iter().map(|(key, weight)| (key, weight as i64)).collect();
    for (key, weight) in of(removed) {
        *left.entry(key).or_default() -= weight as i64;
    }
    left
}

/// Every claim of a ranking, by what is truly left.
fn check(ranking: &Ranking, k: usize, left: &BTreeMap<Vec<u8>, i64>) {
    let of = |key: &[u8]| left.get(key).map_or(0, |left| (*left).max(0) as u64);
    for row in &ranking.rows {
        assert!(row.bounds.contains(of(&row.key)) && row.bounds.upper() > 0, "{row:?} has {}", of(&row.key));
    }
    let order: Vec<_> = ranking.rows.iter().map(|row| (row.bounds.upper(), &row.key)).collect();
    assert!(order.is_sorted_by(|a, b| a > b) && ranking.floor <= ranking.outside);
    let listed = |key: &Vec<u8>| ranking.rows.iter().any(|row| row.key == *key);
    let missed = left.keys().find(|key| of(key) > ranking.outside && !listed(key));
    assert!(missed.is_none(), "{missed:?} is left, and at most {}", ranking.outside);
    for row in &ranking.rows[..ranking.guaranteed()] {
        let above = left.values().filter(|other| **other > of(&row.key) as i64).count();
        assert!(of(&row.key) > 0 && above < k, "{row:?} is guaranteed");
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_difference_holds_in_a_recount(counted in panes(4), removed in panes(4), k in 0..60usize) {
        let truth = left(&counted, &removed);
        let sum = |panes| Digest::merge(digests(panes));
        let (counted, removed) = (sum(&counted), sum(&removed));
        let difference = counted.less(&removed);
        let ranking = difference.rank(k);
        check(&ranking, k, &truth);
        prop_assert_eq!(ranking.total, counted.total().saturating_sub(removed.total()));
        prop_assert_eq!((ranking.removed, difference.removed()), (removed.total(), removed.total()));
        prop_assert_eq!((difference.floor(), difference.total()), (counted.floor(), ranking.total));
        prop_assert!(!difference.is_exact() || difference.rows().all(|row| row.bounds.is_exact()));
        let some = |key: &Vec<u8>| truth[key] > 0;
        for key in truth.keys() {
            let known = difference.item_rank(key);
            prop_assert_eq!(known.bounds, difference.bounds(hash(key), key));
            prop_assert!(known.bounds.contains(truth[key].max(0) as u64));
            if some(key) {
                let before = |other: &&Vec<u8>| (truth[*other], *other) > (truth[key], key);
                let rank = 1 + truth.keys().filter(|other| some(other)).filter(before).count() as u64;
                let range = known.range.unwrap();
                prop_assert!((range.best..=range.worst).contains(&rank), "{:?} is not {}", range, rank);
            }
        }
    }

    #[test]
    fn nothing_that_is_removed_leaves_what_was_counted(counted in panes(4), k in 0..60usize) {
        let counted = Digest::merge(digests(&counted));
        let difference = counted.less(&Digest::default());
        prop_assert_eq!(difference.rank(k), counted.rank(k));
        prop_assert!(difference.rows().eq(counted.rows()));
        let all = counted.less(&counted);
        prop_assert_eq!((all.total(), all.removed()), (0, counted.total()));
        prop_assert!(!counted.is_exact() || all.rank(k).rows.is_empty());
    }

    /// Windows of few rows and of many, slid, with open panes, and what neither has counted.
    #[test]
    fn a_window_is_ranked_as_the_difference_of_its_nodes(
        counted in panes(6), removed in panes(6), open in panes(3), taken in panes(3),
        expire in 0..7u64, unseen in 0..9u64, k in 0..60usize,
    ) {
        let mut windows = [WindowSum::new(), WindowSum::new()];
        for (panes, window) in [&counted, &removed].into_iter().zip(&mut windows) {
            (0..).zip(panes).for_each(|(number, (_, digest))| window.push(number, digest));
        }
        let [ours, theirs] = &windows;
        let (open, taken, more) = (digests(&open), digests(&taken), Digest::unseen(unseen));
        let of = |panes, open: &[&Digest]| {
            let from = (expire as usize).min(Vec::len(panes));
            Digest::merge(digests(&panes[from..]).into_iter().chain(open.iter().copied()).chain([&more]))
        };
        let expected = of(&counted, &open).less(&of(&removed, &taken)).rank(k);
        let gone = Removed { sum: theirs, open: &taken, unseen };
        let own = |ranking: Ranking<&[u8]>| {
            ranking.rows.iter().map(|row| (row.key.to_vec(), row.bounds)).collect::<Vec<_>>()
        };
        let rows = ours.rank_less_with(expire, &open, &gone, k, own);
        let expected_rows: Vec<_> = expected.rows.iter().map(|row| (row.key.clone(), row.bounds)).collect();
        prop_assert_eq!(rows, expected_rows);
        let sums = ours.rank_less_with(expire, &open, &gone, k, |it| (it.total, it.removed, it.floor, it.outside));
        prop_assert_eq!(sums, (expected.total, expected.removed, expected.floor, expected.outside));
        let [mut ours, mut theirs] = windows.clone();
        ours.expire(expire);
        theirs.expire(expire);
        let slid = ours.rank_less(&Removed { sum: &theirs, open: &[], unseen: 0 }, k);
        let of = |panes| Digest::merge(digests(&panes[(expire as usize).min(Vec::len(panes))..]));
        prop_assert_eq!(slid, of(&counted).less(&of(&removed)).rank(k));
    }

    #[test]
    fn what_rises_of_what_is_left_holds_in_a_recount(
        before in (panes(3), panes(3)), now in (panes(3), panes(3)), k in 1..40usize,
    ) {
        let of = |panes: &[(Vec<Event>, Digest)]| Digest::merge(digests(panes));
        let truths = [left(&before.0, &before.1), left(&now.0, &now.1)];
        let (before, now) = (of(&before.0).less(&of(&before.1)), of(&now.0).less(&of(&now.1)));
        let rises = Rises::between(&before, &now, k);
        for row in &rises.rows {
            let [before, now] = truths.each_ref().map(|truth| truth.get(&row.key).map_or(0, |left| (*left).max(0) as u64));
            prop_assert!(row.count.contains(now) && row.before.contains(before), "{:?}: {} to {}", row, before, now);
        }
    }
}

#[test]
fn bounds_less_others_are_never_below_nothing() {
    let of = |ours: (u64, u64), theirs: (u64, u64)| {
        Bounds::new(ours.0, ours.1).less(&Bounds::new(theirs.0, theirs.1))
    };
    assert_eq!(of((5, 9), (1, 2)), Bounds::new(3, 8));
    assert_eq!(of((5, 9), (3, 7)), Bounds::new(0, 6));
    assert_eq!(of((5, 9), (10, 12)), Bounds::exactly(0));
}

#[test]
#[should_panic(expected = "a difference is no digest of what was counted")]
fn a_difference_is_not_added_up() {
    let digest = digest(&small(), &[(1, 5)], 10);
    let left = digest.less(&Digest::default());
    let _ = Digest::merge([&left, &digest]);
}
