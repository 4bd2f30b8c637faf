//! The windows of one board: when each of them ends, over which panes, and for which groups it is ranked.

use super::group::{Group, GroupWindow, Span, mark_buckets};
use super::publish::Publisher;
use super::rank_requests::RankRequests;
use super::resume_point::ResumePoint;
use crate::event_time::Clock;
use crate::exact::Graph;
use crate::job::Job;
use crest_sketches::Digest;
use crest_state::levels::{Block, Levels};
use crest_state::pane::EncodedGroups;
use crest_state::pane::Pane;
use crest_state::pane::PaneDigests;
use crest_state::pyramid::Pyramid;
use crest_state::rest::{REST, Rests, rest_of};
use crest_state::spec::BoardSpec;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// When time on a live stream jumps beyond more ends of an empty window than this, they are skipped at once.
pub(super) const LONG_GAP: u64 = 1000;

/// The windows of one board.
pub(super) struct BoardWindows {
    pub(super) job: Job,
    pub(super) board: Arc<BoardSpec>,
    pub(super) clock: Clock,
    pub(super) bounded: bool,
    /// Whether windows without an event are not published. Of these, only the first after one with events is computed.
    pub(super) silent: bool,
    pub(super) windows: Vec<Span>,
    /// The groups by text. The whole board, under the empty text, is always there.
    pub(super) groups: BTreeMap<String, Group>,
    /// For each window, the weight that groups may have beyond what its nodes list.
    pub(super) rests: Vec<Rests>,
    /// For each group that was shown in open panes, the newest of these panes.
    pub(super) in_open: BTreeMap<String, Pane>,
    pub(super) levels: Levels,
    pub(super) pyramid: Pyramid,
    /// Complete blocks that were not taken for the state yet.
    rollups: Vec<(Block, Rc<EncodedGroups>)>,
    /// On an exact board, the rankings that are requested from its graph.
    pub(super) exact: Option<RankRequests>,
    /// Closed panes that are not in the windows yet: the frontier may not have passed them, or they are not durable.
    pub(super) waiting: BTreeMap<Pane, PaneDigests>,
    /// The open panes as they came last, until they are shown.
    pub(super) shown: Option<Vec<Rc<PaneDigests>>>,
    pub(super) frontier: Option<Pane>,
    pub(super) resume_point: ResumePoint,
    pub(super) finished: bool,
}

impl BoardWindows {
    /// The windows of the board at this place in the spec. They resume where an earlier run left off, if there was one.
    pub(super) fn new(
        job: &Job,
        index: usize,
        resume_point: Option<ResumePoint>,
        graph: Option<Graph>,
    ) -> Self {
        let spec = &job.spec;
        let bounded = job.source.bounded();
        let (clock, levels) = (Clock::new(&spec.time, bounded), Levels::new(spec.time.pane));
        let (rows_kept, pane_rows) = (spec.sketch.rows_kept, spec.sketch.pane_rows());
        let board = Arc::new(spec.boards[index].clone());
        let span = |window| Span::new(window, board.engine, &clock, &levels, rows_kept, pane_rows);
        let mut windows: Vec<Span> = board.windows.iter().map(span).collect();
        mark_buckets(&mut windows);
        let groups = BTreeMap::from([(String::new(), Group::new("", windows.len()))]);
        // A state keeps all levels; other runs need only those that windows are made of.
        let needed = windows.iter().map(|span| span.level).max().unwrap_or(0);
        let top = if job.state.is_some() { levels.count() - 1 } else { needed };
        let resume_point = resume_point.unwrap_or_default();
        for (span, go_on) in windows.iter_mut().zip(&resume_point.windows) {
            (span.next_end, span.from) = go_on.map_or((None, 0), |(end, from)| (Some(end), from));
        }
        let exact = graph.map(|graph| RankRequests::new(graph, windows.len(), board.k, spec.sketch.seed));
        BoardWindows {
            exact,
            job: job.clone(),
            rests: vec![Rests::default(); windows.len()],
            in_open: BTreeMap::new(),
            pyramid: Pyramid::new(levels, top, pane_rows, spec.sketch.seed, board.max_groups),
            board,
            clock,
            bounded,
            silent: bounded && !spec.empty,
            windows,
            groups,
            levels,
            rollups: Vec::new(),
            waiting: BTreeMap::new(),
            shown: None,
            frontier: Some(resume_point.published),
            finished: resume_point.finished,
            resume_point,
        }
    }

    pub(super) fn closed(&mut self, pane: PaneDigests) {
        self.waiting.insert(pane.pane, pane);
    }

    pub(super) fn open(&mut self, panes: Vec<Rc<PaneDigests>>) {
        self.shown = Some(panes).filter(|_| self.job.sink.shows_provisionals());
    }

