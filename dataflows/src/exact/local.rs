//! The types of the graph's collections, and arrangements that exchange nothing: each update is on the worker of its item
//! already.

use super::round::Round;
use differential_dataflow::difference::Semigroup;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::{KeyBatcher, KeySpine, ValBatcher, ValSpine};
use differential_dataflow::{ExchangeData, VecCollection};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;

/// The numbers of a window and a group.
pub(super) type Slot = (u32, u32);
/// The numbers of a window, a group and an item.
pub(super) type Counted = (u32, u32, u32);
/// An item's count in a slot, and its number.
pub(super) type Leader = (i64, u32);

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
    collection: VecCollection<'scope, Round, K, R>,
    name: &str,
) -> Keys<'scope, K, R> {
    let keyed = collection.map(|key| (key, ())).inner;
    arrange_core::<_, _, KeyBatcher<K, Round, R>, _>(keyed, Pipeline, name, KeyBatcher::new)
}
