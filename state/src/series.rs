//! The points of a past interval: what items have in each step of it, read from the fewest stored blocks that cover each
//! step. Nothing is written, and no job need run.
//!
//! The interval is widened to whole steps, as far as that is kept; it begins with what is kept at the earliest, and ends at
//! the durable frontier at the latest. Its points lie on multiples of the step since 1970 and leave no gap: the last one, and
//! where less is kept the first one, may be shorter. An item's bounds in a step are the sums of its bounds in the blocks of the
//! step, so that they are as certain as those of the blocks.
//!
//! **Costs**: the blocks that cover the steps, a few at a time in memory. How many they are, how many bytes and how much
//! time they may take is bounded, and so is the number of points.

use crate::histories::{Histories, Region, merge, until_counted};
use crate::history::{HistoryError, Interval, PastDigest, cover, covered, finest, named};
use crate::inspect::Range;
use crate::levels::Levels;
use crate::pane::Pane;
use crate::rest::of_group;
use crate::top::Top;
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_sketches::{Bounds, Digest, Estimate, item_hash};
use std::iter::repeat_n;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// The most steps of a series.
pub const MOST_STEPS: u64 = 1000;
/// The most points of all items together.
pub const MOST_POINTS: u64 = 20_000;
/// The most steps where nobody has said how long they are.
const DEFAULT_STEPS: u64 = 120;
/// The most blocks that are read for a series.
const MOST_BLOCKS: usize = 8192;
/// The most bytes of objects that are read for a series.
const MOST_BYTES: u64 = 256 << 20;
/// The longest that it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Steps that people expect, in milliseconds.
const USUAL_MS: [u64; 26] = {
    let (second, minute, hour) = (1000, 60_000, 3_600_000);
    let (day, week) = (24 * hour, 7 * 24 * hour);
    [
        100,
        200,
        500,
        second,
        2 * second,
        5 * second,
        10 * second,
        15 * second,
        20 * second,
        30 * second,
        minute,
        2 * minute,
        5 * minute,
        10 * minute,
        15 * minute,
        20 * minute,
        30 * minute,
        hour,
        2 * hour,
        3 * hour,
        6 * hour,
        12 * hour,
        day,
        2 * day,
        week,
        4 * week,
    ]
};

/// Whose points are wanted, and of when.
#[derive(Clone, Debug)]
pub struct Question {
    /// The board's name.
    pub board: String,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// The interval.
    pub interval: Interval,
    /// How long a step is; by default one that gives about 60 to 120 points.
    pub step: Option<Duration>,
    /// Whose.
    pub of: Of,
}

/// Whose points are wanted.
#[derive(Clone, Debug)]
pub enum Of {
    /// Those of the item of this id.
    Item(String),
    /// Those of the top of the interval.
    Top(Top),
}

/// The points of a past interval.
#[derive(Debug)]
pub struct Series {
    /// What is kept of the whole interval.
    pub past: PastDigest,
    /// The length of a step.
    pub step: Duration,
    /// Whose points they are, best first.
    pub items: Vec<Vec<u8>>,
    /// In order of their times; none where the group had no event.
    pub points: Vec<Point>,
    /// A hash of the interval and of the objects that were read. It changes when any of them does.
    pub version: u64,
}

/// What items have in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The step.
    pub range: Range,
    /// The weight of all items in it; of a board that retracts, less what was removed, at least 0.
    pub total: u64,
    /// Whether a region is missing from some of it.
    pub partial: bool,
    /// What each item has in it, in the order of [`Series::items`].
    pub bounds: Vec<Bounds>,
    /// Where different values are counted, how many each item most likely has, in the same order; `None` where it has no row.
    pub estimates: Vec<Option<Estimate>>,
    /// Where they are, what is known of the items so far: different values of blocks do not add up.
    merged: Option<Digest>,
    /// Of a board that retracts, what was removed so far.
    removed: Option<Removed>,
}

/// What was removed in a step.
#[derive(Clone, Debug, Default, PartialEq)]
struct Removed {
    total: u64,
    /// Of each item.
    bounds: Vec<Bounds>,
}

/// What may still be read.
struct Left {
    /// The step, as it is told.
    step: String,
    began: Instant,
    blocks: usize,
    bytes: u64,
}

impl Histories {
    /// The points of an item, or of the top K of an interval.
    ///
    /// # Errors
    /// A region does not hold the interval, or cannot be read; the step does not fit what is held, or is too short.
    pub fn series(&self, question: &Question) -> Result<Series, HistoryError> {
        self.read(|regions| self.series_of(regions, question))
    }

