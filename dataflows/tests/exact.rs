//! While the distinct items fit, every final snapshot equals the exact recount, whatever the partitions hold
//! and however many workers read them.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_state::spec::{JobSpec, WindowSpec};
use proptest::prelude::*;
use std::time::Duration;
use support::{Event, T0, finals, recount, spec};

/// Partitions whose events advance with disorder, some of it beyond what is allowed, with ties and weights.
fn partitions() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let step = (-12_000i64..15_000, 0usize..40, 1u32..5, 0usize..4);
    let partition = (0i64..200_000, prop::collection::vec(step, 0..120));
    prop::collection::vec(partition, 1..5).prop_map(|partitions| {
        let regions = [None, Some("IN"), Some("US"), Some("a,b=c%")];
        let build = |(start, steps): (i64, Vec<(i64, usize, u32, usize)>)| {
            let mut time = T0 + start;
            let event = |(step, item, weight, region): (i64, usize, u32, usize)| {
                time += step;
                let region = regions[region].map(String::from);
                Event { time, item: format!("item:{item}"), weight, region }
            };
            steps.into_iter().map(event).collect()
        };
        partitions.into_iter().map(build).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn finals_equal_the_recount_for_any_number_of_workers(partitions in partitions(), workers in 1usize..4, grouped: bool) {
        let mut spec = spec();
        if grouped {
            spec.boards[0].by = vec!["region".into()];
        }
        let expected = recount::snapshots(&spec, &partitions);
        let computed = finals(&spec, &partitions, workers);
        for (computed, expected) in computed.iter().zip(&expected) {
            prop_assert_eq!(computed, expected);
        }
        prop_assert_eq!(computed.len(), expected.len());
    }
}

#[test]
fn files_of_very_unequal_length_and_time_lose_nothing_on_one_worker() {
    let hours = |from: i64, events: i64| {
        let event = |n| Event::new(T0 + from * 3_600_000 + n * 700, &format!("item:{}", (n * n) % 97));
        (0..events).map(event).collect::<Vec<_>>()
    };
    let partitions = [hours(0, 20_000), hours(3, 50), hours(1, 3), hours(-2, 4_000)];
    let one = finals(&spec(), &partitions, 1);
    assert_eq!(one, finals(&spec(), &partitions, 4));
    assert_eq!(one, recount::snapshots(&spec(), &partitions));
    let minutes =
        one.iter().filter(|snapshot| snapshot.window_end % 60_000 == 0 && &*snapshot.window == "last_1m");
    let counted: u64 = minutes.map(|snapshot| snapshot.total).sum();
    assert!(counted > 24_053 - 100, "all but the last, partly filled minute: {counted}");
}

#[test]
fn windows_made_of_rollups_equal_the_recount() {
    let mut spec = spec();
    let minutes = |name: &str, size: u64, slide: u64| {
        WindowSpec::sliding(name, Duration::from_secs(60 * size), Duration::from_secs(60 * slide))
    };
    spec.boards[0].by = vec!["region".into()];
    spec.boards[0].windows =
        vec![minutes("1h/1m", 60, 1), minutes("6h/10m", 360, 10), minutes("each_12h", 720, 720)];
    let events = |step: i64, region: Option<&str>| {
        let event = |n| Event {
            region: region.map(String::from),
            ..Event::new(T0 + 7_000 + n * step * 1000, &format!("item:{}", (n * n) % 83))
        };
        (0..800).map(event).collect::<Vec<_>>()
    };
    let partitions = [events(61, None), events(47, Some("IN")), events(3, Some("US"))];
    let expected = recount::snapshots(&spec, &partitions);
    assert!(expected.len() > 1000);
    for workers in [1, 3] {
        assert!(finals(&spec, &partitions, workers) == expected, "the finals of {workers} workers differ");
    }
}

#[test]
fn an_empty_source_ends_without_a_snapshot() {
    assert_eq!(finals(&spec(), &[vec![], vec![]], 2), vec![]);
}

#[test]
fn a_gap_of_two_months_publishes_every_window_in_turn_where_empty_ones_are_wanted() {
    let spec = JobSpec { empty: true, ..spec() };
    let month = 30 * 86_400_000;
    let partitions =
        [vec![Event::new(T0, "a"), Event::new(T0 + 2 * month, "b")], vec![Event::new(T0 + month, "c")]];
    let expected = recount::snapshots(&spec, &partitions);
    assert!(expected.len() > 500_000);
    assert!(finals(&spec, &partitions, 2) == expected, "the finals differ");
}
