//! What the thread that writes shares with the sink: what waits, and what became of it.

use super::error::describe;
use super::outcome::{Outcome, Removal};
use super::pending::{Pending, Write};
use super::remove::Removals;
use super::stats::RedisStats;
use crate::outage::Outage;
use crate::snapshot::Snapshot;
use ::redis::RedisError;
use crest_host::clock;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(super) struct Shared {
    /// Without secrets.
    pub(super) url: String,
    pub(super) state: Mutex<SinkState>,
    /// For the thread: something came, or is to be tried at once, or the sink was dropped.
    pub(super) work: Condition,
    /// For the callers of `flush` and `close`.
    pub(super) done: Condition,
    /// Whether the job is held up just now; not set while nobody has said how to find out.
    pub(super) hindered: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
}

#[derive(Default)]
pub(super) struct SinkState {
    pub(super) pending: Pending,
    /// Refused, since another job writes them or a key is not ours; tried again once in a while.
    pub(super) held: Pending,
    /// Refused, since an earlier run has shown a later time; tried again once in a while.
    pub(super) early: Pending,
    /// What is in the way, in words.
    pub(super) refused: Option<String>,
    pub(super) removals: Removals,
    /// Refused as writes are; tried again once in a while.
    pub(super) held_removals: Removals,
    pub(super) buckets_only: bool,
    /// Removals that were not done since too many waited.
    pub(super) unremoved: u64,
    /// Taken by the thread and not written yet.
    pub(super) in_flight: usize,
    pub(super) stats: RedisStats,
    /// The boards of whose counters some are missing, and were said to be.
    pub(super) cut: HashSet<Arc<str>>,
    pub(super) outage: Outage,
    pub(super) hurry: bool,
    pub(super) closed: bool,
    /// The thread has ended.
    pub(super) ended: bool,
}

impl Shared {
    /// Waits for something to do, at most until `again`: then, or when somebody is in a hurry, what was refused is tried
    /// again. `None` once the sink was dropped; otherwise also whether it was time.
    pub(super) fn take(&self, again: Instant) -> Option<(Vec<Write>, Vec<Removal>, bool)> {
        let mut state = self.state.lock();
        let idle = |state: &mut SinkState| {
            state.pending.len() + state.removals.len() == 0 && !state.closed && !state.hurry
        };
        self.work.wait_while_until(&mut state, idle, again);
        if state.closed {
            return None;
        }
        let all = std::mem::take(&mut state.hurry) || clock::now() >= again;
        if all {
            let refused = [state.held.take(), state.early.take()].concat();
            state.pending.put_back(refused);
            let SinkState { pending, removals, held_removals, .. } = &mut *state;
            removals.put_back(held_removals.take(), |name| pending.holds(name));
        }
        let (writes, removals) = (state.pending.take(), state.removals.take());
        let SinkState { held, early, .. } = &mut *state;
        for later in [held, early].into_iter().filter(|later| later.len() > 0) {
            writes.iter().for_each(|write| later.drop_before(write));
        }
        state.in_flight = writes.len() + removals.len();
        Some((writes, removals, all))
    }

    /// Tells what became of the writes that were taken.
    pub(super) fn settle(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        state.in_flight = 0;
        state.stats.rounds += outcome.rounds;
        state.stats.round_time += outcome.round_time;
        state.stats.written += outcome.written;
        state.stats.outdated += outcome.outdated;
        (state.stats.fenced, state.stats.foreign) = outcome.refusals;
        state.refused = outcome.refused;
        state.held.put_back(outcome.held);
        state.early.put_back(outcome.early);
        state.stats.removed += outcome.removed;
        state.pending.put_back(outcome.failed);
        let SinkState { pending, removals, held_removals, .. } = &mut *state;
        removals.put_back(outcome.unremoved, |name| pending.holds(name));
        held_removals.put_back(outcome.held_removals, |name| pending.holds(name));
        match outcome.error {
            Some(error) => state.lose(&error),
            None => state.recover(),
        }
        drop(state);
        self.done.notify_all();
    }

    /// Waits before the next attempt, unless somebody is in a hurry or the sink was dropped.
    pub(super) fn back_off(&self, backoff: Duration) {
        let idle = |state: &mut SinkState| !state.hurry && !state.closed;
        self.work.wait_while_for(&mut self.state.lock(), idle, backoff);
    }

    /// Notes that the thread has ended.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.done.notify_all();
    }

    pub(super) fn hindered(&self) -> bool {
        self.hindered.get().is_some_and(|hindered| hindered())
    }
}

impl SinkState {
    pub(super) fn waiting(&self) -> usize {
        let writes = self.pending.len() + self.held.len() + self.early.len();
        writes + self.removals.len() + self.held_removals.len() + self.in_flight
    }

    /// A bucket with more items than a ranking has keeps the counts of the top ones: to be told once a board.
    pub(super) fn tell_of_missing_counters(&mut self, snapshot: &Snapshot) {
        let Snapshot { board, window, total, items, k, .. } = snapshot;
        let listed: u64 = items.iter().map(|item| item.count).sum();
        if items.len() >= *k as usize && listed < *total && self.cut.insert(board.clone()) {
            let start = chrono::DateTime::from_timestamp_millis(snapshot.window_start).unwrap_or_default();
            tracing::warn!(
                "Redis: board {board} has more than {k} items in a bucket of {window} ({}): only the top {k} of such \
                 buckets are kept, here {listed} of a total of {total}",
                start.format("%Y-%m-%dT%H:%M:%SZ")
            );
        }
    }

    pub(super) fn lose(&mut self, error: &RedisError) {
        let why = describe(error);
        self.stats.failures += 1;
        if self.outage.begin(&why) {
            tracing::warn!("Redis: snapshots cannot be written; the newest are kept and tried again: {why}");
        }
    }

    pub(super) fn recover(&mut self) {
        if let Some(lasted) = self.outage.end() {
            tracing::info!("Redis: snapshots are written again, after {:.1} s", lasted.as_secs_f64());
        }
    }
}
