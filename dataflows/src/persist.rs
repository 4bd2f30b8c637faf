//! The persist stage: passes a closed pane on once it is durable.
//!
//! [`persist`] stands between the merge and the windows. **In**: what the merge reports. **Out**: the same, but closed panes
//! wait here until they are durable, and until then are among the open ones that are shown. Its frontier is the durable
//! one. **Always holds**: whatever the windows make of a closed pane, and of the frontier, survives a crash. After a stop no
//! pane is passed on; when the state fails, the frontier stays where it is, and the worker gives up. **Costs**: each closed
//! pane is encoded once.
//!
//! [`keep_rollups`] stands behind the windows, and hands the committer the rollups that they have completed and the pane up
//! to which they have published. Without a state, [`persist`] passes everything on as it comes, and [`keep_rollups`] does
//! nothing.

use crate::control::Alarm;
use crate::job::Job;
use crate::local::Local;
use crate::merge::PaneUpdate;
use crate::windows::WindowsUpdate;
use crest_host::clock;
use crest_state::job_state::JobState;
use crest_state::pane::{END, Pane, PaneDigests};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

/// How often the stage checks whether the job was asked to stop, so that a store that hangs does not delay the stop.
const LOOK: Duration = Duration::from_millis(50);

/// Builds the stage of the boards that this worker aggregates.
pub(crate) fn persist<'scope>(
    panes: Stream<'scope, u64, Vec<PaneUpdate>>,
    job: &Job,
    local: &Local,
) -> Stream<'scope, u64, Vec<PaneUpdate>> {
    let scope = panes.scope();
    let (mut stage, view) =
        (state_of(job, local).map(|state| Persist::new(job, local, state)), job.view.clone());
    panes.unary_frontier::<CapacityContainerBuilder<Vec<PaneUpdate>>, _, _, _>(
        Pipeline,
        "Persist",
        |capability, info| {
            if let Some(stage) = &stage {
                let committed = scope.worker().sync_activator_for(info.address.to_vec());
                // A worker that is gone needs no waking.
                stage.state.queue().on_commit(move || {
                    let _ = committed.activate();
                });
            }
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            let mut held = Some(capability).filter(|_| stage.is_some());
            move |(input, frontier), output| {
                let Some(stage) = &mut stage else {
                    return input.for_each(|capability, updates| {
                        output.session(&capability).give_container(updates);
                    });
                };
                let mut give = |capability: &Capability<u64>, update| output.session(capability).give(update);
                input.for_each(|capability, updates| {
                    let Some(capability) = capability.retain_least(0) else { return };
                    updates.drain(..).for_each(|update| stage.take(&capability, update, &mut give));
                });
                if let Some(capability) = held.as_ref().filter(|_| view.stopping() && !stage.halted) {
                    // Closed panes may never become durable after a stop, even where the sources had ended before.
                    stage.halt(capability, &mut give);
                }
                let durable = stage.release(frontier.frontier().first().copied(), &mut give);
                match (durable, &mut held) {
                    (None, held) => *held = None,
                    // A run that resumes where all is durable does not know yet that its log has ended: time has
                    // not passed the windows that only the end of the log closes.
                    (Some(END), _) => {}
                    (Some(pane), Some(capability)) if pane > *capability.time() => {
                        capability.downgrade(&pane)
                    }
                    _ => {}
                }
                if held.is_some() {
                    alarm.after(LOOK);
                }
            }
        },
    )
}

/// Builds the stage that takes the windows' rollups and progress to the state.
pub(crate) fn keep_rollups<'scope>(
    windows: Stream<'scope, u64, Vec<WindowsUpdate>>,
    job: &Job,
    local: &Local,
) {
    let (state, worker) = (state_of(job, local), local.worker);
    windows.sink(Pipeline, "KeepRollups", move |(input, _frontier)| {
        input.for_each(|_, updates| {
            let Some(queue) = state.as_ref().map(|state| state.queue()) else { return };
            for update in updates.drain(..) {
                match update {
                    WindowsUpdate::Rollup(board, block, groups) => {
                        queue.push_rollup(board, block, Rc::unwrap_or_clone(groups));
                    }
                    WindowsUpdate::Published(pane) => queue.published_to(worker, pane),
                }
            }
        });
    });
}

