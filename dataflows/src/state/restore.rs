//! What the windows of a run get from the run before: which panes, from where on, and what was published.
//!
//! The objects stream: a thread reads them in order and hands each to the workers that aggregate its boards, a
//! few ahead of them, so that memory is bounded while the dataflow already replays.

use super::manifest::Manifest;
use super::pane_object::{self, Boards, PaneObjectError};
use super::retry::Broken;
use super::{StateFailure, desk::END};
use crate::event_time::{Clock, Pane};
use crate::job::Job;
use crate::levels::Block;
use crate::spec::{BoardSpec, JobSpec};
use crate::status::JobView;
use crest_connectors::state::{StateError, StateStore};
use crest_sketches::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Panes on their way to a worker.
const AHEAD: usize = 8;
/// A load that takes longer is worth a line in the log.
const LONG: Duration = Duration::from_secs(1);

/// A stored block: of some boards, by their place in the spec, the digest of each group.
pub(crate) type StoredBlock = (Block, Vec<(u32, BTreeMap<String, Digest>)>);
/// The stored blocks of a worker's boards, those of each level in order; `None` says that these were all. A feed that breaks off before
/// that is of a job that fails or stops.
pub(crate) type RestoreFeed = Receiver<Option<StoredBlock>>;

/// What the manifest says of the windows of the run before.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    /// Of each board the first pane that held an event.
    pub(crate) first: Vec<Option<Pane>>,
    /// All panes before it are in the store.
    pub(crate) durable: Pane,
    /// Final snapshots of windows that end at or before it were delivered.
    pub(crate) published: Pane,
    /// So was everything, to the end of a bounded log.
    pub(crate) finished: bool,
    /// The first pane that any window needs.
    from: Pane,
}

/// Where a window goes on: the end that was published last, which is only computed again, or else the first end;
/// and the first pane that is in it.
pub(crate) struct GoOn {
    pub(crate) end: Pane,
    pub(crate) from: Pane,
}

impl Restored {
    pub(super) fn of(manifest: &Manifest, spec: &JobSpec) -> Self {
        let mut first = manifest.first.clone();
        first.resize(spec.boards.len(), None);
        let mut restored = Restored {
            first,
            durable: manifest.durable,
            published: manifest.published,
            finished: manifest.finished,
            from: END,
        };
        restored.from = restored.needed_from(spec);
        restored
    }

    /// How a window of `size` and `slide` panes goes on, where its board had events.
    pub(crate) fn go_on(&self, board: usize, size: u64, slide: u64) -> Option<GoOn> {
        let first = self.first[board]?;
        let first_end = (first + 1).next_multiple_of(slide);
        let end = (self.published / slide * slide).max(first_end);
        Some(GoOn { end, from: end.saturating_sub(size) })
    }

    fn needed_from(&self, spec: &JobSpec) -> Pane {
        if self.finished {
            return END;
        }
        let clock = Clock::new(&spec.time, false);
        let windows = spec.boards.iter().enumerate().flat_map(|(index, board)| {
            board.windows.iter().map(move |window| (index, window.size, window.slide))
        });
        let from = windows
            .filter_map(|(board, size, slide)| self.go_on(board, clock.panes(size), clock.panes(slide)));
        from.map(|go_on| go_on.from).min().unwrap_or(END)
    }
}

/// Panes before `published` that some window may still need, in panes.
pub(super) fn needed_panes(board: &BoardSpec, clock: &Clock) -> u64 {
    let windows = board.windows.iter().map(|window| clock.panes(window.size) + clock.panes(window.slide));
    windows.max().unwrap_or(0)
}

/// Reads the stored panes and hands them out.
pub(super) struct Loader {
    store: StateStore,
    view: Arc<JobView>,
    objects: Vec<(Pane, String)>,
    /// The place of each board in the spec.
    boards: BTreeMap<String, u32>,
    seed: u64,
    workers: BTreeMap<usize, SyncSender<Option<StoredBlock>>>,
}

