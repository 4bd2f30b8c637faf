//! Ranks past intervals over the states of several regions as if they were one. Nothing is written, and no job need run.
//!
//! An interval ends where the slowest of them has come to, and is widened until all of them have blocks for the same panes. A
//! region that does not have all of it is named, and nothing is ranked without it.

use crate::error::StateFailure;
use crate::history::{History, HistoryError, Interval, Past, PastPart};
use crate::inspect::Range;
use crate::spec::BoardSpec;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
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

    /// Ranks the top `k` of a board and a group over an interval.
    ///
    /// # Errors
    /// A region does not hold the interval, or cannot be read.
    pub fn rank(
        &self,
        board: &str,
        group: &GroupKey,
        interval: Interval,
        k: usize,
    ) -> Result<Past, HistoryError> {
        if self.others.is_empty() {
            return self.first.rank(board, group, interval, k);
        }
        match self.rank_all(board, group, interval, k, false) {
            // A block may have expired since a manifest was read, so they are read again.
            Err(HistoryError::OfRegion { error, .. })
                if matches!(*error, HistoryError::Failed(StateFailure::Missing { .. })) =>
            {
                self.rank_all(board, group, interval, k, true)
            }
            answer => answer,
        }
    }

    fn all(&self) -> impl Iterator<Item = (&Arc<str>, &History)> {
        let others = self.others.iter().map(|(name, history)| (name, history));
        std::iter::once((&self.name, &self.first)).chain(others)
    }

    fn rank_all(
        &self,
        board: &str,
        group: &GroupKey,
        interval: Interval,
        k: usize,
        reread: bool,
    ) -> Result<Past, HistoryError> {
        let mut interval = self.resolve(board, interval)?;
        for _ in 0..MOST_WIDENINGS {
            let part = |(name, history): (&Arc<str>, &History)| {
                let part = history.part(board, group, interval, reread);
                part.map_err(|error| HistoryError::OfRegion { region: name.clone(), error: Box::new(error) })
            };
            let parts: Vec<PastPart> = self.all().map(part).collect::<Result<_, _>>()?;
            let (from, to) =
                (parts.iter().map(|part| part.panes.start), parts.iter().map(|part| part.panes.end));
            let (Some(from), Some(to)) = (from.min(), to.max()) else { break };
            if parts.iter().all(|part| part.panes == (from..to)) {
                return Ok(joined(parts, k));
            }
            let width = parts[0].levels.pane();
            interval = Interval::Between(width.start(from), width.start(to));
        }
        Err(HistoryError::Gone { kept: self.kept()? })
    }

    /// The interval, up to where all of them have counted.
    fn resolve(&self, board: &str, interval: Interval) -> Result<Interval, HistoryError> {
        let mut end = i64::MAX;
        for (_, history) in self.all() {
            let (width, last) = history.end(board)?;
            end = end.min(width.start(last));
        }
        Ok(match interval {
            Interval::Last(span) => Interval::Between((end - span.as_millis() as i64).max(0), end),
            Interval::Between(from, to) if from < end => Interval::Between(from, to.min(end)),
            between => between,
        })
    }
}

/// What all of them have of the same panes. Items meet by their ids, since each state has a seed of its own.
fn joined(parts: Vec<PastPart>, k: usize) -> Past {
    let (range, seed) = (Range::of(&parts[0].levels, &parts[0].panes), parts[0].seed);
    let versions: Vec<u8> = parts.iter().flat_map(|part| part.version.to_le_bytes()).collect();
    let (known, blocks) = (parts.iter().any(|part| part.known), parts.iter().map(|part| part.blocks).sum());
    let (mut digests, mut missing) = (Vec::new(), None::<(Vec<Arc<str>>, i64)>);
    for part in parts {
        let same = part.seed == seed;
        digests
            .extend(part.digests.into_iter().map(|digest| if same { digest } else { digest.rehashed(seed) }));
        if let Some((names, since)) = part.missing {
            let (all, latest) = missing.get_or_insert_default();
            all.extend(names);
            *latest = since.max(*latest);
        }
    }
    Past {
        range,
        ranking: known.then(|| Digest::merge(&digests).rank(k)),
        missing,
        version: xxh3_64(&versions),
        blocks,
    }
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
