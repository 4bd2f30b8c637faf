//! What the partitions of a pane have counted: seeded traffic, Zipf 1.0.

use crate::draws::Draws;
use crest_sketches::{Events, KeySpan, PaneSketch, Shape, item_hash};
use crest_state::spec::SketchSpec;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const BATCH: usize = 4096;

/// What decides on an event's partition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keyed {
    /// Its item, so that no two partitions have an item in common.
    ByItem,
    /// Something else, such as its user, so that all partitions have the popular items.
    ByOthers,
}

/// A pane.
pub struct Traffic {
    pub partitions: usize,
    /// Of a partition; if they are keyed by item, in the mean.
    pub events: usize,
    /// From which events draw theirs.
    pub items: usize,
    pub keyed: Keyed,
}

/// The ids and their hashes, by rank.
struct Ids {
    hashes: Vec<u64>,
    arena: Vec<u8>,
    len: usize,
}

impl Traffic {
    /// The sketch of each partition.
    pub fn sketches(&self) -> Vec<PaneSketch> {
        let shape = SketchSpec::default().shape().unwrap();
        let ids = Ids::new(self.items, &shape);
        let whole = (self.keyed == Keyed::ByOthers).then(|| Arc::new(draws(0, 1, self.items)));
        let all = self.partitions as f64 * self.events as f64 / mass(0, 1, self.items);
        let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    loop {
                        let partition = next.fetch_add(1, Ordering::Relaxed);
                        if partition >= self.partitions {
                            break;
                        }
                        let sketch = self.sketch(&shape, &ids, partition, (whole.clone(), all));
                        made.lock().unwrap().push((partition, sketch));
                    }
                });
            }
        });
        let mut made = made.into_inner().unwrap();
        made.sort_by_key(|(partition, _)| *partition);
        made.into_iter().map(|(_, sketch)| sketch).collect()
    }

    /// `whole` draws from all items, where partitions are not keyed by them; otherwise `all` is how many events there are to
    /// the odds of an item.
    fn sketch(
        &self,
        shape: &Shape,
        ids: &Ids,
        partition: usize,
        (whole, all): (Option<Arc<Draws>>, f64),
    ) -> PaneSketch {
        let (first, step, events, draws) = match whole {
            Some(draws) => (0, 1, self.events, draws),
            None => {
                let (first, step) = (partition, self.partitions);
                let events = all * mass(first, step, self.items);
                (first, step, events as usize, Arc::new(draws(first, step, self.items)))
            }
        };
        let mut random = StdRng::seed_from_u64(partition as u64);
        let (mut sketch, mut hashes, mut keys) = (PaneSketch::new(shape), Vec::new(), Vec::new());
        let weights = [1; BATCH];
        for left in (0..events).step_by(BATCH).map(|done| events - done) {
            for _ in 0..left.min(BATCH) {
                let item = first + step * draws.draw(random.next_u64());
                hashes.push(ids.hashes[item]);
                keys.push(KeySpan { offset: (item * ids.len) as u32, len: ids.len as u32 });
            }
            let weights = &weights[..hashes.len()];
            sketch.update(Events { hashes: &hashes, weights, keys: &keys, values: &[], arena: &ids.arena });
            hashes.clear();
            keys.clear();
        }
        sketch
    }
}

impl Ids {
    fn new(items: usize, shape: &Shape) -> Self {
        let (mut hashes, mut arena, mut len) = (Vec::with_capacity(items), Vec::new(), 0);
        for item in 0..items {
            let key = format!("product:{item:08}-{:04x}", item.wrapping_mul(2_654_435_761) & 0xffff);
            hashes.push(item_hash(key.as_bytes(), shape.seed()));
            arena.extend_from_slice(key.as_bytes());
            len = key.len();
        }
        assert_eq!(arena.len(), items * len, "ids of one length");
        Ids { hashes, arena, len }
    }
}

fn draws(first: usize, step: usize, items: usize) -> Draws {
    Draws::new((first..items).step_by(step).map(|item| 1.0 / (item + 1) as f64))
}

/// The sum of the odds of some items.
fn mass(first: usize, step: usize, items: usize) -> f64 {
    (first..items).step_by(step).map(|item| 1.0 / (item + 1) as f64).sum()
}
