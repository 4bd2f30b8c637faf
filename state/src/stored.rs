//! Reads the stored blocks of a job, so that its past windows can be ranked again.

use crate::block_index::BlockIndex;
use crate::blocks::{Blocks, limits};
use crate::claim::read_job;
use crate::error::{StateFailure, StateRefusal};
use crate::identity::Identity;
use crate::levels::{Block, Levels};
use crate::missing::Missing;
use crate::object::{Form, Pick};
use crate::pane::Pane;
use crate::spans::Spans;
use crate::spec::JobSpec;
use crest_connectors::group_key::GroupKey;
use crest_connectors::state::StateStore;
use crest_sketches::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The stored blocks of a job, as its manifest named them when it was last read.
pub struct Stored {
    blocks: Blocks,
    identity: Identity,
    named_seed: Option<u64>,
    held: BlockIndex,
    counted: Spans,
    missing: BTreeMap<String, Missing>,
    /// The epoch of the job's newest run.
    pub epoch: u64,
}

impl Stored {
    /// Reads the manifest of the job's state.
    ///
    /// # Errors
    /// The store cannot be read, or it has no manifest, or one that is damaged or of another job.
    pub fn open(store: StateStore, spec: &JobSpec, source: &str) -> Result<Self, StateRefusal> {
        let (identity, named_seed) = (Identity::of(spec, source), spec.sketch.named_seed());
        let levels = Levels::new(spec.time.pane);
        // The fingerprint and the seed come from the manifest, which `look_again` reads.
        let form = Form { levels, job: 0, seed: 0 };
        let (rows, limits) = (spec.sketch.pane_rows(), limits(&spec.boards));
        let blocks = Blocks { store, form, rows, limits, uncounted: Arc::default() };
        let (held, counted) = (BlockIndex::new(&levels), Spans::default());
        let missing = BTreeMap::new();
        let mut stored = Stored { blocks, identity, named_seed, held, counted, missing, epoch: 0 };
        stored.look_again()?;
        Ok(stored)
    }

    /// Reads the manifest again.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn look_again(&mut self) -> Result<(), StateRefusal> {
        let store = &self.blocks.store;
        let Some((manifest, _)) = read_job(store, &self.identity, self.named_seed)? else {
            return Err(StateRefusal::NoManifest { url: store.url().to_owned() });
        };
        let form = &mut self.blocks.form;
        (form.job, form.seed) = (manifest.fingerprint(), manifest.job.seed().unwrap_or_default());
        self.blocks.uncounted = Arc::new(manifest.uncounted);
        (self.held, self.counted, self.epoch) = (manifest.held, manifest.counted, manifest.live.epoch);
        self.missing = manifest.missing;
        Ok(())
    }

    /// Whether no block of a level from this pane on has expired.
    pub fn keeps(&self, level: usize, from: Pane) -> bool {
        self.held.from(level) <= from
    }

    /// From the first to the last pane of a run that was counted for the board, with gaps between them maybe; `None` where
    /// no pane of it was.
    pub fn counted_of(&self, board: &str, panes: &Range<Pane>) -> Option<Range<Pane>> {
        let within = |span: &Range<Pane>| span.start.max(panes.start)..span.end.min(panes.end);
        let counted = self.counted_for(board);
        let mut counted = counted.iter().map(within).filter(|span| !span.is_empty());
        let first = counted.next()?;
        Some(first.start..counted.next_back().map_or(first.end, |last| last.end))
    }

    /// Whether all panes of a run were counted for the board.
    pub fn has_counted(&self, board: &str, panes: &Range<Pane>) -> bool {
        self.counted_for(board).has_all(panes.clone())
    }

    /// Whether some pane of a run was counted without the board.
    pub fn lacks(&self, board: &str, panes: &Range<Pane>) -> bool {
        self.blocks.uncounted.get(board).is_some_and(|spans| spans.touches(panes))
    }

    /// The panes of a board without the events of a region.
    pub fn missing(&self, board: &str) -> Missing {
        self.missing.get(board).cloned().unwrap_or_default()
    }

    fn counted_for(&self, board: &str) -> Spans {
        let mut counted = self.counted.clone();
        self.blocks
            .uncounted
            .get(board)
            .into_iter()
            .flat_map(Spans::iter)
            .for_each(|span| counted.remove(span));
        counted
    }

    /// The blocks of a level in a run of panes that have an event, in order.
    pub fn filled(&self, level: usize, panes: &Range<Pane>) -> BTreeSet<Block> {
        let mut filled: BTreeSet<Block> =
            self.held.blocks(level, panes.clone()).map(|(block, _)| block).collect();
        if level > 0 {
            let below = self.filled(level - 1, panes);
            filled.extend(below.iter().map(|block| self.blocks.form.levels.block(level, block.start)));
        }
        filled
    }

    /// The first pane of the first block of any level that begins in a run of panes and has an object.
    pub fn next_filled(&self, panes: &Range<Pane>) -> Option<Pane> {
        let first = |level| self.held.blocks(level, panes.clone()).next().map(|(block, _)| block.start);
        (0..self.blocks.form.levels.count()).filter_map(first).min()
    }

    /// Reads these blocks in order, and calls `each` with the digests of the board's groups.
    ///
    /// # Errors
    /// A block cannot be read, or has expired since the manifest was read.
    pub fn read(
        &self,
        board: &str,
        blocks: &BTreeSet<Block>,
        mut each: impl FnMut(Block, BTreeMap<GroupKey, Digest>),
    ) -> Result<(), StateFailure> {
        let blocks: Vec<Block> = blocks.iter().copied().collect();
        self.blocks.read_all(&self.held, &blocks, Pick::Board(board), &mut |found| {
            found.digests.into_values().for_each(|groups| each(found.block, groups));
            Ok(())
        })
    }
}
