//! Redis: rankings as sorted sets, which any client reads with `ZREVRANGE key 0 9 WITHSCORES`.
//!
//! Every ranking is replaced whole, together with its meta hash, by one script, and an older run of the job or
//! an older window never replaces a newer one. Of several jobs over the same keys the newest that is alive writes, see
//! `lease.rs`; what no job has written is left as it is, see `refusal.rs`. A thread of its own writes; while Redis is away,
//! the newest snapshot of each ranking waits, and is published on its return.
//!
//! [`RedisReader`] is the way back: it rebuilds what was published, from the server itself or a replica of it.

mod call;
mod keys;
mod lease;
mod link;
mod pending;
mod read;
mod rebuild;
mod refusal;
mod remove;
mod writer;

pub use keys::RankingName;
pub use read::{Damaged, Read, RedisReader, Tending};
pub use rebuild::Version;

use crate::endpoint::RedisUrl;
use crate::outage::Outage;
use crate::snapshot::{Retired, SinkError, Snapshot, SnapshotSink};
use ::redis::RedisError;
use link::{OPEN_TIMEOUT, Purpose, Target};
use parking_lot::{Condvar, Mutex};
use pending::{Pending, Write};
use remove::Removals;
use std::collections::HashSet;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use writer::{Outcome, Removal, Writer};

/// How snapshots go to Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Which servers.
    pub url: RedisUrl,
    /// Before every key: `topk:`.
    pub key_prefix: String,
    /// How long a ranking outlives its last refresh; `None` for ever.
    pub ttl: Option<Duration>,
    /// How long the buckets of tumbling windows stay: a day.
    pub bucket_ttl: Duration,
    /// Whether only the buckets of tumbling windows are written, and neither a current ranking nor its meta hash is
    /// touched: no.
    pub buckets_only: bool,
    /// For how long what an earlier run left is only replaced by what is newer, while this one catches up with it: 1 min.
    pub catch_up: Duration,
    /// How often the job shows open windows, which readers are told: 1 s.
    pub refresh: Duration,
}

impl RedisOptions {
    /// With the defaults.
    pub fn new(url: RedisUrl) -> Self {
        RedisOptions {
            url,
            key_prefix: "topk:".to_owned(),
            ttl: None,
            bucket_ttl: Duration::from_secs(24 * 60 * 60),
            buckets_only: false,
            catch_up: Duration::from_secs(60),
            refresh: Duration::from_secs(1),
        }
    }

    /// The clients of the servers.
    fn target(&self, purpose: Purpose) -> Result<Target, SinkError> {
        let invalid = |reason: String| SinkError::Invalid { url: self.url.to_string(), reason };
        if self.key_prefix.contains(['{', '}']) {
            return Err(invalid("key_prefix: braces would part a ranking from its meta in a cluster".into()));
        }
        Target::new(&self.url, purpose).map_err(invalid)
    }
}

/// What became of the snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RedisStats {
    /// Rankings and buckets written.
    pub written: u64,
    /// Not written, since Redis held a newer one already.
    pub outdated: u64,
    /// Rankings removed, since their groups had left.
    pub removed: u64,
    /// Attempts that failed; what they were to write is tried again.
    pub failures: u64,
    /// Pipelines sent and answered.
    pub rounds: u64,
    /// Time that they took, in all.
    pub round_time: Duration,
    /// Lost, since too many waited.
    pub dropped: u64,
    /// Waiting or on their way just now.
    pub pending: u64,
    /// Whether Redis cannot be written to just now.
    pub disconnected: bool,
    /// Windows whose rankings a newer job writes just now, while this one's wait.
    pub fenced: u64,
    /// Rankings that cannot be written, since of their keys one was not written by a job.
    pub foreign: u64,
}

/// Whether a job is held up just now, which its readers are told.
pub type Hindered = Box<dyn Fn() -> bool + Send + Sync>;

/// Publishes snapshots in Redis.
pub struct RedisSink {
    shared: Arc<Shared>,
}

struct Shared {
    /// Without secrets.
    url: String,
    state: Mutex<State>,
    /// For the thread: something came, or is to be tried at once, or the sink was dropped.
    work: Condvar,
    /// For those who flush.
    done: Condvar,
    hindered: OnceLock<Hindered>,
}

