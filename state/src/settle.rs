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

    /// Where only one board is counted, the block index whose rollups have the other boards, and that board.
    fn others<'m>(&self, _manifest: &'m Manifest) -> Option<(&'m BlockIndex, &'m str)> {
        None
    }

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
    /// The epoch of the run that wrote the rollup which has the other boards.
    others: Option<u64>,
}

impl Due {
    /// Whether a block below it has an object.
    fn has_events(&self) -> bool {
        self.below.iter().any(Option::is_some)
    }

    /// Whether it gets an object: it does not where nothing has an event in it.
    fn is_filled(&self) -> bool {
        self.has_events() || self.others.is_some()
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
        objects.follow(manifest, manifests.part());
        let others = change.others(manifest);
        let Some(mut view) = change.view(manifest) else { return Ok(0) };
        let mut settled = Vec::new();
        for level in 1..levels.count() {
            for due in all_due(change, manifest, &view, &levels, level) {
                if due.has_events() && view.from(level - 1) > due.block.start {
                    return Err(cannot_build(objects, &view, due.block).into());
                }
                if due.is_filled() {
                    objects.build(&view, due.block, epoch, others)?;
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
            return Ok(settled.iter().filter(|due| due.is_filled()).count() as u64);
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
    let others = |block| change.others(manifest).and_then(|(index, _)| index.epoch(block));
    due.map(|block| Due { block, below: below(block), others: others(block) }).collect()
}

/// Notes the rollup's new object in the block index, or that it has none.
fn note(index: &mut BlockIndex, due: &Due, epoch: u64, levels: &Levels) {
    if due.is_filled() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{Blocks, limits};
    use crate::identity::Identity;
    use crate::manifest::Part;
    use crate::manifest::tests::{levels, spec};
    use crate::monitor::{Monitor, StateCounts, WorkersProgress};
    use crate::object::{Boards, Form, Pick};
    use crate::pane::Pane;
    use crest_connectors::group_key::GroupKey;
    use crest_connectors::state::StateStore;
    use crest_sketches::{Digest, Merged, PaneSketch, Shape};
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const MINUTE: Block = Block { level: 1, start: 0 };

    struct Going;

    impl Monitor for Going {
        fn stopping(&self) -> bool {
            false
        }

        fn progress(&self, _: Pane) -> Option<WorkersProgress> {
            None
        }

        fn update(&self, _: &mut dyn FnMut(&mut StateCounts)) {}
    }

    fn pane(start: Pane) -> Block {
        Block { level: 0, start }
    }

    /// The object of a pane, with one item of this weight.
    fn put_pane(store: &StateStore, form: &Form, start: Pane, epoch: u64, weight: u32) {
        let shape = Shape::new(64, 0.001, 0.00005, form.seed).unwrap();
        let mut sketch = PaneSketch::new(&shape);
        sketch.add(b"item", weight);
        let mut merged = Merged::new(&shape);
        merged.add(&sketch);
        let digest = merged.cut(100).encode(form.seed);
        let boards = Boards::from([("default".to_owned(), BTreeMap::from([(GroupKey::WHOLE, digest)]))]);
        store.put(&form.name(pane(start), epoch), form.encode(pane(start), &boards).unwrap()).unwrap();
    }

    /// Builds the minute. When this is asked what is due for the first time, another process replaces a pane of it.
    struct Raced<'a> {
        store: &'a StateStore,
        form: Form,
        asked: Cell<u32>,
    }

    impl Change for Raced<'_> {
        const ALWAYS: bool = false;

        fn view(&self, manifest: &Manifest) -> Option<BlockIndex> {
            Some(manifest.held.clone())
        }

        fn due(&self, _: &Manifest, view: &BlockIndex, level: usize) -> Vec<Block> {
            if self.asked.replace(self.asked.get() + 1) == 0 {
                put_pane(self.store, &self.form, 3, 2, 1000);
                let found = self.store.manifest().unwrap().unwrap();
                let mut manifest = Manifest::decode(&found.bytes).unwrap();
                manifest.held.set(pane(3), 2);
                self.store.replace_manifest(manifest.encode().unwrap(), Some(&found.version)).unwrap();
            }
            (level == 1 && view.epoch(MINUTE).is_none()).then_some(MINUTE).into_iter().collect()
        }

        fn apply(&self, manifest: &mut Manifest, now: BlockIndex) -> Vec<(Block, u64)> {
            manifest.held = now;
            Vec::new()
        }
    }

    #[test]
    fn a_rollup_is_built_again_where_a_block_below_it_was_replaced_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let mut manifest = Manifest::new(&Identity::of(&spec(), "kafka:events"), &levels());
        manifest.claim(&Part::Live, 5, &levels());
        manifest.live.durable = 6;
        manifest.counted.add(0..6);
        let form = Form { levels: levels(), job: manifest.job.fingerprint(), seed: spec().sketch.seed };
        for start in 0..6 {
            put_pane(&store, &form, start, 1, 1);
            manifest.held.set(pane(start), 1);
        }
        let version = store.replace_manifest(manifest.encode().unwrap(), None).unwrap();
        let mut manifests = ManifestWriter::new(&store, Part::Live, (manifest, version), Arc::default());
        let blocks = Blocks {
            store: store.clone(),
            form,
            rows: 100,
            limits: limits(&spec().boards),
            uncounted: Default::default(),
        };
        let mut objects = ObjectWriter::new(blocks, vec!["default".to_owned()], Arc::new(Going));

        let raced = Raced { store: &store, form, asked: Cell::new(0) };
        assert_eq!(settle(&mut objects, &mut manifests, &raced).ok(), Some(1));
        let held = &manifests.current().held;
        assert_eq!((held.epoch(pane(3)), held.epoch(MINUTE)), (Some(2), Some(manifests.epoch())));
        let name = form.name(MINUTE, manifests.epoch());
        let bytes = store.get(&name).unwrap().unwrap();
        let stored = form.decode(&name, &bytes, MINUTE, Pick::All).unwrap();
        assert_eq!(stored["default"].get(&GroupKey::WHOLE).map(Digest::total), Some(5 + 1000));
    }
}
