//! The keeper: a thread of process 0 that makes closed panes durable, commits, and lets go of what no window needs.
//!
//! A commit is: the objects of the panes that closed, then the manifest, then the word to the windows. Whatever
//! instant the process is killed at, the manifest is the old one or the new one, and all that it names is there.

use super::desk::{Desk, END, EncodedGroups};
use super::manifest::Manifest;
use super::restore::{Loader, needed_panes};
use super::retry::{Broken, Retry};
use super::{Replay, StateFailure, pane_object};
use crate::event_time::{Clock, Pane};
use crate::job::Job;
use crate::source::wall_clock_ms;
use crest_connectors::state::{StateError, StateStore, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often to look whether the durable frontier can move.
const LOOK: Duration = Duration::from_millis(10);
/// From one commit to the next while catching up: what closes meanwhile goes into one.
const PACE: Duration = Duration::from_millis(200);
/// Objects put at once.
const BATCH: usize = 64;
/// How long nothing was committed before looking whether another job took over.
const WATCH: Duration = Duration::from_secs(5);
/// For the sinks to deliver what was published by now; what takes longer counts with a later commit.
const DELIVERY: Duration = Duration::from_millis(5);
/// Panes are kept for so long beyond what the windows need.
const MARGIN: Duration = Duration::from_secs(3600);

/// See the module.
pub(super) struct Keeper {
    store: StateStore,
    desk: Arc<Desk>,
    job: Job,
    manifest: Manifest,
    version: Version,
    fingerprint: u64,
    retry: Retry,
    /// How many panes before the published ones stay.
    kept: u64,
    /// Objects that the manifest does not name (any more).
    garbage: Vec<String>,
    looked: Instant,
}

/// What a commit makes durable.
struct Advance {
    durable: Pane,
    ended: bool,
    partitions: BTreeMap<u32, Replay>,
}

impl Keeper {
    pub(super) fn new(
        store: StateStore,
        desk: Arc<Desk>,
        job: &Job,
        mut manifest: Manifest,
        version: Version,
        fingerprint: u64,
    ) -> Self {
        let clock = Clock::new(&job.spec.time, false);
        manifest.first.resize(job.spec.boards.len(), None);
        let needed = job.spec.boards.iter().map(|board| needed_panes(board, &clock)).max().unwrap_or(0);
        let margin = MARGIN.as_millis().div_ceil(job.spec.time.pane.as_millis().max(1)) as u64;
        Keeper {
            store,
            desk,
            manifest,
            version,
            fingerprint,
            retry: Retry::new(job.view.clone()),
            kept: needed + margin,
            garbage: Vec::new(),
            looked: Instant::now(),
            job: job.clone(),
        }
    }

    /// Loads what the windows need, then commits until all is over.
    pub(super) fn run(mut self, loader: Loader) {
        let clock = Clock::new(&self.job.spec.time, false);
        let durable = clock.start(self.manifest.durable);
        self.job.view.update_state(|counts| counts.durable = durable);
        let kept = loader.run(self.fingerprint).and_then(|()| self.keep());
        match kept {
            Ok(()) => self.desk.set_over(),
            Err(Broken::Stopped) => {}
            Err(Broken::Failed(failure)) => {
                let failure = self.named(failure);
                self.desk.fail(failure);
            }
        }
    }

    fn keep(&mut self) -> Result<(), Broken> {
        self.find_garbage();
        let mut committed: Option<Instant> = None;
        loop {
            if self.job.view.stopping() {
                return Err(Broken::Stopped);
            }
            let closed = self.desk.look(LOOK, |papers| papers.closed());
            if committed.is_some_and(|at| at.elapsed() < PACE) && closed != END {
                continue;
            }
            if let Some(advance) = self.advance(closed) {
                committed = Some(Instant::now());
                self.commit(advance)?;
            } else if self.manifest.finished {
                return Ok(());
            } else if self.manifest.ended {
                self.finish()?;
            } else if self.looked.elapsed() > WATCH {
                self.look_who_has_it()?;
            }
        }
    }

    /// How far the durable frontier can move: to where all panes are closed and handed in, and all workers have
    /// said, together with where they are in their partitions, that they can add to none of them any more.
    fn advance(&self, closed: Pane) -> Option<Advance> {
        if self.manifest.ended || closed <= self.manifest.durable {
            return None;
        }
        self.job.view.with_workers(|workers| {
            let mut frontier = closed;
            for worker in workers {
                let (_, status) = worker.as_ref()?;
                frontier = frontier.min(status.held.unwrap_or(END));
            }
            let (durable, ended) = match frontier {
                END => {
                    (self.desk.with(|papers| papers.waiting.keys().last().map_or(0, |pane| pane + 1)), true)
                }
                frontier => (frontier, false),
            };
            let durable = durable.max(self.manifest.durable);
            if durable == self.manifest.durable && !ended {
                return None;
            }
            let mut partitions = self.manifest.partitions.clone();
            for read in workers.iter().flatten().flat_map(|(_, status)| &status.read) {
                partitions.insert(read.partition, read.at(frontier));
            }
            Some(Advance { durable, ended, partitions })
        })
    }

    fn commit(&mut self, advance: Advance) -> Result<(), Broken> {
        let panes = self.desk.with(|papers| {
            let open = papers.waiting.split_off(&advance.durable);
            std::mem::replace(&mut papers.waiting, open)
        });
        let bytes = self.put(&panes)?;
        let next = &mut self.manifest;
        for (pane, boards) in &panes {
            boards.keys().for_each(|board| {
                next.first[*board as usize].get_or_insert(*pane);
            });
            next.add_pane(*pane);
        }
        (next.durable, next.ended, next.partitions) = (advance.durable, advance.ended, advance.partitions);
        self.note_published();
        self.replace_manifest()?;
        self.desk.set_durable(if self.manifest.ended { END } else { self.manifest.durable });
        let clock = Clock::new(&self.job.spec.time, false);
        let durable = clock.start(self.manifest.durable);
        self.job.view.update_state(|counts| {
            counts.durable = durable;
            counts.panes += panes.len() as u64;
            counts.bytes += bytes;
        });
        self.collect_garbage();
        Ok(())
    }

    /// Puts the objects of the panes: their bytes in all.
    fn put(&mut self, panes: &BTreeMap<Pane, BTreeMap<u32, EncodedGroups>>) -> Result<u64, Broken> {
        let mut all = 0;
        let panes: Vec<_> = panes.iter().collect();
        for batch in panes.chunks(BATCH) {
            let encode =
                |(pane, boards): &(&Pane, &BTreeMap<u32, EncodedGroups>)| self.encode(**pane, boards);
            let objects = batch.iter().map(encode).collect::<Result<Vec<_>, StateError>>()?;
            all += objects.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
            let store = &self.store;
            if store.put_all(objects.clone()).is_ok() {
                continue;
            }
            // One by one, so that a store that often fails gets somewhere.
            for (name, bytes) in objects {
                self.retry.call(|| store.put(&name, bytes.clone()))?;
            }
        }
        Ok(all)
    }

    fn encode(
        &self,
        pane: Pane,
        boards: &BTreeMap<u32, EncodedGroups>,
    ) -> Result<(String, Vec<u8>), StateError> {
        let name = pane_object::object_name(pane, self.manifest.epoch);
        let named = boards
            .iter()
            .map(|(board, groups)| (self.job.spec.boards[*board as usize].name.to_string(), groups.clone()));
        let bytes = pane_object::encode(pane, self.fingerprint, &named.collect());
        let unfit = |error: std::io::Error| StateError::Unreachable {
            url: format!("{}/{name}", self.store.url()),
            reason: error.to_string(),
        };
        Ok((name.clone(), bytes.map_err(unfit)?))
    }

    /// Notes how far the finals are delivered, and lets the panes before that go which no window needs.
    fn note_published(&mut self) {
        let published = self.desk.with(|papers| papers.published()).min(self.manifest.durable);
        if published <= self.manifest.published || self.job.sink.flush(Instant::now() + DELIVERY).is_err() {
            return;
        }
        self.manifest.published = published;
        self.garbage.extend(self.manifest.drop_before(published.saturating_sub(self.kept)));
    }

    fn replace_manifest(&mut self) -> Result<(), Broken> {
        let bytes = self.manifest.encode();
        let (store, version) = (&self.store, &self.version);
        let version = self.retry.call(|| store.replace_manifest(bytes.clone(), Some(version)))?;
        self.version = version;
        self.looked = Instant::now();
        self.job.view.update_state(|counts| {
            counts.commits += 1;
            counts.bytes += bytes.len() as u64;
            counts.last_commit = wall_clock_ms();
        });
        Ok(())
    }

    /// Says, once all of a bounded log is published and delivered, that there is nothing left to do.
    fn finish(&mut self) -> Result<(), Broken> {
        let published = self.desk.with(|papers| papers.published()) == END;
        if published && self.job.sink.flush(Instant::now() + PACE).is_ok() {
            (self.manifest.published, self.manifest.finished) = (self.manifest.durable, true);
            self.replace_manifest()?;
        }
        Ok(())
    }

    /// A job that closes no pane for a while commits nothing, and would not notice that it was superseded.
    fn look_who_has_it(&mut self) -> Result<(), Broken> {
        self.looked = Instant::now();
        match self.store.manifest() {
            Ok(found) if found.as_ref().map(|found| &found.version) != Some(&self.version) => {
                Err(StateError::Superseded { url: self.store.url().to_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    /// With both epochs, where another job took over.
    fn named(&self, failure: StateFailure) -> StateFailure {
        let StateFailure::Store(StateError::Superseded { url }) = failure else { return failure };
        let found = (0..5).find_map(|_| self.store.manifest().ok().flatten());
        let theirs = found.and_then(|found| Manifest::decode(&found.bytes).ok());
        let theirs = theirs.map_or(0, |manifest| manifest.epoch);
        StateFailure::Superseded { url, ours: self.manifest.epoch, theirs }
    }

    /// What runs before this one have put and were killed before they could name it.
    fn find_garbage(&mut self) {
        let Ok(found) = self.store.list(pane_object::PREFIX) else { return };
        let named: std::collections::HashSet<String> =
            self.manifest.objects(0).map(|(_, name)| name).collect();
        let ours = self.manifest.epoch;
        let of_others = |name: &str| pane_object::epoch_of(name).is_some_and(|epoch| epoch < ours);
        let names = found.into_iter().map(|object| object.name);
        self.garbage.extend(names.filter(|name| !named.contains(name) && of_others(name)));
    }

    /// Deletes what the manifest does not name; what cannot be deleted now is tried again after the next commit.
    fn collect_garbage(&mut self) {
        if !self.garbage.is_empty() && self.store.delete(&self.garbage).is_ok() {
            self.garbage.clear();
        }
    }
}