#[derive(Default)]
struct State {
    pending: Pending,
    /// Refused, since another job writes them or a key is not ours; tried again once in a while.
    held: Pending,
    /// Refused, since an earlier run has shown a later time; tried again once in a while.
    early: Pending,
    /// What is in the way, in words.
    refused: Option<String>,
    removals: Removals,
    /// Refused as writes are; tried again once in a while.
    held_removals: Removals,
    buckets_only: bool,
    /// Removals that were not done since too many waited.
    unremoved: u64,
    /// Taken by the thread and not written yet.
    in_flight: usize,
    stats: RedisStats,
    /// The boards of whose counters some are missing, and were said to be.
    cut: HashSet<Arc<str>>,
    outage: Outage,
    hurry: bool,
    closed: bool,
    /// The thread has ended.
    ended: bool,
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
        let state = State { pending: Pending::new(buckets_only), buckets_only, ..State::default() };
        let (state, work, done) = (Mutex::new(state), Condvar::new(), Condvar::new());
        let hindered = OnceLock::new();
        let shared = Arc::new(Shared { url: url.clone(), state, work, done, hindered });
        let unreachable = |reason: String| SinkError::Unreachable { url: url.clone(), reason };
        let (opened, answer) = sync_channel(1);
        let writer = Writer::new(shared.clone(), target, &options);
        let thread = thread::Builder::new().name("redis".into());
        thread.spawn(move || writer.run(&opened)).map_err(|error| {
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

    /// From now on readers are told whether the job is held up. The first one counts.
    pub fn tell_whether(&self, hindered: Hindered) {
        let _ = self.shared.hindered.set(hindered);
    }

    /// Ends the writing, and gives the keys back to other jobs; waits for it at most until `deadline`.
    pub fn close(&self, deadline: Instant) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.work.notify_one();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.shared.done.wait_for(&mut state, left);
        }
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
        let State { pending, held, early, removals, unremoved, .. } = &mut *state;
        *unremoved += removals.add(group, |name| {
            [&mut *pending, held, early].into_iter().for_each(|waiting| waiting.forget(name));
        });
        drop(state);
        self.shared.work.notify_one();
    }

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let mut state = self.shared.state.lock();
        state.hurry = true;
        self.shared.work.notify_one();
        while state.hurry || state.pending.len() + state.removals.len() + state.in_flight > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = state.outage.reason().unwrap_or("the time for it is over");
                let waiting = state.waiting() - state.early.len() - state.held_removals.len();
                let reason = format!("{waiting} snapshots could not be delivered: {why}");
                return Err(SinkError::Unreachable { url: self.shared.url.clone(), reason });
            }
            self.shared.done.wait_for(&mut state, left);
        }
        match (state.held.len(), &state.refused) {
            (0, _) | (_, None) => Ok(()),
            (held, Some(why)) => {
                let reason = format!("{held} snapshots could not be delivered: {why}");
                Err(SinkError::Unreachable { url: self.shared.url.clone(), reason })
            }
        }
    }
}

impl Drop for RedisSink {
    /// Lets the thread go; call `flush` first to know that all was written.
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    /// Waits for something to do, at most until `again`: then, or when somebody is in a hurry, what was refused is tried
    /// again. `None` once the sink was dropped; otherwise also whether it was time.
    fn take(&self, again: Instant) -> Option<(Vec<Write>, Vec<Removal>, bool)> {
        let mut state = self.state.lock();
        let mut left = again.saturating_duration_since(Instant::now());
        while state.pending.len() + state.removals.len() == 0
            && !state.closed
            && !state.hurry
            && !left.is_zero()
        {
            self.work.wait_for(&mut state, left);
            left = again.saturating_duration_since(Instant::now());
        }
        if state.closed {
            return None;
        }
        let all = std::mem::take(&mut state.hurry) || left.is_zero();
        if all {
            let refused = [state.held.take(), state.early.take()].concat();
            state.pending.put_back(refused);
            let State { pending, removals, held_removals, .. } = &mut *state;
            removals.put_back(held_removals.take(), |name| pending.holds(name));
        }
        let (writes, removals) = (state.pending.take(), state.removals.take());
        let State { held, early, .. } = &mut *state;
        for later in [held, early].into_iter().filter(|later| later.len() > 0) {
            writes.iter().for_each(|write| later.drop_before(write));
        }
        state.in_flight = writes.len() + removals.len();
        Some((writes, removals, all))
    }

    /// Tells what became of the writes that were taken.
    fn settle(&self, outcome: Outcome) {
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
        let State { pending, removals, held_removals, .. } = &mut *state;
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
    fn back_off(&self, backoff: Duration) {
        let idle = |state: &mut State| !state.hurry && !state.closed;
        self.work.wait_while_for(&mut self.state.lock(), idle, backoff);
    }

    /// Notes that the thread has ended.
    fn end(&self) {
        self.state.lock().ended = true;
        self.done.notify_all();
    }

    fn hindered(&self) -> bool {
        self.hindered.get().is_some_and(|hindered| hindered())
    }
}

impl State {
    fn waiting(&self) -> usize {
        let writes = self.pending.len() + self.held.len() + self.early.len();
        writes + self.removals.len() + self.held_removals.len() + self.in_flight
    }

    /// A bucket with more items than a ranking has keeps the counts of the top ones: to be told once a board.
    fn tell_of_missing_counters(&mut self, snapshot: &Snapshot) {
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

    fn lose(&mut self, error: &RedisError) {
        let why = describe(error);
        self.stats.failures += 1;
        if self.outage.begin(&why) {
            tracing::warn!("Redis: snapshots cannot be written; the newest are kept and tried again: {why}");
        }
    }

    fn recover(&mut self) {
        if let Some(lasted) = self.outage.end() {
            tracing::info!("Redis: snapshots are written again, after {:.1} s", lasted.as_secs_f64());
        }
    }
}

/// The error in words.
fn describe(error: &RedisError) -> String {
    // The system's own words for it are those of any call that would block.
    if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }
}
