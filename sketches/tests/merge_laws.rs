//! A ledger is a function of its stream, and a union of the set of its ledgers: batches, order and tree leave no
//! trace.

mod support;

use crest_sketches::{CountMin, Events, KeySpan, MergeError, Merged, PaneSketch, Shape, item_hash};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;
use support::*;

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn batches_leave_no_trace(
        events in stream(1500), cuts in prop::collection::vec(any::<Index>(), 0..20), shape in shape(),
    ) {
        let whole = sketch(&shape, &events);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(events.len() + 1)).collect();
        cuts.extend([0, events.len()]);
        cuts.sort();
        let mut split = PaneSketch::new(&shape);
        for range in cuts.windows(2) {
            count(&mut split, shape.seed(), &events[range[0]..range[1]]);
        }
        prop_assert_eq!(parts(&shape, &whole), parts(&shape, &split));
        prop_assert_eq!(whole.is_exact(), split.is_exact());
        prop_assert_eq!(whole.total(), split.total());
    }

    #[test]
    fn ledgers_and_their_union_are_what_their_naive_twins_are(streams in prop::collection::vec(stream(1200), 1..4)) {
        let twins: Vec<_> = streams.iter().map(|events| NaiveLedger::new(&small(), events)).collect();
        for (events, twin) in streams.iter().zip(&twins) {
            let ledger = sketch(&small(), events);
            prop_assert_eq!(ledger.is_exact(), twin.gate == 1);
            prop_assert_eq!(ledger.rows(), twin.rows.len());
        }
        let digest = merged(&small(), streams.iter().map(|s| &s[..])).cut(usize::MAX);
        let ours: Vec<_> = digest.rows().map(|row| (row.hash, row.bounds.lower(), row.bounds.upper())).collect();
        prop_assert_eq!(ours, naive_union(&twins));
        prop_assert_eq!(digest.floor(), twins.iter().map(|twin| twin.gate - 1).sum::<u64>());
    }

    #[test]
    fn tail_and_rows_are_the_plain_count_min_of_the_stream(streams in prop::collection::vec(stream(1200), 1..5)) {
        // Tables of different sizes cut the stream elsewhere and must end in the same matrix.
        let shapes = [32, 64, 1024].map(|rows| Shape::new(rows, 0.07, 0.05, 7).unwrap());
        for shape in shapes.into_iter().chain([small_classic()]) {
            let mut plain = CountMin::new(&shape);
            for &(item, weight) in streams.iter().flatten() {
                plain.add(item_hash(&key(item), shape.seed()), weight.into());
            }
            let union = merged(&shape, streams.iter().map(|s| &s[..]));
            prop_assert_eq!(union.count_min(), plain);
        }
    }

    #[test]
    fn order_and_tree_leave_no_trace(
        streams in prop::collection::vec(stream(600), 1..7),
        picks in prop::collection::vec(any::<(Index, Index)>(), 12),
        unseen in prop::collection::vec(0..100u64, 7),
        rows in 0..100usize,
        shape in shape(),
    ) {
        let leaf = |(stream, &unseen): (&Vec<Event>, &u64)| {
            let mut leaf = merged(&shape, [&stream[..]]);
            leaf.add_unseen(unseen);
            leaf
        };
        let mut straight = merged(&shape, streams.iter().map(|s| &s[..]));
        straight.add_unseen(unseen.iter().take(streams.len()).sum());
        let mut forest: Vec<_> = streams.iter().zip(&unseen).map(leaf).collect();
        for (a, b) in picks.into_iter().cycle().take(2 * streams.len()) {
            if forest.len() > 1 {
                let tree = forest.swap_remove(a.index(forest.len()));
                let at = b.index(forest.len());
                forest[at].merge(&tree).unwrap();
            }
        }
        prop_assert_eq!(forest.len(), 1);
        prop_assert_eq!(forest[0].to_parts(), straight.to_parts());
        prop_assert_eq!(forest[0].cut(rows).to_parts(), straight.cut(rows).to_parts());
        prop_assert_eq!(&forest[0], &straight);
    }

    /// Items whose hashes collide: bounds are then of all of them together, but the answer stays one answer.
    #[test]
    fn collisions_do_not_depend_on_the_order_of_merging(
        streams in prop::collection::vec(prop::collection::vec((0..80u32, 0..3u8), 0..400), 3),
    ) {
        let ledger = |stream: &Vec<(u32, u8)>| {
            let mut ledger = PaneSketch::new(&small());
            for &(item, variant) in stream {
                let key = [&key(item)[..], &[variant]].concat();
                ledger.update(Events {
                    hashes: &[item_hash(&support::key(item), small().seed())],
                    weights: &[1],
                    keys: &[KeySpan { offset: 0, len: key.len() as u32 }],
                    arena: &key,
                });
            }
            ledger
        };
        let ledgers: Vec<_> = streams.iter().map(ledger).collect();
        let union = |order: [usize; 3]| {
            let mut union = Merged::new(&small());
            order.iter().for_each(|&i| union.add(&ledgers[i]));
            union.to_parts()
        };
        prop_assert_eq!(union([0, 1, 2]), union([2, 0, 1]));
        prop_assert_eq!(union([0, 1, 2]), union([1, 2, 0]));
    }
}

