//! The pane sketches: count each pane of each partition, and ship the worker's share of each pane.
//!
//! **In**: batches of events, grouped by the sketches that count them. **Out**: at each refresh an extract of the groups that
//! changed in each open pane, which replaces what the one before had of them; at the close of a pane the uncut merge of its
//! partitions. **Always holds**: a sketch belongs to one partition, pane, board and group, and sees its events in the order
//! of the log, so it is a function of the log. Boards that select alike share the one of the whole board. The sketch of an
//! exact board counts every item and is never cut. The late pane has only the boards with a window of the whole input, and
//! is never shown while it is open. **Costs**: one sketch update for each event and group, and one for all whole boards that
//! select alike; one merge for each pane; for each refresh, what has changed.

use crate::board_pane::{BoardPane, of_group, removed_of_group, shared_bytes, whole_of};
use crate::control::Alarm;
use crate::event_batch::{EventBatch, News, SketchBatch};
use crate::frame::Frames;
use crate::group_names::in_order;
use crate::group_runs::GroupRuns;
use crate::job::Job;
use crate::late_pane::LATE;
use crate::local::Local;
use crate::share::{GroupShare, Kind, PaneShare, Sketch, Uncut};
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use crest_sketches::{Digest, GroupCounts, Shape, ShapeError};
use crest_state::pane::Pane;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Capability, InputCapability};

/// Builds the pane sketches of one worker.
///
/// # Errors
/// The sketch's sizes are out of range.
pub fn pane_sketches<'scope>(
    events: Stream<'scope, u64, Vec<EventBatch>>,
    job: &Job,
    local: &Local,
) -> Result<Stream<'scope, u64, Frames<PaneShare>>, ShapeError> {
    let scope = events.scope();
    let mut panes = OpenPanes::new(job, local)?;
    Ok(events.unary_frontier::<CapacityContainerBuilder<Frames<PaneShare>>, _, _, _>(
        Pipeline,
        "PaneSketch",
        |_, info| {
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            move |(input, frontier), output| {
                input.for_each(|capability, batches| {
                    for batch in batches.drain(..) {
                        panes.take(&capability, batch);
                    }
                });
                panes.follow(frontier.frontier().first());
                let mut ship = |capability: &Capability<u64>, share| output.session(capability).give(share);
                panes.end(&mut ship);
                panes.halt(&mut ship);
                panes.close(|pane| !frontier.less_equal(&pane), &mut ship);
                panes.refresh(&mut ship);
                if let Some(delay) = panes.until_refresh() {
                    alarm.after(delay);
                }
            }
        },
    ))
}

/// The state of the operator.
struct OpenPanes {
    spec: Arc<JobSpec>,
    /// For each board, the first pane that it counts.
    since: Vec<Pane>,
    /// The sketch shape of each board.
    shapes: Vec<Shape>,
    local: Local,
    panes: BTreeMap<Pane, OpenPane>,
    /// Whether provisional snapshots are wanted.
    shows: bool,
    /// The number of the refresh interval, by the wall clock, in which extracts were shipped last.
    shipped: i64,
    /// For each board, when it may ship an extract again.
    not_before: Vec<Instant>,
    /// Of the part that is being counted.
    runs: GroupRuns,
    /// The last pane with an event, once the worker's partitions have ended.
    ended: Option<(Capability<u64>, Pane)>,
    halted: bool,
}

struct OpenPane {
    capability: Capability<u64>,
    partitions: BTreeMap<u64, Vec<BoardPane>>,
    bytes: u64,
    sketches: u64,
    /// For each board, whether it has counted an event since its last extract.
    changed: Vec<bool>,
}

impl OpenPanes {
    fn new(job: &Job, local: &Local) -> Result<Self, ShapeError> {
        let (spec, local) = (job.spec.clone(), local.clone());
        // Only process 0 has the sink that publishes, and so only it can know whether provisionals are wanted.
        let shows = local.workers > job.workers_per_process || job.sink.shows_provisionals();
        let (shapes, not_before) = (spec.shapes()?, vec![clock::now(); spec.boards.len()]);
        let (panes, ended, halted) = (BTreeMap::new(), None, false);
        let since = job.resume.as_ref().map_or(Vec::new(), |resume| resume.since.clone());
        let (shipped, runs) = (0, GroupRuns::default());
        Ok(OpenPanes { spec, since, shapes, local, panes, shows, shipped, not_before, runs, ended, halted })
    }

