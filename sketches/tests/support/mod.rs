//! The streams that sketches are tested on, and how they are counted there.
#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

pub mod decoding;
pub mod laws;
pub mod operations;
pub mod shapes;
pub mod streams;
pub mod twin;
pub mod visits;

pub use laws::{Truth, naive_ranking};
pub use shapes::{SEED, small, small_classic};
pub use streams::{Event, key, stream};

use crest_sketches::{Digest, Events, KeySpan, Merged, PaneSketch, Ranking, Shape, item_hash};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use twin::NaivePane;

/// Of either kind.
pub fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(small()), Just(small_classic())]
}

/// Failing seeds are kept beside the test, to be committed.
pub fn config(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("regressions")) as Box<_>);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

pub fn hash(key: &[u8]) -> u64 {
    item_hash(key, SEED)
}

/// Counts a batch.
pub fn count(sketch: &mut PaneSketch, seed: u64, events: &[Event]) {
    count_as(sketch, events, |key| item_hash(key, seed));
}

/// Counts a batch of items whose identity is whatever `hash` says.
pub fn count_as(sketch: &mut PaneSketch, events: &[Event], hash: impl Fn(&[u8]) -> u64) {
    let (mut hashes, mut weights, mut keys, mut arena) = (vec![], vec![], vec![], vec![]);
    for &(item, weight) in events {
        let key = key(item);
        hashes.push(hash(&key));
        weights.push(weight);
        keys.push(KeySpan { offset: arena.len() as u32, len: key.len() as u32 });
        arena.extend(key);
    }
    sketch.update(Events { hashes: &hashes, weights: &weights, keys: &keys, arena: &arena, values: &[] });
}

pub fn sketch(shape: &Shape, events: &[Event]) -> PaneSketch {
    let mut sketch = PaneSketch::new(shape);
    count(&mut sketch, shape.seed(), events);
    sketch
}

/// The same by its twin.
pub fn twin(shape: &Shape, events: &[Event]) -> NaivePane {
    let mut twin = NaivePane::new(shape);
    events.iter().for_each(|&(item, weight)| twin.count(item_hash(&key(item), shape.seed()), weight.into()));
    twin
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
pub fn recount<'a>(events: impl IntoIterator<Item = &'a Event>) -> Truth {
    let mut counts = Truth::new();
    for &(item, weight) in events {
        *counts.entry(key(item)).or_insert(0) += u64::from(weight);
    }
    counts.retain(|_, weight| *weight > 0);
    counts
}

/// Bounds hold for every item of the stream, tracked or not, and for every row.
pub fn check_bounds(digest: &Digest, truth: &Truth) {
    laws::check_digest(digest, truth, 0, hash);
}

/// As [`check_bounds`], for a ranking of at most `k`.
pub fn check_ranking(ranking: &Ranking, k: usize, truth: &Truth) {
    laws::check_ranking(ranking, k, truth, 0, hash);
}
