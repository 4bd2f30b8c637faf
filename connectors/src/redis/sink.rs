//! The sink: takes snapshots, and hands them to the thread that writes.

use super::error::describe;
use super::link::{OPEN_TIMEOUT, Purpose};
use super::options::RedisOptions;
use super::pending::Pending;
use super::shared::{Shared, SinkState};
use super::stats::RedisStats;
use super::writer::Writer;
use crate::snapshot::{Retired, SinkError, Snapshot, SnapshotSink};
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Publishes snapshots in Redis.
pub struct RedisSink {
    shared: Arc<Shared>,
}

impl RedisSink {
    /// Connects, and starts the thread that writes.
    ///
    /// # Errors
    /// [`SinkError::Invalid`] for a URL or an option that makes no sense, [`SinkError::Unreachable`] where Redis
    /// does not answer within about 5 s, or refuses.
    pub fn open(options: RedisOptions) -> Result<Self, SinkError> {
        let target = options.target(Purpose::Writing)?;
        let url = options.url.to_string();
        let buckets_only = options.buckets_only;
        let state = SinkState { pending: Pending::new(buckets_only), buckets_only, ..SinkState::default() };
        let (state, work, done) = (Mutex::new(state), Condition::new(), Condition::new());
        let hindered = OnceLock::new();
        let shared = Arc::new(Shared { url: url.clone(), state, work, done, hindered });
        let unreachable = |reason: String| SinkError::Unreachable { url: url.clone(), reason };
        let (opened, answer) = sync_channel(1);
        let writer = Writer::new(shared.clone(), target, &options);
        crest_host::thread::spawn("redis", move || writer.run(&opened)).map_err(|error| {
            unreachable(format!("the thread that writes to it cannot be started: {error}"))
        })?;
        // A name that does not resolve may keep the thread for longer.
        let sink = RedisSink { shared };
        match answer.recv_timeout(OPEN_TIMEOUT + Duration::from_secs(1)) {
            Ok(Ok(())) => Ok(sink),
            Ok(Err(error)) => Err(unreachable(describe(&error))),
            Err(_) => Err(unreachable(format!("no answer within {} s", OPEN_TIMEOUT.as_secs()))),
        }
    }

    /// What became of the snapshots so far.
    pub fn stats(&self) -> RedisStats {
        let state = self.shared.state.lock();
        RedisStats {
            dropped: state.pending.dropped + state.held.dropped + state.early.dropped + state.unremoved,
            pending: state.waiting() as u64,
            disconnected: state.outage.is_on(),
            ..state.stats
        }
    }

    /// What keeps rankings from being written just now, in words.
    pub fn trouble(&self) -> Option<String> {
        let state = self.shared.state.lock();
        match state.outage.reason() {
            Some(why) => Some(format!("cannot be written; the newest rankings wait: {why}")),
            None => state.refused.clone(),
        }
    }

    /// Sets how to find out whether the job is held up, which readers can see from then on. Only the first call counts.
    pub fn tell_whether(&self, hindered: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.shared.hindered.set(Box::new(hindered));
    }
}

impl SnapshotSink for RedisSink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        let mut state = self.shared.state.lock();
        state.pending.add(snapshot);
        state.removals.cancel(snapshot);
        state.held_removals.cancel(snapshot);
        if snapshot.counters {
            state.tell_of_missing_counters(snapshot);
        }
        drop(state);
        self.shared.work.notify_one();
    }

    fn retire(&self, group: &Retired) {
        let mut state = self.shared.state.lock();
        if state.buckets_only {
            return;
        }
        let SinkState { pending, held, early, removals, unremoved, .. } = &mut *state;
        *unremoved += removals.add(group, |name| {
            [&mut *pending, held, early].into_iter().for_each(|waiting| waiting.forget(name));
        });
        drop(state);
        self.shared.work.notify_one();
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let mut state = self.shared.state.lock();
        state.hurry = true;
        self.shared.work.notify_one();
        let busy = |state: &mut SinkState| {
            state.hurry || state.pending.len() + state.removals.len() + state.in_flight > 0
        };
        self.shared.done.wait_while_until(&mut state, busy, deadline);
        let (left, why) = if busy(&mut state) {
            let left = state.waiting() - state.early.len() - state.held_removals.len();
            (left, state.outage.reason().unwrap_or("the time for it is over"))
        } else {
            match (state.held.len(), &state.refused) {
                (0, _) | (_, None) => return Ok(()),
                (held, Some(why)) => (held, why.as_str()),
            }
        };
        let reason = format!("{left} snapshots could not be delivered: {why}");
        Err(SinkError::Unreachable { url: self.shared.url.clone(), reason })
    }

    /// Gives the keys back to other jobs.
    fn close(&self, deadline: Instant) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.work.notify_one();
        self.shared.done.wait_while_until(&mut state, |state| !state.ended, deadline);
    }
}

impl Drop for RedisSink {
    /// Lets the thread go; call `flush` first to know that all was written.
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_one();
    }
}
