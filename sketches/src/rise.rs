//! What rises: the items that have grown most between two times that are equally long, and how sure each of them is.
//!
//! With `count` in `[L, U]` now and `before` in `[L', U']` before, an item's *rise*, `count - before`, is in `[L - U', U - L']`. Its
//! *surge* is `rise / sqrt(before + 1)`: of an item that is counted at random but does not grow, the difference of two counts is about
//! as large as their root, so that surges of large and small items compare. It grows with `count` and falls with
//! `before`, so that its bounds are the surges of the opposite ends.
//!
//! Laws, as certain as the bounds of the counts are: rows are the K items of greatest upper bound of the surge, of those that may
//! have risen; an item that has no row in the later digest has at most that digest's floor, and so neither rise nor surge above it.
//! A row whose lower bound reaches that floor and the upper bounds of all others is among the true top K.
//!
//! A surge is what 64-bit floats make of the formula, which rounds each of its three steps, and each step keeps the order of what goes
//! into it. So the bounds hold for the surge of the true counts as anybody computes it in this way, without any margin.
//!
//! ```
//! use crest_sketches::{Digest, Merged, PaneSketch, Rises, Shape};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let digest = |counts: [(&[u8], u32); 2]| {
//!     let mut pane = PaneSketch::new(&shape);
//!     counts.iter().for_each(|(key, count)| pane.add(key, *count));
//!     let mut merged = Merged::new(&shape);
//!     merged.add(&pane);
//!     merged.cut(10)
//! };
//! let (before, now) = (digest([(b"big", 9_999), (b"small", 15)]), digest([(b"big", 10_399), (b"small", 55)]));
//! let rises = Rises::between(&before, &now, 10);
//! assert_eq!((&*rises.rows[0].key, rises.rows[0].rise(), rises.rows[0].surge()), (&b"small"[..], (40, 40), (10.0, 10.0)));
//! assert_eq!((&*rises.rows[1].key, rises.rows[1].rise(), rises.rows[1].surge()), (&b"big"[..], (400, 400), (4.0, 4.0)));
//! assert_eq!(rises.guaranteed(), 2);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::digest::{Digest, DigestRow};

/// An item that may have risen: the upper bound of its surge, its row now, and its weight before.
type Candidate<'a> = (f64, DigestRow<'a>, Bounds);

/// The top K of what rises.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rises {
    /// The weight now.
    pub total: u64,
    /// The weight before.
    pub total_before: u64,
    /// An item that is no candidate has at most this weight now, and has risen by no more; its surge is no greater.
    pub floor: u64,
    /// An item that is not among the rows has at most this surge, candidate or not.
    pub outside: f64,
    /// By the upper bound of the surge, greatest first; ties by key, greatest bytes first.
    pub rows: Vec<RiseRow>,
}

/// An item that may have risen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiseRow {
    /// Its key.
    pub key: Vec<u8>,
    /// Of its weight now.
    pub count: Bounds,
    /// Of its weight before.
    pub before: Bounds,
}

impl RiseRow {
    /// By how much it has risen: at least, and at most.
    pub fn rise(&self) -> (i128, i128) {
        let less = |count: u64, before: u64| i128::from(count) - i128::from(before);
        let most = less(self.count.upper(), self.before.lower());
        (less(self.count.lower(), self.before.upper()), most)
    }

    /// Its surge: at least, and at most.
    pub fn surge(&self) -> (f64, f64) {
        let lower = surge(self.count.lower(), self.before.upper());
        (lower, surge(self.count.upper(), self.before.lower()))
    }
}

/// The surge of an item of these weights.
pub fn surge(count: u64, before: u64) -> f64 {
    let rise = i128::from(count) - i128::from(before);
    rise as f64 / ((u128::from(before) + 1) as f64).sqrt()
}

/// Whether all others than these have something now or before, and less than `least`.
fn leaves_few(totals: (u64, u64), rows: &[Candidate<'_>], least: u64) -> bool {
    let few = |total: u64, of: &dyn Fn(&Candidate<'_>) -> Bounds| {
        let sum = |end: fn(&Bounds) -> u64| rows.iter().map(|row| end(&of(row))).fold(0, u64::saturating_add);
        let most = total.saturating_sub(sum(Bounds::lower));
        most > 0 && total.saturating_sub(sum(Bounds::upper)) < least
    };
    !rows.is_empty() && (few(totals.0, &|(_, row, _)| row.bounds) || few(totals.1, &|(_, _, before)| *before))
}

impl Rises {
    /// The top `k` of what has risen between two digests of one seed.
    pub fn between(before: &Digest, now: &Digest, k: usize) -> Rises {
        Rises::shown_between(before, now, k, (0, |_| false))
    }

    /// The same of those items that are not left out, where nothing is to be told of a weight that is not certainly `least`: who has
    /// less now is not among the rows, of who had less before no more is told than that, and neither have all others together less.
    pub fn shown_between(
        before: &Digest,
        now: &Digest,
        k: usize,
        (least, is_left_out): (u64, impl Fn(&[u8]) -> bool),
    ) -> Rises {
        // Who is not shown now may have as much as this.
        let mut floor = now.floor().max(least.saturating_sub(1));
        let mut candidates = Vec::new();
        for row in now.rows().filter(|row| !is_left_out(row.key)) {
            let earlier = before.bounds(row.hash, row.key).shown(least);
            if row.bounds.lower() < least {
                floor = floor.max(row.bounds.hidden(least).upper());
            } else if row.bounds.upper() > earlier.lower() {
                candidates.push((surge(row.bounds.upper(), earlier.lower()), row, earlier));
            }
        }
        let by_rank = |(ours, a, _): &Candidate<'_>, (theirs, b, _): &Candidate<'_>| {
            theirs.total_cmp(ours).then_with(|| b.key.cmp(a.key))
        };
        let mut outside = floor as f64;
        if candidates.len() > k {
            let (_, (next, ..), _) = candidates.select_nth_unstable_by(k, by_rank);
            outside = outside.max(*next);
            candidates.truncate(k);
        }
        candidates.sort_unstable_by(by_rank);
        let (total, total_before) = (now.total(), before.total());
        while least > 0 && leaves_few((total, total_before), &candidates, least) {
            // What the rows leave would be of few, so that the last one goes, too.
            let Some((_, row, _)) = candidates.pop() else { break };
            floor = floor.max(row.bounds.hidden(least).upper());
            outside = outside.max(floor as f64);
        }
        let own =
            |(_, row, before): Candidate<'_>| RiseRow { key: row.key.to_vec(), count: row.bounds, before };
        let rows = candidates.into_iter().map(own).collect();
        Rises { total, total_before, floor, outside, rows }
    }

    /// How many leading rows have certainly risen, and are certainly among the true top K.
    pub fn guaranteed(&self) -> usize {
        let certain = |row: &&RiseRow| {
            let (lower, _) = row.surge();
            lower > 0.0 && lower >= self.outside
        };
        self.rows.iter().take_while(certain).count()
    }

    /// The greatest difference between the bounds of a row's rise.
    pub fn error(&self) -> u64 {
        let doubt = |row: &RiseRow| row.count.doubt().saturating_add(row.before.doubt());
        self.rows.iter().map(doubt).max().unwrap_or(0)
    }
}
