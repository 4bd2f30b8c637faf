//! Streams of every skew, weight and order that a sketch may meet.

use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// An event: an item, by number, and its weight.
pub type Event = (u32, u32);

pub fn key(item: u32) -> Vec<u8> {
    format!("item-{item}").into_bytes()
}

/// Streams of any skew, from one hot item to all distinct, of weights from all 1 to the greatest, with a head that
/// stays or shifts, in any of several orders.
pub fn stream(longest: usize) -> impl Strategy<Value = Vec<Event>> {
    (drawn(longest), head(), order()).prop_map(|(events, head, order)| arrange(head.apply(events), order))
}

/// Independent draws; the least of several is skewed to the low numbers.
fn drawn(longest: usize) -> impl Strategy<Value = Vec<Event>> {
    let items = prop_oneof![
        Just((1, 1)),
        Just((20, 1)),
        Just((60, 1)),
        Just((400, 1)),
        Just((400, 4)),
        Just((4000, 3)),
        Just((u32::MAX, 1))
    ];
    // With the third, it takes some tens of events in a matrix until they weigh more than 32 bits hold.
    let heaviest = prop_oneof![Just(1u32), Just(20), Just(1 << 27), Just(u32::MAX)];
    (items, heaviest).prop_flat_map(move |((items, skew), heaviest)| {
        let item = prop::collection::vec(0..items, skew).prop_map(|draws| *draws.iter().min().unwrap());
        prop::collection::vec((item, 1..=heaviest), 0..longest)
    })
}

/// Which items are the heavy ones.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// As drawn.
    Stays,
    /// All numbers move up by one every so many events: new items enter the head, and old ones leave it.
    Shifts(u32),
    /// Every other event is of one item.
    One,
}

fn head() -> impl Strategy<Value = Head> {
    prop_oneof![3 => Just(Head::Stays), 1 => (1..50u32).prop_map(Head::Shifts), 1 => Just(Head::One)]
}

impl Head {
    fn apply(self, mut events: Vec<Event>) -> Vec<Event> {
        for (at, (item, _)) in (0..).zip(&mut events) {
            *item = match self {
                Head::Stays => *item,
                Head::Shifts(every) => item.saturating_add(at / every),
                Head::One if at % 2 == 0 => 0,
                Head::One => *item,
            };
        }
        events
    }
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Drawn,
    /// By weight.
    Rising,
    Falling,
    /// By weight, light and heavy in turns, in teeth of so many.
    Sawtooth(usize),
    /// By what the item has in all, each item's events together.
    HeavyFirst,
    HeavyLast,
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        4 => Just(Order::Drawn),
        1 => Just(Order::Rising),
        1 => Just(Order::Falling),
        1 => (2..80usize).prop_map(Order::Sawtooth),
        1 => Just(Order::HeavyFirst),
        1 => Just(Order::HeavyLast),
    ]
}

fn arrange(mut events: Vec<Event>, order: Order) -> Vec<Event> {
    let mut totals: BTreeMap<u32, u64> = BTreeMap::new();
    for &(item, weight) in &events {
        *totals.entry(item).or_default() += u64::from(weight);
    }
    match order {
        Order::Drawn => {}
        Order::Rising | Order::Sawtooth(_) => events.sort_by_key(|&(_, weight)| weight),
        Order::Falling => events.sort_by_key(|&(_, weight)| Reverse(weight)),
        Order::HeavyFirst => events.sort_by_key(|&(item, _)| Reverse((totals[&item], item))),
        Order::HeavyLast => events.sort_by_key(|&(item, _)| (totals[&item], item)),
    }
    if let Order::Sawtooth(tooth) = order {
        let teeth = events.len().div_ceil(tooth).max(1);
        events = (0..teeth).flat_map(|tooth| events.iter().skip(tooth).step_by(teeth).copied()).collect();
    }
    events
}
