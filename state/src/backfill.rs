//! The end of a backfill: its blocks replace those of the state, and the rollups above them are built again.

use crate::block_index::BlockIndex;
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::mend::{edges, reaches_beyond};
use crate::object_writer::ObjectWriter;
use crate::pane::Pane;
use crate::retention::Rules;
use crate::retry::Broken;
use crate::settle::{Change, settle};
use std::collections::BTreeSet;
use std::ops::Range;

/// Replaces the state's blocks in the range by the backfill's, in one change of the manifest with the rollups that
/// reach beyond the range, and removes the backfill's part. Returns how many rollups it built.
///
/// # Errors
/// A block beside the range cannot be read, or another run has claimed the backfill.
pub(super) fn replace_range(
    objects: &mut ObjectWriter,
    manifests: &mut ManifestWriter,
    range: &Range<Pane>,
    rules: &Rules,
) -> Result<u64, Broken> {
    let levels = objects.blocks.form.levels;
    settle(objects, manifests, &Replacement { range, rules, levels })
}

struct Replacement<'a> {
    range: &'a Range<Pane>,
    rules: &'a Rules,
    levels: Levels,
}

impl Change for Replacement<'_> {
    const ALWAYS: bool = true;

    /// The state's block index with the backfill's blocks in the range.
    fn view(&self, manifest: &Manifest) -> Option<BlockIndex> {
        let theirs = manifest.held_by(&Part::Backfill(self.range.clone()))?;
        let mut held = manifest.held.clone();
        for level in 0..self.levels.count() {
            let whole = whole_blocks(&self.levels, level, self.range);
            // Blocks that would have expired already are left out; only the rollups above them are used.
            let whole = whole.start.max(held.from(level))..whole.end;
            if !whole.is_empty() {
                held.graft(level, whole.clone(), theirs.blocks(level, whole));
            }
        }
        Some(held)
    }

    /// The rollups that reach beyond the range and end at or before the job's durable frontier (the job builds later ones
    /// itself), and the rollups within the range that have no object though a block below them has one. A rollup at the
    /// edge of the counted panes holds only those of its panes that were counted.
    fn due(&self, manifest: &Manifest, view: &BlockIndex, level: usize) -> Vec<Block> {
        let levels = &self.levels;
        let [first, last] = edges(levels, level, self.range);
        let below = view.blocks(level - 1, first.start..levels.end(last));
        let filled: BTreeSet<Block> = below.map(|(block, _)| levels.block(level, block.start)).collect();
        let is_due = |block: &Block| {
            if reaches_beyond(levels, *block, self.range) {
                let is_complete = levels.end(*block) <= manifest.live.durable;
                is_complete && (filled.contains(block) || view.epoch(*block).is_some())
            } else {
                view.epoch(*block).is_none() && filled.contains(block)
            }
        };
        let touching: BTreeSet<Block> = filled.iter().copied().chain([first, last]).collect();
        touching.into_iter().filter(|block| view.from(level) <= block.start).filter(is_due).collect()
    }

    fn apply(&self, manifest: &mut Manifest, now: BlockIndex) -> Vec<(Block, u64)> {
        let part = Part::Backfill(self.range.clone());
        let only = manifest.only_board(&part).map(str::to_owned);
        manifest.note_first(&part);
        let theirs = manifest.held_by(&part).into_iter();
        let before = manifest.held.all().chain(theirs.flat_map(BlockIndex::all));
        let gone = before.filter(|(block, epoch)| now.epoch(*block) != Some(*epoch));
        let mut gone: Vec<(Block, u64)> = gone.collect();
        manifest.held = now;
        let absent = manifest.absent_from(&part);
        manifest.note_counted(self.range, only.as_deref());
        manifest.note_absent(&absent, self.range, only.as_deref());
        manifest.recounted.add(self.range.clone());
        manifest.backfills.retain(|backfill| backfill.range != *self.range);
        gone.extend(self.rules.expire(&mut manifest.held, manifest.live.durable, manifest.published));
        gone
    }
}

/// The panes of those blocks of a level that are wholly within a range.
fn whole_blocks(levels: &Levels, level: usize, range: &Range<Pane>) -> Range<Pane> {
    let width = levels.width(level);
    range.start.next_multiple_of(width)..range.end / width * width
}
