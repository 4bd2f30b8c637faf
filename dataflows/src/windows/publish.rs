//! From the ranking of a window to its snapshot.

use super::group::Span;
use crate::event_time::{Clock, Pane};
use crate::job::Job;
use crate::source::wall_clock_ms;
use crate::spec::BoardSpec;
use crest_connectors::snapshot::{Item, Snapshot};
use crest_sketches::Ranking;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Makes the snapshots of one window at one end.
pub(super) struct Publisher<'a> {
    pub(super) job: &'a Job,
    pub(super) board: &'a BoardSpec,
    pub(super) clock: &'a Clock,
    pub(super) span: &'a Span,
    pub(super) end: Pane,
}

impl Publisher<'_> {
    pub(super) fn snapshot(
        &self,
        group: &Arc<BTreeMap<String, String>>,
        ranking: Ranking,
        before: &HashMap<Arc<str>, u32>,
        watermark: i64,
        is_final: bool,
    ) -> Snapshot {
        let item = |(index, row): (usize, crest_sketches::RankedRow)| {
            let rank = index as u32 + 1;
            let item_id: Arc<str> = String::from_utf8_lossy(&row.key).into();
            let change = before.get(&item_id).map(|before| *before as i32 - rank as i32);
            let (lower, upper) = (row.bounds.lower(), row.bounds.upper());
            Item { rank, item_id, count: upper, lower, upper, exact: row.bounds.is_exact(), change }
        };
        let window_end = self.clock.start(self.end);
        Snapshot {
            board: self.board.name.clone(),
            window: self.span.spec.name.clone(),
            group: group.clone(),
            window_start: window_end - self.span.spec.size.as_millis() as i64,
            window_end,
            computed_at: wall_clock_ms(),
            watermark,
            is_final,
            total: ranking.total,
            error: ranking.error(),
            error_floor: ranking.floor,
            guaranteed: ranking.guaranteed() as u32,
            items: ranking.rows.into_iter().enumerate().map(item).collect(),
            k: self.board.k as u32,
            epoch: self.job.epoch,
            bucket: self.span.buckets,
        }
    }
}
