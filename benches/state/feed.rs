//! A job whose pane sketches come ready-made: all of it from the exchange on is the job's own.

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::SnapshotSink;
use crest_connectors::source::{Source, SourceError, SourceFactory};
use crest_dataflows::frame::Frames;
use crest_dataflows::job::{Job, JobError};
use crest_dataflows::local::{Frontiers, Local};
use crest_dataflows::replay::{Reach, ReplaySteps};
use crest_dataflows::share::{GroupShare, Kind, PaneShare, Sketch};
use crest_dataflows::status::JobView;
use crest_dataflows::wiring::run_worker_on;
use crest_sketches::Merged;
use crest_state::input::Input;
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::spec::JobSpec;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use timely::container::{CapacityContainerBuilder, PushInto};
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::{Scope, Stream};

/// Panes that are handed over before those before them are published.
const AHEAD: u64 = 256;
const NAP: Duration = Duration::from_millis(1);

/// A pane whose partitions are merged already.
pub type Made = (Pane, Merged);

/// Shares of a pane, one a message. Panes come in order.
pub struct PaneShares {
    pub pane: Pane,
    /// Whether they are its last.
    pub close: bool,
    pub shares: Box<dyn Iterator<Item = Frames<PaneShare>> + Send>,
}

impl From<Made> for PaneShares {
    fn from((pane, merged): Made) -> Self {
        let mut message = Frames::default();
        message.push_into(share(pane, merged));
        PaneShares { pane, close: true, shares: Box::new(std::iter::once(message)) }
    }
}

/// A running job.
pub struct Feed {
    pub view: Arc<JobView>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// Starts a job of one worker on a state; `first` is the first pane if the state is new, `partitions` the names of
    /// those that the panes are said to be of.
    pub fn start(
        spec: &JobSpec,
        state: JobState,
        sink: Arc<dyn SnapshotSink>,
        panes: Receiver<impl Into<PaneShares> + Send + 'static>,
        first: Pane,
        partitions: Vec<String>,
    ) -> Self {
        let view = Arc::new(JobView::new(1, 1));
        let job = Job {
            spec: Arc::new(spec.clone()),
            source: Input::Records(Arc::new(ReadyMade)),
            sink,
            registry: None,
            rejects: None,
            view: view.clone(),
            workers_per_process: 1,
            epoch: state.epoch(),
            resume: state.resume(),
            range: None,
            audit: None,
            state: Some(Arc::new(state)),
        };
        let first = job.resume.as_ref().map_or(first, |resume| resume.durable);
        let panes = Mutex::new(Some(panes));
        let thread = std::thread::spawn(move || {
            let guards = timely::execute(timely::Config::thread(), move |worker| {
                let panes = panes.lock().unwrap().take().unwrap();
                let names = partitions.clone();
                run_worker_on(worker, &job, move |scope, job, local, frontiers| {
                    Ok::<_, JobError>(shares(scope, job, local, frontiers, (panes, first, names)))
                })
                .unwrap();
            });
            guards.unwrap().join().into_iter().for_each(|ended| ended.unwrap());
        });
        Feed { view, thread }
    }

    pub fn stop(self) {
        self.view.request_stop();
        self.thread.join().unwrap();
    }
}

fn shares<'scope>(
    scope: Scope<'scope, u64>,
    job: &Job,
    local: &Local,
    frontiers: Frontiers,
    (panes, first, partitions): (Receiver<impl Into<PaneShares> + 'static>, Pane, Vec<String>),
) -> Stream<'scope, u64, Frames<PaneShare>> {
    let (view, local) = (job.view.clone(), local.clone());
    source::<u64, CapacityContainerBuilder<Frames<PaneShare>>, _, _>(
        scope,
        "Panes",
        move |mut capability, info| {
            let activator = scope.activator_for(info.address);
            capability.downgrade(&first);
            tell(&local, first, &partitions);
            let mut held = Some(capability);
            let mut under_way = None::<PaneShares>;
            move |output| {
                if view.stopping() {
                    held = None;
                    local.status.borrow_mut().ended = true;
                }
                let Some(capability) = &mut held else { return };
                let published =
                    frontiers.published.with_frontier(|frontier| frontier.first().copied().unwrap_or(first));
                let far = *capability.time() - published.max(first) > AHEAD;
                let next = || if far { None } else { panes.try_recv().ok().map(Into::into) };
                let Some(mut current) = under_way.take().or_else(next) else {
                    activator.activate_after(NAP);
                    return;
                };
                // One at a time, as the network hands them over.
                match current.shares.next() {
                    Some(mut message) => {
                        output.session(&*capability).give_container(&mut message);
                        under_way = Some(current);
                    }
                    None if !current.close => {}
                    None => {
                        capability.downgrade(&(current.pane + 1));
                        tell(&local, current.pane + 1, &partitions);
                    }
                }
                activator.activate();
            }
        },
    )
}

fn share(pane: Pane, merged: Merged) -> PaneShare {
    let whole = GroupShare { group: GroupKey::WHOLE, sketch: Sketch::Merged(Box::new(merged)) };
    PaneShare { worker: 0, board: 0, pane, kind: Kind::Closed, refused: 0, span: None, groups: vec![whole] }
}

/// Says that all panes before `held` are complete, and that nothing of the partitions needs to be read again.
fn tell(local: &Local, held: Pane, partitions: &[String]) {
    let mut status = local.status.borrow_mut();
    status.held = Some(held);
    let steps = |(partition, name): (u64, &String)| ReplaySteps {
        since: None,
        partition,
        name: name.clone(),
        next: 1,
        steps: Vec::new(),
        position: 1,
        late: None,
        reach: Reach::default(),
    };
    status.read = (0..).zip(partitions).map(steps).collect();
}

/// In the place of a source that is never opened.
struct ReadyMade;

impl SourceFactory for ReadyMade {
    fn open(&self, _worker: usize, _workers: usize) -> Result<Box<dyn Source>, SourceError> {
        unreachable!("the panes are ready-made")
    }

    fn bounded(&self) -> bool {
        false
    }
}
