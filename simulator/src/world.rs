//! Lives a plan to its end: starts the job, kills or stops it, starts it again on what is left, and says what went wrong.

use crate::log::{Log, LogFrom};
use crate::plan::{End, LifePlan, Plan, Settings, T0};
use crate::scheduler::{Life, Scheduler};
use crate::sink::{Delivered, Sink};
use crest_connectors::snapshot::SnapshotSink;
use crest_connectors::source::Partition;
use crest_connectors::state::{Fault, Faults, StateError, StateStore};
use crest_dataflows::job::{Job, JobError};
use crest_dataflows::status::JobView;
use crest_dataflows::wiring::run_worker;
use crest_host::{Host, clock, thread};
use crest_state::error::{StateFailure, StateRefusal};
use crest_state::job_state::JobState;
use crest_state::replay::Resume;
use crest_state::retention::Retention;
use crest_state::spec::JobSpec;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use timely::WorkerConfig;
use timely::worker::Worker;
use timely_communication::{Allocator, Config, WorkerGuards, initialize_from};

/// How often the director looks how a life is doing.
const LOOK: Duration = Duration::from_millis(40);
/// After so long nothing goes wrong any more.
const CALM: Duration = Duration::from_secs(30);
/// A job that is not through by then stands still.
const STALLED: Duration = Duration::from_secs(240);

/// What came of a simulation.
#[derive(Debug)]
pub struct Outcome {
    /// What went wrong; nothing where all is as it must be.
    pub faults: Vec<String>,
    /// The rankings that were delivered.
    pub finals: usize,
    /// How many turns its threads had.
    pub turns: u64,
    /// How long it took by its own clock.
    pub took: Duration,
    /// Of all decisions.
    pub digest: u64,
}

/// Lives a plan to its end.
pub fn live(plan: &Plan) -> Outcome {
    let (mut outcome, finals) = world(plan);
    if plan.overflows && outcome.faults.is_empty() {
        // Bounds that differ are told by a second run, which nothing disturbs.
        let (quiet, undisturbed) = world(&plan.quiet());
        outcome.faults.extend(quiet.faults.into_iter().map(|fault| format!("undisturbed: {fault}")));
        for (key, snapshot) in &undisturbed {
            if finals.get(key).is_some_and(|found| found != snapshot) {
                outcome.faults.push(format!("{key:?} is not as in an undisturbed run"));
            }
        }
    }
    outcome
}

type Finals = std::collections::BTreeMap<crate::recount::Key, crest_connectors::snapshot::Snapshot>;

fn world(plan: &Plan) -> (Outcome, Finals) {
    let scheduler = Scheduler::new(plan.seed, T0, plan.slowness);
    let store = StateStore::in_memory();
    let delivered = Arc::new(Delivered::new(plan, store.clone()));
    let partitions =
        plan.partitions.iter().map(|events| events.iter().map(|event| event.arrival()).collect());
    let log = Log {
        partitions: partitions.collect(),
        added: plan.added.clone(),
        outages: plan.outages.clone(),
        bounded: plan.bounded,
        began: scheduler.now(),
    };
    let world = World {
        plan,
        scheduler: scheduler.clone(),
        store,
        delivered: delivered.clone(),
        log: Arc::new(log),
        deleted: RefCell::default(),
        guards: RefCell::default(),
    };
    let stalled = crest_host::run_on(scheduler.clone(), || {
        let stalled = world.live();
        // Those that were killed have to see it before they can be joined.
        while scheduler.has_threads() {
            thread::sleep(LOOK);
        }
        stalled
    });
    drop(world);
    let mut faults = delivered.faults();
    faults.extend(scheduler.panics().into_iter().map(|panic| format!("a thread panicked: {panic}")));
    faults.extend(stalled);
    let missing = delivered.missing();
    if !missing.is_empty() {
        faults.push(format!("{} rankings are missing: {:?}", missing.len(), missing.first()));
    }
    let finals = delivered.finals();
    let outcome = Outcome {
        faults,
        finals: finals.len(),
        turns: scheduler.turns(),
        took: scheduler.elapsed(),
        digest: scheduler.digest(),
    };
    (outcome, finals)
}

struct World<'p> {
    plan: &'p Plan,
    scheduler: Arc<Scheduler>,
    store: StateStore,
    delivered: Arc<Delivered>,
    log: Arc<Log>,
    /// Before which record of each partition the log has nothing any more: it keeps what the manifest names as to be read
    /// again, and nothing else.
    deleted: RefCell<BTreeMap<Partition, i64>>,
    /// Of the workers of all lives.
    guards: RefCell<Vec<WorkerGuards<()>>>,
}

/// How a life ended.
enum Ended {
    /// The job came to its end.
    Through,
    /// It was killed or stopped.
    Cut,
    /// A later claim of its state has fenced it off, as it must.
    FencedOff,
    /// It has given up by itself.
    Failed(String),
    Stalled(String),
}

