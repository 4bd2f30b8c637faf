//! Mergeable top-K summaries that state their error.
//!
//! A [`PaneSketch`] counts one pane of one partition, as a ledger, as the classic pair to compare it with, or as an
//! exact table of all items; [`PaneGroups`] does so for many groups. A [`Merged`] is the uncut union of such sketches, equal for any order of merging. Its cut
//! is a [`Digest`]: the rows that are kept, and the floor under which everything else stays. A [`WindowSum`] adds the
//! digests of a window and takes them out again, and its [`Ranking`] is the top K; of what is [`Removed`] too, it ranks what is left. An [`ItemRank`] is what is
//! known of one item, ranked or not; [`Rises`] are the items that have grown most between two digests.
//!
//! In place of weights, a shape may [count different values](Shape::distinct), such as the users that an item had: a row then has a
//! [`DistinctSet`], bounds are those of the number of values, and an [`Estimate`] beside them is never taken for one.
//!
//! In all of them an item's weight is known within [`Bounds`], and an item without a row has at most the floor:
//! certain, not probable, but for a collision of 64-bit hashes. Nothing here reads, waits or knows what time it is.
#![forbid(unsafe_code)]

mod bounds;
mod classic;
mod codec;
mod count_min;
mod digest;
mod distinct_ledger;
mod distinct_set;
mod estimate;
mod events;
mod exact;
mod exact_distinct;
mod hash;
mod item_rank;
mod keys;
mod ledger;
mod merged;
mod packed;
mod pair_cache;
mod pane_groups;
mod pane_sketch;
mod parts;
mod ranking;
mod registers;
mod rise;
mod set_columns;
mod shape;
mod space_saving;
mod table;
mod window;

/// What the README shows, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use bounds::Bounds;
pub use codec::DecodeError;
pub use count_min::CountMin;
pub use digest::{Digest, DigestRow};
pub use distinct_set::{DistinctSet, Seen};
pub use estimate::Estimate;
pub use events::{Events, KeySpan};
pub use hash::{FIRST_SEED, item_hash};
pub use item_rank::{ItemRank, RankRange, Unlisted};
pub use keys::MAX_KEY_BYTES;
pub use merged::{MergeError, Merged};
pub use pane_groups::{GroupCounts, PaneGroups};
pub use pane_sketch::PaneSketch;
pub use parts::{Parts, PartsError};
pub use ranking::{RankedRow, Ranking};
pub use rise::{RiseRow, Rises, surge};
pub use shape::{Kind, Shape, ShapeError};
pub use space_saving::SpaceSaving;
pub use window::{Removed, WindowSum};
