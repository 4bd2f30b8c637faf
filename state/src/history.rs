//! Ranks any past interval from the fewest stored blocks that cover it. Nothing is written or claimed, and the job need
//! not run.
//!
//! An interval is widened to whole blocks of the finest level that has not expired there, and ends at the durable
//! frontier at the latest; the answer states the interval that was ranked. An interval that has expired or was never
//! counted is refused, and the error lists the intervals that are kept.

use crate::block_index::BlockIndex;
use crate::blocks::Blocks;
use crate::calendar::Calendar;
use crate::changes::of_region;
use crate::claim::read_counted;
use crate::error::{StateFailure, StateRefusal};
use crate::identity::Counted;
use crate::inspect::Range;
use crate::levels::{Block, Levels};
use crate::manifest::Manifest;
use crate::object::Pick;
use crate::pane::Pane;
use crate::removed::LedgerSums;
use crate::rest::{of_group, take_group};
use crate::spans::Spans;
use crate::spec::{BoardSpec, WindowSpec};
use crate::top::Top;
use crest_connectors::group_key::GroupKey;
use crest_connectors::state::{StateError, StateStore};
use crest_host::clock;
use crest_sketches::{Digest, Ranking};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An interval of an exact board is merged from its panes, if it has no more than these.
const MOST_PANES: u64 = 400;
/// How long a manifest is used before it is read again.
const FRESH: Duration = Duration::from_secs(1);

/// A state whose past intervals can be ranked.
pub struct History {
    store: StateStore,
    seen: Mutex<Seen>,
}

/// A manifest and when it was read.
#[derive(Clone)]
pub(super) struct Seen {
    at: Instant,
    pub(super) manifest: Arc<Manifest>,
    pub(super) counted: Arc<Counted>,
}

/// The interval of event time to rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// As long as this, up to the durable frontier.
    Last(Duration),
    /// From one time up to another, exclusive, in milliseconds since 1970 UTC. The part after the durable frontier is
    /// left out.
    Between(i64, i64),
    /// What was counted last of a unit of the calendar, up to the durable frontier.
    Unit(Calendar),
}

impl Interval {
    /// That of a window, as far as it is durable; `None` for one of the whole input.
    pub fn of(window: &WindowSpec) -> Option<Self> {
        let sliding = window.sliding_window()?;
        Some(sliding.calendar.map_or(Interval::Last(sliding.size), Interval::Unit))
    }
}

/// The ranking of a past interval.
#[derive(Debug)]
pub struct Past {
    /// The interval that was ranked.
    pub range: Range,
    /// The top K; `None` where the group had no event in the interval.
    pub ranking: Option<Ranking>,
    /// The regions whose events are missing from some of the interval, and the time from which on none is missing.
    pub missing: Option<(Vec<Arc<str>>, i64)>,
    /// A hash of the interval and of the objects that were read. It changes when any of them does.
    pub version: u64,
    /// The number of blocks that were read.
    pub blocks: usize,
}

/// All that is kept of a group over a past interval.
#[derive(Debug)]
pub struct PastDigest {
    /// The interval that was merged.
    pub range: Range,
    /// Its digest; `None` where the group had no event in the interval. Of a board that retracts, what is
    /// [left](Digest::less) of it.
    pub digest: Option<Digest>,
    /// As in [`Past`].
    pub missing: Option<(Vec<Arc<str>>, i64)>,
    /// As in [`Past`].
    pub version: u64,
    /// As in [`Past`].
    pub blocks: usize,
}

impl PastDigest {
    /// The top of it.
    pub fn ranked(self, top: &Top) -> Past {
        let PastDigest { range, digest, missing, version, blocks } = self;
        let ranking = digest.map(|digest| top.rank(|k| digest.rank(k)));
        Past { range, ranking, missing, version, blocks }
    }
}

/// The panes that an interval is widened to.
#[derive(Clone, Debug)]
pub(super) struct Covered {
    /// Those of them that were counted.
    pub(super) panes: std::ops::Range<Pane>,
    /// From the start of their first stored block to the end of their last one.
    pub(super) whole: std::ops::Range<Pane>,
}

/// What a state has of a group over an interval.
pub(super) struct PastPart {
    pub(super) panes: std::ops::Range<Pane>,
    pub(super) levels: Levels,
    /// Of its digests.
    pub(super) sum: LedgerSums,
    /// Whether some block lists the group.
    pub(super) known: bool,
    pub(super) missing: Option<(Vec<Arc<str>>, i64)>,
    pub(super) version: u64,
    pub(super) blocks: usize,
}

