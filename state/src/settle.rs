//! Builds the rollups that a change of the stored blocks asks for, and names them in the manifest together with it.
//!
//! **Always holds**: the manifest names a rollup only where it still has the blocks that the rollup was built from. Where
//! another process has changed one of them meanwhile, all is done again.

use crate::block_index::BlockIndex;
use crate::error::StateFailure;
use crate::levels::{Block, Levels};
use crate::manifest::Manifest;
use crate::manifest_writer::ManifestWriter;
use crate::object_writer::ObjectWriter;
use crate::retry::Broken;

/// A change of the stored blocks.
pub(super) trait Change {
    /// Whether it is to be made even where it asks for no rollup.
    const ALWAYS: bool;

    /// The block index with the change and before its rollups are built; `None` where the manifest no longer has what is
    /// to be changed.
    fn view(&self, manifest: &Manifest) -> Option<BlockIndex>;

    /// The rollups of a level that have to be built, in order. Those of the levels below are in the view already.
    fn due(&self, manifest: &Manifest, view: &BlockIndex, level: usize) -> Vec<Block>;

    /// Makes the change in the manifest, whose block index is then `now`. Returns the blocks whose objects are not named
    /// any more.
    fn apply(&self, manifest: &mut Manifest, now: BlockIndex) -> Vec<(Block, u64)>;
}

/// A rollup that was found to be due.
#[derive(PartialEq, Eq)]
struct Due {
    block: Block,
    /// The epochs of the runs that wrote the blocks below it.
    below: Vec<Option<u64>>,
}

impl Due {
    /// Whether a block below it has an object. If not, the rollup has no event and gets no object.
    fn has_events(&self) -> bool {
        self.below.iter().any(Option::is_some)
    }
}

/// Builds the rollups that the change asks for, level by level, and makes the change with them in one step. Returns how
/// many rollups it built.
///
/// # Errors
/// A block below them cannot be read or has expired, or another run has claimed this one's part.
pub(super) fn settle<C: Change>(
    objects: &mut ObjectWriter,
    manifests: &mut ManifestWriter,
    change: &C,
) -> Result<u64, Broken> {
    let (levels, epoch) = (objects.blocks.form.levels, manifests.epoch());
    loop {
        manifests.look()?;
        let manifest = manifests.current();
        let Some(mut view) = change.view(manifest) else { return Ok(0) };
        let mut settled = Vec::new();
        for level in 1..levels.count() {
            for due in all_due(change, manifest, &view, &levels, level) {
                if view.from(level - 1) > due.block.start {
                    return Err(cannot_build(objects, &view, due.block).into());
                }
                if due.has_events() {
                    objects.build(&view, due.block, epoch)?;
                }
                note(&mut view, &due, epoch, &levels);
                settled.push(due);
            }
        }
        if settled.is_empty() && !C::ALWAYS {
            return Ok(0);
        }
        let (mut done, mut gone) = (false, Vec::new());
        manifests.change(objects.retry(), |manifest| {
            let Some(mut now) = change.view(manifest) else { return };
            let mut still = Vec::new();
            for level in 1..levels.count() {
                let due = all_due(change, manifest, &now, &levels, level);
                due.iter().for_each(|due| note(&mut now, due, epoch, &levels));
                still.extend(due);
            }
            done = still == settled;
            if done {
                gone = change.apply(manifest, now);
            }
        })?;
        if done {
            objects.discard(gone);
            objects.collect_garbage();
            return Ok(settled.iter().filter(|due| due.has_events()).count() as u64);
        }
    }
}

fn all_due(
    change: &impl Change,
    manifest: &Manifest,
    view: &BlockIndex,
    levels: &Levels,
    level: usize,
) -> Vec<Due> {
    let below = |block| levels.children(block).map(|child| view.epoch(child)).collect();
    let due = change.due(manifest, view, level).into_iter();
    due.map(|block| Due { block, below: below(block) }).collect()
}

/// Notes the rollup's new object in the block index, or that it has none.
fn note(index: &mut BlockIndex, due: &Due, epoch: u64, levels: &Levels) {
    if due.has_events() {
        index.set(due.block, epoch);
    } else {
        let panes = due.block.start..levels.end(due.block);
        index.graft(due.block.level, panes, std::iter::empty());
    }
}

fn cannot_build(objects: &ObjectWriter, held: &BlockIndex, block: Block) -> StateFailure {
    let name = format!("the blocks below {}", objects.blocks.form.name(block, 0));
    objects.blocks.missing(held, block, name)
}
