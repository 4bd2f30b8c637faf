//! How many different values items had, against a recount: on panes that do not fit, and in unions of any order.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{
    Bounds, Digest, DistinctSet, Events, GroupCounts, KeySpan, Kind, Merged, PaneGroups, PaneSketch, Rises,
    Shape,
};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use support::visits::*;
use support::{config, hash, key, small};

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![3 => Just(small().distinct()), 1 => Just(small().distinct().exact())]
}

fn count(users: impl IntoIterator<Item = u64>) -> DistinctSet {
    let mut set = DistinctSet::new();
    users.into_iter().for_each(|user| _ = set.insert(user));
    set
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn bounds_hold_on_panes_that_do_not_fit(
        streams in prop::collection::vec(visits(1500), 1..4), shape in shapes(), rows in 0..60usize, unseen in 0..3u64,
    ) {
        let sketches: Vec<_> = streams.iter().map(|visits| visited(&shape, visits)).collect();
        for (sketch, visits) in sketches.iter().zip(&streams) {
            let truth = visitors(visits);
            let pairs: u64 = truth.values().map(|users| users.len() as u64).sum();
            prop_assert!(pairs <= sketch.total() && sketch.total() <= visits.len() as u64);
            for (key, users) in &truth {
                let bounds = sketch.bounds(hash(key));
                prop_assert!(bounds.contains(users.len() as u64), "{} users, said {bounds:?}", users.len());
            }
            if sketch.is_exact() {
                prop_assert_eq!((sketch.rows(), sketch.total()), (truth.len(), pairs));
            }
        }
        let mut all = union(&shape, &sketches);
        all.add_unseen(unseen);
        let truth = visitors(streams.iter().flatten());
        check(&all.cut(usize::MAX), &truth, unseen);
        let cut = all.cut(rows);
        prop_assert!(cut.rows().len() <= rows);
        check(&cut, &truth, unseen);
        prop_assert_eq!(all.cut(usize::MAX).cut(rows), cut);
        prop_assert_eq!(all.count_min().weight(), all.total());
    }

    #[test]
    fn an_exact_shape_knows_every_value(streams in prop::collection::vec(visits(1500), 1..4)) {
        let shape = small().exact().distinct();
        let sketches: Vec<_> = streams.iter().map(|visits| visited(&shape, visits)).collect();
        let digest = union(&shape, &sketches).cut(usize::MAX);
        let truth = visitors(streams.iter().flatten());
        let known = |row: crest_sketches::DigestRow<'_>| (row.key.to_vec(), row.values.unwrap().hashes().unwrap().to_vec());
        let known: BTreeMap<_, _> = digest.rows().map(known).collect();
        prop_assert!(truth.iter().eq(
            known.iter().map(|(key, users)| (key, users.iter().copied().collect())).collect::<Vec<_>>().iter().map(|(key, users)| (*key, users))
        ));
        prop_assert!(digest.is_exact() && digest.rows().all(|row| row.bounds.is_exact()));
    }

    #[test]
    fn order_and_grouping_leave_no_trace(
        streams in prop::collection::vec(visits(900), 1..6), shape in shapes(), at: Index, cuts in prop::collection::vec(0..50usize, 6),
    ) {
        let sketches: Vec<_> = streams.iter().map(|visits| visited(&shape, visits)).collect();
        let all = union(&shape, &sketches);
        let at = at.index(sketches.len());
        let mut tree = union(&shape, sketches[at..].iter().rev());
        tree.merge(&union(&shape, &sketches[..at])).unwrap();
        prop_assert_eq!(&all, &tree);
        prop_assert_eq!(all.encode(), tree.encode());

        let digests: Vec<_> = sketches.iter().zip(cuts).map(|(sketch, rows)| union(&shape, [sketch]).cut(rows)).collect();
        let merged = Digest::merge(&digests);
        let (first, second) = digests.split_at(at);
        let grouped = Digest::merge([&Digest::merge(second.iter().rev()), &Digest::merge(first)]);
        prop_assert_eq!(merged.encode(support::SEED), grouped.encode(support::SEED));
        prop_assert_eq!(&merged, &grouped);
        check(&merged, &visitors(streams.iter().flatten()), 0);
    }

    #[test]
    fn batches_leave_no_trace(visits in visits(2000), cut: Index, shape in shapes()) {
        let cut = cut.index(visits.len() + 1);
        let mut split = PaneSketch::new(&shape);
        [&visits[..cut], &visits[cut..]].iter().for_each(|part| visit(&mut split, part));
        prop_assert_eq!(union(&shape, [&split]), union(&shape, [&visited(&shape, &visits)]));
    }

    #[test]
    fn a_cut_keeps_the_greatest_estimates(visits in visits(1500), first in 0..50usize, then in 0..50usize) {
        let whole = digest_of(&small().distinct(), &visits, usize::MAX);
        let mut rows: Vec<_> = whole.rows().collect();
        rows.sort_by(|a, b| (b.estimate.unwrap().count, b.key).cmp(&(a.estimate.unwrap().count, a.key)));
        let (kept, dropped) = rows.split_at(then.min(rows.len()));
        let cut = whole.clone().cut(then);
        let floor = dropped.iter().map(|row| row.bounds.upper()).fold(whole.floor(), u64::max);
        prop_assert_eq!((cut.floor(), cut.rows().len()), (floor, kept.len()));
        prop_assert!(kept.iter().all(|row| cut.rows().any(|other| other == *row)));
        prop_assert_eq!(whole.clone().cut(first).cut(then), whole.clone().cut(first.min(then)));

        let ranking = whole.rank(then);
        prop_assert!(ranking.rows.iter().map(|row| &*row.key).eq(kept.iter().map(|row| row.key)));
        prop_assert_eq!(ranking.outside, floor);
        let truth = visitors(&visits);
        for row in &ranking.rows[..ranking.guaranteed()] {
            let above = truth.values().filter(|users| users.len() > truth[&row.key].len()).count();
            prop_assert!(above < then, "{row:?} is guaranteed, and {above} items are above it");
        }
        for place in (0..ranking.rows.len()).filter(|&place| ranking.order_is_certain(place)) {
            let before: Vec<_> = ranking.rows[..=place].iter().map(|row| &row.key).collect();
            let ours = truth[&ranking.rows[place].key].len();
            prop_assert!(truth.iter().all(|(key, users)| users.len() <= ours || before.contains(&key)));
        }
    }

    #[test]
    fn whole_digests_merge_as_unions_do(streams in prop::collection::vec(visits(60), 1..4), shape in shapes()) {
        let digests: Vec<_> = streams.iter().map(|visits| digest_of(&shape, visits, usize::MAX)).collect();
        prop_assume!(digests.iter().all(Digest::is_whole));
        let sketches: Vec<_> = streams.iter().map(|visits| visited(&shape, visits)).collect();
        let all = union(&shape, &sketches);
        prop_assert_eq!(Digest::merge_exact(&digests), all.cut(usize::MAX));
        let mut added = Merged::new(&shape);
        digests.iter().for_each(|digest| added.add_exact(digest));
        prop_assert_eq!(&added, &all);
        let other = all.cut(usize::MAX).rehashed(8);
        prop_assert_eq!(other.rehashed(support::SEED), all.cut(usize::MAX));
    }

    #[test]
    fn ranks_and_rises_hold(before in visits(900), now in visits(900), rows in 1..50usize) {
        let shape = small().distinct();
        let of = |visits| (digest_of(&shape, visits, rows), visitors(visits));
        let ((earlier, was), (later, is)) = (of(&before), of(&now));
        for (key, users) in &is {
            let rank = later.item_rank(key);
            let ranks_before = |(other, theirs): &(&Vec<u8>, &std::collections::BTreeSet<u64>)| (theirs.len(), *other) > (users.len(), key);
            let truly = 1 + is.iter().filter(ranks_before).count() as u64;
            let range = rank.range.unwrap();
            prop_assert!(range.best <= truly && truly <= range.worst, "{truly} is not in {range:?}");
        }
        for row in &Rises::between(&earlier, &later, 10).rows {
            let count = |of: &Visitors| of.get(&row.key).map_or(0, |users| users.len() as u64);
            prop_assert!(row.count.contains(count(&is)) && row.before.contains(count(&was)));
        }
    }

    #[test]
    fn groups_count_as_sketches_do(visits in visits(900), shape in shapes()) {
        let mut groups = PaneGroups::new(&shape);
        let mut twins = Vec::new();
        for (at, (item, user)) in visits.iter().enumerate() {
            let (group, key) = ((at % 3) as u32, key(*item));
            let events = Events {
                hashes: &[hash(&key)],
                weights: &[1],
                keys: &[KeySpan { offset: 0, len: key.len() as u32 }],
                arena: &key,
                values: &[user_hash(*user)],
            };
            if group == groups.len() {
                twins.push(PaneSketch::new(&shape));
            }
            groups.update(group, events);
            twins[group as usize].update(events);
        }
        let held: usize = twins.iter().map(PaneSketch::bytes).sum();
        prop_assert!(groups.bytes() >= held && groups.bytes() < held + 10_000);
        for (group, twin) in (0..).zip(&twins) {
            let GroupCounts::Sketch(sketch) = groups.counts(group) else { panic!("a group without a sketch") };
            prop_assert_eq!(union(&shape, [sketch]), union(&shape, [twin]));
        }
    }

    #[test]
    fn a_set_is_a_function_of_its_values(
        values in prop::collection::vec(1..5000u64, 0..300), at: Index, unlimited: bool,
    ) {
        let empty = || if unlimited { DistinctSet::unlimited() } else { DistinctSet::new() };
        let of = |values: &[u64]| {
            let mut set = empty();
            values.iter().for_each(|value| _ = set.insert(hash(&value.to_le_bytes())));
            set
        };
        let (first, second) = values.split_at(at.index(values.len() + 1));
        let (mut forward, mut backward) = (of(first), of(second));
        let copy = forward.clone();
        forward.union(&backward);
        backward.union(&copy);
        prop_assert_eq!(&forward, &backward);
        prop_assert_eq!(&forward, &of(&values));
        let distinct = values.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
        prop_assert!(forward.lower() <= distinct && forward.is_exact() == (unlimited || distinct <= 64));
    }
}