/// Why a past interval cannot be ranked.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Some of the interval has expired, or was never counted.
    #[error("the interval is not held: some of it was let go of, or was never counted")]
    Gone {
        /// The intervals that can be ranked.
        kept: Vec<Range>,
    },
    /// Of the interval that another one is compared with, some has expired, or was never counted.
    #[error("{compared}: some of it was let go of, or was never counted")]
    NotCompared {
        /// Which interval it is.
        compared: String,
        /// The intervals that can be ranked.
        kept: Vec<Range>,
    },
    /// Nothing is durable yet.
    #[error("nothing is durable yet")]
    Nothing,
    /// One of several states has not what is asked for.
    #[error("region {region}: {error}")]
    OfRegion {
        /// The region.
        region: Arc<str>,
        /// Why.
        error: Box<HistoryError>,
    },
    /// Two of several states do not fit together.
    #[error("region {region} {why}: their states cannot be ranked together")]
    Unlike {
        /// The region.
        region: Arc<str>,
        /// What of it differs.
        why: String,
    },
    /// The points of the interval cannot be had in this step.
    #[error("{0}")]
    Step(String),
    /// The points of the interval take too long to read.
    #[error("it takes more than {0:?} to read: a longer step or a shorter interval takes less")]
    Slow(Duration),
    /// The manifest cannot be read.
    #[error(transparent)]
    Refused(#[from] StateRefusal),
    /// A block cannot be read.
    #[error(transparent)]
    Failed(#[from] StateFailure),
}

impl From<StateError> for HistoryError {
    fn from(error: StateError) -> Self {
        StateFailure::from(error).into()
    }
}

impl HistoryError {
    /// What can be ranked, where that is not what was asked for.
    pub fn kept(&self) -> Option<&[Range]> {
        match self {
            HistoryError::Gone { kept } | HistoryError::NotCompared { kept, .. } => Some(kept),
            HistoryError::OfRegion { error, .. } => error.kept(),
            _ => None,
        }
    }

    /// Whether a block was not there any more: it may have expired since the manifest was read.
    pub(super) fn is_of_missing_block(&self) -> bool {
        match self {
            HistoryError::Failed(StateFailure::Missing { .. }) => true,
            HistoryError::OfRegion { error, .. } => error.is_of_missing_block(),
            _ => false,
        }
    }
}

impl History {
    /// Reads the manifest of the state.
    ///
    /// # Errors
    /// The store cannot be read, or it has no manifest, or a damaged one.
    pub fn open(store: StateStore) -> Result<Self, StateRefusal> {
        let seen = Mutex::new(see(&store)?);
        Ok(History { store, seen })
    }

    /// The boards of the job.
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

    /// For each board that came in later than the state was begun, from when on it was counted without a gap, in
    /// milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn since(&self) -> Result<BTreeMap<String, i64>, HistoryError> {
        let Seen { manifest, counted, .. } = self.seen(false)?;
        Ok(manifest.since(&Levels::new(counted.pane)))
    }

    /// The intervals that can be ranked, in order, with gaps between them.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn kept(&self) -> Result<Vec<Range>, HistoryError> {
        let Seen { manifest, counted, .. } = self.seen(false)?;
        Ok(kept((&manifest.held, &manifest.counted), &Levels::new(counted.pane)))
    }

    /// Ranks the top of a board and a group over an interval.
    ///
    /// # Errors
    /// The interval has expired or was not counted, or the manifest or a block cannot be read.
    pub fn rank(
        &self,
        board: &str,
        group: &GroupKey,
        interval: Interval,
        top: impl Into<Top>,
    ) -> Result<Past, HistoryError> {
        let rank = |reread| {
            let seen = self.seen(reread)?;
            self.part(&seen, board, group, interval, seen.counted.seed)
        };
        let part = match rank(false) {
            // The block may have expired since the manifest was read, so it is read again.
            Err(error) if error.is_of_missing_block() => rank(true),
            part => part,
        };
        Ok(part?.merged().ranked(&top.into()))
    }

    /// What there is of a group over an interval, with its items hashed under `seed`.
    pub(super) fn part(
        &self,
        seen: &Seen,
        board: &str,
        group: &GroupKey,
        interval: Interval,
        seed: u64,
    ) -> Result<PastPart, HistoryError> {
        let (manifest, reader) = (&seen.manifest, self.reader(seen));
        let (levels, is_same) = (reader.form.levels, seen.counted.seed == seed);
        let Covered { panes, whole } = covered(seen, board, interval)?;
        let cover = cover(&manifest.held, &levels, whole, seen.most_level(board, &levels, &panes));
        let (mut sum, mut known) = (LedgerSums::new(seen.retracts(board)), group.is_whole());
        let (key_of_removed, hashed) =
            (group.removed(), |digest: Digest| if is_same { digest } else { digest.rehashed(seed) });
        reader.read_all(&manifest.held, &cover, seen.pick(board, group), &mut |found| {
            for mut groups in found.digests.into_values() {
                known |= groups.contains_key(group);
                if let Some(removed) = of_group(&groups, &key_of_removed).filter(|_| sum.retracts()) {
                    sum.push_removed(hashed(removed.clone()));
                }
                if let Some(digest) = take_group(&mut groups, group) {
                    sum.push(hashed(digest));
                }
            }
            Ok::<(), StateFailure>(())
        })?;
        let missing = manifest.missing.get(board).and_then(|missing| {
            let since = missing.whole_since(&panes)?;
            Some((missing.names_in(&panes), levels.pane().start(since)))
        });
        let named = [named(manifest, &cover, &panes), format!("{missing:?}").into_bytes()].concat();
        let (version, blocks) = (xxhash_rust::xxh3::xxh3_64(&named), cover.len());
        Ok(PastPart { panes, levels, sum, known, missing, version, blocks })
    }

    /// A reader of the blocks that a manifest names.
    pub(super) fn reader(&self, seen: &Seen) -> Blocks {
        Blocks::of(self.store.clone(), &seen.manifest, &seen.counted)
    }

    /// Whether it counts the same board as another one; `None` where it has no board of this name.
    pub(super) fn counts_as(&self, other: &History, board: &str) -> Result<Option<bool>, HistoryError> {
        let (ours, theirs) = (self.seen(false)?.manifest, other.seen(false)?.manifest);
        Ok(match of_region(&ours.job, &theirs.job, board) {
            Ok(false) => None,
            Ok(true) => Some(true),
            Err(_) => Some(false),
        })
    }

    /// The manifest, as it was a moment ago, or read again.
    pub(super) fn seen(&self, reread: bool) -> Result<Seen, HistoryError> {
        let mut seen = self.seen.lock();
        if reread || clock::since(seen.at) > FRESH {
            *seen = see(&self.store)?;
        }
        Ok(seen.clone())
    }
}

