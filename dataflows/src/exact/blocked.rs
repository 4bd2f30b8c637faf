//! Who is blocked, by the numbers that the graph knows them by. Their counts are not told to the graph, so that they take no
//! place in a ranking.

use crest_state::blocklist::Blocked;
use std::collections::HashSet;
use std::sync::Arc;

/// The blocked items among those that have numbers.
#[derive(Default)]
pub(super) struct BlockedItems {
    list: Option<Arc<Blocked>>,
    items: HashSet<u32>,
}

impl BlockedItems {
    /// Whether an item is blocked.
    pub(super) fn has(&self, item: u32) -> bool {
        !self.items.is_empty() && self.items.contains(&item)
    }

    /// Notes that an item has a number.
    pub(super) fn note(&mut self, item: u32, name: &[u8]) {
        if self.list.as_ref().is_some_and(|list| list.has(name)) {
            self.items.insert(item);
        }
    }

    /// Notes that a number is free again.
    pub(super) fn forget(&mut self, item: u32) {
        self.items.remove(&item);
    }

    /// Whether it goes by this list already.
    pub(super) fn is_of(&self, list: Option<&Arc<Blocked>>) -> bool {
        let version = |list: Option<&Arc<Blocked>>| list.map_or(0, |list| list.version());
        version(self.list.as_ref()) == version(list)
    }

    /// Goes by another list from now on. `number` knows the items that have numbers. Returns those who are blocked now and
    /// were not, and those who were and are not.
    pub(super) fn follow(
        &mut self,
        list: Option<Arc<Blocked>>,
        number: impl Fn(&[u8]) -> Option<u32>,
    ) -> (HashSet<u32>, HashSet<u32>) {
        let of = |list: Option<&Arc<Blocked>>| -> HashSet<u32> {
            list.into_iter().flat_map(|list| list.ids()).filter_map(&number).collect()
        };
        let (before, now) = (std::mem::take(&mut self.items), of(list.as_ref()));
        let turned = (&now - &before, &before - &now);
        (self.list, self.items) = (list, now);
        turned
    }
}
