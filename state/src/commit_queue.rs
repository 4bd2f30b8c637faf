//! The queue between the workers that aggregate boards and the thread that commits. Workers push closed panes and
//! rollups, and report how far they are; the committer publishes the durable frontier. No worker ever waits here for the store.

use crate::error::StateFailure;
use crate::levels::Block;
use crate::pane::{END, EncodedGroups, Pane};
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Shared by the aggregating workers of process 0 and its committer.
pub struct CommitQueue {
    durable: AtomicU64,
    failure: OnceLock<StateFailure>,
    queued: Mutex<Queued>,
    changed: Condition,
    on_commit: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

/// The queue's contents.
#[derive(Default)]
pub(super) struct Queued {
    /// Closed panes that no commit has taken yet, by board.
    pub(super) waiting: BTreeMap<Pane, BTreeMap<u32, EncodedGroups>>,
    /// Rollups that no commit has taken yet, by board. Their panes are durable.
    pub(super) rollups: BTreeMap<Block, BTreeMap<u32, EncodedGroups>>,
    /// The board, the region and the panes that its events are missing from, which no commit has taken yet.
    pub(super) missing: Vec<(u32, Arc<str>, Range<Pane>)>,
    /// For each aggregating worker, the pane before which all of its boards' panes were pushed.
    closed: BTreeMap<usize, Pane>,
    /// For each aggregating worker, the pane before which all of its boards' final snapshots went to the sink.
    published: BTreeMap<usize, Pane>,
    /// The last pane with an event, of the workers whose partitions have ended.
    last: Option<Pane>,
    aggregators: usize,
    pub(super) over: bool,
}

impl Queued {
    fn least(&self, of: &BTreeMap<usize, Pane>) -> Pane {
        if of.len() < self.aggregators { 0 } else { of.values().copied().min().unwrap_or(0) }
    }

    pub(super) fn closed(&self) -> Pane {
        self.least(&self.closed)
    }

    pub(super) fn published(&self) -> Pane {
        self.least(&self.published)
    }

    /// Takes what regions are missing from before a pane.
    pub(super) fn take_missing(&mut self, before: Pane) -> Vec<(u32, Arc<str>, Range<Pane>)> {
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for (board, region, panes) in self.missing.drain(..) {
            let at = before.clamp(panes.start, panes.end);
            let parts = [(&mut taken, panes.start..at), (&mut left, at..panes.end)];
            for (part, panes) in parts.into_iter().filter(|(_, panes)| !panes.is_empty()) {
                part.push((board, region.clone(), panes));
            }
        }
        self.missing = left;
        taken
    }

    /// The end of the last pane with an event, once the log has ended.
    pub(super) fn end(&self) -> Pane {
        self.waiting.keys().last().copied().max(self.last).map_or(0, |last| last + 1)
    }
}

impl CommitQueue {
    pub(super) fn new(durable: Pane) -> Self {
        CommitQueue {
            durable: AtomicU64::new(durable),
            failure: OnceLock::new(),
            queued: Mutex::default(),
            changed: Condition::new(),
            on_commit: Mutex::default(),
        }
    }

    /// Has `wake` called, by the committer's thread, whenever the durable frontier may have moved and when the committer
    /// has given up.
    pub fn on_commit(&self, wake: impl Fn() + Send + 'static) {
        self.on_commit.lock().push(Box::new(wake));
    }

    fn wake(&self) {
        self.on_commit.lock().iter().for_each(|wake| wake());
    }

    /// Sets how many workers aggregate boards. Until all of them have reported, nothing counts as closed.
    pub(super) fn expect(&self, aggregators: usize) {
        self.queued.lock().aggregators = aggregators;
    }

    /// Pushes a closed pane of a board.
    pub fn push_pane(&self, board: u32, pane: Pane, groups: EncodedGroups) {
        self.queued.lock().waiting.entry(pane).or_default().insert(board, groups);
    }

    /// Pushes panes of a board that the events of a region are missing from. They come before [`closed_to`](Self::closed_to)
    /// reports them as closed.
    pub fn push_missing(&self, board: u32, region: Arc<str>, panes: Range<Pane>) {
        self.queued.lock().missing.push((board, region, panes));
    }

    /// Pushes the rollup of a board over a block that is complete and durable. A worker pushes all rollups that end at
    /// or before a pane before it reports that pane to [`published_to`](Self::published_to).
    pub fn push_rollup(&self, board: u32, block: Block, groups: EncodedGroups) {
        self.queued.lock().rollups.entry(block).or_default().insert(board, groups);
    }

    /// Reports that all panes before `frontier` of this worker's boards were pushed; `None` says that no more will
    /// come.
    pub fn closed_to(&self, worker: usize, frontier: Option<Pane>) {
        let mut queued = self.queued.lock();
        if queued.closed.insert(worker, frontier.unwrap_or(END)) != Some(frontier.unwrap_or(END)) {
            self.changed.notify_all();
        }
    }

    /// Reports the last pane with an event, of a worker whose partitions have ended. All of these reports come before
    /// [`closed_to`](Self::closed_to) says that no more panes will come.
    pub fn ends_with(&self, last: Pane) {
        let mut queued = self.queued.lock();
        queued.last = queued.last.max(Some(last));
    }

    /// Reports that the final snapshots of this worker's boards whose windows end at or before the pane went to the
    /// sink; `None` says that all did.
    pub fn published_to(&self, worker: usize, pane: Option<Pane>) {
        let mut queued = self.queued.lock();
        queued.published.insert(worker, pane.unwrap_or(END));
        if pane.is_none() {
            self.changed.notify_all();
        }
    }

    /// The durable frontier: all panes before it are durable. `None` when a bounded log is durable to its end.
    pub fn durable(&self) -> Option<Pane> {
        Some(self.durable.load(Ordering::Acquire)).filter(|pane| *pane != END)
    }

    /// Why the committer has given up, if it has.
    pub fn failure(&self) -> Option<StateFailure> {
        self.failure.get().cloned()
    }

    pub(super) fn fail(&self, failure: StateFailure) {
        let _ = self.failure.set(failure);
        self.changed.notify_all();
        self.wake();
    }

    pub(super) fn set_durable(&self, durable: Pane) {
        self.durable.store(durable, Ordering::Release);
        self.wake();
    }

    pub(super) fn set_over(&self) {
        self.queued.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits up to 20 ms for the committer to be done, and returns whether it is.
    pub(super) fn wait_over(&self) -> bool {
        let mut queued = self.queued.lock();
        self.changed.wait_while_for(&mut queued, |queued| !queued.over, Duration::from_millis(20));
        queued.over
    }

    /// Waits for a report for at most `time`, then calls `look` with the contents.
    pub(super) fn look<R>(&self, time: Duration, look: impl FnOnce(&mut Queued) -> R) -> R {
        let mut queued = self.queued.lock();
        self.changed.wait_for(&mut queued, time);
        look(&mut queued)
    }

    /// Calls `look` with the contents.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Queued) -> R) -> R {
        look(&mut self.queued.lock())
    }
}
