//! Redis: rankings as sorted sets, which any client reads with `ZREVRANGE key 0 9 WITHSCORES`.
//!
//! Every ranking is replaced whole, together with its meta hash, by one script, and an older run of the job or
//! an older window never replaces a newer one. A thread of its own writes; while Redis is away, the newest
//! snapshot of each ranking waits, and is published on its return.
//!
//! [`RedisReader`] is the way back: it rebuilds what was published, from the server itself or a replica of it.

mod call;
mod keys;
mod link;
mod pending;
mod read;
mod rebuild;

pub use keys::RankingName;
pub use read::{Damaged, Read, RedisReader};
pub use rebuild::Version;

use crate::snapshot::{SinkError, Snapshot, SnapshotSink};
use crate::url::without_secrets;
use ::redis::{Cmd, RedisError};
use call::Calls;
use link::{Link, OPEN_TIMEOUT, Purpose, Target};
use pending::{Pending, Write};
use std::collections::HashSet;
use std::fmt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Between two attempts: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Snapshots written in one pipeline …
const PIPELINE: usize = 128;
/// … unless they have more rows than this, which keep a server busy for about a tenth of a second.
const PIPELINE_ROWS: usize = 100_000;

/// How snapshots go to Redis.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port/db`, `rediss://…`, `redis+cluster://host:port,host:port` or
    /// `redis+sentinel://host:port,host:port/master/db`.
    pub url: String,
    /// Before every key: `topk:`.
    pub key_prefix: String,
    /// How long a ranking outlives its last refresh; `None` for ever.
    pub ttl: Option<Duration>,
    /// How long the buckets of tumbling windows stay: a day.
    pub bucket_ttl: Duration,
    /// Whether only the buckets of tumbling windows are written, and neither a current ranking nor its meta hash is
    /// touched: no.
    pub buckets_only: bool,
}

impl RedisOptions {
    /// With the defaults.
    pub fn new(url: &str) -> Self {
        RedisOptions {
            url: url.to_owned(),
            key_prefix: "topk:".to_owned(),
            ttl: None,
            bucket_ttl: Duration::from_secs(24 * 60 * 60),
            buckets_only: false,
        }
    }

    /// Whom they name.
    fn target(&self, purpose: Purpose) -> Result<Target, SinkError> {
        let invalid = |reason: String| SinkError::Invalid { url: without_secrets(&self.url), reason };
        if self.key_prefix.contains(['{', '}']) {
            return Err(invalid("key_prefix: braces would part a ranking from its meta in a cluster".into()));
        }
        Target::parse(&self.url, purpose).map_err(invalid)
    }
}

impl fmt::Debug for RedisOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &without_secrets(&self.url))
            .field("key_prefix", &self.key_prefix)
            .field("ttl", &self.ttl)
            .field("bucket_ttl", &self.bucket_ttl)
            .field("buckets_only", &self.buckets_only)
            .finish()
    }
}

/// What became of the snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RedisStats {
    /// Rankings and buckets written.
    pub written: u64,
    /// Not written, since Redis held a newer one already.
    pub outdated: u64,
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
}

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
}

#[derive(Default)]
struct State {
    pending: Pending,
    /// Taken by the thread and not written yet.
    in_flight: usize,
    stats: RedisStats,
    last_error: Option<String>,
    /// The boards of whose counters some are missing, and were said to be.
    cut: HashSet<Arc<str>>,
    lost_since: Option<Instant>,
    hurry: bool,
    closed: bool,
}

impl RedisSink {
    /// Connects, and starts the thread that writes.
    ///
    /// # Errors
    /// [`SinkError::Invalid`] for a URL or an option that makes no sense, [`SinkError::Unreachable`] where Redis
    /// does not answer within about 5 s, or refuses.
    pub fn open(options: RedisOptions) -> Result<Self, SinkError> {
        let target = options.target(Purpose::Writing)?;
        let url = without_secrets(&options.url);
        let state = State { pending: Pending::new(options.buckets_only), ..State::default() };
        let (state, work, done) = (Mutex::new(state), Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { url: url.clone(), state, work, done });
        let unreachable = |reason: String| SinkError::Unreachable { url: url.clone(), reason };
        let (opened, answer) = sync_channel(1);
        let writer = Writer { shared: shared.clone(), target, link: None, calls: Calls::new(&options) };
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
        let state = self.shared.lock();
        RedisStats {
            dropped: state.pending.dropped,
            pending: state.waiting() as u64,
            disconnected: state.lost_since.is_some(),
            ..state.stats
        }
    }
}

