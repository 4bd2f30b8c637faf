//! The merge: brings the shares of all workers together, pane by pane, on the one worker that aggregates the
//! board.
//!
//! **In**: shares of panes, exchanged by board. **Out**: shortly after extracts arrive, the current digests of all open
//! panes; when the frontier has passed a pane, its final digest.
//! **Always holds**: all partitions of a pane are merged before the one cut, by sums that do not depend on their order,
//! so a closed digest is a function of the log, for any number of workers. **Costs**: per pane, for each
//! row shipped at most as many row operations as the number of shares has binary digits; nothing per event.

use crate::admission::{Admission, Places};
use crate::closed_group::ClosedGroup;
use crate::control::Alarm;
use crate::event_time::Clock;
use crate::extracts::Extracts;
use crate::frame::{FrameError, Frames};
use crate::job::Job;
use crate::late_pane::{LATE, PaneSpan};
use crate::local::Local;
use crate::share::{Kind, PaneShare, Uncut};
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_sketches::{Digest, Shape, ShapeError};
use crest_state::pane::{Pane, PaneDigests};
use crest_state::removed::RemovedIn;
use crest_state::rest::{leave_out, weight_of};
use crest_state::spec::{BoardSpec, JobSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeToInclusive};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

/// How long the merge waits after the first extract of a refresh, so that the extracts of all workers are in it.
const GATHER: Duration = Duration::from_millis(20);
/// The pause before the merge checks again whether it is known which groups have a place.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the merge reports, and the persist stage passes on to the windows. The `u32` is the board's place in the spec.
#[derive(Clone, Debug)]
pub enum PaneUpdate {
    /// A pane that never changes again. The closed panes of a board come in order.
    Closed(u32, PaneDigests),
    /// The [late pane](crate::late_pane), and the panes of its events.
    Late(u32, PaneDigests, Option<PaneSpan>),
    /// All open panes of the board as they are now, in order. It replaces the board's previous one. Behind the persist
    /// stage, the closed ones that are not durable yet come first.
    Open(u32, Vec<Rc<PaneDigests>>),
    /// The groups of a pane just closed that got no place, where an earlier run may have shown them while it was open.
    Dropped(u32, Vec<GroupKey>),
    /// A region is missing from these panes of a board.
    Missing(u32, Arc<str>, Range<Pane>),
    /// A worker's partitions have ended, and this is the last pane in which they have an event, whether this board takes it
    /// or not. It comes before the frontier ends.
    Ended(u32, Pane),
    /// The job was stopped: open panes stay incomplete, and nothing more is final.
    Halted,
}

/// Builds the merge of the boards that this worker aggregates.
///
/// # Errors
/// The sketch's sizes are out of range.
pub(crate) fn merge_panes<'scope>(
    shares: Stream<'scope, u64, Frames<PaneShare>>,
    job: &Job,
    local: &Local,
    places: Places,
) -> Result<Stream<'scope, u64, Vec<PaneUpdate>>, ShapeError> {
    let scope = shares.scope();
    let aggregators = job.workers_per_process as u64;
    let pact = Frames::exchange(move |share: &PaneShare| u64::from(share.board) % aggregators);
    let mut merge = Merge::new(job, local, places)?;
    Ok(shares.unary_frontier::<CapacityContainerBuilder<Vec<PaneUpdate>>, _, _, _>(
        pact,
        "Merge",
        |_, info| {
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            move |(input, frontier), output| {
                input.for_each(|capability, shares| {
                    let Some(capability) = capability.retain_least(0) else { return };
                    for share in timely::container::DrainContainer::drain(shares) {
                        merge.receive(&capability, share);
                    }
                });
                let mut give = |capability: &Capability<u64>, update| output.session(capability).give(update);
                merge.told.drain(..).for_each(|(capability, update)| give(&capability, update));
                if !merge.close(|pane| !frontier.less_equal(&pane), &mut give) {
                    alarm.after(LOOK_AGAIN);
                }
                merge.show(&mut give);
                if let Some(delay) = merge.until_show() {
                    alarm.after(delay);
                }
            }
        },
    ))
}

