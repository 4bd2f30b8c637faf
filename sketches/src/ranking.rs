//! The top K of a window, and how sure each of them is.
//!
//! Laws: rows are the K candidates of greatest upper bound, and an item that is not among them has at most the
//! greatest upper bound of the other candidates, or the floor. So a row whose lower bound reaches both is in the true
//! top K for certain; `guaranteed` counts the leading rows of which that holds. Their order among each other is
//! certain where one's lower bound reaches the next one's upper. Ties count as either order.
//!
//! Where different values are counted, rows are the K candidates of greatest *estimate*. What is said of `outside`, `guaranteed`
//! and order follows from the bounds in the same way.
//!
//! Where something was taken away, rows are those of which something may be left, and an item of which nothing is left has no rank:
//! one of which that may be so is not guaranteed.
//!
//! Settled by measurement: where the head of the stream shifts with every pane, estimates within the bounds order the
//! candidates better than upper bounds, but none of those tried is good enough where that is needed (the bench
//! `comparison`, topic `heads`, and the README of this crate).
//!
//! ```
//! use crest_sketches::{Bounds, RankedRow, Ranking};
//! let row = |key: &str, lower, upper| RankedRow {
//!     key: key.to_owned(),
//!     bounds: Bounds::new(lower, upper),
//!     estimate: None,
//! };
//! let rows = vec![row("a", 90, 90), row("b", 50, 70), row("c", 60, 65)];
//! let top = Ranking { total: 300, floor: 20, outside: 50, rows, ..Ranking::default() };
//! assert_eq!((top.guaranteed(), top.error()), (3, 20));
//! assert!(top.order_is_certain(0) && !top.order_is_certain(1) && top.order_is_certain(2));
//! ```

use crate::bounds::Bounds;
use crate::estimate::Estimate;
use crate::parts::sum;
use std::cmp::{Ordering, Reverse};

/// The top K of a window. The keys of its rows are its own, or lent by what was ranked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking<K = Vec<u8>> {
    /// The weight in the window; where something was taken away, what is left, at least 0.
    pub total: u64,
    /// The weight that was taken away; 0 where none was.
    pub removed: u64,
    /// An item that is no candidate has at most this weight.
    pub floor: u64,
    /// An item that is not among the rows has at most this weight, candidate or not.
    pub outside: u64,
    /// By upper bound, greatest first, or by estimate where different values are counted; ties by key, greatest bytes first, as Redis orders equal scores in ZREVRANGE.
    pub rows: Vec<RankedRow<K>>,
}

/// One item of a ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedRow<K = Vec<u8>> {
    /// Its key.
    pub key: K,
    /// Of its weight, or of how many different values it had.
    pub bounds: Bounds,
    /// How many different values it had, if these are counted.
    pub estimate: Option<Estimate>,
}

/// Someone of whom different values are counted.
pub(crate) struct Estimated<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) bounds: Bounds,
    pub(crate) estimate: Estimate,
}

/// Someone who may be ranked, called by a number of its owner's.
pub(crate) struct Candidate {
    pub(crate) upper: u64,
    pub(crate) id: u32,
}

impl<'a> Ranking<&'a [u8]> {
    /// The top `k` of the candidates. Keys are read of those that may be in it only.
    pub(crate) fn new(
        total: u64,
        floor: u64,
        candidates: impl Iterator<Item = Candidate>,
        k: usize,
        key: impl Fn(u32) -> &'a [u8],
        lower: impl Fn(u32) -> u64,
    ) -> Self {
        let (mut named, mut outside) = (named(leading(candidates, k), &key), 0);
        if k < named.len() {
            let (_, first_dropped, _) = named.select_nth_unstable_by(k, Named::by_rank);
            outside = first_dropped.upper;
            named.truncate(k);
        }
        named.sort_unstable_by(Named::by_rank);
        let row = |n: &Named<'a>| RankedRow {
            key: n.key,
            bounds: Bounds::new(lower(n.id), n.upper),
            estimate: None,
        };
        let rows = named.iter().map(row).collect();
        Ranking { total, removed: 0, floor, outside: floor.max(outside), rows }
    }

    /// The top `k` of those of whom different values are counted.
    pub(crate) fn by_estimate(total: u64, floor: u64, mut candidates: Vec<Estimated<'a>>, k: usize) -> Self {
        let by_rank =
            |a: &Estimated<'_>, b: &Estimated<'_>| (b.estimate.count, b.key).cmp(&(a.estimate.count, a.key));
        let mut outside = floor;
        if k < candidates.len() {
            candidates.select_nth_unstable_by(k, by_rank);
            outside = candidates.drain(k..).map(|c| c.bounds.upper()).fold(outside, u64::max);
        }
        candidates.sort_unstable_by(by_rank);
        let row = |c: Estimated<'a>| RankedRow { key: c.key, bounds: c.bounds, estimate: Some(c.estimate) };
        Ranking { total, removed: 0, floor, outside, rows: candidates.into_iter().map(row).collect() }
    }

    /// The same with keys of its own.
    pub(crate) fn to_owned(&self) -> Ranking {
        let row = |&RankedRow { key, bounds, estimate }: &RankedRow<&[u8]>| RankedRow {
            key: key.to_vec(),
            bounds,
            estimate,
        };
        let Ranking { total, removed, floor, outside, ref rows } = *self;
        Ranking { total, removed, floor, outside, rows: rows.iter().map(row).collect() }
    }
}