impl SnapshotSink for RedisSink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        let mut state = self.shared.lock();
        state.pending.add(snapshot);
        if snapshot.counters {
            state.tell_of_missing_counters(snapshot);
        }
        drop(state);
        self.shared.work.notify_one();
    }

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let mut state = self.shared.lock();
        state.hurry = true;
        self.shared.work.notify_one();
        while state.waiting() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = state.last_error.clone().unwrap_or_else(|| "the time for it is over".to_owned());
                let reason = format!("{} snapshots could not be delivered: {why}", state.waiting());
                return Err(SinkError::Unreachable { url: self.shared.url.clone(), reason });
            }
            state = self.shared.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for RedisSink {
    /// Lets the thread go; call `flush` first to know that all was written.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to write; `None` once the sink was dropped.
    fn take(&self) -> Option<Vec<Write>> {
        let mut state = self.lock();
        while state.pending.len() == 0 && !state.closed {
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        let writes = state.pending.take();
        state.in_flight = writes.len();
        Some(writes)
    }

    /// Tells what became of the writes that were taken.
    fn settle(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.in_flight = 0;
        state.stats.rounds += outcome.rounds;
        state.stats.round_time += outcome.round_time;
        state.stats.written += outcome.written;
        state.stats.outdated += outcome.outdated;
        state.pending.put_back(outcome.failed);
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
        let waited = self.work.wait_timeout_while(self.lock(), backoff, idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.hurry = false;
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.pending.len() + self.in_flight
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
        if self.lost_since.is_none() {
            self.lost_since = Some(Instant::now());
            tracing::warn!("Redis: snapshots cannot be written; the newest are kept and tried again: {why}");
        }
        self.last_error = Some(why);
    }

    fn recover(&mut self) {
        self.last_error = None;
        if let Some(since) = self.lost_since.take() {
            tracing::info!(
                "Redis: snapshots are written again, after {:.1} s",
                since.elapsed().as_secs_f64()
            );
        }
    }
}

/// The thread that writes.
struct Writer {
    shared: Arc<Shared>,
    target: Target,
    link: Option<Link>,
    calls: Calls,
}

/// What became of some writes.
#[derive(Default)]
struct Outcome {
    rounds: u64,
    round_time: Duration,
    written: u64,
    outdated: u64,
    failed: Vec<Write>,
    error: Option<RedisError>,
}

impl Writer {
    fn run(mut self, opened: &SyncSender<Result<(), RedisError>>) {
        let first = self.target.connect_at_start().map(|link| self.link = Some(link));
        let failed = first.is_err();
        if opened.send(first).is_err() || failed {
            return;
        }
        let mut backoff = BACKOFF.0;
        while let Some(writes) = self.shared.take() {
            let outcome = self.write(writes);
            let failed = outcome.error.is_some();
            self.shared.settle(outcome);
            if failed {
                self.shared.back_off(backoff);
                backoff = (backoff * 2).min(BACKOFF.1);
            } else {
                backoff = BACKOFF.0;
            }
        }
    }

    fn write(&mut self, mut writes: Vec<Write>) -> Outcome {
        let mut outcome = Outcome::default();
        while !writes.is_empty() {
            let rest = writes.split_off(pipeline(&writes));
            if let Err((error, writes)) = self.write_some(writes, &mut outcome) {
                // Nothing further will fare better on this connection.
                outcome.failed.extend(writes);
                outcome.failed.extend(rest);
                outcome.error = Some(error);
                break;
            }
            writes = rest;
        }
        if outcome.error.is_some() {
            self.link = None;
        }
        outcome
    }

    /// One pipeline. Where the connection fails, all of it is given back.
    fn write_some(
        &mut self,
        writes: Vec<Write>,
        outcome: &mut Outcome,
    ) -> Result<(), (RedisError, Vec<Write>)> {
        let calls: Vec<Cmd> = writes.iter().map(|write| self.calls.of(write)).collect();
        let began = Instant::now();
        let results = match self.call(&calls) {
            Ok(results) => results,
            Err(error) => return Err((error, writes)),
        };
        outcome.rounds += 1;
        outcome.round_time += began.elapsed();
        for (write, result) in writes.into_iter().zip(results) {
            match result {
                Ok(0) => outcome.outdated += 1,
                Ok(_) => outcome.written += 1,
                Err(error) => {
                    outcome.failed.push(write);
                    outcome.error = Some(error);
                }
            }
        }
        Ok(())
    }

    /// Runs calls on the connection there is, or on a new one. One that was closed while it was idle is no
    /// outage, and to publish twice does no harm.
    fn call(&mut self, calls: &[Cmd]) -> Result<Vec<Result<i64, RedisError>>, RedisError> {
        if let Some(link) = &mut self.link {
            match link.run(&self.calls.script, calls) {
                Err(error) if error.is_connection_dropped() => {}
                result => return result,
            }
        }
        let link = self.link.insert(self.target.connect()?);
        link.run(&self.calls.script, calls)
    }
}

/// How many of some writes go in one pipeline: at least one.
fn pipeline(writes: &[Write]) -> usize {
    let mut rows = 0;
    let fits = |write: &&Write| {
        rows += write.snapshot().items.len();
        rows <= PIPELINE_ROWS
    };
    writes.iter().take(PIPELINE).take_while(fits).count().max(1)
}

/// The error in words.
fn describe(error: &RedisError) -> String {
    // The system's own words for it are those of any call that would block.
    if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }
}