/// Every item's hash and bounds: each ledger asked for each item.
fn naive_union(ledgers: &[NaiveLedger]) -> Vec<(u64, u64, u64)> {
    let hashes: BTreeSet<_> = ledgers.iter().flat_map(|ledger| ledger.rows.keys()).collect();
    let mut tail = vec![0; small().depth() * small().width()];
    for ledger in ledgers {
        tail.iter_mut().zip(ledger.tail.cells()).for_each(|(sum, cell)| *sum += cell);
    }
    let row = |&hash: &u64| {
        let (mut count, mut base) = (0, 0);
        for ledger in ledgers {
            let row = ledger.rows.get(&hash).copied().unwrap_or((0, ledger.gate - 1));
            (count, base) = (count + row.0, base + row.1);
        }
        // Which cells are the item's, a matrix of nothing but the item says.
        let mut item = CountMin::new(&small());
        item.add(hash, 1);
        let estimate = item.cells().zip(&tail).filter(|&(mark, _)| mark == 1).map(|(_, &cell)| cell).min();
        (hash, count, count + base.min(estimate.unwrap_or(0)))
    };
    hashes.into_iter().map(row).collect()
}

fn parts(shape: &Shape, sketch: &PaneSketch) -> crest_sketches::Parts {
    let mut union = Merged::new(shape);
    union.add(sketch);
    union.to_parts()
}

#[test]
fn cells_widen_when_the_tail_outweighs_32_bits() {
    let shape = small();
    let mut counts = CountMin::new(&shape);
    let narrow = counts.bytes();
    counts.add(1, u64::from(u32::MAX));
    assert_eq!((counts.bounds(1).upper(), counts.bytes()), (u64::from(u32::MAX), narrow));
    counts.add(1, 1);
    assert_eq!((counts.bounds(1).upper(), counts.bytes()), (1 << 32, 2 * narrow));
    counts.add(1, 1 << 40);
    assert_eq!(counts.bounds(1).upper(), (1 << 40) + (1 << 32));
}

#[test]
fn an_event_of_weight_0_counts_nothing() {
    let empty = sketch(&small(), &[(1, 0), (2, 0)]);
    assert_eq!((empty.rows(), empty.total()), (0, 0));
    let mut events: Vec<_> = (0..200).map(|i| (i % 70, 1)).collect();
    let without = parts(&small(), &sketch(&small(), &events));
    events.extend((0..100).map(|i| (i, 0)));
    assert_eq!(parts(&small(), &sketch(&small(), &events)), without);
}

#[test]
fn a_hash_of_0_counts_as_1() {
    let update = |hash| {
        let mut ledger = PaneSketch::new(&small());
        let keys = &[KeySpan { offset: 0, len: 1 }];
        ledger.update(Events { hashes: &[hash], weights: &[3], keys, arena: b"a" });
        parts(&small(), &ledger)
    };
    assert_eq!(update(0), update(1));
}

#[test]
fn other_shapes_and_seeds_are_refused() {
    let mut ours = Merged::new(&small());
    for theirs in [
        Shape::new(64, 0.07, 0.05, 7).unwrap(),
        Shape::new(32, 0.03, 0.05, 7).unwrap(),
        Shape::new(32, 0.07, 0.005, 7).unwrap(),
        Shape::new(32, 0.07, 0.05, 8).unwrap(),
        small_classic(),
    ] {
        assert!(matches!(ours.merge(&Merged::new(&theirs)), Err(MergeError::Shape { .. })));
    }
}

#[test]
fn weights_beyond_64_bits_are_refused() {
    let mut ours = Merged::new(&small());
    ours.add_unseen(u64::MAX / 2 + 1);
    let theirs = ours.clone();
    assert!(matches!(ours.merge(&theirs), Err(MergeError::Weight(..))));
    assert_eq!(ours, theirs);
}

#[test]
fn an_item_that_has_its_row_allocates_nothing_more() {
    let mut ledger = sketch(&small(), &(0..32).map(|i| (i, 1)).collect::<Vec<_>>());
    let bytes = ledger.bytes();
    count(&mut ledger, small().seed(), &(0..10_000).map(|i| (i % 32, 1)).collect::<Vec<_>>());
    assert_eq!(ledger.bytes(), bytes);
}
