//! What an update costs: nanoseconds an event on one core, the hash of the key included, against an exact map.
//!
//! `cargo run --release -p crest-sketches --example update_cost [events]`
#![allow(clippy::print_stdout, reason = "an example prints")]

mod clock;

use clock::now;
use crest_sketches::{Events, KeySpan, PaneSketch, Shape, item_hash};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Zipf};
use std::collections::HashMap;
use std::hint::black_box;

/// Events handed over at once.
const BATCH: usize = 1024;

/// Events as a source hands them over: keys in one arena.
struct Stream {
    keys: Vec<KeySpan>,
    arena: Vec<u8>,
}

impl Stream {
    fn new(events: usize, mut item: impl FnMut(&mut StdRng) -> u64) -> Stream {
        let mut rng = StdRng::seed_from_u64(1);
        let mut stream = Stream { keys: Vec::new(), arena: Vec::new() };
        for _ in 0..events {
            let item = item(&mut rng);
            // 10 to 60 bytes, 35 in the mean, always the same for one item.
            let padding = 2 + item.wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize % 51;
            let key = format!("{item:08}{:-<padding$}", "");
            stream.keys.push(KeySpan { offset: stream.arena.len() as u32, len: key.len() as u32 });
            stream.arena.extend(key.as_bytes());
        }
        stream
    }

    fn key(&self, span: &KeySpan) -> &[u8] {
        &self.arena[span.offset as usize..][..span.len as usize]
    }

    fn ledger(&self, shape: &Shape) -> u64 {
        let mut ledger = PaneSketch::new(shape);
        let mut hashes = Vec::with_capacity(BATCH);
        for keys in self.keys.chunks(BATCH) {
            hashes.clear();
            hashes.extend(keys.iter().map(|span| item_hash(self.key(span), shape.seed())));
            let weights = &[1; BATCH][..keys.len()];
            ledger.update(Events { hashes: &hashes, weights, keys, arena: &self.arena });
        }
        ledger.total()
    }

    fn hash_only(&self) -> u64 {
        self.keys.iter().fold(0, |sum, span| sum ^ item_hash(self.key(span), 7))
    }

    fn exact(&self) -> u64 {
        let mut counts: HashMap<Box<[u8]>, u64> = HashMap::new();
        for span in &self.keys {
            match counts.get_mut(self.key(span)) {
                Some(count) => *count += 1,
                None => drop(counts.insert(self.key(span).into(), 1)),
            }
        }
        counts.len() as u64
    }
}

/// Nanoseconds of processor time an event, best of five.
fn time(events: usize, work: impl Fn() -> u64) -> f64 {
    let run = |_| {
        let start = now();
        black_box(work());
        (now() - start) as f64 / events as f64
    };
    (0..5).map(run).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events = std::env::args().nth(1).map_or(Ok(3_000_000), |events| events.parse())?;
    let sizes = [1024, 4096, 16_384];
    println!(
        "{:24} {:>8} {:>8} {:>8} {:>8} {:>10}",
        "ns an event", "hash", "1024", "4096", "16384", "HashMap"
    );
    for (name, items, exponent) in [
        ("Zipf 0.8, 1M ids", 1e6, 0.8_f64),
        ("Zipf 0.8, 10M ids", 1e7, 0.8),
        ("Zipf 1.0, 1M ids", 1e6, 1.0),
        ("Zipf 1.0, 10M ids", 1e7, 1.0),
        ("Zipf 1.3, 1M ids", 1e6, 1.3),
        ("Zipf 1.3, 10M ids", 1e7, 1.3),
        ("uniform, 10M ids", 1e7, 0.0),
    ] {
        let zipf = Zipf::new(items, exponent.max(0.1))?;
        let stream = Stream::new(events, |rng| match exponent {
            0.0 => rng.random_range(0..items as u64),
            _ => zipf.sample(rng) as u64,
        });
        print!("{name:24} {:8.1}", time(events, || stream.hash_only()));
        for rows in sizes {
            let shape = Shape::new(rows, 0.001, 0.00005, 7)?;
            print!(" {:8.1}", time(events, || stream.ledger(&shape)));
        }
        println!(" {:10.1}", time(events, || stream.exact()));
    }
    Ok(())
}
