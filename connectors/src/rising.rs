//! What rises: the top K of one board, group and window by how much they have grown, with their bounds, as the HTTP API says it and
//! Redis keeps it. The field order is part of the contract.

use crate::group_key::GroupKey;
use crate::item_id::ItemId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The top K of what has risen between two equally long intervals. Times are milliseconds since 1970 UTC; what a
/// [`Snapshot`](crate::snapshot::Snapshot) has too has its name and meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rising {
    /// The board's name.
    pub board: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// What they are ranked by: `rise`.
    pub by: Arc<str>,
    /// The interval that they are compared with: `previous`, or how much earlier it is.
    pub against: Arc<str>,
    /// First instant of the interval.
    pub window_start: i64,
    /// First instant after it.
    pub window_end: i64,
    /// First instant of the interval before.
    pub before_start: i64,
    /// First instant after that one.
    pub before_end: i64,
    /// When it was ranked, by the wall clock.
    pub computed_at: i64,
    /// It is its `window_end`: only what is final is compared.
    pub watermark: i64,
    /// Always true.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The weight of all events in the interval.
    pub total: u64,
    /// The weight of all events in the interval before.
    pub total_before: u64,
    /// The largest difference between the bounds of an item's rise.
    pub error: u64,
    /// An item that has risen by more than this, or has a greater surge, is among the candidates of the ranking.
    pub error_floor: u64,
    /// How many leading items have certainly risen and are certainly among the true top K.
    pub guaranteed: u32,
    /// Whether a region is missing from some of either interval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The regions that are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Arc<str>>,
    /// By `surge`, greatest first; ties by item id descending.
    pub items: Vec<RisingItem>,
    /// The K asked for (not part of the JSON).
    #[serde(skip)]
    pub k: u32,
}

/// A surge is a number: it is of finite weights, and nothing is divided by zero.
impl Eq for Rising {}

/// An item that may have risen. A number without `_lower` is the greatest that it can be, and the one with it the least.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RisingItem {
    /// From 1.
    pub rank: u32,
    /// The item's id.
    pub item_id: ItemId,
    /// The reported count, which is `upper`.
    pub count: u64,
    /// At least this much was counted in the interval.
    pub lower: u64,
    /// At most this much was counted in it.
    pub upper: u64,
    /// At most this much was counted in the interval before.
    pub before: u64,
    /// At least this much was counted in it.
    pub before_lower: u64,
    /// Whether both counts are exact.
    pub exact: bool,
    /// `upper - before_lower`: by how much the count has risen, at most.
    pub rise: i128,
    /// `lower - before`: by how much it has risen, at least.
    pub rise_lower: i128,
    /// `rise / sqrt(before_lower + 1)`.
    pub surge: f64,
    /// `rise_lower / sqrt(before + 1)`.
    pub surge_lower: f64,
}
