//! The windows of one board: when each of them ends, over which panes, and for which groups it is ranked.

use super::group::{GroupWindow, Span};
use super::kind::WindowKind;
use super::rank_requests::RankRequests;
use super::resume_point::ResumePoint;
use super::set::WindowSet;
use super::sketched::Sketched;
use super::whole::WholeWindows;
use crate::exact::Graph;
use crate::job::Job;
use crate::late_pane::PaneSpan;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::LAST_END;
use crest_host::clock;
use crest_sketches::Digest;
use crest_state::levels::{Block, Levels};
use crest_state::pane::{EncodedGroups, Pane, PaneDigests};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// When time on a live stream jumps beyond more ends of an empty window than this, they are skipped at once.
pub(super) const LONG_GAP: u64 = 1000;

/// The windows of one board, as time passes over them.
pub(super) struct BoardWindows {
    pub(super) set: WindowSet,
    pub(super) kind: Box<dyn WindowKind>,
    whole: WholeWindows,
    pub(super) bounded: bool,
    pub(super) levels: Levels,
    /// Complete blocks that were not reported yet.
    rollups: Vec<(Block, Rc<EncodedGroups>)>,
    /// Closed panes that are not in the windows yet: the frontier may not have passed them.
    pub(super) waiting: BTreeMap<Pane, PaneDigests>,
    /// The open panes as they came last, until they are shown.
    shown: Option<Vec<Rc<PaneDigests>>>,
    pub(super) frontier: Option<Pane>,
    /// All panes before this one were stored by an earlier run.
    pub(super) durable: Pane,
    /// The end of the last pane in which the bounded input has an event of any board or of none, as far as it is known; 0
    /// before that.
    input_end: Pane,
    /// Whether all finals are published, to the end of the log.
    finished: bool,
}

impl BoardWindows {
    /// The windows of the board at this place in the spec. They resume where an earlier run left off, if there was one.
    pub(super) fn new(
        job: &Job,
        index: usize,
        resume_point: Option<ResumePoint>,
        graph: Option<Graph>,
    ) -> Self {
        let resume_point = resume_point.unwrap_or_default();
        let set = WindowSet::new(job, index, &resume_point);
        let windows = set.spans.len();
        let kind: Box<dyn WindowKind> = match graph {
            Some(graph) => Box::new(RankRequests::new(graph, windows, &set.board, job.spec.sketch.seed)),
            None => Box::new(Sketched::new(windows)),
        };
        BoardWindows {
            whole: WholeWindows::new(&set.board, &job.spec.sketch),
            set,
            kind,
            bounded: job.source.bounded(),
            levels: Levels::new(job.spec.time.pane),
            rollups: Vec::new(),
            waiting: BTreeMap::new(),
            shown: None,
            frontier: Some(resume_point.published),
            durable: resume_point.durable,
            input_end: resume_point.input_end,
            finished: resume_point.finished,
        }
    }

    pub(super) fn closed(&mut self, pane: PaneDigests) {
        self.waiting.insert(pane.pane, pane);
    }

    /// Notes the last pane with an event of some partitions, which have ended.
    pub(super) fn ends_with(&mut self, last: Pane) {
        self.input_end = self.input_end.max(last + 1);
    }

    /// Takes the late pane, whose events are of the panes of `span`.
    pub(super) fn closed_late(&mut self, pane: PaneDigests, span: Option<PaneSpan>) {
        self.whole.take_late(pane, span);
    }

    pub(super) fn open(&mut self, panes: Vec<Rc<PaneDigests>>) {
        self.shown = Some(panes).filter(|_| self.set.job.sink.shows_provisionals());
    }

    /// Publishes what is due when time has passed up to `frontier`. Returns false when more is due but the time `until` has
    /// come, or requested rankings have not.
    pub(super) fn advance(&mut self, frontier: Option<Pane>, until: Instant) -> bool {
        self.kind.settle(&mut self.set);
        let may_show = self.shown.is_some() && self.kind.may_show();
        if self.finished || (frontier == self.frontier && !may_show) {
            return true;
        }
        let started = clock::now();
        let done =
            self.publish_due(frontier, until) && self.kind.flush() && self.publish_whole(frontier, until);
        let complete = if done {
            frontier.map_or(i64::MAX, |pane| self.set.clock.start(pane))
        } else {
            self.before_next_end()
        };
        self.set.job.sink.finals_complete(&self.set.board.name, complete);
        if done {
            (self.frontier, self.finished) = (frontier, frontier.is_none());
            if let Some(panes) = self.shown.take_if(|_| self.kind.may_show()) {
                self.publish_provisionals(&panes);
            }
            self.set.retire_closed(frontier.unwrap_or(Pane::MAX));
        }
        self.note(complete, started);
        done
    }

    /// A pane up to which all finals are published; `None` when no more will come.
    pub(super) fn reached(&self, frontier: Option<Pane>) -> Option<Pane> {
        if self.finished || frontier == self.frontier {
            return frontier;
        }
        let next = self.waiting.keys().next().copied().into_iter().chain(self.next_end()).min();
        next.or(self.frontier).or(Some(0))
    }

    /// The blocks that were completed since the last call. None of them is partly filled.
    pub(super) fn take_rollups(&mut self) -> Vec<(Block, Rc<EncodedGroups>)> {
        std::mem::take(&mut self.rollups)
    }

    /// The event time (ms since 1970 UTC) such that all windows that end at or before it are published.
    pub(super) fn before_next_end(&self) -> i64 {
        self.next_end().map_or(i64::MIN, |end| self.set.clock.start(end) - 1)
    }