/// The loader of what the windows need, and the feed of each aggregating worker.
pub(super) fn loader(
    store: &StateStore,
    manifest: &Manifest,
    restored: Option<&Restored>,
    job: &Job,
    aggregators: usize,
) -> (Loader, BTreeMap<usize, RestoreFeed>) {
    let objects: Vec<_> = restored.map_or(Vec::new(), |restored| manifest.objects(restored.from).collect());
    let (mut workers, mut feeds) = (BTreeMap::new(), BTreeMap::new());
    for worker in (0..aggregators).filter(|_| !objects.is_empty()) {
        let (sender, feed) = sync_channel(AHEAD);
        workers.insert(worker, sender);
        feeds.insert(worker, feed);
    }
    let boards = job.spec.boards.iter().zip(0..).map(|(board, index)| (board.name.to_string(), index));
    let (boards, seed) = (boards.collect(), job.spec.sketch.seed);
    (Loader { store: store.clone(), view: job.view.clone(), objects, boards, seed, workers }, feeds)
}

impl Loader {
    /// Hands out every pane. `fingerprint`: of the job that wrote them.
    pub(super) fn run(self, fingerprint: u64) -> Result<(), Broken> {
        let started = Instant::now();
        let (mut panes, mut bytes) = (0, 0u64);
        let mut told = false;
        let mut rest = self.objects.as_slice();
        while !rest.is_empty() {
            let names: Vec<String> = rest.iter().map(|(_, name)| name.clone()).collect();
            let mut done = 0;
            let read = self.store.get_all(&names, |name, found| {
                let Some(found) = found else { return Err(self.missing(name).into()) };
                let digests = pane_object::decode(name, &found, rest[done].0, fingerprint, self.seed)
                    .map_err(|error| self.damaged(error))?;
                self.hand_out(rest[done].0, digests)?;
                (done, panes, bytes) = (done + 1, panes + 1, bytes + found.len() as u64);
                if !told && started.elapsed() > LONG {
                    told = true;
                    tracing::info!(panes, of = self.objects.len(), "loading the panes of the windows");
                }
                Ok(())
            });
            rest = &rest[done..];
            match read {
                // It was reached before the job began to load: what has gone away may come back.
                Err(Broken::Failed(StateFailure::Store(error))) if error.is_transient() => {
                    self.wait(&error)?
                }
                read => read?,
            }
        }
        self.workers.keys().try_for_each(|worker| self.send(*worker, None))?;
        if panes > 0 {
            let (megabytes, ms) = (bytes as f64 / 1e6, started.elapsed().as_millis() as u64);
            tracing::info!(panes, megabytes, ms, "loaded the panes of the windows");
        }
        Ok(())
    }

    fn missing(&self, name: &str) -> StateFailure {
        StateFailure::Missing { url: self.store.url().to_owned(), name: name.to_owned() }
    }

    fn damaged(&self, error: PaneObjectError) -> StateFailure {
        StateFailure::Object { url: self.store.url().to_owned(), error: Box::new(error) }
    }

    fn wait(&self, error: &StateError) -> Result<(), Broken> {
        self.view.update_state(|counts| counts.retries += 1);
        tracing::warn!(%error, "the state cannot be read; trying again");
        std::thread::sleep(Duration::from_millis(100));
        if self.view.stopping() { Err(Broken::Stopped) } else { Ok(()) }
    }

    fn hand_out(&self, pane: Pane, digests: Boards<Digest>) -> Result<(), Broken> {
        let mut parts: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (name, groups) in digests {
            // The fingerprint has told that the boards are the same.
            let Some(board) = self.boards.get(&name) else { continue };
            parts.entry(*board as usize % self.workers.len().max(1)).or_default().push((*board, groups));
        }
        for (worker, boards) in parts {
            self.send(worker, Some((Block { level: 0, start: pane }, boards)))?;
        }
        Ok(())
    }

    fn send(&self, worker: usize, mut part: Option<StoredBlock>) -> Result<(), Broken> {
        let Some(sender) = self.workers.get(&worker) else { return Ok(()) };
        while let Err(TrySendError::Full(back)) = sender.try_send(part) {
            if self.view.stopping() {
                return Err(Broken::Stopped);
            }
            part = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}
