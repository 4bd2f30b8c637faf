//! The rows of a ranking as a snapshot shows them.

use crest_connectors::snapshot::{Item, ItemId};
use crest_sketches::{RankedRow, Ranking, item_hash};

/// The ranks in a ranking, by the hash of each item: a sixth of what a table by id would take, for each group and window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranks(Vec<(u64, u32)>);

impl Ranks {
    /// The ranks of these items, which are hashed with `seed`.
    pub fn of(items: &[Item], seed: u64) -> Self {
        let rank = |item: &Item| (item_hash(item.item_id.as_bytes(), seed), item.rank);
        let mut ranks: Vec<_> = items.iter().map(rank).collect();
        ranks.sort_unstable();
        Ranks(ranks)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rank of an item.
    fn rank(&self, id: &str, seed: u64) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        let hash = item_hash(id.as_bytes(), seed);
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

/// The ranked items, best first. `before` has the ranks of the previous ranking, whose items were hashed with `seed`; from
/// it [`Item::change`] is computed.
pub fn ranked_items<K: AsRef<[u8]>>(ranking: &Ranking<K>, before: &Ranks, seed: u64) -> Vec<Item> {
    let item = |(index, row): (usize, &RankedRow<K>)| {
        let (rank, key) = (index as u32 + 1, row.key.as_ref());
        let item_id = shown_id(key);
        let change = before.rank(&item_id, seed).map(|before| before as i32 - rank as i32);
        let (lower, upper) = (row.bounds.lower(), row.bounds.upper());
        Item { rank, item_id, count: upper, lower, upper, exact: row.bounds.is_exact(), change }
    };
    ranking.rows.iter().enumerate().map(item).collect()
}
