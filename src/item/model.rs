//! What the API says of an item, as far as it is shown.

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Estimate;
use serde::Deserialize;

/// An item, as `GET /items/{board}/{id}` says it.
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    pub(super) board: String,
    pub(super) item_id: String,
    pub(super) window: String,
    pub(super) group: GroupKey,
    pub(super) window_start: i64,
    pub(super) window_end: i64,
    #[serde(rename = "final")]
    pub(super) is_final: bool,
    pub(super) total: u64,
    #[serde(default)]
    pub(super) distinct: Option<String>,
    #[serde(default)]
    pub(super) retracts: bool,
    #[serde(default)]
    pub(super) estimate: Option<Estimate>,
    pub(super) lower: u64,
    pub(super) upper: u64,
    pub(super) listed: bool,
    pub(super) rank: Option<Rank>,
    #[serde(default)]
    pub(super) withheld: bool,
    #[serde(default)]
    pub(super) partial: bool,
    #[serde(default)]
    pub(super) missing: Vec<String>,
    #[serde(default)]
    pub(super) step_ms: u64,
    #[serde(default)]
    pub(super) points: Vec<Point>,
    #[serde(default)]
    pub(super) snapshot_age_seconds: Option<f64>,
    #[serde(default)]
    pub(super) stale: bool,
}

/// The ranks that it can have.
#[derive(Debug, Deserialize)]
pub(super) struct Rank {
    pub(super) best: u64,
    pub(super) worst: u64,
}

/// What it has in one step.
#[derive(Debug, Deserialize)]
pub(super) struct Point {
    pub(super) window_start: i64,
    pub(super) window_end: i64,
    pub(super) lower: u64,
    pub(super) upper: u64,
}
