//! The windows of one board: which end when, over which panes, for which groups.

use super::group::{Group, Span};
use super::publish::Publisher;
use crate::event_time::{Clock, Pane};
use crate::job::Job;
use crate::merge::PaneDigests;
use crate::spec::BoardSpec;
use crest_sketches::Digest;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Ends of an empty window of a live stream that are skipped at once when time has jumped beyond them.
const LONG_GAP: u64 = 1000;

/// The windows of one board.
pub(super) struct BoardWindows {
    job: Job,
    board: Arc<BoardSpec>,
    clock: Clock,
    bounded: bool,
    windows: Vec<Span>,
    /// By text; the whole board, under the empty text, is always there.
    groups: BTreeMap<String, Group>,
    /// Panes that came closed and that the frontier may not have passed yet.
    waiting: BTreeMap<Pane, PaneDigests>,
    /// The open panes as last told, not ranked yet.
    shown: Option<Vec<Rc<PaneDigests>>>,
    /// The last pane with an event.
    last: Option<Pane>,
    frontier: Option<Pane>,
    /// An earlier run has published every window that ends at or before it.
    published: Pane,
    finished: bool,
}

impl BoardWindows {
    /// Of the board at this place in the spec; they go on where an earlier run left off.
    pub(super) fn new(job: &Job, index: usize) -> Self {
        let spec = &job.spec;
        let bounded = job.source.bounded();
        let clock = Clock::new(&spec.time, bounded);
        let (rows_kept, pane_rows) = (spec.sketch.rows_kept, spec.sketch.pane_rows());
        let board = Arc::new(spec.boards[index].clone());
        let span = |window| Span::new(window, &clock, rows_kept, pane_rows);
        let mut windows: Vec<Span> = board.windows.iter().map(span).collect();
        let tumbling = windows.iter_mut().filter(|span| span.slide == span.size);
        if let Some(shortest) = tumbling.min_by_key(|span| span.size) {
            shortest.buckets = true;
        }
        let groups = BTreeMap::from([(String::new(), Group::new("", windows.len()))]);
        let restored = job.state.as_ref().and_then(|state| state.restored());
        for span in &mut windows {
            let go_on = restored.and_then(|restored| restored.go_on(index, span.size, span.slide));
            (span.next_end, span.from) = go_on.map_or((None, 0), |go_on| (Some(go_on.end), go_on.from));
        }
        BoardWindows {
            job: job.clone(),
            board,
            clock,
            bounded,
            windows,
            groups,
            waiting: BTreeMap::new(),
            shown: None,
            last: None,
            frontier: restored.map(|restored| restored.published),
            published: restored.map_or(0, |restored| restored.published),
            finished: restored.is_some_and(|restored| restored.finished),
        }
    }

    pub(super) fn closed(&mut self, pane: PaneDigests) {
        self.waiting.insert(pane.pane, pane);
    }

    pub(super) fn open(&mut self, panes: Vec<Rc<PaneDigests>>) {
        self.shown = Some(panes);
    }

    /// Publishes what is due when time has passed up to `frontier`. False when there is more of it after `until`.
    pub(super) fn advance(&mut self, frontier: Option<Pane>, until: Instant) -> bool {
        if self.finished || (frontier == self.frontier && self.shown.is_none()) {
            return true;
        }
        let started = Instant::now();
        let done = self.publish_due(frontier, until);
        let next = self.windows.iter().filter_map(|span| span.next_end).min();
        let complete = match (done, frontier) {
            (true, frontier) => frontier.map_or(i64::MAX, |pane| self.clock.start(pane)),
            // All that end before the next end are published.
            (false, _) => next.map_or(i64::MIN, |end| self.clock.start(end) - 1),
        };
        self.job.sink.finals_complete(&self.board.name, complete);
        if done {
            (self.frontier, self.finished) = (frontier, frontier.is_none());
            if let Some(panes) = self.shown.take() {
                self.publish_provisionals(&panes);
            }
        }
        self.note(complete, started);
        done
    }

