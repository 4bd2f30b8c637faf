//! The windows: slides them over the panes of a board, ranks, and publishes.
//!
//! **In**: the digests of closed and of open panes; where state is kept, those that an earlier run has stored, first.
//! **Out**: snapshots, to the sink: a final one at each end of a window that the frontier has passed and that is
//! durable, provisional ones of the window that holds the newest open pane; and a frontier of its own, which says how
//! far that is. **Always holds**: final snapshots are a function of the log; once stopped, none is published; a run that
//! ends publishes those with events only, unless told otherwise. **Costs**: per node, which is a pane or a rollup (see
//! [`crest_state::levels`]), its rows added and later subtracted; per ranking, a pass over the candidates; nothing for a time
//! without events, however long; and what the rollups cost (see the pyramid). Past [`buckets`], and [`past`] windows,
//! are ranked anew from a state, without the dataflow.

mod awaited;
mod board;
pub mod buckets;
mod earlier;
mod exact;
mod group;
mod leave;
pub mod past;
mod past_group;
mod provisional;
mod publish;
mod restore;
#[cfg(test)]
mod tests;

use crate::admission::Places;
use crate::control::Alarm;
use crate::exact::Graph;
use crate::job::Job;
use crate::merge::PaneUpdate;
use board::BoardWindows;
use crest_connectors::snapshot::SnapshotSink;
use crest_sketches::Digest;
use crest_state::job_state::JobState;
use crest_state::levels::Block;
use crest_state::pane::Pane;
use crest_state::restore::RestoreFeed;
use earlier::Earlier;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::Activator;

/// How long a board's windows may take before the rest of the dataflow gets its turn: a jump of time may end
/// millions of them.
const TURN: Duration = Duration::from_millis(20);
/// When to look again whether a sink that is full takes snapshots, or more is durable.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// … or whether the next stored block has come.
const LOOK_FOR_STORED: Duration = Duration::from_millis(1);

