//! The windows: slides them over the panes of a board, ranks, and publishes.
//!
//! **In**: the digests of closed and of open panes; before them, where state is kept, the digests that an earlier run has
//! stored. **Out**: snapshots, to the sink: a final one at each end of a window, once the frontier has passed that end, and
//! provisional ones of the window that holds the newest open pane; the rollups that are complete; and a frontier of its
//! own, which says up to which pane finals are published. **Always holds**: final snapshots are a function of the log;
//! after a stop none is published; a bounded run publishes only windows with events, unless the spec asks for empty ones.
//! **Costs**: for each node, which is a pane or a rollup (see [`crest_state::levels`]), its rows are added and later
//! subtracted; a ranking is a pass over the candidates; a time without events costs nothing, however long it is; and
//! rollups cost what the pyramid says. Past [`buckets`] and [`past`] windows are ranked anew from a state, without the
//! dataflow.

mod board;
pub mod buckets;
mod exact;
mod group;
mod groups;
mod in_open;
mod kind;
pub mod past;
mod past_group;
mod provisional;
mod publish;
mod rank_requests;
mod restore;
mod resume_point;
mod retire;
mod set;
mod sketched;
#[cfg(test)]
mod tests;
mod whole;
mod whole_sum;

use crate::admission::{Places, Restore};
use crate::control::Alarm;
use crate::exact::Graph;
use crate::job::Job;
use crate::merge::PaneUpdate;
use board::BoardWindows;
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::{EncodedGroups, Pane};
use crest_state::restore::RestoreFeed;
use resume_point::ResumePoint;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::Activator;

/// How long a board's windows may take before the rest of the dataflow gets its turn: a jump of time may end
/// millions of them.
const TURN: Duration = Duration::from_millis(20);
/// The pause before the operator checks again whether a full sink takes snapshots.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// The pause before the operator checks again whether the next stored block has come.
const LOOK_FOR_STORED: Duration = Duration::from_millis(1);

/// What the windows report. The `u32` is the board's place in the spec.
#[derive(Clone, Debug)]
pub(crate) enum WindowsUpdate {
    /// A block above the panes that is complete. All that end at or before a pane come before that pane is
    /// [`Published`](Self::Published).
    Rollup(u32, Block, Rc<EncodedGroups>),
    /// The final snapshots of all boards of this worker whose windows end at or before the pane went to the sink; `None`
    /// says that all did.
    Published(Option<Pane>),
}

/// Builds the windows of the boards that this worker aggregates. The frontier of the stream says up to which pane the
/// windows are published.
pub(crate) fn slide_windows<'scope>(
    panes: Stream<'scope, u64, Vec<PaneUpdate>>,
    job: &Job,
    worker: usize,
    places: Places,
    graphs: BTreeMap<usize, Graph>,
) -> Stream<'scope, u64, Vec<WindowsUpdate>> {
    let scope = panes.scope();
    let (mut boards, view) = (Boards::new(job, worker, places, graphs), job.view.clone());
    panes.unary_frontier::<CapacityContainerBuilder<Vec<WindowsUpdate>>, _, _, _>(
        Pipeline,
        "Windows",
        |capability, info| {
            boards.wake(|| scope.activator_for(info.address.clone()));
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            let mut held = Some(capability);
            move |(input, frontier), output| {
                input.for_each(|_, updates| updates.drain(..).for_each(|update| boards.take(update)));
                if view.stopping() {
                    // A sink that takes nothing, or stored blocks that do not come, must not hold up a stop, and no source
                    // announces one that comes after its own end. With a state, the next run publishes what is left.
                    boards.take(PaneUpdate::Halted);
                }
                let closed = frontier.frontier().first().copied();
                let published = boards.restore() && boards.advance(closed);
                if let Some(capability) = &held {
                    output.session(capability).give_iterator(boards.updates.drain(..));
                }
                if !published {
                    alarm.after(boards.pause());
                    if boards.has_work() {
                        alarm.now();
                    }
                } else if boards.show_later() {
                    alarm.after(LOOK_AGAIN);
                }
                match (boards.reached(closed), &mut held) {
                    (None, held) => *held = None,
                    (Some(pane), Some(capability)) if pane > *capability.time() => {
                        capability.downgrade(&pane)
                    }
                    _ => {}
                }
            }
        },
    )
}

/// The boards of one worker.
struct Boards {
    boards: BTreeMap<u32, BoardWindows>,
    job: Job,
    restoring: Option<Restoring>,
    /// What was not reported yet.
    updates: Vec<WindowsUpdate>,
    /// The pane that was reported as published last.
    published: Option<Option<Pane>>,
    /// Whether a board has work left that it could do at once, and stopped only because its turn was over.
    behind: bool,
}

/// The digests of each group, for some boards by their places in the spec.
type Parts = Vec<(u32, BTreeMap<GroupKey, Digest>)>;

/// The stored blocks of an earlier run, on their way into the windows.
struct Restoring {
    feed: RestoreFeed,
    /// The current block, and the boards that have not taken it in yet.
    block: Option<(Block, Parts)>,
    /// The places of the groups, which follow from the stored blocks.
    places: Places,
}

