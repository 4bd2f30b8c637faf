//! Compares two rankings: who entered the leading items, who left them, and who overtook whom.
//!
//! A change is certain where the bounds of both rankings prove it: whatever the true counts are within them, it happened.
//! Equal counts count as either order, but where all counts are exact: the rankings are then the true ones.

use crate::item_id::ItemId;
use crate::snapshot::{Item, Snapshot};
use serde::Serialize;
use std::collections::HashMap;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// It is among the leading items, and was not.
    Entered,
    /// It is among them, as it was, and ahead of some of them that were ahead of it.
    Overtook,
    /// It is not among them, and was.
    Left,
}

/// A change of one item.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) change: Kind,
    pub(super) item_id: ItemId,
    /// Its rank; `None` where it is not listed.
    pub(super) rank: Option<u32>,
    /// Its rank in the ranking before; `None` where it was not listed.
    pub(super) was: Option<u32>,
    /// The reported count; `None` where it is not listed.
    pub(super) count: Option<u64>,
    /// Its count is at least this …
    pub(super) lower: u64,
    /// … and at most this.
    pub(super) upper: u64,
    /// The items that it overtook, best first by their ranks before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) over: Vec<ItemId>,
}

/// The changes from one ranking to the next among the leading `k` items: of items in the later one by their ranks, then of
/// those that left by their ranks before. Without a ranking before, nothing was there.
pub(super) fn changes(before: Option<&Snapshot>, now: &Snapshot, k: usize, certain: bool) -> Vec<Change> {
    let is_partial = |of: &Snapshot| of.partial || !of.missing.is_empty();
    if certain && (is_partial(now) || before.is_some_and(is_partial)) {
        return Vec::new();
    }
    let both = Both { before: View::new(before, k), now: View::new(Some(now), k), certain };
    let in_now = both.now.leading().filter_map(|item| both.entered(item).or_else(|| both.overtook(item)));
    let left = both.before.leading().filter_map(|item| both.left(item));
    in_now.chain(left).collect()
}

/// Two rankings that follow each other.
struct Both<'a> {
    before: View<'a>,
    now: View<'a>,
    certain: bool,
}

impl Both<'_> {
    fn entered(&self, item: &Item) -> Option<Change> {
        let id = &*item.item_id;
        let entered = match self.certain {
            true => self.now.is_in(id) && self.before.is_out(id),
            false => !self.before.is_listed(id),
        };
        entered.then(|| self.change(Kind::Entered, id, Vec::new()))
    }

    fn left(&self, item: &Item) -> Option<Change> {
        let id = &*item.item_id;
        let left = match self.certain {
            true => self.before.is_in(id) && self.now.is_out(id),
            false => !self.now.is_listed(id),
        };
        left.then(|| self.change(Kind::Left, id, Vec::new()))
    }

    fn overtook(&self, item: &Item) -> Option<Change> {
        let (id, was) = (&*item.item_id, self.before.items.get(&*item.item_id)?);
        if !self.before.is_leading(was) {
            return None;
        }
        let is_overtaken = |other: &&Item| {
            let other = &*other.item_id;
            let (before, now) = (&self.before, &self.now);
            match self.certain {
                true => before.is_surely_ahead(other, id) && now.is_surely_ahead(id, other),
                false => before.is_ahead(other, id) && now.is_ahead(id, other),
            }
        };
        let over: Vec<ItemId> =
            self.before.leading().filter(is_overtaken).map(|other| other.item_id.clone()).collect();
        (!over.is_empty()).then(|| self.change(Kind::Overtook, id, over))
    }

    fn change(&self, change: Kind, id: &str, over: Vec<ItemId>) -> Change {
        let (item, was) = (self.now.items.get(id), self.before.items.get(id));
        let (lower, upper) = self.now.bounds(id);
        let item_id = item.or(was).map_or_else(|| ItemId::new(id), |item| item.item_id.clone());
        let (rank, was) = (item.map(|item| item.rank), was.map(|item| item.rank));
        Change { change, item_id, rank, was, count: item.map(|item| item.count), lower, upper, over }
    }
}

/// A ranking, or that of a window in which nothing was.
struct View<'a> {
    rows: &'a [Item],
    items: HashMap<&'a str, &'a Item>,
    k: usize,
    /// The count of an item that is not listed is at most this.
    outside: u64,
    /// Whether there is no doubt: all counts are exact, and there is no other item but those listed or behind them.
    is_exact: bool,
}

impl<'a> View<'a> {
    fn new(of: Option<&'a Snapshot>, k: usize) -> Self {
        let Some(of) = of else {
            return View { rows: &[], items: HashMap::new(), k, outside: 0, is_exact: true };
        };
        // Behind a full ranking there may be items that would be listed in a longer one, and have as much as the last row.
        let is_full = of.items.len() >= of.k as usize;
        let last = of.items.iter().map(|item| item.upper).min().filter(|_| is_full).unwrap_or(0);
        View {
            rows: &of.items,
            items: of.items.iter().map(|item| (&*item.item_id, item)).collect(),
            k,
            outside: of.error_floor.max(last),
            is_exact: of.error == 0 && of.error_floor == 0,
        }
    }

    /// The leading items, best first.
    fn leading(&self) -> impl Iterator<Item = &'a Item> {
        self.rows.iter().take(self.k)
    }

    fn is_leading(&self, item: &Item) -> bool {
        item.rank as usize <= self.k
    }

    /// Whether it is listed among the leading items.
    fn is_listed(&self, id: &str) -> bool {
        self.items.get(id).is_some_and(|item| self.is_leading(item))
    }

    fn bounds(&self, id: &str) -> (u64, u64) {
        self.items.get(id).map_or((0, self.outside), |item| (item.lower, item.upper))
    }

    /// How many others the closure holds for, of those listed.
    fn others(&self, id: &str, holds: impl Fn(&Item) -> bool) -> usize {
        self.rows.iter().filter(|other| &*other.item_id != id && holds(other)).count()
    }

    /// Whether the item is certainly among the leading ones.
    fn is_in(&self, id: &str) -> bool {
        if self.is_exact {
            return self.is_listed(id);
        }
        let (lower, _) = self.bounds(id);
        // Where events take away what others have counted, an item may have nothing left, and so no rank.
        lower > 0 && lower >= self.outside && self.others(id, |other| other.upper > lower) < self.k
    }

    /// Whether it certainly is not.
    fn is_out(&self, id: &str) -> bool {
        if self.is_exact {
            return !self.is_listed(id);
        }
        let (_, upper) = self.bounds(id);
        upper == 0 || self.others(id, |other| other.lower > upper) >= self.k
    }

    /// Whether an item is listed ahead of another one, which need not be listed.
    fn is_ahead(&self, first: &str, second: &str) -> bool {
        match (self.items.get(first), self.items.get(second)) {
            (Some(first), Some(second)) => first.rank < second.rank,
            (first, _) => first.is_some(),
        }
    }

    /// Whether it certainly is ahead of it.
    fn is_surely_ahead(&self, first: &str, second: &str) -> bool {
        match self.is_exact {
            true => self.is_ahead(first, second),
            false => self.bounds(first).0 > self.bounds(second).1,
        }
    }
}

#[cfg(test)]
mod tests;
