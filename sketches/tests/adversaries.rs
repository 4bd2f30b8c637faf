//! Streams made to deceive: by whom each is found, and what is said of those that are not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{Digest, Merged, PaneSketch, Ranking, Shape, WindowSum};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::twin::{NaivePane, check_sketch};
use support::*;

/// As the dataflow uses it by default: a table of 4,096 rows, a tail of 5 by 8,192 cells, panes cut to 8 x 1,024 rows.
fn usual() -> Shape {
    Shape::new(4096, 0.001, 0.00005, SEED).unwrap()
}

const USUAL_CUT: usize = 8 * 1024;

/// The window of one digest, checked.
fn window(digest: &Digest, truth: &Truth, k: usize) -> Ranking {
    check_bounds(digest, truth);
    let mut window = WindowSum::new();
    window.push(0, digest);
    let ranking = window.rank(k);
    check_ranking(&ranking, k, truth);
    ranking
}

/// All that the local lists of top `k` mention.
fn union_of_local_tops(streams: &[Vec<Event>], k: usize) -> BTreeSet<Vec<u8>> {
    let top = |events: &Vec<Event>| {
        let mut counts: Vec<_> = recount(events).into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.into_iter().take(k).map(|(key, _)| key)
    };
    streams.iter().flat_map(top).collect()
}

fn union(shape: &Shape, streams: &[Vec<Event>]) -> (Merged, Truth) {
    (merged(shape, streams.iter().map(|s| &s[..])), recount(streams.iter().flatten()))
}

/// Every worker has ten local items that are heavier there than the one that all of them share.
#[test]
fn an_item_ranked_eleventh_by_each_of_32_workers_and_first_overall_is_ranked_first() {
    let worker = |worker: u32| {
        let mut events = Vec::new();
        for round in 0..100 {
            events.extend((0..10).map(|local| (1 + worker * 10 + local, 1)));
            events.extend((round < 90).then_some((0, 1)));
            events.extend((0..40).map(|once| (1_000_000 + worker * 10_000 + round * 40 + once, 1)));
        }
        events
    };
    let streams: Vec<_> = (0..32).map(worker).collect();
    assert!(!union_of_local_tops(&streams, 10).contains(&key(0)), "who merges local top tens misses it");
    assert!(union_of_local_tops(&streams, 11).contains(&key(0)), "eleventh everywhere");

    let shape = Shape::new(64, 0.01, 0.001, SEED).unwrap();
    let (merged, truth) = union(&shape, &streams);
    let ranking = window(&merged.cut(128), &truth, 1);
    assert_eq!(ranking.rows[0].key, key(0));
    assert_eq!(ranking.guaranteed(), 1, "{ranking:?}");
}

/// Twenty items, each a little lighter on every worker than that worker's own two hundred.
#[test]
fn twenty_items_below_the_heavy_ones_of_every_worker_are_all_guaranteed() {
    let worker = |worker: u32| {
        let mut events = Vec::new();
        for round in 0..50 {
            events.extend((0..200).map(|local| (1000 + worker * 200 + local, 1)));
            events.extend((0..20).filter(|_| round < 45).map(|global| (global, 1)));
            events.extend((0..50).map(|once| (1_000_000 + (worker * 50 + round) * 50 + once, 1)));
        }
        events
    };
    let streams: Vec<_> = (0..32).map(worker).collect();
    let tops = union_of_local_tops(&streams, 200);
    assert!((0..20).all(|global| !tops.contains(&key(global))), "who merges local lists misses all of them");

    let shape = Shape::new(512, 0.001, 0.00005, SEED).unwrap();
    let (merged, truth) = union(&shape, &streams);
    let ranking = window(&merged.cut(1024), &truth, 20);
    let found: BTreeSet<_> = ranking.rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!(found, (0..20).map(key).collect());
    assert_eq!(ranking.guaranteed(), 20);
}

/// A pane of an hour of them: 3,000 fresh items of weight 60, and ten steady ones that have 50 in every pane. These
/// are never among the first 3,000 of a pane, and are the first ten of the hour: 3,000 each to 60. Over four
/// partitions, merged.
fn rotating_heads(shape: &Shape, pane: u32) -> (Merged, Truth) {
    let fresh = 1000 + pane * 3000..1000 + (pane + 1) * 3000;
    let partition = |quarter: u32| {
        let mut events: Vec<_> = fresh.clone().map(|fresh| (fresh, 15)).collect();
        events.extend((0..10).map(|steady| (steady, 12 + quarter % 2)));
        events
    };
    let partitions: Vec<_> = (0..4).map(partition).collect();
    let merged = merged(shape, partitions.iter().map(|s| &s[..]));
    let truth = fresh.map(|fresh| (key(fresh), 60)).chain((0..10).map(|steady| (key(steady), 50)));
    (merged, truth.collect())
}

