//! How one partition's panes are counted where heads shift, and the Count-Min matrix of what no row counts.

use crate::contenders::{BATCH, DELTA, EPSILON, SEED};
use crate::streams::{Stream, item_of};
use crest_sketches::{Events, KeySpan, Merged, PaneSketch, Shape, item_hash};
use std::collections::HashSet;

/// How a pane is counted.
#[derive(Clone, Copy, PartialEq)]
pub enum Sketching {
    /// By a ledger of so many rows.
    Ledger(usize),
    /// So many rows for the head of the last pane, and a ledger of as many for all other items.
    KeptHead(usize),
}

impl Sketching {
    pub fn name(self) -> String {
        match self {
            Sketching::Ledger(rows) => format!("ledger {rows}"),
            Sketching::KeptHead(rows) => format!("head {rows}, ledger {rows}"),
        }
    }
}

/// Where the columns of a union have its floor, and the number of its rows, behind which come hashes, counts, reliefs.
const FLOOR: usize = 6;
const ROWS: usize = 8;

/// The sketches of one partition's open pane.
pub struct PanePartition {
    sketching: Sketching,
    shape: Shape,
    /// Items of the last pane that keep their rows.
    head: HashSet<u32>,
    /// Of the head, which has as many rows as it has items, and of all others.
    sketches: [PaneSketch; 2],
}

impl PanePartition {
    pub fn new(sketching: Sketching) -> Self {
        let (Sketching::Ledger(rows) | Sketching::KeptHead(rows)) = sketching;
        let shape = Shape::new(rows, EPSILON, DELTA, SEED).unwrap();
        let sketches = [PaneSketch::new(&shape), PaneSketch::new(&shape)];
        PanePartition { sketching, shape, head: HashSet::new(), sketches }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What has counted the pane: every item in one of them.
    pub fn sketches(&self) -> impl Iterator<Item = &PaneSketch> {
        self.sketches.iter()
    }

    pub fn count(&mut self, stream: &Stream) {
        let (mut hashes, mut keys) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for ((key, _), (span, item)) in stream.all().events().zip(stream.keys.iter().zip(&stream.items)) {
            let other = usize::from(!self.head.contains(item));
            hashes[other].push(item_hash(key.as_bytes(), SEED));
            keys[other].push(*span);
        }
        for (sketch, (hashes, keys)) in self.sketches.iter_mut().zip(hashes.iter().zip(&keys)) {
            count(sketch, stream, hashes, keys);
        }
    }

    /// Of both. What is counted among the head is nowhere else: its rows have the ledger's whole floor for relief.
    pub fn union(&self) -> Merged {
        let mut union = Merged::new(&self.shape);
        self.sketches().for_each(|sketch| union.add(sketch));
        let mut parts = union.to_parts();
        let (floor, len) = (parts.words[FLOOR], parts.words[ROWS] as usize);
        for row in 0..len {
            let hash = parts.words[ROWS + 1 + row];
            if self.sketches[0].bounds(hash).lower() > 0 {
                parts.words[ROWS + 1 + 2 * len + row] = floor;
            }
        }
        Merged::from_parts(&self.shape, parts).unwrap()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.sketches.iter().map(PaneSketch::bytes).sum()
    }

    /// Begins the next pane.
    pub fn close(&mut self) {
        if let Sketching::KeptHead(rows) = self.sketching {
            self.head = self.union().cut(rows).rows().map(|row| item_of(row.key)).collect();
        }
        self.sketches = [PaneSketch::new(&self.shape), PaneSketch::new(&self.shape)];
    }
}

fn count(sketch: &mut PaneSketch, stream: &Stream, hashes: &[u64], keys: &[KeySpan]) {
    for (hashes, keys) in hashes.chunks(BATCH).zip(keys.chunks(BATCH)) {
        let weights = &[1; BATCH][..hashes.len()];
        sketch.update(Events { hashes, weights, keys, arena: stream.arena.as_bytes(), values: &[] });
    }
}

/// A Count-Min matrix of the weight that is in no row of a pane, of all partitions, as wide as the ledger's.
pub struct Tail {
    cells: Vec<u64>,
    weight: u64,
}

const WIDTH: usize = 8192;
/// Of the multiplications that give an item its cells.
const ODD: [u64; 5] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xff51_afd7_ed55_8ccd,
];

impl Default for Tail {
    fn default() -> Self {
        Tail { cells: vec![0; ODD.len() * WIDTH], weight: 0 }
    }
}

impl Tail {
    pub fn count(&mut self, stream: &Stream) {
        for (key, _) in stream.all().events() {
            let hash = item_hash(key.as_bytes(), SEED);
            places(hash).for_each(|at| self.cells[at] += 1);
            self.weight += 1;
        }
    }

    /// What a row counts is not in it.
    pub fn take_out(&mut self, hash: u64, weight: u64) {
        places(hash).for_each(|at| self.cells[at] -= weight);
        self.weight -= weight;
    }

    /// The median over the rows of the cell less what others have in a cell of it in the mean.
    pub fn estimate(&self, hash: u64) -> u64 {
        let without_noise = |at: usize| {
            let cell = self.cells[at] as f64;
            cell - (self.weight as f64 - cell) / (WIDTH - 1) as f64
        };
        let mut estimates: Vec<_> = places(hash).map(without_noise).collect();
        estimates.sort_by(f64::total_cmp);
        estimates[ODD.len() / 2].round().max(0.0) as u64
    }
}

/// The item's cells, one of each row.
fn places(hash: u64) -> impl Iterator<Item = usize> {
    let bits = WIDTH.trailing_zeros();
    ODD.iter()
        .enumerate()
        .map(move |(row, odd)| row * WIDTH + (hash.wrapping_mul(*odd) >> (64 - bits)) as usize)
}