/// For many numbers of users, the estimate is within five standard errors; of 64 and fewer it is their number.
#[test]
fn estimates_are_as_good_as_they_say() {
    let mut squares = Vec::new();
    for seed in 0..8u64 {
        let (mut set, mut next) = (DistinctSet::new(), 1);
        for user in 1..=1_000_000u64 {
            set.insert(crest_sketches::item_hash(&user.to_le_bytes(), seed));
            if user < next && user > 100 {
                continue;
            }
            next = user + user / 5 + 1;
            let error = (set.estimate() as f64 - user as f64) / user as f64;
            assert!(set.lower() <= user && (user > 64 || set.estimate() == user));
            assert!(error.abs() <= 5.0 * 0.023, "{} for {user}", set.estimate());
            if user > 5000 {
                squares.push(error * error);
            }
        }
    }
    let error = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!((0.012..0.035).contains(&error), "a standard error of {error}");
}

/// Millions of clicks of few, beside items that many read, and more items of one reader than there are rows: as a count of
/// clicks, the bots' would be first.
#[test]
fn bots_do_not_displace_what_many_read() {
    let shape = Shape::new(64, 0.002, 0.01, support::SEED).unwrap().distinct();
    let mut pane = PaneSketch::new(&shape);
    let mut visits = Vec::new();
    for at in 0..2_000_000u32 {
        visits.push((1000 + at % 10, at % 3));
        if at % 100 == 0 {
            visits.push((at / 100 % 25, 10 + at / 100));
        }
        if at % 200 == 0 {
            visits.push((10_000 + at, 7));
        }
    }
    visits.chunks(1000).for_each(|part| visit(&mut pane, part));
    let truth = visitors(&visits);
    let digest = union(&shape, [&pane]).cut(usize::MAX);
    check(&digest, &truth, 0);
    let top = digest.rank(25);
    let read: Vec<_> = (0..25).map(key).collect();
    assert!(top.rows.iter().all(|row| read.contains(&row.key)), "{top:?}");
    assert_eq!(top.guaranteed(), 25, "{top:?}");
}

