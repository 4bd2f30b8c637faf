//! One item among all: its bounds hold, and its true rank is among those that it is said to be able to have, in digests of
//! every kind, merged and cut, and in rankings of which only the top rows are known.

mod support;

use crest_sketches::{Digest, ItemRank, Shape, Unlisted};
use proptest::prelude::*;
use std::cmp::Reverse;
use support::*;

/// The rank of an item by definition; of one without weight, behind all others.
fn true_rank(truth: &Truth, key: &[u8]) -> u64 {
    let weight = |key: &[u8]| truth.get(key).copied().unwrap_or(0);
    let ours = (weight(key), key);
    1 + truth.iter().filter(|(other, weight)| (**weight, &***other) > ours).count() as u64
}

/// Every item of the stream, and some that it never had.
fn all_items(truth: &Truth) -> Vec<Vec<u8>> {
    truth.keys().cloned().chain([b"".to_vec(), b"item-".to_vec(), b"never seen".to_vec()]).collect()
}

fn check(item: ItemRank, truth: &Truth, key: &[u8]) {
    let count = truth.get(key).copied().unwrap_or(0);
    assert!(item.bounds.contains(count), "{key:?} has {count}: {item:?}");
    let rank = true_rank(truth, key);
    match item.range {
        Some(range) => assert!(range.best <= rank && rank <= range.worst, "{key:?} is {rank}: {item:?}"),
        None => assert_eq!(count, 0, "{key:?}: {item:?}"),
    }
}

/// Digests of panes, each of several partitions, cut to `rows`.
fn panes(shape: &Shape, panes: &[Vec<Vec<Event>>], rows: usize) -> Vec<Digest> {
    panes.iter().map(|parts| merged(shape, parts.iter().map(|part| &part[..])).cut(rows)).collect()
}

fn streams() -> impl Strategy<Value = Vec<Vec<Vec<Event>>>> {
    prop::collection::vec(prop::collection::vec(stream(600), 1..3), 1..5)
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn the_true_rank_of_every_item_is_one_that_it_can_have(
        streams in streams(), rows in prop_oneof![Just(usize::MAX), 0..120usize], shape in shape(),
    ) {
        let truth = recount(streams.iter().flatten().flatten());
        let digest = Digest::merge(&panes(&shape, &streams, rows));
        for key in all_items(&truth) {
            let item = digest.item_rank(&key);
            prop_assert_eq!(item.bounds, digest.bounds(hash(&key), &key));
            prop_assert_eq!(item.listed, digest.rows().any(|row| row.key == key));
            check(item, &truth, &key);
        }
    }

    #[test]
    fn an_item_has_in_all_panes_what_it_has_in_each(
        streams in streams(), rows in 0..120usize, shape in shape(),
    ) {
        let truth = recount(streams.iter().flatten().flatten());
        let panes = panes(&shape, &streams, rows);
        let merged = Digest::merge(&panes);
        for key in all_items(&truth) {
            let sum = panes.iter().map(|pane| pane.bounds(hash(&key), &key)).sum();
            prop_assert_eq!(merged.item_rank(&key).bounds, sum);
        }
    }

    #[test]
    fn what_is_exact_has_one_rank(streams in streams()) {
        let shape = Shape::new(4096, 0.03, 0.05, SEED).unwrap();
        let truth = recount(streams.iter().flatten().flatten());
        let digest = Digest::merge(&panes(&shape, &streams, usize::MAX));
        prop_assert!(digest.is_exact());
        for key in all_items(&truth) {
            let (item, rank) = (digest.item_rank(&key), true_rank(&truth, &key));
            let known = truth.contains_key(&key);
            prop_assert_eq!(item.range.map(|range| (range.best, range.worst)), known.then_some((rank, rank)));
        }
    }

    #[test]
    fn weight_that_nobody_counted_may_be_of_any_items(
        seen in stream(500), unseen in stream(60), rows in 0..60usize, shape in shape(),
    ) {
        let mut merged = merged(&shape, [&seen[..]]);
        merged.add_unseen(unseen.iter().map(|&(_, weight)| u64::from(weight)).sum());
        let (digest, truth) = (merged.cut(rows), recount(seen.iter().chain(&unseen)));
        for key in all_items(&truth) {
            check(digest.item_rank(&key), &truth, &key);
        }
    }

    #[test]
    fn the_top_rows_alone_say_less_and_nothing_wrong(
        streams in streams(), rows in 0..120usize, k in 0..40usize, shape in shape(),
    ) {
        let truth = recount(streams.iter().flatten().flatten());
        let digest = Digest::merge(&panes(&shape, &streams, rows));
        let top = digest.rank(k);
        let known = top.rows.iter().map(|row| (&*row.key, row.bounds));
        let certain: u64 = top.rows.iter().map(|row| row.bounds.lower()).sum();
        let unlisted = Unlisted { each: top.outside, total: top.total + top.floor - certain };
        for key in all_items(&truth) {
            let (some, all) = (ItemRank::among(known.clone(), unlisted, &key), digest.item_rank(&key));
            check(some, &truth, &key);
            prop_assert!(some.bounds.lower() <= all.bounds.lower() && all.bounds.upper() <= some.bounds.upper());
        }
    }
}

/// The ranks that are said are worth something: those of the head of a skewed stream are narrow, though its panes overflow.
#[test]
fn the_head_of_a_stream_that_overflows_has_narrow_ranks() {
    let events: Vec<Event> = (0..60_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 7, 1)).collect();
    let head =
        (0..20u32).flat_map(|item| std::iter::repeat_n((1 << 30 | item, 1), 4000 - 150 * item as usize));
    let all: Vec<Event> = events.into_iter().chain(head).collect();
    let truth = recount(&all);
    let shape = Shape::new(1024, 0.001, 0.00005, SEED).unwrap();
    let digest = digest(&shape, &all, 512);
    assert!(!digest.is_exact());
    let mut ranked: Vec<_> = truth.iter().collect();
    ranked.sort_by_key(|(key, weight)| (Reverse(**weight), Reverse((*key).clone())));
    for (place, (key, _)) in (1..).zip(ranked.into_iter().take(10)) {
        let range = digest.item_rank(key).range.unwrap();
        assert!(
            range.best <= place && place <= range.worst && range.worst - range.best <= 2,
            "{place}: {range:?}"
        );
    }
}
