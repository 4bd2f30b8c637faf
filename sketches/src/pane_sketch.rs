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
use crate::distinct_ledger::{DistinctLedger, ValueSets};
use crate::distinct_set::DistinctSet;
use crate::events::{Event, Events};
use crate::exact::Exact;
use crate::exact_distinct::ExactDistinct;
use crate::hash::item_hash;
use crate::keys::Entry;
use crate::ledger::Ledger;
use crate::shape::{Kind, Shape};
use std::borrow::Cow;

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
    Distinct(DistinctLedger),
    ExactDistinct(ExactDistinct),
}

/// The same call on any kind: one dispatch, for however many events.
macro_rules! any {
    ($counts:expr, $of:ident => $call:expr) => {
        match $counts {
            Counts::Ledger($of) => $call,
            Counts::Classic($of) => $call,
            Counts::Exact($of) => $call,
            Counts::Distinct($of) => $call,
            Counts::ExactDistinct($of) => $call,
        }
    };
}

/// The same call on those kinds that count weights, and another on those that count different values.
macro_rules! either {
    ($counts:expr, $of:ident => $call:expr, $values:ident => $values_call:expr) => {
        match $counts {
            Counts::Ledger($of) => $call,
            Counts::Classic($of) => $call,
            Counts::Exact($of) => $call,
            Counts::Distinct($values) => $values_call,
            Counts::ExactDistinct($values) => $values_call,
        }
    };
}

const NO_WEIGHTS: &str = "a sketch of different values counts no weights";

impl PaneSketch {
    /// An empty one, of the shape's kind.
    pub fn new(shape: &Shape) -> Self {
        let counts = match shape.kind() {
            Kind::Ledger => Counts::Ledger(Ledger::new(shape, ())),
            Kind::Classic => Counts::Classic(Classic::new(shape)),
            Kind::Exact => Counts::Exact(Exact::default()),
            Kind::Distinct => Counts::Distinct(DistinctLedger::new(shape, ValueSets::new(shape))),
            Kind::ExactDistinct => Counts::ExactDistinct(ExactDistinct::default()),
        };
        PaneSketch { shape: shape.clone(), total: 0, counts }
    }

    /// Counts a batch. Splitting a stream into other batches gives the same sketch.
    ///
    /// # Panics
    /// If the columns differ in length, there is a value for each event where weights are counted, or none where different
    /// values are; or a key is not within the arena; or an exact one has more than 2^32 items.
    pub fn update(&mut self, events: Events<'_>) {
        if !self.shape.is_distinct() {
            return self.update_each(events.iter());
        }
        either!(&mut self.counts, _weights => {}, counts => {
            let counted = |event: &Event<'_>| counts.count_value(event.hash, event.value, || event.key());
            self.total += events.with_values().filter(counted).count() as u64;
        });
    }

    /// Counts the weights of events as they come.
    pub(crate) fn update_each<'a>(&mut self, events: impl Iterator<Item = Event<'a>>) {
        either!(&mut self.counts, counts => {
            events.for_each(|event| {
                self.total += event.weight;
                counts.count(event.hash, event.weight, || event.key());
            });
        }, _values => panic!("{NO_WEIGHTS}"));
    }

    /// One that has counted these items, each with its hash and weight, of at most as many as its first table has room for.
    pub(crate) fn of_rows<'k>(
        shape: &Shape,
        total: u64,
        rows: impl Iterator<Item = (u64, u64, &'k [u8])>,
    ) -> Self {
        let mut sketch = PaneSketch::new(shape);
        rows.for_each(|(hash, weight, key)| sketch.count(hash, weight, || key));
        PaneSketch { total, ..sketch }
    }

    /// Counts one event whose item has this hash.
    pub(crate) fn count<'k>(&mut self, hash: u64, weight: u64, key: impl Fn() -> &'k [u8]) {
        self.total += weight;
        either!(&mut self.counts, counts => counts.count(hash, weight, key), _values => panic!("{NO_WEIGHTS}"));
    }

    /// Counts the weight of one event.
    ///
    /// # Panics
    /// If different values are counted.
    pub fn add(&mut self, key: &[u8], weight: u32) {
        let hash = item_hash(key, self.shape.seed());
        self.count(hash, weight.into(), || key);
    }

    /// Counts the value of one event.
    ///
    /// # Panics
    /// If weights are counted.
    pub fn add_distinct(&mut self, key: &[u8], value: &[u8]) {
        let (hash, value) = (item_hash(key, self.shape.seed()), item_hash(value, self.shape.seed()));
        let counts = either!(&mut self.counts,
            _weights => panic!("a sketch of weights counts no different values"),
            counts => counts.count_value(hash, value, || key)
        );
        self.total += u64::from(counts);
    }

    /// What is known of the item of this hash, whether it has a row or not.
    pub fn bounds(&self, hash: u64) -> Bounds {
        let hash = hash.max(1); // as it was counted
        any!(&self.counts, counts => counts.bounds(hash))
    }

    /// The weight counted; where different values are counted, the pairs of an item and a value, of which one that was not
    /// recognised has counted again.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether every item counted has its row, and every count is the true one.
    pub fn is_exact(&self) -> bool {
        let of_hashes = match &self.counts {
            Counts::Distinct(distinct) => distinct.is_of_hashes(),
            _ => true,
        };
        self.floor() == 0 && of_hashes
    }

    /// Items that have a row.
    pub fn rows(&self) -> usize {
        any!(&self.counts, counts => counts.rows())
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let values = match &self.counts {
            Counts::Distinct(distinct) => distinct.value_bytes(),
            _ => 0,
        };
        values + any!(&self.counts, counts => counts.bytes())
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
            Counts::Distinct(distinct) => distinct.matrix(),
            Counts::Exact(_) | Counts::ExactDistinct(_) => None,
        }
    }

    /// All rows, by hash; of an exact sketch by hash, then key.
    pub(crate) fn sorted_rows(&self) -> Vec<Entry<'_>> {
        any!(&self.counts, counts => counts.sorted_rows())
    }

    /// The values of all rows, in the order of these; none where weights are counted.
    pub(crate) fn sorted_sets(&self) -> Vec<Cow<'_, DistinctSet>> {
        match &self.counts {
            Counts::Distinct(distinct) => distinct.sorted_sets().into_iter().map(Cow::Borrowed).collect(),
            Counts::ExactDistinct(exact) => exact.sorted_sets().into_iter().map(Cow::Owned).collect(),
            Counts::Ledger(_) | Counts::Classic(_) | Counts::Exact(_) => Vec::new(),
        }
    }
}
