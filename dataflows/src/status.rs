//! What the workers of a job know of each other: each one's status, broadcast a few times a second over the
//! control dataflow and kept here for the sources, the watchdog and the metrics of the process.

use crate::replay::ReplaySteps;
use crate::tally::BoardTally;
use crest_connectors::source::SourceStats;
use crest_formats::refusal::Refusal;
use crest_state::monitor::{Monitor, Progress, StateCounts};
use crest_state::pane::END;
use crest_state::pane::Pane;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What one worker has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerCounts {
    /// Records read from the source.
    pub records: u64,
    /// Events counted in at least one board.
    pub events: u64,
    /// Well-formed events that no board's filter takes.
    pub unmatched: u64,
    /// Records that an earlier run has counted or refused, and that were read again.
    pub replayed: u64,
    /// Well-formed events of panes that are not among those to be counted.
    pub outside: u64,
    /// Refused records by reason, indexed as [`Refusal::ALL`]; late ones among them.
    pub refused: [u64; Refusal::ALL.len()],
    /// Events that were counted in the whole only, since their pane had too many groups in its partition.
    pub groups_refused: u64,
    /// Rejected records that could not be written to the rejects file.
    pub rejects_lost: u64,
    /// Bytes of the open panes' sketches.
    pub sketch_bytes: u64,
    /// Pane sketches that are open.
    pub open_panes: u64,
    /// What each board has met, in the order of the spec.
    pub boards: Vec<BoardTally>,
    /// Whether a record that was refused for its time had anything in a field of the schema's timestamp.
    pub saw_timestamp: bool,
    /// Of the source reader.
    pub source: SourceStats,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its watermark, in milliseconds since 1970 UTC; `None` before its first event.
    pub watermark: Option<i64>,
    /// Records that are not read yet, as last known.
    pub lag: u64,
    /// That all windows wait for it.
    pub holding: Option<Holding>,
    /// Since when it has waited for the end of a transaction, in milliseconds since 1970 UTC; `None` where it does not.
    pub open_transaction: Option<i64>,
}

/// That a partition holds the windows of all back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// For how long its watermark has stood still, in milliseconds.
    pub ms: u64,
    /// Why it does.
    pub why: Standing,
}

/// Why the watermark of a partition that is not idle stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing comes of it, and it is not known to be read to its end: its broker does not answer, or keeps back what
    /// it has.
    Waiting,
    /// What is read of it does not move time: it is not counted, or is no newer.
    Reading,
    /// It is read to its end, and is waited for until it has been silent for the idle timeout.
    Silent,
}

impl Standing {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Standing::Waiting => "nothing comes of it, and it is not known to be read to its end",
            Standing::Reading => "what is read of it is not counted, or is no newer",
            Standing::Silent => "it is read to its end, and has not been silent for idle_timeout yet",
        }
    }
}

/// What a worker tells all others. Times are event time in milliseconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Which worker, of the whole cluster.
    pub worker: usize,
    /// The least watermark among its partitions that hold the windows back; `None` when none does.
    pub active: Option<i64>,
    /// Whether at least one of its partitions holds the windows back (also before its first event).
    pub holding: bool,
    /// The greatest watermark among its partitions.
    pub newest: Option<i64>,
    /// All its partitions ended (bounded sources), or it was stopped.
    pub ended: bool,
    /// It was asked to stop, and so must all.
    pub stopping: bool,
    /// Partitions by name.
    pub partitions: BTreeMap<String, PartitionStatus>,
    /// The first pane that it may still add events to; `None` when it adds none any more.
    pub held: Option<Pane>,
    /// What it has read of its partitions by then; nothing where no state is kept.
    pub read: Vec<ReplaySteps>,
    /// On process 0 of a job with state: all panes before it are durable.
    pub durable: Option<Pane>,
    /// What it has counted.
    pub counts: WorkerCounts,
}

/// What the aggregation operators of this process have done (process 0 holds them all).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoardCounts {
    /// The frontier, in ms: all panes before it are closed.
    pub frontier: Option<i64>,
    /// Final snapshots published.
    pub finals: u64,
    /// Provisional snapshots published.
    pub provisionals: u64,
    /// Panes merged and closed.
    pub panes: u64,
    /// Weight of closed panes that was counted in the whole board only, since it was of groups beyond `max_groups`.
    pub refused_weight: u64,
    /// Time spent merging panes, in all, in nanoseconds.
    pub merge_ns: u64,
    /// Time spent sliding and ranking, in all, in nanoseconds.
    pub rank_ns: u64,
    /// Bytes that the windows hold.
    pub window_bytes: u64,
    /// Groups that the windows hold.
    pub groups: u64,
}

