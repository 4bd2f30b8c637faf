//! Mergeable top-K summaries that state their error.
#![forbid(unsafe_code)]

mod digest;
mod hash;
mod ledger;
mod merged;
mod parts;
mod ranking;
mod shape;
mod window;

pub use digest::{Digest, DigestRow};
pub use hash::item_hash;
pub use ledger::{Events, KeySpan, Ledger};
pub use merged::{MergeError, Merged};
pub use parts::{Parts, PartsError};
pub use ranking::{RankedRow, Ranking};
pub use shape::{Shape, ShapeError};
pub use window::WindowSum;