/// Builds the windows of the boards that this worker aggregates. The stream says, by its frontier, up to which
/// pane they are published; it carries nothing.
pub(crate) fn slide_windows<'scope>(
    panes: Stream<'scope, u64, Vec<PaneUpdate>>,
    job: &Job,
    worker: usize,
    places: Places,
    graphs: BTreeMap<usize, Graph>,
) -> Stream<'scope, u64, Vec<()>> {
    let scope = panes.scope();
    let (mut boards, view) = (Boards::new(job, worker, places, graphs), job.view.clone());
    panes.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "Windows",
        |capability, info| {
            boards.wake(|| scope.activator_for(info.address.clone()));
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            let mut held = Some(capability);
            move |(input, frontier), _output| {
                input.for_each(|_, updates| updates.drain(..).for_each(|update| boards.take(update)));
                let closed = frontier.frontier().first().copied();
                if view.stopping() && boards.state.is_some() {
                    // What is closed may never become durable, also where the sources had ended before.
                    boards.take(PaneUpdate::Halted);
                }
                let passed = boards.may_pass(closed);
                let published = boards.restore() && boards.advance(passed);
                if !published || passed != closed {
                    alarm.after(boards.pause());
                    if !published && boards.has_work() {
                        alarm.now();
                    }
                } else if boards.show_later() {
                    alarm.after(LOOK_AGAIN);
                }
                match (boards.reached(passed), &mut held) {
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
    sink: Arc<dyn SnapshotSink>,
    worker: usize,
    /// Kept where this worker has boards.
    state: Option<Arc<JobState>>,
    restoring: Option<Restoring>,
    /// Whether a board was stopped by nothing but the end of its turn.
    behind: bool,
}

/// Of some boards, by their place in the spec, the digest of each group.
type Parts = Vec<(u32, BTreeMap<String, Digest>)>;

/// What an earlier run has stored, on its way into the windows.
struct Restoring {
    feed: RestoreFeed,
    /// A block that came, and the boards that have not taken it in.
    block: Option<(Block, Parts)>,
    /// What is stored tells which groups have a place.
    places: Places,
}

impl Restoring {
    /// Takes in the blocks that come until then, while the sink takes what they make due. Whether all have come.
    fn take_in(
        &mut self,
        boards: &mut BTreeMap<u32, BoardWindows>,
        sink: &dyn SnapshotSink,
        until: Instant,
    ) -> bool {
        while Instant::now() < until && sink.ready() {
            let Some((block, mut parts)) = self.block.take() else {
                match self.feed.try_recv() {
                    Ok(Some((block, parts))) => {
                        parts.iter().for_each(|(board, groups)| self.places.restore(*board, block, groups));
                        self.block = Some((block, parts));
                    }
                    Ok(None) => {
                        self.places.set_awaits(false);
                        return true;
                    }
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
            |board| BoardWindows::new(job, board, Earlier::of(job, board), graphs.remove(&board));
        let boards: BTreeMap<_, _> = boards.map(|board| (board as u32, windows(board))).collect();
        let state = job.state.clone().filter(|_| !boards.is_empty());
        let feed = state.as_ref().and_then(|state| state.take_feed(worker));
        places.set_awaits(feed.is_some());
        let restoring = feed.map(|feed| Restoring { feed, block: None, places });
        Boards { boards, sink: job.sink.clone(), worker, state, restoring, behind: false }
    }

    /// How far finals may go when all before `closed` is closed: no further than what is durable.
    fn may_pass(&self, closed: Option<Pane>) -> Option<Pane> {
        let durable = self.state.as_ref().and_then(|state| state.queue().durable());
        durable.into_iter().chain(closed).min()
    }

    /// When to look again what can be done.
    fn pause(&self) -> Duration {
        if self.restoring.is_some() { LOOK_FOR_STORED } else { LOOK_AGAIN }
    }

    /// Whether there is something to do now rather than later.
    fn has_work(&self) -> bool {
        self.restoring.is_none() && self.sink.ready() && self.behind
    }

    /// Whether there is something to show that has to wait for its turn.
    fn show_later(&self) -> bool {
        self.boards.values().any(BoardWindows::shows_later)
    }

    /// Makes the operator run when there is news of exact rankings.
    fn wake(&self, activator: impl Fn() -> Activator) {
        self.boards.values().for_each(|board| board.wake(&activator));
    }

    /// Takes in what an earlier run has stored, for a turn. Whether all of it has come.
    fn restore(&mut self) -> bool {
        let Some(restoring) = &mut self.restoring else { return true };
        let done = restoring.take_in(&mut self.boards, self.sink.as_ref(), Instant::now() + TURN);
        self.restoring.take_if(|_| done);
        done
    }

    fn take(&mut self, update: PaneUpdate) {
        match update {
            PaneUpdate::Closed(board, pane) => {
                self.boards.entry(board).and_modify(|windows| windows.closed(pane));
            }
            PaneUpdate::Open(board, panes) => {
                self.boards.entry(board).and_modify(|windows| windows.open(panes));
            }
            PaneUpdate::Dropped(board, groups) => {
                self.boards.entry(board).and_modify(|windows| groups.iter().for_each(|g| windows.retire(g)));
            }
            PaneUpdate::Halted => {
                self.boards.clear();
                (self.state, self.restoring) = (None, None);
            }
        }
    }

    /// Time has passed up to `frontier`; to the end of all when it is `None`. False when there is more to publish
    /// than a turn, or the sink, takes.
    fn advance(&mut self, frontier: Option<Pane>) -> bool {
        if self.state.as_ref().is_some_and(|state| state.queue().failed()) {
            return false;
        }
        let mut done = true;
        self.behind = false;
        for (board, windows) in &mut self.boards {
            let caught_up = self.sink.ready() && windows.advance(frontier, Instant::now() + TURN);
            done &= caught_up;
            self.behind |= !caught_up && !windows.is_waiting();
            let rollups = windows.take_rollups();
            if let Some(state) = &self.state {
                let hand_in = |block, groups| state.queue().push_rollup(*board, block, groups);
                rollups.into_iter().for_each(|(block, groups)| hand_in(block, Rc::unwrap_or_clone(groups)));
            }
        }
        if let Some(state) = self.state.as_ref().filter(|_| done) {
            state.queue().published_to(self.worker, frontier);
        }
        done
    }

    /// Up to which pane all is published; `None` when all is, for good.
    fn reached(&self, frontier: Option<Pane>) -> Option<Pane> {
        let behind = self.boards.values().filter_map(|windows| windows.reached(frontier));
        behind.chain(frontier).min()
    }
}
