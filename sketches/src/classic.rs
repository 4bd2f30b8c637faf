//! The classic pair: a Count-Min matrix of all events beside Space-Saving's counters of the heaviest items.
//!
//! It is what most systems that rank streams are built from, and here to be compared with, behind the same interface
//! as the [`Ledger`](crate::Ledger). Laws: an item with a counter has at least `count - error`, and at most the
//! lesser of `count` and its estimate in the matrix; another one has at most the counters' floor. They are those of
//! [`CountMin`] and [`SpaceSaving`] together, and both merge.
//!
//! Its error follows from its shape: on Zipf 1.0 over a million items the textbook's matrix of 10 by 2719 cells
//! (`epsilon` 0.001, `delta` 0.00005) and 1,024 counters overestimate the top hundred by percents, where a ledger of
//! no more memory is exact. Nothing is gained by choosing it.
//!
//! ```
//! use crest_sketches::{Bounds, Classic, Shape, item_hash};
//! let mut classic = Classic::new(&Shape::classic(32, 0.01, 0.01, 7)?);
//! classic.add(b"a", 2);
//! classic.add(b"a", 3);
//! assert_eq!(classic.bounds(item_hash(b"a", 7)), Bounds::exactly(5));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::count_min::CountMin;
use crate::events::Events;
use crate::hash::item_hash;
use crate::shape::Shape;
use crate::space_saving::SpaceSaving;

/// The classic sketch of one pane of one partition and group.
#[derive(Clone, Debug)]
pub struct Classic {
    shape: Shape,
    /// Of all events. `None` while the counters are exact: it follows from them then, and the panes of most groups
    /// never need one.
    matrix: Option<CountMin>,
    heavy: SpaceSaving,
    total: u64,
}

impl Classic {
    /// An empty one.
    pub fn new(shape: &Shape) -> Self {
        Classic { shape: shape.clone(), matrix: None, heavy: SpaceSaving::new(shape.rows()), total: 0 }
    }

    /// Counts a batch. Splitting a stream into other batches gives the same sketch.
    ///
    /// # Panics
    /// If the columns differ in length, or a key is not within the arena.
    pub fn update(&mut self, events: Events<'_>) {
        for event in events.iter() {
            self.count(event.hash, event.weight, event.key());
        }
    }

    /// Counts one event.
    pub fn add(&mut self, key: &[u8], weight: u32) {
        self.count(item_hash(key, self.shape.seed()), weight.into(), key);
    }

    fn count(&mut self, hash: u64, weight: u64, key: &[u8]) {
        if weight == 0 {
            return;
        }
        self.total += weight;
        if self.matrix.is_none() && !self.heavy.has_room(hash) {
            let matrix = self.matrix.insert(CountMin::new(&self.shape));
            self.heavy.iter().for_each(|counter| matrix.add(counter.hash, counter.count));
        }
        if let Some(matrix) = &mut self.matrix {
            matrix.add(hash, weight);
        }
        self.heavy.add(hash, weight, key);
    }

    /// What is known of the item of this hash.
    pub fn bounds(&self, hash: u64) -> Bounds {
        let hash = hash.max(1); // as it was counted
        let bounds = self.heavy.bounds(hash);
        let estimate = self.matrix.as_ref().map_or(bounds.upper(), |matrix| matrix.estimate(hash));
        Bounds::new(bounds.lower(), bounds.upper().min(estimate))
    }

    /// The weight counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether every item counted has its counter, so that every count is the true one.
    pub fn is_exact(&self) -> bool {
        self.heavy.is_exact()
    }

    /// Items that have a counter.
    pub fn rows(&self) -> usize {
        self.heavy.counters()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.matrix.as_ref().map_or(0, CountMin::bytes) + self.heavy.bytes()
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn matrix(&self) -> Option<&CountMin> {
        self.matrix.as_ref()
    }

    pub(crate) fn heavy(&self) -> &SpaceSaving {
        &self.heavy
    }
}