    /// The end of the first window that is not published.
    fn next_end(&self) -> Option<Pane> {
        let ends = self.set.spans.iter().filter_map(|span| span.next_end);
        ends.chain(self.kind.next_end()).min()
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

    /// Publishes the windows of the whole input, when it has ended and all others are published. Returns false while there
    /// are more of them.
    fn publish_whole(&mut self, frontier: Option<Pane>, until: Instant) -> bool {
        if frontier.is_some() || !self.bounded || !self.whole.exist() {
            return true;
        }
        // A group must not be retired after its ranking of the whole input was published.
        self.set.retire_closed(Pane::MAX);
        self.set.job.sink.finals_complete(&self.set.board.name, LAST_END);
        self.whole.publish(&self.set, until)
    }

    /// Adds a pane that time has passed. All windows that end before it must be published.
    fn add(&mut self, pane: PaneDigests) {
        let end = pane.pane + 1;
        for span in &mut self.set.spans {
            span.filled_to = end;
            span.next_end = Some(span.next_end.unwrap_or_else(|| span.end_from(end)));
        }
        self.push(Block { level: 0, start: pane.pane }, &pane.groups);
        self.set.pyramid.add(pane);
        self.roll_up(end);
    }

    /// Adds a complete block to the windows that are made of its level.
    pub(super) fn push(&mut self, block: Block, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        self.set.blocks += 1;
        if block.level == 0 {
            self.whole.push(block.start, groups);
        }
        if self.set.is_made_of(block) {
            self.kind.add(&mut self.set, block, groups);
        }
    }

    /// Completes the blocks that end at or before `to`, which time has passed, and keeps them to be reported.
    fn roll_up(&mut self, to: Pane) {
        let rollups = self.complete(to);
        self.rollups.extend(rollups);
    }

    /// Completes the blocks that end at or before `to`, as if time had passed them.
    fn complete(&mut self, to: Pane) -> Vec<(Block, Rc<EncodedGroups>)> {
        let mut complete = Vec::new();
        while let Some(rollup) = self.set.pyramid.complete_next(to) {
            self.push(rollup.block, &rollup.groups);
            complete.extend(rollup.encoded.map(|encoded| (rollup.block, encoded)));
        }
        complete
    }

    /// Publishes every window that ends at or before `pane`, in the order of their ends. Returns false when more of them
    /// are due at `until`, or a ranking cannot be requested yet.
    fn publish_finals(&mut self, pane: Pane, until: Instant) -> bool {
        while let Some((end, window)) = self.set.next_window(|_, end| end <= pane) {
            if clock::now() >= until || !self.kind.may_rank(&self.set, window, end) {
                return false;
            }
            self.roll_up(end);
            self.publish_end(window);
            self.skip_gap(window, pane);
        }
        self.roll_up(pane);
        true
    }

    /// At the end of a bounded run, publishes each window up to its first end at or after the last pane with an event of the
    /// input. Were it one of the board, what is published of a board with a filter would depend on how far time had passed
    /// when the input ended. Returns false as [`publish_finals`](Self::publish_finals) does.
    fn publish_partly_filled(&mut self, until: Instant) -> bool {
        let input_end = self.input_end;
        let last_end = |span: &Span| span.end_from(span.filled_to.max(input_end));
        while let Some((end, window)) = self.set.next_window(|span, end| end <= last_end(span)) {
            if clock::now() >= until || !self.kind.may_rank(&self.set, window, end) {
                return false;
            }
            // Time has not passed these blocks, so they are nodes of the last windows but not rollups to be stored.
            self.complete(end);
            self.publish_end(window);
            self.skip_gap(window, last_end(&self.set.spans[window]));
        }
        true
    }

    /// Ranks the window at its next end, and publishes it unless an earlier run has.
    pub(super) fn publish_end(&mut self, window: usize) {
        let span = &mut self.set.spans[window];
        let Some(end) = span.next_end else { return };
        span.next_end = Some(end + span.slide);
        self.kind.rank_final(&mut self.set, window, end);
    }

    /// Skips ends at which a window is empty, when time has passed all panes before `pane`. A silent run skips all of
    /// them. A live stream skips them only after a far jump of time, and never the last of them, so that the snapshot from
    /// before the jump does not stay.
    pub(super) fn skip_gap(&mut self, window: usize, pane: Pane) {
        let span = &mut self.set.spans[window];
        let Some(next) = span.next_end else { return };
        if self.set.groups.iter().any(|group| group.windows[window].live) {
            return;
        }
        // Panes that are not rolled up yet will be in the windows that are made of their block.
        let pane = self.set.pyramid.first_pending(span.level).map_or(pane, |first| first.min(pane));
        let last = pane / span.slide * span.slide;
        if self.set.silent {
            span.next_end = Some(next.max(last + span.slide));
        } else if !self.bounded && last > next + LONG_GAP * span.slide {
            span.next_end = Some(last);
        }
    }

    /// Whether the board can only wait, for rankings or for the audit's queries.
    pub(super) fn is_waiting(&self) -> bool {
        self.kind.is_waiting() || self.set.job.audit.is_some()
    }

    /// Whether there are open panes to be shown later.
    pub(super) fn shows_later(&self) -> bool {
        self.shown.is_some() && !self.finished
    }

    /// Notes the figures of the board.
    fn note(&self, frontier: i64, started: Instant) {
        let windows = self.set.groups.iter().flat_map(|group| &group.windows);
        let groups = windows.map(GroupWindow::bytes).sum::<usize>();
        let bytes = groups + self.set.pyramid.bytes() + self.kind.bytes() + self.whole.bytes();
        let spent = clock::since(started).as_nanos() as u64;
        self.set.job.view.update_board(&self.set.board.name, |counts| {
            counts.frontier = (frontier != i64::MAX).then_some(frontier);
            counts.window_bytes = bytes as u64;
            counts.groups = self.set.groups.len() as u64;
            counts.rank_ns += spent;
        });
    }
}
