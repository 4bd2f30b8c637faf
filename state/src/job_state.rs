//! The durable state of a running job or backfill: it opens and claims the state, starts the committer, and finishes.

use crate::blocks::{self, Blocks};
use crate::changes::Fate;
use crate::claim::{claim, read_for_run, read_job};
use crate::commit_queue::CommitQueue;
use crate::committer::Committer;
use crate::error::{StateFailure, StateRefusal};
use crate::heartbeat::Heart;
use crate::identity::Identity;
use crate::lease::{Heartbeat, Lease};
use crate::levels::Levels;
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::monitor::{JobLink, Monitor};
use crate::object::Form;
use crate::object_writer::ObjectWriter;
use crate::pane::{Pane, PaneWidth};
use crate::plan;
use crate::replay::Resume;
use crate::restore::{self, RestoreFeed, Restored};
use crate::retention::{Retention, Rules};
use crate::spans::Spans;
use crate::spec::{BoardSpec, JobSpec, TimeSpec};
use crate::standby::Seen;
use crest_connectors::state::{StateError, StateStore, Version};
use crest_host::clock;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a bounded run waits for its last rollups and for the manifest that says that all was published.
/// Without them the next run publishes the last windows once more and builds those rollups.
const LAST_COMMIT: Duration = Duration::from_secs(30);

/// How a run opens a state.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions<'a> {
    /// The boards that may count something else than before. They then count anew.
    pub reset: &'a [String],
    /// Whether the source has an end.
    pub bounded: bool,
    /// Whether the run shows that it lives, so that others can stand by for it, and publishes no final ranking once one of
    /// them may have taken over.
    pub heartbeat: bool,
    /// The state is only opened if it is still as it was seen.
    pub seen: Option<&'a Seen>,
}

/// The first pane of which no record was taken before `now_ms` on a live source, where no event is further ahead of its
/// broker's time than is allowed now, or was `before`.
fn after(now_ms: u64, time: &TimeSpec, before: Duration) -> Pane {
    let ahead = now_ms.saturating_add(time.max_future_skew.max(before).as_millis() as u64);
    PaneWidth::new(time.pane).pane(i64::try_from(ahead).unwrap_or(i64::MAX)) + 1
}

/// The claimed state of a job or backfill. Only process 0 has one.
pub struct JobState {
    store: StateStore,
    part: Part,
    epoch: u64,
    blocks: Blocks,
    rules: Rules,
    resume: Option<Resume>,
    /// The manifest as claimed, until the committer takes it.
    claimed: Mutex<Option<(Manifest, Version)>>,
    queue: Arc<CommitQueue>,
    restored: Option<Restored>,
    feeds: Mutex<BTreeMap<usize, RestoreFeed>>,
    heart: Heart,
    /// Where the run shows that it lives.
    lease: Option<Arc<Lease>>,
}

impl JobState {
    /// [`open_with`](Self::open_with), for a live source, where no board is reset.
    ///
    /// # Errors
    /// As there.
    pub fn open(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        retention: &Retention,
        now_ms: u64,
    ) -> Result<JobState, StateRefusal> {
        Self::open_with(store, spec, source, retention, now_ms, &OpenOptions::default())
    }

