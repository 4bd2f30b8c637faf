//! The committer: a thread of process 0 that makes closed panes durable and deletes what has expired.
//!
//! A commit writes the objects of the panes that closed and of the rollups over them, then the manifest that names
//! them, and then moves the durable frontier, which the persist stage waits for. At whatever instant the process is killed,
//! the store holds the old manifest or the new one, and every object that it names.

use crate::backfill;
use crate::commit_queue::CommitQueue;
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::monitor::{JobLink, WorkersProgress};
use crate::object_writer::{ObjectWriter, Unstored};
use crate::one_board::with_the_others;
use crate::pane::{END, Pane, PaneWidth};
use crate::repair::repair;
use crate::replay::Replay;
use crate::restore::Loader;
use crate::retention::{Rules, follow};
use crate::retry::Broken;
use crest_connectors::source::join_identities;
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for a worker's report before checking again whether the durable frontier can move.
const LOOK: Duration = Duration::from_millis(10);
/// The least time between two commits. What closes meanwhile goes into the next one.
const PACE: Duration = Duration::from_millis(200);
/// How long rollups wait for a commit of panes before they get one of their own.
const ROLLUPS: Duration = Duration::from_secs(2);
/// How long without a commit before checking whether another job took the state over.
const WATCH: Duration = Duration::from_secs(5);
/// How long the sinks may take to deliver what was published; what takes longer is noted by a later commit.
const DELIVERY: Duration = Duration::from_millis(5);

/// The thread's own data.
pub(super) struct Committer {
    queue: Arc<CommitQueue>,
    job: JobLink,
    manifests: ManifestWriter,
    objects: ObjectWriter,
    rules: Rules,
    width: PaneWidth,
    levels: Levels,
    looked: Instant,
}

/// What a commit adds to the manifest.
struct Advance {
    durable: Pane,
    ended: bool,
    partitions: BTreeMap<u64, Replay>,
}

/// How many panes of other boards are in memory at once while a backfill of one board keeps them.
const PANES_AT_ONCE: Pane = 64;

/// Panes whose objects were written.
struct Stored {
    panes: Vec<Block>,
    bytes: u64,
}

/// Rollups to be stored.
struct Rollups {
    ready: Unstored,
    /// All rollups that end at or before this pane have been pushed by now.
    reached: Pane,
    /// The log has ended, and the last rollups are to be built from stored blocks.
    ended: bool,
}

impl Committer {
    pub(super) fn new(
        queue: Arc<CommitQueue>,
        job: &JobLink,
        manifests: ManifestWriter,
        objects: ObjectWriter,
        rules: Rules,
    ) -> Self {
        Committer {
            queue,
            manifests,
            levels: objects.blocks.form.levels,
            objects,
            rules,
            width: PaneWidth::new(job.spec.time.pane),
            looked: clock::now(),
            job: job.clone(),
        }
    }

    /// Loads what the windows need, then commits until the job has ended.
    pub(super) fn run(mut self, loader: Loader) {
        self.report_durable();
        let kept = loader.run().and_then(|gone| {
            if *self.manifests.part() == Part::Live {
                self.objects.find_garbage(self.manifests.current());
                // A job that has come to its end commits nothing more.
                self.objects.collect_garbage();
            }
            repair(&mut self.objects, &mut self.manifests, &gone)?;
            self.keep()
        });
        match kept {
            Ok(()) => self.queue.set_over(),
            Err(Broken::Stopped) => {}
            Err(Broken::Failed(failure)) => {
                self.queue.fail(self.objects.with_all_missing(failure, self.manifests.current()));
            }
        }
    }

