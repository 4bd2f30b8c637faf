//! The uncut union of any number of ledgers.

use crate::{Digest, Ledger, Parts, PartsError, Shape};

/// The uncut union of any number of ledgers; independent of the order of merging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {}

/// Why two sketches cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// They count in different geometries or with different seeds.
    #[error("sketches of different shapes cannot be merged: {ours:?} and {theirs:?}")]
    Shape {
        /// Of the one merged into.
        ours: Shape,
        /// Of the other.
        theirs: Shape,
    },
}

impl Merged {
    /// The union of nothing.
    pub fn new(shape: &Shape) -> Self {
        let _ = shape;
        unimplemented!()
    }
    /// Adds a ledger of the same shape.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn add(&mut self, ledger: &Ledger) {
        let _ = ledger;
        unimplemented!()
    }
    /// Adds another union.
    pub fn merge(&mut self, other: &Merged) -> Result<(), MergeError> {
        let _ = other;
        unimplemented!()
    }
    /// Weight of this group that some partition refused to count: any item may have it.
    pub fn add_unseen(&mut self, weight: u64) {
        let _ = weight;
        unimplemented!()
    }
    /// The weight counted.
    pub fn total(&self) -> u64 {
        unimplemented!()
    }
    /// The `rows` items of greatest upper bound.
    pub fn cut(&self, rows: usize) -> Digest {
        let _ = rows;
        unimplemented!()
    }
    /// As flat columns.
    pub fn to_parts(&self) -> Parts {
        unimplemented!()
    }
    /// From flat columns, all of whose claims are checked; that keys are text is not.
    pub fn from_parts(shape: &Shape, parts: Parts) -> Result<Self, PartsError> {
        let _ = (shape, parts);
        unimplemented!()
    }
}
