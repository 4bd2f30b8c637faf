//! Slow and obvious twins of the sketches, and the streams they are compared on.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use crest_sketches::{
    Bounds, CountMin, Digest, Events, KeySpan, Merged, PaneSketch, RankedRow, Ranking, Shape, item_hash,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use std::collections::{BTreeMap, BTreeSet};

/// A small table and a small tail, so that short streams overflow both.
pub fn small() -> Shape {
    Shape::new(32, 0.07, 0.05, 7).unwrap()
}

/// A classic one, of a width that is no power of two.
pub fn small_classic() -> Shape {
    Shape::classic(32, 0.03, 0.05, 7).unwrap()
}

/// Of either kind.
pub fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(small()), Just(small_classic())]
}

/// Failing seeds are kept beside the test, to be committed.
pub fn config(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("regressions")) as Box<_>);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

/// An event: an item, by number, and its weight.
pub type Event = (u32, u32);

pub fn key(item: u32) -> Vec<u8> {
    format!("item-{item}").into_bytes()
}

/// Streams of any skew, from one hot item to all distinct, and of any weights, from all 1 to the greatest.
pub fn stream(longest: usize) -> impl Strategy<Value = Vec<Event>> {
    let items = prop_oneof![
        Just((1, 1)),
        Just((20, 1)),
        Just((60, 1)),
        Just((400, 1)),
        Just((400, 4)),
        Just((4000, 3)),
        Just((u32::MAX, 1))
    ];
    let heaviest = prop_oneof![Just(1u32), Just(20), Just(u32::MAX)];
    (items, heaviest).prop_flat_map(move |((items, skew), heaviest)| {
        let item = prop::collection::vec(0..items, skew).prop_map(|draws| *draws.iter().min().unwrap());
        prop::collection::vec((item, 1..=heaviest), 0..longest)
    })
}

/// Counts a batch.
pub fn count(sketch: &mut PaneSketch, seed: u64, events: &[Event]) {
    let (mut hashes, mut weights, mut keys, mut arena) = (vec![], vec![], vec![], vec![]);
    for &(item, weight) in events {
        let key = key(item);
        hashes.push(item_hash(&key, seed));
        weights.push(weight);
        keys.push(KeySpan { offset: arena.len() as u32, len: key.len() as u32 });
        arena.extend(key);
    }
    sketch.update(Events { hashes: &hashes, weights: &weights, keys: &keys, arena: &arena });
}

pub fn sketch(shape: &Shape, events: &[Event]) -> PaneSketch {
    let mut sketch = PaneSketch::new(shape);
    count(&mut sketch, shape.seed(), events);
    sketch
}

pub fn merged<'a>(shape: &Shape, streams: impl IntoIterator<Item = &'a [Event]>) -> Merged {
    let mut merged = Merged::new(shape);
    for events in streams {
        merged.add(&sketch(shape, events));
    }
    merged
}

/// The digest of one partition's pane.
pub fn digest(shape: &Shape, events: &[Event], rows: usize) -> Digest {
    merged(shape, [events]).cut(rows)
}

/// What every item truly has.
pub fn recount<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<Vec<u8>, u64> {
    let mut counts = BTreeMap::new();
    for &(item, weight) in events {
        *counts.entry(key(item)).or_insert(0) += u64::from(weight);
    }
    counts
}

/// Bounds hold for every item of the stream, tracked or not, and for every row.
pub fn check_bounds(digest: &Digest, truth: &BTreeMap<Vec<u8>, u64>) {
    assert_eq!(digest.total(), truth.values().sum::<u64>());
    let mut untracked = truth.clone();
    for row in digest.rows() {
        let count = untracked.remove(row.key).expect("every row is an item of the stream, once");
        assert!(row.bounds.contains(count), "{row:?} has {count}");
        assert!(row.bounds.doubt() <= digest.floor(), "{row:?}, floor {}", digest.floor());
    }
    for (key, count) in untracked {
        assert!(count <= digest.floor(), "{key:?} has {count}, floor {}", digest.floor());
    }
}

/// The gated ledger as its module describes it, on ordered maps and whole scans.
pub struct NaiveLedger {
    shape: Shape,
    pub rows: BTreeMap<u64, (u64, u64)>,
    pub tail: CountMin,
    pub gate: u64,
}

impl NaiveLedger {
    pub fn new(shape: &Shape, events: &[Event]) -> Self {
        let (rows, tail) = (BTreeMap::new(), CountMin::new(shape));
        let mut ledger = NaiveLedger { shape: shape.clone(), rows, tail, gate: 1 };
        for &(item, weight) in events {
            ledger.count(item_hash(&key(item), shape.seed()), weight.into());
        }
        ledger
    }

    fn count(&mut self, hash: u64, weight: u64) {
        if let Some((count, _)) = self.rows.get_mut(&hash) {
            *count += weight;
            return;
        }
        let estimate = self.tail.bounds(hash).upper();
        if estimate + weight < self.gate {
            self.tail.add(hash, weight);
        } else if self.rows.len() < self.shape.rows() {
            self.rows.insert(hash, (weight, estimate.min(self.gate - 1)));
        } else {
            self.raise_gate();
            self.count(hash, weight);
        }
    }

    fn raise_gate(&mut self) {
        let mut uppers: Vec<_> = self.rows.values().map(|(count, base)| count + base).collect();
        uppers.sort();
        self.gate = (uppers[self.shape.rows() * 5 / 8] + 1).max(self.gate + self.gate / 8);
        for (hash, (count, _)) in self.rows.extract_if(.., |_, (count, base)| *count + *base < self.gate) {
            self.tail.add(hash, count);
        }
    }
}

/// The ranking of a window by definition: each digest asked for each item.
pub fn naive_ranking(digests: &[&Digest], k: usize) -> Ranking {
    let keys: BTreeSet<_> = digests.iter().flat_map(|digest| digest.rows().map(|row| row.key)).collect();
    let bounds = |key: &[u8]| -> Bounds {
        let of = |digest: &&Digest| {
            let row = digest.rows().find(|row| row.key == key);
            row.map_or(Bounds::at_most(digest.floor()), |row| row.bounds)
        };
        digests.iter().map(of).sum()
    };
    let row = |key: &[u8]| RankedRow { key: key.to_vec(), bounds: bounds(key) };
    let mut rows: Vec<_> = keys.into_iter().map(row).collect();
    rows.sort_by(|a, b| (b.bounds.upper(), &b.key).cmp(&(a.bounds.upper(), &a.key)));
    let floor = digests.iter().map(|digest| digest.floor()).sum();
    let outside = rows.get(k).map_or(0, |row| row.bounds.upper()).max(floor);
    rows.truncate(k);
    Ranking { total: digests.iter().map(|digest| digest.total()).sum(), floor, outside, rows }
}