impl Seen {
    /// The levels of the job.
    pub(super) fn levels(&self) -> Levels {
        Levels::new(self.counted.pane)
    }

    /// The highest level of the blocks that these panes of a board are merged from. Rollups are cut, and panes of an exact board are not: as
    /// long as they are not too many, they say more.
    pub(super) fn most_level(&self, board: &str, levels: &Levels, panes: &std::ops::Range<Pane>) -> usize {
        let board = self.counted.boards.iter().find(|known| *known.name == *board);
        let is_exact = board.is_some_and(|board| !board.engine.is_sketch());
        let few = panes.end - panes.start <= MOST_PANES;
        if is_exact && few { 0 } else { levels.count() - 1 }
    }

    /// Whether a board retracts.
    pub(super) fn retracts(&self, board: &str) -> bool {
        self.counted.boards.iter().any(|known| *known.name == *board && known.retracts())
    }

    /// What is read of a block for a group of a board.
    pub(super) fn pick<'a>(&self, board: &'a str, group: &'a GroupKey) -> Pick<'a> {
        if self.retracts(board) { Pick::Ledgers(board, group) } else { Pick::Group(board, group) }
    }

    /// The first pane that was not counted for a board yet; 0 where none was.
    pub(super) fn end(&self, board: &str) -> Pane {
        self.manifest.counted_for(board).iter().next_back().map_or(0, |span| span.end)
    }
}

impl PastPart {
    /// The union of its digests.
    fn merged(self) -> PastDigest {
        PastDigest {
            range: Range::of(&self.levels, &self.panes),
            digest: self.known.then(|| self.sum.whole()),
            missing: self.missing,
            version: self.version,
            blocks: self.blocks,
        }
    }
}

