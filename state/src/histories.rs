//! Ranks past intervals over the states of several regions as if they were one. Nothing is written, and no job need run.
//!
//! An interval ends where the slowest of them has come to, and is widened until all of them have blocks for the same panes. A
//! region that does not have all of it is named, and nothing is ranked without it.

use crate::history::{History, HistoryError, Interval, Past, PastDigest, PastPart, Seen, covered};
use crate::inspect::Range;
use crate::pane::Pane;
use crate::removed::LedgerSums;
use crate::spec::BoardSpec;
use crate::top::Top;
use crest_connectors::group_key::GroupKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// How often an interval is widened: once a level at most, and then all have it.
const MOST_WIDENINGS: usize = 6;

/// The states of one region or of several.
pub struct Histories {
    first: History,
    name: Arc<str>,
    others: Vec<(Arc<str>, History)>,
    /// The boards that all of them count alike.
    boards: Vec<Arc<str>>,
}

impl Histories {
    /// The states of regions, with their names. Boards that one of them lacks are left out.
    ///
    /// # Errors
    /// A manifest cannot be read, or two of them have panes of different widths, or different boards of one name.
    pub fn of(
        name: Arc<str>,
        first: History,
        others: Vec<(Arc<str>, History)>,
    ) -> Result<Self, HistoryError> {
        let mut boards: Vec<Arc<str>> = first.boards()?.into_iter().map(|board| board.name).collect();
        let pane = first.pane()?;
        for (region, history) in &others {
            let unlike = |why: String| Err(HistoryError::Unlike { region: region.clone(), why });
            let theirs = history.pane()?;
            if theirs != pane {
                let written = |pane: Duration| humantime::format_duration(pane);
                let (theirs, pane) = (written(theirs), written(pane));
                return unlike(format!("has panes of {theirs}, and region {name} has panes of {pane}"));
            }
            let mut kept = Vec::new();
            for board in boards {
                match history.counts_as(&first, &board)? {
                    Some(true) => kept.push(board),
                    Some(false) => {
                        return unlike(format!("counts another board {board:?} than region {name}"));
                    }
                    None => {
                        tracing::warn!(%region, %board, "the region does not have the board, which is left out")
                    }
                }
            }
            boards = kept;
        }
        Ok(Histories { first, name, others, boards })
    }

    /// The boards that all of them count alike.
    ///
    /// # Errors
    /// The manifest of the first one cannot be read.
    pub fn boards(&self) -> Result<Vec<BoardSpec>, HistoryError> {
        let mut boards = self.first.boards()?;
        if !self.others.is_empty() {
            boards.retain(|board| self.boards.contains(&board.name));
        }
        Ok(boards)
    }

    /// The width of a pane.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn pane(&self) -> Result<Duration, HistoryError> {
        self.first.pane()
    }

    /// For each board that came in later somewhere, from when on it was counted everywhere, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// A manifest cannot be read.
    pub fn since(&self) -> Result<BTreeMap<String, i64>, HistoryError> {
        let mut all = self.first.since()?;
        for (_, history) in &self.others {
            for (board, since) in history.since()? {
                let known = all.entry(board).or_insert(since);
                *known = since.max(*known);
            }
        }
        Ok(all)
    }

    /// The intervals that can be ranked, in order, with gaps between them.
    ///
    /// # Errors
    /// A manifest cannot be read.
    pub fn kept(&self) -> Result<Vec<Range>, HistoryError> {
        let mut kept = self.first.kept()?;
        for (_, history) in &self.others {
            kept = both(&kept, &history.kept()?);
        }
        Ok(kept)
    }

    /// Ranks the top of a board and a group over an interval.
    ///
    /// # Errors
    /// A region does not hold the interval, or cannot be read.
    pub fn rank(
        &self,
        board: &str,
        group: &GroupKey,
        interval: Interval,
        top: &Top,
    ) -> Result<Past, HistoryError> {
        Ok(self.merge(board, group, interval)?.ranked(top))
    }

    /// Merges what is kept of a board and a group over an interval.
    ///
    /// # Errors
    /// A region does not hold the interval, or cannot be read.
    pub fn merge(
        &self,
        board: &str,
        group: &GroupKey,
        interval: Interval,
    ) -> Result<PastDigest, HistoryError> {
        self.read(|regions| merge(regions, board, group, self.agreed(regions, board, interval)?))
    }

    /// What `read` makes of the regions. Where a block has expired since a manifest was read, they are read once more.
    pub(super) fn read<T>(
        &self,
        read: impl Fn(&[Region<'_>]) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        match self.regions(false).and_then(|regions| read(&regions)) {
            Err(error) if error.is_of_missing_block() => read(&self.regions(true)?),
            answer => answer,
        }
    }

    /// All of them, each with one manifest for all that is read of it.
    pub(super) fn regions(&self, reread: bool) -> Result<Vec<Region<'_>>, HistoryError> {
        let others = self.others.iter().map(|(name, history)| (name, history));
        let all = std::iter::once((&self.name, &self.first)).chain(others);
        let one = self.others.is_empty();
        let seen = |history: &History| history.seen(reread);
        all.map(|(name, history)| {
            Ok(Region { name: Some(name).filter(|_| !one), history, seen: seen(history)? })
        })
        .collect()
    }

    /// The panes of an interval, up to where all regions have counted, and widened until all of them have blocks for the same
    /// ones.
    pub(super) fn agreed(
        &self,
        regions: &[Region<'_>],
        board: &str,
        interval: Interval,
    ) -> Result<std::ops::Range<Pane>, HistoryError> {
        let width = regions[0].seen.levels().pane();
        let mut interval = until_counted(regions, board, interval);
        for _ in 0..MOST_WIDENINGS {
            let panes = |region: &Region<'_>| {
                let covered = covered(&region.seen, board, interval).map_err(|error| region.failed(error));
                covered.map(|covered| covered.panes)
            };
            let all: Vec<_> = regions.iter().map(panes).collect::<Result<_, _>>()?;
            let (from, to) = (all.iter().map(|panes| panes.start), all.iter().map(|panes| panes.end));
            let (Some(from), Some(to)) = (from.min(), to.max()) else { break };
            if all.iter().all(|panes| *panes == (from..to)) {
                return Ok(from..to);
            }
            interval = Interval::Between(width.start(from), width.start(to));
        }
        Err(HistoryError::Gone { kept: self.kept()? })
    }
}

