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
//! [`blocks`] and [`decoders`], [`repair`] builds what is missing; what [`plan`] says is counted apart, and brought in by
//! [`backfill`]; [`orphans`] are blocks without a manifest, and [`mend`] says how damaged ones come back; [`history`] ranks
//! past intervals and [`inspect`] tells what is held, both from outside. [`error`] is why not.

mod backfill;
mod blocks;
mod books;
mod decoders;
mod desk;
mod error;
mod held;
pub mod history;
mod identity;
pub mod inspect;
mod keeper;
mod manifest;
mod mend;
mod object;
mod orphans;
mod plan;
mod repair;
mod restore;
mod retention;
mod retry;
mod spans;
mod stored;
mod writer;

pub use error::{StateFailure, StateRefusal};
pub use manifest::ManifestError;
pub use mend::Mend;
pub use object::ObjectError;
pub use retention::Retention;

use crate::event_time::{Clock, Pane};
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
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use writer::Writer;

pub(crate) use restore::{RestoreFeed, Restored};
pub(crate) use stored::Stored;

/// For the last manifest of a bounded run, which says that all was published, and the last rollups; without them the next
/// run would publish the last windows once more, and build these. A store that is gone is not waited for any longer.
const LAST_COMMIT: Duration = Duration::from_secs(30);

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
    /// The pane up to which the broker's times below `replay` let the watermark go, where that is not durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped: Option<Pane>,
    /// Of a partition that came in after the job had closed panes, the first one that was open: what it has of those
    /// before is not counted, by this run or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Pane>,
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

impl JobState {
    /// Reads the manifest, checks that it is of this job, and claims the state for a new epoch, greater than the
    /// stored one and at least `now_ms`. The job that had it finds out at its next commit. What the windows need
    /// is loaded when the job runs, which must be with the state's [seed](Self::seed): a new state takes that of `spec`.
    ///
    /// # Errors
    /// The store fails, its manifest is damaged, or is of a job with other boards or another `source`, or of another
    /// seed than one that is named.
    pub fn open(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        retention: &Retention,
        now_ms: u64,
    ) -> Result<JobState, StateRefusal> {
        let (identity, levels) = (Identity::of(spec, source), Levels::new(spec.time.pane));
        let read = || {
            let found = read_job(&store, &identity, spec.sketch.named_seed())?;
            Ok(found
                .map_or_else(|| (Manifest::new(&identity, &levels), None), |(m, version)| (m, Some(version))))
        };
        let (manifest, version) = claim(&store, &Part::Live, &levels, now_ms, read)?;
        let rules = Rules::new(spec, retention);
        Self::of(store, spec, rules, Part::Live, (manifest, version))
    }

    /// The runs of panes that a backfill of `range` has to count, each by a run of its own (see
    /// [`open_backfill`](Self::open_backfill)): those that were never counted or, to `replace` what was, all of them.
    ///
    /// # Errors
    /// The store fails or holds no manifest, or one that is damaged or of another job; the range ends after what the job
    /// has made durable; or it must be a longer one, see [`StateRefusal::Edges`].
    pub fn plan_backfill(
        store: &StateStore,
        spec: &JobSpec,
        source: &str,
        range: &Range<Pane>,
        replace: bool,
    ) -> Result<Vec<Range<Pane>>, StateRefusal> {
        let found = read_job(store, &Identity::of(spec, source), spec.sketch.named_seed())?;
        let Some((manifest, _)) = found else {
            return Err(StateRefusal::NoManifest { url: store.url().to_owned() });
        };
        let (clock, levels) = (Clock::new(&spec.time, false), Levels::new(spec.time.pane));
        plan::runs(store.url(), &manifest, &clock, &levels, range, replace)
    }

    /// Claims the backfill of a run of panes, which begins, or goes on where an earlier one was killed. What it counts
    /// takes its place in the state when the range was counted to its end (see [`is_over`](Self::is_over)); the job
    /// may run meanwhile. Another backfill under way that counts some of these panes finds out at its next commit that
    /// it was given up. The dataflow is that of [`JobSpec::without_windows`].
    ///
    /// # Errors
    /// As [`plan_backfill`](Self::plan_backfill).
    pub fn open_backfill(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        retention: &Retention,
        range: Range<Pane>,
        now_ms: u64,
    ) -> Result<JobState, StateRefusal> {
        let (identity, levels) = (Identity::of(spec, source), Levels::new(spec.time.pane));
        let (clock, part) = (Clock::new(&spec.time, false), Part::Backfill(range.clone()));
        let read = || {
            let Some((manifest, version)) = read_job(&store, &identity, spec.sketch.named_seed())? else {
                return Err(StateRefusal::NoManifest { url: store.url().to_owned() });
            };
            plan::runs(store.url(), &manifest, &clock, &levels, &range, true)?;
            Ok((manifest, Some(version)))
        };
        let (manifest, version) = claim(&store, &part, &levels, now_ms, read)?;
        let rules = Rules::new(spec, retention);
        Self::of(store, spec, rules, part, (manifest, version))
    }