/// The panes of an interval that a board has, widened to whole blocks of the finest level that is kept there.
///
/// # Errors
/// The interval has expired, or was not counted.
pub(super) fn covered(seen: &Seen, board: &str, interval: Interval) -> Result<Covered, HistoryError> {
    let (held, all, levels) = (&seen.manifest.held, &seen.manifest.counted_for(board), &seen.levels());
    let width = levels.pane();
    let Some(last) = all.iter().next_back() else { return Err(HistoryError::Nothing) };
    let wanted = match interval {
        Interval::Last(span) => {
            let from = last.end.saturating_sub(width.panes(span).max(1)).max(last.start);
            finest(held, levels, from).map_or(last.end, |_| from)..last.end
        }
        Interval::Between(from, to) => width.pane(from)..width.pane(to - 1) + 1,
        Interval::Unit(calendar) => {
            let unit = width.pane(calendar.start_of(width.start(last.end) - 1));
            let from = unit.max(last.start);
            finest(held, levels, from).map_or(last.end, |_| from)..last.end
        }
    };
    let counted = all.iter().find(|span| span.start <= wanted.start && wanted.start < span.end);
    let gone = || HistoryError::Gone { kept: kept((held, all), levels) };
    let counted = counted.ok_or_else(gone)?;
    let from = finest(held, levels, wanted.start).ok_or_else(gone)?;
    // An interval may end after the last counted pane, and is cut there. It must not reach into a gap before it.
    let end = if counted.end == last.end { wanted.end.min(counted.end) } else { wanted.end };
    if end > counted.end {
        return Err(gone());
    }
    let to = finest(held, levels, end - 1).ok_or_else(gone)?;
    let whole = levels.block(from, wanted.start).start..levels.end(levels.block(to, end - 1));
    // A block at the edge of the counted panes holds only those of its panes that were counted.
    let panes = whole.start.max(counted.start)..whole.end.min(counted.end);
    let mut others = all.iter().filter(|span| *span != counted);
    if others.any(|span| span.start < whole.end && whole.start < span.end) {
        return Err(gone());
    }
    Ok(Covered { panes, whole })
}

/// What names these blocks and panes, and the runs that wrote them.
pub(super) fn named(manifest: &Manifest, blocks: &[Block], panes: &std::ops::Range<Pane>) -> Vec<u8> {
    let epochs = blocks.iter().flat_map(|block| [block.start, manifest.held.epoch(*block).unwrap_or(0)]);
    epochs.chain([panes.start, panes.end]).flat_map(u64::to_le_bytes).collect()
}

/// The fewest stored blocks that cover a run of counted panes. Parts of the run without a block had no event.
///
/// None is above `most_level`, as far as those below are kept.
pub(super) fn cover(
    held: &BlockIndex,
    levels: &Levels,
    panes: std::ops::Range<Pane>,
    most_level: usize,
) -> Vec<Block> {
    let (mut blocks, mut at) = (Vec::new(), panes.start);
    while at < panes.end {
        let is_whole = |level: &usize| {
            let width = levels.width(*level);
            let is_wanted = *level <= most_level || held.from(level - 1) > at;
            is_wanted && at.is_multiple_of(width) && at + width <= panes.end && held.from(*level) <= at
        };
        // A rollup without an object may not have been built yet. It is passed over while the level below is kept.
        let is_known = |level: &usize| {
            *level == 0
                || held.epoch(Block { level: *level, start: at }).is_some()
                || held.from(level - 1) > at
        };
        let level = (0..levels.count()).rev().filter(is_whole).find(is_known).unwrap_or(0);
        let block = Block { level, start: at };
        blocks.extend(held.epoch(block).map(|_| block));
        at = levels.end(block);
    }
    blocks
}

/// The finest level that has not expired at a pane.
pub(super) fn finest(held: &BlockIndex, levels: &Levels, pane: Pane) -> Option<usize> {
    (0..levels.count()).find(|level| held.from(*level) <= pane)
}

/// The intervals that can be ranked.
fn kept((held, counted): (&BlockIndex, &Spans), levels: &Levels) -> Vec<Range> {
    let from = (0..levels.count()).map(|level| held.from(level)).min().unwrap_or(0);
    let spans = counted.iter().filter(|span| span.end > from);
    spans.map(|span| Range::of(levels, &(span.start.max(from)..span.end))).collect()
}

fn see(store: &StateStore) -> Result<Seen, StateRefusal> {
    let (manifest, counted) = read_counted(store)?;
    Ok(Seen { at: clock::now(), manifest: Arc::new(manifest), counted: Arc::new(counted) })
}
