//! Makes the snapshot of a window from its ranking.

use super::group::{GroupWindow, Span};
use crate::event_time::Clock;
use crate::job::Job;
use crate::ranked::{Ranks, ShownRows, shown_rows};
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::{CalendarUnit, Snapshot};
use crest_host::clock::wall_clock_ms;
use crest_sketches::Ranking;
use crest_state::pane::Pane;
use crest_state::rest::Rests;
use crest_state::spec::BoardSpec;
use crest_state::top::Top;
use std::sync::Arc;

/// Makes the snapshots of one window at one end.
pub(super) struct Publisher<'a> {
    pub(super) epoch: u64,
    /// Of the items' hashes.
    pub(super) seed: u64,
    pub(super) board: &'a BoardSpec,
    pub(super) clock: &'a Clock,
    pub(super) span: &'a Span,
    pub(super) end: Pane,
    /// Of the board, by its blocklist as it is now.
    pub(super) top: Top,
}

impl<'a> Publisher<'a> {
    /// Of a running job.
    pub(super) fn new(job: &Job, board: &'a BoardSpec, clock: &'a Clock, span: &'a Span, end: Pane) -> Self {
        let (epoch, seed) = (job.epoch, job.spec.sketch.seed);
        Publisher { epoch, seed, board, clock, span, end, top: Top::of(board) }
    }

    /// Slides a group's window to the end and ranks it. Returns its final snapshot. `rests` are those of the window.
    pub(super) fn final_of(&self, group: &GroupKey, window: &mut GroupWindow, rests: &Rests) -> Snapshot {
        window.slide_to(self.end, self.span);
        window.live = !window.sum.is_empty();
        let watermark = self.clock.start(self.end);
        let of = (&self.top, self.board.retracts());
        let shown = |ranking: Ranking<&[u8]>| self.final_snapshot(group, &ranking, &window.ranks, watermark);
        let (snapshot, ranks) = window.rank(of, rests, shown);
        window.note_ranks(ranks);
        snapshot
    }

    /// The final snapshot of a ranking, and the ranks in it. `before` has those in the previous one, and `watermark` is in
    /// milliseconds since 1970 UTC.
    pub(super) fn final_snapshot<K: AsRef<[u8]>>(
        &self,
        group: &GroupKey,
        ranking: &Ranking<K>,
        before: &Ranks,
        watermark: i64,
    ) -> (Snapshot, Ranks) {
        let rows = shown_rows(self.board, ranking, before, self.seed);
        let ranks = Ranks::of(&rows);
        (self.snapshot_of(group, (ranking.total, rows), watermark, true), ranks)
    }

    /// The provisional snapshot of a ranking. `before` has the ranks in the previous final one, and `watermark` is in
    /// milliseconds since 1970 UTC.
    pub(super) fn provisional_snapshot<K: AsRef<[u8]>>(
        &self,
        group: &GroupKey,
        ranking: &Ranking<K>,
        before: &Ranks,
        watermark: i64,
    ) -> Snapshot {
        let rows = shown_rows(self.board, ranking, before, self.seed);
        self.snapshot_of(group, (ranking.total, rows), watermark, false)
    }

    fn snapshot_of(
        &self,
        group: &GroupKey,
        rows: (u64, ShownRows),
        watermark: i64,
        is_final: bool,
    ) -> Snapshot {
        let end = self.clock.start(self.end);
        let times = Times { start: self.clock.start(self.span.start(self.end)), end };
        let of = (self.board, self.epoch, &self.span.name);
        let since = self.span.whole_since(self.end).map(|pane| self.clock.start(pane));
        let full = self.span.full_unit(self.end).filter(|_| is_final);
        let unit = full.map(|calendar| CalendarUnit {
            name: calendar.name_of(times.start).into(),
            stays: calendar.bucket_stays(),
        });
        Snapshot {
            partial: since.is_some(),
            since,
            missing: self.span.missing.names_in(&self.span.panes(self.end)),
            bucket: self.span.buckets || unit.is_some(),
            unit,
            counters: self.span.buckets && self.board.counters,
            ..snapshot(of, group, times, rows, watermark, is_final)
        }
    }
}

/// Where a window begins and where it ends, in milliseconds since 1970 UTC.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// The snapshot of a total and rows. `of` has the board, the epoch and the window's name.
pub(super) fn snapshot(
    (board, epoch, window): (&BoardSpec, u64, &Arc<str>),
    group: &GroupKey,
    times: Times,
    (total, rows): (u64, ShownRows),
    watermark: i64,
    is_final: bool,
) -> Snapshot {
    let ShownRows { items, error, error_floor, guaranteed, lacking, removed, .. } = rows;
    Snapshot {
        board: board.name.clone(),
        window: window.clone(),
        group: group.clone(),
        window_start: times.start,
        window_end: times.end,
        computed_at: wall_clock_ms(),
        watermark,
        is_final,
        total,
        error,
        error_floor,
        guaranteed,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: board.count.distinct(),
        retracts: board.retracts(),
        removed,
        items,
        rising: None,
        unit: None,
        lacking: if group.is_whole() { 0 } else { lacking },
        k: board.k as u32,
        epoch,
        bucket: false,
        counters: false,
    }
}
