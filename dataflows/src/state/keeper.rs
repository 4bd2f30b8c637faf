//! The keeper: a thread of process 0 that makes closed panes durable, commits, and lets go of what nobody needs.
//!
//! A commit is: the objects of the panes that closed and of the rollups over them, then the manifest, then the word to
//! the windows. Whatever instant the process is killed at, the manifest is the old one or the new one, and all that it
//! names is there.

use super::Replay;
use super::backfill;
use super::books::Books;
use super::desk::{Desk, END};
use super::manifest::{Manifest, Part};
use super::repair::repair;
use super::restore::Loader;
use super::retention::{Rules, follow};
use super::retry::Broken;
use super::writer::{Waiting, Writer};
use crate::event_time::{Clock, Pane};
use crate::job::Job;
use crate::levels::{Block, Levels};
use crate::source::wall_clock_ms;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often to look whether the durable frontier can move.
const LOOK: Duration = Duration::from_millis(10);
/// From one commit to the next while catching up: what closes meanwhile goes into one.
const PACE: Duration = Duration::from_millis(200);
/// How long rollups wait for a commit that makes panes durable.
const ROLLUPS: Duration = Duration::from_secs(2);
/// How long nothing was committed before looking whether another job took over.
const WATCH: Duration = Duration::from_secs(5);
/// For the sinks to deliver what was published by now; what takes longer counts with a later commit.
const DELIVERY: Duration = Duration::from_millis(5);

/// See the module.
pub(super) struct Keeper {
    desk: Arc<Desk>,
    job: Job,
    books: Books,
    writer: Writer,
    rules: Rules,
    clock: Clock,
    levels: Levels,
    looked: Instant,
}

/// What a commit makes durable.
struct Advance {
    durable: Pane,
    ended: bool,
    partitions: BTreeMap<u32, Replay>,
}

/// Rollups to be stored.
struct Rollups {
    ready: Waiting,
    /// All that end at or before it were handed in, now or before.
    reached: Pane,
    /// The log has ended, and some are to be built from what is stored.
    ended: bool,
}

impl Keeper {
    pub(super) fn new(desk: Arc<Desk>, job: &Job, books: Books, writer: Writer, rules: Rules) -> Self {
        Keeper {
            desk,
            books,
            levels: writer.blocks.form.levels,
            writer,
            rules,
            clock: Clock::new(&job.spec.time, false),
            looked: Instant::now(),
            job: job.clone(),
        }
    }

    /// Loads what the windows need, then commits until all is over.
    pub(super) fn run(mut self, loader: Loader) {
        self.tell_durable();
        let kept = loader.run().and_then(|gone| {
            if *self.books.part() == Part::Live {
                self.writer.find_garbage(self.books.manifest());
            }
            repair(&mut self.writer, &mut self.books, &gone)?;
            self.keep()
        });
        match kept {
            Ok(()) => self.desk.set_over(),
            Err(Broken::Stopped) => {}
            Err(Broken::Failed(failure)) => {
                self.desk.fail(self.writer.with_all_missing(failure, self.books.manifest()));
            }
        }
    }

    fn keep(&mut self) -> Result<(), Broken> {
        let mut committed = Instant::now().checked_sub(PACE);
        let mut told = Instant::now();
        loop {
            if self.job.view.stopping() {
                return Err(Broken::Stopped);
            }
            let closed = self.desk.look(LOOK, |papers| papers.closed());
            let since = committed.map_or(Duration::MAX, |at| at.elapsed());
            if since < PACE && closed != END {
                continue;
            }
            let ended = self.durable() == END;
            if let Some(advance) = self.advance(closed) {
                committed = Some(Instant::now());
                self.commit(Some(advance))?;
            } else if (ended || since > ROLLUPS) && self.has_rollups() {
                committed = Some(Instant::now());
                self.commit(None)?;
            } else if ended {
                if self.finish()? {
                    return Ok(());
                }
            } else if told.elapsed() >= PACE && self.has_published() {
                // What was delivered is noted soon, and not only with the next pane: a run that is killed before that
                // makes the next one deliver it again.
                told = Instant::now();
                if self.published().is_some() {
                    committed = Some(Instant::now());
                    self.commit(None)?;
                }
            } else if self.looked.elapsed() > WATCH {
                self.looked = Instant::now();
                self.books.look()?;
            }
        }
    }

