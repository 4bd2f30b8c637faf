//! What every digest and every ranking promises, checked against a recount of the stream.
//!
//! Where several keys share a hash, a row may have the weight of all of them, and each digest names the row after
//! any one of them. So the laws are those of a hash: its keys' true weight together is at least the sum of its rows'
//! lower bounds, and at most the sum of the upper ones, where a key without a row counts with the floor. With one key
//! to a hash these are the plain laws.

use crest_sketches::{Bounds, Digest, RankedRow, Ranking};
use std::collections::{BTreeMap, BTreeSet};

/// What every item truly has, by key.
pub type Truth = BTreeMap<Vec<u8>, u64>;

/// The identity of a key.
pub type Hash = fn(&[u8]) -> u64;

/// What the items of one hash truly have together, and how many keys they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Together {
    pub weight: u64,
    pub keys: u64,
}

pub fn by_hash(truth: &Truth, hash: Hash) -> BTreeMap<u64, Together> {
    let mut groups: BTreeMap<u64, Together> = BTreeMap::new();
    for (key, weight) in truth {
        let group = groups.entry(hash(key)).or_default();
        group.weight += weight;
        group.keys += 1;
    }
    groups
}

/// Counts what another stream has as well.
pub fn absorb(truth: &mut Truth, other: &Truth) {
    if truth.is_empty() {
        return truth.clone_from(other);
    }
    for (key, weight) in other {
        *truth.entry(key.clone()).or_default() += weight;
    }
}

/// Each row's bounds hold, and nothing without a row is above the floor; also if any one item has the `unseen` weight
/// as well.
pub fn check_digest(digest: &Digest, truth: &Truth, unseen: u64, hash: Hash) {
    assert_eq!(digest.total(), truth.values().sum::<u64>());
    assert_eq!(digest.is_exact(), digest.floor() == 0);
    let rows: Vec<_> = digest.rows().collect();
    for row in &rows {
        assert_eq!(row.hash, hash(row.key));
        assert_eq!(digest.bounds(row.hash, row.key), row.bounds);
        assert!(row.bounds.doubt() <= digest.floor(), "{row:?}, floor {}", digest.floor());
    }
    assert!(rows.is_sorted_by(|a, b| (a.hash, a.key) < (b.hash, b.key)), "each row once, in order");
    check_rows(rows.iter().map(|row| (row.key, row.bounds)), digest.floor(), truth, unseen, hash);
}

/// As [`check_digest`], and what is said to be certain of places and order is true.
pub fn check_ranking(ranking: &Ranking, k: usize, truth: &Truth, unseen: u64, hash: Hash) {
    assert_eq!(ranking.total, truth.values().sum::<u64>());
    assert!(ranking.rows.len() <= k && ranking.floor <= ranking.outside);
    let rows = ranking.rows.iter().map(|row| (&*row.key, row.bounds));
    assert_eq!(ranking.error(), rows.clone().map(|(_, bounds)| bounds.doubt()).max().unwrap_or(0));
    check_rows(rows.clone(), ranking.outside, truth, unseen, hash);
    if ranking.rows.len() < k {
        check_rows(rows, ranking.floor, truth, unseen, hash);
    }
    if by_hash(truth, hash).len() == truth.len() {
        check_places(ranking, k, truth);
    }
}

fn check_rows<'a>(
    rows: impl Iterator<Item = (&'a [u8], Bounds)>,
    floor: u64,
    truth: &Truth,
    unseen: u64,
    hash: Hash,
) {
    let mut known: BTreeMap<u64, (Bounds, u64)> = BTreeMap::new();
    for (key, bounds) in rows {
        assert!(truth.contains_key(key), "{key:?} is no item of the stream");
        let (sum, keys) = known.entry(hash(key)).or_default();
        (*sum, *keys) = (*sum + bounds, *keys + 1);
    }
    for (hash, truth) in by_hash(truth, hash) {
        let (sum, keys) = known.get(&hash).copied().unwrap_or_default();
        let most = sum.upper() + (truth.keys - keys) * floor;
        let holds = sum.lower() <= truth.weight && truth.weight + unseen <= most;
        assert!(holds, "{truth:?}: {keys} rows of {sum:?}, floor {floor}, unseen {unseen}");
    }
}

/// What is guaranteed to be in the top `k` is there, and what is certainly in order is in order.
fn check_places(ranking: &Ranking, k: usize, truth: &Truth) {
    let weight = |row: &RankedRow| truth[&row.key];
    for row in &ranking.rows[..ranking.guaranteed()] {
        let above = truth.values().filter(|&&other| other > weight(row)).count();
        assert!(above < k, "{row:?} is guaranteed, and {above} items are above it");
    }
    for (place, row) in ranking.rows.iter().enumerate().filter(|&(place, _)| ranking.order_is_certain(place))
    {
        let before: BTreeSet<_> = ranking.rows[..=place].iter().map(|row| &row.key).collect();
        let above = truth.iter().find(|&(key, &other)| other > weight(row) && !before.contains(key));
        assert_eq!(above, None, "{row:?} is certainly above all that follow");
    }
}

/// The ranking of a window by definition: each digest asked for each item.
pub fn naive_ranking(digests: &[&Digest], k: usize) -> Ranking {
    let keys: BTreeSet<_> = digests.iter().flat_map(|digest| digest.rows().map(|row| row.key)).collect();
    let known: Vec<BTreeMap<_, _>> =
        digests.iter().map(|digest| digest.rows().map(|row| (row.key, row.bounds)).collect()).collect();
    let bounds = |key: &[u8]| -> Bounds {
        let of = |(digest, known): (&&Digest, &BTreeMap<&[u8], Bounds>)| {
            known.get(key).copied().unwrap_or(Bounds::at_most(digest.floor()))
        };
        digests.iter().zip(&known).map(of).sum()
    };
    let row = |key: &[u8]| RankedRow { key: key.to_vec(), bounds: bounds(key), estimate: None };
    let mut rows: Vec<_> = keys.into_iter().map(row).collect();
    rows.sort_by(|a, b| (b.bounds.upper(), &b.key).cmp(&(a.bounds.upper(), &a.key)));
    let floor = digests.iter().map(|digest| digest.floor()).sum();
    let outside = rows.get(k).map_or(0, |row| row.bounds.upper()).max(floor);
    rows.truncate(k);
    let total = digests.iter().map(|digest| digest.total()).sum();
    Ranking { total, removed: 0, floor, outside, rows }
}