impl<K> Ranking<K> {
    /// Notes weight that nothing ranked here has counted, and that any one item may have: all upper bounds grow by it,
    /// and the order stays.
    pub fn add_unseen(mut self, weight: u64) -> Self {
        if weight > 0 {
            self.floor = sum(self.floor, weight);
            self.outside = sum(self.outside, weight);
            for row in &mut self.rows {
                row.bounds = Bounds::new(row.bounds.lower(), sum(row.bounds.upper(), weight));
            }
        }
        self
    }

    /// How many leading rows are certainly in the true top K.
    pub fn guaranteed(&self) -> usize {
        let least = self.outside.max(1);
        self.rows.iter().take_while(|row| row.bounds.lower() >= least).count()
    }

    /// The greatest doubt among the rows.
    pub fn error(&self) -> u64 {
        self.rows.iter().map(|row| row.bounds.doubt()).max().unwrap_or(0)
    }

    /// Whether the row at this place, counted from 0, certainly has at least the weight of each one below it, those
    /// outside included.
    pub fn order_is_certain(&self, place: usize) -> bool {
        let Some(row) = self.rows.get(place) else { return false };
        // By upper bound, the next one is the greatest of those below; by estimate, it may be any.
        let below = &self.rows[place + 1..];
        let below = if row.estimate.is_some() { below } else { &below[..below.len().min(1)] };
        let most = below.iter().map(|row| row.bounds.upper()).fold(self.outside, u64::max);
        row.bounds.lower() >= most
    }
}

/// A candidate with its key.
struct Named<'a> {
    upper: u64,
    /// As [`key_start`] gives it.
    start: u128,
    key: &'a [u8],
    id: u32,
}

impl Named<'_> {
    /// Best first.
    fn by_rank(a: &Self, b: &Self) -> Ordering {
        (b.upper, b.start).cmp(&(a.upper, a.start)).then_with(|| b.key.cmp(a.key))
    }
}

fn named<'a>(candidates: Vec<Candidate>, key: impl Fn(u32) -> &'a [u8]) -> Vec<Named<'a>> {
    let named = |Candidate { upper, id }: Candidate| {
        let key = key(id);
        Named { upper, start: key_start(key), key, id }
    };
    candidates.into_iter().map(named).collect()
}