    /// Reads the manifest, checks that its boards may go on as those of `spec`, and claims the state with a new epoch,
    /// which is greater than the stored one and at least `now_ms`. An older run of the job finds out at its next commit.
    /// The blocks that the windows need are loaded when the job runs. It must run with the state's [seed](Self::seed); a
    /// new state takes that of `spec`. A board that the state does not know, or that is reset, counts from the panes on
    /// that are open.
    ///
    /// # Errors
    /// The store fails; the manifest is damaged, is of another source or another width of panes, or has a board of the
    /// same name that counts something else; or its seed is not the one that `spec` names.
    pub fn open_with(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        retention: &Retention,
        now_ms: u64,
        options: &OpenOptions<'_>,
    ) -> Result<JobState, StateRefusal> {
        let (identity, levels) = (Identity::of(spec, source), Levels::new(spec.time.pane));
        let left_out = RefCell::new(Vec::new());
        let read = || {
            let found = read_for_run(&store, &identity, spec.sketch.named_seed(), options.reset)?;
            if options.seen.is_some_and(|seen| !seen.is(found.as_ref().map(|(_, version, _)| version))) {
                return Err(StateError::Superseded { url: store.url().to_owned() }.into());
            }
            let beats =
                |before: Option<&Heartbeat>| options.heartbeat.then(|| Heartbeat::after(before, false));
            let Some((mut manifest, version, fates)) = found else {
                let mut manifest = Manifest::new(&identity, &levels);
                manifest.heartbeat = beats(None);
                return Ok((manifest, None));
            };
            manifest.heartbeat = beats(manifest.heartbeat.as_ref());
            let boards: Vec<_> = spec.boards.iter().map(|board| &*board.name).zip(fates).collect();
            let later = boards.iter().find(|(_, fate)| *fate == Fate::AnewFromLater);
            let begun = manifest.live.durable > 0;
            if let Some((board, _)) = later.filter(|_| begun && options.bounded) {
                let (url, board) = (store.url().to_owned(), (*board).to_owned());
                return Err(StateRefusal::ReadsOtherFields { url, board });
            }
            let open = manifest.live.durable;
            let before = manifest.job.counted().map_or(Vec::new(), |job| job.boards);
            let is_there = |board: &BoardSpec| spec.boards.iter().any(|now| now.name == board.name);
            left_out.replace(before.into_iter().filter(|board| !is_there(board)).collect());
            let before = manifest.job.counted().map_or(Duration::ZERO, |job| job.max_future_skew);
            manifest.take_over(
                &identity,
                &boards,
                open,
                if begun { open.max(after(now_ms, &spec.time, before)) } else { 0 },
            );
            Ok((manifest, Some(version)))
        };
        let began = clock::now();
        let (manifest, version) = claim(&store, &Part::Live, &levels, now_ms, read)?;
        for BoardSpec { name, .. } in left_out.take() {
            tracing::warn!(board = %name, "a board of the state is left out; where it comes back, it counts anew");
        }
        let rules = Rules::new(spec, retention);
        let state = Self::of(store, spec, None, rules, Part::Live, (manifest, version))?;
        let lease = options.heartbeat.then(Arc::<Lease>::default);
        lease.iter().for_each(|lease| lease.renew(began));
        Ok(JobState { lease, ..state })
    }

    /// The runs of panes that a backfill of `range` has to count, each opened with
    /// [`open_backfill`](Self::open_backfill), of one `board` or of all. They are the panes that were never counted, or
    /// were counted without the board, or, with `replace`, all panes.
    ///
    /// # Errors
    /// The store fails or has no manifest, or one that is damaged or of another job; the range ends after the durable
    /// frontier; or a longer range is needed, see [`StateRefusal::Edges`].
    pub fn plan_backfill(
        store: &StateStore,
        spec: &JobSpec,
        source: &str,
        range: &Range<Pane>,
        replace: bool,
        board: Option<&str>,
    ) -> Result<Vec<Range<Pane>>, StateRefusal> {
        let found = read_job(store, &Identity::of(spec, source), spec.sketch.named_seed())?;
        let Some((manifest, _)) = found else {
            return Err(StateRefusal::NoManifest { url: store.url().to_owned() });
        };
        let (width, levels) = (PaneWidth::new(spec.time.pane), Levels::new(spec.time.pane));
        plan::runs(store.url(), &manifest, &width, &levels, range, replace, board)
    }

