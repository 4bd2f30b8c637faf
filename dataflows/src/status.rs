//! What the workers of a job know of each other. Each worker broadcasts its status a few times a second over the
//! control dataflow; it is kept here for the sources, the watchdog and the metrics of the process.

use crate::match_counts::MatchCounts;
use crate::passage::Passages;
use crate::replay::ReplaySteps;
use crest_connectors::source::SourceStats;
use crest_formats::refusal::Refusal;
use crest_host::clock;
use crest_state::monitor::{Monitor, StateCounts, WorkersProgress};
use crest_state::pane::{END, Pane};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How many names of fields are kept, and how long they may be.
const MAX_NAMES: usize = 512;
const MAX_NAME_BYTES: usize = 128;

/// What one worker has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerCounts {
    /// Records read from the source.
    pub records: u64,
    /// Events counted in at least one board.
    pub events: u64,
    /// Those of the counted events that only windows of the whole input have, since they are late for others.
    pub late_in_whole: u64,
    /// Well-formed events that no board's filter takes.
    pub unmatched: u64,
    /// Records that say only that their key is deleted; they are not among the refused.
    pub tombstones: u64,
    /// Records without an element of the array whose elements are the events; they are not among the refused.
    pub without_events: u64,
    /// Records that an earlier run has counted or refused, and that were read again.
    pub replayed: u64,
    /// Well-formed events outside the panes that the job counts (see [`Job::range`](crate::job::Job::range)).
    pub outside: u64,
    /// Refused records by reason, indexed as [`Refusal::ALL`]; they include late events.
    pub refused: [u64; Refusal::ALL.len()],
    /// Events that were counted in the whole board only, since their partition had too many groups in their pane.
    pub groups_refused: u64,
    /// Rejected records that could not be written to the rejects file.
    pub rejects_lost: u64,
    /// Bytes of the open panes' sketches.
    pub sketch_bytes: u64,
    /// Pane sketches that are open.
    pub open_panes: u64,
    /// How each board's configuration matches the events, in the order of the spec.
    pub boards: Vec<MatchCounts>,
    /// Whether any record that was refused for its time had a value in one of the schema's timestamp fields.
    pub saw_timestamp: bool,
    /// What the source's reader reports of itself.
    pub source: SourceStats,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its watermark, in milliseconds since 1970 UTC; `None` before its first event.
    pub watermark: Option<i64>,
    /// Records that are not read yet, as last known.
    pub lag: u64,
    /// Set while the windows of all wait for this partition.
    pub holding: Option<Holding>,
    /// Since when it has waited for the end of a transaction, in milliseconds since 1970 UTC; `None` while it does not.
    pub open_transaction: Option<i64>,
}

/// For how long, and why, a partition has held the windows of all back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// For how long its watermark has stood still, or has been far behind, in milliseconds.
    pub ms: u64,
    /// Why the windows wait for it.
    pub why: Standing,
}

/// Why the watermark of a partition that is not idle stands still, or is far behind those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No records arrive, and it is not known whether the partition is read to its end: its broker does not answer, or
    /// withholds records.
    Waiting,
    /// Records are read but do not move time: they are not counted, or are no newer than those before.
    Reading,
    /// The partition is read to its end, and the windows wait until it has been silent for the idle timeout.
    Silent,
    /// It moves, but its events are much older than those of another partition.
    Behind,
}

impl Standing {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Standing::Waiting => "nothing comes of it, and it is not known to be read to its end",
            Standing::Reading => "what is read of it is not counted, or is no newer",
            Standing::Silent => "it is read to its end, and has not been silent for idle_timeout yet",
            Standing::Behind => "its events are much older than those of another partition",
        }
    }
}

/// What a worker reports to all others. Times are event time in milliseconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The worker's index in the cluster.
    pub worker: usize,
    /// The least watermark among its partitions that hold the windows back; `None` when none does.
    pub active: Option<i64>,
    /// Whether at least one of its partitions holds the windows back (also before its first event).
    pub holding: bool,
    /// The greatest watermark among its partitions.
    pub newest: Option<i64>,
    /// Whether all its partitions have ended (bounded sources), or it was stopped.
    pub ended: bool,
    /// Whether it was asked to stop; all workers must then stop.
    pub stopping: bool,
    /// Its partitions by name.
    pub partitions: BTreeMap<String, PartitionStatus>,
    /// The first pane that it may still add events to; `None` when it adds no more.
    pub held: Option<Pane>,
    /// What it had read of each partition when it reported; empty where no state is kept.
    pub read: Vec<ReplaySteps>,
    /// On process 0 of a job with state: the first pane that is not durable.
    pub durable: Option<Pane>,
    /// What it has counted.
    pub counts: WorkerCounts,
}