/// The durable state, if the job has one and this worker aggregates boards.
fn state_of(job: &Job, local: &Local) -> Option<Arc<JobState>> {
    let aggregators = job.workers_per_process.min(job.spec.boards.len());
    job.state.clone().filter(|_| local.worker < aggregators)
}

/// The stage of a worker with boards, in a job with state.
struct Persist {
    job: Job,
    state: Arc<JobState>,
    worker: usize,
    waiting: BTreeMap<Pane, Waiting>,
    halted: bool,
}

/// A closed pane that is not durable yet.
struct Waiting {
    capability: Capability<u64>,
    boards: BTreeMap<u32, Rc<PaneDigests>>,
    /// What the merge reported of the pane besides.
    others: Vec<PaneUpdate>,
}

impl Persist {
    fn new(job: &Job, local: &Local, state: Arc<JobState>) -> Self {
        Persist { job: job.clone(), state, worker: local.worker, waiting: BTreeMap::new(), halted: false }
    }

    fn take(
        &mut self,
        capability: &Capability<u64>,
        update: PaneUpdate,
        give: &mut impl FnMut(&Capability<u64>, PaneUpdate),
    ) {
        match update {
            _ if self.halted => {}
            PaneUpdate::Closed(board, digests) => self.store(capability, board, digests),
            PaneUpdate::Open(board, open) => {
                let closed = self.waiting.values().filter_map(|pane| pane.boards.get(&board));
                let panes = closed.cloned().chain(open).collect();
                give(capability, PaneUpdate::Open(board, panes));
            }
            // It is never stored: a run that resumes counts it anew.
            PaneUpdate::Late(..) => give(capability, update),
            PaneUpdate::Ended(_, last) => {
                self.state.queue().ends_with(last);
                give(capability, update);
            }
            // A run that resumes may find the region there: only what is durable is noted.
            PaneUpdate::Missing(board, ref region, ref panes) => {
                self.state.queue().push_missing(board, region.clone(), panes.clone());
                give(capability, update);
            }
            PaneUpdate::Dropped(..) => self.wait(capability, *capability.time()).others.push(update),
            PaneUpdate::Halted => self.halt(capability, give),
        }
    }

    /// Hands a closed pane to the committer, and holds it back.
    fn store(&mut self, capability: &Capability<u64>, board: u32, digests: PaneDigests) {
        let (started, pane, spec) = (clock::now(), digests.pane, &self.job.spec);
        if let Some(passages) = self.job.view.passages() {
            passages.stored(board, pane);
        }
        self.state.queue().push_pane(board, pane, digests.encode(spec.sketch.seed));
        let name = &spec.boards[board as usize].name;
        let spent = clock::since(started).as_nanos() as u64;
        self.job.view.update_board(name, |counts| counts.merge_ns += spent);
        self.wait(capability, pane).boards.insert(board, Rc::new(digests));
    }

    fn wait(&mut self, capability: &Capability<u64>, pane: Pane) -> &mut Waiting {
        let (boards, others) = (BTreeMap::new(), Vec::new());
        let new = || Waiting { capability: capability.delayed(&pane), boards, others };
        self.waiting.entry(pane).or_insert_with(new)
    }

    /// Passes on the panes that are durable by now, where all panes before `closed` are closed. Returns the pane before which
    /// all are closed, durable and passed on; `None` when no more are passed on.
    fn release(
        &mut self,
        closed: Option<Pane>,
        give: &mut impl FnMut(&Capability<u64>, PaneUpdate),
    ) -> Option<Pane> {
        if self.halted {
            return None;
        }
        self.state.queue().closed_to(self.worker, closed);
        let durable = self.state.queue().durable().into_iter().chain(closed).min();
        while let Some(pane) = self.waiting.first_entry()
            && durable.is_none_or(|durable| *pane.key() < durable)
        {
            let Waiting { capability, boards, others } = pane.remove();
            for (board, digests) in boards {
                if let Some(passages) = self.job.view.passages() {
                    passages.durable(board, digests.pane);
                }
                give(&capability, PaneUpdate::Closed(board, Rc::unwrap_or_clone(digests)));
            }
            others.into_iter().for_each(|update| give(&capability, update));
        }
        durable
    }

    /// Stops: what is not durable by now is not passed on.
    fn halt(&mut self, capability: &Capability<u64>, give: &mut impl FnMut(&Capability<u64>, PaneUpdate)) {
        self.halted = true;
        self.waiting.clear();
        give(capability, PaneUpdate::Halted);
    }
}