    fn series_of(&self, regions: &[Region<'_>], question: &Question) -> Result<Series, HistoryError> {
        let Question { board, group, interval, .. } = question;
        let levels = regions[0].seen.levels();
        let asked = self.kept_of(regions, board, *interval)?;
        let step = step_of(question, regions, &levels, &asked)?;
        let panes = self.widened(regions, board, &asked, step);
        let past = merge(regions, board, group, panes.clone())?;
        let items = match (&question.of, &past.digest) {
            (_, None) => Vec::new(),
            (Of::Item(id), Some(_)) => vec![id.clone().into_bytes()],
            (Of::Top(top), Some(digest)) => {
                top.rank(|k| digest.rank(k)).rows.into_iter().map(|row| row.key).collect()
            }
        };
        let steps = if items.is_empty() { Vec::new() } else { steps(&panes, step) };
        let none = vec![Bounds::default(); items.len()];
        let removed = regions[0].seen.retracts(board).then(|| Removed { total: 0, bounds: none.clone() });
        let point =
            |panes| Point { removed: removed.clone(), ..Point::new(Range::of(&levels, panes), none.clone()) };
        let mut points: Vec<Point> = steps.iter().map(point).collect();
        let step = Duration::from_millis(step * levels.pane().ms() as u64);
        let written = humantime::format_duration(step).to_string();
        let mut left = Left { step: written, began: clock::now(), blocks: MOST_BLOCKS, bytes: MOST_BYTES };
        let mut names = past.version.to_le_bytes().to_vec();
        for region in regions.iter().filter(|_| !steps.is_empty()) {
            let read = region.add_points(question, &items, (&steps, &mut points), &mut left);
            names.extend(read.map_err(|error| region.failed(error))?);
        }
        for region in regions.iter().take(1) {
            let hashes = region.hashes(&items);
            points.iter_mut().for_each(|point| point.settle(&items, &hashes));
        }
        Ok(Series { past, step, items, points, version: xxh3_64(&names) })
    }

    /// The panes of an interval; of one that begins before what is kept, or reaches over a gap, those from where the last kept
    /// part of it begins.
    fn kept_of(
        &self,
        regions: &[Region<'_>],
        board: &str,
        interval: Interval,
    ) -> Result<std::ops::Range<Pane>, HistoryError> {
        let mut interval = until_counted(regions, board, interval);
        loop {
            let error = match self.agreed(regions, board, interval) {
                Err(error) => error,
                panes => return panes,
            };
            let (Interval::Between(from, to), Some(kept)) = (interval, error.kept()) else {
                return Err(error);
            };
            let later = |part: &&Range| from < part.from_ms && part.from_ms < to;
            let Some(part) = kept.iter().rev().find(later) else { return Err(error) };
            interval = Interval::Between(part.from_ms, to);
        }
    }

    /// The panes of an interval and of the steps that it begins and ends in, as far as they are kept.
    fn widened(
        &self,
        regions: &[Region<'_>],
        board: &str,
        asked: &std::ops::Range<Pane>,
        step: u64,
    ) -> std::ops::Range<Pane> {
        let levels = regions[0].seen.levels();
        let width = levels.pane();
        let (from, to) = (asked.start / step * step, asked.end.next_multiple_of(step));
        let between = |from, to| {
            let wider = self.agreed(regions, board, Interval::Between(width.start(from), width.start(to)));
            wider
                .ok()
                .filter(|wider| wider.start == from && step.is_multiple_of(least_at(regions, &levels, from)))
        };
        between(from, to).or_else(|| between(asked.start, to)).unwrap_or_else(|| asked.clone())
    }
}

impl Region<'_> {
    /// Adds what a region has to the points of these steps; the answer names what was read.
    fn add_points(
        &self,
        question: &Question,
        items: &[Vec<u8>],
        (steps, points): (&[std::ops::Range<Pane>], &mut [Point]),
        left: &mut Left,
    ) -> Result<Vec<u8>, HistoryError> {
        let (manifest, board) = (&self.seen.manifest, question.board.as_str());
        let levels = self.seen.levels();
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(Vec::new()) };
        let (start, end) = (levels.pane().start(first.start), levels.pane().start(last.end));
        let whole = covered(&self.seen, board, Interval::Between(start, end))?.whole;
        let (mut blocks, mut places) = (Vec::new(), Vec::new());
        for (place, step) in steps.iter().enumerate() {
            // The first and the last block may hold fewer panes than they are wide.
            let start = if place == 0 { whole.start } else { step.start };
            let end = if place + 1 == steps.len() { whole.end } else { step.end };
            let found = cover(&manifest.held, &levels, start..end, levels.count() - 1);
            places.extend(repeat_n(place, found.len()));
            blocks.extend(found);
        }
        left.take_blocks(blocks.len())?;
        let hashes = self.hashes(items);
        let (mut places, group) = (places.into_iter(), &question.group);
        let reader = self.history.reader(&self.seen);
        let key_of_removed = group.removed();
        reader.read_all(&manifest.held, &blocks, self.seen.pick(board, group), &mut |found| {
            if let Some(place) = places.next() {
                for groups in found.digests.values() {
                    let (counted, removed) = (of_group(groups, group), of_group(groups, &key_of_removed));
                    counted.into_iter().for_each(|digest| points[place].add(digest, items, &hashes));
                    removed.into_iter().for_each(|digest| points[place].remove(digest, items, &hashes));
                }
            }
            left.take_bytes(found.bytes.unwrap_or(0))
        })?;
        if let Some(missing) = manifest.missing.get(board) {
            for (step, point) in steps.iter().zip(points) {
                point.partial |= !missing.names_in(step).is_empty();
            }
        }
        Ok(named(manifest, &blocks, &(first.start..last.end)))
    }
}

impl Region<'_> {
    /// The hashes of these items, as the region's blocks have them.
    fn hashes(&self, items: &[Vec<u8>]) -> Vec<u64> {
        items.iter().map(|key| item_hash(key, self.seen.counted.seed)).collect()
    }
}

