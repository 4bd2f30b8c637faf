//! Pane sketches of seeded traffic: 4 partitions keyed by item, Zipf 1.0, the same for the same pane in every run.

use crate::draws::Draws;
use crate::setting;
use crest_sketches::{Events, KeySpan, Merged, PaneSketch, Shape, item_hash};
use crest_state::pane::Pane;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashSet;

const ITEMS: usize = 1_000_000;
const PARTITIONS: usize = 4;
const BATCH: usize = 4096;

pub fn key(item: usize) -> String {
    format!("product:{item:08}-{:04x}", item.wrapping_mul(2_654_435_761) & 0xffff)
}

/// What panes are made of.
pub struct Traffic {
    shape: Shape,
    pub events: usize,
    draws: Draws,
    hashes: Vec<u64>,
    keys: Vec<KeySpan>,
    arena: Vec<u8>,
}

impl Traffic {
    pub fn new(shape: Shape) -> Self {
        let (mut hashes, mut keys, mut arena) = (Vec::new(), Vec::new(), Vec::new());
        for item in 0..ITEMS {
            let key = key(item);
            hashes.push(item_hash(key.as_bytes(), shape.seed()));
            keys.push(KeySpan { offset: arena.len() as u32, len: key.len() as u32 });
            arena.extend_from_slice(key.as_bytes());
        }
        let draws = Draws::new((1..=ITEMS).map(|rank| 1.0 / rank as f64));
        Traffic { shape, events: setting("EVENTS_A_PANE", 350_000), draws, hashes, keys, arena }
    }

    /// The items of a pane's events, in their order.
    pub fn items(&self, pane: Pane) -> impl Iterator<Item = usize> {
        let mut random = StdRng::seed_from_u64(pane);
        (0..self.events).map(move |_| self.draws.draw(random.next_u64()))
    }

    /// How many items a pane has.
    pub fn active(&self, pane: Pane) -> usize {
        self.items(pane).collect::<HashSet<_>>().len()
    }

    /// The sketches of all partitions of a pane, merged and not cut.
    pub fn pane(&self, pane: Pane) -> Merged {
        let mut sketches: Vec<_> = (0..PARTITIONS).map(|_| PaneSketch::new(&self.shape)).collect();
        let mut columns: Vec<(Vec<u64>, Vec<KeySpan>)> = vec![Default::default(); PARTITIONS];
        let weights = [1; BATCH];
        let mut count = |partition: usize, (hashes, keys): &mut (Vec<u64>, Vec<KeySpan>)| {
            let weights = &weights[..hashes.len()];
            sketches[partition].update(Events { hashes, weights, keys, values: &[], arena: &self.arena });
            hashes.clear();
            keys.clear();
        };
        for item in self.items(pane) {
            let partition = item % PARTITIONS;
            let batch = &mut columns[partition];
            batch.0.push(self.hashes[item]);
            batch.1.push(self.keys[item]);
            if batch.0.len() == BATCH {
                count(partition, batch);
            }
        }
        columns.iter_mut().enumerate().for_each(|(partition, batch)| count(partition, batch));
        let mut merged = Merged::new(&self.shape);
        sketches.iter().for_each(|sketch| merged.add(sketch));
        merged
    }
}