/// The hour over panes that were cut to each number of rows of `cuts`: the windows, and what is true.
fn hour_of_rotating_heads<const CUTS: usize>(
    shape: &Shape,
    cuts: [usize; CUTS],
) -> ([WindowSum; CUTS], Truth) {
    let mut windows = cuts.map(|_| WindowSum::new());
    let mut truth = Truth::new();
    for pane in 0..60 {
        let (merged, pane_truth) = rotating_heads(shape, pane);
        for (window, rows) in windows.iter_mut().zip(cuts) {
            window.push(pane.into(), &merged.cut(rows));
        }
        laws::absorb(&mut truth, &pane_truth);
    }
    (windows, truth)
}

/// How many of the ten steady items a ranking has.
fn steady_items(ranking: &Ranking) -> usize {
    let steady: BTreeSet<_> = (0..10).map(key).collect();
    ranking.rows.iter().filter(|row| steady.contains(&row.key)).count()
}

/// Panes cut to more rows than their heads have lead to the steady items. An hour of them is 180,000 candidates,
/// more than a window keeps, so that it is right but not sure, and says so.
#[test]
fn steady_items_behind_rotating_heads_are_found_with_the_usual_cut() {
    let ([window], truth) = hour_of_rotating_heads(&usual(), [USUAL_CUT]);
    let ranking = window.rank(10);
    check_ranking(&ranking, 10, &truth);
    assert_eq!(steady_items(&ranking), 10);
    assert!(ranking.guaranteed() == 10 || ranking.floor >= 3000, "sure of {}", ranking.guaranteed());
}

/// Panes that are rolled up before they are cut lose nothing that matters, however short the cut.
#[test]
fn steady_items_behind_rotating_heads_are_guaranteed_where_panes_are_rolled_up() {
    let (mut window, mut truth) = (WindowSum::new(), Truth::new());
    for minute in 0..10 {
        let panes = (6 * minute..6 * (minute + 1)).map(|pane| rotating_heads(&usual(), pane));
        let (digests, truths): (Vec<_>, Vec<_>) =
            panes.map(|(merged, truth)| (merged.cut(USUAL_CUT), truth)).unzip();
        window.push(minute.into(), &Digest::merge(&digests).cut(1024));
        truths.iter().for_each(|pane| laws::absorb(&mut truth, pane));
    }
    let ranking = window.rank(10);
    check_ranking(&ranking, 10, &truth);
    assert_eq!((steady_items(&ranking), ranking.guaranteed()), (10, 10));
}

/// Panes cut to fewer rows than their heads have, and tables that have fewer: either the items are found, or nothing
/// is guaranteed, and the floor says that an item may have what they have.
#[test]
fn steady_items_behind_rotating_heads_are_never_missed_in_silence() {
    let mut missed = 0;
    let few_rows = Shape::new(1024, 0.001, 0.00005, SEED).unwrap();
    let classic = Shape::classic(1024, 0.001, 0.00005, SEED).unwrap();
    for shape in [usual(), few_rows, classic] {
        let (windows, truth) = hour_of_rotating_heads(&shape, [USUAL_CUT, 1024]);
        for window in windows {
            let ranking = window.rank(10);
            check_ranking(&ranking, 10, &truth);
            if steady_items(&ranking) < 10 {
                missed += 1;
                assert_eq!(ranking.guaranteed(), 0);
                assert!(ranking.floor >= 3000, "an item may have {}", ranking.floor);
            }
        }
    }
    assert!(missed > 0, "a cut of 1,024 rows keeps no item of rank 3,001");
}

/// The number of rows of a pane's ranking that must be in the true top `k`.
fn guaranteed(events: &[Event], k: usize) -> usize {
    [small(), small_classic()]
        .map(|shape| window(&digest(&shape, events, 1024), &recount(events), k).guaranteed())
        .into_iter()
        .max()
        .unwrap()
}

#[test]
fn all_distinct_guarantees_nothing() {
    let events: Vec<_> = (0..20_000).map(|item| (item, 1)).collect();
    assert_eq!(guaranteed(&events, 10), 0);
}

#[test]
fn uniform_streams_guarantee_nothing() {
    let events: Vec<_> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20, 1)).collect();
    assert_eq!(guaranteed(&events, 10), 0);
}

#[test]
fn one_hot_item_among_distinct_ones_is_the_only_one_guaranteed() {
    let events: Vec<_> = (0..20_000).map(|i| if i % 2 == 0 { (0, 1) } else { (i, 1) }).collect();
    assert_eq!(guaranteed(&events, 10), 1);
}

