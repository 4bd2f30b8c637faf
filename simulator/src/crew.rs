//! The workers of a life.

use crate::log::{Log, LogFrom, Missed};
use crate::plan::LifePlan;
use crate::scheduler::{Life, Scheduler};
use crate::sink::Sink;
use crest_connectors::state::StateError;
use crest_dataflows::job::{Job, JobError};
use crest_dataflows::status::JobView;
use crest_dataflows::wiring::run_worker;
use crest_state::error::StateFailure;
use crest_state::input::Input;
use crest_state::job_state::JobState;
use crest_state::spec::JobSpec;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use timely::WorkerConfig;
use timely::worker::Worker;
use timely_communication::{Allocator, Config, WorkerGuards, initialize_from};

/// How a life ended.
pub enum Ended {
    /// The job came to its end.
    Through,
    /// It was killed or stopped.
    Cut,
    /// A later claim of its state has fenced it off, as it must.
    FencedOff,
    /// It has given up by itself.
    Failed(String),
    /// It does not come to its end.
    Stalled(String),
}

/// What the workers of a life are started with.
pub struct Start<'l> {
    /// How they are shared out among processes.
    pub plan: &'l LifePlan,
    /// The job.
    pub spec: JobSpec,
    /// The life.
    pub life: Life,
    /// Its state.
    pub state: &'l Arc<JobState>,
    /// Where it publishes.
    pub sink: Arc<Sink>,
    /// What it reads.
    pub log: Arc<Log>,
    /// Is told which records it misses.
    pub missed: Missed,
}

/// The workers of a life.
pub struct Crew {
    total: usize,
    /// To wait for their end, unless they could not be started.
    pub guards: Result<WorkerGuards<()>, String>,
    views: Vec<Arc<JobView>>,
    ended: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<JobError>>>,
}

impl Crew {
    /// Starts them.
    pub fn start(scheduler: &Arc<Scheduler>, start: Start<'_>) -> Crew {
        let Start { plan, spec, life, state, sink, log, missed } = start;
        let spec = Arc::new(spec);
        let total = plan.workers * plan.processes;
        let views: Vec<_> =
            (0..plan.processes).map(|_| Arc::new(JobView::new(plan.workers, total))).collect();
        let resume = state.resume();
        let jobs = views.iter().enumerate().map(|(process, view)| Job {
            spec: spec.clone(),
            source: Input::Records(Arc::new(LogFrom::new(log.clone(), resume.as_ref(), missed.clone()))),
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
            (0..total).map(|index| scheduler.place(life, index / plan.workers)).collect();
        let (scheduler, workers) = (scheduler.clone(), plan.workers);
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

    /// Whether all have come to their end.
    pub fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst) == self.total as u64
    }

    /// How many records were gone when they came to them, as the job counts them.
    pub fn gap_records(&self) -> u64 {
        // Each process knows of all workers.
        let workers = self.views.first().map(|view| view.workers()).into_iter().flatten();
        workers.flatten().map(|(_, status)| status.counts.source.gap_records).sum()
    }

    /// Asks the job to stop.
    pub fn stop(&self) {
        self.views.iter().for_each(|view| view.request_stop());
    }

    /// What it means that a worker has given up, if one has: its process would end then.
    pub fn given_up(&self) -> Option<Ended> {
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
