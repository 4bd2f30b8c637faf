//! What is arranged, and arrangements that stay on the worker where the updates are: items are where they belong from the first on.

use super::round::Round;
use differential_dataflow::difference::Semigroup;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::implementations::{KeyBatcher, KeySpine, ValBatcher, ValSpine};
use differential_dataflow::{ExchangeData, VecCollection};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;

/// A window, by its number, and a group, by its.
pub(super) type Slot = (u32, u32);
/// A window, a group and an item.
pub(super) type Counted = (u32, u32, u32);
/// An item's count in a slot.
pub(super) type Leader = (i64, u32);

/// Changes of a collection, as they are sent.
pub(super) type Updates<'scope, D, R> = Stream<'scope, Round, Vec<(D, Round, R)>>;
/// An arrangement of pairs by their first.
pub(super) type Pairs<'scope, K, V, R> = Arranged<'scope, TraceAgent<ValSpine<K, V, Round, R>>>;
/// One of what is in it itself.
pub(super) type Keys<'scope, K, R> = Arranged<'scope, TraceAgent<KeySpine<K, Round, R>>>;

/// Arranges pairs by their first.
pub(super) fn arrange<'scope, K: ExchangeData, V: ExchangeData, R: ExchangeData + Semigroup>(
    updates: Updates<'scope, (K, V), R>,
    name: &str,
) -> Pairs<'scope, K, V, R> {
    arrange_core::<_, _, ValBatcher<K, V, Round, R>, _>(updates, Pipeline, name, ValBatcher::new)
}

/// Arranges what is in a collection.
pub(super) fn arrange_keys<'scope, K: ExchangeData, R: ExchangeData + Semigroup>(
    collection: VecCollection<'scope, Round, K, R>,
    name: &str,
) -> Keys<'scope, K, R> {
    let keyed = collection.map(|key| (key, ())).inner;
    arrange_core::<_, _, KeyBatcher<K, Round, R>, _>(keyed, Pipeline, name, KeyBatcher::new)
}
