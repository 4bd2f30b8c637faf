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
use crate::count_min::CountMin;
use crate::events::{Event, Events};
use crate::exact::Exact;
use crate::hash::item_hash;
use crate::keys::Entry;
use crate::ledger::Ledger;
use crate::shape::{Kind, Shape};

/// The sketch of one pane of one partition and group.
#[derive(Clone, Debug)]
pub struct PaneSketch {
    shape: Shape,
    total: u64,
    counts: Counts,
}

/// What was counted, by the kind of the shape.
#[derive(Clone, Debug)]
enum Counts {
    Ledger(Ledger),
    Classic(Classic),
    Exact(Exact),
}

/// The same call on any kind: one dispatch, for however many events.
macro_rules! any {
    ($counts:expr, $of:ident => $call:expr) => {
        match $counts {
            Counts::Ledger($of) => $call,
            Counts::Classic($of) => $call,
            Counts::Exact($of) => $call,
        }
    };
}

impl PaneSketch {
    /// An empty one, of the shape's kind.
    pub fn new(shape: &Shape) -> Self {
        let counts = match shape.kind() {
            Kind::Ledger => Counts::Ledger(Ledger::new(shape)),
            Kind::Classic => Counts::Classic(Classic::new(shape)),
            Kind::Exact => Counts::Exact(Exact::default()),
        };
        PaneSketch { shape: shape.clone(), total: 0, counts }
    }

    /// Counts a batch. Splitting a stream into other batches gives the same sketch.
    ///
    /// # Panics
    /// If the columns differ in length, or a key is not within the arena; or an exact one has more than 2^32 items.
    pub fn update(&mut self, events: Events<'_>) {
        self.update_each(events.iter());
    }

    /// Counts events as they come.
    pub(crate) fn update_each<'a>(&mut self, events: impl Iterator<Item = Event<'a>>) {
        any!(&mut self.counts, counts => {
            events.for_each(|event| {
                self.total += event.weight;
                counts.count(event.hash, event.weight, || event.key());
            });
        });
    }

    /// One that has counted these items, each with its hash and weight, of at most as many as its first table has room for.
    pub(crate) fn of_rows<'k>(
        shape: &Shape,
        total: u64,
        rows: impl Iterator<Item = (u64, u64, &'k [u8])>,
    ) -> Self {
        let mut sketch = PaneSketch::new(shape);
        rows.for_each(
            |(hash, weight, key)| any!(&mut sketch.counts, counts => counts.count(hash, weight, || key)),
        );
        PaneSketch { total, ..sketch }
    }

    /// Counts one event whose item has this hash.
    pub(crate) fn count<'k>(&mut self, hash: u64, weight: u64, key: impl Fn() -> &'k [u8]) {
        self.total += weight;
        any!(&mut self.counts, counts => counts.count(hash, weight, key));
    }

    /// Counts one event.
    pub fn add(&mut self, key: &[u8], weight: u32) {
        let hash = item_hash(key, self.shape.seed());
        self.total += u64::from(weight);
        any!(&mut self.counts, counts => counts.count(hash, weight.into(), || key));
    }

    /// What is known of the item of this hash, whether it has a row or not.
    pub fn bounds(&self, hash: u64) -> Bounds {
        let hash = hash.max(1); // as it was counted
        any!(&self.counts, counts => counts.bounds(hash))
    }

    /// The weight counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether every item counted has its row, so that every count is the true one.
    pub fn is_exact(&self) -> bool {
        self.floor() == 0
    }

    /// Items that have a row.
    pub fn rows(&self) -> usize {
        any!(&self.counts, counts => counts.rows())
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        any!(&self.counts, counts => counts.bytes())
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// An item without a row has at most this weight.
    pub(crate) fn floor(&self) -> u64 {
        any!(&self.counts, counts => counts.floor())
    }

    /// The Count-Min matrix, where there is one.
    pub(crate) fn matrix(&self) -> Option<&CountMin> {
        match &self.counts {
            Counts::Ledger(ledger) => ledger.matrix(),
            Counts::Classic(classic) => classic.matrix(),
            Counts::Exact(_) => None,
        }
    }

    /// All rows, by hash; of an exact sketch by hash, then key.
    pub(crate) fn sorted_rows(&self) -> Vec<Entry<'_>> {
        any!(&self.counts, counts => counts.sorted_rows())
    }
}
