//! What rises in a past interval, against an equally long one before it, read from the fewest stored blocks that cover both.
//! Nothing is written, and no job need run.
//!
//! Both intervals must have been counted, and be kept in blocks that begin and end where they do: what was counted for a part of
//! an interval only would look as if it rose, or fell.
//!
//! **Costs**: each block is read once. Of each group its sum is in memory, and about as many rows that wait to be added.

use crate::against::Against;
use crate::error::StateFailure;
use crate::histories::{Histories, Region, merge, merge_even_unknown};
use crate::history::{HistoryError, Interval, PastDigest, cover, covered};
use crate::inspect::Range;
use crate::object::Pick;
use crate::pane::Pane;
use crate::removed::LedgerSums;
use crate::rest::rest_of;
use crate::spec::BoardSpec;
use crate::top::Top;
use crest_connectors::group_key::GroupKey;
use crest_sketches::{Digest, Rises};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use xxhash_rust::xxh3::xxh3_64;

/// What rises, and between which times.
#[derive(Debug)]
pub struct PastRises {
    /// The interval.
    pub range: Range,
    /// The one that it is compared with.
    pub before: Range,
    /// The top K; `None` where the group had no event in the interval.
    pub rises: Option<Rises>,
    /// The regions whose events are missing from some of either interval.
    pub missing: Vec<Arc<str>>,
    /// A hash of the intervals and of the objects that were read. It changes when any of them does.
    pub version: u64,
}

/// What rises in some groups.
#[derive(Debug)]
pub struct GroupRises {
    /// As in [`PastRises`].
    pub range: Range,
    /// As in [`PastRises`].
    pub before: Range,
    /// As in [`PastRises`].
    pub missing: Vec<Arc<str>>,
    /// The top K of each group.
    pub rises: BTreeMap<GroupKey, Rises>,
}

impl Histories {
    /// Ranks the top `k` of what rises in a board and a group.
    ///
    /// # Errors
    /// A region does not hold both intervals, or cannot be read.
    pub fn rises(
        &self,
        board: &BoardSpec,
        group: &GroupKey,
        interval: Interval,
        against: Against,
        k: usize,
    ) -> Result<PastRises, HistoryError> {
        self.read(|regions| {
            let name = &*board.name;
            let now = merge(regions, name, group, self.agreed(regions, name, interval)?)?;
            let panes = self.compared(regions, name, now.range, against)?;
            // A group that no block lists may have had events all the same.
            let (before, _) = merge_even_unknown(regions, name, group, panes)?;
            Ok(between(board, before, now, k))
        })
    }

    /// Ranks the top `k` of what rises in each of some groups of a board, by the manifests as they are now.
    ///
    /// # Errors
    /// As of [`rises`](Self::rises).
    pub fn rises_of_groups(
        &self,
        board: &BoardSpec,
        groups: &BTreeSet<GroupKey>,
        interval: Interval,
        against: Against,
        k: usize,
    ) -> Result<GroupRises, HistoryError> {
        let (regions, name) = (self.regions(true)?, &*board.name);
        let panes = self.agreed(&regions, name, interval)?;
        let levels = regions[0].seen.levels();
        let range = Range::of(&levels, &panes);
        let earlier = self.compared(&regions, name, range, against)?;
        let mut missing = BTreeSet::new();
        let mut sums = |panes: &std::ops::Range<Pane>| -> Result<BTreeMap<GroupKey, Digest>, HistoryError> {
            for region in &regions {
                let lacks = region.seen.manifest.missing.get(name);
                missing.extend(lacks.into_iter().flat_map(|lacks| lacks.names_in(panes)));
            }
            sums_of(&regions, name, Some(groups), panes)
        };
        let (now, mut before) = (sums(&panes)?, sums(&earlier)?);
        let rises = now.into_iter().map(|(group, now)| {
            let before = before.remove(&group).unwrap_or_default();
            (group, shown(board, &before, &now, k))
        });
        let rises = rises.collect();
        let missing = missing.into_iter().collect();
        Ok(GroupRises { range, before: Range::of(&levels, &earlier), missing, rises })
    }

    /// What is kept of each group of a board over an interval, by the manifests as they were a moment ago; of none where the
    /// interval is not held exactly.
    ///
    /// # Errors
    /// A region cannot be read.
    pub fn groups(
        &self,
        board: &str,
        range: Range,
    ) -> Result<Option<BTreeMap<GroupKey, Digest>>, HistoryError> {
        self.read(|regions| {
            let width = regions[0].seen.levels().pane();
            let (from, to) = (range.from_ms, range.to_ms);
            let panes = match self.agreed(regions, board, Interval::Between(from, to)) {
                Ok(panes) if (width.start(panes.start), width.start(panes.end)) == (from, to) => panes,
                Err(error) if error.kept().is_none() => return Err(error),
                _ => return Ok(None),
            };
            sums_of(regions, board, None, &panes).map(Some)
        })
    }

