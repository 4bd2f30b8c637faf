//! The top K of a window, and how sure each of them is.
//!
//! Laws: rows are the K candidates of greatest upper bound, and an item that is not among them has at most the
//! greatest upper bound of the other candidates, or the floor. So a row whose lower bound reaches both is in the true
//! top K for certain; `guaranteed` counts the leading rows of which that holds. Their order among each other is
//! certain where one's lower bound reaches the next one's upper.

use std::cmp::Reverse;

/// The top K of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The weight in the window.
    pub total: u64,
    /// An item that is no candidate has at most this weight.
    pub floor: u64,
    /// How many leading rows are certainly in the true top K.
    pub guaranteed: usize,
    /// The greatest `upper - lower` among the rows.
    pub error: u64,
    /// By upper bound, greatest first; ties by key, greatest bytes first, as Redis orders equal scores in ZREVRANGE.
    pub rows: Vec<RankedRow>,
}

/// One item of a ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedRow {
    /// Its key.
    pub key: Vec<u8>,
    /// It has at least this weight …
    pub lower: u64,
    /// … and at most this.
    pub upper: u64,
}

/// Someone who may be ranked, called by a number of its owner's.
pub(crate) struct Candidate {
    pub(crate) upper: u64,
    pub(crate) id: u32,
}

impl Ranking {
    /// The top `k` of the candidates. Keys are read for ties and winners only.
    pub(crate) fn new<'a>(
        total: u64,
        floor: u64,
        mut candidates: Vec<Candidate>,
        k: usize,
        key: impl Fn(u32) -> &'a [u8],
        lower: impl Fn(u32) -> u64,
    ) -> Ranking {
        let outside = keep_top(&mut candidates, k, &key);
        candidates.sort_unstable_by_key(|c| Reverse((c.upper, key(c.id))));
        let rows: Vec<_> = candidates
            .iter()
            .map(|c| RankedRow { key: key(c.id).to_vec(), lower: lower(c.id), upper: c.upper })
            .collect();
        let bar = floor.max(outside);
        Ranking {
            total,
            floor,
            guaranteed: rows.iter().take_while(|row| row.lower >= bar).count(),
            error: rows.iter().map(|row| row.upper - row.lower).max().unwrap_or(0),
            rows,
        }
    }
}

/// Keeps the top `k`, in no particular order; the answer is the greatest upper bound that was dropped, 0 if none was.
fn keep_top<'a>(candidates: &mut Vec<Candidate>, k: usize, key: impl Fn(u32) -> &'a [u8]) -> u64 {
    if candidates.len() <= k {
        return 0;
    }
    // By number first, so that the keys, each in a place of its own, are compared within the one tie that matters.
    let (_, first_dropped, _) = candidates.select_nth_unstable_by_key(k, |c| Reverse(c.upper));
    let outside = first_dropped.upper;
    let mut tied: Vec<_> = candidates.extract_if(.., |c| c.upper == outside).collect();
    candidates.retain(|c| c.upper > outside);
    let places = k - candidates.len();
    if places > 0 {
        tied.select_nth_unstable_by_key(places, |c| Reverse(key(c.id)));
    }
    candidates.extend(tied.into_iter().take(places));
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(bounds: &[(&'static str, u64, u64)], floor: u64, k: usize) -> Ranking {
        let candidates = bounds.iter().zip(0..).map(|(b, id)| Candidate { upper: b.2, id }).collect();
        let key = |id| bounds[id as usize].0.as_bytes();
        Ranking::new(100, floor, candidates, k, key, |id| bounds[id as usize].1)
    }

    fn keys(ranking: &Ranking) -> Vec<&str> {
        ranking.rows.iter().map(|row| std::str::from_utf8(&row.key).unwrap()).collect()
    }

    #[test]
    fn ties_rank_by_key_descending() {
        let bounds = [("b", 5, 5), ("é", 5, 5), ("a", 9, 9), ("c", 5, 5), ("B", 5, 5), ("z", 1, 1)];
        assert_eq!(keys(&ranking(&bounds, 0, 10)), ["a", "é", "c", "b", "B", "z"]);
        for k in 0..6 {
            let top = ranking(&bounds, 0, k);
            assert_eq!(keys(&top), ["a", "é", "c", "b", "B", "z"][..k]);
            assert_eq!(top.guaranteed, k, "ties with what is outside are in a true top K too");
        }
    }

    #[test]
    fn guaranteed_stops_at_the_floor_and_at_those_outside() {
        let bounds = [("a", 50, 55), ("b", 30, 41), ("c", 35, 40), ("d", 2, 31)];
        assert_eq!(ranking(&bounds, 20, 3).guaranteed, 1, "b may have less than d");
        assert_eq!(ranking(&bounds, 20, 4).guaranteed, 3);
        assert_eq!(ranking(&bounds, 51, 4).guaranteed, 0);
        assert_eq!(ranking(&bounds, 20, 3).error, 11);
        assert_eq!(ranking(&bounds, 20, 0), Ranking { total: 100, floor: 20, ..Ranking::default() });
    }
}
