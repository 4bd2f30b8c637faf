//! Regions that a test writes, and what is said of the windows over them.

use super::state::{open, run};
use super::{Event, Feed, Running, T0, live_spec};
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use crest_state::region::Region;
use crest_state::spec::{JobSpec, WindowSpec};
use std::time::Duration;

/// The same job elsewhere, with a seed of its own.
pub fn elsewhere(spec: &JobSpec, seed: u64) -> JobSpec {
    let mut spec = spec.clone();
    spec.sketch.seed = seed;
    spec
}

/// The state of a region whose job has ended: over so many events, five a second.
pub fn ended(seed: u64, events: i64) -> StateStore {
    let (store, spec) = (StateStore::in_memory(), elsewhere(&seconds(), seed));
    let log: Vec<Event> = (0..events).map(|n| Event::new(T0 + 200 * n, "a")).collect();
    run(&spec, &Feed::bounded(&[log]), 1, store.clone()).finish();
    store
}

/// A region whose job goes on, with a log that the test writes.
pub struct Live {
    pub feed: Feed,
    pub store: StateStore,
    pub spec: JobSpec,
    pub job: Option<Running>,
}

impl Live {
    pub fn start(seed: u64) -> Self {
        Live::start_with(seed, |_| ())
    }

    /// The same with another spec.
    pub fn start_with(seed: u64, change: impl FnOnce(&mut JobSpec)) -> Self {
        let mut spec = elsewhere(&seconds(), seed);
        change(&mut spec);
        let mut live = Live { feed: Feed::live(1), store: StateStore::in_memory(), spec, job: None };
        live.go_on();
        live
    }

    pub fn go_on(&mut self) {
        let state = open(self.store.clone(), &self.spec);
        self.feed = self.feed.again(state.resume().as_ref());
        self.job = Some(Running::with_state(&self.spec, &self.feed, 1, Some(state)));
    }

    pub fn stop(&mut self) {
        drop(self.job.take().unwrap().stop());
    }

    /// Writes an event in each fifth of these seconds.
    pub fn write(&self, seconds: std::ops::Range<i64>, item: &str) {
        (5 * seconds.start..5 * seconds.end).for_each(|n| self.feed.push(0, &Event::new(T0 + 200 * n, item)));
    }

    pub fn region(&self, name: &str) -> Region {
        Region::new(name, self.store.clone())
    }
}

/// As [`live_spec`], with a window that slides, and a short one.
pub fn seconds() -> JobSpec {
    let mut spec = live_spec();
    let second = Duration::from_secs(1);
    spec.boards[0].windows =
        vec![WindowSpec::sliding("second", second, second), WindowSpec::sliding("three", 3 * second, second)];
    spec
}

/// The final snapshot of a window that ends so many seconds after [`T0`].
pub fn final_at(job: &Running, window: &str, seconds: i64) -> Snapshot {
    job.kept.wait_for("a final window", |s| {
        s.is_final && *s.window == *window && s.window_end == T0 + 1000 * seconds
    })
}

/// The total, the regions that are missing, and the pane from which on none is.
pub fn said(snapshot: &Snapshot) -> (u64, Vec<&str>, Option<i64>) {
    let missing = snapshot.missing.iter().map(|name| &**name).collect();
    assert_eq!(snapshot.partial, snapshot.since.is_some());
    (snapshot.total, missing, snapshot.since.map(|since| (since - T0) / 200))
}
