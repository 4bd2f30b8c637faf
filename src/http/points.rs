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
    /// What the item has in it.
    #[serde(flatten)]
    pub count: Count,
    /// Whether a region is missing from some of the step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

/// The points of these items, by time and then by item: each with its place in the points; without ids, those of the only
/// one. As a board with this `min_count` shows them.
pub fn points<'a>(points: &[Point], ids: Option<&[(usize, &'a str)]>, min_count: u64) -> Vec<ItemPoint<'a>> {
    let columns: Vec<(usize, Option<&'a str>)> = match ids {
        Some(ids) => ids.iter().map(|(place, id)| (*place, Some(*id))).collect(),
        None => vec![(0, None)],
    };
    let mut all = Vec::with_capacity(points.len() * columns.len());
    for Point { range, total, partial, bounds } in points {
        let counts = columns.iter().filter_map(|(place, id)| Some((*id, *bounds.get(*place)?)));
        all.extend(counts.map(|(item_id, bounds)| ItemPoint {
            item_id,
            window_start: range.from_ms,
            window_end: range.to_ms,
            total: *total,
            count: Count::from(bounds).shown(min_count),
            partial: *partial,
        }));
    }
    all
}
