//! A sink that keeps every final ranking, and takes none for a while now and then. What it was given and has not delivered
//! is lost with the life that gave it.

use crate::plan::Plan;
use crate::recount::{self, Expected, Key, key};
use crate::scheduler::{Life, Scheduler};
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_connectors::state::StateStore;
use crest_host::clock;
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many rankings wait at most before the sink takes no more.
const MOST_WAITING: usize = 6;

/// What all lives have delivered, and what is wrong with it.
pub struct Delivered {
    expected: Expected,
    overflows: bool,
    bounded: bool,
    /// What is durable is read from here, a pane being so many milliseconds.
    store: StateStore,
    pane_ms: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    finals: BTreeMap<Key, Snapshot>,
    /// The required ones that are not among them.
    missing: BTreeSet<Key>,
    faults: Vec<String>,
    /// The manifest that was read last, and what it says is durable.
    manifest: Vec<u8>,
    durable: i64,
}

impl Delivered {
    /// Nothing is delivered yet. Rankings are held against the expected counts, and against what the store has of their
    /// panes.
    pub fn new(plan: &Plan, store: StateStore) -> Self {
        let (expected, pane_ms) = (recount::expected(plan), plan.spec.time.pane.as_millis() as i64);
        let state = Mutex::new(State { missing: expected.required.clone(), ..State::default() });
        Delivered { expected, overflows: plan.overflows, bounded: plan.bounded, store, pane_ms, state }
    }

    /// The finals that were delivered.
    pub fn finals(&self) -> BTreeMap<Key, Snapshot> {
        self.state.lock().finals.clone()
    }

    /// What was wrong with a ranking.
    pub fn faults(&self) -> Vec<String> {
        self.state.lock().faults.clone()
    }

    /// The required rankings that were not delivered.
    pub fn missing(&self) -> Vec<Key> {
        self.state.lock().missing.iter().cloned().collect()
    }

    /// Whether all required rankings were delivered.
    pub fn are_all(&self) -> bool {
        self.state.lock().missing.is_empty()
    }

    fn take(&self, snapshot: Snapshot) {
        let key = key(&snapshot);
        let snapshot = Snapshot { computed_at: 0, bucket: false, epoch: 0, ..snapshot };
        let mut state = self.state.lock();
        let checked = recount::check(&snapshot, self.expected.rankings.get(&key), self.overflows);
        if let Err(fault) = checked {
            state.faults.push(format!("{key:?}: {fault}"));
        }
        if self.bounded && !self.expected.required.contains(&key) {
            state.faults.push(format!("{key:?} was delivered, and has no event or ends after the input"));
        }
        match state.durable(&self.store, self.pane_ms) {
            Some(durable) if durable >= snapshot.window_end => {}
            Some(durable) => {
                state.faults.push(format!("{key:?} was delivered when panes were durable up to {durable}"));
            }
            None => {
                state.faults.push(format!("{key:?} was delivered, and the manifest says not what is durable"))
            }
        }
        state.missing.remove(&key);
        if let Some(before) = state.finals.insert(key.clone(), snapshot.clone())
            && before != snapshot
        {
            state.faults.push(format!("{key:?} was delivered twice: {before:?}, then {snapshot:?}"));
        }
    }
}

/// What a manifest says of its job, as far as it is looked at here.
#[derive(Deserialize)]
struct Manifest {
    live: Live,
}

#[derive(Deserialize)]
struct Live {
    durable: i64,
    ended: bool,
}

impl State {
    /// Up to which time (ms) the store says that all is durable; without an end where the input is to its end.
    fn durable(&mut self, store: &StateStore, pane_ms: i64) -> Option<i64> {
        let manifest = store.manifest().ok()??.bytes;
        if self.manifest != manifest {
            let Manifest { live } = serde_json::from_slice(&manifest).ok()?;
            self.durable = if live.ended { i64::MAX } else { live.durable * pane_ms };
            self.manifest = manifest;
        }
        Some(self.durable)
    }
}

/// The sink of one life.
pub struct Sink {
    /// Where it delivers.
    pub delivered: Arc<Delivered>,
    /// By which it fails, and ends its life.
    pub scheduler: Arc<Scheduler>,
    /// The life that publishes to it.
    pub life: Life,
    /// The life is killed at its so many-th final ranking.
    pub last: Option<u64>,
    /// The probability that it begins to fail, each time it delivers.
    pub fails: f64,
    /// What was published and not delivered.
    pub waiting: Mutex<Waiting>,
}

/// What was published and not delivered.
#[derive(Default)]
pub struct Waiting {
    snapshots: Vec<Snapshot>,
    published: u64,
    fails_until: Option<Instant>,
}

impl Sink {
    /// Delivers what waits, unless it fails just now. Returns whether nothing waits any more.
    fn deliver(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let now = clock::now();
        if waiting.fails_until.is_some_and(|until| now < until) {
            return waiting.snapshots.is_empty();
        }
        if self.scheduler.happens(self.fails) {
            waiting.fails_until = Some(now + Duration::from_millis(self.scheduler.below(2_000)));
            return waiting.snapshots.is_empty();
        }
        waiting.snapshots.drain(..).for_each(|snapshot| self.delivered.take(snapshot));
        true
    }
}

impl SnapshotSink for Sink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if !snapshot.is_final || self.scheduler.is_killed(self.life) {
            return;
        }
        {
            let mut waiting = self.waiting.lock();
            waiting.snapshots.push(Snapshot::clone(snapshot));
            waiting.published += 1;
            if self.last.is_some_and(|last| waiting.published >= last) {
                let kept = self.scheduler.below(waiting.snapshots.len() as u64 + 1) as usize;
                waiting.snapshots.drain(..kept).for_each(|snapshot| self.delivered.take(snapshot));
                self.scheduler.kill(self.life);
                return;
            }
        }
        if self.scheduler.happens(0.3) {
            self.deliver();
        }
    }

    fn ready(&self) -> bool {
        self.waiting.lock().snapshots.len() < MOST_WAITING || self.deliver()
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        // A thread whose life was killed ends in the pause.
        if self.scheduler.is_killed(self.life) || !self.deliver() {
            crest_host::thread::sleep(clock::until(deadline).min(Duration::from_millis(50)));
        }
        if self.deliver() { Ok(()) } else { Err(SinkError::Write(std::io::ErrorKind::TimedOut.into())) }
    }
}
