//! Reads blocks from their objects, and builds a rollup without an object from the blocks below it.

use crate::block_index::BlockIndex;
use crate::decoders::{Decoders, Fetched, Found};
use crate::error::StateFailure;
use crate::identity::Counted;
use crate::levels::{Block, Levels};
use crate::manifest::Manifest;
use crate::mend::Mend;
use crate::object::{Boards, Form, ObjectError, Pick};
use crate::rollup::roll_up_groups;
use crate::spans::Spans;
use crate::spec::BoardSpec;
use crest_connectors::group_key::GroupKey;
use crest_connectors::state::{StateError, StateStore};
use crest_sketches::Digest;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

/// A reader of the blocks of one store.
#[derive(Clone)]
pub(super) struct Blocks {
    pub(super) store: StateStore,
    pub(super) form: Form,
    /// The number of rows to which a rollup is cut.
    pub(super) rows: usize,
    /// For each board, by name, the most groups that a rollup has.
    pub(super) limits: Arc<BTreeMap<String, usize>>,
    /// See [`Manifest::uncounted`].
    pub(super) uncounted: Arc<BTreeMap<String, Spans>>,
}

/// For each board, by name, the most groups that it may have.
pub(super) fn limits(boards: &[BoardSpec]) -> Arc<BTreeMap<String, usize>> {
    Arc::new(boards.iter().map(|board| (board.name.to_string(), board.max_groups)).collect())
}

impl Blocks {
    /// A reader of the blocks of a state, by its manifest and what this says about the job.
    pub(super) fn of(store: StateStore, manifest: &Manifest, counted: &Counted) -> Self {
        let levels = Levels::new(counted.pane);
        let form = Form { levels, job: manifest.fingerprint(), seed: counted.seed };
        let uncounted = Arc::new(manifest.uncounted.clone());
        Blocks { store, form, rows: counted.rows, limits: limits(&counted.boards), uncounted }
    }

    /// Reads blocks, many at a time, and calls `each` with them in order. A rollup that has no object in the index, or
    /// whose object is missing or damaged, is built from the blocks below it, unless these have expired.
    ///
    /// # Errors
    /// The store or `each` fails, or an object is missing or damaged and cannot be built. `each` has been called with
    /// the blocks before.
    pub(super) fn read_all<E: From<StateFailure> + From<StateError>>(
        &self,
        held: &BlockIndex,
        blocks: &[Block],
        pick: Pick<'_>,
        each: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_held = |block: &Block| held.epoch(*block).is_some();
        for run in blocks.chunk_by(|a, b| is_held(a) == is_held(b)) {
            if !is_held(&run[0]) {
                run.iter().try_for_each(|block| each(self.build(held, *block, pick)?))?;
                continue;
            }
            self.read_objects(held, run, pick, each)?;
        }
        Ok(())
    }

    /// Reads blocks that have an object in the index.
    fn read_objects<E: From<StateFailure> + From<StateError>>(
        &self,
        held: &BlockIndex,
        blocks: &[Block],
        pick: Pick<'_>,
        each: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = |block: &Block| self.form.name(*block, held.epoch(*block).unwrap_or(0));
        let names: Vec<String> = blocks.iter().map(name).collect();
        thread::scope(|scope| {
            let decode = |(block, name, bytes): Fetched| self.found(held, block, &name, bytes, pick);
            let mut decoders = Decoders::start(scope, blocks.len(), decode);
            let mut hand_out = |decoders: &mut Decoders| decoders.pop().map_or(Ok(()), |found| each(found?));
            let mut rest = blocks.iter();
            let fetched = self.store.get_all(&names, |name, bytes| {
                let Some(block) = rest.next() else { return Ok(()) };
                if decoders.is_full() {
                    hand_out(&mut decoders).inspect_err(|_| decoders.clear())?;
                }
                decoders.push((*block, name.to_owned(), bytes));
                Ok(())
            });
            // Blocks that were fetched before the store failed are handed out, so that retries make progress.
            while !decoders.is_empty() {
                hand_out(&mut decoders)?;
            }
            fetched
        })
    }

    fn found(
        &self,
        held: &BlockIndex,
        block: Block,
        name: &str,
        bytes: Option<Vec<u8>>,
        pick: Pick<'_>,
    ) -> Result<Found, StateFailure> {
        let read = bytes.map(|bytes| (bytes.len() as u64, self.form.decode(name, &bytes, block, pick)));
        match read {
            Some((bytes, Ok(mut digests))) => {
                digests.retain(|board, _| self.was_counted(board, block));
                Ok(Found { block, digests, bytes: Some(bytes) })
            }
            Some((_, Err(error))) if error.is_damage() && self.can_build(held, block) => {
                tracing::warn!("a rollup of the state is built from what is below it: {error}");
                self.build(held, block, pick)
            }
            None if self.can_build(held, block) => {
                tracing::warn!(name, "a rollup of the state is missing; building it from what is below it");
                self.build(held, block, pick)
            }
            Some((_, Err(error))) => Err(self.damaged(held, block, error)),
            None => Err(self.missing(held, block, name.to_owned())),
        }
    }

