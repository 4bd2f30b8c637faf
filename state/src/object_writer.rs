//! Writes objects of blocks and deletes them. It waits for a store that fails to be written.

use crate::block_index::BlockIndex;
use crate::blocks::Blocks;
use crate::decoders::Found;
use crate::error::StateFailure;
use crate::levels::Block;
use crate::manifest::{Manifest, Part};
use crate::mend::Mend;
use crate::monitor::Monitor;
use crate::object::{Boards, Pick};
use crate::pane::{EncodedGroups, Pane};
use crate::retry::{Broken, Retry};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The most objects written at once.
const BATCH: usize = 64;

/// Complete blocks that are not stored yet, with the groups of each board.
pub(super) type Unstored = BTreeMap<Block, BTreeMap<u32, EncodedGroups>>;
/// The same, with the boards by name.
pub(super) type Named = BTreeMap<Block, Boards<Vec<u8>>>;

/// The writer of one run's objects.
pub(super) struct ObjectWriter {
    pub(super) blocks: Blocks,
    /// The boards' names, in the order of the job.
    boards: Vec<String>,
    retry: Retry,
    /// The names of objects to delete, which the manifest does not name (any more).
    garbage: Vec<String>,
}

impl ObjectWriter {
    pub(super) fn new(blocks: Blocks, boards: Vec<String>, monitor: Arc<dyn Monitor>) -> Self {
        ObjectWriter { blocks, boards, retry: Retry::new(monitor), garbage: Vec::new() }
    }

    /// Takes over from a manifest which panes were counted without a board.
    pub(super) fn follow(&mut self, manifest: &Manifest, part: &Part) {
        self.blocks.uncounted = Arc::new(manifest.uncounted_for(part));
    }

    pub(super) fn retry(&mut self) -> &mut Retry {
        &mut self.retry
    }

    /// Writes the objects of blocks, and returns how many bytes they have.
    pub(super) fn put_unstored(&mut self, waiting: &Unstored, epoch: u64) -> Result<u64, Broken> {
        let mut bytes = 0;
        let waiting: Vec<_> = waiting.iter().collect();
        for batch in waiting.chunks(BATCH) {
            let named = batch.iter().map(|(block, boards)| (**block, self.named(boards))).collect();
            bytes += self.put_named(&named, epoch)?;
        }
        Ok(bytes)
    }

    /// The boards of a block by name.
    pub(super) fn named(&self, boards: &BTreeMap<u32, EncodedGroups>) -> Boards<Vec<u8>> {
        let name = |board: u32| self.boards[board as usize].clone();
        boards.iter().map(|(board, groups)| (name(*board), groups.clone())).collect()
    }

    /// Writes the objects of blocks, and returns how many bytes they have.
    pub(super) fn put_named(&mut self, waiting: &Named, epoch: u64) -> Result<u64, Broken> {
        let objects: Result<Vec<_>, _> =
            waiting.iter().map(|(block, boards)| self.blocks.object(*block, epoch, boards)).collect();
        self.put(objects?)
    }

    /// Reads blocks, without one board.
    pub(super) fn read_others(
        &mut self,
        held: &BlockIndex,
        wanted: &[Block],
        without: &str,
    ) -> Result<Vec<Found>, Broken> {
        let (blocks, mut found) = (&self.blocks, Vec::new());
        self.retry.read(|| {
            blocks.read_all(held, &wanted[found.len()..], Pick::All, &mut |mut read| {
                read.digests.remove(without);
                found.push(read);
                Ok::<(), StateFailure>(())
            })
        })?;
        Ok(found)
    }

