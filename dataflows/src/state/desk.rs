//! Where the aggregating workers hand in what is closed and say how far they are, and where the keeper says what
//! is durable. Nobody waits here for the store.

use super::StateFailure;
use crate::event_time::Pane;
use crate::levels::Block;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The end of all panes, where a bounded log has been counted whole.
pub(super) const END: Pane = Pane::MAX;

/// The encoded digests of one pane of one board, by group.
pub(crate) type EncodedGroups = BTreeMap<String, Vec<u8>>;

/// See the module.
pub(crate) struct Desk {
    durable: AtomicU64,
    failure: OnceLock<StateFailure>,
    papers: Mutex<Papers>,
    changed: Condvar,
}

/// What lies on the desk.
#[derive(Default)]
pub(super) struct Papers {
    /// Closed panes that are not durable, by board.
    pub(super) waiting: BTreeMap<Pane, BTreeMap<u32, EncodedGroups>>,
    /// Rollups of panes that are durable, not stored themselves, by board.
    pub(super) rollups: BTreeMap<Block, BTreeMap<u32, EncodedGroups>>,
    /// Of each aggregating worker: up to which pane its boards' are closed and handed in.
    closed: BTreeMap<usize, Pane>,
    /// Of each aggregating worker: up to which pane its boards' final snapshots were handed to the sink.
    published: BTreeMap<usize, Pane>,
    aggregators: usize,
    pub(super) over: bool,
}

impl Papers {
    fn least(&self, of: &BTreeMap<usize, Pane>) -> Pane {
        if of.len() < self.aggregators { 0 } else { of.values().copied().min().unwrap_or(0) }
    }

    pub(super) fn closed(&self) -> Pane {
        self.least(&self.closed)
    }

    pub(super) fn published(&self) -> Pane {
        self.least(&self.published)
    }
}

impl Desk {
    pub(super) fn new(durable: Pane) -> Self {
        Desk {
            durable: AtomicU64::new(durable),
            failure: OnceLock::new(),
            papers: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many workers aggregate boards.
    pub(super) fn expect(&self, aggregators: usize) {
        self.lock().aggregators = aggregators;
    }

    /// Hands in a closed pane of a board.
    pub(crate) fn offer(&self, board: u32, pane: Pane, groups: EncodedGroups) {
        self.lock().waiting.entry(pane).or_default().insert(board, groups);
    }

    /// Hands in the rollup of a board over a block that is durable and complete; all of those before a pane are handed
    /// in when [`published_to`](Self::published_to) says so of the pane.
    pub(crate) fn offer_rollup(&self, board: u32, block: Block, groups: EncodedGroups) {
        self.lock().rollups.entry(block).or_default().insert(board, groups);
    }

    /// All panes before `frontier` of the boards of this worker were handed in; `None`: there will be no more.
    pub(crate) fn closed_to(&self, worker: usize, frontier: Option<Pane>) {
        let mut papers = self.lock();
        if papers.closed.insert(worker, frontier.unwrap_or(END)) != Some(frontier.unwrap_or(END)) {
            self.changed.notify_all();
        }
    }

    /// All final snapshots of this worker's boards whose windows end at or before the pane were given to the sink.
    pub(crate) fn published_to(&self, worker: usize, pane: Option<Pane>) {
        let mut papers = self.lock();
        papers.published.insert(worker, pane.unwrap_or(END));
        if pane.is_none() {
            self.changed.notify_all();
        }
    }

    /// All panes before it are durable; `None` when a bounded log is, to its end.
    pub(crate) fn durable(&self) -> Option<Pane> {
        Some(self.durable.load(Ordering::Acquire)).filter(|pane| *pane != END)
    }

    /// Why the state is kept no longer, if so.
    pub(crate) fn failure(&self) -> Option<StateFailure> {
        self.failure.get().cloned()
    }

    /// Whether the state is kept no longer: nothing may be published any more.
    pub(crate) fn failed(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn fail(&self, failure: StateFailure) {
        let _ = self.failure.set(failure);
        self.changed.notify_all();
    }

    pub(super) fn set_durable(&self, durable: Pane) {
        self.durable.store(durable, Ordering::Release);
    }

    pub(super) fn set_over(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits a moment for all to be over; whether it is.
    pub(super) fn wait_over(&self) -> bool {
        let papers = self.lock();
        let moment = Duration::from_millis(20);
        let waited = self.changed.wait_timeout_while(papers, moment, |papers| !papers.over);
        waited.unwrap_or_else(PoisonError::into_inner).0.over
    }

    /// Waits at most for `time` for news, and looks at what is there.
    pub(super) fn look<R>(&self, time: Duration, look: impl FnOnce(&mut Papers) -> R) -> R {
        let waited = self.changed.wait_timeout(self.lock(), time);
        look(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Looks at what is there.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Papers) -> R) -> R {
        look(&mut self.lock())
    }
}