    /// The panes of the interval that `range` is compared with.
    fn compared(
        &self,
        regions: &[Region<'_>],
        board: &str,
        range: Range,
        against: Against,
    ) -> Result<std::ops::Range<Pane>, HistoryError> {
        let length = Duration::from_millis((range.to_ms - range.from_ms) as u64);
        let by = against.earlier_than(length).as_millis() as i64;
        let (from, to) = (range.from_ms - by, range.to_ms - by);
        let width = regions[0].seen.levels().pane();
        let kept = match self.agreed(regions, board, Interval::Between(from.max(0), to.max(1))) {
            Ok(panes) if (width.start(panes.start), width.start(panes.end)) == (from, to) => {
                return Ok(panes);
            }
            Ok(_) => self.kept()?,
            Err(error) => match error.kept() {
                Some(kept) => kept.to_vec(),
                None => return Err(error),
            },
        };
        let compared = format!("against = {against}: {} is not held", written(from, to));
        Err(HistoryError::NotCompared { compared, kept })
    }
}

/// An interval as people read it.
fn written(from_ms: i64, to_ms: i64) -> String {
    let time = |ms: i64| match u64::try_from(ms) {
        Ok(ms) => humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string(),
        Err(_) => format!("{ms} ms"),
    };
    format!("{} to {}", time(from_ms), time(to_ms))
}

/// What a board shows of what rises.
pub fn shown(board: &BoardSpec, before: &Digest, now: &Digest, k: usize) -> Rises {
    let top = Top::of(board);
    Rises::shown_between(before, now, k, (board.min_count, |id: &[u8]| top.blocks(id)))
}

fn between(board: &BoardSpec, before: PastDigest, now: PastDigest, k: usize) -> PastRises {
    let versions = [before.version, now.version].map(u64::to_le_bytes).concat();
    let missing = [&before.missing, &now.missing].into_iter().flatten();
    let missing: BTreeSet<Arc<str>> = missing.flat_map(|(regions, _)| regions.iter().cloned()).collect();
    let earlier = before.digest.unwrap_or_default();
    let rises = now.digest.map(|now| shown(board, &earlier, &now, k));
    PastRises {
        range: now.range,
        before: before.range,
        rises,
        missing: missing.into_iter().collect(),
        version: xxh3_64(&versions),
    }
}

/// What all regions have of some groups in these panes, or of all that a block lists. Items meet by their ids, since each
/// state has a seed of its own.
fn sums_of(
    regions: &[Region<'_>],
    board: &str,
    groups: Option<&BTreeSet<GroupKey>>,
    panes: &std::ops::Range<Pane>,
) -> Result<BTreeMap<GroupKey, Digest>, HistoryError> {
    let seed = regions[0].seen.counted.seed;
    let mut sums = Sums::of(groups, regions[0].seen.retracts(board));
    for region in regions {
        let (manifest, levels) = (&region.seen.manifest, region.seen.levels());
        let width = levels.pane();
        let between = Interval::Between(width.start(panes.start), width.start(panes.end));
        let whole = covered(&region.seen, board, between).map_err(|error| region.failed(error))?.whole;
        let most_level = region.seen.most_level(board, &levels, panes);
        let blocks = cover(&manifest.held, &levels, whole, most_level);
        let is_same = region.seen.counted.seed == seed;
        let reader = region.history.reader(&region.seen);
        let read = reader.read_all(&manifest.held, &blocks, Pick::Board(board), &mut |found| {
            for listed in found.digests.into_values() {
                sums.add(listed, |digest| if is_same { digest } else { digest.rehashed(seed) });
            }
            Ok::<(), StateFailure>(())
        });
        read.map_err(|error| region.failed(error.into()))?;
    }
    Ok(sums.sums.into_iter().map(|(group, sum)| (group, sum.whole())).collect())
}

/// The sums of groups.
struct Sums {
    sums: BTreeMap<GroupKey, LedgerSums>,
    /// Whether all groups that a block lists are wanted, and not only those that are there.
    all: bool,
    /// Whether the board retracts.
    retracts: bool,
    /// What a group may have in the blocks so far, none of which lists it.
    rest: u64,
}

impl Sums {
    fn of(groups: Option<&BTreeSet<GroupKey>>, retracts: bool) -> Self {
        let named = groups.into_iter().flatten();
        let sums = named.map(|group| (group.clone(), LedgerSums::new(retracts))).collect();
        Sums { sums, all: groups.is_none(), retracts, rest: 0 }
    }

    /// Adds a block.
    fn add(&mut self, mut listed: BTreeMap<GroupKey, Digest>, hashed: impl Fn(Digest) -> Digest) {
        let rest = rest_of(&listed);
        listed.remove(&GroupKey::REST);
        let mut removed = BTreeMap::new();
        if self.retracts {
            removed.extend(listed.extract_if(.., |key, _| key.removed_of().is_some()));
        }
        let mut removed_of = |group: &GroupKey| removed.remove(&group.removed()).map(&hashed);
        for (group, sum) in &mut self.sums {
            match listed.remove(group) {
                Some(digest) => {
                    sum.push(hashed(digest));
                    let removed = sum.retracts().then(|| removed_of(group)).flatten();
                    removed.into_iter().for_each(|digest| sum.push_removed(digest));
                }
                None if rest > 0 && !group.is_whole() => sum.push_unseen(rest),
                None => {}
            }
        }
        for (group, digest) in listed.into_iter().filter(|_| self.all) {
            let before = if group.is_whole() { 0 } else { self.rest };
            let removed = self.retracts.then(|| removed_of(&group)).flatten();
            let sum = self.sums.entry(group).or_insert_with(|| LedgerSums::new(self.retracts));
            sum.push_unseen(before);
            sum.push(hashed(digest));
            removed.into_iter().for_each(|digest| sum.push_removed(digest));
        }
        self.rest += rest;
    }
}
