//! What was popular in any past interval: a ranking over the fewest held blocks that cover it, for whoever can read the
//! store. Nothing is written or claimed, and the job need not run.
//!
//! An interval is widened to whole blocks of the finest level that is still held there, and ends with what is durable;
//! the answer says which it is. What was let go of, or never counted, is refused together with what there is.

use crate::block_index::BlockIndex;
use crate::blocks::{Blocks, limits};
use crate::claim::read_manifest;
use crate::error::{StateFailure, StateRefusal};
use crate::identity::Counted;
use crate::inspect::Range;
use crate::levels::{Block, Levels};
use crate::manifest::{Manifest, ManifestError};
use crate::object::{Form, Pick};
use crate::pane::{Pane, PaneWidth};
use crate::rest::of_group;
use crate::spec::BoardSpec;
use crest_connectors::state::StateStore;
use crest_sketches::{Digest, Ranking};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a manifest that was read is good for.
const FRESH: Duration = Duration::from_secs(1);

/// A state that is asked about its past.
pub struct History {
    store: StateStore,
    seen: Mutex<Seen>,
}

#[derive(Clone)]
struct Seen {
    at: Instant,
    manifest: Arc<Manifest>,
    counted: Arc<Counted>,
}

/// Which interval of event time is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// The last so long, up to what is durable.
    Last(Duration),
    /// From one time up to another, exclusive: milliseconds since 1970 UTC. What is not durable yet is left out.
    Between(i64, i64),
}

/// What was found of an interval.
#[derive(Debug)]
pub struct Past {
    /// The interval that the ranking is of.
    pub range: Range,
    /// The top K; `None` where the group had no event in it.
    pub ranking: Option<Ranking>,
    /// Which objects it was made from: another one when any of them is another.
    pub version: u64,
    /// How many these are.
    pub blocks: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Some of the interval is not held any more, or was never counted.
    #[error("the interval is not held: some of it was let go of, or was never counted")]
    Gone {
        /// What there is.
        kept: Vec<Range>,
    },
    /// Nothing is durable yet.
    #[error("nothing is durable yet")]
    Nothing,
    /// No state of this program.
    #[error(transparent)]
    Refused(#[from] StateRefusal),
    /// Something that should be there cannot be read.
    #[error(transparent)]
    Failed(#[from] StateFailure),
}

impl History {
    /// Reads the manifest of the state.
    ///
    /// # Errors
    /// The store cannot be read, or has no manifest, or a damaged one.
    pub fn open(store: StateStore) -> Result<Self, StateRefusal> {
        let seen = Mutex::new(see(&store)?);
        Ok(History { store, seen })
    }

    /// The boards that were counted.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn boards(&self) -> Result<Vec<BoardSpec>, HistoryError> {
        Ok(self.seen(false)?.counted.boards.clone())
    }

    /// The width of a pane.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn pane(&self) -> Result<Duration, HistoryError> {
        Ok(self.seen(false)?.counted.pane)
    }