    /// Claims the backfill of a run of panes. It begins, or goes on where an earlier one was killed. Its blocks replace
    /// those of the state once the whole range is counted (see [`is_over`](Self::is_over)); the job may run meanwhile.
    /// Another backfill that counts some of these panes is given up, and finds out at its next commit. The dataflow is
    /// that of [`JobSpec::without_windows`], with no other board where only one is counted.
    ///
    /// # Errors
    /// As [`plan_backfill`](Self::plan_backfill).
    pub fn open_backfill(
        store: StateStore,
        spec: &JobSpec,
        source: &str,
        retention: &Retention,
        range: Range<Pane>,
        board: Option<&str>,
        now_ms: u64,
    ) -> Result<JobState, StateRefusal> {
        let (identity, levels) = (Identity::of(spec, source), Levels::new(spec.time.pane));
        let (width, part) = (PaneWidth::new(spec.time.pane), Part::Backfill(range.clone()));
        let read = || {
            let Some((mut manifest, version)) = read_job(&store, &identity, spec.sketch.named_seed())? else {
                return Err(StateRefusal::NoManifest { url: store.url().to_owned() });
            };
            plan::runs(store.url(), &manifest, &width, &levels, &range, true, None)?;
            manifest.begin_backfill(&range, board, &levels);
            Ok((manifest, Some(version)))
        };
        let (manifest, version) = claim(&store, &part, &levels, now_ms, read)?;
        let rules = Rules::new(spec, retention);
        Self::of(store, spec, board, rules, part, (manifest, version))
    }

    /// The state of a part that was just claimed in this manifest, which counts one board or all.
    fn of(
        store: StateStore,
        spec: &JobSpec,
        board: Option<&str>,
        rules: Rules,
        part: Part,
        (manifest, version): (Manifest, Version),
    ) -> Result<JobState, StateRefusal> {
        let levels = Levels::new(spec.time.pane);
        let seed = manifest.job.seed().unwrap_or(spec.sketch.seed);
        let form = Form { levels, job: manifest.fingerprint(), seed };
        // Rollups have the other boards, too.
        let (rows, limits) = (spec.sketch.pane_rows(), blocks::limits(&spec.boards));
        let spec = &spec.only(board);
        let uncounted = Arc::new(manifest.uncounted_for(&part));
        let blocks = Blocks { store: store.clone(), form, rows, limits, uncounted: uncounted.clone() };
        let begun = |resume: &Resume| resume.durable > 0;
        let mut resume = manifest.tally(&part).map(|tally| tally.resume()).filter(begun);
        if let Some(resume) = &mut resume {
            // A backfill that begins has read nothing yet. It must read the same log as the job.
            resume.log = resume.log.take().or_else(|| manifest.live.log.clone());
            if part == Part::Live {
                let since = |spans: &Spans| spans.end_before(Pane::MAX).unwrap_or(0);
                let names = spec.boards.iter().map(|board| uncounted.get(&*board.name));
                resume.since = names.map(|spans| spans.map_or(0, since)).collect();
            }
        }
        let restored = match (&part, manifest.tally(&part)) {
            (Part::Live, Some(tally)) => (manifest.published, manifest.finished, tally),
            (Part::Backfill(range), Some(tally)) => (range.end, tally.ended, tally),
            (_, None) => return Err(StateError::Superseded { url: store.url().to_owned() }.into()),
        };
        let (published, finished, tally) = restored;
        let published = published.min(tally.durable);
        let names = spec.boards.iter().map(|board| &*board.name);
        let restored = Restored::of(tally, &manifest.held, published, finished, spec.boards.len())
            .counted_without(names, &uncounted, &manifest.missing);
        Ok(JobState {
            epoch: tally.epoch,
            queue: Arc::new(CommitQueue::new(resume.as_ref().map_or(0, |resume| resume.durable))),
            restored: resume.is_some().then_some(restored),
            part,
            blocks,
            rules,
            resume,
            claimed: Mutex::new(Some((manifest, version))),
            store,
            feeds: Mutex::default(),
            heart: Heart::default(),
            lease: None,
        })
    }

    /// The epoch of this run, greater than that of any earlier run on this state.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The seed of the item hash, with which the job on this state must run.
    pub fn seed(&self) -> u64 {
        self.blocks.form.seed
    }