    fn take(&mut self, capability: &InputCapability<u64>, batch: EventBatch) {
        // A worker without an open pane passes the news on too, with the capability of the message.
        let time = capability.least().copied().unwrap_or(0);
        match batch.news {
            Some(News::Halt) => {
                self.halted = true;
                return self.open(capability, time);
            }
            Some(News::End(last)) => {
                self.ended = Some((capability.delayed(&time, 0), last));
                return;
            }
            None => {}
        }
        for part in batch.parts() {
            if let Some(groups) = part.groups() {
                self.runs.put(&batch, part, groups);
            }
            for board in part.feed.boards.iter().map(|board| *board as usize) {
                if self.counts(board, part.pane) {
                    self.open(capability, part.pane);
                    self.count(&batch, part, board);
                }
            }
        }
        self.local.pool.give(batch);
    }

    /// Whether a board counts events of a pane.
    fn counts(&self, board: usize, pane: Pane) -> bool {
        match pane {
            LATE => self.spec.boards[board].has_whole_window(),
            pane => self.since.get(board).is_none_or(|since| *since <= pane),
        }
    }

    fn open(&mut self, capability: &InputCapability<u64>, pane: Pane) {
        // What the late pane holds must not show as a frontier that has passed all others.
        let time = if pane == LATE { capability.least().copied().unwrap_or(0) } else { pane };
        self.panes.entry(pane).or_insert_with(|| OpenPane {
            capability: capability.delayed(&time, 0),
            partitions: BTreeMap::new(),
            bytes: 0,
            sketches: 0,
            changed: vec![false; self.spec.boards.len()],
        });
    }

    /// Lets the late pane hold no time back before the end.
    fn follow(&mut self, frontier: Option<&Pane>) {
        if let (Some(late), Some(pane)) = (self.panes.get_mut(&LATE), frontier) {
            // What is known of other workers may be older than the capability.
            let _ = late.capability.try_downgrade(pane);
        }
    }

    /// Counts a part of a batch for one of its boards.
    fn count(&mut self, batch: &EventBatch, part: &SketchBatch, board: usize) {
        let counted_by = self.counted_by(part, board);
        let Some(pane) = self.panes.get_mut(&part.pane) else { return };
        let boards = pane.partitions.entry(batch.partition).or_default();
        if boards.len() <= board {
            let shapes = self.shapes[boards.len()..=board].iter();
            boards.extend(shapes.map(|shape| BoardPane::new(shape, self.local.pool.key())));
        }
        let (shape, limit) = (&self.shapes[board], self.spec.boards[board].max_groups);
        let board_pane = &mut boards[board];
        board_pane.late = part.late.map(|span| span.with(board_pane.late)).or(board_pane.late);
        if counted_by != board {
            board_pane.share(counted_by);
            pane.changed[board] = part.pane != LATE;
            return;
        }
        let grown = board_pane.count((batch, part), shape, limit, &self.runs);
        let refused = &self.local.groups_refused;
        refused.set(refused.get() + grown.refused);
        pane.sketches += grown.sketches;
        pane.bytes += grown.bytes;
        if grown.refused < part.len() as u64 {
            pane.changed[board] = part.pane != LATE;
        }
    }

    /// The board whose sketch counts a part for this one: of the whole boards that select alike, the first of the same shape.
    fn counted_by(&self, part: &SketchBatch, board: usize) -> usize {
        let shares = |board: usize| part.groups().is_none() && !self.spec.boards[board].retracts();
        let is_alike = |other: usize| {
            shares(other) && self.counts(other, part.pane) && self.shapes[other] == self.shapes[board]
        };
        let mut before =
            part.feed.boards.iter().map(|other| *other as usize).take_while(|other| *other < board);
        if shares(board) { before.find(|other| is_alike(*other)).unwrap_or(board) } else { board }
    }