/// The first bytes of a key, in whose order keys are as far as these tell them apart.
pub(crate) fn key_start(key: &[u8]) -> u128 {
    let mut start = [0; 16];
    let length = key.len().min(start.len());
    start[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(start)
}

/// The candidates whose upper bound is at least the one that ranks after the top `k`: most are seen once, and compared with one
/// number.
fn leading(candidates: impl Iterator<Item = Candidate>, k: usize) -> Vec<Candidate> {
    let mut room = k.saturating_add(1).saturating_mul(4);
    let (mut leading, mut bar) = (Vec::with_capacity(candidates.size_hint().0.min(room)), 0);
    for candidate in candidates {
        if candidate.upper < bar {
            continue;
        }
        leading.push(candidate);
        if leading.len() >= room {
            bar = drop_after(&mut leading, k);
            room = room.max(2 * leading.len());
        }
    }
    drop_after(&mut leading, k);
    leading
}

/// Drops those whose upper bound is below the one that ranks after the top `k`, and returns that one, or 0 where none does.
fn drop_after(candidates: &mut Vec<Candidate>, k: usize) -> u64 {
    if candidates.len() <= k {
        return 0;
    }
    let bar = small_bar(candidates, k).unwrap_or_else(|| {
        let (_, next, _) = candidates.select_nth_unstable_by_key(k, |c| Reverse(c.upper));
        next.upper
    });
    candidates.retain(|c| c.upper >= bar);
    bar
}

/// The upper bound that ranks after the top `k` of more than `k`, if it is small, as it is in most groups. One pass tallies the small
/// bounds, where a selection takes several.
fn small_bar(candidates: &[Candidate], k: usize) -> Option<u64> {
    const LARGE: usize = 64;
    let mut tally = [0; LARGE + 1];
    candidates.iter().for_each(|c| tally[c.upper.min(LARGE as u64) as usize] += 1);
    let mut above = tally[LARGE];
    if above > k {
        return None;
    }
    let bar = (0..LARGE).rev().find(|upper| {
        above += tally[*upper];
        above > k
    });
    bar.map(|bar| bar as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranking(bounds: &[(&'static str, u64, u64)], floor: u64, k: usize) -> Ranking {
        let candidates = bounds.iter().zip(0..).map(|(b, id)| Candidate { upper: b.2, id });
        let key = |id| bounds[id as usize].0.as_bytes();
        Ranking::new(100, floor, candidates, k, key, |id| bounds[id as usize].1).to_owned()
    }

    fn keys(ranking: &Ranking) -> Vec<&str> {
        ranking.rows.iter().map(|row| std::str::from_utf8(&row.key).unwrap()).collect()
    }

    proptest! {
        /// Counts that are small, large, and about where they begin to be large; keys that begin alike for longer than is compared
        /// first, and that end in zeros.
        #[test]
        fn the_top_is_that_of_a_full_sort(
            rows in prop::collection::vec(
                (prop::collection::vec(prop_oneof![Just(0u8), Just(b'a'), Just(0xff)], 0..20),
                 prop_oneof![0u64..4, 60u64..68, any::<u64>()]),
                0..700,
            ),
            k in 0usize..140,
        ) {
            let candidates = rows.iter().zip(0..).map(|((_, upper), id)| Candidate { upper: *upper, id });
            let of = |id: u32| &rows[id as usize];
            let top = Ranking::new(0, 0, candidates, k, |id| &*of(id).0, |id| of(id).1);
            let mut sorted: Vec<_> = rows.iter().map(|(key, upper)| (*upper, &**key)).collect();
            sorted.sort_by(|a, b| b.cmp(a));
            let found: Vec<_> = top.rows.iter().map(|row| (row.bounds.upper(), row.key)).collect();
            prop_assert_eq!(found, &sorted[..k.min(sorted.len())]);
            prop_assert_eq!(top.outside, sorted.get(k).map_or(0, |(upper, _)| *upper));
        }
    }

    #[test]
    fn ties_rank_by_key_descending() {
        let bounds = [("b", 5, 5), ("é", 5, 5), ("a", 9, 9), ("c", 5, 5), ("B", 5, 5), ("z", 1, 1)];
        assert_eq!(keys(&ranking(&bounds, 0, 10)), ["a", "é", "c", "b", "B", "z"]);
        for k in 0..6 {
            let top = ranking(&bounds, 0, k);
            assert_eq!(keys(&top), ["a", "é", "c", "b", "B", "z"][..k]);
            assert_eq!(top.guaranteed(), k, "ties with what is outside are in a true top K too");
        }
    }

    #[test]
    fn guaranteed_stops_at_the_floor_and_at_those_outside() {
        let bounds = [("a", 50, 55), ("b", 30, 41), ("c", 35, 40), ("d", 2, 31)];
        assert_eq!(ranking(&bounds, 20, 3).guaranteed(), 1, "b may have less than d");
        assert_eq!(ranking(&bounds, 20, 4).guaranteed(), 3);
        assert_eq!(ranking(&bounds, 51, 4).guaranteed(), 0);
        assert_eq!(ranking(&bounds, 20, 3).error(), 11);
        let unseen = ranking(&bounds, 20, 4).add_unseen(6);
        assert_eq!((unseen.floor, unseen.outside, unseen.error(), unseen.guaranteed()), (26, 26, 35, 3));
        assert_eq!(unseen.rows[0].bounds, Bounds::new(50, 61));
        let none = Ranking { total: 100, floor: 20, outside: 55, ..Ranking::default() };
        assert_eq!(ranking(&bounds, 20, 0), none);
    }
}
