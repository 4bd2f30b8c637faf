//! Loads the blocks from which the windows of a run go on, and says where each window goes on.
//!
//! The committer's thread reads the objects in order and hands each to the workers that aggregate its boards. It is
//! only a few blocks ahead of them, so that memory is bounded while the dataflow already replays events.

use crate::block_index::BlockIndex;
use crate::blocks::Blocks;
use crate::decoders::Found;
use crate::error::StateFailure;
use crate::kept_rows::KeptRows;
use crate::levels::{Block, Levels};
use crate::manifest::Tally;
use crate::missing::Missing;
use crate::monitor::{JobLink, Monitor};
use crate::object::Pick;
use crate::pane::Pane;
use crate::reach::Reach;
use crate::retry::{Broken, Retry};
use crate::spans::Spans;
use crate::spec::JobSpec;
use crest_connectors::group_key::GroupKey;
use crest_connectors::state::StateError;
use crest_host::clock;
use crest_sketches::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// The most blocks on their way to a worker.
const AHEAD: usize = 8;
/// A load that takes longer is reported in the log.
const LONG: Duration = Duration::from_secs(1);

/// A stored block, with some of its boards: the board's place in the spec and the digest of each group.
pub type StoredBlock = (Block, Vec<(u32, BTreeMap<GroupKey, Digest>)>);
/// The stored blocks of a worker's boards, in order within each level. `None` follows the last one. The feed breaks off
/// before that where the job fails or stops.
pub type RestoreFeed = Receiver<Option<StoredBlock>>;

/// What the manifest says about the windows of the run before.
#[derive(Clone, Debug)]
pub struct Restored {
    /// For each board, in the order of the spec, the first pane with an event.
    pub first: Vec<Option<Pane>>,
    /// The durable frontier: all panes before it are in the store.
    pub durable: Pane,
    /// The final snapshots of windows that end at or before this pane were delivered.
    pub published: Pane,
    /// A bounded log was counted to its end. The durable frontier is then the end of the last pane with an event.
    pub ended: bool,
    /// A bounded log was counted to its end, and all of its final snapshots were delivered.
    pub finished: bool,
    /// For each board, in the order of the spec, the panes that were counted without it.
    pub uncounted: Vec<Spans>,
    /// For each board, in the order of the spec, the panes without the events of a region.
    pub missing: Vec<Missing>,
    /// For each level, the pane before which its blocks have expired.
    kept: Vec<Pane>,
}

/// Where a window goes on.
pub struct GoOn {
    /// The end of the window that was published last, which is computed again but not published; or else the end of the
    /// first window with an event.
    pub end: Pane,
    /// The first pane of that window.
    pub from: Pane,
}

impl Restored {
    pub(super) fn of(
        tally: &Tally,
        held: &BlockIndex,
        published: Pane,
        finished: bool,
        boards: usize,
    ) -> Self {
        let mut first = tally.first.clone();
        first.resize(boards, None);
        let (uncounted, kept) = (vec![Spans::default(); boards], held.all_from().collect());
        let (durable, ended) = (tally.durable, tally.ended);
        let missing = vec![Missing::default(); boards];
        Restored { first, durable, published, ended, finished, uncounted, missing, kept }
    }