impl World<'_> {
    /// Starts one life after the other. Says where the job stands still.
    fn live(&self) -> Option<String> {
        let lives = self.plan.lives.iter().zip(self.plan.jumps.iter().copied());
        let last = self.plan.lives.last()?;
        let again = std::iter::repeat((last, 0));
        for ((plan, jump), life) in lives.chain(again).zip(1..) {
            self.scheduler.jump(jump);
            match self.life(plan, life) {
                Ended::Through => return None,
                Ended::Failed(why) => return Some(format!("life {life}: {why}")),
                Ended::Stalled(why) => return Some(why),
                Ended::Cut | Ended::FencedOff => {
                    thread::sleep(Duration::from_millis(self.scheduler.below(1_500)))
                }
            }
        }
        None
    }

    fn life(&self, plan: &LifePlan, life: Life) -> Ended {
        let ended = self.start(plan, life).unwrap_or_else(|ended| ended);
        self.scheduler.kill(life);
        ended
    }

    fn start(&self, plan: &LifePlan, life: Life) -> Result<Ended, Ended> {
        let store = self.store.clone().with_faults(self.faults(plan, life));
        let Settings { refresh, idle_timeout, kept } = plan.settings;
        let mut spec = self.plan.spec.clone();
        (spec.time.refresh, spec.time.idle_timeout) = (refresh, idle_timeout);
        let mut retention = Retention::default();
        if kept.is_some() {
            ["pane", "1m"].iter().all(|level| retention.set(level, kept));
        }
        let now = clock::wall_clock_ms().unsigned_abs();
        let opened = JobState::open(store, &spec, "log", &retention, now);
        if self.scheduler.is_killed(life) {
            return Err(Ended::Cut);
        }
        let state = match opened {
            Ok(state) => Arc::new(state),
            Err(StateRefusal::Store(StateError::Unreachable { .. } | StateError::Superseded { .. })) => {
                return Err(self.unless_stalled("it cannot start"));
            }
            Err(refusal) => return Err(Ended::Failed(refusal.to_string())),
        };
        self.delete(state.resume().as_ref())?;
        let last = match plan.end {
            End::AtFinal(last) => Some(last),
            _ => None,
        };
        let sink = Arc::new(Sink {
            delivered: self.delivered.clone(),
            scheduler: self.scheduler.clone(),
            life,
            last,
            fails: self.plan.faults.sink_fails,
            waiting: Mutex::default(),
        });
        let crew = Crew::start(self, (plan, spec), life, &state, sink.clone());
        if let Err(why) = &crew.guards {
            return Err(Ended::Failed(format!("its workers cannot be started: {why}")));
        }
        let ended = self.watch(plan, life, &crew);
        if let Ended::Through = ended {
            while sink.flush(clock::now() + LOOK).is_err() {}
        }
        // What lingers in a call of the store may come to its end in a later life.
        self.guards.borrow_mut().extend(crew.guards);
        Ok(ended)
    }

    /// Has the log delete what nothing reads again.
    fn delete(&self, resume: Option<&Resume>) -> Result<(), Ended> {
        let mut deleted = self.deleted.borrow_mut();
        let at =
            |partition| resume.and_then(|resume| resume.partitions.get(partition)).map_or(0, |at| at.replay);
        if let Some((partition, first)) = deleted.iter().find(|(partition, first)| at(partition) < **first) {
            let at = at(partition);
            return Err(Ended::Failed(format!(
                "it would read partition {partition} from {at} on, and has said before that it needs nothing before {first}"
            )));
        }
        let partitions = resume.into_iter().flat_map(|resume| &resume.partitions);
        deleted.extend(partitions.map(|(partition, at)| (*partition, at.replay)));
        Ok(())
    }

    /// Waits for the end of a life.
    fn watch(&self, plan: &LifePlan, life: Life, crew: &Crew) -> Ended {
        let began = clock::now();
        let mut stopped = false;
        // When the processes notice that one of them is dead.
        let mut noticed = None;
        loop {
            thread::sleep(LOOK);
            if let (None, End::Process(time, number)) = (noticed, plan.end)
                && clock::since(began) >= time
            {
                self.scheduler.silence(life, number % plan.processes);
                noticed = Some(clock::now() + Duration::from_millis(self.scheduler.below(2_000)));
            }
            if noticed.is_some_and(|noticed| clock::until(noticed).is_zero()) {
                self.scheduler.kill(life);
            }
            if let End::After(time) = plan.end
                && clock::since(began) >= time
            {
                self.scheduler.kill(life);
            }
            if self.scheduler.is_killed(life) {
                return Ended::Cut;
            }
            if let Some(ended) = crew.given_up() {
                return ended;
            }
            let is_over = crew.ended.load(Ordering::SeqCst) == crew.total as u64;
            if is_over {
                return if stopped { Ended::Cut } else { Ended::Through };
            }
            let due = matches!(plan.end, End::Stop(time) if clock::since(began) >= time);
            if due && !stopped {
                stopped = true;
                crew.stop();
            }
            if !self.plan.bounded && !stopped && self.delivered.are_all() {
                return Ended::Through;
            }
            if let Ended::Stalled(why) = self.unless_stalled("it stands still") {
                return Ended::Stalled(why);
            }
        }
    }

    fn unless_stalled(&self, what: &str) -> Ended {
        if self.scheduler.elapsed() < STALLED {
            return Ended::Cut;
        }
        let missing = self.delivered.missing();
        Ended::Stalled(format!(
            "{what}: {} rankings are missing, the first is {:?}",
            missing.len(),
            missing.first()
        ))
    }

    /// Decides on each call of the store.
    fn faults(&self, plan: &LifePlan, life: Life) -> Faults {
        let (scheduler, chances, end) = (self.scheduler.clone(), self.plan.faults, plan.end);
        let calls = AtomicU64::new(0);
        Arc::new(move |_, _| {
            // Threads that only decode are not the scheduler's.
            if !thread::is_taken() {
                return Fault::Pass;
            }
            if scheduler.is_killed(life) {
                // It came to the end of the call in which it was killed, and gets no further.
                thread::sleep(Duration::ZERO);
            }
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            if matches!(end, End::AtCall(last) if call == last) {
                scheduler.kill(life);
                if scheduler.happens(0.5) {
                    scheduler.linger();
                }
                // Unless it lingers, it is not carried out.
                return Fault::Stall(Duration::from_millis(scheduler.below(400)));
            }
            if scheduler.elapsed() > CALM {
                return Fault::Pass;
            }
            if scheduler.happens(chances.fails) {
                return Fault::Fail;
            }
            if scheduler.happens(chances.answer_lost) {
                return Fault::FailAfterDoing;
            }
            let most = if scheduler.happens(chances.stalls) { 3_000 } else { 4 };
            if scheduler.happens(0.3) {
                scheduler.linger();
            }
            Fault::Stall(Duration::from_millis(scheduler.below(most)))
        })
    }
}

