//! Builds missing rollups from the blocks below them. A rollup is missing where a job was killed between a pane and the
//! rollup above it, where a backfill has counted its panes again, or where its object is gone.

use crate::block_index::BlockIndex;
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::object_writer::ObjectWriter;
use crate::pane::Pane;
use crate::retry::Broken;
use std::collections::BTreeSet;

/// The rollups of a level that end at or before `end` and have to be built: a block below them has an object, and they
/// have none or are among those that are `gone`.
pub(super) fn lacking(
    levels: &Levels,
    held: &BlockIndex,
    level: usize,
    end: Pane,
    gone: &BTreeSet<Block>,
) -> Vec<Block> {
    let below =
        held.blocks(level - 1, held.from(level)..end).map(|(block, _)| levels.block(level, block.start));
    let mut lacking: Vec<Block> = below
        .filter(|block| levels.end(*block) <= end)
        .filter(|block| held.epoch(*block).is_none() || gone.contains(block))
        .collect();
    lacking.dedup();
    lacking
}

/// Builds the missing rollups of this run's part, adds them to the manifest, and returns how many they are. Where
/// another process has replaced blocks below them meanwhile, they are built again.
///
/// # Errors
/// A block below them cannot be read, or another run has claimed the part.
pub(super) fn repair(
    objects: &mut ObjectWriter,
    manifests: &mut ManifestWriter,
    gone: &BTreeSet<Block>,
) -> Result<u64, Broken> {
    let (part, epoch, levels) = (manifests.part().clone(), manifests.epoch(), objects.blocks.form.levels);
    loop {
        manifests.look()?;
        let manifest = manifests.current();
        objects.follow(manifest, &part);
        let (Some(tally), Some(held)) = (manifest.tally(&part), manifest.held_by(&part)) else {
            return Ok(0);
        };
        let (durable, mut view, mut built) = (tally.durable, held.clone(), Vec::new());
        for level in 1..levels.count() {
            let carried = to_carry(&levels, manifest, &part, (&view, durable), level);
            for block in lacking(&levels, &view, level, durable, gone).into_iter().chain(carried) {
                if matches!(&part, Part::Backfill(range) if block.start < range.start) {
                    continue;
                }
                let others = manifest.only_board(&part).map(|board| (&manifest.held, board));
                objects.build(&view, block, epoch, others)?;
                built.push((block, below(&levels, &view, block)));
                view.set(block, epoch);
            }
        }
        if built.is_empty() {
            return Ok(0);
        }
        let mut done = false;
        manifests.change(objects.retry(), |manifest| {
            let Some((_, held)) = manifest.part_mut(&part) else { return };
            let mut now = held.clone();
            done = built.iter().all(|(block, of)| {
                let same = below(&levels, &now, *block) == *of;
                now.set(*block, epoch);
                same
            });
            if done {
                *held = now;
            }
        })?;
        if done {
            tracing::info!(rollups = built.len(), "built rollups from what is stored below them");
            return Ok(built.len() as u64);
        }
    }
}

/// The rollups of a level that a backfill of one board takes over without it: those of the state in which the backfill has
/// no event, up to its durable frontier. Those below them may have expired.
fn to_carry(
    levels: &Levels,
    manifest: &Manifest,
    part: &Part,
    (view, durable): (&BlockIndex, Pane),
    level: usize,
) -> Vec<Block> {
    let Part::Backfill(range) = part else { return Vec::new() };
    if manifest.only_board(part).is_none() {
        return Vec::new();
    }
    let stored = manifest.held.blocks(level, range.clone()).map(|(block, _)| block);
    let within = stored.filter(|block| levels.end(*block) <= range.end.min(durable));
    let unfilled = |block: &Block| {
        let below = view.blocks(level - 1, block.start..levels.end(*block)).next();
        below.is_none() && view.epoch(*block).is_none()
    };
    within.filter(unfilled).collect()
}

/// The epochs of the runs that wrote the blocks below a rollup.
fn below(levels: &Levels, held: &BlockIndex, block: Block) -> Vec<Option<u64>> {
    levels.children(block).map(|child| held.epoch(child)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::levels;

    #[test]
    fn what_is_complete_and_not_there_is_found_level_by_level() {
        let (levels, mut held, none) = (levels(), BlockIndex::new(&levels()), BTreeSet::new());
        let block = |level, start| Block { level, start };
        [0, 1, 7, 61, 119].into_iter().for_each(|start| held.set(block(0, start), 1));
        held.set(block(1, 0), 1);
        assert_eq!(lacking(&levels, &held, 1, 119, &none), [block(1, 6), block(1, 60)]);
        assert_eq!(lacking(&levels, &held, 1, 120, &none), [block(1, 6), block(1, 60), block(1, 114)]);
        assert_eq!(lacking(&levels, &held, 2, 120, &none), [block(2, 0)]);
        let gone = BTreeSet::from([block(1, 0)]);
        assert_eq!(lacking(&levels, &held, 1, 12, &gone), [block(1, 0), block(1, 6)]);
    }
}