    /// Where the dataflow goes on; `None` when nothing is durable yet.
    pub fn resume(&self) -> Option<Resume> {
        self.resume.clone()
    }

    /// Begins to show that this run lives, if it does that at all, before the job starts: it may take a while to reach what
    /// it reads and where it publishes. Only the first call does anything.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn show_life(&self) -> Result<(), StateFailure> {
        match &*self.claimed.lock() {
            Some((manifest, version)) => self.beat(manifest, version),
            None => Ok(()),
        }
    }

    fn beat(&self, manifest: &Manifest, version: &Version) -> Result<(), StateFailure> {
        let Some(lease) = &self.lease else { return Ok(()) };
        let claimed = (manifest.clone(), version.clone());
        let manifests = ManifestWriter::new(&self.store, self.part.clone(), claimed, lease.clone());
        self.heart.start(manifests, lease.clone(), self.queue.clone())
    }

    /// Starts the committer. Only the first call does anything.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(&self, job: &JobLink) -> Result<(), StateFailure> {
        debug_assert!(
            job.spec.sketch.seed == self.seed(),
            "what is counted could not be merged with what is stored"
        );
        let mut claimed = self.claimed.lock();
        let Some((manifest, version)) = claimed.take() else { return Ok(()) };
        self.queue.expect(job.aggregators);
        let Some(held) = manifest.held_by(&self.part) else { return Ok(()) };
        let (loader, feeds) = restore::loader(&self.blocks, held, self.restored.as_ref(), job);
        *self.feeds.lock() = feeds;
        let names = job.spec.boards.iter().map(|board| board.name.to_string()).collect();
        let writer = ObjectWriter::new(self.blocks.clone(), names, job.monitor.clone());
        self.beat(&manifest, &version)?;
        let lease = self.lease.clone().unwrap_or_default();
        let manifests = ManifestWriter::new(&self.store, self.part.clone(), (manifest, version), lease);
        let committer = Committer::new(self.queue.clone(), job, manifests, writer, self.rules.clone());
        let started = crest_host::thread::spawn("state", move || committer.run(loader));
        started.map(|_| ()).map_err(|error| StateFailure::Thread(error.to_string()))
    }

    /// Whether final rankings may be published: nobody can have taken the state over, as far as this run knows.
    pub fn may_publish(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.is_held())
    }

    /// Lets whoever stands by take over at once. Called after the last rankings of a job that was stopped were delivered;
    /// waits up to `patience` for the manifest to say so.
    pub fn release(&self, patience: Duration) {
        self.heart.release(patience);
    }

    /// The queue between the workers and the committer.
    pub fn queue(&self) -> &CommitQueue {
        &self.queue
    }

    /// What the manifest says about the windows of the run before; `None` when nothing is durable yet.
    pub fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// The stored blocks of the boards that this worker aggregates; `None` when there are none to load.
    pub fn take_feed(&self, worker: usize) -> Option<RestoreFeed> {
        self.feeds.lock().remove(&worker)
    }

    /// Whether nothing is left to do: the job has published everything, or the backfill's blocks are in the state.
    pub fn is_over(&self) -> bool {
        self.queue.with(|queued| queued.over)
    }

    /// Waits, after the dataflows have ended, until [`is_over`](Self::is_over). A job waits for at most 30 s, a
    /// backfill as long as it takes; a stop ends the wait, and is no error. `alive` is called every 20 ms or so.
    ///
    /// # Errors
    /// The committer has failed.
    pub fn finish(&self, monitor: &dyn Monitor, alive: impl Fn()) -> Result<(), StateFailure> {
        let deadline = (self.part == Part::Live).then(|| clock::now() + LAST_COMMIT);
        let in_time = || deadline.is_none_or(|deadline| clock::now() < deadline);
        while !monitor.stopping() && in_time() && !self.queue.wait_over() {
            alive();
            if let Some(failure) = self.queue.failure() {
                return Err(failure);
            }
        }
        Ok(())
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