    /// Whether the board that has this name now was counted in some pane of a block.
    fn was_counted(&self, board: &str, block: Block) -> bool {
        let uncounted = self.uncounted.get(board);
        uncounted.is_none_or(|spans| !spans.has_all(block.start..self.form.levels.end(block)))
    }

    /// The failure of a block whose object is damaged.
    pub(super) fn damaged(&self, held: &BlockIndex, block: Block, error: ObjectError) -> StateFailure {
        let url = self.store.url().to_owned();
        StateFailure::Object { url, error: Box::new(error), mend: Mend::of(held, &self.form.levels, block) }
    }

    /// The failure of a block whose object, of this name, is missing.
    pub(super) fn missing(&self, held: &BlockIndex, block: Block, name: String) -> StateFailure {
        let url = self.store.url().to_owned();
        StateFailure::Missing { url, name, more: 0, mend: Mend::of(held, &self.form.levels, block) }
    }

    /// Whether a block is a rollup and no block below it has expired.
    fn can_build(&self, held: &BlockIndex, block: Block) -> bool {
        block.level > 0 && held.from(block.level - 1) <= block.start
    }

    fn build(&self, held: &BlockIndex, block: Block, pick: Pick<'_>) -> Result<Found, StateFailure> {
        let mut children = Vec::new();
        self.read_below(held, block, pick.of_parts(), &mut children)?;
        Ok(self.roll_up(block, children))
    }

    /// Reads the blocks below a rollup, after those that `children` has of them already.
    pub(super) fn read_below(
        &self,
        held: &BlockIndex,
        block: Block,
        pick: Pick<'_>,
        children: &mut Vec<Found>,
    ) -> Result<(), StateFailure> {
        let below: Vec<Block> = self.form.levels.children(block).skip(children.len()).collect();
        self.read_all(held, &below, pick, &mut |child| {
            children.push(child);
            Ok(())
        })
    }

    /// The rollup of the blocks below it, the same as the stored one.
    pub(super) fn roll_up(&self, block: Block, below: Vec<Found>) -> Found {
        let mut parts: BTreeMap<String, Vec<BTreeMap<GroupKey, Rc<Digest>>>> = BTreeMap::new();
        for (board, groups) in below.into_iter().flat_map(|child| child.digests) {
            let groups = groups.into_iter().map(|(group, digest)| (group, Rc::new(digest)));
            parts.entry(board).or_default().push(groups.collect());
        }
        let digests = parts.into_iter().map(|(board, children)| {
            let keys = children.iter().flat_map(BTreeMap::keys).collect();
            let child = |number: usize, group: &GroupKey| children[number].get(group).cloned();
            let limit = self.limits.get(&board).copied().unwrap_or(usize::MAX);
            let groups = roll_up_groups(&keys, children.len(), child, self.rows, limit);
            (board, groups)
        });
        Found { block, digests: digests.collect(), bytes: None }
    }

    /// The name and the bytes of a block's object.
    ///
    /// # Errors
    /// The object cannot be compressed.
    pub(super) fn object(
        &self,
        block: Block,
        epoch: u64,
        boards: &Boards<Vec<u8>>,
    ) -> Result<(String, Vec<u8>), StateFailure> {
        let name = self.form.name(block, epoch);
        let unfit = |error: std::io::Error| StateError::Unreachable {
            url: format!("{}/{name}", self.store.url()),
            reason: error.to_string(),
        };
        let bytes = self.form.encode(block, boards).map_err(unfit)?;
        Ok((name, bytes))
    }

    /// The name and the bytes of the object of a block that was built.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub(super) fn object_of(&self, found: &Found, epoch: u64) -> Result<(String, Vec<u8>), StateFailure> {
        self.object(found.block, epoch, &self.encoded(found))
    }

    /// The digests of a block as they are stored.
    pub(super) fn encoded(&self, found: &Found) -> Boards<Vec<u8>> {
        let encode = |digest: &Digest| digest.encode(self.form.seed);
        let boards = found.digests.iter().map(|(board, groups)| {
            (board.clone(), groups.iter().map(|(group, digest)| (group.clone(), encode(digest))).collect())
        });
        boards.collect()
    }
}