impl Restoring {
    /// Takes in the blocks that come before `until`, as long as the snapshots that become due may be published. Returns
    /// whether all blocks have come.
    fn take_in(&mut self, boards: &mut BTreeMap<u32, BoardWindows>, job: &Job, until: Instant) -> bool {
        while clock::now() < until && job.may_publish() {
            let Some((block, mut parts)) = self.block.take() else {
                match self.feed.try_recv() {
                    Ok(Some((block, parts))) => {
                        parts.iter().for_each(|(board, groups)| self.places.restore(*board, block, groups));
                        self.block = Some((block, parts));
                    }
                    Ok(None) => {
                        self.places.set_restore(Restore::Complete);
                        return true;
                    }
                    // A feed that breaks off is of a job that stops or fails, which ends the windows.
                    Err(_) => return false,
                }
                continue;
            };
            let Some((board, groups)) = parts.pop() else { continue };
            if let Some(windows) = boards.get_mut(&board) {
                if !windows.publish_before(block, until) {
                    parts.push((board, groups));
                    self.block = Some((block, parts));
                    return false;
                }
                windows.restore(block, groups);
            }
            self.block = Some((block, parts));
        }
        false
    }
}

impl Boards {
    fn new(job: &Job, worker: usize, places: Places, mut graphs: BTreeMap<usize, Graph>) -> Self {
        let aggregators = job.workers_per_process;
        let mine = |board: &usize| worker < aggregators && board % aggregators == worker;
        let boards = (0..job.spec.boards.len()).filter(mine);
        let mut windows =
            |board| BoardWindows::new(job, board, ResumePoint::of(job, board), graphs.remove(&board));
        let boards: BTreeMap<_, _> = boards.map(|board| (board as u32, windows(board))).collect();
        let feed = job.state.as_ref().and_then(|state| state.take_feed(worker));
        let under_way = if feed.is_some() { Restore::UnderWay } else { Restore::Complete };
        places.set_restore(under_way);
        let restoring = feed.map(|feed| Restoring { feed, block: None, places });
        let (updates, published) = (Vec::new(), None);
        Boards { boards, job: job.clone(), restoring, updates, published, behind: false }
    }

    /// The pause before the next turn.
    fn pause(&self) -> Duration {
        if self.restoring.is_some() { LOOK_FOR_STORED } else { LOOK_AGAIN }
    }

    /// Whether there is work to do at once.
    fn has_work(&self) -> bool {
        self.restoring.is_none() && self.behind && self.job.may_publish()
    }

    /// Whether open panes wait to be shown.
    fn show_later(&self) -> bool {
        self.boards.values().any(BoardWindows::shows_later)
    }

    /// Makes the operator run when exact rankings arrive.
    fn wake(&self, activator: impl Fn() -> Activator) {
        self.boards.values().for_each(|board| board.kind.wake(&activator));
    }

    /// Takes in stored blocks of an earlier run for one turn. Returns whether all of them have come.
    fn restore(&mut self) -> bool {
        let Some(restoring) = &mut self.restoring else { return true };
        let done = restoring.take_in(&mut self.boards, &self.job, clock::now() + TURN);
        self.restoring.take_if(|_| done);
        done
    }

    fn take(&mut self, update: PaneUpdate) {
        match update {
            PaneUpdate::Closed(board, pane) => {
                if let Some(passages) = self.job.view.passages() {
                    passages.ranking(board, pane.pane);
                }
                self.boards.entry(board).and_modify(|windows| windows.closed(pane));
            }
            PaneUpdate::Late(board, pane, span) => {
                self.boards.entry(board).and_modify(|windows| windows.closed_late(pane, span));
            }
            PaneUpdate::Open(board, panes) => {
                self.boards.entry(board).and_modify(|windows| windows.open(panes));
            }
            PaneUpdate::Ended(board, last) => {
                self.boards.entry(board).and_modify(|windows| windows.ends_with(last));
            }
            PaneUpdate::Missing(board, region, panes) => {
                self.boards.entry(board).and_modify(|windows| windows.set.miss(&region, &panes));
            }
            PaneUpdate::Dropped(board, groups) => {
                self.boards
                    .entry(board)
                    .and_modify(|windows| groups.iter().for_each(|g| windows.set.retire(g)));
            }
            PaneUpdate::Halted => {
                self.boards.clear();
                if let Some(restoring) = self.restoring.take() {
                    restoring.places.set_restore(Restore::BrokenOff);
                }
            }
        }
    }

    /// Publishes the finals that are due when time has passed up to `frontier`, or to the end of the log when that is
    /// `None`. Returns false when more is due than fits into one turn or may be published.
    fn advance(&mut self, frontier: Option<Pane>) -> bool {
        let mut done = true;
        self.behind = false;
        for (board, windows) in &mut self.boards {
            let caught_up = self.job.may_publish() && windows.advance(frontier, clock::now() + TURN);
            done &= caught_up;
            self.behind |= !caught_up && !windows.is_waiting();
            if let Some(passages) = self.job.view.passages().filter(|_| caught_up) {
                passages.ranked(*board, frontier);
            }
            let rollups = windows.take_rollups().into_iter();
            self.updates.extend(rollups.map(|(block, groups)| WindowsUpdate::Rollup(*board, block, groups)));
        }
        if done && !self.boards.is_empty() && self.published != Some(frontier) {
            self.published = Some(frontier);
            self.updates.push(WindowsUpdate::Published(frontier));
        }
        done
    }

    /// The pane up to which all finals are published; `None` when no more will come.
    fn reached(&self, frontier: Option<Pane>) -> Option<Pane> {
        let behind = self.boards.values().filter_map(|windows| windows.reached(frontier));
        behind.chain(frontier).min()
    }
}