    /// Of the part that was just claimed in this manifest.
    fn of(
        store: StateStore,
        spec: &JobSpec,
        rules: Rules,
        part: Part,
        (manifest, version): (Manifest, Version),
    ) -> Result<JobState, StateRefusal> {
        let levels = Levels::new(spec.time.pane);
        let seed = manifest.job.seed().unwrap_or(spec.sketch.seed);
        let form = Form { levels, job: manifest.job.fingerprint(), seed };
        let (rows, limits) = (spec.sketch.pane_rows(), blocks::limits(&spec.boards));
        let blocks = Blocks { store: store.clone(), form, rows, limits };
        let begun = |resume: &Resume| resume.durable > 0;
        let mut resume = manifest.tally(&part).map(|tally| tally.resume()).filter(begun);
        if let Some(resume) = &mut resume {
            // A backfill that begins has read nothing, and is to read what the job did.
            resume.log = resume.log.take().or_else(|| manifest.live.log.clone());
        }
        let restored = match (&part, manifest.tally(&part)) {
            (Part::Live, Some(tally)) => (manifest.published, manifest.finished, tally),
            (Part::Backfill(range), Some(tally)) => (range.end, tally.ended, tally),
            (_, None) => return Err(StateError::Superseded { url: store.url().to_owned() }.into()),
        };
        let (published, finished, tally) = restored;
        let restored = Restored::of(tally, published.min(tally.durable), finished, spec.boards.len());
        Ok(JobState {
            epoch: tally.epoch,
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

    /// Of the item hash, with which the job on this state must run.
    pub fn seed(&self) -> u64 {
        self.blocks.form.seed
    }

    /// Where to go on; `None` when nothing is durable yet.
    pub fn resume(&self) -> Option<Resume> {
        self.resume.clone()
    }

    /// Starts the keeper, once, however many workers ask.
    pub(crate) fn start(&self, job: &Job) -> Result<(), StateFailure> {
        debug_assert!(
            job.spec.sketch.seed == self.seed(),
            "what is counted could not be merged with what is stored"
        );
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

    /// Whether there is nothing left to do: all was published, or a backfill has taken its place.
    pub fn is_over(&self) -> bool {
        self.desk.with(|papers| papers.over)
    }

    /// Waits, when the dataflows have ended, until the manifest says that all was published, which may fail; or until a
    /// backfill has taken its place, however long that takes.
    pub(crate) fn finish(&self, job: &Job, local: usize) -> Result<(), StateFailure> {
        let deadline = (self.part == Part::Live).then(|| Instant::now() + LAST_COMMIT);
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        while !job.view.stopping() && in_time() && !self.desk.wait_over() {
            job.view.beat(local);
            if let Some(failure) = self.desk.failure() {
                return Err(failure);
            }
        }
        Ok(())
    }
}

/// The manifest of a store, if there is one yet. Where there is none, no block may be there either.
fn read_manifest(store: &StateStore) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let mut found = store.manifest()?;
    if found.is_none()
        && let Some(orphaned) = orphans::find(store)?
    {
        // Another job may have begun here since the first look.
        found = Some(store.manifest()?.ok_or(orphaned)?);
    }
    let Some(found) = found else { return Ok(None) };
    match Manifest::decode(&found.bytes) {
        Ok(manifest) => Ok(Some((manifest, found.version))),
        Err(error) => Err(StateRefusal::Manifest { url: store.url().to_owned(), error }),
    }
}

/// The manifest of a store, if there is one yet, which must be of this job, and of the seed that is named, if any.
fn read_job(
    store: &StateStore,
    identity: &Identity,
    named_seed: Option<u64>,
) -> Result<Option<(Manifest, Version)>, StateRefusal> {
    let url = || store.url().to_owned();
    let Some(found) = read_manifest(store)? else { return Ok(None) };
    let job = &found.0.job;
    if let Some((field, was, is)) = job.difference(&identity.with_seed_of(job)) {
        return Err(StateRefusal::OtherJob { url: url(), field, was, is });
    }
    match job.seed() {
        None => {
            let error = ManifestError::Inconsistent("the seed of the item hash");
            Err(StateRefusal::Manifest { url: url(), error })
        }
        seed if named_seed.is_some_and(|named| seed != Some(named)) => {
            Err(StateRefusal::OtherSeed { url: url() })
        }
        _ => Ok(Some(found)),
    }
}

/// Makes a part of the manifest that `read` finds that of a new run; again where somebody else has changed another part
/// at the same moment.
fn claim(
    store: &StateStore,
    part: &Part,
    levels: &Levels,
    now_ms: u64,
    read: impl Fn() -> Result<(Manifest, Option<Version>), StateRefusal>,
) -> Result<(Manifest, Version), StateRefusal> {
    let owner = |manifest: &Manifest| manifest.tally(part).map(|tally| (tally.epoch, tally.writer.clone()));
    let (mut manifest, mut version) = read()?;
    loop {
        let before = owner(&manifest);
        manifest.claim(part, now_ms, levels);
        match store.replace_manifest(manifest.encode(), version.as_ref()) {
            Ok(version) => return Ok((manifest, version)),
            Err(superseded @ StateError::Superseded { .. }) => {
                (manifest, version) = read()?;
                if version.is_none() || owner(&manifest) != before {
                    return Err(superseded.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
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