    /// With the panes that were counted without each of these boards, which are in the order of the spec, and those without
    /// the events of a region.
    pub(super) fn counted_without<'n>(
        mut self,
        boards: impl Iterator<Item = &'n str> + Clone,
        uncounted: &BTreeMap<String, Spans>,
        missing: &BTreeMap<String, Missing>,
    ) -> Self {
        self.uncounted =
            boards.clone().map(|name| uncounted.get(name).cloned().unwrap_or_default()).collect();
        self.missing = boards.map(|name| missing.get(name).cloned().unwrap_or_default()).collect();
        self
    }

    /// The panes that a window lacks: those that were counted without its board, and those
    /// whose blocks had expired before the window was there.
    pub fn lacking(&self, board: usize, level: usize, reach: &Reach) -> Spans {
        let mut lacking = self.uncounted[board].clone();
        if let (Some(go_on), Some(first)) = (self.go_on(board, reach), self.first[board]) {
            let kept = self.kept[level];
            if go_on.from.max(first) < kept {
                lacking.add(0..kept);
            }
        }
        lacking
    }

    /// Where a window goes on; `None` where its board has had no event.
    pub fn go_on(&self, board: usize, reach: &Reach) -> Option<GoOn> {
        let (first, slide) = (self.first[board]?, reach.slide);
        let first_end = (first + 1).next_multiple_of(slide);
        let end = (self.published / slide * slide).max(first_end);
        Some(GoOn { end, from: reach.start(end) })
    }

    /// The blocks that a run goes on with: for each window those of the level that it is made of, and those below a
    /// rollup that is not complete. `filled` returns the blocks of a level with an event in a run of panes. The result
    /// is ordered by the ends of the blocks, then by level.
    fn needed(&self, spec: &JobSpec, filled: impl Fn(usize, Range<Pane>) -> BTreeSet<Block>) -> Vec<Block> {
        if self.finished {
            return Vec::new();
        }
        let levels = Levels::new(spec.time.pane);
        let width = levels.pane();
        let mut from: Vec<Pane> =
            (0..levels.count()).map(|level| levels.incomplete_above(level, self.durable)).collect();
        for (index, board) in spec.boards.iter().enumerate() {
            if let Some(first) = self.first[index].filter(|_| board.has_whole_window()) {
                from[0] = first.min(from[0]);
            }
            for window in board.sliding_windows() {
                let reach = Reach::of(&window, width);
                if let Some(go_on) = self.go_on(index, &reach) {
                    let from = &mut from[reach.level(&levels, board.engine)];
                    *from = go_on.from.min(*from);
                }
            }
        }
        let blocks = from.into_iter().enumerate().flat_map(|(level, from)| {
            let (from, end) = (levels.block(level, from).start, levels.block(level, self.durable).start);
            filled(level, from..end.max(from))
        });
        let mut blocks: Vec<Block> = blocks.collect();
        blocks.sort_unstable_by_key(|block| (levels.end(*block), block.level));
        blocks
    }
}

/// Reads the stored blocks and hands them out.
pub(super) struct Loader {
    blocks: Blocks,
    held: BlockIndex,
    monitor: Arc<dyn Monitor>,
    retry: Retry,
    needed: Vec<Block>,
    kept_rows: KeptRows,
    /// The place of each board in the spec.
    boards: BTreeMap<String, u32>,
    workers: BTreeMap<usize, SyncSender<Option<StoredBlock>>>,
}

/// The loader of what the windows need, and the feed of each aggregating worker.
pub(super) fn loader(
    blocks: &Blocks,
    held: &BlockIndex,
    restored: Option<&Restored>,
    job: &JobLink,
) -> (Loader, BTreeMap<usize, RestoreFeed>) {
    let levels = blocks.form.levels;
    // A block had an event if it has an object, or a block below it has one.
    let filled = |level, panes: Range<Pane>| {
        let held = (0..=level).flat_map(|below| held.blocks(below, panes.clone()));
        held.map(|(block, _)| levels.block(level, block.start)).collect()
    };
    let needed = restored.map_or(Vec::new(), |restored| restored.needed(&job.spec, filled));
    let durable = restored.map_or(0, |restored| restored.durable);
    let (mut workers, mut feeds) = (BTreeMap::new(), BTreeMap::new());
    for worker in (0..job.aggregators).filter(|_| !needed.is_empty()) {
        let (sender, feed) = sync_channel(AHEAD);
        workers.insert(worker, sender);
        feeds.insert(worker, feed);
    }
    let boards =
        job.spec.boards.iter().zip(0..).map(|(board, index)| (board.name.to_string(), index)).collect();
    let loader = Loader {
        blocks: blocks.clone(),
        held: held.clone(),
        monitor: job.monitor.clone(),
        retry: Retry::new(job.monitor.clone()),
        needed,
        kept_rows: KeptRows::new(&job.spec, durable),
        boards,
        workers,
    };
    (loader, feeds)
}