impl Point {
    /// What items with these bounds have in a step of which nothing else is known.
    pub fn new(range: Range, bounds: Vec<Bounds>) -> Self {
        Point { range, total: 0, partial: false, bounds, estimates: Vec::new(), merged: None, removed: None }
    }

    /// Adds a block of the step.
    fn add(&mut self, digest: &Digest, items: &[Vec<u8>], hashes: &[u64]) {
        self.total += digest.total();
        if digest.is_distinct() {
            let of_items = digest.only(hashes.iter().copied().zip(items.iter().map(Vec::as_slice)));
            let merged = Digest::merge(self.merged.iter().chain([&of_items]));
            self.merged = Some(merged);
            return;
        }
        add_bounds(&mut self.bounds, digest, items, hashes);
    }

    /// Adds what was removed in a block of the step.
    fn remove(&mut self, digest: &Digest, items: &[Vec<u8>], hashes: &[u64]) {
        if let Some(removed) = &mut self.removed {
            removed.total += digest.total();
            add_bounds(&mut removed.bounds, digest, items, hashes);
        }
    }

    /// Takes away what was removed, and notes what the merged blocks say of the items, where different values are counted. The
    /// items' hashes are those of the first region's blocks.
    fn settle(&mut self, items: &[Vec<u8>], hashes: &[u64]) {
        if let Some(Removed { total, bounds }) = self.removed.take() {
            self.total = self.total.saturating_sub(total);
            self.bounds.iter_mut().zip(&bounds).for_each(|(left, removed)| *left = left.less(removed));
        }
        let Some(merged) = self.merged.take() else { return };
        for ((bounds, key), hash) in self.bounds.iter_mut().zip(items).zip(hashes) {
            *bounds = merged.bounds(*hash, key);
            self.estimates.push(merged.estimate(key));
        }
    }
}

/// Adds what a block says of each item.
fn add_bounds(sums: &mut [Bounds], digest: &Digest, items: &[Vec<u8>], hashes: &[u64]) {
    for ((sum, key), hash) in sums.iter_mut().zip(items).zip(hashes) {
        *sum = *sum + digest.bounds(*hash, key);
    }
}

impl Left {
    fn take_blocks(&mut self, blocks: usize) -> Result<(), HistoryError> {
        let too_many = || {
            let why = format!("needs {blocks} stored blocks or more, and at most {MOST_BLOCKS} are read");
            HistoryError::Step(format!(
                "step = {:?}: {why}: a longer one or a shorter interval needs fewer",
                self.step
            ))
        };
        self.blocks = self.blocks.checked_sub(blocks).ok_or_else(too_many)?;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: u64) -> Result<(), HistoryError> {
        let too_many = || {
            let why = format!("needs more than {} MiB of the state", MOST_BYTES >> 20);
            HistoryError::Step(format!(
                "step = {:?}: {why}: a longer one or a shorter interval needs less",
                self.step
            ))
        };
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_many)?;
        if clock::since(self.began) > PATIENCE { Err(HistoryError::Slow(PATIENCE)) } else { Ok(()) }
    }
}

