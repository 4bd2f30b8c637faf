//! What rises, as answers show it.

use crate::ranked::shown_id;
use crest_connectors::group_key::GroupKey;
use crest_connectors::rising::{Rising, RisingItem};
use crest_host::clock::wall_clock_ms;
pub use crest_sketches::surge;
use crest_sketches::{RiseRow, Rises};
use crest_state::against::Against;
use crest_state::inspect::Range;
use std::sync::Arc;

/// Two intervals of a board that are compared.
pub struct Compared<'a> {
    /// The board's name.
    pub board: &'a Arc<str>,
    /// What the answer calls the interval.
    pub window: &'a Arc<str>,
    /// What it is compared with.
    pub against: Against,
    /// The interval.
    pub range: Range,
    /// The one before.
    pub before: Range,
    /// The regions that are missing from some of either.
    pub missing: &'a [Arc<str>],
    /// The K asked for.
    pub k: usize,
}

impl Compared<'_> {
    /// What rises in a group.
    pub fn rising(&self, group: &GroupKey, rises: &Rises) -> Rising {
        Rising {
            board: self.board.clone(),
            window: self.window.clone(),
            group: group.clone(),
            by: "rise".into(),
            against: self.against.to_string().into(),
            window_start: self.range.from_ms,
            window_end: self.range.to_ms,
            before_start: self.before.from_ms,
            before_end: self.before.to_ms,
            computed_at: wall_clock_ms(),
            watermark: self.range.to_ms,
            is_final: true,
            total: rises.total,
            total_before: rises.total_before,
            error: rises.error(),
            error_floor: rises.floor,
            guaranteed: rises.guaranteed() as u32,
            partial: !self.missing.is_empty(),
            missing: self.missing.to_vec(),
            items: rises.rows.iter().zip(1..).map(item).collect(),
            k: self.k as u32,
        }
    }
}

fn item((row, rank): (&RiseRow, u32)) -> RisingItem {
    let ((rise_lower, rise), (surge_lower, surge)) = (row.rise(), row.surge());
    RisingItem {
        rank,
        item_id: shown_id(&row.key),
        count: row.count.upper(),
        lower: row.count.lower(),
        upper: row.count.upper(),
        before: row.before.upper(),
        before_lower: row.before.lower(),
        exact: row.count.is_exact() && row.before.is_exact(),
        rise,
        rise_lower,
        surge,
        surge_lower,
    }
}