    /// What may be asked for, from the earliest to the latest; gaps between.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn kept(&self) -> Result<Vec<Range>, HistoryError> {
        let Seen { manifest, counted, .. } = self.seen(false)?;
        Ok(kept(&manifest, &Levels::new(counted.pane), &width_of(&counted)))
    }

    /// The top `k` of a board and group, as text, over an interval.
    ///
    /// # Errors
    /// The interval is not held, or what should be there cannot be read.
    pub fn rank(&self, board: &str, group: &str, interval: Interval, k: usize) -> Result<Past, HistoryError> {
        match self.rank_now(board, group, interval, k, false) {
            // The job may have let go of it since the manifest was read.
            Err(HistoryError::Failed(StateFailure::Missing { .. })) => {
                self.rank_now(board, group, interval, k, true)
            }
            answer => answer,
        }
    }

    fn rank_now(
        &self,
        board: &str,
        group: &str,
        interval: Interval,
        k: usize,
        anew: bool,
    ) -> Result<Past, HistoryError> {
        let Seen { manifest, counted, .. } = self.seen(anew)?;
        let width = width_of(&counted);
        let levels = Levels::new(counted.pane);
        let (panes, cover) = self.cover(&manifest, &levels, &width, interval)?;
        let form = Form { levels, job: manifest.job.fingerprint(), seed: counted.seed };
        let (rows, limits) = (counted.rows, limits(&counted.boards));
        let reader = Blocks { store: self.store.clone(), form, rows, limits };
        let (mut digests, mut known) = (Vec::new(), group.is_empty());
        reader.read_all(&manifest.held, &cover, Pick::Group(board, group), &mut |found| {
            for groups in found.digests.into_values() {
                known |= groups.contains_key(group);
                digests.extend(of_group(&groups, group).cloned());
            }
            Ok::<(), StateFailure>(())
        })?;
        let epochs = cover.iter().flat_map(|block| [block.start, manifest.held.epoch(*block).unwrap_or(0)]);
        let named: Vec<u8> = epochs.chain([panes.start, panes.end]).flat_map(u64::to_le_bytes).collect();
        Ok(Past {
            range: range(&width, &panes),
            ranking: known.then(|| Digest::merge(&digests).rank(k)),
            version: xxhash_rust::xxh3::xxh3_64(&named),
            blocks: cover.len(),
        })
    }

    /// The panes that are answered for, and the held blocks that cover them.
    fn cover(
        &self,
        manifest: &Manifest,
        levels: &Levels,
        width: &PaneWidth,
        interval: Interval,
    ) -> Result<(std::ops::Range<Pane>, Vec<Block>), HistoryError> {
        let held = &manifest.held;
        let Some(last) = manifest.counted.iter().next_back() else { return Err(HistoryError::Nothing) };
        let wanted = match interval {
            Interval::Last(span) => {
                let from = last.end.saturating_sub(width.panes(span).max(1)).max(last.start);
                finest(held, levels, from).map_or(last.end, |_| from)..last.end
            }
            Interval::Between(from, to) => width.pane(from)..width.pane(to - 1) + 1,
        };
        let spans = manifest.counted.iter();
        let counted = spans.into_iter().find(|span| span.start <= wanted.start && wanted.start < span.end);
        let gone = || HistoryError::Gone { kept: kept(manifest, levels, width) };
        let counted = counted.ok_or_else(gone)?;
        let from = finest(held, levels, wanted.start).ok_or_else(gone)?;
        // Beyond what is durable nothing is known yet; before that a gap is one.
        let end = if counted.end == last.end { wanted.end.min(counted.end) } else { wanted.end };
        if end > counted.end {
            return Err(gone());
        }
        let to = finest(held, levels, end - 1).ok_or_else(gone)?;
        let blocks = levels.block(from, wanted.start).start..levels.end(levels.block(to, end - 1));
        // A block at the edge of what was counted has what was counted of it.
        let panes = blocks.start.max(counted.start)..blocks.end.min(counted.end);
        let others = manifest.counted.iter().filter(|span| *span != counted);
        match others.into_iter().any(|span| span.start < blocks.end && blocks.start < span.end) {
            false => Ok((panes, cover(held, levels, blocks))),
            true => Err(gone()),
        }
    }

    fn seen(&self, anew: bool) -> Result<Seen, HistoryError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if anew || seen.at.elapsed() > FRESH {
            *seen = see(&self.store)?;
        }
        Ok(seen.clone())
    }
}

fn width_of(counted: &Counted) -> PaneWidth {
    PaneWidth::new(counted.pane)
}

/// The held blocks that make up a run of panes that were counted, as few as there are; where none is, no event was.
fn cover(held: &BlockIndex, levels: &Levels, panes: std::ops::Range<Pane>) -> Vec<Block> {
    let (mut blocks, mut at) = (Vec::new(), panes.start);
    while at < panes.end {
        let is_whole = |level: &usize| {
            let width = levels.width(*level);
            at.is_multiple_of(width) && at + width <= panes.end && held.from(*level) <= at
        };
        // A rollup that is not held tells nothing while there is something below it.
        let tells = |level: &usize| {
            *level == 0
                || held.epoch(Block { level: *level, start: at }).is_some()
                || held.from(level - 1) > at
        };
        let level = (0..levels.count()).rev().filter(is_whole).find(tells).unwrap_or(0);
        let block = Block { level, start: at };
        blocks.extend(held.epoch(block).map(|_| block));
        at = levels.end(block);
    }
    blocks
}

/// The finest level that is still held at a pane.
fn finest(held: &BlockIndex, levels: &Levels, pane: Pane) -> Option<usize> {
    (0..levels.count()).find(|level| held.from(*level) <= pane)
}

/// What may be asked for.
fn kept(manifest: &Manifest, levels: &Levels, width: &PaneWidth) -> Vec<Range> {
    let from = (0..levels.count()).map(|level| manifest.held.from(level)).min().unwrap_or(0);
    let spans = manifest.counted.iter().filter(|span| span.end > from);
    spans.map(|span| range(width, &(span.start.max(from)..span.end))).collect()
}

fn range(width: &PaneWidth, panes: &std::ops::Range<Pane>) -> Range {
    Range { from_ms: width.start(panes.start), to_ms: width.start(panes.end) }
}

fn see(store: &StateStore) -> Result<Seen, StateRefusal> {
    let url = || store.url().to_owned();
    let Some((manifest, _)) = read_manifest(store)? else {
        return Err(StateRefusal::NoManifest { url: url() });
    };
    let Some(counted) = manifest.job.counted() else {
        let error = ManifestError::Inconsistent("what the job counts");
        return Err(StateRefusal::Manifest { url: url(), error });
    };
    Ok(Seen { at: Instant::now(), manifest: Arc::new(manifest), counted: Arc::new(counted) })
}