    /// The durable frontier of this part; the end of all panes where it was counted to its end.
    fn durable(&self) -> Pane {
        let tally = self.books.manifest().tally(self.books.part());
        tally.map_or(0, |tally| if tally.ended { END } else { tally.durable })
    }

    /// How far the durable frontier can move: to where all panes are closed and handed in, and all workers have
    /// said, together with where they are in their partitions, that they can add to none of them any more.
    fn advance(&self, closed: Pane) -> Option<Advance> {
        let tally = self.books.manifest().tally(self.books.part())?;
        if tally.ended || closed <= tally.durable {
            return None;
        }
        self.job.view.with_workers(|workers| {
            let mut frontier = closed;
            for worker in workers {
                let (_, status) = worker.as_ref()?;
                frontier = frontier.min(status.held.unwrap_or(END));
            }
            let (durable, ended) = match (self.books.part(), frontier) {
                (Part::Backfill(range), frontier) if frontier >= range.end => (range.end, true),
                (Part::Live, END) => {
                    (self.desk.with(|papers| papers.waiting.keys().last().map_or(0, |pane| pane + 1)), true)
                }
                (_, frontier) => (frontier, false),
            };
            let durable = durable.max(tally.durable);
            if durable == tally.durable && !ended {
                return None;
            }
            let mut partitions = tally.partitions.clone();
            for read in workers.iter().flatten().flat_map(|(_, status)| &status.read) {
                partitions.insert(read.partition, read.at(frontier));
            }
            Some(Advance { durable, ended, partitions })
        })
    }

    /// Makes panes durable, with the rollups that are complete by now, or these alone.
    fn commit(&mut self, advance: Option<Advance>) -> Result<(), Broken> {
        let (began, epoch, part) = (Instant::now(), self.books.epoch(), self.books.part().clone());
        let panes = advance.as_ref().map_or_else(Waiting::new, |advance| self.take_panes(advance.durable));
        let Rollups { ready, reached, ended } = self.take_rollups();
        let bytes = self.writer.put_waiting(&panes, epoch)? + self.writer.put_waiting(&ready, epoch)?;
        let (published, log, boards) =
            (self.published(), self.job.source.identity(), self.job.spec.boards.len());
        let (mut gone, mut overtaken) = (Vec::new(), Vec::new());
        let (rules, levels) = (&self.rules, &self.levels);
        let written = self.books.change(self.writer.retry(), |manifest| {
            // What a backfill has counted anew is not in these.
            let anew = |block: &&Block| {
                part == Part::Live && manifest.recounted.touches(&(block.start..levels.end(**block)))
            };
            overtaken = ready.keys().filter(anew).copied().collect();
            let Some((tally, held)) = manifest.part_mut(&part) else { return };
            tally.first.resize(boards, None);
            for (block, boards) in &panes {
                boards.keys().for_each(|board| {
                    tally.first[*board as usize].get_or_insert(block.start);
                });
            }
            let rollups = ready.keys().filter(|block| !overtaken.contains(block));
            panes.keys().chain(rollups).for_each(|block| held.set(*block, epoch));
            if let Some(advance) = &advance {
                (tally.durable, tally.ended) = (advance.durable, advance.ended);
                (tally.partitions, tally.log) = (advance.partitions.clone(), log.clone());
            }
            gone = settle(manifest, &part, (published, reached), rules, levels);
        })?;
        self.writer.let_go(gone);
        self.looked = Instant::now();
        self.desk.set_durable(self.durable());
        self.tell_durable();
        let mut rollups = (ready.len() - overtaken.len()) as u64;
        if ended || !overtaken.is_empty() {
            rollups += repair(&mut self.writer, &mut self.books, &BTreeSet::new())?;
        }
        self.job.view.update_state(|counts| {
            counts.commits += 1;
            counts.commit_ns += began.elapsed().as_nanos() as u64;
            counts.panes += panes.len() as u64;
            counts.rollups += rollups;
            counts.bytes += bytes + written;
            counts.last_commit = wall_clock_ms();
        });
        self.writer.collect_garbage();
        Ok(())
    }