    /// Announces to the merge what the last pane with an event is.
    fn end(&mut self, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) {
        let Some((capability, last)) = self.ended.take() else { return };
        for board in 0..self.spec.boards.len() {
            ship(&capability, self.share(board, last, Kind::End));
        }
    }

    /// Announces to the merge that the worker was stopped, so that no open pane is complete.
    fn halt(&mut self, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) {
        if !self.halted {
            return;
        }
        let panes = std::mem::take(&mut self.panes);
        if let Some((pane, first)) = panes.first_key_value() {
            for board in 0..self.spec.boards.len() {
                ship(&first.capability, self.share(board, *pane, Kind::Halt));
            }
        }
    }

    /// Ships the panes that are closed.
    fn close(&mut self, closed: impl Fn(Pane) -> bool, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) {
        while let Some(entry) = self.panes.first_entry() {
            if !closed(*entry.key()) {
                break;
            }
            let (pane, mut open) = entry.remove_entry();
            for board in 0..self.spec.boards.len() {
                self.ship(pane, &mut open, board, Kind::Closed, ship);
            }
            if self.spec.boards.iter().any(|board| !board.engine.is_sketch()) {
                // What is shipped of a board is its own, from here to its windows.
                let shared = open.partitions.values().map(|boards| shared_bytes(boards)).sum::<u64>();
                self.local.closed.borrow_mut().push_back((pane, open.bytes + shared));
            }
        }
        let totals =
            self.panes.values().fold((0, 0), |(bytes, n), pane| (bytes + pane.bytes, n + pane.sketches));
        self.local.open.set(totals);
        self.local.late.set(self.panes.get(&LATE).map_or(0, |pane| pane.bytes));
    }

    /// Ships an extract of each open pane that changed, when a refresh is due. The extract of an exact board has every
    /// item, so such a board then pauses: extracts take a quarter of the time at most.
    fn refresh(&mut self, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) {
        let interval = wall_clock_ms() / self.interval();
        if interval == self.shipped || !self.shows {
            return;
        }
        self.shipped = interval;
        let mut panes = std::mem::take(&mut self.panes);
        for board in 0..self.spec.boards.len() {
            let started = clock::now();
            if started < self.not_before[board] {
                continue;
            }
            for (pane, open) in panes.iter_mut().filter(|(_, open)| open.changed[board]) {
                open.changed[board] = false;
                self.ship(*pane, open, board, Kind::Extract, ship);
            }
            if !self.spec.boards[board].engine.is_sketch() {
                self.not_before[board] = clock::now() + 3 * clock::since(started);
            }
        }
        self.panes = panes;
    }

    fn interval(&self) -> i64 {
        self.spec.time.refresh.as_millis().max(1) as i64
    }

    /// The time until the next refresh, if anything is to be shipped then.
    fn until_refresh(&self) -> Option<Duration> {
        let now = wall_clock_ms();
        let next = (now / self.interval() + 1) * self.interval();
        let wait = Duration::from_millis((next - now).max(1) as u64);
        let changed = self.panes.values().any(|open| open.changed.contains(&true));
        (self.shows && changed).then_some(wait)
    }

    fn share(&self, board: usize, pane: Pane, kind: Kind) -> PaneShare {
        let (worker, board) = (self.local.worker as u32, board as u32);
        PaneShare { worker, board, pane, kind, refused: 0, span: None, groups: Vec::new() }
    }

