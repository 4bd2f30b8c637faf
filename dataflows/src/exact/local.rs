//! The types of the graph's collections, and arrangements that exchange nothing: each update is on the worker of its item
//! already.

use super::round::Round;
use differential_dataflow::ExchangeData;
use differential_dataflow::difference::Semigroup;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::{KeyBatcher, KeySpine, ValBatcher, ValSpine};
use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;

/// The numbers of a window and a group.
pub(super) type Slot = (u32, u32);
/// The numbers of a window, a group and an item.
pub(super) type Counted = (u32, u32, u32);
/// An item's count in a slot, and its number; in the order of the counts. A tuple of the two would take a third more memory, for
/// the sake of its alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Leader {
    /// The count's greater half, and its lesser one.
    count: [u32; 2],
    /// The item's number.
    pub(super) item: u32,
}

impl Leader {
    /// An item with its count, which is not negative.
    pub(super) fn new(count: i64, item: u32) -> Self {
        Leader { count: [(count >> 32) as u32, count as u32], item }
    }

    /// The count.
    pub(super) fn count(self) -> i64 {
        let [high, low] = self.count;
        i64::from(high) << 32 | i64::from(low)
    }
}

/// A stream of changes of a collection.
pub(super) type Updates<'scope, D, R> = Stream<'scope, Round, Vec<(D, Round, R)>>;
/// An arrangement of pairs by their first elements.
pub(super) type Pairs<'scope, K, V, R> = Arranged<'scope, TraceAgent<ValSpine<K, V, Round, R>>>;
/// An arrangement of a collection's elements by themselves.
pub(super) type Keys<'scope, K, R> = Arranged<'scope, TraceAgent<KeySpine<K, Round, R>>>;

/// Arranges pairs by their first elements.
pub(super) fn arrange<'scope, K: ExchangeData, V: ExchangeData, R: ExchangeData + Semigroup>(
    updates: Updates<'scope, (K, V), R>,
    name: &str,
) -> Pairs<'scope, K, V, R> {
    arrange_core::<_, _, ValBatcher<K, V, Round, R>, _>(updates, Pipeline, name, ValBatcher::new)
}

/// Arranges a collection's elements by themselves.
pub(super) fn arrange_keys<'scope, K: ExchangeData, R: ExchangeData + Semigroup>(
    updates: Updates<'scope, (K, ()), R>,
    name: &str,
) -> Keys<'scope, K, R> {
    arrange_core::<_, _, KeyBatcher<K, Round, R>, _>(updates, Pipeline, name, KeyBatcher::new)
}
