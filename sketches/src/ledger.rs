//! The pane sketch of one partition and group.

use crate::Shape;

/// Where an event's key is in [`Events::arena`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpan {
    /// Of its first byte.
    pub offset: u32,
    /// Its length.
    pub len: u32,
}

/// A batch of events, as columns of equal length.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    /// [`item_hash`](crate::item_hash) of each key.
    pub hashes: &'a [u64],
    /// At least 1 each.
    pub weights: &'a [u32],
    /// Where the keys are.
    pub keys: &'a [KeySpan],
    /// The bytes of all keys.
    pub arena: &'a [u8],
}

/// The gated ledger.
#[derive(Clone, Debug)]
pub struct Ledger {}

impl Ledger {
    /// An empty one.
    pub fn new(shape: &Shape) -> Self {
        let _ = shape;
        unimplemented!()
    }
    /// Counts a batch. How events are split into batches does not matter.
    pub fn update(&mut self, events: Events<'_>) {
        let _ = events;
        unimplemented!()
    }
    /// The weight counted.
    pub fn total(&self) -> u64 {
        unimplemented!()
    }
    /// Whether every item seen has its row.
    pub fn is_exact(&self) -> bool {
        unimplemented!()
    }
    /// Items that have a row.
    pub fn rows(&self) -> usize {
        unimplemented!()
    }
    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }
}