/// The state of the job as one process sees it. Shared by its workers, the watchdog and the HTTP API.
#[derive(Debug)]
pub struct JobView {
    stop: AtomicBool,
    seen: AtomicU32,
    workers: Mutex<Vec<Option<(Instant, WorkerStatus)>>>,
    boards: Mutex<BTreeMap<String, BoardCounts>>,
    state: Mutex<Option<StateCounts>>,
    beats: Vec<AtomicU64>,
    started: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JobView {
    /// For a process with `local` of the cluster's `workers`.
    pub fn new(local: usize, workers: usize) -> Self {
        JobView {
            stop: AtomicBool::new(false),
            seen: AtomicU32::new(0),
            workers: Mutex::new(vec![None; workers]),
            boards: Mutex::default(),
            state: Mutex::default(),
            beats: (0..local).map(|_| AtomicU64::new(0)).collect(),
            started: Instant::now(),
        }
    }

    /// Asks the whole cluster to stop, without closing the open panes. May be called from any thread.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether a stop was asked for, here or anywhere in the cluster.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether this is the first refusal of its kind in this process, which is worth a line in the log.
    pub fn first_of_kind(&self, refusal: Refusal) -> bool {
        let bit = 1 << refusal as u32;
        self.seen.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// A worker of this process (its index within the process) is alive.
    pub fn beat(&self, local: usize) {
        self.beats[local].store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// How long ago the most silent worker of this process was last alive.
    pub fn longest_silence(&self) -> Duration {
        let now = self.started.elapsed().as_millis() as u64;
        let oldest = self.beats.iter().map(|b| b.load(Ordering::Relaxed)).min().unwrap_or(now);
        Duration::from_millis(now.saturating_sub(oldest))
    }

    /// Keeps a status that came over the control dataflow.
    pub fn note(&self, status: WorkerStatus) {
        if status.stopping {
            self.request_stop();
        }
        let mut workers = lock(&self.workers);
        if let Some(slot) = workers.get_mut(status.worker) {
            *slot = Some((Instant::now(), status));
        }
    }

    /// The latest status of each worker of the cluster, with when it came; `None` before the first.
    pub fn workers(&self) -> Vec<Option<(Instant, WorkerStatus)>> {
        lock(&self.workers).clone()
    }

    /// Calls `look` with the latest statuses, without copying them.
    pub fn with_workers<R>(&self, look: impl FnOnce(&[Option<(Instant, WorkerStatus)>]) -> R) -> R {
        look(&lock(&self.workers))
    }

    /// The least watermark of the partitions that hold the windows back, and the greatest of all: of all workers, as
    /// they told last. Times are event time in milliseconds since 1970 UTC.
    pub fn watermarks(&self) -> (Option<i64>, Option<i64>) {
        self.with_workers(|workers| {
            let known = || workers.iter().flatten().map(|(_, status)| status);
            let holding = known().filter(|status| status.holding);
            let slowest = holding.map(|status| status.active.unwrap_or(0)).min();
            (slowest, known().filter_map(|status| status.newest).max())
        })
    }

    /// The aggregation operators' counts by board.
    pub fn boards(&self) -> BTreeMap<String, BoardCounts> {
        lock(&self.boards).clone()
    }

    /// Changes the counts of a board.
    pub fn update_board(&self, board: &str, change: impl FnOnce(&mut BoardCounts)) {
        let mut boards = lock(&self.boards);
        match boards.get_mut(board) {
            Some(counts) => change(counts),
            None => change(boards.entry(board.to_owned()).or_default()),
        }
    }

    /// What the committer of the state has done; `None` where no state is kept.
    pub fn state(&self) -> Option<StateCounts> {
        lock(&self.state).clone()
    }

    /// Up to which pane all is durable, as worker 0 said last: `None` before it spoke, `Some(None)` when no state is
    /// kept.
    pub fn durable(&self) -> Option<Option<Pane>> {
        self.with_workers(|workers| workers.first()?.as_ref().map(|(_, status)| status.durable))
    }
}

impl Monitor for JobView {
    fn stopping(&self) -> bool {
        JobView::stopping(self)
    }

    fn progress(&self, closed: Pane) -> Option<Progress> {
        self.with_workers(|workers| {
            let mut frontier = closed;
            for worker in workers {
                let (_, status) = worker.as_ref()?;
                frontier = frontier.min(status.held.unwrap_or(END));
            }
            let read = workers.iter().flatten().flat_map(|(_, status)| &status.read);
            let partitions = read.map(|read| (read.partition, read.at(frontier))).collect();
            Some(Progress { frontier, partitions })
        })
    }

    fn update(&self, change: &mut dyn FnMut(&mut StateCounts)) {
        change(lock(&self.state).get_or_insert_default());
    }
}