/// The state of the operator.
struct Merge {
    spec: Arc<JobSpec>,
    job: Job,
    local: Local,
    /// The sketch shape of each board.
    shapes: Vec<Shape>,
    boards: BTreeMap<u32, BTreeMap<Pane, OpenMerge>>,
    /// The places of the groups, of the boards that have groups.
    places: Places,
    /// The panes that an earlier run may have shown while they were open: those up to the start of this run.
    shown_before: RangeToInclusive<Pane>,
    /// The boards for which it was logged that they have too many groups.
    crowded: BTreeSet<u32>,
    /// When to show the open panes, if extracts have arrived.
    show_at: Option<Instant>,
    /// Announcements that are to be passed on at once.
    told: Vec<(Capability<u64>, PaneUpdate)>,
    halt: Option<Capability<u64>>,
    halted: bool,
}

/// A pane of a board whose shares are still arriving.
struct OpenMerge {
    capability: Capability<u64>,
    extracts: Extracts,
    closed: BTreeMap<GroupKey, ClosedGroup>,
    /// Weight that the workers counted in no group.
    refused: u64,
    /// In the late pane, the panes of its events.
    late: Option<PaneSpan>,
    /// When the first share of the closed pane came.
    closing: Option<Instant>,
}

/// The part of a closed pane that is in no group.
struct Dropped {
    /// The groups that got no place.
    groups: Vec<GroupKey>,
    weight: u64,
}

impl Merge {
    fn new(job: &Job, local: &Local, places: Places) -> Result<Self, ShapeError> {
        let clock = Clock::new(&job.spec.time, job.source.bounded());
        let ahead = job.spec.time.max_future_skew.as_millis() as i64;
        Ok(Merge {
            spec: job.spec.clone(),
            job: job.clone(),
            local: local.clone(),
            shapes: job.spec.shapes()?,
            boards: BTreeMap::new(),
            places,
            shown_before: ..=clock.pane(job.epoch as i64 + ahead),
            crowded: BTreeSet::new(),
            show_at: None,
            told: Vec::new(),
            halt: None,
            halted: false,
        })
    }

    fn receive(&mut self, capability: &Capability<u64>, share: Result<PaneShare, FrameError>) {
        if let Err(error) = share.and_then(|share| self.accept(capability, share)) {
            *self.local.failure.borrow_mut() = Some(error.into());
        }
    }

    fn accept(&mut self, capability: &Capability<u64>, share: PaneShare) -> Result<(), FrameError> {
        if share.kind == Kind::Halt {
            self.halt = Some(capability.clone());
            return Ok(());
        }
        // A worker whose source had ended before the stop ships its last shares only now. They must not hold time back.
        if self.halted {
            return Ok(());
        }
        let is_end = share.kind == Kind::End;
        if share.board as usize >= self.spec.boards.len() || (share.pane < *capability.time() && !is_end) {
            return Err(FrameError::Message(
                "a share of an unknown board, or of a pane that has passed".into(),
            ));
        }
        if is_end {
            self.told.push((capability.clone(), PaneUpdate::Ended(share.board, share.pane)));
            return Ok(());
        }
        if share.kind == Kind::Missing {
            let unknown =
                || FrameError::Message("a region is missing that is not known, or from no panes".into());
            let name =
                self.job.source.regions().and_then(|regions| regions.names().nth(share.worker as usize));
            let (name, span) = (name.ok_or_else(unknown)?.clone(), share.span.ok_or_else(unknown)?);
            let missing = PaneUpdate::Missing(share.board, name, span.first..span.last + 1);
            self.told.push((capability.clone(), missing));
            return Ok(());
        }
        let started = clock::now();
        let panes = self.boards.entry(share.board).or_default();
        // As in the pane sketches, time must not seem to be at the late pane.
        let time = if share.pane == LATE { *capability.time() } else { share.pane };
        let open = panes.entry(share.pane).or_insert_with(|| OpenMerge::new(capability.delayed(&time)));
        let board = share.board as usize;
        match share.kind {
            Kind::Extract => {
                open.extracts.take(share)?;
                self.show_at.get_or_insert(started + GATHER);
            }
            _ => {
                open.closing.get_or_insert(started);
                open.add(share, &self.shapes[board])?;
            }
        }
        self.spent(board, started);
        Ok(())
    }

