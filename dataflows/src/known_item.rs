//! One item as answers show it: its count with bounds, and the ranks that it can have.

use crate::ranked::shown_estimate;
use crate::withheld::{Left, Withheld};
use crest_connectors::snapshot::{Estimate, Snapshot};
pub use crest_sketches::Bounds;
use crest_sketches::{Digest, ItemRank, Unlisted};
use crest_state::spec::BoardSpec;
use crest_state::top::Top;
use serde::Serialize;

/// What is known of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KnownItem {
    /// Its count.
    #[serde(flatten)]
    pub count: Count,
    /// Whether it is counted on its own; otherwise no more is known than of any item that is not.
    pub listed: bool,
    /// The ranks that it can have; `None` where it certainly has no event, and so no rank, or where it is withheld.
    pub rank: Option<Rank>,
    /// Whether no more is told of it than of any item that is of too few.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// Whether the board leaves it out of its rankings, so that it has no rank.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

/// The bounds of a count, by the names that they have in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The reported count: `upper`; of different values, how many there are, or most likely are.
    pub count: u64,
    /// At least this much was counted.
    pub lower: u64,
    /// At most this much was counted.
    pub upper: u64,
    /// Whether `lower == upper`.
    pub exact: bool,
    /// Where `count` is an estimate, it and its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// The ranks that an item can have, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rank {
    /// It ranks no better.
    pub best: u64,
    /// It ranks no worse.
    pub worst: u64,
}

impl From<Bounds> for Count {
    fn from(bounds: Bounds) -> Self {
        let (lower, upper) = (bounds.lower(), bounds.upper());
        Count { count: upper, lower, upper, exact: bounds.is_exact(), estimate: None }
    }
}

impl Count {
    /// What is known of a count of different values, and likely.
    pub fn estimated(bounds: Bounds, estimate: &crest_sketches::Estimate) -> Self {
        Count { count: estimate.count, estimate: shown_estimate(estimate), ..bounds.into() }
    }
}

impl From<ItemRank> for KnownItem {
    fn from(item: ItemRank) -> Self {
        let rank = item.range.map(|range| Rank { best: range.best, worst: range.worst });
        KnownItem { count: item.bounds.into(), listed: item.listed, rank, withheld: false, blocked: false }
    }
}

impl KnownItem {
    /// What a board with this `min_count` tells of it: where so much is not certain, no more than of an item without an event.
    pub fn shown(self, min_count: u64) -> Self {
        if self.count.lower >= min_count { self } else { self.withheld(min_count) }
    }

    fn without_rank_if_blocked(self) -> Self {
        KnownItem { rank: self.rank.filter(|_| !self.blocked), ..self }
    }

    fn withheld(self, min_count: u64) -> Self {
        let count = Bounds::new(self.count.lower, self.count.upper).hidden(min_count).into();
        KnownItem { count, listed: false, rank: None, withheld: true, ..self }
    }
}

/// What a board tells of an item, of which the digest of a group says this.
pub fn shown_of(board: &BoardSpec, digest: &Digest, id: &str) -> KnownItem {
    let (top, min_count, id) = (Top::of(board), board.min_count, id.as_bytes());
    let mut known = KnownItem { blocked: top.blocks(id), ..in_digest(digest, &top, id).into() };
    if let Some(estimate) = digest.estimate(id).filter(|_| board.count.is_distinct()) {
        let bounds = Bounds::new(known.count.lower, known.count.upper);
        known.count = Count::estimated(bounds, &estimate);
    }
    let is_withheld = min_count > 0 && is_withheld(digest, &top, min_count, id);
    let known = if is_withheld { known.withheld(min_count) } else { known.shown(min_count) };
    known.without_rank_if_blocked()
}

/// Whether an item that has as much as it takes is withheld all the same, for the sake of those that have not: who asks for one item
/// after the other may add up what is told of them.
fn is_withheld(digest: &Digest, top: &Top, min_count: u64, id: &[u8]) -> bool {
    let told = digest.rows().map(|row| row.bounds).filter(|bounds| bounds.lower() >= min_count);
    if !Left::by(digest.total(), told).is_of_few(min_count) {
        return false;
    }
    // Rankings tell of those who are not blocked, so that the others are withheld first.
    let mut all = digest.rank(usize::MAX);
    all.rows.sort_by_key(|row| top.blocks(&row.key));
    let place = all.rows.iter().position(|row| row.key == id);
    place.is_some_and(|place| Withheld::of(&all, min_count).has(place))
}

/// What is known of an item among those who are not blocked.
fn in_digest(digest: &Digest, top: &Top, id: &[u8]) -> ItemRank {
    if top.blocked().is_none() {
        return digest.item_rank(id);
    }
    let rows =
        digest.rows().map(|row| (row.key, row.bounds)).filter(|(key, _)| *key == id || !top.blocks(key));
    let certain = rows.clone().fold(0, |sum: u64, (_, bounds)| sum.saturating_add(bounds.lower()));
    ItemRank::among(rows, digest.unlisted(certain), id)
}

