//! The interface between the state and its job: how far the workers are, and what the committer has done.

use crate::input::Input;
use crate::pane::Pane;
use crate::replay::Replay;
use crate::spec::JobSpec;
use crest_connectors::snapshot::SnapshotSink;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What the committer has done since the start (on process 0 of a job with state).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateCounts {
    /// The durable frontier, as an event time in milliseconds since 1970 UTC.
    pub durable: i64,
    /// The number of commits.
    pub commits: u64,
    /// The total time of all commits, with the writing of their objects, in nanoseconds.
    pub commit_ns: u64,
    /// The number of objects of panes that were written.
    pub panes: u64,
    /// The number of objects of rollups that were written.
    pub rollups: u64,
    /// The size of the objects and manifests that were written, in bytes.
    pub bytes: u64,
    /// The number of calls of the store that failed and were repeated.
    pub retries: u64,
    /// Why and since when the job waits for the store; `None` while the store works.
    pub waiting: Option<Waiting>,
    /// When the call of the store that is under way began; `None` where there is none.
    pub calling: Option<Instant>,
    /// When the last manifest was written, in ms since 1970 by the wall clock; 0 before the first.
    pub last_commit: i64,
}

/// The job waits for a store that fails. Meanwhile no pane becomes durable, and no final ranking is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When the first call failed, in ms since 1970 by the wall clock.
    pub since: i64,
    /// The error of that call.
    pub reason: String,
}

/// How far all workers of a job are.
#[derive(Clone, Debug, Default)]
pub struct WorkersProgress {
    /// The frontier: no worker adds events to a pane before it any more.
    pub frontier: Pane,
    /// Where each partition is read on, once all panes before the frontier are durable.
    pub partitions: BTreeMap<u64, Replay>,
}

/// What the state sees of the workers of its job.
pub trait Monitor: Send + Sync {
    /// Whether the job was asked to stop.
    fn stopping(&self) -> bool;

    /// How far all workers are; `None` until each of them has reported it. The frontier is at most `closed`, the pane
    /// before which all panes are in the commit queue.
    fn progress(&self, closed: Pane) -> Option<WorkersProgress>;

    /// Changes the counts of the committer.
    fn update(&self, change: &mut dyn FnMut(&mut StateCounts));
}

/// What the state needs from its job.
#[derive(Clone)]
pub struct JobLink {
    /// The spec of the job.
    pub spec: Arc<JobSpec>,
    /// What it counts.
    pub source: Input,
    /// The sink of its snapshots.
    pub sink: Arc<dyn SnapshotSink>,
    /// The view of its workers.
    pub monitor: Arc<dyn Monitor>,
    /// The number of workers that aggregate boards. They are the first ones.
    pub aggregators: usize,
}
