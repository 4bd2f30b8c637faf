//! The classic pair: a Count-Min matrix of all events beside Space-Saving's counters of the heaviest items.
//!
//! It is what most systems that rank streams are built from, and here to be compared with, behind the same interface
//! as the ledger. Laws: an item with a counter has at least `count - error`, and at most the
//! lesser of `count` and its estimate in the matrix; another one has at most the counters' floor. They are those of
//! [`CountMin`](crate::CountMin) and [`SpaceSaving`](crate::SpaceSaving) together, and both merge.
//!
//! Its error follows from its shape: on Zipf 1.0 over a million items the textbook's matrix of 10 by 2719 cells
//! (`epsilon` 0.001, `delta` 0.00005) and 1,024 counters overestimate the top hundred by percents, where a ledger of
//! no more memory is exact. Nothing is gained by choosing it.
//!
//! ```
//! use crest_sketches::{Bounds, PaneSketch, Shape, item_hash};
//! let mut classic = PaneSketch::new(&Shape::classic(32, 0.01, 0.01, 7)?);
//! classic.add(b"a", 2);
//! classic.add(b"a", 3);
//! assert_eq!(classic.bounds(item_hash(b"a", 7)), Bounds::exactly(5));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::count_min::CountMin;
use crate::keys::Entry;
use crate::shape::Shape;
use crate::space_saving::{Counter, SpaceSaving};

/// The matrix and the counters of a classic sketch.
#[derive(Clone, Debug)]
pub(crate) struct Classic {
    shape: Shape,
    /// Of all events. `None` while the counters are exact: it follows from them then, and the panes of most groups
    /// never need one.
    matrix: Option<CountMin>,
    heavy: SpaceSaving,
}

impl Classic {
    pub(crate) fn new(shape: &Shape) -> Self {
        Classic { shape: shape.clone(), matrix: None, heavy: SpaceSaving::new(shape.rows()) }
    }

    pub(crate) fn count<'k>(&mut self, hash: u64, weight: u64, key: impl Fn() -> &'k [u8]) {
        if weight == 0 {
            return;
        }
        if self.matrix.is_none() && !self.heavy.has_room(hash) {
            let matrix = self.matrix.insert(CountMin::new(&self.shape));
            self.heavy.iter().for_each(|counter| matrix.add(counter.hash, counter.count));
        }
        if let Some(matrix) = &mut self.matrix {
            matrix.add(hash, weight);
        }
        self.heavy.add(hash, weight, key());
    }

    pub(crate) fn bounds(&self, hash: u64) -> Bounds {
        let bounds = self.heavy.bounds(hash);
        let estimate = self.matrix.as_ref().map_or(bounds.upper(), |matrix| matrix.estimate(hash));
        Bounds::new(bounds.lower(), bounds.upper().min(estimate))
    }

    pub(crate) fn rows(&self) -> usize {
        self.heavy.counters()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.matrix.as_ref().map_or(0, CountMin::bytes) + self.heavy.bytes()
    }

    pub(crate) fn floor(&self) -> u64 {
        self.heavy.floor()
    }

    pub(crate) fn matrix(&self) -> Option<&CountMin> {
        self.matrix.as_ref()
    }

    pub(crate) fn sorted_rows(&self) -> Vec<Entry<'_>> {
        let (heavy, floor) = (&self.heavy, self.floor());
        let entry = |row: &Counter| (row.hash, row.count - row.error, floor - row.error, heavy.key(row));
        let mut rows: Vec<_> = heavy.iter().map(entry).collect();
        rows.sort_unstable_by_key(|row| row.0);
        rows
    }
}
