//! Puts objects and deletes them. A store that cannot be written now is waited for.

use crate::block_index::BlockIndex;
use crate::blocks::Blocks;
use crate::error::StateFailure;
use crate::levels::Block;
use crate::manifest::Manifest;
use crate::mend::Mend;
use crate::monitor::Monitor;
use crate::object::{Boards, Pick};
use crate::pane::EncodedGroups;
use crate::pane::Pane;
use crate::retry::{Broken, Retry};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Objects put at once.
const BATCH: usize = 64;

/// Closed blocks by board, that are not stored yet.
pub(super) type Waiting = BTreeMap<Block, BTreeMap<u32, EncodedGroups>>;

/// See the module.
pub(super) struct ObjectWriter {
    pub(super) blocks: Blocks,
    /// The boards' names, in the order of the job.
    boards: Vec<String>,
    retry: Retry,
    /// Objects that the manifest does not name (any more).
    garbage: Vec<String>,
}

impl ObjectWriter {
    pub(super) fn new(blocks: Blocks, boards: Vec<String>, monitor: Arc<dyn Monitor>) -> Self {
        ObjectWriter { blocks, boards, retry: Retry::new(monitor), garbage: Vec::new() }
    }

    pub(super) fn retry(&mut self) -> &mut Retry {
        &mut self.retry
    }

    /// Puts the objects of blocks: their bytes in all.
    pub(super) fn put_waiting(&mut self, waiting: &Waiting, epoch: u64) -> Result<u64, Broken> {
        let waiting: Vec<_> = waiting.iter().collect();
        let mut bytes = 0;
        for batch in waiting.chunks(BATCH) {
            let mut objects = Vec::with_capacity(batch.len());
            for (block, boards) in batch {
                let name = |board: u32| self.boards[board as usize].clone();
                let named: Boards<Vec<u8>> =
                    boards.iter().map(|(board, groups)| (name(*board), groups.clone())).collect();
                objects.push(self.blocks.object(**block, epoch, &named)?);
            }
            bytes += self.put(objects)?;
        }
        Ok(bytes)
    }

    /// Builds a rollup from what is held below it, and puts its object: its bytes.
    pub(super) fn build(&mut self, held: &BlockIndex, block: Block, epoch: u64) -> Result<u64, Broken> {
        let (blocks, below, mut children) = (&self.blocks, self.blocks.below(block), Vec::new());
        // What was read stays so, so that a store that often fails gets somewhere.
        self.retry.read(|| {
            let rest = &below[children.len()..];
            blocks.read_all(held, rest, Pick::All, &mut |child| {
                children.push(child);
                Ok::<(), StateFailure>(())
            })
        })?;
        let object = blocks.object_of(&blocks.roll_up(block, children), epoch)?;
        self.put(vec![object])
    }

    fn put(&mut self, objects: Vec<(String, Vec<u8>)>) -> Result<u64, Broken> {
        let bytes = objects.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let store = &self.blocks.store;
        if self.retry.timed(|| store.put_all(objects.clone())).is_err() {
            // One by one, so that a store that often fails gets somewhere.
            for (name, bytes) in objects {
                self.retry.call(|| store.put(&name, bytes.clone()))?;
            }
        }
        Ok(bytes)
    }

    /// Notes that the manifest does not name these blocks' objects any more.
    pub(super) fn let_go(&mut self, gone: Vec<(Block, u64)>) {
        let form = &self.blocks.form;
        self.garbage.extend(gone.into_iter().map(|(block, epoch)| form.name(block, epoch)));
    }

    /// Notes what runs before the manifest's have put and were killed before they could name it.
    pub(super) fn find_garbage(&mut self, manifest: &Manifest) {
        let Ok(found) = self.blocks.store.list("") else { return };
        let form = &self.blocks.form;
        let backfills = manifest.backfills.iter().flat_map(|backfill| backfill.held.all());
        let named: HashSet<String> =
            manifest.held.all().chain(backfills).map(|(block, epoch)| form.name(block, epoch)).collect();
        let at_work: Vec<u64> = manifest.epochs_at_work().collect();
        // Later ones are of backfills that this manifest does not know of yet.
        let left_over = |epoch| epoch < manifest.live.epoch && !at_work.contains(&epoch);
        let names = found.into_iter().map(|object| object.name);
        let unnamed =
            names.filter(|name| !named.contains(name) && form.epoch_of(name).is_some_and(left_over));
        self.garbage.extend(unnamed);
    }

    /// The failure for want of an object, with how many others are missing as well: after a restore that brought back the
    /// manifest alone, people want to know.
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

    /// Deletes what the manifest does not name; what cannot be deleted now is tried again after the next commit.
    pub(super) fn collect_garbage(&mut self) {
        if !self.garbage.is_empty() && self.blocks.store.delete(&self.garbage).is_ok() {
            self.garbage.clear();
        }
    }
}
