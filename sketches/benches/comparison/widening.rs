//! What it costs that cells widen: a ledger whose tail has passed 2^32, against the same one on weights that stay below.

use crate::clock::timed;
use crate::contenders::{BATCH, SEED};
use crate::streams::Stream;
use crate::table::{Table, with_ratio};
use crest_sketches::{Events, PaneSketch, Shape, item_hash};

/// Gates and counts grow by the same factor, so that the same events take the same ways.
const HEAVY: u32 = 1 << 20;

/// Nanoseconds an event with narrow cells and with wide ones, on one stream.
pub struct Widening {
    stream: String,
    narrow: f64,
    wide: f64,
}

/// The first half of the events brings the tail to where it is, the second is timed.
pub fn measure(name: &str, shape: &Shape, stream: &Stream, events: usize, rounds: usize) -> Widening {
    let hashes: Vec<_> = stream.all().events().map(|(key, _)| item_hash(key.as_bytes(), SEED)).collect();
    let half = events.min(hashes.len()) / 2;
    let cost = |weight: u32| {
        let count = |sketch: &mut PaneSketch, from: usize| {
            let columns = hashes[from..from + half].chunks(BATCH).zip(stream.keys[from..].chunks(BATCH));
            for (hashes, keys) in columns {
                let (weights, keys) = (&[weight; BATCH][..hashes.len()], &keys[..hashes.len()]);
                sketch.update(Events { hashes, weights, keys, arena: stream.arena.as_bytes(), values: &[] });
            }
        };
        let mut sketch = PaneSketch::new(shape);
        count(&mut sketch, 0);
        timed(|| count(&mut sketch, half)).0 / half as f64
    };
    let (mut narrow, mut wide) = (f64::MAX, f64::MAX);
    for _ in 0..rounds {
        narrow = narrow.min(cost(1));
        wide = wide.min(cost(HEAVY));
    }
    Widening { stream: name.to_owned(), narrow, wide }
}

pub fn print(all: &[Widening]) {
    let mut table = Table::new(1, ["ns an event, hashed before", "cells of 4 bytes", "of 8 bytes"]);
    for Widening { stream, narrow, wide } in all {
        table.row([stream.clone(), format!("{narrow:.1}"), with_ratio(*wide, *narrow, 1)]);
    }
    table.print("Widening: the ledger on weights of 1, and of a million", "");
}