    fn keep(&mut self) -> Result<(), Broken> {
        let mut committed = clock::now().checked_sub(PACE);
        let mut noted = clock::now();
        loop {
            if self.job.monitor.stopping() {
                return Err(Broken::Stopped);
            }
            let closed = self.queue.look(LOOK, |queued| queued.closed());
            let since = committed.map_or(Duration::MAX, clock::since);
            if since < PACE && closed != END {
                continue;
            }
            let ended = self.durable() == END;
            if let Some(advance) = self.advance(closed) {
                committed = Some(clock::now());
                self.commit(Some(advance))?;
            } else if (ended || since > ROLLUPS) && self.has_rollups() {
                committed = Some(clock::now());
                self.commit(None)?;
            } else if ended {
                if self.finish()? {
                    return Ok(());
                }
            } else if clock::since(noted) >= PACE && self.has_published() {
                // Delivered snapshots are noted soon, before the next pane is durable. If this run is killed before it
                // notes them, the next run delivers them again.
                noted = clock::now();
                if self.published().is_some() {
                    committed = Some(clock::now());
                    self.commit(None)?;
                }
            } else if clock::since(self.looked) > WATCH {
                self.looked = clock::now();
                self.manifests.look()?;
            }
        }
    }

    /// The durable frontier of this part; [`END`] where the part was counted to its end.
    fn durable(&self) -> Pane {
        let tally = self.manifests.current().tally(self.manifests.part());
        tally.map_or(0, |tally| if tally.ended { END } else { tally.durable })
    }

    /// How far the durable frontier can move: to the pane before which all panes were pushed and no worker can add
    /// events any more. The workers report the latter together with their positions in the partitions.
    fn advance(&self, closed: Pane) -> Option<Advance> {
        let tally = self.manifests.current().tally(self.manifests.part())?;
        if tally.ended || closed <= tally.durable {
            return None;
        }
        let WorkersProgress { frontier, partitions: read } = self.job.monitor.progress(closed)?;
        let (durable, ended) = match (self.manifests.part(), frontier) {
            (Part::Backfill(range), frontier) if frontier >= range.end => (range.end, true),
            (Part::Live, END) => (self.queue.with(|queued| queued.end()), true),
            (_, frontier) => (frontier, false),
        };
        let durable = durable.max(tally.durable);
        if durable == tally.durable && !ended {
            return None;
        }
        let mut partitions = tally.partitions.clone();
        partitions.extend(read);
        Some(Advance { durable, ended, partitions })
    }

    /// Commits: makes the panes of `advance` durable and stores the rollups that are complete; `None` stores only
    /// rollups and notes what was published.
    fn commit(&mut self, advance: Option<Advance>) -> Result<(), Broken> {
        let (began, epoch, part) = (clock::now(), self.manifests.epoch(), self.manifests.part().clone());
        let panes = advance.as_ref().map_or_else(Unstored::new, |advance| self.take_panes(advance.durable));
        let missing = advance
            .as_ref()
            .map_or_else(Vec::new, |advance| self.queue.with(|queued| queued.take_missing(advance.durable)));
        let Rollups { ready, reached, ended } = self.take_rollups();
        let stored = self.put_panes(&panes, advance.as_ref())?;
        let bytes = stored.bytes + self.objects.put_unstored(&ready, epoch)?;
        let (published, log, boards) =
            (self.published(), self.job.source.identity(), self.job.spec.boards.len());
        let (mut gone, mut overtaken) = (Vec::new(), Vec::new());
        let (rules, levels, spec) = (&self.rules, &self.levels, &self.job.spec);
        let written = self.manifests.change(self.objects.retry(), |manifest| {
            // A backfill has counted panes of these rollups again, so they hold old counts and are not named.
            let is_recounted = |block: &&Block| {
                part == Part::Live && manifest.recounted.touches(&(block.start..levels.end(**block)))
            };
            overtaken = ready.keys().filter(is_recounted).copied().collect();
            let Some((tally, held)) = manifest.part_mut(&part) else { return };
            tally.first.resize(boards, None);
            for (block, boards) in &panes {
                boards.keys().for_each(|board| {
                    tally.first[*board as usize].get_or_insert(block.start);
                });
            }
            let rollups = ready.keys().filter(|block| !overtaken.contains(block));
            // Where the answer of the store was lost, what this change added may have expired in it already.
            let (new, expired): (Vec<Block>, Vec<Block>) =
                stored.panes.iter().chain(rollups).partition(|block| held.from(block.level) <= block.start);
            new.iter().for_each(|block| held.set(*block, epoch));
            if let Some(advance) = &advance {
                (tally.durable, tally.ended) = (advance.durable, advance.ended);
                tally.partitions = advance.partitions.clone();
                tally.log = join_identities(tally.log.take(), log.clone());
            }
            if part == Part::Live {
                let name = |board: u32| &*spec.boards[board as usize].name;
                manifest.note_missing(
                    missing.iter().map(|(board, region, panes)| (name(*board), region, panes.clone())),
                );
            }
            gone.extend(settle(manifest, &part, (published, reached), rules, levels));
            gone.extend(expired.into_iter().map(|block| (block, epoch)));
        })?;
        let held = self.manifests.current().held_by(&part);
        gone.retain(|(block, epoch)| held.is_none_or(|held| held.epoch(*block) != Some(*epoch)));
        self.objects.discard(gone);
        self.looked = clock::now();
        self.queue.set_durable(self.durable());
        self.report_durable();
        let mut rollups = (ready.len() - overtaken.len()) as u64;
        if ended || !overtaken.is_empty() {
            rollups += repair(&mut self.objects, &mut self.manifests, &BTreeSet::new())?;
        }
        self.job.monitor.update(&mut |counts| {
            counts.commits += 1;
            counts.commit_ns += clock::since(began).as_nanos() as u64;
            counts.panes += panes.len() as u64;
            counts.rollups += rollups;
            counts.bytes += bytes + written;
            counts.last_commit = wall_clock_ms();
        });
        self.objects.collect_garbage();
        Ok(())
    }

