//! Mergeable top-K summaries that state their error.
//!
//! A [`Ledger`] counts one pane of one partition. A [`Merged`] is the uncut union of ledgers, equal for any order of
//! merging. Its cut is a [`Digest`]: the rows that are kept, and the floor under which everything else stays. A
//! [`WindowSum`] adds the digests of a window and takes them out again, and its [`Ranking`] is the top K with bounds.
//!
//! In all of them `lower <= true <= upper` for every row, and an item without one has at most the floor: certain,
//! not probable, but for a collision of 64-bit hashes. Nothing here reads, waits or knows what time it is.
#![forbid(unsafe_code)]

mod digest;
mod hash;
mod keys;
mod ledger;
mod merged;
mod packed;
mod parts;
mod ranking;
mod shape;
mod table;
mod tail;
mod window;

pub use digest::{Digest, DigestRow};
pub use hash::item_hash;
pub use keys::MAX_KEY_BYTES;
pub use ledger::{Events, KeySpan, Ledger};
pub use merged::{MergeError, Merged};
pub use parts::{Parts, PartsError};
pub use ranking::{RankedRow, Ranking};
pub use shape::{Shape, ShapeError};
pub use tail::CountMin;
pub use window::WindowSum;
