//! The streams that are counted: seeded draws, keys of 10 to 60 bytes, as columns.

use crest_sketches::KeySpan;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Zipf};
use std::fmt::Write;

/// Above the greatest weight of an event in a weighted stream.
const TOO_HEAVY: f64 = 1001.0;

/// How items are drawn.
#[derive(Clone, Copy, PartialEq)]
pub struct Law {
    /// Of Zipf's law; 0 draws all items alike.
    pub exponent: f64,
    /// They are numbered from 1.
    pub items: u32,
    /// Weights from 1 to 1000, their logarithms uniform, instead of 1.
    pub weighted: bool,
}

/// Those that the budgets speak of, over a million ids and over ten.
pub fn laws() -> Vec<Law> {
    let law = |exponent, items| Law { exponent, items, weighted: false };
    let exponents = [0.8, 1.0, 1.1, 1.3, 0.0];
    exponents.into_iter().flat_map(|exponent| [law(exponent, 1_000_000), law(exponent, 10_000_000)]).collect()
}

impl Law {
    pub fn is_uniform(&self) -> bool {
        self.exponent == 0.0
    }

    pub fn name(&self) -> String {
        let law = if self.is_uniform() { "uniform".to_owned() } else { format!("Zipf {:.1}", self.exponent) };
        let weights = if self.weighted { ", weighted" } else { "" };
        format!("{law}, {}M{weights}", self.items / 1_000_000)
    }
}

/// Draws without end.
pub struct Draws {
    law: Law,
    zipf: Zipf<f64>,
    rng: StdRng,
}

impl Draws {
    pub fn new(law: Law, seed: u64) -> Self {
        let zipf = Zipf::new(law.items.into(), law.exponent.max(0.1)).unwrap();
        Draws { law, zipf, rng: StdRng::seed_from_u64(seed) }
    }

    /// How many items there are.
    pub fn items(&self) -> u32 {
        self.law.items
    }

    /// The next item.
    pub fn item(&mut self) -> u32 {
        match self.law.is_uniform() {
            true => self.rng.random_range(1..=self.law.items),
            false => self.zipf.sample(&mut self.rng) as u32,
        }
    }

    fn weight(&mut self) -> u32 {
        if self.law.weighted { TOO_HEAVY.powf(self.rng.random()) as u32 } else { 1 }
    }

    /// The next events.
    pub fn stream(&mut self, events: usize) -> Stream {
        let mut stream = Stream::default();
        for _ in 0..events {
            let (item, weight) = (self.item(), self.weight());
            stream.push(item, weight);
        }
        stream
    }
}

/// Appends an item's key: 10 to 60 bytes, 35 in the mean, always the same for one item.
fn push_key(arena: &mut String, item: u32) {
    let padding = 2 + u64::from(item).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize % 51;
    write!(arena, "{item:08}").unwrap();
    arena.extend(std::iter::repeat_n('-', padding));
}

/// The item whose key this is.
pub fn item_of(key: &[u8]) -> u32 {
    let digits = key.split(|&byte| byte == b'-').next().unwrap_or(key);
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

/// Events, as columns.
#[derive(Default)]
pub struct Stream {
    pub arena: String,
    pub keys: Vec<KeySpan>,
    pub weights: Vec<u32>,
    pub items: Vec<u32>,
}

/// Events in a row, whose keys may outlive the columns.
#[derive(Clone, Copy)]
pub struct Batch<'a, 'c> {
    pub arena: &'a str,
    pub keys: &'c [KeySpan],
    pub weights: &'c [u32],
}

impl Stream {
    pub fn push(&mut self, item: u32, weight: u32) {
        let offset = self.arena.len();
        push_key(&mut self.arena, item);
        self.keys.push(KeySpan { offset: offset as u32, len: (self.arena.len() - offset) as u32 });
        self.weights.push(weight);
        self.items.push(item);
    }

    pub fn all(&self) -> Batch<'_, '_> {
        Batch { arena: &self.arena, keys: &self.keys, weights: &self.weights }
    }

    /// The keys and weights of every `of`-th event of a range, from the `nth` on.
    pub fn dealt(&self, range: std::ops::Range<usize>, nth: usize, of: usize) -> (Vec<KeySpan>, Vec<u32>) {
        range.skip(nth).step_by(of).map(|at| (self.keys[at], self.weights[at])).unzip()
    }
}

impl<'a, 'c> Batch<'a, 'c> {
    /// The first events of it.
    pub fn first(self, events: usize) -> Batch<'a, 'c> {
        let events = events.min(self.keys.len());
        Batch { keys: &self.keys[..events], weights: &self.weights[..events], ..self }
    }

    /// In pieces of so many events.
    pub fn batches(self, events: usize) -> impl Iterator<Item = Batch<'a, 'c>> {
        let pieces = self.keys.chunks(events).zip(self.weights.chunks(events));
        pieces.map(move |(keys, weights)| Batch { keys, weights, ..self })
    }

    pub fn events(self) -> impl Iterator<Item = (&'a str, u32)> {
        let spans = self.keys.iter().zip(self.weights);
        spans.map(move |(span, &weight)| (&self.arena[span.offset as usize..][..span.len as usize], weight))
    }
}
