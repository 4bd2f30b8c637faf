//! The job of one aggregating worker, and what panes cost it.

use crate::feed::{Feed, PaneShares};
use crate::shares::{extracts, messages};
use crate::watch::{Passed, Ranking, Watch};
use crest_connectors::state::StateStore;
use crest_sketches::Merged;
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::retention::Retention;
use crest_state::spec::{BoardSpec, JobSpec, SketchSpec};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tempfile::TempDir;
use timely::bytes::arc::Bytes;

/// 2024-03-29T00:00:00Z.
pub const FIRST: Pane = 171_167_040;

const REFRESHES: usize = 3;

/// What a pane costs: medians.
pub struct Cost {
    pub bytes: usize,
    /// Of one share, by who ships it.
    pub encode: Duration,
    pub decode: Duration,
    pub merge: Duration,
    pub windows: Duration,
    /// From the moment when all shares are there, to the final rankings.
    pub close: Duration,
    /// From the moment when the last share was decoded.
    pub last: Duration,
    /// Of the committer, for a pane, most of it waiting for the disk.
    pub commit: Duration,
    /// Written to the state for a pane.
    pub stored: u64,
    pub rankings: Vec<Ranking>,
    /// Of a refresh of open panes: the bytes of all extracts, and what they take the worker until it has ranked them.
    pub refresh_bytes: usize,
    pub refresh: Duration,
}

impl Cost {
    /// Processor time of the aggregating worker.
    pub fn all(&self) -> Duration {
        self.decode + self.merge + self.windows
    }
}

/// A job that runs on a state of its own.
pub struct Aggregator {
    pub watch: Arc<Watch>,
    job: Feed,
    panes: Sender<PaneShares>,
    _state: TempDir,
}

impl Aggregator {
    pub fn start(boards: usize) -> Self {
        let board = |number| BoardSpec { name: format!("board-{number}").into(), ..BoardSpec::default() };
        let spec = JobSpec { boards: (0..boards).map(board).collect(), ..JobSpec::default() };
        let state = tempfile::tempdir().unwrap();
        let store = StateStore::open(state.path().to_str().unwrap(), &Default::default()).unwrap();
        let source = "file:shares-*.ndjson";
        let opened = JobState::open(store, &spec, source, &Retention::default(), 1).unwrap();
        let (watch, (panes, receiver)) = (Arc::new(Watch::default()), channel());
        let names = vec!["shares-0.ndjson".to_owned()];
        let job = Feed::start(&spec, opened, watch.clone(), receiver, FIRST, names);
        Aggregator { watch, job, panes, _state: state }
    }

    /// Hands over a pane, all of whose shares are there.
    pub fn hand_over(&self, pane: Pane, messages: Vec<Bytes>) {
        self.panes.send(self.watch.closed(pane, messages)).unwrap();
    }

    /// Waits until a pane is ranked.
    pub fn wait(&self, pane: Pane) -> Passed {
        loop {
            if let Some(passed) = self.watch.passed(pane) {
                return passed;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn stop(self) {
        self.job.stop();
    }
}

/// Hands over panes one after the other.
pub fn measure(unions: &[Merged], boards: usize, panes: usize) -> Cost {
    let aggregator = Aggregator::start(boards);
    let (mut all, mut encode, mut bytes) = (Vec::new(), Vec::new(), 0);
    for pane in FIRST..FIRST + panes as Pane {
        let (messages, spent) = messages(unions, boards, pane);
        encode.push(spent / messages.len() as u32);
        bytes = messages.iter().map(|message| message.len()).sum();
        aggregator.hand_over(pane, messages);
        all.push(aggregator.wait(pane));
    }
    let state = aggregator.job.view.state().unwrap_or_default();
    let median = |of: &dyn Fn(&Passed) -> Duration| middle(all.iter().map(of).collect());
    let rankings = aggregator.watch.rankings();
    let (refresh_bytes, refresh) = refresh(&aggregator, unions, boards, FIRST + panes as Pane);
    aggregator.stop();
    Cost {
        bytes,
        encode: middle(encode),
        decode: median(&|passed| passed.decode),
        merge: median(&|passed| {
            passed.ranked.unwrap().cpu - passed.first.unwrap().cpu - passed.decode - passed.windows
        }),
        windows: median(&|passed| passed.windows),
        close: median(&|passed| passed.ranked.unwrap().at - passed.first.unwrap().at),
        last: median(&|passed| passed.ranked.unwrap().at - passed.last.unwrap().at),
        commit: Duration::from_nanos(state.commit_ns) / panes as u32,
        stored: state.bytes / panes as u64,
        rankings,
        refresh_bytes,
        refresh,
    }
}

/// Hands over extracts of an open pane, a few times.
fn refresh(aggregator: &Aggregator, unions: &[Merged], boards: usize, pane: Pane) -> (usize, Duration) {
    let (mut all, mut bytes) = (Vec::new(), 0);
    let windows = BoardSpec::default().windows.len();
    for number in 0..REFRESHES {
        // No two are alike, or the second would change nothing.
        let messages = extracts(unions, boards, pane, SketchSpec::default().rows_kept - number);
        bytes = messages.iter().map(|message| message.len()).sum();
        aggregator.panes.send(aggregator.watch.open(pane, messages)).unwrap();
        let spent = loop {
            match aggregator.watch.refreshed(windows * boards) {
                Some(spent) => break spent,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        all.push(spent);
    }
    (bytes, middle(all))
}

/// The middle one; of an even number, the greater of the two in the middle.
pub fn middle(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}