    /// Passes on the closed panes, or the announcement that the job was stopped. Returns false while some closed panes
    /// wait, since it is not known yet which groups have a place.
    fn close(
        &mut self,
        closed: impl Fn(Pane) -> bool,
        give: &mut impl FnMut(&Capability<u64>, PaneUpdate),
    ) -> bool {
        let halt = self.halt.take();
        if let Some(capability) = &halt {
            give(capability, PaneUpdate::Halted);
        }
        // No source announces a stop that comes after its end, and then the windows have stopped by themselves.
        if halt.is_some() || self.places.are_lost() {
            self.halted = true;
            self.boards.clear();
        }
        if self.halted {
            return true;
        }
        let mut all = true;
        for (board, panes) in &mut self.boards {
            let spec = &self.spec.boards[*board as usize];
            let rows = self.spec.sketch.rows_of(spec);
            if !self.places.are_known(*board) {
                all = false;
                continue;
            }
            while let Some(entry) = panes.first_entry() {
                if !closed(*entry.key()) {
                    break;
                }
                let started = clock::now();
                let (pane, open) = entry.remove_entry();
                let (capability, late, closing) = (open.capability.clone(), open.late, open.closing);
                let shape = &self.shapes[*board as usize];
                let finished = open.finish(pane, (rows, shape), |groups| {
                    let removed = RemovedIn::of(groups);
                    let removed = |key: &GroupKey| removed.of_group(key).map_or(0, ClosedGroup::total);
                    let weights = groups.iter().filter(|(key, _)| key.has_values());
                    let weights = weights.map(|(key, group)| (key, group.total() + removed(key)));
                    self.places.admit(*board, pane, weights)
                });
                let fail = |error: FrameError| *self.local.failure.borrow_mut() = Some(error.into());
                let Ok((digests, dropped)) = finished.map_err(fail) else { return true };
                if dropped.weight > 0 && self.crowded.insert(*board) {
                    warn_crowded(spec);
                }
                if let Some(passages) = self.job.view.passages().filter(|_| pane != LATE) {
                    passages.merged(*board, pane, closing.unwrap_or(started), digests.groups.len());
                }
                let closed = match pane {
                    LATE => PaneUpdate::Late(*board, digests, late),
                    _ => PaneUpdate::Closed(*board, digests),
                };
                give(&capability, closed);
                if self.job.resume.is_some() && self.shown_before.contains(&pane) {
                    give(&capability, PaneUpdate::Dropped(*board, dropped.groups));
                }
                let spent = clock::since(started).as_nanos() as u64;
                self.job.view.update_board(&spec.name, |counts| {
                    counts.panes += 1;
                    counts.refused_weight += dropped.weight;
                    counts.merge_ns += spent;
                });
            }
        }
        all
    }

    /// Passes on the open panes as they are now, a moment after extracts arrived.
    fn show(&mut self, give: &mut impl FnMut(&Capability<u64>, PaneUpdate)) {
        if self.show_at.is_none_or(|at| at > clock::now()) {
            return;
        }
        self.show_at = None;
        let boards: Vec<u32> = self.boards.keys().copied().collect();
        for board in boards {
            let started = clock::now();
            let Some(panes) = self.boards.get_mut(&board) else { continue };
            let mut views: Vec<Rc<PaneDigests>> =
                panes.iter_mut().filter_map(|(pane, open)| open.extracts.view(*pane)).collect();
            if let Some(mut places) = self.places.trial(board, groups_of(&views)) {
                views = views.iter().map(|view| as_if_closed(view, &mut places)).collect();
            }
            if let Some(first) = panes.values().next() {
                give(&first.capability, PaneUpdate::Open(board, views));
            }
            self.spent(board as usize, started);
        }
    }

    fn until_show(&self) -> Option<Duration> {
        self.show_at.map(|at| at.saturating_duration_since(clock::now()).max(Duration::from_millis(1)))
    }

    fn spent(&self, board: usize, started: Instant) {
        let spent = clock::since(started).as_nanos() as u64;
        self.job.view.update_board(&self.spec.boards[board].name, |counts| counts.merge_ns += spent);
    }
}

impl OpenMerge {
    fn new(capability: Capability<u64>) -> Self {
        OpenMerge {
            capability,
            extracts: Extracts::default(),
            closed: BTreeMap::new(),
            refused: 0,
            late: None,
            closing: None,
        }
    }

