//! Who is compared, each fed in the fastest way that its public interface has, and what it holds in memory.
//!
//! `datasketches` is Apache DataSketches' port to Rust. Its `FrequentItemsSketch<String>` gets borrowed keys by
//! `update_with_count_ref`, which copies a key only when it is new, as its documentation advises; its map sizes are
//! powers of two, so that the two around the ledger's memory compete, beside one of the usual 2048. `CountMinSketch`
//! gets keys as `RawBytes`, which it hashes faster than a `str`. Two rows go further: borrowed keys that are never
//! copied, which asks for a stream that stays in memory, and a Count-Min that gets each key's 64-bit hash for an item
//! instead of hashing the whole key once a row.

use crate::streams::{Batch, Draws, Law};
use crest_sketches::{Events, Kind, PaneSketch, Shape, item_hash};
use datasketches::countmin::CountMinSketch;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hash::value::raw_bytes::{self, RawBytes};
use std::collections::HashMap;

/// Of the classic pair and of everyone's Count-Min.
pub const EPSILON: f64 = 0.001;
pub const DELTA: f64 = 0.00005;
/// Of our item hash.
pub const SEED: u64 = 7;
/// Events handed over at once.
pub const BATCH: usize = 1024;
/// The map of a `FrequentItemsSketch` where nobody thinks about memory.
const USUAL_MAP: usize = 2048;

/// A way to count.
#[derive(Clone, PartialEq)]
pub enum Contender {
    /// Only reads the keys: what every other one cannot be faster than.
    Hash,
    Ours(Shape),
    FrequentItems {
        map: usize,
    },
    BorrowedItems {
        map: usize,
    },
    CountMin,
    CountMinOfHashes,
    Exact,
}

/// One of them at work.
pub enum Sketch<'a> {
    Hash(u64),
    Ours(PaneSketch, Vec<u64>),
    FrequentItems(FrequentItemsSketch<String>),
    BorrowedItems(FrequentItemsSketch<RawBytes<&'a str>>),
    CountMin(CountMinSketch<u32>),
    CountMinOfHashes(CountMinSketch<u32>),
    Exact(Counts),
}

/// The exact map, with the hasher that a `HashMap` has by itself.
pub type Counts = HashMap<Box<[u8]>, u64>;

pub fn ledger_shape() -> Shape {
    ledger_of(4096)
}

fn ledger_of(rows: usize) -> Shape {
    Shape::new(rows, EPSILON, DELTA, SEED).unwrap()
}

pub fn classic_shape() -> Shape {
    Shape::classic(1024, EPSILON, DELTA, SEED).unwrap()
}

pub fn ledger() -> Contender {
    Contender::Ours(ledger_shape())
}

pub fn classic() -> Contender {
    Contender::Ours(classic_shape())
}

/// The map sizes whose sketches, when full, hold less than the ledger and more.
pub fn maps_around_the_ledger() -> [usize; 2] {
    let law = Law { exponent: 1.0, items: 1_000_000, weighted: false };
    let stream = Draws::new(law, SEED).stream(500_000);
    let filled = |contender: &Contender| {
        let mut sketch = contender.start();
        sketch.count_all(stream.all());
        sketch
    };
    let budget = filled(&ledger()).bytes();
    let key = stream.arena.len() / stream.keys.len();
    let above = (11..=20).map(|lg| 1 << lg).find(|&map| {
        let Sketch::FrequentItems(sketch) = filled(&Contender::FrequentItems { map }) else { return false };
        sketch.estimated_size() + sketch.maximum_map_capacity() * key > budget
    });
    let above = above.expect("a map of a million slots holds more than a ledger");
    [above / 2, above]
}

/// All of them, the ledger that the others are compared with first.
pub fn everyone(maps: [usize; 2]) -> Vec<Contender> {
    let [below, above] = maps;
    vec![
        ledger(),
        Contender::Ours(ledger_of(1024)),
        Contender::Ours(ledger_of(16_384)),
        classic(),
        Contender::FrequentItems { map: USUAL_MAP },
        Contender::FrequentItems { map: below },
        Contender::FrequentItems { map: above },
        Contender::BorrowedItems { map: below },
        Contender::CountMin,
        Contender::CountMinOfHashes,
        Contender::Exact,
        Contender::Hash,
    ]
}

/// Those that give answers of their own.
pub fn answering(maps: [usize; 2]) -> Vec<Contender> {
    let mut everyone = everyone(maps);
    everyone.retain(|contender| !contender.is_variant());
    everyone
}

impl Contender {
    pub fn name(&self) -> String {
        match self {
            Contender::Hash => "(hash of the key alone)".to_owned(),
            Contender::Ours(shape) => match shape.kind() {
                Kind::Ledger => format!("crest ledger {}", shape.rows()),
                Kind::Classic => format!("crest classic {}", shape.rows()),
                Kind::Exact => "crest exact".to_owned(),
                Kind::Distinct => format!("crest distinct {}", shape.rows()),
                Kind::ExactDistinct => "crest exact distinct".to_owned(),
            },
            Contender::FrequentItems { map } => format!("datasketches FrequentItems {map}"),
            Contender::BorrowedItems { map } => format!("… {map}, keys never copied"),
            Contender::CountMin => "datasketches CountMin".to_owned(),
            Contender::CountMinOfHashes => "… given the hash of the key".to_owned(),
            Contender::Exact => "HashMap".to_owned(),
        }
    }

