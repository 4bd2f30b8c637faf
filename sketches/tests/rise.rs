//! What rises between two times: the bounds hold for every item, listed or not, nothing that has risen by more than the floor
//! is missed, and what is said to be certain is. Against a recount, with risers that are hidden in the tail.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_sketches::{Bounds, Digest, Rises, surge};
use proptest::prelude::*;
use std::collections::BTreeSet;
use support::*;

/// The weights of an item before and now.
type Pair = (u64, u64);

/// What is true of every item of either time.
fn pairs(before: &Truth, now: &Truth) -> Vec<(Vec<u8>, Pair)> {
    let keys: BTreeSet<&Vec<u8>> = before.keys().chain(now.keys()).collect();
    let of = |truth: &Truth, key: &Vec<u8>| truth.get(key).copied().unwrap_or(0);
    keys.into_iter().map(|key| (key.clone(), (of(before, key), of(now, key)))).collect()
}

fn check(rises: &Rises, truth: &[(Vec<u8>, Pair)], k: usize) {
    assert!(rises.rows.len() <= k);
    let ranks_first = |a: &crest_sketches::RiseRow, b: &crest_sketches::RiseRow| {
        (a.surge().1, &a.key) > (b.surge().1, &b.key)
    };
    assert!(rises.rows.is_sorted_by(ranks_first), "{rises:?}");
    for (key, (before, now)) in truth {
        let (true_rise, true_surge) = (i128::from(*now) - i128::from(*before), surge(*now, *before));
        let Some(row) = rises.rows.iter().find(|row| row.key == *key) else {
            assert!(true_surge <= rises.outside, "{key:?} has risen from {before} to {now}: {rises:?}");
            continue;
        };
        assert!(row.before.contains(*before) && row.count.contains(*now), "{row:?}: {before}, {now}");
        let ((least, most), (lower, upper)) = (row.rise(), row.surge());
        assert!(least <= true_rise && true_rise <= most, "{row:?}: {before}, {now}");
        assert!(lower <= true_surge && true_surge <= upper, "{row:?}: {before}, {now}");
        assert!((most - least) as u64 <= rises.error());
    }
    for row in &rises.rows[..rises.guaranteed()] {
        let (_, (before, now)) = truth.iter().find(|(key, _)| *key == row.key).unwrap();
        let ours = surge(*now, *before);
        assert!(ours > 0.0, "{row:?} has not risen: {before}, {now}");
        let better = truth.iter().filter(|(_, (before, now))| surge(*now, *before) > ours).count();
        assert!(better < k, "{row:?} is not among the top {k}: {rises:?}");
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn bounds_hold_and_what_is_certain_is_true(
        streams in prop::collection::vec(prop::collection::vec(stream(400), 1..3), 2),
        rows in prop_oneof![Just(usize::MAX), 0..120usize],
        k in 0..60usize,
        shape in shape(),
    ) {
        let digest = |parts: &[Vec<Event>]| merged(&shape, parts.iter().map(|part| &part[..])).cut(rows);
        let (before, now) = (digest(&streams[0]), digest(&streams[1]));
        let truth = pairs(&recount(streams[0].iter().flatten()), &recount(streams[1].iter().flatten()));
        check(&Rises::between(&before, &now, k), &truth, k);
    }

    #[test]
    fn what_is_of_too_few_or_left_out_is_not_told(
        streams in prop::collection::vec(prop::collection::vec(stream(400), 1..3), 2),
        rows in prop_oneof![Just(usize::MAX), 0..120usize],
        (k, least, left_out) in (0..60usize, 1..30u64, 0..20u32),
        shape in shape(),
    ) {
        let digest = |parts: &[Vec<Event>]| merged(&shape, parts.iter().map(|part| &part[..])).cut(rows);
        let (before, now) = (digest(&streams[0]), digest(&streams[1]));
        let left_out: BTreeSet<Vec<u8>> = (0..left_out).map(|item| key(3 * item)).collect();
        let is_left_out = |key: &[u8]| left_out.contains(key);
        let rises = Rises::shown_between(&before, &now, k, (least, is_left_out));
        let mut truth = pairs(&recount(streams[0].iter().flatten()), &recount(streams[1].iter().flatten()));
        truth.retain(|(key, _)| !is_left_out(key));
        check(&rises, &truth, k);
        for row in &rises.rows {
            prop_assert!(row.count.lower() >= least && !is_left_out(&row.key), "{row:?}");
            let (lower, upper) = (row.before.lower(), row.before.upper());
            prop_assert!(lower >= least || (lower == 0 && upper >= least - 1), "{row:?}");
        }
        prop_assert!(rises.floor >= least - 1);
        let left = |total: u64, of: &dyn Fn(&crest_sketches::RiseRow) -> Bounds| {
            let sum = |end: fn(&Bounds) -> u64| rises.rows.iter().map(|row| end(&of(row))).sum::<u64>();
            (total.saturating_sub(sum(Bounds::upper)), total.saturating_sub(sum(Bounds::lower)))
        };
        let now = left(rises.total, &|row| row.count);
        let earlier = left(rises.total_before, &|row| row.before);
        for (at_least, at_most) in [now, earlier] {
            prop_assert!(rises.rows.is_empty() || at_most == 0 || at_least >= least, "{rises:?}");
        }
    }
}

/// Of a long tail of small items, some rise to where the smallest of the head are. Whoever has risen by more than the floor is
/// listed, and not one of them is lost among the large items that stay as they are.
#[test]
fn risers_that_were_hidden_in_the_tail_are_not_missed() {
    let shape = crest_sketches::Shape::new(256, 0.001, 0.0005, SEED).unwrap();
    // The first hundred are the head.
    let usual = |item: u32| if item < 100 { 40_000 / (item + 1) } else { 1 + item % 3 };
    let rises = |item: u32| item >= 100 && item % 400 == 107;
    let later = |item: u32| usual(item) + if rises(item) { 500 + item } else { 0 };
    let earlier: Vec<Event> = (0..20_000).map(|item| (item, usual(item))).collect();
    let later: Vec<Event> = (0..20_000).map(|item| (item, later(item))).collect();
    let digest = |events: &[Event]| merged(&shape, [events]).cut(512);
    let (before, now) = (digest(&earlier), digest(&later));
    assert!(now.floor() > 0 && before.floor() > 0, "the panes must not fit");

    let truth = pairs(&recount(&earlier), &recount(&later));
    for k in [10, 50, 100, usize::MAX] {
        check(&Rises::between(&before, &now, k), &truth, k);
    }
    let all = Rises::between(&before, &now, usize::MAX);
    let listed: BTreeSet<&[u8]> = all.rows.iter().map(|row| &row.key[..]).collect();
    let above = truth.iter().filter(|(_, (before, now))| now.saturating_sub(*before) > all.floor);
    let above: Vec<&[u8]> = above.map(|(key, _)| &key[..]).collect();
    assert_eq!(above.len(), 50, "of a floor of {}", all.floor);
    assert!(above.iter().all(|key| listed.contains(key)));
    let head: BTreeSet<Vec<u8>> = (0..100).map(key).collect();
    let stays = all.rows.iter().take(40).filter(|row| head.contains(&row.key)).count();
    assert_eq!(stays, 0, "what stays as it is does not rise");
}

#[test]
fn without_a_digest_before_everything_has_risen_from_nothing() {
    let shape = crest_sketches::Shape::new(64, 0.001, 0.0005, SEED).unwrap();
    let now = merged(&shape, [&[(1, 9), (2, 4)][..]]).cut(10);
    let rises = Rises::between(&Digest::default(), &now, 1);
    assert_eq!((rises.rows[0].rise(), rises.rows[0].surge()), ((9, 9), (9.0, 9.0)));
    assert_eq!((rises.outside, rises.guaranteed(), rises.total, rises.total_before), (4.0, 1, 13, 0));
    assert_eq!(Rises::between(&now, &Digest::default(), 5), Rises { total_before: 13, ..Rises::default() });
}