    /// A pane up to which all is published; `None` when all is, for good.
    pub(super) fn reached(&self, frontier: Option<Pane>) -> Option<Pane> {
        if self.finished || frontier == self.frontier {
            return frontier;
        }
        let ends = self.windows.iter().filter_map(|span| span.next_end);
        let next = self.waiting.keys().next().copied().into_iter().chain(ends).min();
        next.or(self.frontier).or(Some(0))
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

    fn add(&mut self, pane: PaneDigests) {
        self.last = Some(pane.pane);
        for span in &mut self.windows {
            let first = pane.pane + 1;
            span.next_end = Some(span.next_end.unwrap_or_else(|| first.next_multiple_of(span.slide)));
        }
        for (text, digest) in pane.groups {
            let windows = self.windows.len();
            let group = self.groups.entry(text).or_insert_with_key(|text| Group::new(text, windows));
            let windows = group.windows.iter_mut().zip(&self.windows);
            for (window, span) in windows.filter(|(_, span)| span.from <= pane.pane) {
                window.add(pane.pane, &digest, span);
            }
        }
    }

    /// Publishes every window that ends at or before `pane`, in the order of their ends.
    fn publish_finals(&mut self, pane: Pane, until: Instant) -> bool {
        while let Some(window) = self.next_window(|_, end| end <= pane) {
            if Instant::now() >= until {
                return false;
            }
            self.publish_end(window);
            self.skip_gap(window, pane);
        }
        true
    }

    /// At the end of a bounded run: each window up to its first end at or after the last pane with an event.
    fn publish_partly_filled(&mut self, until: Instant) -> bool {
        let bound = self.last.map_or(0, |last| last + 1);
        while let Some(window) = self.next_window(|span, end| end <= span.end_from(bound)) {
            if Instant::now() >= until {
                return false;
            }
            self.publish_end(window);
        }
        true
    }

    /// The window whose next end is the earliest among those that are due.
    fn next_window(&self, due: impl Fn(&Span, Pane) -> bool) -> Option<usize> {
        let ends = self.windows.iter().enumerate().filter_map(|(index, span)| {
            let end = span.next_end?;
            due(span, end).then_some((end, index))
        });
        ends.min().map(|(_, index)| index)
    }

    /// Ranks the window at its next end, and publishes it unless an earlier run has.
    fn publish_end(&mut self, window: usize) {
        let span = &mut self.windows[window];
        let Some(end) = span.next_end else { return };
        span.next_end = Some(end + span.slide);
        let span = &self.windows[window];
        let mut groups = std::mem::take(&mut self.groups);
        let mut published = 0;
        for (text, group) in &mut groups {
            let state = &mut group.windows[window];
            if !state.live && !text.is_empty() {
                continue;
            }
            state.slide_to(end, span);
            state.live = !state.is_empty();
            let ranking = state.sum.rank(self.board.k);
            let watermark = self.clock.start(end);
            let snapshot =
                self.publisher(span, end).snapshot(&group.values, ranking, &state.ranks, watermark, true);
            state.ranks = snapshot.items.iter().map(|item| (item.item_id.clone(), item.rank)).collect();
            if end > self.published {
                published += 1;
                self.job.sink.publish(&Arc::new(snapshot));
            }
        }
        self.job.view.update_board(&self.board.name, |counts| counts.finals += published);
        let idle = |group: &Group| group.windows.iter().all(|window| !window.live);
        groups.retain(|text, group| text.is_empty() || !idle(group));
        self.groups = groups;
    }

    /// On a live stream whose time jumped far ahead, goes over the ends at which a window is empty: only the
    /// last of them is published.
    fn skip_gap(&mut self, window: usize, pane: Pane) {
        let span = &mut self.windows[window];
        let Some(next) = span.next_end else { return };
        let empty = self.groups.values().all(|group| !group.windows[window].live);
        let last = pane / span.slide * span.slide;
        if !self.bounded && empty && last > next + LONG_GAP * span.slide {
            span.next_end = Some(last);
        }
    }

    fn publisher<'a>(&'a self, span: &'a Span, end: Pane) -> Publisher<'a> {
        Publisher { job: &self.job, board: &self.board, clock: &self.clock, span, end }
    }

    /// Publishes, of each window, the one that the newest open pane falls in, for the groups that the open
    /// panes hold. Panes that are closed and not durable yet are as good as open.
    fn publish_provisionals(&mut self, panes: &[Rc<PaneDigests>]) {
        let passed = self.frontier.unwrap_or(Pane::MAX);
        let waits = |pane: &PaneDigests| self.waiting.contains_key(&pane.pane);
        let shown = panes.iter().map(Rc::as_ref).filter(|pane| pane.pane >= passed && !waits(pane));
        let mut open: Vec<&PaneDigests> = self.waiting.values().chain(shown).collect();
        open.sort_by_key(|pane| pane.pane);
        let Some(newest) = open.last().map(|pane| pane.pane) else { return };
        let watermark = self.clock.start(passed);
        let mut groups: Vec<&String> = open.iter().flat_map(|pane| pane.groups.keys()).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut published = 0;
        for (index, span) in self.windows.iter().enumerate() {
            let end = span.end_from(newest + 1);
            let start = end.saturating_sub(span.size);
            for text in &groups {
                let fresh = Group::new(text, self.windows.len());
                let group = self.groups.get(*text).unwrap_or(&fresh);
                let state = &group.windows[index];
                let pending = state
                    .pending
                    .iter()
                    .filter(|(pane, _)| *pane >= start)
                    .map(|(_, digest)| digest.as_ref());
                let current =
                    open.iter().filter(|pane| pane.pane >= start).filter_map(|pane| pane.groups.get(*text));
                let extra: Vec<&Digest> = pending.chain(current.map(Rc::as_ref)).collect();
                let ranking = state.sum.rank_provisional(start / span.node, &extra, self.board.k);
                let snapshot = self.publisher(span, end).snapshot(
                    &group.values,
                    ranking,
                    &state.ranks,
                    watermark,
                    false,
                );
                self.job.sink.publish(&Arc::new(snapshot));
                published += 1;
            }
        }
        self.job.view.update_board(&self.board.name, |counts| counts.provisionals += published);
    }

    fn note(&self, frontier: i64, started: Instant) {
        let windows = || self.groups.values().flat_map(|group| &group.windows);
        let bytes: usize = windows().map(|window| window.sum.bytes()).sum();
        let spent = started.elapsed().as_nanos() as u64;
        self.job.view.update_board(&self.board.name, |counts| {
            counts.frontier = (frontier != i64::MAX).then_some(frontier);
            counts.window_bytes = bytes as u64;
            counts.groups = self.groups.len() as u64;
            counts.rank_ns += spent;
        });
    }
}
