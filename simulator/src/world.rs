//! Lives a plan to its end: starts the job, kills or stops it, starts it again on what is left, and says what went wrong.

use crate::crew::{Crew, Ended, Start};
use crate::delivered::Delivered;
use crate::leftovers;
use crate::log::{Gap, Log, Missed};
use crate::plan::{End, FaultPlan, LEAST_KEPT, LifePlan, Plan, Settings, T0};
use crate::scheduler::{Life, Scheduler};
use crate::sink::Sink;
use crest_connectors::snapshot::SnapshotSink;
use crest_connectors::source::Partition;
use crest_connectors::state::{Fault, Faults, StateError, StateStore};
use crest_host::{Host, clock, thread};
use crest_state::error::StateRefusal;
use crest_state::job_state::{JobState, OpenOptions};
use crest_state::replay::Resume;
use crest_state::retention::Retention;
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use timely_communication::WorkerGuards;

/// How often the director looks how a life is doing.
const LOOK: Duration = Duration::from_millis(40);
/// After so long nothing goes wrong any more.
const CALM: Duration = Duration::from_secs(30);
/// How long the life has that removes what others have left.
const CLEANING: Duration = Duration::from_secs(2);
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
    if plan.overflows && !plan.depends() && outcome.faults.is_empty() {
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
        truncations: plan.truncations.clone(),
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
        calm: Cell::new(false),
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
    /// Whether nothing goes wrong any more.
    calm: Cell<bool>,
    /// Of the workers of all lives.
    guards: RefCell<Vec<WorkerGuards<()>>>,
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
                Ended::Through => return self.clean_up(plan, life + 1),
                Ended::Failed(why) => return Some(format!("life {life}: {why}")),
                Ended::Stalled(why) => return Some(why),
                Ended::Cut | Ended::FencedOff => {
                    thread::sleep(Duration::from_millis(self.scheduler.below(1_500)))
                }
            }
        }
        None
    }

    /// Lets another life, with which nothing goes wrong, remove what the others have left in the store. Says what is left all
    /// the same.
    fn clean_up(&self, last: &LifePlan, life: Life) -> Option<String> {
        self.calm.set(true);
        // A call in which the last life was killed may still be carried out.
        while self.scheduler.has_threads() {
            thread::sleep(LOOK);
        }
        let plan = LifePlan { workers: 1, processes: 1, end: End::Stop(CLEANING), ..last.clone() };
        if let Ended::Failed(why) | Ended::Stalled(why) = self.life(&plan, life) {
            return Some(format!("when it starts again: {why}"));
        }
        let panes = |time: Duration| time.div_duration_f64(self.plan.spec.time.pane).ceil() as u64;
        // A life may have come to the end of the input and been killed then: the next one has nothing to commit, and lets
        // nothing expire.
        let boards = self.plan.lives.iter().flat_map(|life| &life.boards.specs);
        let windows = boards.flat_map(|board| board.sliding_windows());
        let needed = windows.map(|window| window.size + window.slide).max().unwrap_or_default();
        // Panes below one rollup of a minute expire together, once it is there.
        let kept = self.plan.lives.iter().all(|life| life.settings.kept.is_some());
        let oldest = (kept && self.plan.bounded).then(|| panes(LEAST_KEPT.max(needed) + 2 * LEAST_KEPT));
        match leftovers::wrong(&self.store, oldest) {
            Ok(wrong) if wrong.is_empty() => None,
            Ok(wrong) => Some(wrong.join("; ")),
            Err(error) => Some(error.to_string()),
        }
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
        spec.boards = plan.boards.specs.clone();
        let mut retention = Retention::default();
        if kept.is_some() {
            ["pane", "1m"].iter().all(|level| retention.set(level, kept));
        }
        let now = clock::wall_clock_ms().unsigned_abs();
        let options = OpenOptions {
            reset: &plan.boards.reset,
            bounded: self.plan.bounded,
            heartbeat: true,
            seen: None,
        };
        let opened = JobState::open_with(store, &spec, "log", &retention, now, &options);
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
        let Some(configuration) = self.delivered.configuration(state.epoch()) else {
            return Err(Ended::Failed("the manifest that it has claimed was never there".into()));
        };
        self.delete(state.resume().as_ref())?;
        let last = match plan.end {
            End::AtFinal(last) => Some(last),
            _ => None,
        };
        let sink = Arc::new(Sink {
            delivered: self.delivered.clone(),
            configuration,
            scheduler: self.scheduler.clone(),
            life,
            last,
            fails: self.chances().sink_fails,
            waiting: Mutex::default(),
        });
        let start = Start {
            plan,
            spec,
            life,
            state: &state,
            sink: sink.clone(),
            log: self.log.clone(),
            missed: self.missed(life, state.resume().as_ref()),
        };
        let crew = Crew::start(&self.scheduler, start);
        if let Err(why) = &crew.guards {
            return Err(Ended::Failed(format!("its workers cannot be started: {why}")));
        }
        let ended = self.watch(plan, life, &crew);
        if let Ended::Through = ended {
            let (told, gone) = (crew.gap_records(), self.delivered.gone(life));
            if crew.is_over() && told != gone {
                return Err(Ended::Failed(format!("{gone} records were gone, and the job tells of {told}")));
            }
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

    /// Has the oracle told of the records that a life misses.
    fn missed(&self, life: Life, resume: Option<&Resume>) -> Missed {
        let pane_ms = self.plan.spec.time.pane.as_millis() as i64;
        let pane = |resume: &Resume| i64::try_from(resume.durable).unwrap_or(i64::MAX);
        let durable = resume.map_or(i64::MIN, |resume| pane(resume).saturating_mul(pane_ms));
        let delivered = self.delivered.clone();
        Arc::new(move |partition, records| delivered.note_gap(Gap { life, partition, records, durable }))
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
            if crew.is_over() {
                return if stopped { Ended::Cut } else { Ended::Through };
            }
            let due = matches!(plan.end, End::Stop(time) if clock::since(began) >= time);
            if due && !stopped {
                stopped = true;
                crew.stop();
            }
            if !self.plan.bounded && !stopped && !self.calm.get() && self.delivered.are_all() {
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

    fn chances(&self) -> FaultPlan {
        if self.calm.get() { FaultPlan::NONE } else { self.plan.faults }
    }

    /// Decides on each call of the store.
    fn faults(&self, plan: &LifePlan, life: Life) -> Faults {
        let (scheduler, chances, end) = (self.scheduler.clone(), self.chances(), plan.end);
        let delivered = self.delivered.clone();
        let calls = AtomicU64::new(0);
        Arc::new(move |_, _| {
            // Threads that only decode are not the scheduler's.
            if !thread::is_taken() {
                return Fault::Pass;
            }
            delivered.look();
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
