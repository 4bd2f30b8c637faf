//! Windows of different values: what they rank is the union of their nodes, whether they slid or were rebuilt, and
//! where it is more than they keep, bounds hold still.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{Digest, PaneSketch, Ranking, Shape, WindowSum, item_hash};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::visits::*;
use support::{config, hash, small};

fn panes(most: usize) -> impl Strategy<Value = Vec<(Vec<Visit>, Digest)>> {
    let pane = (visits(120), prop_oneof![Just(usize::MAX), 0..40usize], prop::bool::weighted(0.1)).prop_map(
        |(visits, rows, is_empty)| {
            let visits = if is_empty { Vec::new() } else { visits };
            let digest = digest_of(&small().distinct(), &visits, rows);
            (visits, digest)
        },
    );
    prop::collection::vec(pane, 0..most)
}

fn window<'a>(nodes: impl IntoIterator<Item = &'a (u64, Digest)>) -> WindowSum {
    let mut window = WindowSum::new();
    nodes.into_iter().for_each(|(number, digest)| window.push(*number, digest));
    window
}

proptest! {
    #![proptest_config(config(60))]

    /// Numbers with gaps, so that blocks begin and end within them.
    #[test]
    fn a_window_is_the_union_of_its_nodes(
        panes in panes(70), width in 1..50usize, stride in 1..8u64, from in 0..300u64, k in 0..40usize,
    ) {
        let mut slid = WindowSum::new();
        let mut held: Vec<(u64, Digest)> = Vec::new();
        for (number, (_, digest)) in (from..).step_by(stride as usize).zip(&panes) {
            slid.push(number, digest);
            held.push((number, digest.clone()));
            let before = held[held.len().saturating_sub(width)].0;
            slid.expire(before);
            held.retain(|(number, _)| *number >= before);
            let union = Digest::merge(held.iter().map(|(_, digest)| digest));
            prop_assert_eq!((slid.total(), slid.floor()), (union.total(), union.floor()));
            prop_assert_eq!(slid.rank(k), union.rank(k));
        }
        prop_assert_eq!(slid.rank(usize::MAX), window(&held).rank(usize::MAX));
        slid.expire(u64::MAX);
        prop_assert!(slid.is_empty() && slid.rank(k) == Ranking::default());
    }

    #[test]
    fn provisional_is_what_would_be(panes in panes(40), open in panes(3), expire in 0..60u64, k in 0..50usize) {
        let nodes: Vec<_> = (3..).zip(panes.into_iter().map(|(_, digest)| digest)).collect();
        let mut slid = window(&nodes);
        let open: Vec<_> = open.iter().map(|(_, digest)| digest).collect();
        let before = slid.rank(usize::MAX);
        let provisional = slid.rank_provisional(expire, &open, k);
        prop_assert_eq!(slid.rank(usize::MAX), before);
        slid.expire(expire);
        for (number, digest) in (100..).zip(&open) {
            slid.push(number, digest);
        }
        prop_assert_eq!(provisional, slid.rank(k));
    }
}

/// A node of these items, each with so many of its users.
fn node(items: impl IntoIterator<Item = (u32, std::ops::Range<u32>)>, shape: &Shape) -> Digest {
    let mut pane = PaneSketch::new(shape);
    for (item, users) in items {
        users.for_each(|user| pane.add_distinct(&item.to_be_bytes(), &user.to_le_bytes()));
    }
    union(shape, [&pane]).cut(usize::MAX)
}

