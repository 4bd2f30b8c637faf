//! The sketch of one pane, of whichever kind its shape asks for.
//!
//! ```
//! use crest_sketches::{Merged, PaneSketch, Shape};
//! for shape in [Shape::new(64, 0.001, 0.00005, 7)?, Shape::classic(64, 0.001, 0.00005, 7)?] {
//!     let mut pane = PaneSketch::new(&shape);
//!     pane.add(b"a", 2);
//!     pane.add(b"b", 3);
//!     let mut merged = Merged::new(&shape);
//!     merged.add(&pane);
//!     assert_eq!(merged.cut(10).rank(1).rows[0].key, b"b");
//! }
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::classic::Classic;
use crate::events::Events;
use crate::exact::Exact;
use crate::ledger::Ledger;
use crate::shape::{Kind, Shape};

/// The sketch of one pane of one partition and group.
#[derive(Clone, Debug)]
pub enum PaneSketch {
    /// An exact table in front of a Count-Min tail.
    Ledger(Ledger),
    /// A Count-Min matrix beside Space-Saving's counters.
    Classic(Classic),
    /// Every item, counted.
    Exact(Exact),
}

/// The same call on any kind.
macro_rules! any {
    ($sketch:expr, $of:ident => $call:expr) => {
        match $sketch {
            PaneSketch::Ledger($of) => $call,
            PaneSketch::Classic($of) => $call,
            PaneSketch::Exact($of) => $call,
        }
    };
}

impl PaneSketch {
    /// An empty one, of the shape's kind.
    pub fn new(shape: &Shape) -> Self {
        match shape.kind() {
            Kind::Ledger => PaneSketch::Ledger(Ledger::new(shape)),
            Kind::Classic => PaneSketch::Classic(Classic::new(shape)),
            Kind::Exact => PaneSketch::Exact(Exact::new(shape)),
        }
    }

    /// Counts a batch. Splitting a stream into other batches gives the same sketch.
    ///
    /// # Panics
    /// If the columns differ in length, or a key is not within the arena.
    pub fn update(&mut self, events: Events<'_>) {
        any!(self, sketch => sketch.update(events));
    }

    /// Counts one event.
    pub fn add(&mut self, key: &[u8], weight: u32) {
        any!(self, sketch => sketch.add(key, weight));
    }

    /// What is known of the item of this hash, whether it has a row or not.
    pub fn bounds(&self, hash: u64) -> Bounds {
        any!(self, sketch => sketch.bounds(hash))
    }

    /// The weight counted.
    pub fn total(&self) -> u64 {
        any!(self, sketch => sketch.total())
    }

    /// Whether every item counted has its row, so that every count is the true one.
    pub fn is_exact(&self) -> bool {
        match self {
            PaneSketch::Ledger(ledger) => ledger.is_exact(),
            PaneSketch::Classic(classic) => classic.is_exact(),
            PaneSketch::Exact(_) => true,
        }
    }

    /// Items that have a row.
    pub fn rows(&self) -> usize {
        any!(self, sketch => sketch.rows())
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        any!(self, sketch => sketch.bytes())
    }

    pub(crate) fn shape(&self) -> &Shape {
        any!(self, sketch => sketch.shape())
    }
}
