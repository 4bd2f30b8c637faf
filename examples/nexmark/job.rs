//! Query 5 as a board, and a job of it that runs in this process to the end of its source.

use super::memory::Memory;
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_dataflows::job::{Job, JobError};
use crest_dataflows::status::JobView;
use crest_dataflows::wiring::run_worker;
use crest_state::input::Input;
use crest_state::spec::{BoardSpec, Engine, JobSpec, TimeSpec, WindowSpec};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub const WINDOW: Duration = Duration::from_secs(10);
pub const SLIDE: Duration = Duration::from_secs(2);
/// The answer is every auction that shares the most bids. That they are more than this is not to be expected, and told.
pub const K: usize = 100;

/// What a run has published, and how long it took to.
pub struct Run {
    pub rankings: Vec<Arc<Snapshot>>,
    pub seconds: f64,
}

fn hot_items(engine: Engine) -> JobSpec {
    let board = BoardSpec {
        name: "hot_items".into(),
        filter: BTreeMap::from([("event_type".into(), vec!["bid".to_owned()].into())]),
        item: Some("auction".into()),
        engine,
        k: K,
        windows: vec![WindowSpec::sliding("last_10s", WINDOW, SLIDE)],
        ..BoardSpec::default()
    };
    // Panes as wide as the slide are the widest that can make up the window.
    let time = TimeSpec { pane: SLIDE, ..TimeSpec::default() };
    JobSpec { boards: vec![board], time, ..JobSpec::default() }
}

/// Runs the job on so many worker threads.
///
/// # Errors
/// The board makes no sense, or a worker has failed.
pub fn run(engine: Engine, partitions: &[Arc<Vec<String>>], workers: usize) -> Result<Run, Box<dyn Error>> {
    let spec = hot_items(engine);
    spec.check()?;
    let finals = Arc::new(Finals::default());
    let job = Job {
        spec: Arc::new(spec),
        source: Input::Records(Arc::new(Memory(partitions.to_vec()))),
        sink: finals.clone(),
        registry: None,
        rejects: None,
        view: Arc::new(JobView::new(workers, workers)),
        workers_per_process: workers,
        epoch: 1,
        range: None,
        resume: None,
        audit: None,
        state: None,
    };
    let started = Instant::now();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        run_worker(worker, &job).unwrap_or_else(|error| give_up(&error));
    })?;
    guards.join().into_iter().collect::<Result<(), _>>()?;
    let rankings = std::mem::take(&mut *finals.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Run { rankings, seconds: started.elapsed().as_secs_f64() })
}

/// The other workers would wait for one that has failed: the process must end.
fn give_up(error: &JobError) {
    eprintln!("nexmark: {error}");
    std::process::exit(1);
}

/// Keeps the final rankings, in the order of their windows.
#[derive(Default)]
struct Finals(Mutex<Vec<Arc<Snapshot>>>);

impl SnapshotSink for Finals {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if snapshot.is_final {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(snapshot.clone());
        }
    }

    fn shows_provisionals(&self) -> bool {
        false
    }

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}