/// Who comes in every pane is one user of the day, and certainly so as long as they are few.
#[test]
fn loyal_users_count_once() {
    let shape = small().distinct();
    let pane = |pane: u32| {
        let loyal = (0..50).map(|user| (1, user));
        let new = (0..10).map(|user| (2, 1000 * (pane + 1) + user));
        digest_of(&shape, &loyal.chain(new).collect::<Vec<_>>(), usize::MAX)
    };
    let day = Digest::merge(&(0..100).map(pane).collect::<Vec<_>>());
    assert_eq!(day.bounds(hash(&key(1)), &key(1)), Bounds::exactly(50));
    let new = day.rows().find(|row| row.key == key(2)).unwrap();
    let estimate = new.estimate.unwrap();
    assert!(new.bounds.contains(1000) && (900..1100).contains(&estimate.count), "{new:?}");
    assert!(!estimate.is_exact() && (20.0..26.0).contains(&estimate.standard_error()));
    assert_eq!(day.rank(1).rows[0].key, key(2));
    assert_eq!(day.rank(2).outside, 0);
}

#[test]
fn shapes_say_what_they_count() {
    let (distinct, exact) = (small().distinct(), small().exact().distinct());
    assert_eq!((distinct.kind(), exact.kind()), (Kind::Distinct, Kind::ExactDistinct));
    assert_eq!(small().distinct().exact(), exact);
    assert_eq!(support::small_classic().distinct().kind(), Kind::Distinct);
    assert!(distinct.is_distinct() && exact.is_distinct() && !small().is_distinct());
    let mut pane = PaneSketch::new(&distinct);
    (0..3_000_000u32).for_each(|at| pane.add_distinct(&key(at % 32), &at.to_le_bytes()));
    assert!(pane.bytes() <= distinct.bytes(8), "{} bytes, said {}", pane.bytes(), distinct.bytes(8));
    let digest = digest_of(&distinct, &[(1, 1)], 5);
    assert!(digest.is_of(&distinct) && !digest.is_of(&exact) && !digest.is_of(&small()));
    assert!(Digest::unseen(5).is_of(&distinct) && Digest::unseen(5).is_of(&small()));
    let none: &DistinctSet = &count([]);
    assert!(none.is_empty() && none.estimate() == 0);
}

#[test]
#[should_panic(expected = "a sketch of different values counts no weights")]
fn weights_are_not_added_to_different_values() {
    PaneSketch::new(&small().distinct()).add(b"a", 1);
}

#[test]
#[should_panic(expected = "weights and different values cannot be added up")]
fn digests_of_both_do_not_merge() {
    let of = |shape: &Shape| union(shape, []).cut(1);
    assert_eq!(Digest::merge([&of(&small()), &of(&small().distinct())]), Digest::default());
    let values = digest_of(&small().distinct(), &[(1, 1)], 5);
    Digest::merge([&values, &support::digest(&small(), &[(1, 1)], 5)]);
}