impl Loader {
    /// Hands out every block, and returns the rollups whose objects are missing or damaged.
    pub(super) fn run(mut self) -> Result<BTreeSet<Block>, Broken> {
        let started = clock::now();
        let (mut objects, mut bytes, mut gone) = (0, 0, BTreeSet::new());
        let (mut reported, mut done) = (false, 0);
        while done < self.needed.len() {
            let (needed, pick) = (&self.needed[done..], Pick::Windows(&self.kept_rows));
            let read = self.blocks.read_all(&self.held, needed, pick, &mut |found| {
                match found.bytes {
                    Some(read) => (objects, bytes) = (objects + 1, bytes + read),
                    None if self.held.epoch(found.block).is_some() => {
                        gone.insert(found.block);
                    }
                    None => {}
                }
                self.hand_out(found)?;
                done += 1;
                if !reported && clock::since(started) > LONG {
                    reported = true;
                    tracing::info!(done, of = self.needed.len(), "loading what the windows hold");
                }
                Ok(())
            });
            match read {
                // The store could be reached before, so it may come back.
                Err(Broken::Failed(StateFailure::Store(error))) if error.is_transient() => {
                    self.wait(&error)?
                }
                read => {
                    read?;
                    self.retry.note(None);
                }
            }
        }
        self.workers.keys().try_for_each(|worker| self.send(*worker, None))?;
        if objects > 0 {
            let (megabytes, ms) = (bytes as f64 / 1e6, clock::since(started).as_millis() as u64);
            tracing::info!(objects, megabytes, ms, "loaded what the windows hold");
        }
        Ok(gone)
    }

    fn wait(&mut self, error: &StateError) -> Result<(), Broken> {
        self.retry.note(Some(error));
        crest_host::thread::sleep(Duration::from_millis(100));
        if self.monitor.stopping() { Err(Broken::Stopped) } else { Ok(()) }
    }

    fn hand_out(&self, found: Found) -> Result<(), Broken> {
        let mut parts: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (name, groups) in found.digests {
            // The object has the job's fingerprint, so it has no other boards.
            let Some(board) = self.boards.get(&name) else { continue };
            parts.entry(*board as usize % self.workers.len().max(1)).or_default().push((*board, groups));
        }
        for (worker, boards) in parts {
            self.send(worker, Some((found.block, boards)))?;
        }
        Ok(())
    }

    fn send(&self, worker: usize, mut part: Option<StoredBlock>) -> Result<(), Broken> {
        let Some(sender) = self.workers.get(&worker) else { return Ok(()) };
        while let Err(TrySendError::Full(back)) = sender.try_send(part) {
            if self.monitor.stopping() {
                return Err(Broken::Stopped);
            }
            part = back;
            crest_host::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::{levels, spec};

    /// The durable frontier is the 5th pane of the 8th minute of the 3rd hour of the 5th day.
    #[test]
    fn a_day_is_loaded_as_its_minutes_its_last_hour_as_panes_and_what_no_rollup_has_yet() {
        let durable = 4 * 8640 + 2 * 360 + 7 * 6 + 4;
        let tally = Tally { durable, first: vec![Some(17)], ..Tally::from(0) };
        let restored = Restored::of(&tally, &BlockIndex::new(&levels()), durable - 1, false, 1);
        let all = |level, panes: Range<Pane>| {
            let starts = panes.step_by(levels().width(level) as usize);
            starts.map(|start| Block { level, start }).collect()
        };
        let needed = restored.needed(&spec(), all);
        let of = |level| needed.iter().filter(move |block| block.level == level).map(|block| block.start);
        assert!(of(0).eq(durable - 1 - 360..durable));
        let minutes = (durable - 1) / 6 * 6 - 8640;
        assert!(of(1).eq((minutes..durable / 6 * 6).step_by(6)));
        assert!(of(2).next().is_none(), "the 3rd hour has no ten minutes yet");
        assert!(of(3).eq([4 * 8640, 4 * 8640 + 360]));
        assert!(of(4).next().is_none());
        assert!(needed.is_sorted_by_key(|block| (levels().end(*block), block.level)));
        assert_eq!(Restored { finished: true, ..restored }.needed(&spec(), all), []);
    }
}