/// What the aggregation operators of this process have done (process 0 holds them all).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoardCounts {
    /// The frontier, in milliseconds since 1970 UTC: all finals that end at or before it are published.
    pub frontier: Option<i64>,
    /// Final snapshots published.
    pub finals: u64,
    /// Provisional snapshots published.
    pub provisionals: u64,
    /// Panes merged and closed.
    pub panes: u64,
    /// Weight in closed panes that was counted in the whole board only, since its groups were beyond `max_groups`.
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
    names: Mutex<Arc<BTreeSet<String>>>,
    passages: OnceLock<Arc<Passages>>,
    beats: Vec<AtomicU64>,
    started: Instant,
}

impl JobView {
    /// The view of a process that runs `local` of the cluster's `workers`.
    pub fn new(local: usize, workers: usize) -> Self {
        JobView {
            stop: AtomicBool::new(false),
            seen: AtomicU32::new(0),
            workers: Mutex::new(vec![None; workers]),
            boards: Mutex::default(),
            state: Mutex::default(),
            names: Mutex::default(),
            passages: OnceLock::new(),
            beats: (0..local).map(|_| AtomicU64::new(0)).collect(),
            started: clock::now(),
        }
    }

    /// Asks the whole cluster to stop, without closing the open panes. Any thread may call it.
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

    /// Notes names of fields that events have, up to [`MAX_NAMES`].
    pub fn note_names(&self, names: Vec<String>) {
        let mut known = self.names.lock();
        let known = Arc::make_mut(&mut known);
        for name in names {
            if known.len() < MAX_NAMES && name.len() <= MAX_NAME_BYTES {
                known.insert(name);
            }
        }
    }

    /// Names of fields that some events had which this process has read, as the configuration would name them.
    pub fn names(&self) -> Arc<BTreeSet<String>> {
        self.names.lock().clone()
    }

    /// Notes that a worker of this process is alive. `local` is its index within the process.
    pub fn beat(&self, local: usize) {
        self.beats[local].store(clock::since(self.started).as_millis() as u64, Ordering::Relaxed);
    }

    /// The longest time since any worker of this process last called [`beat`](Self::beat).
    pub fn longest_silence(&self) -> Duration {
        let now = clock::since(self.started).as_millis() as u64;
        let oldest = self.beats.iter().map(|b| b.load(Ordering::Relaxed)).min().unwrap_or(now);
        Duration::from_millis(now.saturating_sub(oldest))
    }

    /// Keeps a status that came over the control dataflow.
    pub fn note(&self, status: WorkerStatus) {
        if status.stopping {
            self.request_stop();
        }
        let mut workers = self.workers.lock();
        if let Some(slot) = workers.get_mut(status.worker) {
            *slot = Some((clock::now(), status));
        }
    }

    /// The latest status of each worker of the cluster and when it arrived; `None` before a worker's first.
    pub fn workers(&self) -> Vec<Option<(Instant, WorkerStatus)>> {
        self.workers.lock().clone()
    }

    /// Calls `look` with the latest statuses, without copying them.
    pub fn with_workers<R>(&self, look: impl FnOnce(&[Option<(Instant, WorkerStatus)>]) -> R) -> R {
        look(&self.workers.lock())
    }

    /// The least watermark of the partitions that hold the windows back, and the greatest watermark of all partitions,
    /// by the latest reports of all workers. Times are event time in milliseconds since 1970 UTC.
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
        self.boards.lock().clone()
    }

    /// Changes the counts of a board.
    pub fn update_board(&self, board: &str, change: impl FnOnce(&mut BoardCounts)) {
        let mut boards = self.boards.lock();
        match boards.get_mut(board) {
            Some(counts) => change(counts),
            None => change(boards.entry(board.to_owned()).or_default()),
        }
    }

    /// From now on notes the way of some panes, and where it is.
    pub fn follow_panes(&self) -> Arc<Passages> {
        self.passages.get_or_init(Arc::default).clone()
    }

    /// Where the way of panes is noted, if it is.
    pub(crate) fn passages(&self) -> Option<&Passages> {
        self.passages.get().map(|passages| &**passages)
    }

    /// What the committer of the state has done; `None` where no state is kept.
    pub fn state(&self) -> Option<StateCounts> {
        self.state.lock().clone()
    }

    /// The first pane that is not durable, by worker 0's latest report: `None` before its first report, `Some(None)` when
    /// no state is kept.
    pub fn durable(&self) -> Option<Option<Pane>> {
        self.with_workers(|workers| workers.first()?.as_ref().map(|(_, status)| status.durable))
    }
}

impl Monitor for JobView {
    fn stopping(&self) -> bool {
        JobView::stopping(self)
    }

    fn progress(&self, closed: Pane) -> Option<WorkersProgress> {
        self.with_workers(|workers| {
            let mut frontier = closed;
            for worker in workers {
                let (_, status) = worker.as_ref()?;
                frontier = frontier.min(status.held.unwrap_or(END));
            }
            let read = workers.iter().flatten().flat_map(|(_, status)| &status.read);
            let partitions = read.map(|read| (read.partition, read.at(frontier))).collect();
            Some(WorkersProgress { frontier, partitions })
        })
    }

    fn update(&self, change: &mut dyn FnMut(&mut StateCounts)) {
        change(self.state.lock().get_or_insert_default());
    }
}
