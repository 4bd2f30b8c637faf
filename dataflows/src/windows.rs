//! The windows: slides them over the panes of a board, ranks, and publishes.
//!
//! **In**: the digests of closed and of open panes. **Out**: snapshots, to the sink: a final one at each end of
//! a window that the frontier has passed, provisional ones of the window that holds the newest open pane.
//! **Always holds**: final snapshots are a function of the log; once stopped, none is published. **Costs**: per
//! slide, the rows of one node added and of one subtracted; per ranking, a pass over the candidates.

use crate::event_time::{Clock, Pane};
use crate::job::Job;
use crate::merge::{PaneDigests, PaneUpdate};
use crate::route::group_of;
use crate::source::wall_clock_ms;
use crate::spec::{BoardSpec, WindowSpec};
use crest_connectors::snapshot::{Item, Snapshot};
use crest_sketches::{Digest, Ranking, WindowSum};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// Rows that the nodes of one window hold together, as long as each keeps `rows_kept`: short windows keep more
/// of each pane.
const WINDOW_ROWS: usize = 1_500_000;
/// Ends of an empty window of a live stream that are skipped at once when time has jumped beyond them.
const LONG_GAP: u64 = 1000;

/// Builds the windows of the boards that this worker aggregates.
pub fn slide_windows(panes: Stream<'_, u64, Vec<PaneUpdate>>, job: &Job, worker: usize) {
    let aggregators = job.workers_per_process;
    let mine =
        (0..job.spec.boards.len()).filter(|board| worker < aggregators && board % aggregators == worker);
    let mut boards: BTreeMap<u32, BoardWindows> =
        mine.map(|b| (b as u32, BoardWindows::new(job, b))).collect();
    panes.sink(Pipeline, "Windows", move |(input, frontier)| {
        input.for_each(|_, updates| {
            for update in updates.drain(..) {
                match update {
                    PaneUpdate::Closed(board, pane) => {
                        boards.entry(board).and_modify(|windows| windows.closed(pane));
                    }
                    PaneUpdate::Open(board, panes) => {
                        boards.entry(board).and_modify(|windows| windows.open(panes));
                    }
                    PaneUpdate::Halted => boards.clear(),
                }
            }
        });
        let passed = frontier.frontier().first().copied();
        for windows in boards.values_mut() {
            windows.advance(passed);
        }
    });
}

/// The windows of one board.
struct BoardWindows {
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
    finished: bool,
}

/// A window's measures, in panes.
struct Span {
    spec: WindowSpec,
    size: u64,
    slide: u64,
    /// The width of a node: the greatest span that both the size and the slide are multiples of.
    node: u64,
    node_rows: usize,
    /// Whether its finals are kept as buckets, each under its own time: so are those of a board's shortest
    /// tumbling window (two windows' buckets would share their names).
    buckets: bool,
    /// The next end of the window (the first pane after it); none before the first event.
    next_end: Option<Pane>,
}

struct Group {
    values: Arc<BTreeMap<String, String>>,
    windows: Vec<GroupWindow>,
}

/// One window of one group.
#[derive(Default)]
struct GroupWindow {
    sum: WindowSum,
    /// Closed panes of the node that is not complete.
    pending: Vec<(Pane, Rc<Digest>)>,
    /// The ranks in the previous final snapshot.
    ranks: HashMap<Arc<str>, u32>,
    /// Whether a snapshot is due at the next end: it holds events, or did at the previous end.
    live: bool,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Span {
    fn new(spec: &WindowSpec, clock: &Clock, rows_kept: usize, pane_rows: usize) -> Self {
        let (size, slide) = (clock.panes(spec.size), clock.panes(spec.slide));
        let node = gcd(size, slide);
        let nodes = (size / node) as usize;
        let node_rows = (WINDOW_ROWS / nodes).clamp(rows_kept, pane_rows);
        Span { spec: spec.clone(), size, slide, node, node_rows, buckets: false, next_end: None }
    }

    /// The first end of the window at or after `pane`.
    fn end_from(&self, pane: Pane) -> Pane {
        pane.next_multiple_of(self.slide)
    }
}

impl GroupWindow {
    fn add(&mut self, pane: Pane, digest: &Rc<Digest>, span: &Span) {
        if self.pending.first().is_some_and(|(first, _)| first / span.node != pane / span.node) {
            self.complete(span);
        }
        self.pending.push((pane, digest.clone()));
        self.live = true;
    }

    /// Rolls the pending panes up into their node.
    fn complete(&mut self, span: &Span) {
        let Some((first, _)) = self.pending.first() else { return };
        let node = first / span.node;
        let digest = Digest::merge(self.pending.iter().map(|(_, digest)| digest.as_ref()));
        self.sum.push(node, &digest.cut(span.node_rows));
        self.pending.clear();
    }

