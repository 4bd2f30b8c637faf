//! What a window of a day costs: 1,440 nodes of a minute, a thousand rows each, on streams with and without a head.
//!
//! `cargo run --release -p crest-sketches --example slide_cost`
#![allow(clippy::print_stdout, reason = "an example prints")]

mod clock;

use clock::now;
use crest_sketches::{Digest, Events, KeySpan, Merged, PaneSketch, Shape, WindowSum, item_hash};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Zipf};

const NODES: u64 = 1440;
/// Enough to overflow the ledger of a minute.
const EVENTS_A_NODE: usize = 30_000;
/// Slides that are timed.
const SLIDES: u64 = 50;

/// The digest of a minute.
fn node(shape: &Shape, mut item: impl FnMut() -> u64) -> Digest {
    let (mut hashes, mut keys, mut arena) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..EVENTS_A_NODE {
        let key = format!("product:{:027}", item());
        hashes.push(item_hash(key.as_bytes(), shape.seed()));
        keys.push(KeySpan { offset: arena.len() as u32, len: key.len() as u32 });
        arena.extend(key.as_bytes());
    }
    let mut ledger = PaneSketch::new(shape);
    ledger.update(Events { hashes: &hashes, weights: &vec![1; EVENTS_A_NODE], keys: &keys, arena: &arena });
    let mut merged = Merged::new(shape);
    merged.add(&ledger);
    merged.cut(1024)
}

/// The median time of some runs, in milliseconds.
fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// Milliseconds of processor time.
fn timed(work: impl FnOnce()) -> f64 {
    let start = now();
    work();
    (now() - start) as f64 / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shape = Shape::new(4096, 0.001, 0.00005, 7)?;
    println!(
        "{:12} {:>10} {:>8} {:>9} {:>9} {:>12}",
        "ms, medians", "candidates", "MB", "slide", "top 100", "provisional"
    );
    for (name, exponent) in [("Zipf 1.3", 1.3), ("Zipf 1.0", 1.0), ("Zipf 0.8", 0.8), ("uniform", 0.0)] {
        let (mut rng, zipf) = (StdRng::seed_from_u64(1), Zipf::new(1e6, f64::max(exponent, 0.1))?);
        let mut item = || match exponent {
            0.0 => rng.random_range(0..1_000_000),
            _ => zipf.sample(&mut rng) as u64,
        };
        let mut window = WindowSum::new();
        (0..NODES).for_each(|number| window.push(number, &node(&shape, &mut item)));
        let (mut slides, mut ranks, mut provisionals) = (Vec::new(), Vec::new(), Vec::new());
        for number in NODES..NODES + SLIDES {
            let next = node(&shape, &mut item);
            provisionals.push(timed(|| drop(window.rank_provisional(number + 1 - NODES, &[&next], 100))));
            slides.push(timed(|| {
                window.push(number, &next);
                window.expire(number + 1 - NODES);
            }));
            ranks.push(timed(|| drop(window.rank(100))));
        }
        let (candidates, megabytes) = (window.rank(usize::MAX).rows.len(), window.bytes() as f64 / 1e6);
        let (slide, rank, provisional) = (median(slides), median(ranks), median(provisionals));
        println!("{name:12} {candidates:10} {megabytes:8.1} {slide:9.3} {rank:9.3} {provisional:12.3}");
    }
    Ok(())
}