    /// Whether it only differs from another one in how fast it is.
    fn is_variant(&self) -> bool {
        matches!(self, Contender::Hash | Contender::BorrowedItems { .. } | Contender::CountMinOfHashes)
    }

    pub fn start<'a>(&self) -> Sketch<'a> {
        match self {
            Contender::Hash => Sketch::Hash(0),
            Contender::Ours(shape) => Sketch::Ours(PaneSketch::new(shape), Vec::with_capacity(BATCH)),
            Contender::FrequentItems { map } => {
                Sketch::FrequentItems(FrequentItemsSketch::new(*map).unwrap())
            }
            Contender::BorrowedItems { map } => {
                Sketch::BorrowedItems(FrequentItemsSketch::new(*map).unwrap())
            }
            Contender::CountMin => Sketch::CountMin(count_min()),
            Contender::CountMinOfHashes => Sketch::CountMinOfHashes(count_min()),
            Contender::Exact => Sketch::Exact(HashMap::new()),
        }
    }
}

/// Of the size that the library suggests, with four bytes a cell like ours.
pub fn count_min() -> CountMinSketch<u32> {
    let hashes = CountMinSketch::<u32>::suggest_num_hashes(1.0 - DELTA).unwrap();
    let buckets = CountMinSketch::<u32>::suggest_num_buckets(EPSILON).unwrap();
    CountMinSketch::new(hashes, buckets).unwrap()
}

impl<'a> Sketch<'a> {
    /// Counts events as a source hands them over, batch by batch.
    pub fn count_all(&mut self, events: Batch<'a, '_>) {
        events.batches(BATCH).for_each(|batch| self.count(batch));
    }

    fn count(&mut self, batch: Batch<'a, '_>) {
        match self {
            Sketch::Hash(sum) => batch.events().for_each(|(key, _)| *sum ^= item_hash(key.as_bytes(), SEED)),
            Sketch::Ours(sketch, hashes) => {
                hashes.clear();
                hashes.extend(batch.events().map(|(key, _)| item_hash(key.as_bytes(), SEED)));
                let Batch { arena, keys, weights } = batch;
                sketch.update(Events { hashes, weights, keys, arena: arena.as_bytes(), values: &[] });
            }
            Sketch::FrequentItems(sketch) => {
                batch.events().for_each(|(key, weight)| sketch.update_with_count_ref(key, weight.into()));
            }
            Sketch::BorrowedItems(sketch) => {
                batch.events().for_each(|(key, weight)| {
                    sketch.update_with_count(raw_bytes::from_str(key), weight.into())
                });
            }
            Sketch::CountMin(sketch) => {
                batch
                    .events()
                    .for_each(|(key, weight)| sketch.update_with_weight(raw_bytes::from_str(key), weight));
            }
            Sketch::CountMinOfHashes(sketch) => {
                let hashed = batch.events().map(|(key, weight)| (item_hash(key.as_bytes(), SEED), weight));
                hashed.for_each(|(hash, weight)| sketch.update_with_weight(hash, weight));
            }
            Sketch::Exact(counts) => {
                batch.events().for_each(|(key, weight)| add(counts, key.as_bytes(), weight.into()))
            }
        }
    }

    /// Bytes asked of the allocator and held, keys included, and without the allocator's own: what is allocated in
    /// many pieces, a `FrequentItemsSketch` and a `HashMap`, looks better than it is.
    pub fn bytes(&self) -> usize {
        match self {
            Sketch::Hash(_) => 0,
            Sketch::Ours(sketch, _) => sketch.bytes(),
            Sketch::FrequentItems(sketch) => bytes_of_items(sketch),
            Sketch::BorrowedItems(sketch) => sketch.estimated_size(),
            Sketch::CountMin(sketch) | Sketch::CountMinOfHashes(sketch) => bytes_of_count_min(sketch),
            Sketch::Exact(counts) => bytes_of_counts(counts),
        }
    }
}

/// Adds to an item's count, and copies its key only if it is new.
pub fn add(counts: &mut Counts, key: &[u8], weight: u64) {
    match counts.get_mut(key) {
        Some(count) => *count += weight,
        None => drop(counts.insert(key.into(), weight)),
    }
}

/// Adds all counts of another map.
pub fn add_all(counts: &mut Counts, others: &Counts) {
    others.iter().for_each(|(key, &count)| add(counts, key, count));
}

/// Its arrays, as it says itself, and the keys in them.
pub fn bytes_of_items(sketch: &FrequentItemsSketch<String>) -> usize {
    let rows = sketch.frequent_items(ErrorType::NoFalseNegatives);
    assert_eq!(rows.len(), sketch.num_active_items(), "all of its items are above its error");
    sketch.estimated_size() + rows.iter().map(|row| row.item().len()).sum::<usize>()
}

pub fn bytes_of_count_min(sketch: &CountMinSketch<u32>) -> usize {
    let (rows, cells) = (usize::from(sketch.num_hashes()), sketch.num_buckets() as usize);
    rows * (cells * size_of::<u32>() + size_of::<u64>())
}

/// A slot and a byte for each of its buckets, of which it fills seven of eight, and the keys.
pub fn bytes_of_counts(counts: &Counts) -> usize {
    let buckets = counts.capacity() * 8 / 7;
    buckets * (size_of::<(Box<[u8]>, u64)>() + 1) + counts.keys().map(|key| key.len()).sum::<usize>()
}
