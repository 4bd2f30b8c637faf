//! A sketch is a function of its stream, and a union of the set of its sketches: batches, order and tree leave no
//! trace.

mod support;

use crest_sketches::{
    CountMin, Events, GroupCounts, KeySpan, Kind, MergeError, Merged, PaneSketch, Parts, Shape,
};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use support::twin::{NaiveMatrix, check_sketch, check_union};
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
    fn sketches_and_their_union_are_what_their_naive_twins_are(
        streams in prop::collection::vec(stream(1200), 1..4), shape in shape(),
    ) {
        let twins: Vec<_> = streams.iter().map(|events| twin(&shape, events)).collect();
        for (events, twin) in streams.iter().zip(&twins) {
            check_sketch(&sketch(&shape, events), twin, &recount(events), hash);
        }
        let union = merged(&shape, streams.iter().map(|s| &s[..]));
        let twins: Vec<_> = twins.iter().collect();
        check_union(&union, &twins, &recount(streams.iter().flatten()), 0, &shape, hash);
    }

    #[test]
    fn tail_and_rows_are_the_plain_count_min_of_the_stream(streams in prop::collection::vec(stream(1200), 1..5)) {
        // Tables of different sizes cut the stream elsewhere and must end in the same matrix.
        let shapes = [32, 64, 1024].map(|rows| Shape::new(rows, 0.07, 0.05, SEED).unwrap());
        for shape in shapes.into_iter().chain([small_classic()]) {
            let plain = NaiveMatrix::of(&shape, &recount(streams.iter().flatten()), hash);
            let union = merged(&shape, streams.iter().map(|s| &s[..]));
            prop_assert!(union.count_min().cells().eq(plain.cells().iter().copied()));
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

    #[test]
    fn the_union_of_many_partitions_is_that_of_one_after_the_other(
        streams in prop::collection::vec(stream(600), 0..24), shape in shape(),
    ) {
        let sketches: Vec<_> = streams.iter().map(|events| sketch(&shape, events)).collect();
        let few = |events: &[Event]| GroupCounts::Few(merged(&shape, [events]).cut(usize::MAX));
        let counts = streams.iter().zip(&sketches).zip(0..).map(|((events, sketch), at)| {
            if sketch.is_exact() && at % 2 == 0 { few(events) } else { GroupCounts::Sketch(sketch) }
        });
        let union = GroupCounts::union(&counts.collect::<Vec<_>>(), &shape);
        prop_assert_eq!(union.to_parts(), merged(&shape, streams.iter().map(|s| &s[..])).to_parts());
    }

    /// Bounds are then those of the items together, and each alone has at most the upper one; items of other hashes
    /// are no worse off, and nothing depends on the order of merging.
    #[test]
    fn items_that_share_a_hash_are_known_together(
        streams in prop::collection::vec(stream(400), 3), sharing in 2..40u32, shape in shape(),
    ) {
        let hash = |name: &[u8]| if (0..sharing).any(|item| name == key(item)) { hash(&key(0)) } else { hash(name) };
        let sketch = |events: &Vec<Event>| {
            let mut sketch = PaneSketch::new(&shape);
            count_as(&mut sketch, events, hash);
            sketch
        };
        let sketches: Vec<_> = streams.iter().map(sketch).collect();
        let union = |order: [usize; 3]| {
            let mut union = Merged::new(&shape);
            order.iter().for_each(|&at| union.add(&sketches[at]));
            union
        };
        let digest = union([0, 1, 2]).cut(usize::MAX);
        let mut truth = BTreeMap::new();
        for (key, weight) in recount(streams.iter().flatten()) {
            *truth.entry(hash(&key)).or_insert(0) += weight;
        }
        for row in digest.rows() {
            prop_assert!(hash(row.key) == row.hash);
            let weight = truth.remove(&row.hash).unwrap();
            prop_assert!(row.bounds.contains(weight), "{:?} has {}", row, weight);
        }
        prop_assert!(truth.values().all(|&weight| weight <= digest.floor()));
        prop_assert_eq!(union([0, 1, 2]), union([2, 0, 1]));
        prop_assert_eq!(union([0, 1, 2]).to_parts(), union([1, 2, 0]).to_parts());
    }

    /// Matrices that weigh a little less and a little more than a narrow cell holds, so that narrow ones meet wide ones.
    #[test]
    fn matrices_near_the_greatest_narrow_cell_merge_either_way(
        beyond in prop::collection::vec(-2..3i64, 1..4), shape in shape(),
    ) {
        let streams: Vec<_> = beyond.iter().map(|&beyond| heavy_matrix(shape.kind(), beyond)).collect();
        for (events, &beyond) in streams.iter().zip(&beyond) {
            let Parts { words, halves, .. } = merged(&shape, [&events[..]]).to_parts();
            let narrow_cells = halves.len() > words[8] as usize;
            prop_assert_eq!(narrow_cells, beyond <= 0);
        }
        let truth = recount(streams.iter().flatten());
        let twins: Vec<_> = streams.iter().map(|events| twin(&shape, events)).collect();
        let forward = merged(&shape, streams.iter().map(|s| &s[..]));
        check_union(&forward, &twins.iter().collect::<Vec<_>>(), &truth, 0, &shape, hash);
        check_bounds(&forward.cut(20), &truth);
        let mut backward = Merged::new(&shape);
        for events in streams.iter().rev() {
            backward.merge(&merged(&shape, [&events[..]])).unwrap();
        }
        prop_assert_eq!(&forward, &backward);
        prop_assert_eq!(Merged::from_parts(&shape, forward.to_parts()), Ok(forward));
    }
}

/// A stream whose sketch has a matrix of so much more than 32 bits hold. A ledger of 32 rows folds the least 21 when
/// a 33rd item comes; a classic sketch has all items in its matrix by then.
fn heavy_matrix(kind: Kind, beyond: i64) -> Vec<Event> {
    let (light, heavy) = if kind == Kind::Ledger { (21, 12) } else { (33, 0) };
    let weight = (i64::from(u32::MAX) + beyond) as u64;
    let share = |item| {
        (item, (weight / u64::from(light) + u64::from(item == 0) * (weight % u64::from(light))) as u32)
    };
    (0..light).map(share).chain((0..heavy).map(|item| (1000 + item, u32::MAX))).collect()
}

fn parts(shape: &Shape, sketch: &PaneSketch) -> Parts {
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
    for shape in [small(), small_classic()] {
        let update = |hash| {
            let mut sketch = sketch(&shape, &(0..200).map(|item| (item, 100)).collect::<Vec<_>>());
            let keys = &[KeySpan { offset: 0, len: 1 }];
            sketch.update(Events { hashes: &[hash], weights: &[30], keys, arena: b"a", values: &[] });
            sketch
        };
        let (zero, one) = (update(0), update(1));
        assert_eq!(parts(&shape, &zero), parts(&shape, &one));
        assert_eq!(zero.bounds(0), one.bounds(1));
        assert!(zero.bounds(0).contains(30), "{:?}", zero.bounds(0));
    }
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