    /// Builds a rollup from the stored blocks below it, writes its object, and returns how many bytes it has. Where only
    /// one board was counted, `others` has the index in which the rollup has the other boards, if anything has them.
    pub(super) fn build(
        &mut self,
        held: &BlockIndex,
        block: Block,
        epoch: u64,
        others: Option<(&BlockIndex, &str)>,
    ) -> Result<u64, Broken> {
        let (blocks, mut children) = (&self.blocks, Vec::new());
        // A retry does not read again what was read, so that it makes progress where the store often fails.
        self.retry.read(|| blocks.read_below(held, block, Pick::All, &mut children))?;
        let mut built = blocks.roll_up(block, children);
        if let Some((before, board)) = others.filter(|(before, _)| before.epoch(block).is_some()) {
            built.digests.retain(|name, _| name == board);
            for found in self.read_others(before, &[block], board)? {
                built.digests.extend(found.digests);
            }
        }
        let object = self.blocks.object_of(&built, epoch)?;
        self.put(vec![object])
    }

    fn put(&mut self, objects: Vec<(String, Vec<u8>)>) -> Result<u64, Broken> {
        let bytes = objects.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let store = &self.blocks.store;
        if self.retry.timed(|| store.put_all(objects.clone())).is_err() {
            // The objects are written one by one, so that retries make progress where the store often fails.
            for (name, bytes) in objects {
                self.retry.call(|| store.put(&name, bytes.clone()))?;
            }
        }
        Ok(bytes)
    }

    /// Notes that the manifest does not name these blocks' objects any more, so that they will be deleted.
    pub(super) fn discard(&mut self, gone: Vec<(Block, u64)>) {
        let form = &self.blocks.form;
        self.garbage.extend(gone.into_iter().map(|(block, epoch)| form.name(block, epoch)));
    }

    /// Finds the objects that earlier runs wrote but did not name before they were killed, so that they will be
    /// deleted.
    pub(super) fn find_garbage(&mut self, manifest: &Manifest) {
        let Ok(found) = self.blocks.store.list("") else { return };
        let form = &self.blocks.form;
        let backfills = manifest.backfills.iter().flat_map(|backfill| backfill.held.all());
        let named: HashSet<String> =
            manifest.held.all().chain(backfills).map(|(block, epoch)| form.name(block, epoch)).collect();
        let at_work: Vec<u64> = manifest.epochs_at_work().collect();
        // A greater epoch is that of a backfill which began after this manifest was read.
        let left_over = |epoch| epoch < manifest.live.epoch && !at_work.contains(&epoch);
        let names = found.into_iter().map(|object| object.name);
        let unnamed =
            names.filter(|name| !named.contains(name) && form.epoch_of(name).is_some_and(left_over));
        self.garbage.extend(unnamed);
    }

    /// Adds to a failure of a missing object how many other panes are missing, and which panes to count again for all
    /// of them. An incomplete restore of a backup can leave many.
    pub(super) fn with_all_missing(&self, failure: StateFailure, manifest: &Manifest) -> StateFailure {
        let (StateFailure::Missing { url, name, mend, .. }, Ok(found)) =
            (&failure, self.blocks.store.list(""))
        else {
            return failure;
        };
        let (form, held) = (&self.blocks.form, &manifest.held);
        let there: HashSet<String> = found.into_iter().map(|object| object.name).collect();
        let panes = held.blocks(0, 0..Pane::MAX).filter(|(block, epoch)| {
            let pane = form.name(*block, *epoch);
            pane != *name && !there.contains(&pane)
        });
        let (mut more, mut mend) = (0, *mend);
        for (block, _) in panes {
            let also = Mend::of(held, &form.levels, block);
            mend = Mend { from_ms: mend.from_ms.min(also.from_ms), to_ms: mend.to_ms.max(also.to_ms) };
            more += 1;
        }
        StateFailure::Missing { url: url.clone(), name: name.clone(), more, mend }
    }

    /// Deletes the objects that are not named any more. Where the store fails, they are tried again after the next
    /// commit.
    pub(super) fn collect_garbage(&mut self) {
        if !self.garbage.is_empty() && self.blocks.store.delete(&self.garbage).is_ok() {
            self.garbage.clear();
        }
    }
}