/// The workers of a life.
struct Crew {
    total: usize,
    guards: Result<WorkerGuards<()>, String>,
    views: Vec<Arc<JobView>>,
    ended: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<JobError>>>,
}

impl Crew {
    fn start(
        world: &World<'_>,
        (plan, spec): (&LifePlan, JobSpec),
        life: Life,
        state: &Arc<JobState>,
        sink: Arc<Sink>,
    ) -> Crew {
        let spec = Arc::new(spec);
        let total = plan.workers * plan.processes;
        let views: Vec<_> =
            (0..plan.processes).map(|_| Arc::new(JobView::new(plan.workers, total))).collect();
        let resume = state.resume();
        let jobs = views.iter().enumerate().map(|(process, view)| Job {
            spec: spec.clone(),
            source: Arc::new(LogFrom::new(world.log.clone(), resume.as_ref())),
            sink: sink.clone(),
            registry: None,
            rejects: None,
            view: view.clone(),
            workers_per_process: plan.workers,
            epoch: state.epoch(),
            range: None,
            resume: resume.clone(),
            audit: None,
            state: (process == 0).then(|| state.clone()),
        });
        let jobs: Vec<Job> = jobs.collect();
        let config = if total == 1 { Config::Thread } else { Config::Process(total) };
        let (ended, failures) = (Arc::<AtomicU64>::default(), Arc::<Mutex<Vec<JobError>>>::default());
        let places: Vec<usize> =
            (0..total).map(|index| world.scheduler.place(life, index / plan.workers)).collect();
        let (scheduler, workers) = (world.scheduler.clone(), plan.workers);
        let (theirs, failed) = (ended.clone(), failures.clone());
        let run = move |allocator: Allocator| {
            let index = allocator.index();
            let work = || {
                let mut worker = Worker::new(WorkerConfig::default(), allocator, None);
                match run_worker(&mut worker, &jobs[index / workers]) {
                    Ok(()) => drop(theirs.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => failed.lock().push(error),
                }
            };
            scheduler.take_place(places[index], work);
        };
        let started =
            config.try_build().and_then(|(builders, others)| initialize_from(builders, others, run));
        Crew { total, guards: started, views, ended, failures }
    }

    fn stop(&self) {
        self.views.iter().for_each(|view| view.request_stop());
    }

    /// What it means that a worker has given up, if one has: its process would end then.
    fn given_up(&self) -> Option<Ended> {
        let failures = self.failures.lock();
        let fenced_off = |failure: &JobError| {
            use StateFailure::{Store, Superseded};
            matches!(failure, JobError::State(Superseded { .. } | Store(StateError::Superseded { .. })))
        };
        failures.first().map(|first| match first {
            failure if fenced_off(failure) => Ended::FencedOff,
            failure => Ended::Failed(failure.to_string()),
        })
    }
}