/// The head moves on by one rank in every pane: the order of its items is a matter of little, and what is not certain
/// is not said to be.
#[test]
fn a_head_that_shifts_from_pane_to_pane_is_ranked_no_surer_than_it_is() {
    for shape in [small(), small_classic()] {
        let (mut window, mut truth) = (WindowSum::new(), Truth::new());
        for pane in 0..60u32 {
            let events: Vec<_> =
                (0..100).flat_map(|rank| (0..1000 / (rank + 1)).map(move |_| (pane + rank, 1))).collect();
            window.push(pane.into(), &digest(&shape, &events, 64));
            laws::absorb(&mut truth, &recount(&events));
            check_ranking(&window.rank(20), 20, &truth);
        }
        check_ranking(&window.rank(usize::MAX), usize::MAX, &truth);
    }
}

/// What someone does who reads the sketch's mind.
#[derive(Clone, Debug)]
enum Move {
    /// An item that was never seen, of the weight that leaves it just below the floor, at it, or over it.
    Fresh(u64),
    /// The same for an item without a row that was seen.
    Untracked(prop::sample::Index, u64),
    /// An item that lost its row comes again, of weight 1.
    Purged(prop::sample::Index),
    /// An item of a row, of weight 1.
    Tracked(prop::sample::Index),
    /// Fresh ones of this weight, until some row is lost, forty at most.
    Purge(u32),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        (0..3u64).prop_map(Move::Fresh),
        (index(), 0..3u64).prop_map(|(item, over)| Move::Untracked(item, over)),
        index().prop_map(Move::Purged),
        index().prop_map(Move::Tracked),
        prop_oneof![Just(1), Just(100), Just(u32::MAX)].prop_map(Move::Purge),
    ];
    prop::collection::vec(one, 0..120)
}

/// A sketch, its twin, and someone who chooses the next event by what they hold.
struct Game {
    sketch: PaneSketch,
    twin: NaivePane,
    /// What each item of the stream truly has.
    weights: BTreeMap<u32, u64>,
    /// Items that had a row and have none.
    purged: BTreeSet<u32>,
    fresh: u32,
}

impl Game {
    fn new(shape: &Shape) -> Self {
        let (sketch, twin) = (PaneSketch::new(shape), NaivePane::new(shape));
        Game { sketch, twin, weights: BTreeMap::new(), purged: BTreeSet::new(), fresh: 0 }
    }

    fn tracked(&self) -> BTreeSet<u32> {
        let certain = self.twin.certain();
        self.weights.keys().copied().filter(|&item| certain.contains(&hash(&key(item)))).collect()
    }

    fn count(&mut self, item: u32, weight: u64) {
        let weight = weight.min(u32::MAX.into()) as u32;
        let before = self.tracked();
        self.sketch.add(&key(item), weight);
        self.twin.count(hash(&key(item)), weight.into());
        *self.weights.entry(item).or_default() += u64::from(weight);
        let after = self.tracked();
        self.purged.extend(before.difference(&after));
        self.purged.retain(|item| !after.contains(item));
    }

    fn fresh(&mut self) -> u32 {
        self.fresh += 1;
        self.fresh
    }

    /// The weight that leaves an item this much above the one that it needs to stay without a row.
    fn to_the_edge(&self, item: u32, over: u64) -> u64 {
        let known = self.sketch.bounds(hash(&key(item))).upper();
        (self.twin.floor() + over).saturating_sub(known)
    }

    fn play(&mut self, step: &Move) {
        let pick = |items: BTreeSet<u32>, at: &prop::sample::Index| {
            (!items.is_empty()).then(|| *items.iter().nth(at.index(items.len())).unwrap())
        };
        match step {
            Move::Fresh(over) => {
                let item = self.fresh();
                self.count(item, self.to_the_edge(item, *over));
            }
            Move::Untracked(at, over) => {
                let untracked = &self.weights.keys().copied().collect() - &self.tracked();
                if let Some(item) = pick(untracked, at) {
                    self.count(item, self.to_the_edge(item, *over));
                }
            }
            Move::Purged(at) => {
                pick(self.purged.clone(), at).into_iter().for_each(|item| self.count(item, 1));
            }
            Move::Tracked(at) => {
                pick(self.tracked(), at).into_iter().for_each(|item| self.count(item, 1));
            }
            Move::Purge(weight) => {
                let lost = self.purged.len();
                for _ in 0..40 {
                    let item = self.fresh();
                    self.count(item, (*weight).into());
                    if self.purged.len() > lost {
                        break;
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn who_sees_the_gate_and_the_rows_breaks_no_bound(moves in moves(), shape in shape()) {
        let mut game = Game::new(&shape);
        for step in &moves {
            game.play(step);
        }
        let truth = game.weights.iter().filter(|&(_, &weight)| weight > 0);
        let truth = truth.map(|(&item, &weight)| (key(item), weight)).collect();
        check_sketch(&game.sketch, &game.twin, &truth, hash);
        let mut merged = Merged::new(&shape);
        merged.add(&game.sketch);
        check_bounds(&merged.cut(20), &truth);
    }
}