    fn ship(
        &self,
        pane: Pane,
        open: &mut OpenPane,
        board: usize,
        kind: Kind,
        ship: &mut impl FnMut(&Capability<u64>, PaneShare),
    ) {
        if open.partitions.values().all(|boards| whole_of(boards, board).is_none()) {
            return;
        }
        let mut parts: Vec<&mut BoardPane> =
            open.partitions.values_mut().filter_map(|boards| boards.get_mut(board)).collect();
        let mut share = self.share(board, pane, kind);
        share.refused = parts.iter().map(|part| part.refused).sum();
        share.span = parts.iter().fold(None, |all, part| part.late.map(|span| span.with(all)).or(all));
        // A group that a partition lacks may have what the partition refused.
        let all = kind != Kind::Extract || parts.iter().any(|part| part.refused != part.told_refused);
        let changed: Vec<Vec<u32>> = parts.iter_mut().map(|part| part.take_changed(all)).collect();
        let parts: Vec<&BoardPane> =
            open.partitions.values().filter_map(|boards| boards.get(board)).collect();
        let wholes = open.partitions.values().filter_map(|boards| whole_of(boards, board));
        let whole = wholes.map(GroupCounts::Sketch).collect();
        let whole = self.joined(board, whole, 0);
        share.groups = vec![self.group_share(board, GroupKey::WHOLE, whole, kind)];
        let removed: Vec<_> = parts.iter().filter_map(|part| part.removed.as_ref()).collect();
        let retracts = !removed.is_empty();
        if retracts {
            let whole = self.joined(board, removed.iter().map(|removed| removed.of_whole()).collect(), 0);
            share.groups.push(self.group_share(board, GroupKey::REMOVED_OF_WHOLE, whole, kind));
        }
        let of = |(part, numbers): (usize, Vec<u32>)| {
            numbers.into_iter().map(move |number| (part, number)).collect::<Vec<_>>()
        };
        let groups = changed.into_iter().enumerate().flat_map(of);
        let groups = in_order(groups.map(|(part, number)| (parts[part].names.name(number), (part, number))));
        share.groups.reserve_exact(groups.len());
        for same in groups.chunk_by(|(name, _), (other, _)| name == other) {
            let (name, (part, number)) = same[0];
            let uncut = match (parts.len(), parts[part].groups.counts(number)) {
                (1, GroupCounts::Few(digest)) => Uncut::Few(digest),
                (1, counts) => self.joined(board, vec![counts], 0),
                _ => {
                    let (counts, unseen) = of_group(&parts, name);
                    self.joined(board, counts, unseen)
                }
            };
            let key = parts[part].names.key(number);
            let removed = retracts.then(|| self.removed_of(board, &parts, name)).flatten();
            share.groups.extend(removed.map(|uncut| self.group_share(board, key.removed(), uncut, kind)));
            share.groups.push(self.group_share(board, key, uncut, kind));
        }
        ship(&open.capability, share);
    }

    /// What the worker's partitions have taken away of a group; `None` where that is nothing.
    fn removed_of(&self, board: usize, parts: &[&BoardPane], name: &str) -> Option<Uncut> {
        let (counts, unseen) = removed_of_group(parts, name);
        (unseen > 0 || !counts.is_empty()).then(|| self.joined(board, counts, unseen))
    }

    /// What the worker's partitions have counted of a group, where each item may have `unseen` weight besides.
    fn joined(&self, board: usize, counts: Vec<GroupCounts<'_>>, unseen: u64) -> Uncut {
        let is_few = |counts: &GroupCounts<'_>| matches!(counts, GroupCounts::Few(_));
        if unseen == 0 && counts.iter().all(is_few) {
            let digests: Vec<Digest> = counts.into_iter().filter_map(GroupCounts::into_few).collect();
            return Uncut::Few(Digest::merge_exact(&digests));
        }
        let mut merged = GroupCounts::union(&counts, &self.shapes[board]);
        merged.add_unseen(unseen);
        Uncut::Merged(Box::new(merged))
    }

    fn group_share(&self, board: usize, group: GroupKey, uncut: Uncut, kind: Kind) -> GroupShare {
        let shape = &self.shapes[board];
        let rows = match self.spec.boards[board].engine.is_sketch() {
            false => usize::MAX,
            true => self.spec.sketch.rows_kept,
        };
        let sketch = match (kind, uncut) {
            (Kind::Extract, uncut) => Sketch::Digest(uncut.cut(rows, 0, shape)),
            (_, Uncut::Merged(merged)) => Sketch::Merged(merged),
            (_, Uncut::Few(digest)) => Sketch::Few(digest),
            (_, Uncut::Cut(digest)) => Sketch::Cut(digest),
        };
        GroupShare { group, sketch }
    }
}
