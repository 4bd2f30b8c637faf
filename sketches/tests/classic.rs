//! Space-Saving and the classic pair against the textbook.

mod support;

use crest_sketches::{Bounds, PaneSketch, SpaceSaving};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::twin::{NaiveCounters, check_sketch};
use support::*;

/// The counters are what the textbook says, as far as it says it, and bound what every item truly has.
fn check(heavy: &SpaceSaving, twin: &NaiveCounters, truth: &BTreeMap<u64, u64>) {
    assert_eq!((heavy.counters(), heavy.floor()), (twin.counts().len(), twin.floor()));
    assert_eq!(heavy.is_exact(), truth.len() <= heavy.counters());
    let floor = heavy.floor();
    let mut above = Vec::new();
    for (&item, &weight) in truth {
        let bounds = heavy.bounds(item);
        assert!(bounds.contains(weight), "{item} has {weight}, said {bounds:?}");
        assert!(bounds.doubt() <= floor);
        above.extend((bounds.upper() > floor).then_some((item, bounds.upper())));
    }
    let theirs = twin.counts().into_iter().filter(|&(_, count)| count > floor).collect::<Vec<_>>();
    assert_eq!(above, theirs, "counts above the least are the same whichever was taken over");
    assert_eq!(heavy.bounds(u64::MAX), Bounds::at_most(floor));

    // The counters share out the whole weight, so that the least is at most its mean.
    let rest = (heavy.counters() - above.len()) as u64 * floor;
    let all = above.iter().map(|(_, count)| count).sum::<u64>() + rest;
    assert_eq!(all, truth.values().sum::<u64>());
    assert!(floor * heavy.counters() as u64 <= all);
}

/// Counters, their twin, and what they counted.
#[derive(Clone)]
struct Compared {
    heavy: SpaceSaving,
    twin: NaiveCounters,
    truth: BTreeMap<u64, u64>,
}

impl Compared {
    fn new(counters: usize) -> Self {
        let (heavy, twin) = (SpaceSaving::new(counters), NaiveCounters::new(counters));
        Compared { heavy, twin, truth: BTreeMap::new() }
    }

    fn count(&mut self, item: u64, weight: u64) {
        self.heavy.add(item, weight, &item.to_le_bytes());
        self.twin.count(item, weight);
        *self.truth.entry(item).or_default() += weight;
        check(&self.heavy, &self.twin, &self.truth);
    }

    /// Whatever may come in so many events of four items, of weight 1 or 2.
    fn explore(&self, events: u32) {
        if events == 0 {
            return;
        }
        for (item, weight) in (1..=4).flat_map(|item| [(item, 1), (item, 2)]) {
            let mut next = self.clone();
            next.count(item, weight);
            next.explore(events - 1);
        }
    }
}

#[test]
fn every_short_stream_is_counted_as_the_textbook_counts_it() {
    (1..=3).for_each(|counters| Compared::new(counters).explore(6));
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn counters_are_what_the_textbook_says(events in stream(400), counters in 1..40usize) {
        let mut compared = Compared::new(counters);
        events.iter().for_each(|&(item, weight)| compared.count(hash(&key(item)), weight.into()));
    }

    #[test]
    fn a_classic_sketch_is_what_its_twin_is_after_each_event(events in stream(150)) {
        let (mut sketch, mut naive) = (PaneSketch::new(&small_classic()), twin(&small_classic(), &[]));
        for (at, &(item, weight)) in events.iter().enumerate() {
            sketch.add(&key(item), weight);
            naive.count(hash(&key(item)), weight.into());
            if at % 10 == 0 {
                check_sketch(&sketch, &naive, &recount(&events[..=at]), hash);
            }
        }
    }
}

/// Every event takes a counter over: the keys of those that lost theirs do not pile up.
#[test]
fn keys_of_items_that_lost_their_counter_are_swept() {
    let mut heavy = SpaceSaving::new(32);
    let mut most = 0;
    for item in 0..100_000u64 {
        heavy.add(hash(&item.to_le_bytes()), 1, &item.to_le_bytes());
        most = most.max(heavy.bytes());
    }
    assert!(most < 64 << 10, "{most} bytes");
}
