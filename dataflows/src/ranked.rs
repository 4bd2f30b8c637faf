//! The rows of a ranking as a snapshot shows them.

use crest_connectors::snapshot::Item;
use crest_sketches::{RankedRow, Ranking};
use std::collections::HashMap;
use std::sync::Arc;

/// The ranked items, best first. `before` has the ranks of the previous ranking, from which [`Item::change`] is computed.
pub fn ranked_items(ranking: Ranking, before: &HashMap<Arc<str>, u32>) -> Vec<Item> {
    let item = |(index, row): (usize, RankedRow)| {
        let rank = index as u32 + 1;
        let item_id: Arc<str> = String::from_utf8_lossy(&row.key).into();
        let change = before.get(&item_id).map(|before| *before as i32 - rank as i32);
        let (lower, upper) = (row.bounds.lower(), row.bounds.upper());
        Item { rank, item_id, count: upper, lower, upper, exact: row.bounds.is_exact(), change }
    };
    ranking.rows.into_iter().enumerate().map(item).collect()
}
