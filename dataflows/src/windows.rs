//! The windows: slides them over the panes of a board, ranks, and publishes.
//!
//! **In**: the digests of closed and of open panes. **Out**: snapshots, to the sink: a final one at each end of
//! a window that the frontier has passed, provisional ones of the window that holds the newest open pane; and a
//! frontier of its own, which says how far that is. **Always holds**: final snapshots are a function of the log;
//! once stopped, none is published. **Costs**: per slide, the rows of one node added and of one subtracted; per
//! ranking, a pass over the candidates.

mod board;
mod group;
mod publish;

use crate::control::Alarm;
use crate::event_time::Pane;
use crate::job::Job;
use crate::merge::PaneUpdate;
use board::BoardWindows;
use crest_connectors::snapshot::SnapshotSink;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// How long a board's windows may take before the rest of the dataflow gets its turn: a jump of time may end
/// millions of them.
const TURN: Duration = Duration::from_millis(20);
/// When to look again whether a sink that is full takes snapshots.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Builds the windows of the boards that this worker aggregates. The stream says, by its frontier, up to which
/// pane they are published; it carries nothing.
pub fn slide_windows<'scope>(
    panes: Stream<'scope, u64, Vec<PaneUpdate>>,
    job: &Job,
    worker: usize,
) -> Stream<'scope, u64, Vec<()>> {
    let scope = panes.scope();
    let mut boards = Boards::new(job, worker);
    panes.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "Windows",
        |capability, info| {
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            let mut held = Some(capability);
            move |(input, frontier), _output| {
                input.for_each(|_, updates| updates.drain(..).for_each(|update| boards.take(update)));
                let passed = frontier.frontier().first().copied();
                if !boards.advance(passed) {
                    alarm.after(LOOK_AGAIN);
                    if boards.sink.ready() {
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
}

impl Boards {
    fn new(job: &Job, worker: usize) -> Self {
        let aggregators = job.workers_per_process;
        let mine = |board: &usize| worker < aggregators && board % aggregators == worker;
        let boards = (0..job.spec.boards.len()).filter(mine);
        let boards = boards.map(|board| (board as u32, BoardWindows::new(job, board))).collect();
        Boards { boards, sink: job.sink.clone() }
    }

    fn take(&mut self, update: PaneUpdate) {
        match update {
            PaneUpdate::Closed(board, pane) => {
                self.boards.entry(board).and_modify(|windows| windows.closed(pane));
            }
            PaneUpdate::Open(board, panes) => {
                self.boards.entry(board).and_modify(|windows| windows.open(panes));
            }
            PaneUpdate::Halted => self.boards.clear(),
        }
    }

    /// Time has passed up to `frontier`; to the end of all when it is `None`. False when there is more to publish
    /// than a turn, or the sink, takes.
    fn advance(&mut self, frontier: Option<Pane>) -> bool {
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
