//! What the windows of a board have, of whatever kind they are: their ends, the groups in them, and the way to the sink.

use super::group::{Span, mark_buckets};
use super::groups::Groups;
use super::in_open::InOpen;
use super::publish::Publisher;
use super::resume_point::ResumePoint;
use crate::event_time::Clock;
use crate::job::Job;
use crest_state::levels::{Block, Levels};
use crest_state::pane::Pane;
use crest_state::pyramid::Pyramid;
use crest_state::spec::BoardSpec;
use std::ops::Range;
use std::sync::Arc;

/// The windows of one board, with the groups in them.
pub(super) struct WindowSet {
    pub(super) job: Job,
    pub(super) board: Arc<BoardSpec>,
    pub(super) clock: Clock,
    /// Whether windows without an event are not published. After a window with events, only the next empty one is still
    /// ranked.
    pub(super) silent: bool,
    pub(super) spans: Vec<Span>,
    /// The groups. The whole board is always there.
    pub(super) groups: Groups,
    /// The groups that are shown in open panes, in the order of their keys.
    pub(super) in_open: Vec<InOpen>,
    pub(super) pyramid: Pyramid,
    /// How many closed panes and rollups have come.
    pub(super) blocks: u64,
    /// An earlier run has published every window that ends at or before this pane.
    pub(super) published: Pane,
}

impl WindowSet {
    /// The windows of the board at this place in the spec.
    pub(super) fn new(job: &Job, index: usize, resume_point: &ResumePoint) -> Self {
        let (spec, bounded) = (&job.spec, job.source.bounded());
        let (clock, levels) = (Clock::new(&spec.time, bounded), Levels::new(spec.time.pane));
        let board = Arc::new(spec.boards[index].clone());
        let span = |window| Span::new(window, board.engine, &levels, &spec.sketch);
        let mut spans: Vec<Span> = board.sliding_windows().map(span).collect();
        mark_buckets(&mut spans);
        // A state keeps all levels; other runs need only those that windows are made of.
        let needed = spans.iter().map(|span| span.level).max().unwrap_or(0);
        let top = if job.state.is_some() { levels.count() - 1 } else { needed };
        for (span, go_on) in spans.iter_mut().zip(&resume_point.windows) {
            (span.next_end, span.from) = go_on.map_or((None, 0), |(end, from)| (Some(end), from));
        }
        for (span, lacking) in spans.iter_mut().zip(&resume_point.lacking) {
            span.lacking = lacking.clone();
        }
        spans.iter_mut().for_each(|span| span.missing = resume_point.missing.clone());
        WindowSet {
            job: job.clone(),
            groups: Groups::new(spans.len()),
            in_open: Vec::new(),
            blocks: 0,
            pyramid: Pyramid::new(levels, top, spec.sketch.pane_rows(), spec.sketch.seed, board.max_groups),
            silent: bounded && !spec.empty,
            board,
            clock,
            spans,
            published: resume_point.published,
        }
    }

    /// Notes that a region is missing from panes.
    pub(super) fn miss(&mut self, region: &Arc<str>, panes: &Range<Pane>) {
        self.spans.iter_mut().for_each(|span| span.missing.add(region, panes.clone()));
    }

    /// Whether some window is made of the block.
    pub(super) fn is_made_of(&self, block: Block) -> bool {
        self.spans.iter().any(|span| span.is_made_of(block))
    }

    /// The window whose next end is the earliest among those that are due, and that end.
    pub(super) fn next_window(&self, due: impl Fn(&Span, Pane) -> bool) -> Option<(Pane, usize)> {
        let ends = self.spans.iter().enumerate().filter_map(|(index, span)| {
            let end = span.next_end?;
            due(span, end).then_some((end, index))
        });
        ends.min()
    }

    /// Makes the snapshots of a window at an end.
    pub(super) fn publisher(&self, window: usize, end: Pane) -> Publisher<'_> {
        Publisher::new(&self.job, &self.board, &self.clock, &self.spans[window], end)
    }

    /// The same, and the groups, to be changed meanwhile.
    pub(super) fn publisher_and_groups(&mut self, window: usize, end: Pane) -> (Publisher<'_>, &mut Groups) {
        let WindowSet { job, board, clock, spans, groups, .. } = self;
        (Publisher::new(job, board, clock, &spans[window], end), groups)
    }
}
