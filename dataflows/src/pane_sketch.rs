//! The pane sketches: count each pane of each partition, and ship the worker's share of each pane.
//!
//! **In**: batches of events, grouped by sketch. **Out**: at each refresh an extract of every open pane that changed,
//! which replaces the one before; at the close of a pane the uncut merge of its partitions. **Always holds**:
//! a sketch belongs to one partition, pane, board and group, and sees its events in the order of the log, so it is a
//! function of the log. The sketch of an exact board counts every item and is never cut. The late pane has only the boards
//! with a window of the whole input, and is never shown while it is open. **Costs**: one
//! sketch update for each event and group; one merge for each pane.

use crate::control::Alarm;
use crate::event_batch::{EventBatch, News, SketchBatch};
use crate::frame::Frames;
use crate::job::Job;
use crate::late_pane::{LATE, PaneSpan};
use crate::local::Local;
use crate::share::{GroupShare, Kind, PaneShare, Sketch};
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use crest_sketches::{Merged, PaneSketch, Shape, ShapeError};
use crest_state::pane::Pane;
use crest_state::spec::JobSpec;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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

/// One board's sketches of one pane of one partition.
#[derive(Default)]
struct BoardPane {
    whole: Option<PaneSketch>,
    groups: HashMap<String, Option<PaneSketch>>,
    /// Weight of the events of groups beyond the board's `max_groups`. The groups that come first in the log are kept,
    /// since any other choice would depend on other partitions.
    refused: u64,
    /// In the late pane, the panes of its events.
    late: Option<PaneSpan>,
}

impl OpenPanes {
    fn new(job: &Job, local: &Local) -> Result<Self, ShapeError> {
        let (spec, local) = (job.spec.clone(), local.clone());
        // Only process 0 has the sink that publishes, and so only it can know whether provisionals are wanted.
        let shows = local.workers > job.workers_per_process || job.sink.shows_provisionals();
        let (shapes, not_before) = (spec.shapes()?, vec![clock::now(); spec.boards.len()]);
        let (panes, ended, halted) = (BTreeMap::new(), None, false);
        Ok(OpenPanes { spec, shapes, local, panes, shows, shipped: 0, not_before, ended, halted })
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
        let spec = self.spec.clone();
        let takes =
            |part: &&SketchBatch| part.pane != LATE || spec.boards[part.board as usize].has_whole_window();
        for part in batch.by_sketch().iter().filter(takes) {
            self.open(capability, part.pane);
            self.count(&batch, part);
        }
        self.local.pool.give(batch);
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

    fn count(&mut self, batch: &EventBatch, part: &SketchBatch) {
        let Some(pane) = self.panes.get_mut(&part.pane) else { return };
        let boards = pane.partitions.entry(batch.partition).or_default();
        let board = part.board as usize;
        if boards.len() <= board {
            boards.resize_with(board + 1, BoardPane::default);
        }
        let limit = self.spec.boards[board].max_groups;
        boards[board].late = part.late.map(|span| span.with(boards[board].late)).or(boards[board].late);
        let Some((sketch, before)) = boards[board].sketch(part, &self.shapes[board], limit) else {
            let refused = &self.local.groups_refused;
            refused.set(refused.get() + part.len() as u64);
            return;
        };
        sketch.update(batch.events(part));
        pane.sketches += u64::from(before == 0);
        pane.bytes += (sketch.bytes() as u64).saturating_sub(before);
        pane.changed[board] = part.pane != LATE;
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
            let (pane, open) = entry.remove_entry();
            for board in 0..self.spec.boards.len() {
                self.ship(pane, &open, board, Kind::Closed, ship);
            }
            if self.spec.boards.iter().any(|board| !board.engine.is_sketch()) {
                self.local.closed.borrow_mut().push_back((pane, open.bytes));
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
        PaneShare { worker, board, pane, kind, refused: 0, late: None, groups: Vec::new() }
    }

    fn ship(
        &self,
        pane: Pane,
        open: &OpenPane,
        board: usize,
        kind: Kind,
        ship: &mut impl FnMut(&Capability<u64>, PaneShare),
    ) {
        let parts: Vec<&BoardPane> =
            open.partitions.values().filter_map(|boards| boards.get(board)).collect();
        if parts.iter().all(|part| part.whole.is_none()) {
            return;
        }
        let mut share = self.share(board, pane, kind);
        share.refused = parts.iter().map(|part| part.refused).sum();
        share.late = parts.iter().fold(None, |all, part| part.late.map(|span| span.with(all)).or(all));
        let groups: BTreeSet<&str> =
            parts.iter().flat_map(|part| part.groups.keys().map(String::as_str)).collect();
        share.groups = std::iter::once("")
            .chain(groups)
            .map(|group| self.group_share(&parts, board, group, kind))
            .collect();
        ship(&open.capability, share);
    }

    /// Merges one group over the worker's partitions.
    fn group_share(&self, parts: &[&BoardPane], board: usize, group: &str, kind: Kind) -> GroupShare {
        let mut merged = Merged::new(&self.shapes[board]);
        for part in parts {
            let sketch = if group.is_empty() { &part.whole } else { part.groups.get(group).unwrap_or(&None) };
            match sketch {
                Some(sketch) => merged.add(sketch),
                None if group.is_empty() => {}
                None => merged.add_unseen(part.refused),
            }
        }
        let sketch = match kind {
            Kind::Extract if self.shapes[board].kind() == crest_sketches::Kind::Exact => {
                Sketch::Digest(merged.cut(usize::MAX))
            }
            Kind::Extract => Sketch::Digest(merged.cut(self.spec.sketch.rows_kept)),
            _ => Sketch::Merged(Box::new(merged)),
        };
        GroupShare { group: group.to_owned(), sketch }
    }
}

impl BoardPane {
    /// The sketch that counts these events, and its size in bytes (0 when it is new). `None` when their group is one too
    /// many; their weight is then added to `refused`.
    fn sketch(&mut self, part: &SketchBatch, shape: &Shape, limit: usize) -> Option<(&mut PaneSketch, u64)> {
        let slot = if part.group.is_empty() {
            &mut self.whole
        } else if self.groups.len() < limit || self.groups.contains_key(&part.group) {
            self.groups.entry(part.group.clone()).or_default()
        } else {
            self.refused += part.weight();
            return None;
        };
        let before = slot.as_ref().map_or(0, |sketch| sketch.bytes() as u64);
        Some((slot.get_or_insert_with(|| PaneSketch::new(shape)), before))
    }
}