    /// Publishes what is due when time has passed up to `frontier`. Returns false when more is due at `until`.
    pub(super) fn advance(&mut self, frontier: Option<Pane>, until: Instant) -> bool {
        self.settle();
        if self.finished || (frontier == self.frontier && !self.may_show()) {
            return true;
        }
        let started = Instant::now();
        let done = self.publish_due(frontier, until) && self.is_settled();
        let complete = if done {
            frontier.map_or(i64::MAX, |pane| self.clock.start(pane))
        } else {
            self.before_next_end()
        };
        self.job.sink.finals_complete(&self.board.name, complete);
        if done {
            (self.frontier, self.finished) = (frontier, frontier.is_none());
            if let Some(panes) =
                self.shown.take_if(|_| self.exact.as_ref().is_none_or(RankRequests::may_show))
            {
                self.publish_provisionals(&panes);
            }
            self.retire_closed();
        }
        self.note(complete, started);
        done
    }

    /// A pane up to which all finals are published; `None` when no more will come.
    pub(super) fn reached(&self, frontier: Option<Pane>) -> Option<Pane> {
        if self.finished || frontier == self.frontier {
            return frontier;
        }
        let ends = self.windows.iter().filter_map(|span| span.next_end);
        let requested = self.exact.as_ref().and_then(RankRequests::next_end);
        let next = self.waiting.keys().next().copied().into_iter().chain(ends).chain(requested).min();
        next.or(self.frontier).or(Some(0))
    }

    /// The blocks that were completed since the last call. None of them is partly filled.
    pub(super) fn take_rollups(&mut self) -> Vec<(Block, Rc<EncodedGroups>)> {
        std::mem::take(&mut self.rollups)
    }

    /// The event time (ms since 1970 UTC) such that all windows that end at or before it are published.
    pub(super) fn before_next_end(&self) -> i64 {
        let requested = self.exact.as_ref().and_then(RankRequests::next_end);
        let next = self.windows.iter().filter_map(|span| span.next_end).chain(requested).min();
        next.map_or(i64::MIN, |end| self.clock.start(end) - 1)
    }

    fn publish_due(&mut self, frontier: Option<Pane>, until: Instant) -> bool {
        let passed = frontier.unwrap_or(Pane::MAX);
        while let Some((&pane, _)) = self.waiting.first_key_value()
            && pane < passed
        {
            if !self.publish_finals(pane, until) {
                return false;
            }
            if let Some(digests) = self.waiting.remove(&pane) {
                self.add(digests);
            }
        }
        match frontier {
            Some(passed) => self.publish_finals(passed, until),
            None if self.bounded => self.publish_partly_filled(until),
            None => true,
        }
    }

    /// Adds a pane that time has passed. All windows that end before it must be published.
    fn add(&mut self, pane: PaneDigests) {
        let end = pane.pane + 1;
        for span in &mut self.windows {
            span.filled_to = end;
            span.next_end = Some(span.next_end.unwrap_or_else(|| span.end_from(end)));
        }
        let block = Block { level: 0, start: pane.pane };
        self.count_exactly(&pane);
        self.push(block, &pane.groups);
        self.pyramid.add(pane);
        self.roll_up(end);
    }

    /// Adds a complete block to the windows that are made of its level.
    pub(super) fn push<D: Borrow<Digest>>(&mut self, block: Block, groups: &BTreeMap<String, D>) {
        if !self.windows.iter().any(|span| span.is_made_of(block)) {
            return;
        }
        let rest = rest_of(groups);
        if self.exact.is_none() {
            let windows = self.rests.iter_mut().zip(&self.windows);
            windows.filter(|(_, span)| span.is_made_of(block)).for_each(|(r, _)| r.push(block.start, rest));
        }
        for (text, digest) in groups.iter().filter(|(text, _)| *text != REST) {
            self.push_group(block, text, digest.borrow(), rest);
        }
    }

    fn push_group(&mut self, block: Block, text: &str, digest: &Digest, rest: u64) {
        let (count, exact) = (self.windows.len(), self.exact.is_some());
        let group = match self.groups.get_mut(text) {
            Some(group) => group,
            None => self.groups.entry(text.to_owned()).or_insert_with(|| Group::new(text, count)),
        };
        let windows = group.windows.iter_mut().zip(&self.windows);
        for (window, span) in windows.filter(|(_, span)| span.is_made_of(block)) {
            if exact {
                window.live = true;
            } else {
                window.push(block, digest, rest, span);
            }
        }
    }

    /// Completes the blocks that end at or before `to`, which time has passed, and keeps them for the state.
    fn roll_up(&mut self, to: Pane) {
        let rollups = self.complete(to);
        self.rollups.extend(rollups);
    }