    /// Writes the objects of panes. Those of a backfill of one board also have what the state has of the others.
    fn put_panes(&mut self, panes: &Unstored, advance: Option<&Advance>) -> Result<Stored, Broken> {
        let (epoch, part) = (self.manifests.epoch(), self.manifests.part().clone());
        let manifest = self.manifests.current();
        let board = manifest.only_board(&part).map(str::to_owned);
        let from = manifest.tally(&part).map_or(0, |tally| tally.durable);
        let (Some(board), Some(advance)) = (board, advance) else {
            let bytes = self.objects.put_unstored(panes, epoch)?;
            return Ok(Stored { panes: panes.keys().copied().collect(), bytes });
        };
        let mut stored = Stored { panes: Vec::new(), bytes: 0 };
        // Some at a time, since the others' panes may be large.
        for start in (from..advance.durable).step_by(PANES_AT_ONCE as usize) {
            let run = start..advance.durable.min(start + PANES_AT_ONCE);
            let named = with_the_others(&mut self.objects, &mut self.manifests, &board, panes, run)?;
            stored.bytes += self.objects.put_named(&named, epoch)?;
            stored.panes.extend(named.into_keys());
        }
        Ok(stored)
    }

    /// Reports the durable frontier to the monitor.
    fn report_durable(&self) {
        let tally = self.manifests.current().tally(self.manifests.part());
        let durable = self.width.start(tally.map_or(0, |tally| tally.durable));
        self.job.monitor.update(&mut |counts| counts.durable = durable);
    }

    /// Takes the closed panes before `durable` from the queue.
    fn take_panes(&self, durable: Pane) -> Unstored {
        let closed = self.queue.with(|queued| {
            let open = queued.waiting.split_off(&durable);
            std::mem::replace(&mut queued.waiting, open)
        });
        closed.into_iter().map(|(start, boards)| (Block { level: 0, start }, boards)).collect()
    }

    /// Whether there are rollups that the workers have pushed for all boards.
    fn has_rollups(&self) -> bool {
        self.queue.with(|queued| {
            let published = queued.published();
            queued.rollups.keys().any(|block| self.levels.end(*block) <= published)
        })
    }