/// Two days of nodes in which items come and go, far more of them than a block has rows.
#[test]
fn a_window_that_slid_is_the_window_that_was_rebuilt() {
    let shape = Shape::new(1024, 0.01, 0.01, 7).unwrap().distinct();
    let of = |at: u32| {
        let few = (0..700).map(move |item| (1000 + 700 * (at % 31) + item, 0..1 + item % 4));
        let head = (0..20).map(move |item| (item, 100 * at..100 * at + 10 * item));
        node(few.chain(head), &shape)
    };
    let nodes: Vec<_> = (0..620u64).map(|number| (number, of(number as u32))).collect();
    let mut slid = WindowSum::new();
    for (at, (number, digest)) in nodes.iter().enumerate() {
        slid.push(*number, digest);
        let first = (at + 1).saturating_sub(300);
        slid.expire(first as u64);
        if ![15, 40, 299, 310, 511, 527, 600, 619].contains(&at) {
            continue;
        }
        let held = &nodes[first..=at];
        let rebuilt = window(held);
        assert_eq!(slid.rank(50), rebuilt.rank(50));
        assert_eq!((slid.total(), slid.floor()), (rebuilt.total(), rebuilt.floor()));
        let (cut, whole) = (slid.rank(50), Digest::merge(held.iter().map(|(_, digest)| digest)));
        assert!(at < 40 || cut.floor > whole.floor(), "blocks are cut");
        for row in &cut.rows {
            let truth = whole.bounds(item_hash(&row.key, 7), &row.key);
            assert!(row.bounds.lower() <= truth.upper() && row.bounds.upper() >= truth.lower());
        }
        let heads = cut.rows[..19].iter().filter(|row| row.key[..] < [0, 0, 0, 20][..]).count();
        assert_eq!(heads, 19, "{:?}", &cut.rows[..19]);
    }
}

/// What a node and a block may take is stated; an exact one may take what it needs.
#[test]
fn memory_is_bounded() {
    let full = |shape: &Shape| node((0..4000).map(|item| (item, 100 * item..100 * item + 60)), shape);
    let shape = Shape::new(4096, 0.001, 0.001, 7).unwrap().distinct();
    let digest = full(&shape);
    let mut cut = WindowSum::new();
    (0..33).for_each(|number| cut.push(number, &digest));
    assert!(
        digest.bytes() > 1 << 20 && cut.bytes() < 33 * (1 << 18) + 2 * (1 << 20) + 20_000,
        "{}",
        cut.bytes()
    );
    assert!(cut.floor() >= 33 * 60, "what is cut has at most the floor");
    assert!(cut.rank(5).rows.iter().all(|row| row.bounds.contains(60)));
    let mut whole = WindowSum::new();
    let exact = full(&shape.exact());
    (0..33).for_each(|number| whole.push(number, &exact));
    assert_eq!((whole.floor(), whole.rank(5000).rows.len()), (0, 4000));
    assert!(whole.rank(5000).rows.iter().all(|row| row.bounds.is_exact() && row.bounds.lower() == 60));
}

#[test]
fn bounds_hold_for_a_recount_of_a_window() {
    let shape = small().distinct();
    let mut all: BTreeMap<u64, Vec<Visit>> = BTreeMap::new();
    let mut slid = WindowSum::new();
    for number in 0..100u64 {
        let visit = |at: u64| {
            let draw = hash(&(number * 1000 + at).to_le_bytes());
            ((draw % 300).min(draw / 300 % 300) as u32, (draw / 90_000 % 200) as u32)
        };
        let visits: Vec<_> = (0..400).map(visit).collect();
        slid.push(number, &digest_of(&shape, &visits, 40));
        all.insert(number, visits);
    }
    slid.expire(20);
    let truth = visitors(all.range(20..).flat_map(|(_, visits)| visits));
    let top = slid.rank(usize::MAX);
    for (key, users) in truth {
        let row = top.rows.iter().find(|row| row.key == key);
        let bounds = row.map_or(crest_sketches::Bounds::at_most(top.floor), |row| row.bounds);
        assert!(bounds.contains(users.len() as u64), "{} users, said {bounds:?}", users.len());
    }
}

#[test]
#[should_panic(expected = "a window of weights and of different values")]
fn weights_do_not_come_into_it() {
    let mut window = WindowSum::new();
    window.push(1, &Digest::unseen(3));
    window.push(2, &digest_of(&small().distinct(), &[(1, 1)], 5));
    assert_eq!((window.floor(), window.rank(1).rows[0].bounds.upper()), (3, 4));
    window.push(3, &support::digest(&small(), &[(1, 1)], 5));
}
