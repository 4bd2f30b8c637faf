//! Windows and unions of digests against their definition: each digest asked for each item.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{Digest, Parts, WindowSum};
use proptest::prelude::*;
use support::*;

/// Panes of one stream, cut to a few rows.
fn panes(most: usize) -> impl Strategy<Value = Vec<(Vec<Event>, Digest)>> {
    let pane = (stream(400), prop_oneof![Just(usize::MAX), 0..40usize]).prop_map(|(events, rows)| {
        let digest = digest(&small(), &events, rows);
        (events, digest)
    });
    prop::collection::vec(pane, 0..most)
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_union_is_what_its_definition_says(panes in panes(6), k in 0..100usize) {
        let digests: Vec<_> = panes.iter().map(|(_, digest)| digest).collect();
        let union = Digest::merge(digests.iter().copied());
        check_bounds(&union, &recount(panes.iter().flat_map(|(events, _)| events)));
        let mut window = WindowSum::new();
        window.push(3, &union);
        prop_assert_eq!(window.rank(k), naive_ranking(&digests, k));
        prop_assert_eq!(&Digest::merge(digests.iter().rev().copied()), &union);
        check_bounds(&union.cut(k), &recount(panes.iter().flat_map(|(events, _)| events)));
    }

    #[test]
    fn cutting_twice_is_cutting_once(panes in panes(3), first in 0..60usize, then in 0..60usize) {
        let union = Digest::merge(panes.iter().map(|(_, digest)| digest));
        prop_assert_eq!(union.clone().cut(first).cut(then), union.cut(first.min(then)));
    }

    #[test]
    fn a_window_is_what_its_nodes_are(panes in panes(20), width in 1..8usize, stride in 1..4u64, k in 1..50usize) {
        let mut window = WindowSum::new();
        let mut held: Vec<(u64, &Digest)> = Vec::new();
        for (number, (_, digest)) in (0..).step_by(stride as usize).zip(&panes) {
            window.push(number, digest);
            held.push((number, digest));
            let before = held[held.len().saturating_sub(width)].0;
            window.expire(before);
            held.retain(|&(number, _)| number >= before);
            let digests: Vec<_> = held.iter().map(|&(_, digest)| digest).collect();
            let naive = naive_ranking(&digests, k);
            prop_assert_eq!((window.total(), window.floor()), (naive.total, naive.floor));
            prop_assert_eq!(window.rank(k), naive);
        }
        window.expire(u64::MAX);
        prop_assert!(window.is_empty());
        prop_assert_eq!(window.rank(k), Default::default());
    }

    #[test]
    fn provisional_is_what_would_be(
        panes in panes(8), open in panes(4), expire in 0..10u64, k in 0..50usize,
    ) {
        let mut window = WindowSum::new();
        for (number, (_, digest)) in (0..).zip(&panes) {
            window.push(number, digest);
        }
        let open: Vec<_> = open.iter().map(|(_, digest)| digest).collect();
        let before = window.rank(usize::MAX);
        let provisional = window.rank_provisional(expire, &open, k);
        prop_assert_eq!(window.rank(usize::MAX), before);
        window.expire(expire);
        for (number, digest) in (100..).zip(&open) {
            window.push(number, digest);
        }
        prop_assert_eq!(provisional, window.rank(k));
    }
}

/// Two keys of one hash stay two candidates, so that what a window says of one does not depend on a node that held
/// the other and is gone.
#[test]
fn keys_that_share_a_hash_are_told_apart() {
    let digest = |key: u8, weight| {
        let parts = Parts { words: vec![weight, 0, 5, weight, 0], halves: vec![1], bytes: vec![key] };
        Digest::from_parts(parts).unwrap()
    };
    let (a, b) = (digest(b'a', 3), digest(b'b', 4));
    let keys = |window: &WindowSum| window.rank(9).rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    let mut window = WindowSum::new();
    window.push(0, &a);
    window.push(1, &b);
    assert_eq!(window.rank(9), naive_ranking(&[&a, &b], 9));
    assert_eq!(keys(&window), [b"b", b"a"]);
    assert_eq!(window.rank_provisional(1, &[&a], 9), naive_ranking(&[&b, &a], 9));
    window.expire(1);
    assert_eq!(keys(&window), [b"b"]);
    let union = Digest::merge([&b, &a]);
    assert_eq!(
        union.rows().map(|row| (row.key, row.bounds.upper())).collect::<Vec<_>>(),
        [(&b"a"[..], 3), (b"b", 4)]
    );
    assert_eq!(Digest::from_parts(union.to_parts()), Ok(union));
}

#[test]
#[should_panic(expected = "nodes come in their order")]
fn a_node_comes_once() {
    let mut window = WindowSum::new();
    window.push(3, &Digest::default());
    window.push(3, &Digest::default());
}

#[test]
#[should_panic(expected = "are together too great for a sketch")]
fn weights_beyond_64_bits_are_not_added_up() {
    let heavy = Digest::from_parts(Parts { words: vec![1 << 62, 1 << 63], ..Parts::default() }).unwrap();
    let mut window = WindowSum::new();
    window.push(0, &heavy);
    window.push(1, &heavy);
}