    /// Takes the rollups that the workers have pushed for all boards.
    fn take_rollups(&self) -> Rollups {
        let levels = &self.levels;
        let (reached, mut ready): (Pane, Unstored) = self.queue.with(|queued| {
            let reached = queued.published();
            let ready = queued.rollups.extract_if(.., |block, _| levels.end(*block) <= reached);
            (reached, ready.collect())
        });
        if let Part::Backfill(range) = self.manifests.part() {
            // The other rollups have panes outside the range. They are built at the end of the backfill.
            ready.retain(|block, _| block.start >= range.start && levels.end(*block) <= range.end);
            if self.manifests.current().only_board(self.manifests.part()).is_some() {
                // They lack the other boards.
                ready.clear();
            }
        }
        let ended = reached == END && !ready.is_empty();
        if ended {
            // At the end of the log each board pushes the rollups that its own events have filled, so that some may
            // lack a board. They are built from stored blocks instead.
            ready.clear();
        }
        Rollups { ready, reached, ended }
    }

    /// The pane up to which final snapshots were handed to the sink.
    fn handed_out(&self) -> Pane {
        self.queue.with(|queued| queued.published()).min(self.manifests.current().live.durable)
    }

    /// Whether more final snapshots were handed to the sink than the manifest notes as published.
    fn has_published(&self) -> bool {
        *self.manifests.part() == Part::Live && self.handed_out() > self.manifests.current().published
    }

    /// The pane up to which the sink has delivered final snapshots, if it is later than in the manifest.
    fn published(&self) -> Option<Pane> {
        if !self.has_published() {
            return None;
        }
        // It is read before the sinks are asked: those that tell of all that they were given mean no less than this.
        let handed_out = self.handed_out();
        let delivered = self.width.pane(self.job.sink.delivered(clock::now() + DELIVERY));
        let published = handed_out.min(delivered);
        (published > self.manifests.current().published).then_some(published)
    }

    /// Does what is left after the log was counted to its end. Returns whether all is done.
    fn finish(&mut self) -> Result<bool, Broken> {
        if let Part::Backfill(range) = self.manifests.part().clone() {
            // Rollups at the end of the range may not have been pushed, where no later event completed them.
            let lacking = repair(&mut self.objects, &mut self.manifests, &BTreeSet::new())?;
            let edges = backfill::replace_range(&mut self.objects, &mut self.manifests, &range, &self.rules)?;
            self.job.monitor.update(&mut |counts| counts.rollups += lacking + edges);
            return Ok(true);
        }
        if self.manifests.current().finished {
            return Ok(true);
        }
        let published = self.queue.with(|queued| queued.published()) == END;
        if published && self.job.sink.flush(clock::now() + PACE).is_ok() {
            let (rules, mut gone) = (&self.rules, Vec::new());
            self.manifests.change(self.objects.retry(), |manifest| {
                (manifest.published, manifest.finished) = (manifest.live.durable, true);
                // No ranking is left for which late events would have to be counted again.
                manifest.live.partitions.values_mut().for_each(|at| (at.replay, at.newest) = (at.next, None));
                gone = rules.expire(&mut manifest.held, manifest.live.durable, manifest.published);
            })?;
            self.objects.discard(gone);
            self.objects.collect_garbage();
        }
        Ok(false)
    }
}

/// Notes in the manifest what was published and counted, and removes blocks that have expired. Returns those.
fn settle(
    manifest: &mut Manifest,
    part: &Part,
    (published, rolled_up): (Option<Pane>, Pane),
    rules: &Rules,
    levels: &Levels,
) -> Vec<(Block, u64)> {
    let durable = manifest.live.durable;
    if *part != Part::Live {
        let live = manifest.held.clone();
        let found = manifest.part_mut(part);
        return found.map_or(Vec::new(), |(tally, held)| follow(levels, held, &live, tally.durable));
    }
    manifest.published = published.unwrap_or(0).max(manifest.published);
    if let Some(first) = manifest.first() {
        manifest.counted.add(first..durable);
    }
    // A recounted span is forgotten once the job has pushed every rollup over it.
    let top = levels.count() - 1;
    manifest.recounted.retain(|span| levels.end(levels.block(top, span.end - 1)) > rolled_up);
    rules.expire(&mut manifest.held, durable, manifest.published)
}
