//! The rows of a ranking as a snapshot shows them.

use crate::withheld::Withheld;
use crest_connectors::snapshot::{Estimate, Item, ItemId};
use crest_sketches::{Ranking, item_hash};
use crest_state::spec::{BoardSpec, Ties};

/// The ranks in a ranking, by the hash of each item: a sixth of what a table by id would take, for each group and window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranks(Vec<(u64, u32)>);

impl Ranks {
    /// The ranks of these rows.
    pub fn of(rows: &ShownRows) -> Self {
        let ranks = rows.hashes.iter().copied().zip(rows.items.iter().map(|item| item.rank));
        let mut ranks: Vec<_> = ranks.collect();
        ranks.sort_unstable_by_key(|(hash, _)| *hash);
        Ranks(ranks)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rank of the item of this hash.
    fn rank(&self, hash: u64) -> Option<u32> {
        self.0.binary_search_by_key(&hash, |(hash, _)| *hash).ok().map(|at| self.0[at].1)
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u64, u32)>()
    }
}

/// The id that a key is of, as it is shown.
pub fn shown_id(key: &[u8]) -> ItemId {
    match std::str::from_utf8(key) {
        Ok(text) => ItemId::new(text),
        Err(_) => String::from_utf8_lossy(key).into(),
    }
}

/// An estimate as it is shown; `None` where what was estimated is known but for what the bounds say.
pub fn shown_estimate(estimate: &crest_sketches::Estimate) -> Option<Estimate> {
    let standard_error = estimate.standard_error().ceil() as u64;
    (standard_error > 0).then_some(Estimate { count: estimate.count, standard_error })
}

/// What a snapshot shows of a ranking; its fields have the names and meanings that they have there.
pub struct ShownRows {
    /// The rows.
    pub items: Vec<Item>,
    /// Of the item of each row.
    hashes: Vec<u64>,
    /// See [`Snapshot::error`](crest_connectors::snapshot::Snapshot::error).
    pub error: u64,
    /// See [`Snapshot::error_floor`](crest_connectors::snapshot::Snapshot::error_floor).
    pub error_floor: u64,
    /// See [`Snapshot::guaranteed`](crest_connectors::snapshot::Snapshot::guaranteed).
    pub guaranteed: u32,
    /// Of a group, see [`Snapshot::lacking`](crest_connectors::snapshot::Snapshot::lacking).
    pub lacking: u64,
    /// See [`Snapshot::removed`](crest_connectors::snapshot::Snapshot::removed).
    pub removed: u64,
}

/// The rows that a board shows of a ranking, best first. `before` has the ranks of the previous ranking, whose items were
/// hashed with `seed`; from it [`Item::change`] is computed.
pub fn shown_rows<K: AsRef<[u8]>>(
    board: &BoardSpec,
    ranking: &Ranking<K>,
    before: &Ranks,
    seed: u64,
) -> ShownRows {
    let withheld = Withheld::of(ranking, board.min_count);
    let rows =
        || ranking.rows.iter().enumerate().filter(|(place, _)| !withheld.has(*place)).map(|(_, row)| row);
    // An item of which nothing is left has no rank.
    let least = ranking.outside.max(withheld.floor).max(board.retracts().into());
    let last = rows().last().map_or(0, |row| row.bounds.upper());
    // Where counts are estimates, an item without a row may have more than the last one.
    let floor = if ranking.outside > last { ranking.outside } else { ranking.floor };
    let mut places = Places::new(board.ties);
    let (mut items, mut hashes) =
        (Vec::with_capacity(ranking.rows.len()), Vec::with_capacity(ranking.rows.len()));
    for row in rows() {
        let item_id = shown_id(row.key.as_ref());
        let (lower, upper) = (row.bounds.lower(), row.bounds.upper());
        let count = row.estimate.as_ref().map_or(upper, |estimate| estimate.count);
        let (rank, hash) = (places.next(count), item_hash(item_id.as_bytes(), seed));
        let change = before.rank(hash).map(|before| before as i32 - rank as i32);
        let estimate = row.estimate.as_ref().and_then(shown_estimate);
        items.push(Item {
            rank,
            item_id,
            count,
            lower,
            upper,
            exact: row.bounds.is_exact(),
            estimate,
            change,
        });
        hashes.push(hash);
    }
    ShownRows {
        items,
        hashes,
        error: rows().map(|row| row.bounds.doubt()).max().unwrap_or(0),
        error_floor: floor.max(withheld.floor),
        guaranteed: rows().take_while(|row| row.bounds.lower() >= least).count() as u32,
        lacking: ranking.floor,
        removed: ranking.removed,
    }
}

/// Gives the rows of a ranking their ranks, best first.
struct Places {
    ties: Ties,
    /// How many rows came.
    rows: u32,
    /// The rank and the count of the last one; rank 0 before the first.
    last: (u32, u64),
}

impl Places {
    fn new(ties: Ties) -> Self {
        Places { ties, rows: 0, last: (0, 0) }
    }

    /// The rank of the next row, of at most the count before.
    fn next(&mut self, count: u64) -> u32 {
        self.rows += 1;
        let (rank, before) = self.last;
        let is_tie = rank > 0 && count == before;
        let rank = match self.ties {
            Ties::Competition | Ties::Dense if is_tie => rank,
            Ties::Dense => rank + 1,
            Ties::Ordinal | Ties::Competition => self.rows,
        };
        self.last = (rank, count);
        rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_rank_as_the_board_says() {
        let ranks = |ties| {
            let mut places = Places::new(ties);
            [9, 7, 7, 7, 5, 0, 0].map(|count| places.next(count))
        };
        assert_eq!(ranks(Ties::Ordinal), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(ranks(Ties::Competition), [1, 2, 2, 2, 5, 6, 6]);
        assert_eq!(ranks(Ties::Dense), [1, 2, 2, 2, 3, 4, 4]);
    }
}
