//! Builds missing rollups from the blocks below them. A rollup is missing where a job was killed between a pane and the
//! rollup above it, where a backfill has counted its panes again, or where its object is gone.

use crate::block_index::BlockIndex;
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, Part};
use crate::manifest_writer::ManifestWriter;
use crate::object_writer::ObjectWriter;
use crate::pane::Pane;
use crate::retry::Broken;
use crate::settle::{Change, settle};
use std::collections::BTreeSet;

/// Builds the missing rollups of this run's part, and those that are `gone`, and returns how many they are.
///
/// # Errors
/// A block below them cannot be read, or another run has claimed the part.
pub(super) fn repair(
    objects: &mut ObjectWriter,
    manifests: &mut ManifestWriter,
    gone: &BTreeSet<Block>,
) -> Result<u64, Broken> {
    let (part, levels) = (manifests.part().clone(), objects.blocks.form.levels);
    let rollups = settle(objects, manifests, &Repair { part, levels, gone })?;
    if rollups > 0 {
        tracing::info!(rollups, "built rollups from what is stored below them");
    }
    Ok(rollups)
}

struct Repair<'a> {
    part: Part,
    levels: Levels,
    /// Rollups whose objects are missing or damaged.
    gone: &'a BTreeSet<Block>,
}

impl Change for Repair<'_> {
    const ALWAYS: bool = false;

    fn view(&self, manifest: &Manifest) -> Option<BlockIndex> {
        manifest.held_by(&self.part).cloned()
    }

    /// Those that end at or before the durable frontier. A backfill leaves out what begins before its range: that is
    /// built when it replaces the state's blocks.
    fn due(&self, manifest: &Manifest, view: &BlockIndex, level: usize) -> Vec<Block> {
        let durable = manifest.tally(&self.part).map_or(0, |tally| tally.durable);
        let from = match &self.part {
            Part::Live => 0,
            Part::Backfill(range) => range.start,
        };
        let mut due = lacking(&self.levels, view, level, durable, self.gone);
        due.retain(|block| block.start >= from);
        due
    }

    fn apply(&self, manifest: &mut Manifest, now: BlockIndex) -> Vec<(Block, u64)> {
        if let Some((_, held)) = manifest.part_mut(&self.part) {
            *held = now;
        }
        Vec::new()
    }
}

/// The rollups of a level that end at or before `end` and have to be built: a block below them has an object, and they
/// have none or are among those that are `gone`.
fn lacking(
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
