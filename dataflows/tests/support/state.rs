//! Runs on a state in a folder.

use super::{Event, Feed, Running, T0};
use crest_connectors::state::StateStore;
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folder of a test, which is removed in the end.
pub type Folder = tempfile::TempDir;

pub fn store(folder: &Path) -> StateStore {
    StateStore::open(folder.to_str().unwrap(), &BTreeMap::new()).unwrap()
}

pub fn open(store: StateStore, spec: &JobSpec) -> Arc<JobState> {
    Arc::new(JobState::open(store, spec, "feed", &Retention::default(), 1).unwrap())
}

/// A run to the end of a bounded log, on a state.
pub fn run(spec: &JobSpec, feed: &Feed, workers: usize, store: StateStore) -> Running {
    let state = open(store, spec);
    Running::with_state(spec, &feed.again(state.resume().as_ref()), workers, Some(state))
}

pub fn wait_until(done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    done()
}

/// A state with some panes, of a run that was stopped.
pub fn some_state(spec: &JobSpec) -> (Folder, Feed) {
    let folder = Folder::new().unwrap();
    let feed = Feed::live(1);
    (0..200).for_each(|n| feed.push(0, &Event::new(T0 + 1000 * n, &format!("item:{}", n % 7))));
    let job = run(spec, &feed, 1, store(folder.path()));
    job.kept.wait_for("some windows", |s| s.is_final && s.window_end == T0 + 180_000);
    assert!(wait_until(|| job.view.state().is_some_and(|counts| counts.commits > 0)));
    job.stop();
    (folder, feed)
}
