//! The cut summary of a pane or a rollup.

use crate::{Parts, PartsError};

/// The cut summary of a pane or a rollup: rows with bounds, and the floor of what is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {}

/// One item of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestRow<'a> {
    /// Its [`item_hash`](crate::item_hash).
    pub hash: u64,
    /// Its key.
    pub key: &'a [u8],
    /// It has at least this weight …
    pub lower: u64,
    /// … and at most this.
    pub upper: u64,
}

impl Digest {
    /// The weight counted.
    pub fn total(&self) -> u64 {
        unimplemented!()
    }
    /// An item without a row has at most this weight.
    pub fn floor(&self) -> u64 {
        unimplemented!()
    }
    /// Whether all bounds meet.
    pub fn is_exact(&self) -> bool {
        unimplemented!()
    }
    /// Rows by hash, then key.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = DigestRow<'_>> {
        std::iter::empty()
    }
    /// The uncut union.
    pub fn merge<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let _ = digests.into_iter();
        unimplemented!()
    }
    /// The `rows` items of greatest upper bound.
    pub fn cut(self, rows: usize) -> Digest {
        let _ = rows;
        unimplemented!()
    }
    /// As flat columns.
    pub fn to_parts(&self) -> Parts {
        unimplemented!()
    }
    /// From flat columns, all of whose claims are checked; that keys are text is not.
    pub fn from_parts(parts: Parts) -> Result<Self, PartsError> {
        let _ = parts;
        unimplemented!()
    }
}
