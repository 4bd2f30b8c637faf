//! What items have in each step of an interval, as JSON.

use crest_dataflows::known_item::Count;
use crest_state::series::Point;
use serde::Serialize;

/// What an item has in one step. Times are milliseconds since 1970 UTC.
#[derive(Serialize)]
pub struct ItemPoint<'a> {
    /// Absent where the answer is of one item.
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a str>,
    window_start: i64,
    window_end: i64,
    /// The weight of all items in the step.
    total: u64,
    #[serde(flatten)]
    count: Count,
    /// Whether a region is missing from some of the step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

/// The points of these items, by time and then by item; without ids, those of the only one.
pub fn points<'a>(points: &[Point], ids: Option<&'a [String]>) -> Vec<ItemPoint<'a>> {
    let mut all = Vec::with_capacity(points.iter().map(|point| point.bounds.len()).sum());
    for Point { range, total, partial, bounds } in points {
        all.extend(bounds.iter().enumerate().map(|(place, bounds)| ItemPoint {
            item_id: ids.map(|ids| ids[place].as_str()),
            window_start: range.from_ms,
            window_end: range.to_ms,
            total: *total,
            count: (*bounds).into(),
            partial: *partial,
        }));
    }
    all
}