    /// Slides to the window that ends at `end`.
    fn slide_to(&mut self, end: Pane, span: &Span) {
        self.complete(span);
        self.sum.expire(end.saturating_sub(span.size) / span.node);
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.sum.is_empty()
    }
}

impl Group {
    fn new(text: &str, windows: usize) -> Self {
        let values = Arc::new(group_of(text));
        Group { values, windows: (0..windows).map(|_| GroupWindow::default()).collect() }
    }
}

impl BoardWindows {
    fn new(job: &Job, board: usize) -> Self {
        let spec = &job.spec;
        let bounded = job.source.bounded();
        let clock = Clock::new(&spec.time, bounded);
        let (rows_kept, pane_rows) = (spec.sketch.rows_kept, spec.sketch.pane_rows());
        let board = Arc::new(spec.boards[board].clone());
        let span = |window| Span::new(window, &clock, rows_kept, pane_rows);
        let mut windows: Vec<Span> = board.windows.iter().map(span).collect();
        let tumbling = windows.iter_mut().filter(|span| span.slide == span.size);
        if let Some(shortest) = tumbling.min_by_key(|span| span.size) {
            shortest.buckets = true;
        }
        let groups = BTreeMap::from([(String::new(), Group::new("", windows.len()))]);
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
            frontier: None,
            finished: false,
        }
    }

    fn closed(&mut self, pane: PaneDigests) {
        self.waiting.insert(pane.pane, pane);
    }

    fn open(&mut self, panes: Vec<Rc<PaneDigests>>) {
        self.shown = Some(panes);
    }

    /// Time has passed up to `frontier`; to the end of all when it is `None`.
    fn advance(&mut self, frontier: Option<Pane>) {
        if self.finished || (frontier == self.frontier && self.shown.is_none()) {
            return;
        }
        let started = Instant::now();
        let passed = frontier.unwrap_or(Pane::MAX);
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() >= passed {
                break;
            }
            let pane = entry.remove();
            self.publish_finals(pane.pane);
            self.add(pane);
        }
        let bound = self.last.map_or(0, |last| last + 1);
        match frontier {
            None if self.bounded => self.publish_partly_filled(bound),
            None => {}
            Some(passed) => self.publish_finals(passed),
        }
        self.frontier = frontier;
        self.finished = frontier.is_none();
        let complete = frontier.map_or(i64::MAX, |pane| self.clock.start(pane));
        self.job.sink.finals_complete(&self.board.name, complete);
        if let Some(panes) = self.shown.take() {
            self.publish_provisionals(&panes);
        }
        self.note(complete, started);
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
            for (window, span) in group.windows.iter_mut().zip(&self.windows) {
                window.add(pane.pane, &digest, span);
            }
        }
    }

    /// Publishes every window that ends at or before `pane`, in the order of their ends.
    fn publish_finals(&mut self, pane: Pane) {
        while let Some(window) = self.next_window(|_, end| end <= pane) {
            let end = self.windows[window].next_end.unwrap_or_default();
            self.publish_end(window, end);
            self.skip_gap(window, pane);
        }
    }

    /// At the end of a bounded run: each window up to its first end at or after `bound`.
    fn publish_partly_filled(&mut self, bound: Pane) {
        while let Some(window) = self.next_window(|span, end| end <= span.end_from(bound)) {
            let end = self.windows[window].next_end.unwrap_or_default();
            self.publish_end(window, end);
        }
    }

    /// The window whose next end is the earliest among those that are due.
    fn next_window(&self, due: impl Fn(&Span, Pane) -> bool) -> Option<usize> {
        let ends = self.windows.iter().enumerate().filter_map(|(index, span)| {
            let end = span.next_end?;
            due(span, end).then_some((end, index))
        });
        ends.min().map(|(_, index)| index)
    }

    fn publish_end(&mut self, window: usize, end: Pane) {
        let span = &mut self.windows[window];
        span.next_end = Some(end + span.slide);
        let span = &self.windows[window];
        let mut groups = std::mem::take(&mut self.groups);
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
            self.job.sink.publish(&Arc::new(snapshot));
        }
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
    /// panes hold.
    fn publish_provisionals(&mut self, panes: &[Rc<PaneDigests>]) {
        let passed = self.frontier.unwrap_or(Pane::MAX);
        let open: Vec<_> = panes.iter().filter(|pane| pane.pane >= passed).collect();
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

/// Makes the snapshots of one window at one end.
struct Publisher<'a> {
    job: &'a Job,
    board: &'a BoardSpec,
    clock: &'a Clock,
    span: &'a Span,
    end: Pane,
}

impl Publisher<'_> {
    fn snapshot(
        &self,
        group: &Arc<BTreeMap<String, String>>,
        ranking: Ranking,
        before: &HashMap<Arc<str>, u32>,
        watermark: i64,
        is_final: bool,
    ) -> Snapshot {
        if is_final {
            self.job.view.update_board(&self.board.name, |counts| counts.finals += 1);
        }
        let item = |(index, row): (usize, crest_sketches::RankedRow)| {
            let rank = index as u32 + 1;
            let item_id: Arc<str> = String::from_utf8_lossy(&row.key).into();
            let change = before.get(&item_id).map(|before| *before as i32 - rank as i32);
            let (lower, upper) = (row.lower, row.upper);
            Item { rank, item_id, count: upper, lower, upper, exact: lower == upper, change }
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
            error: ranking.error,
            error_floor: ranking.floor,
            guaranteed: ranking.guaranteed as u32,
            items: ranking.rows.into_iter().enumerate().map(item).collect(),
            k: self.board.k as u32,
            epoch: self.job.epoch,
            bucket: self.span.buckets,
        }
    }
}