/// An interval, up to where all of several regions have counted. What one region has of it, that one says itself.
pub(super) fn until_counted(regions: &[Region<'_>], board: &str, interval: Interval) -> Interval {
    let width = regions[0].seen.levels().pane();
    let end = regions.iter().map(|region| width.start(region.seen.end(board))).min().unwrap_or(0);
    match interval {
        one if regions.len() == 1 => one,
        Interval::Last(span) => Interval::Between((end - span.as_millis() as i64).max(0), end),
        Interval::Unit(calendar) => Interval::Between(calendar.start_of((end - 1).max(0)).max(0), end.max(1)),
        Interval::Between(from, to) if from < end => Interval::Between(from, to.min(end)),
        between => between,
    }
}

/// One of them, as one manifest names it.
pub(super) struct Region<'a> {
    /// Its name, where there are several.
    name: Option<&'a Arc<str>>,
    pub(super) history: &'a History,
    pub(super) seen: Seen,
}

impl Region<'_> {
    /// An error that says of which of them it is, unless it is of the question.
    pub(super) fn failed(&self, error: HistoryError) -> HistoryError {
        match (self.name, error) {
            (None, error) | (_, error @ (HistoryError::Step(_) | HistoryError::Slow(_))) => error,
            (Some(name), error) => HistoryError::OfRegion { region: name.clone(), error: Box::new(error) },
        }
    }
}

/// What all of them have of the same panes.
pub(super) fn merge(
    regions: &[Region<'_>],
    board: &str,
    group: &GroupKey,
    panes: std::ops::Range<Pane>,
) -> Result<PastDigest, HistoryError> {
    let (past, known) = merge_even_unknown(regions, board, group, panes)?;
    Ok(PastDigest { digest: past.digest.filter(|_| known), ..past })
}

/// As [`merge`], with a digest also where no block lists the group: of what it may have had all the same. Also whether some
/// block does.
pub(super) fn merge_even_unknown(
    regions: &[Region<'_>],
    board: &str,
    group: &GroupKey,
    panes: std::ops::Range<Pane>,
) -> Result<(PastDigest, bool), HistoryError> {
    let width = regions[0].seen.levels().pane();
    let interval = Interval::Between(width.start(panes.start), width.start(panes.end));
    // Items meet by their ids, since each state has a seed of its own.
    let seed = regions[0].seen.counted.seed;
    let part = |region: &Region<'_>| {
        let part = region.history.part(&region.seen, board, group, interval, seed);
        part.map_err(|error| region.failed(error))
    };
    Ok(joined(regions.iter().map(part).collect::<Result<_, _>>()?))
}

/// Parts of one seed.
fn joined(parts: Vec<PastPart>) -> (PastDigest, bool) {
    let range = Range::of(&parts[0].levels, &parts[0].panes);
    let versions: Vec<u8> = parts.iter().flat_map(|part| part.version.to_le_bytes()).collect();
    let (known, blocks) = (parts.iter().any(|part| part.known), parts.iter().map(|part| part.blocks).sum());
    let retracts = parts[0].sum.retracts();
    let (mut sum, mut missing) = (LedgerSums::new(retracts), None::<(Vec<Arc<str>>, i64)>);
    for part in parts {
        sum.add(part.sum);
        if let Some((names, since)) = part.missing {
            let (all, latest) = missing.get_or_insert_default();
            all.extend(names);
            *latest = since.max(*latest);
        }
    }
    let digest = Some(sum.whole());
    (PastDigest { range, digest, missing, version: xxh3_64(&versions), blocks }, known)
}

/// The parts of intervals that are in both lists.
fn both(ours: &[Range], theirs: &[Range]) -> Vec<Range> {
    let within = |a: &Range| {
        let parts = theirs
            .iter()
            .map(move |b| Range { from_ms: a.from_ms.max(b.from_ms), to_ms: a.to_ms.min(b.to_ms) });
        parts.filter(|part| part.from_ms < part.to_ms).collect::<Vec<_>>()
    };
    ours.iter().flat_map(within).collect()
}
