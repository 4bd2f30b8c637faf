//! The job as one sentence, and the loop that drives a worker through it: events become pane sketches, which are merged,
//! made durable, and slid through the windows.

use crate::admission::Places;
use crate::control::control;
use crate::event_batch::BatchPool;
use crate::exact;
use crate::frame::Frames;
use crate::job::{Job, JobError};
use crate::local::{Frontiers, Local};
use crate::merge::merge_panes;
use crate::pane_sketch::pane_sketches;
use crate::persist::{keep_rollups, persist};
use crate::region_panes::region_panes;
use crate::share::PaneShare;
use crate::source::source;
use crate::windows::slide_windows;
use crest_host::thread;
use crest_state::input::Input;
use crest_state::pane::Pane;
use crest_state::spec::{BoardSpec, Engine};
use std::collections::BTreeMap;
use std::time::Duration;
use timely::dataflow::operators::Probe;
use timely::dataflow::{Scope, Stream};
use timely::worker::Worker;

/// How long a worker parks at most, so that it notices a stop and shows that it is alive.
const PARK: Duration = Duration::from_millis(50);

/// Builds the job's dataflows on a worker and drives it until the job has ended or was stopped.
///
/// # Errors
/// The source cannot be read (any further), a message of another process was damaged, or the durable state cannot
/// be kept any longer. The other workers then wait for this one: the process must end.
pub fn run_worker(worker: &mut Worker, job: &Job) -> Result<(), JobError> {
    run_worker_on(worker, job, |scope, job, local, frontiers| match &job.source {
        Input::Records(records) => {
            let events = source(scope, job, &**records, local, frontiers)?;
            Ok(pane_sketches(events, job, local)?)
        }
        Input::Regions(regions) => region_panes(scope, job, regions, local, frontiers),
    })
}

/// Does what [`run_worker`] does, but takes the shares of panes ready-made from `shares`, so that a bench need not count
/// a day of events to have a day of panes. `shares` must keep the worker's status up to date, as the source does.
///
/// # Errors
/// Those of [`run_worker`], and of `shares`.
#[doc(hidden)]
pub fn run_worker_on(
    worker: &mut Worker,
    job: &Job,
    shares: impl for<'scope> FnOnce(
        Scope<'scope, u64>,
        &Job,
        &Local,
        Frontiers,
    ) -> Result<Stream<'scope, u64, Frames<PaneShare>>, JobError>,
) -> Result<(), JobError> {
    let local = Local {
        worker: worker.index(),
        workers: worker.peers(),
        pool: BatchPool::default(),
        open: Default::default(),
        late: Default::default(),
        closed: Default::default(),
        groups_refused: Default::default(),
        status: Default::default(),
        failure: Default::default(),
    };
    local.status.borrow_mut().worker = worker.index();
    local.status.borrow_mut().holding = true;
    local.status.borrow_mut().held = Some(0);
    if let Some(state) = &job.state {
        local.status.borrow_mut().durable = Some(state.queue().durable().unwrap_or(Pane::MAX));
        state.start(&job.link())?;
    }

    worker.dataflow::<u64, _, _>(|scope| control(scope, job.view.clone(), local.status.clone()));
    let graphs = exact_graphs(worker, job);
    worker.dataflow::<u64, _, _>(|scope| {
        let frontiers = Frontiers::default();
        let shares = shares(scope, job, &local, frontiers.clone())?.probe_with(&frontiers.closed);
        let places = Places::new(job);
        let panes = merge_panes(shares, job, &local, places.clone())?;
        let durable = persist(panes, job, &local);
        let windows = slide_windows(durable, job, local.worker, places, graphs);
        keep_rollups(windows.probe_with(&frontiers.published), job, &local);
        Ok::<(), JobError>(())
    })?;

    while worker.has_dataflows() {
        thread::turn(PARK, |park| {
            worker.step_or_park(Some(park));
        });
        job.view.beat(worker.index() % job.workers_per_process);
        if let Some(error) = local.failure.borrow_mut().take() {
            return Err(error);
        }
        if let Some(failure) = job.state.as_ref().and_then(|state| state.queue().failure()) {
            return Err(failure.into());
        }
    }
    match &job.state {
        Some(state) => {
            let local = worker.index() % job.workers_per_process;
            Ok(state.finish(&*job.view, || job.view.beat(local))?)
        }
        None => Ok(()),
    }
}

/// Builds the graphs of the exact boards, and returns those of the boards that this worker aggregates, by the boards'
/// places in the spec.
fn exact_graphs(worker: &mut Worker, job: &Job) -> BTreeMap<usize, exact::Graph> {
    let ranked =
        |board: &BoardSpec| board.engine == Engine::Exact && board.sliding_windows().next().is_some();
    let boards = job.spec.boards.iter().enumerate().filter(|(_, board)| ranked(board));
    let graphs = boards.filter_map(|(index, board)| {
        // One more than K: it is the greatest count outside the top K.
        let graph =
            exact::build(worker, index % job.workers_per_process, board.k + 1, board.count.is_distinct())?;
        Some((index, graph))
    });
    graphs.collect()
}
