//! The windows: slides them over the panes of a board, ranks, and publishes.
//!
//! **In**: the digests of closed and of open panes; where state is kept, those that an earlier run has stored, first.
//! **Out**: snapshots, to the sink: a final one at each end of a window that the frontier has passed and that is
//! durable, provisional ones of the window that holds the newest open pane; and a frontier of its own, which says how
//! far that is. **Always holds**: final snapshots are a function of the log; once stopped, none is published.
//! **Costs**: per slide, the rows of one node added and of one subtracted; per
//! ranking, a pass over the candidates.

mod board;
mod group;
mod publish;

use crate::control::Alarm;
use crate::event_time::Pane;
use crate::job::Job;
use crate::merge::{PaneDigests, PaneUpdate};
use crate::state::{JobState, RestoreFeed};
use board::BoardWindows;
use crest_connectors::snapshot::SnapshotSink;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// How long a board's windows may take before the rest of the dataflow gets its turn: a jump of time may end
/// millions of them.
const TURN: Duration = Duration::from_millis(20);
/// When to look again whether a sink that is full takes snapshots, or more is durable.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// … or whether the next stored pane has come.
const LOOK_FOR_STORED: Duration = Duration::from_millis(1);

/// Builds the windows of the boards that this worker aggregates. The stream says, by its frontier, up to which
/// pane they are published; it carries nothing.
pub fn slide_windows<'scope>(
    panes: Stream<'scope, u64, Vec<PaneUpdate>>,
    job: &Job,
    worker: usize,
) -> Stream<'scope, u64, Vec<()>> {
    let scope = panes.scope();
    let (mut boards, view) = (Boards::new(job, worker), job.view.clone());
    panes.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "Windows",
        |capability, info| {
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
}

/// The panes of an earlier run, on their way into the windows.
struct Restoring {
    feed: RestoreFeed,
    /// All before it came.
    reached: Pane,
}

impl Boards {
    fn new(job: &Job, worker: usize) -> Self {
        let aggregators = job.workers_per_process;
        let mine = |board: &usize| worker < aggregators && board % aggregators == worker;
        let boards = (0..job.spec.boards.len()).filter(mine);
        let boards: BTreeMap<_, _> =
            boards.map(|board| (board as u32, BoardWindows::new(job, board))).collect();
        let state = job.state.clone().filter(|_| !boards.is_empty());
        let feed = state.as_ref().and_then(|state| state.take_feed(worker));
        let restoring = feed.map(|feed| Restoring { feed, reached: 0 });
        Boards { boards, sink: job.sink.clone(), worker, state, restoring }
    }

    /// How far finals may go when all before `closed` is closed: no further than what is durable.
    fn may_pass(&self, closed: Option<Pane>) -> Option<Pane> {
        let durable = self.state.as_ref().and_then(|state| state.desk().durable());
        durable.into_iter().chain(closed).min()
    }

    /// When to look again what can be done.
    fn pause(&self) -> Duration {
        if self.restoring.is_some() { LOOK_FOR_STORED } else { LOOK_AGAIN }
    }

    /// Whether there is something to do now rather than later.
    fn has_work(&self) -> bool {
        self.restoring.is_none() && self.sink.ready()
    }

    /// Takes in what an earlier run has stored, for a turn. Whether all of it has come.
    fn restore(&mut self) -> bool {
        let until = Instant::now() + TURN;
        while let Some(mut restoring) = self.restoring.take() {
            let done = restoring.reached == 0 || self.slide(Some(restoring.reached));
            let next = if done && Instant::now() < until { restoring.feed.try_recv().ok() } else { None };
            match next {
                Some(Some((block, boards))) => {
                    let pane = block.start;
                    restoring.reached = pane + 1;
                    for (board, groups) in boards {
                        let groups =
                            groups.into_iter().map(|(text, digest)| (text, Rc::new(digest))).collect();
                        self.take(PaneUpdate::Closed(board, PaneDigests { pane, groups }));
                    }
                }
                // All has come.
                Some(None) => return true,
                None => {
                    self.restoring = Some(restoring);
                    return false;
                }
            }
            self.restoring = Some(restoring);
        }
        true
    }

    fn take(&mut self, update: PaneUpdate) {
        match update {
            PaneUpdate::Closed(board, pane) => {
                self.boards.entry(board).and_modify(|windows| windows.closed(pane));
            }
            PaneUpdate::Open(board, panes) => {
                self.boards.entry(board).and_modify(|windows| windows.open(panes));
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
        if self.state.as_ref().is_some_and(|state| state.desk().failed()) {
            return false;
        }
        let done = self.slide(frontier);
        if let Some(state) = self.state.as_ref().filter(|_| done) {
            state.desk().published_to(self.worker, frontier);
        }
        done
    }

    fn slide(&mut self, frontier: Option<Pane>) -> bool {
        let mut done = true;
        for windows in self.boards.values_mut() {
            done &= self.sink.ready() && windows.advance(frontier, Instant::now() + TURN);
        }
        done
    }

    /// Up to which pane all is published; `None` when all is, for good.
    fn reached(&self, frontier: Option<Pane>) -> Option<Pane> {
        let behind = self.boards.values().filter_map(|windows| windows.reached(frontier));
        behind.chain(frontier).min()
    }
}
