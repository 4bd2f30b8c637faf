//! Durable state: what survives a kill at any instant, and how a run goes on from what an earlier one left.
//!
//! **In**: the digests of closed panes, how far all workers are, and how far the windows are published. **Out**:
//! the pane up to which everything is in the store, which the windows wait for. **Always holds**: the manifest
//! names a pane only after its object is in the store, and moves the durable frontier and the replay offsets in
//! one step; a record is counted in a durable pane or read again, never both. **Costs**: an object a pane, and a
//! manifest for all panes that closed meanwhile; nothing per event.
//!
//! [`manifest`] and [`object`] are what is stored: blocks of the pyramid's [levels](crate::levels), noted as [`held`],
//! kept as [`retention`] says; [`identity`] is what a job must share with the one before. [`desk`] is where the workers
//! and the keeper's thread meet, [`keeper`] commits through [`writer`] and [`books`], [`restore`] loads through
//! [`blocks`] and [`decoders`], [`repair`] builds what is missing; [`backfill`] brings in what was counted apart;
//! [`history`] ranks past intervals and [`inspect`] tells what is held, both from outside.

mod backfill;
mod blocks;
mod books;
mod decoders;
mod desk;
mod held;
pub mod history;
mod identity;
pub mod inspect;
mod keeper;
mod manifest;
mod object;
mod repair;
mod restore;
mod retention;
mod retry;
mod spans;
mod writer;

pub use manifest::ManifestError;
pub use object::ObjectError;
pub use retention::Retention;

use crate::event_time::Pane;
use crate::job::Job;
use crate::levels::Levels;
use crate::spec::JobSpec;
use blocks::Blocks;
use books::Books;
use crest_connectors::state::{StateError, StateStore, Version};
use desk::Desk;
use identity::Identity;
use manifest::{Manifest, Part};
use object::Form;
use retention::Rules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use writer::Writer;

pub(crate) use restore::{RestoreFeed, Restored};

/// For the last manifest of a bounded run, which says that all was published; without it the next run would
/// publish the last windows once more.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// Where a run goes on. It travels from process 0 to the others when the cluster meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// All panes before it are durable; [`Pane::MAX`] when a bounded log was counted to its end.
    pub durable: Pane,
    /// Of the partitions that were read so far.
    pub partitions: BTreeMap<u32, Replay>,
    /// What told the log from another of the same name, where the broker said so.
    pub log: Option<String>,
}

/// Where a partition is read on. Records below `replay` are of durable panes, or were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The partition's name: files have no numbers of their own.
    pub name: String,
    /// The offset to read first.
    pub replay: i64,
    /// The first offset that no earlier run is known to have read; what is refused below it was told before.
    pub next: i64,
}

/// The durable state of a job; only process 0 has it.
pub struct JobState {
    store: StateStore,
    part: Part,
    epoch: u64,
    blocks: Blocks,
    rules: Rules,
    resume: Option<Resume>,
    /// As claimed; the keeper's thread takes it.
    claimed: Mutex<Option<(Manifest, Version)>>,
    desk: Arc<Desk>,
    restored: Option<Restored>,
    feeds: Mutex<BTreeMap<usize, RestoreFeed>>,
}

/// Why a job cannot run on a state.
#[derive(Debug, thiserror::Error)]
pub enum StateRefusal {
    /// The store cannot be read or written, or another job claimed the state at the same moment.
    #[error(transparent)]
    Store(#[from] StateError),
    /// What is there is no manifest.
    #[error("state {url}: {error}")]
    Manifest {
        /// The store, without secrets.
        url: String,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// There is none.
    #[error("state {url}: there is no manifest, so no job has kept its state there")]
    NoManifest {
        /// The store, without secrets.
        url: String,
    },
    /// The state is of a job that counts something else.
    #[error(
        "state {url} belongs to a job that counts something else: {field} was {was} and is now {is}; give \
         another --state, or the old value"
    )]
    OtherJob {
        /// The store, without secrets.
        url: String,
        /// The first field that differs, as in the job's spec.
        field: String,
        /// Its value in the manifest.
        was: String,
        /// Its value now.
        is: String,
    },
}

/// Why the state of a running job can be kept no longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFailure {
    /// Another job has claimed it.
    #[error(
        "state {url} was taken over by a job of epoch {theirs}; this one, of epoch {ours}, publishes nothing more"
    )]
    Superseded {
        /// The store, without secrets.
        url: String,
        /// The epoch of this job.
        ours: u64,
        /// The epoch of the job that took over; 0 when its manifest cannot be read.
        theirs: u64,
    },
    /// An object that the manifest names is not there.
    #[error("state {url}: the manifest names {name}, which is missing")]
    Missing {
        /// The store, without secrets.
        url: String,
        /// The object.
        name: String,
    },
    /// An object is not what the manifest says it is.
    #[error("state {url}: {error}")]
    Object {
        /// The store, without secrets.
        url: String,
        /// Which object, and what is wrong with it.
        error: Box<ObjectError>,
    },
    /// The store refuses, and will not change its mind.
    #[error(transparent)]
    Store(#[from] StateError),
    /// The thread that keeps the state could not be started.
    #[error("cannot start a thread to keep the state: {0}")]
    Thread(String),
}

