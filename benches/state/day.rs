//! The day that is measured, as the states of two jobs: one of the default windows, and one whose day slides by a
//! pane, so that it is made of panes and not of rollups.

use crate::feed::{Feed, Made};
use crate::panes::{Traffic, key};
use crate::setting;
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_connectors::state::StateStore;
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::retention::Retention;
use crest_state::spec::{JobSpec, WindowSpec};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

pub const PANE_MS: i64 = 10_000;
/// 2024-03-29T00:00:00Z.
const FIRST: Pane = 171_167_040;
const PARTITIONS: usize = 4;
/// Panes that go on where the day ends, for the program to read, and their events in each partition.
const TAIL: (u64, usize) = (13, 1000);
/// A committer that has not committed for so long has nothing left to commit.
const QUIET: Duration = Duration::from_secs(3);

pub struct Day {
    dir: PathBuf,
    pub traffic: Traffic,
    /// The first pane after it.
    pub end: Pane,
    /// The windows of a job without configuration.
    pub default: Variant,
    /// The same with `last_24h` sliding by a pane.
    pub fine: Variant,
}

/// One of the two jobs.
pub struct Variant {
    pub name: &'static str,
    pub spec: JobSpec,
    /// What tells it to the program.
    pub flags: &'static [&'static str],
    /// Its state at the end of the day, never to be changed.
    pub state: PathBuf,
}

/// A copy of a state that a job may change, removed when dropped.
pub struct Copy(PathBuf);

impl Day {
    /// Makes the states, unless they are in `dir` already.
    pub fn make(dir: &Path) -> Self {
        let panes = setting("PANES", 8993) as u64;
        let default =
            Variant { name: "default windows", spec: spec(), flags: &[], state: dir.join("default") };
        let mut fine = Variant {
            name: "last_24h slides by 10 s",
            spec: spec(),
            flags: &[
                "--window",
                "last_1m=1m/10s",
                "--window",
                "last_1h=1h/10s",
                "--window",
                "last_24h=24h/10s",
            ],
            state: dir.join("fine"),
        };
        let (day, pane) = (Duration::from_secs(86_400), fine.spec.time.pane);
        fine.spec.boards[0].windows[2] = WindowSpec::sliding("last_24h", day, pane);
        let traffic = Traffic::new(default.spec.sketch.shape().unwrap());
        let day = Day { dir: dir.to_owned(), traffic, end: FIRST + panes, default, fine };
        let made = dir.join("made");
        let which = format!("{panes} panes of {} events", day.traffic.events);
        println!("a day: {which}, {} items in the last one", day.traffic.active(day.end - 1));
        if fs::read_to_string(&made).is_ok_and(|found| found == which) {
            return day;
        }
        let started = Instant::now();
        day.fill();
        fs::write(made, which).unwrap();
        println!("made through the job, for two states at once: {:.0} s\n", started.elapsed().as_secs_f64());
        day
    }

    fn fill(&self) {
        fs::create_dir_all(self.dir.join("tail")).unwrap();
        (0..PARTITIONS).for_each(|partition| self.write_tail(partition));
        let variants = [&self.default, &self.fine];
        let (senders, jobs): (Vec<_>, Vec<_>) = variants
            .into_iter()
            .map(|variant| {
                let _ = fs::remove_dir_all(&variant.state);
                let (sender, panes) = sync_channel(8);
                (sender, self.start(variant, &variant.state, Arc::new(Nowhere), panes))
            })
            .unzip();
        let make = |half: u64| {
            let (sender, made) = sync_channel(4);
            let panes = (FIRST..self.end).filter(move |pane| pane % 2 == half);
            (made, move || panes.for_each(|pane| sender.send((pane, self.traffic.pane(pane))).unwrap()))
        };
        let ((even, make_even), (odd, make_odd)) = (make(0), make(1));
        std::thread::scope(|scope| {
            scope.spawn(make_even);
            scope.spawn(make_odd);
            hand_out(FIRST..self.end, [even, odd], &senders);
        });
        jobs.into_iter().for_each(|job| settle(job, self.end as i64 * PANE_MS));
    }

    /// Starts a job in this process on a state.
    pub fn start(
        &self,
        variant: &Variant,
        state: &Path,
        sink: Arc<dyn SnapshotSink>,
        panes: Receiver<Made>,
    ) -> Feed {
        let store = StateStore::open(state.to_str().unwrap(), &Default::default()).unwrap();
        let state = JobState::open(store, &variant.spec, &self.source(), &Retention::default(), 1).unwrap();
        let name = |partition| self.tail(partition).display().to_string();
        Feed::start(&variant.spec, state, sink, panes, FIRST, (0..PARTITIONS).map(name).collect())
    }

    /// What the program is told to read.
    pub fn source(&self) -> String {
        format!("file:{}/tail/part-*.ndjson", self.dir.display())
    }

    fn tail(&self, partition: usize) -> PathBuf {
        self.dir.join(format!("tail/part-{partition}.ndjson"))
    }

    fn write_tail(&self, partition: usize) {
        let mut out = std::io::BufWriter::new(fs::File::create(self.tail(partition)).unwrap());
        for pane in self.end..self.end + TAIL.0 {
            let items = self.traffic.items(pane).filter(|item| item % PARTITIONS == partition).take(TAIL.1);
            for (n, item) in items.enumerate() {
                let time = pane as i64 * PANE_MS + n as i64 * PANE_MS / TAIL.1 as i64;
                writeln!(out, r#"{{"item_id":"{}","timestamp":{time}}}"#, key(item)).unwrap();
            }
        }
    }

    /// A copy of a state. Objects are never written twice, so that links to them do.
    pub fn copy(&self, variant: &Variant) -> Copy {
        let to = self.dir.join("copy");
        let _ = fs::remove_dir_all(&to);
        let copied = Command::new("cp").arg("-al").arg(&variant.state).arg(&to).status().unwrap();
        assert!(copied.success());
        Copy(to)
    }
}

impl Copy {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spec() -> JobSpec {
    JobSpec::default()
}

/// Gives each job each pane, in order.
fn hand_out(panes: std::ops::Range<Pane>, made: [Receiver<Made>; 2], jobs: &[SyncSender<Made>]) {
    let (all, started) = (panes.end - panes.start, Instant::now());
    for pane in panes.clone() {
        let made = made[(pane % 2) as usize].recv().unwrap();
        jobs.iter().for_each(|job| job.send(made.clone()).unwrap());
        let done = pane + 1 - panes.start;
        if done.is_multiple_of(1000) {
            eprintln!("{done} of {all} panes after {:.0} s", started.elapsed().as_secs_f64());
        }
    }
}

/// Stops a job when all is durable that can be.
fn settle(job: Feed, end: i64) {
    let (mut commits, mut since) = (0, Instant::now());
    while since.elapsed() < QUIET {
        let state = job.view.state().unwrap_or_default();
        if state.durable < end || state.commits != commits {
            (commits, since) = (state.commits, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    job.stop();
}

struct Nowhere;

impl SnapshotSink for Nowhere {
    fn publish(&self, _snapshot: &Arc<Snapshot>) {}

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}
