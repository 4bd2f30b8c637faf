//! The end of a backfill: its blocks replace those of the state, and the rollups above them are built again.

use crate::block_index::BlockIndex;
use crate::error::StateFailure;
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::mend::{edges, reaches_beyond};
use crate::object_writer::ObjectWriter;
use crate::pane::Pane;
use crate::retention::Rules;
use crate::retry::Broken;
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
    let (levels, epoch, part) =
        (objects.blocks.form.levels, manifests.epoch(), Part::Backfill(range.clone()));
    loop {
        let Some(mut view) = with_its_blocks(manifests.current(), &part, range, &levels) else {
            return Ok(0);
        };
        objects.follow(manifests.current(), &part);
        let mut settled = Vec::new();
        for level in 1..levels.count() {
            for rollup in unsettled(manifests.current(), &view, range, &levels, level) {
                if view.from(level - 1) > rollup.block.start {
                    return Err(cannot_build(objects, &view, rollup.block).into());
                }
                if rollup.has_events {
                    objects.build(&view, rollup.block, epoch, None)?;
                }
                rollup.settle(&mut view, epoch, &levels);
                settled.push(rollup);
            }
        }
        let (mut done, mut gone) = (false, Vec::new());
        manifests.change(objects.retry(), |manifest| {
            // The job may have completed another rollup over the range meanwhile. If so, all is done again.
            let Some(mut now) = with_its_blocks(manifest, &part, range, &levels) else { return };
            let mut still = Vec::new();
            for level in 1..levels.count() {
                let rollups = unsettled(manifest, &now, range, &levels, level);
                rollups.iter().for_each(|rollup| rollup.settle(&mut now, epoch, &levels));
                still.extend(rollups);
            }
            done = still == settled;
            if done {
                gone = replace(manifest, now, range);
                gone.extend(rules.expire(&mut manifest.held, manifest.live.durable, manifest.published));
            }
        })?;
        if done {
            objects.discard(gone);
            objects.collect_garbage();
            return Ok(settled.iter().filter(|rollup| rollup.has_events).count() as u64);
        }
    }
}

/// A rollup over panes of the range that has to be built again.
#[derive(PartialEq, Eq)]
struct Rollup {
    block: Block,
    /// Whether a block below it has an object. If not, the rollup has no event and gets no object.
    has_events: bool,
}

impl Rollup {
    /// Notes the rollup's new object in the block index, or that it has none.
    fn settle(&self, held: &mut BlockIndex, epoch: u64, levels: &Levels) {
        if self.has_events {
            held.set(self.block, epoch);
        } else {
            held.graft(self.block.level, self.block.start..levels.end(self.block), std::iter::empty());
        }
    }
}

/// The state's block index with the backfill's blocks in the range; `None` when the manifest has no such backfill any
/// more.
fn with_its_blocks(
    manifest: &Manifest,
    part: &Part,
    range: &Range<Pane>,
    levels: &Levels,
) -> Option<BlockIndex> {
    let (theirs, mut held) = (manifest.held_by(part)?, manifest.held.clone());
    for level in 0..levels.count() {
        let whole = whole_blocks(levels, level, range);
        // Blocks that would have expired already are left out; only the rollups above them are used.
        let whole = whole.start.max(held.from(level))..whole.end;
        if !whole.is_empty() {
            held.graft(level, whole.clone(), theirs.blocks(level, whole));
        }
    }
    Some(held)
}

/// The panes of those blocks of a level that are wholly within a range.
fn whole_blocks(levels: &Levels, level: usize, range: &Range<Pane>) -> Range<Pane> {
    let width = levels.width(level);
    range.start.next_multiple_of(width)..range.end / width * width
}

/// The rollups of a level to be built, in order. These are the rollups that reach beyond the range and end at or before
/// the job's durable frontier (the job builds later ones itself), and the rollups within the range that have no object
/// though a block below them has one. A rollup at the edge of the counted panes holds only those of its panes that were
/// counted.
fn unsettled(
    manifest: &Manifest,
    view: &BlockIndex,
    range: &Range<Pane>,
    levels: &Levels,
    level: usize,
) -> Vec<Rollup> {
    let [first, last] = edges(levels, level, range);
    let below = view.blocks(level - 1, first.start..levels.end(last));
    let filled: BTreeSet<Block> = below.map(|(block, _)| levels.block(level, block.start)).collect();
    let is_due = |block: &Block| levels.end(*block) <= manifest.live.durable;
    let unsettled = |block: &Block| {
        if reaches_beyond(levels, *block, range) {
            is_due(block) && (filled.contains(block) || view.epoch(*block).is_some())
        } else {
            view.epoch(*block).is_none() && filled.contains(block)
        }
    };
    let touching: BTreeSet<Block> = filled.iter().copied().chain([first, last]).collect();
    let unsettled = touching.into_iter().filter(|block| view.from(level) <= block.start).filter(unsettled);
    unsettled.map(|block| Rollup { block, has_events: filled.contains(&block) }).collect()
}

/// Makes `now` the block index of the state and removes the backfill. Returns the blocks whose objects are not named
/// any more.
fn replace(manifest: &mut Manifest, now: BlockIndex, range: &Range<Pane>) -> Vec<(Block, u64)> {
    let part = Part::Backfill(range.clone());
    let before: Vec<(Block, u64)> = manifest.held.all().collect();
    let theirs: Vec<(Block, u64)> = manifest.held_by(&part).into_iter().flat_map(BlockIndex::all).collect();
    let gone = before.into_iter().chain(theirs).filter(|(block, epoch)| now.epoch(*block) != Some(*epoch));
    let gone = gone.collect();
    manifest.held = now;
    let only = manifest.only_board(&part).map(str::to_owned);
    manifest.note_counted(range, only.as_deref());
    manifest.recounted.add(range.clone());
    manifest.backfills.retain(|backfill| backfill.range != *range);
    gone
}

fn cannot_build(objects: &ObjectWriter, held: &BlockIndex, block: Block) -> StateFailure {
    let name = format!("the blocks below {}", objects.blocks.form.name(block, 0));
    objects.blocks.missing(held, block, name)
}