impl JobState {
    /// Reads the manifest, checks that it is of this job, and claims the state for a new epoch, greater than the
    /// stored one and at least `now_ms`. The job that had it finds out at its next commit. What the windows need
    /// is loaded when the job runs.
    ///
    /// # Errors
    /// The store fails, its manifest is damaged, or is of a job with other boards or another `source`.
    pub fn open(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        retention: &Retention,
        now_ms: u64,
    ) -> Result<JobState, StateRefusal> {
        let identity = Identity::of(spec, source);
        let (manifest, version) = match read_manifest(&store)? {
            None => (Manifest::new(&identity, &Levels::new(spec.time.pane)), None),
            Some((manifest, version)) => (manifest, Some(version)),
        };
        if let Some((field, was, is)) = manifest.job.difference(&identity) {
            return Err(StateRefusal::OtherJob { url: store.url().to_owned(), field, was, is });
        }
        let rules = Rules::new(spec, retention);
        Self::claim(store, spec, rules, Part::Live, (manifest, version), now_ms)
    }

    fn claim(
        store: StateStore,
        spec: &JobSpec,
        rules: Rules,
        part: Part,
        (mut manifest, version): (Manifest, Option<Version>),
        now_ms: u64,
    ) -> Result<JobState, StateRefusal> {
        let levels = Levels::new(spec.time.pane);
        let epoch = manifest.claim(&part, now_ms, &levels);
        let version = store.replace_manifest(manifest.encode(), version.as_ref())?;
        let form = Form { levels, job: manifest.job.fingerprint(), seed: spec.sketch.seed };
        let blocks = Blocks { store: store.clone(), form, rows: spec.sketch.pane_rows() };
        let begun = |resume: &Resume| resume.durable > 0;
        let resume = manifest.tally(&part).map(|tally| tally.resume()).filter(begun);
        let restored = match (&part, manifest.tally(&part)) {
            (Part::Live, Some(tally)) => (manifest.published, manifest.finished, tally),
            (Part::Backfill(range), Some(tally)) => (range.end, false, tally),
            (_, None) => return Err(StateError::Superseded { url: store.url().to_owned() }.into()),
        };
        let (published, finished, tally) = restored;
        let restored = Restored::of(tally, published.min(tally.durable), finished, spec.boards.len());
        Ok(JobState {
            epoch,
            desk: Arc::new(Desk::new(resume.as_ref().map_or(0, |resume| resume.durable))),
            restored: resume.is_some().then_some(restored),
            part,
            blocks,
            rules,
            resume,
            claimed: Mutex::new(Some((manifest, version))),
            store,
            feeds: Mutex::default(),
        })
    }

    /// The run, greater than any earlier run's on this state.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where to go on; `None` when nothing is durable yet.
    pub fn resume(&self) -> Option<Resume> {
        self.resume.clone()
    }

    /// Starts the keeper, once, however many workers ask.
    pub(crate) fn start(&self, job: &Job) -> Result<(), StateFailure> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((manifest, version)) = claimed.take() else { return Ok(()) };
        let aggregators = job.workers_per_process.min(job.spec.boards.len());
        self.desk.expect(aggregators);
        let Some(held) = manifest.held_by(&self.part) else { return Ok(()) };
        let (loader, feeds) = restore::loader(&self.blocks, held, self.restored.as_ref(), job, aggregators);
        *self.feeds.lock().unwrap_or_else(PoisonError::into_inner) = feeds;
        let names = job.spec.boards.iter().map(|board| board.name.to_string()).collect();
        let writer = Writer::new(self.blocks.clone(), names, job.view.clone());
        let books = Books::new(&self.store, self.part.clone(), manifest, version);
        let keeper = keeper::Keeper::new(self.desk.clone(), job, books, writer, self.rules.clone());
        let thread = std::thread::Builder::new().name("state".into());
        let started = thread.spawn(move || keeper.run(loader));
        started.map(|_| ()).map_err(|error| StateFailure::Thread(error.to_string()))
    }

    /// Where the workers and the keeper meet.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// What the manifest says of the windows of the run before, if there was one.
    pub(crate) fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// The stored panes of the boards that this worker aggregates; `None` when there are none to load.
    pub(crate) fn take_feed(&self, worker: usize) -> Option<RestoreFeed> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker)
    }

    /// Waits, when the dataflows have ended, until the manifest says that all was published.
    pub(crate) fn finish(&self, job: &Job, local: usize) -> Result<(), StateFailure> {
        let deadline = Instant::now() + LAST_COMMIT;
        while !job.view.stopping() && Instant::now() < deadline && !self.desk.wait_over() {
            job.view.beat(local);
            if let Some(failure) = self.desk.failure() {
                return Err(failure);
            }
        }
        Ok(())
    }
}

/// The manifest of a store, if there is one yet.
fn read_manifest(store: &StateStore) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let Some(found) = store.manifest()? else { return Ok(None) };
    match Manifest::decode(&found.bytes) {
        Ok(manifest) => Ok(Some((manifest, found.version))),
        Err(error) => Err(StateRefusal::Manifest { url: store.url().to_owned(), error }),
    }
}

impl std::fmt::Debug for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobState")
            .field("store", &self.store)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