/// The step in panes.
fn step_of(
    question: &Question,
    regions: &[Region<'_>],
    levels: &Levels,
    panes: &std::ops::Range<Pane>,
) -> Result<u64, HistoryError> {
    let least = least_at(regions, levels, panes.start);
    let (most, items) = match &question.of {
        Of::Item(_) => (MOST_STEPS, 1),
        Of::Top(top) => (MOST_STEPS.min(MOST_POINTS / (top.k() as u64).max(1)).max(1), top.k()),
    };
    let long = panes.end - panes.start;
    let Some(step) = question.step else {
        return Ok(default_step(levels, least, long, most.min(DEFAULT_STEPS)));
    };
    let (ms, pane_ms) = (step.as_millis() as u64, levels.pane().ms() as u64);
    let written = |panes: u64| humantime::format_duration(Duration::from_millis(panes * pane_ms));
    let refused = |why: String| {
        HistoryError::Step(format!("step = {:?}: {why}", humantime::format_duration(step).to_string()))
    };
    if ms == 0 || !ms.is_multiple_of(pane_ms) {
        return Err(refused(format!("must be a multiple of {}", written(1))));
    }
    let step = ms / pane_ms;
    if !step.is_multiple_of(least) {
        let least = written(least);
        return Err(refused(format!(
            "must be a multiple of {least}, which is how long the blocks are that are kept there"
        )));
    }
    let count = panes.end.div_ceil(step) - panes.start / step;
    if count > most {
        let whose = if items == 1 { String::new() } else { format!(" of {items} items") };
        return Err(refused(format!(
            "the interval has {count} such steps, and at most {most}{whose} are answered"
        )));
    }
    Ok(step)
}

/// The width in panes of the finest blocks that all regions keep from a pane on. As each level is a multiple of the one
/// below and is kept for longer, every multiple of it is where a block begins.
fn least_at(regions: &[Region<'_>], levels: &Levels, pane: Pane) -> u64 {
    let level = |region: &Region<'_>| finest(&region.seen.manifest.held, levels, pane);
    regions.iter().map(|region| level(region).map_or(1, |level| levels.width(level))).max().unwrap_or(1)
}

/// The shortest usual step, in panes, that gives at most `most` points and is a multiple of `least`.
fn default_step(levels: &Levels, least: u64, long: u64, most: u64) -> u64 {
    let pane_ms = levels.pane().ms() as u64;
    let shortest = long.div_ceil(most).next_multiple_of(least);
    // An interval that begins within a step has parts of one more.
    let fits = |step: &u64| long.div_ceil(*step) + u64::from(*step > least) <= most;
    let mut usual = USUAL_MS.iter().filter(|ms| ms.is_multiple_of(pane_ms * least)).map(|ms| ms / pane_ms);
    usual.find(fits).filter(|step| *step <= 4 * shortest).unwrap_or(shortest)
}

/// The steps of these panes, cut at multiples of the step.
fn steps(panes: &std::ops::Range<Pane>, step: u64) -> Vec<std::ops::Range<Pane>> {
    let (mut steps, mut at) = (Vec::new(), panes.start);
    while at < panes.end {
        let end = ((at / step + 1) * step).min(panes.end);
        steps.push(at..end);
        at = end;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_default_step_is_a_usual_one_and_gives_some_hundred_points() {
        let levels = Levels::new(Duration::from_secs(10));
        let of = |seconds: u64, least| 10 * default_step(&levels, least, seconds / 10, DEFAULT_STEPS);
        let (hour, day) = (3600, 86_400);
        for (seconds, least, step) in [
            (60, 1, 10),
            (600, 1, 10),
            (hour, 1, 60),
            (3 * hour, 1, 120),
            (day, 1, 900),
            (day, 60, 1200),
            (7 * day, 360, 7200),
            (30 * day, 1, 12 * hour),
            (10 * 365 * day, 8640, 31 * day),
        ] {
            assert_eq!(of(seconds, least), step, "{seconds} s in blocks of {least} panes");
        }
        let levels = Levels::new(Duration::from_secs(7));
        assert_eq!(default_step(&levels, 1, 86_400 / 7, DEFAULT_STEPS), 103, "where no usual one fits");
    }

    proptest! {
        #[test]
        fn steps_leave_no_gap_and_lie_on_multiples(start in 0u64..100, len in 1u64..200, step in 1u64..30) {
            let panes = start..start + len;
            let steps = steps(&panes, step);
            prop_assert_eq!(steps.iter().cloned().flatten().collect::<Vec<_>>(), panes.clone().collect::<Vec<_>>());
            prop_assert!(steps[1..].iter().all(|run| run.start.is_multiple_of(step)));
            prop_assert!(steps.iter().all(|run| !run.is_empty() && run.end - run.start <= step));
        }

        #[test]
        fn a_default_step_gives_no_more_points_than_it_may(
            seconds in 1u64..90, least in 0usize..5, len in 1u64..100_000, most in 1u64..200,
        ) {
            let levels = Levels::new(Duration::from_secs(seconds));
            let least = levels.width(least.min(levels.count() - 1));
            let step = default_step(&levels, least, len, most);
            prop_assert!(step > 0 && step.is_multiple_of(least));
            prop_assert!(steps(&(0..len), step).len() as u64 <= most);
        }
    }
}