    /// Completes the blocks that end at or before `to`, as if time had passed them.
    fn complete(&mut self, to: Pane) -> Vec<(Block, Rc<EncodedGroups>)> {
        let mut complete = Vec::new();
        while let Some(rollup) = self.pyramid.complete_next(to) {
            self.push(rollup.block, &rollup.groups);
            complete.push((rollup.block, rollup.encoded));
        }
        complete
    }

    /// Publishes every window that ends at or before `pane`, in the order of their ends. Returns false when more of them
    /// are due at `until`, or a ranking cannot be requested yet.
    fn publish_finals(&mut self, pane: Pane, until: Instant) -> bool {
        while let Some((end, window)) = self.next_window(|_, end| end <= pane) {
            if Instant::now() >= until || !self.may_rank(window, end) {
                return false;
            }
            self.roll_up(end);
            self.publish_end(window);
            self.skip_gap(window, pane);
        }
        self.roll_up(pane);
        true
    }

    /// At the end of a bounded run, publishes each window up to its first end at or after the last pane with an event.
    /// Returns false as [`publish_finals`](Self::publish_finals) does.
    fn publish_partly_filled(&mut self, until: Instant) -> bool {
        while let Some((end, window)) = self.next_window(|span, end| end <= span.end_from(span.filled_to)) {
            if Instant::now() >= until || !self.may_rank(window, end) {
                return false;
            }
            // Time has not passed these blocks, so they are nodes of the last windows but not rollups to be stored.
            self.complete(end);
            self.publish_end(window);
        }
        true
    }

    /// The window whose next end is the earliest among those that are due, and that end.
    pub(super) fn next_window(&self, due: impl Fn(&Span, Pane) -> bool) -> Option<(Pane, usize)> {
        let ends = self.windows.iter().enumerate().filter_map(|(index, span)| {
            let end = span.next_end?;
            due(span, end).then_some((end, index))
        });
        ends.min()
    }

    /// Ranks the window at its next end, and publishes it unless an earlier run has.
    pub(super) fn publish_end(&mut self, window: usize) {
        let span = &mut self.windows[window];
        let Some(end) = span.next_end else { return };
        span.next_end = Some(end + span.slide);
        if self.exact.is_some() {
            return self.rank_exactly(window, end);
        }
        let span = &self.windows[window];
        self.rests[window].expire(end.saturating_sub(span.size));
        let mut groups = std::mem::take(&mut self.groups);
        let mut published = 0;
        for (text, group) in &mut groups {
            let state = &mut group.windows[window];
            if !state.live && !text.is_empty() {
                continue;
            }
            let snapshot = self.publisher(span, end).final_of(&group.values, state, &self.rests[window]);
            if end > self.resume_point.published && (state.live || !self.silent) {
                published += 1;
                self.job.sink.publish(&Arc::new(snapshot));
            }
        }
        self.job.view.update_board(&self.board.name, |counts| counts.finals += published);
        self.groups = groups;
        self.forget_idle();
    }

    /// Skips ends at which a window is empty, when time has passed all panes before `pane`. A silent run skips all of
    /// them. A live stream skips them only after a far jump of time, and never the last of them, so that the snapshot from
    /// before the jump does not stay.
    pub(super) fn skip_gap(&mut self, window: usize, pane: Pane) {
        let span = &mut self.windows[window];
        let Some(next) = span.next_end else { return };
        if self.groups.values().any(|group| group.windows[window].live) {
            return;
        }
        // Panes that are not rolled up yet will be in the windows that are made of their block.
        let pane = self.pyramid.first_pending(span.level).map_or(pane, |first| first.min(pane));
        let last = pane / span.slide * span.slide;
        if self.silent {
            span.next_end = Some(next.max(last + span.slide));
        } else if !self.bounded && last > next + LONG_GAP * span.slide {
            span.next_end = Some(last);
        }
    }

    pub(super) fn publisher<'a>(&'a self, span: &'a Span, end: Pane) -> Publisher<'a> {
        Publisher { epoch: self.job.epoch, board: &self.board, clock: &self.clock, span, end }
    }

    pub(super) fn note(&self, frontier: i64, started: Instant) {
        let windows = || self.groups.values().flat_map(|group| &group.windows);
        let bytes = windows().map(GroupWindow::bytes).sum::<usize>() + self.pyramid.bytes();
        let bytes = bytes + self.exact.as_ref().map_or(0, RankRequests::bytes);
        let spent = started.elapsed().as_nanos() as u64;
        self.job.view.update_board(&self.board.name, |counts| {
            counts.frontier = (frontier != i64::MAX).then_some(frontier);
            counts.window_bytes = bytes as u64;
            counts.groups = self.groups.len() as u64;
            counts.rank_ns += spent;
        });
    }
}