/// What all items have at most together, before anything was removed. What was not counted at all is within the floor.
fn counted_at_most(ranking: &Snapshot) -> u64 {
    ranking.total.saturating_add(ranking.removed).saturating_add(ranking.error_floor)
}

/// What a board tells of an item, of which the rows of a ranking say this. Where it has as many rows as there may be, others
/// may have as much as the last of them.
pub fn in_ranking(board: &BoardSpec, ranking: &Snapshot, id: &str) -> KnownItem {
    if Top::of(board).blocks(id.as_bytes()) && !ranking.items.iter().any(|item| item.item_id == id) {
        let most = ranking.other().map_or(counted_at_most(ranking), |other| other.upper);
        let count = Bounds::at_most(most).into();
        let known = KnownItem { count, listed: false, rank: None, withheld: false, blocked: true };
        return known.shown(board.min_count);
    }
    let is_full = ranking.items.len() >= ranking.k as usize;
    let last = ranking.items.last().filter(|_| is_full).map_or(0, |last| last.upper);
    let certain = ranking.items.iter().fold(0, |sum: u64, item| sum.saturating_add(item.lower));
    let total = counted_at_most(ranking).saturating_sub(certain);
    let unlisted = Unlisted { each: ranking.error_floor.max(last), total };
    let rows = ranking.items.iter();
    let rows = rows.map(|item| (item.item_id.as_bytes(), Bounds::new(item.lower, item.upper)));
    let mut known = KnownItem::from(ItemRank::among(rows, unlisted, id.as_bytes()));
    if let Some(item) = ranking.items.iter().find(|item| item.item_id == id) {
        (known.count.count, known.count.estimate) = (item.count, item.estimate);
    }
    known.shown(board.min_count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::group_key::GroupKey;
    use crest_connectors::snapshot::Item;

    fn ranking(rows: &[(&str, u64, u64)], floor: u64, k: u32) -> Snapshot {
        let row = |(at, row): (usize, &(&str, u64, u64))| {
            let (item_id, lower, upper) = *row;
            let (rank, exact) = (at as u32 + 1, lower == upper);
            Item {
                rank,
                item_id: item_id.into(),
                count: upper,
                lower,
                upper,
                exact,
                estimate: None,
                change: None,
            }
        };
        Snapshot {
            board: "b".into(),
            window: "w".into(),
            group: GroupKey::WHOLE,
            window_start: 0,
            window_end: 60_000,
            computed_at: 0,
            watermark: 60_000,
            is_final: true,
            total: 100,
            error: 0,
            error_floor: floor,
            guaranteed: 0,
            partial: false,
            since: None,
            missing: Vec::new(),
            distinct: None,
            retracts: false,
            removed: 0,
            items: rows.iter().enumerate().map(row).collect(),
            k,
            rising: None,
            unit: None,
            lacking: 0,
            epoch: 1,
            bucket: false,
            counters: false,
        }
    }

    #[test]
    fn who_is_not_listed_has_at_most_what_the_ranking_leaves() {
        let rows = [("a", 50, 50), ("b", 20, 24), ("c", 14, 20)];
        // A ranking that could have more rows lists all whose counts are above the floor.
        let in_ranking = |ranking: &Snapshot, id| in_ranking(&BoardSpec::default(), ranking, id);
        let known = in_ranking(&ranking(&rows, 2, 10), "x");
        assert_eq!((known.count, known.listed), (Bounds::at_most(2).into(), false));
        assert_eq!(known.rank, Some(Rank { best: 4, worst: 4 + 18 }), "100 + 2 - 84 may be others'");
        // In one that is full, a fourth may have as much as the third.
        assert_eq!(in_ranking(&ranking(&rows, 2, 3), "x").count, Bounds::at_most(20).into());
        assert_eq!(in_ranking(&ranking(&rows, 0, 10), "x").rank, None, "where all are listed it has nothing");
    }

    #[test]
    fn who_is_listed_ranks_as_its_bounds_and_those_of_others_say() {
        let rows = [("a", 50, 50), ("b", 20, 24), ("c", 14, 20)];
        let board = BoardSpec::default();
        let range = |id, k| in_ranking(&board, &ranking(&rows, 2, k), id).rank.unwrap();
        assert_eq!(range("a", 3), Rank { best: 1, worst: 1 });
        // c may have as much as b, and would then rank before it; b has at least as much as any fourth.
        assert_eq!(range("b", 10), Rank { best: 2, worst: 3 });
        assert_eq!(range("c", 10), Rank { best: 2, worst: 3 });
        // A fourth may have up to 20, at least 14 to rank before c: of 18 that are left, one can.
        assert_eq!(range("c", 3), Rank { best: 2, worst: 4 });
    }
}