    /// Adds a worker's share of the closed pane.
    fn add(&mut self, share: PaneShare, shape: &Shape) -> Result<(), FrameError> {
        self.refused += share.refused;
        self.late = share.span.map(|span| span.with(self.late)).or(self.late);
        let settled = share.refused;
        if self.closed.is_empty() {
            let groups = share.groups.into_iter();
            let closed = groups.map(|group| {
                let uncut = group.sketch.into_uncut(shape)?;
                Ok((group.group, ClosedGroup::new(uncut, settled)))
            });
            // They come in order, which a tree is built of at once.
            self.closed = closed.collect::<Result<_, FrameError>>()?;
            return Ok(());
        }
        for group in share.groups {
            let uncut = group.sketch.into_uncut(shape)?;
            let closed = match self.closed.remove(&group.group) {
                Some(before) => before.and(uncut, settled, shape)?,
                None => ClosedGroup::new(uncut, settled),
            };
            self.closed.insert(group.group, closed);
        }
        Ok(())
    }

    /// Cuts the merged groups, once, without those that `admit` returns. Also returns what is then in no group.
    ///
    /// # Errors
    /// Shares do not fit together.
    fn finish(
        mut self,
        pane: Pane,
        (rows, shape): (usize, &Shape),
        admit: impl FnOnce(&BTreeMap<GroupKey, ClosedGroup>) -> Vec<GroupKey>,
    ) -> Result<(PaneDigests, Dropped), FrameError> {
        let (refused, mut most) = (self.refused, 0);
        let mut dropped = Dropped { groups: admit(&self.closed), weight: refused };
        let retracts = RemovedIn::of(&self.closed).is_some();
        for group in &dropped.groups {
            let removed = retracts.then(|| self.closed.remove(&group.removed())).flatten();
            let both = self.closed.remove(group).into_iter().chain(removed);
            let total: u64 = both.map(|group| group.total()).sum();
            most = most.max(total);
            dropped.weight += total;
        }
        if retracts && refused > 0 {
            self.settle_removed();
        }
        let cut = |(group, closed): (GroupKey, ClosedGroup)| {
            let is_whole = group.is_whole() || group == GroupKey::REMOVED_OF_WHOLE;
            let unseen = if is_whole { 0 } else { refused - closed.settled };
            Ok((group, Rc::new(closed.union(shape)?.cut(rows, unseen, shape))))
        };
        let mut groups: BTreeMap<_, _> =
            self.closed.into_iter().map(cut).collect::<Result<_, FrameError>>()?;
        if refused + most > 0 {
            groups.insert(GroupKey::REST, Rc::new(Digest::unseen(refused + most)));
        }
        Ok((PaneDigests { pane, groups }, dropped))
    }

    /// Of a group, what was removed is known where what was counted is: a worker that has the group has told of both. Of what
    /// the others have refused, any may be of either.
    fn settle_removed(&mut self) {
        let groups = self.closed.iter().filter(|(group, _)| group.has_values());
        let settled: Vec<_> = groups.map(|(group, closed)| (group.removed(), closed.settled)).collect();
        for (removed, settled) in settled {
            if settled < self.refused {
                let nothing = || ClosedGroup::new(Uncut::Few(Digest::default()), 0);
                self.closed.entry(removed).or_insert_with(nothing).settled = settled;
            } else if let Some(removed) = self.closed.get_mut(&removed) {
                removed.settled = settled;
            }
        }
    }
}

fn warn_crowded(board: &BoardSpec) {
    let (board, max_groups) = (&*board.name, board.max_groups);
    tracing::warn!(
        board,
        max_groups,
        "the board has more groups than max_groups: the others count in the whole only"
    );
}

/// The groups in open panes, the whole board aside.
fn groups_of(panes: &[Rc<PaneDigests>]) -> impl Iterator<Item = &GroupKey> {
    panes.iter().flat_map(|pane| pane.groups.keys()).filter(|group| group.has_values())
}

/// The open pane as it would be if it were closed now.
fn as_if_closed(pane: &Rc<PaneDigests>, places: &mut Admission) -> Rc<PaneDigests> {
    let removed = RemovedIn::of(&pane.groups);
    let groups = pane.groups.iter().filter(|(group, _)| group.has_values());
    let weights = groups.map(|(group, digest)| (group, weight_of(digest, removed.of_group(group))));
    let dropped = places.admit(pane.pane, weights);
    if dropped.is_empty() {
        return pane.clone();
    }
    let mut groups = pane.groups.clone();
    leave_out(&mut groups, &dropped);
    Rc::new(PaneDigests { pane: pane.pane, groups })
}