    fn tell_durable(&self) {
        let tally = self.books.manifest().tally(self.books.part());
        let durable = self.clock.start(tally.map_or(0, |tally| tally.durable));
        self.job.view.update_state(|counts| counts.durable = durable);
    }

    /// The closed panes that become durable.
    fn take_panes(&self, durable: Pane) -> Waiting {
        let closed = self.desk.with(|papers| {
            let open = papers.waiting.split_off(&durable);
            std::mem::replace(&mut papers.waiting, open)
        });
        closed.into_iter().map(|(start, boards)| (Block { level: 0, start }, boards)).collect()
    }

    /// Whether there are rollups that all boards have handed in.
    fn has_rollups(&self) -> bool {
        self.desk.with(|papers| {
            let published = papers.published();
            papers.rollups.keys().any(|block| self.levels.end(*block) <= published)
        })
    }

    /// Takes the rollups that all boards have handed in.
    fn take_rollups(&self) -> Rollups {
        let levels = &self.levels;
        let (reached, mut ready): (Pane, Waiting) = self.desk.with(|papers| {
            let reached = papers.published();
            let ready = papers.rollups.extract_if(.., |block, _| levels.end(*block) <= reached);
            (reached, ready.collect())
        });
        if let Part::Backfill(range) = self.books.part() {
            // The others are in part not its own.
            ready.retain(|block, _| block.start >= range.start && levels.end(*block) <= range.end);
        }
        let ended = reached == END && !ready.is_empty();
        if ended {
            // At the end of the log each board hands in what it has filled itself, which may not be all.
            ready.clear();
        }
        Rollups { ready, reached, ended }
    }

    /// Up to where the finals are with the sink.
    fn handed_out(&self) -> Pane {
        self.desk.with(|papers| papers.published()).min(self.books.manifest().live.durable)
    }

    /// Whether that is further than the manifest says.
    fn has_published(&self) -> bool {
        *self.books.part() == Part::Live && self.handed_out() > self.books.manifest().published
    }

    /// Up to where the finals are delivered, if that is known to be further than before.
    fn published(&self) -> Option<Pane> {
        let published = self.handed_out();
        let news = self.has_published();
        (news && self.job.sink.flush(Instant::now() + DELIVERY).is_ok()).then_some(published)
    }

    /// What is left to do when the log was counted to its end. Whether it is done.
    fn finish(&mut self) -> Result<bool, Broken> {
        if let Part::Backfill(range) = self.books.part().clone() {
            // Those at the end are not handed in where no later event completes them.
            let lacking = repair(&mut self.writer, &mut self.books, &BTreeSet::new())?;
            let edges = backfill::take_its_place(&mut self.writer, &mut self.books, &range, &self.rules)?;
            self.job.view.update_state(|counts| counts.rollups += lacking + edges);
            return Ok(true);
        }
        if self.books.manifest().finished {
            return Ok(true);
        }
        let published = self.desk.with(|papers| papers.published()) == END;
        if published && self.job.sink.flush(Instant::now() + PACE).is_ok() {
            let (rules, mut gone) = (&self.rules, Vec::new());
            self.books.change(self.writer.retry(), |manifest| {
                (manifest.published, manifest.finished) = (manifest.live.durable, true);
                gone = rules.expire(&mut manifest.held, manifest.live.durable, manifest.published);
            })?;
            self.writer.let_go(gone);
            self.writer.collect_garbage();
        }
        Ok(false)
    }
}

/// Notes what follows from how far all are, the final snapshots and the rollups: what was published, what is counted,
/// and what is let go of.
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
        let held = manifest.part_mut(part).map(|(_, held)| held);
        return held.map_or(Vec::new(), |held| follow(levels, held, &live));
    }
    manifest.published = published.unwrap_or(0).max(manifest.published);
    if let Some(first) = manifest.live.first.iter().flatten().min() {
        manifest.counted.add(*first..durable);
    }
    // The job has handed in every rollup over them.
    let top = levels.count() - 1;
    manifest.recounted.retain(|span| levels.end(levels.block(top, span.end - 1)) > rolled_up);
    rules.expire(&mut manifest.held, durable, manifest.published)
}
