//! What the state and its job know of each other: how far the workers are, and what was made durable.

use crate::pane::Pane;
use crate::replay::Replay;
use crate::spec::JobSpec;
use crest_connectors::snapshot::SnapshotSink;
use crest_connectors::source::SourceFactory;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What the committer has done since the start (on process 0 of a job with state).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateCounts {
    /// All that is before this event time (ms) is durable.
    pub durable: i64,
    /// Manifests written.
    pub commits: u64,
    /// Time that the commits took, with the objects that they name, in all, in nanoseconds.
    pub commit_ns: u64,
    /// Objects of panes written.
    pub panes: u64,
    /// Objects of rollups written.
    pub rollups: u64,
    /// Bytes written, of objects and manifests.
    pub bytes: u64,
    /// Calls of the store that failed and were repeated.
    pub retries: u64,
    /// The store fails just now, and the job waits for it.
    pub waiting: Option<Waiting>,
    /// Since when a call of the store is under way.
    pub calling: Option<Instant>,
    /// When the last manifest was written, in ms since 1970 by the wall clock; 0 before the first.
    pub last_commit: i64,
}

/// A store that fails: no pane becomes durable, and no final ranking comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Since when, in ms since 1970 by the wall width.
    pub since: i64,
    /// Why, as the store said first.
    pub reason: String,
}

/// How far all workers of a job are.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// No worker adds to a pane before it any more.
    pub frontier: Pane,
    /// Where the partitions are read on when all panes before the frontier are durable.
    pub partitions: BTreeMap<u32, Replay>,
}

/// What the state sees of the workers of its job.
pub trait Monitor: Send + Sync {
    /// Whether the job was asked to stop.
    fn stopping(&self) -> bool;

    /// How far all workers are, where the panes before `closed` are closed and handed in; `None` until all of them have
    /// said so.
    fn progress(&self, closed: Pane) -> Option<Progress>;

    /// Changes what is counted of the state.
    fn update(&self, change: &mut dyn FnMut(&mut StateCounts));
}

/// What the state takes from its job.
#[derive(Clone)]
pub struct JobLink {
    /// What it computes.
    pub spec: Arc<JobSpec>,
    /// Where events come from.
    pub source: Arc<dyn SourceFactory>,
    /// Where snapshots go.
    pub sink: Arc<dyn SnapshotSink>,
    /// How far its workers are.
    pub monitor: Arc<dyn Monitor>,
    /// How many workers, the first ones, aggregate boards.
    pub aggregators: usize,
}
