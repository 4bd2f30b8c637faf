//! A run over a range of panes counts in them just what a run over all panes does, and reads no further than it must.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::source::BrokerTime;
use crest_dataflows::status::WorkerCounts;
use crest_formats::refusal::Refusal;
use crest_state::spec::{JobSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use std::time::Duration;
use support::panes::{self, Counts, Panes, panes};
use support::{Event, Feed, Running, T0, spec};

const PANE: i64 = 10_000;
const FIRST: u64 = (T0 / PANE) as u64;

/// A window for each pane, which shows all its items.
fn each_pane() -> JobSpec {
    let (mut spec, pane) = (spec(), Duration::from_millis(PANE as u64));
    spec.boards[0].windows = vec![WindowSpec::sliding("pane", pane, pane)];
    (spec.boards[0].by, spec.boards[0].k) = (vec!["region".into()], 100);
    spec
}

/// Partitions with disorder, late events and gaps; some have none in the range at all.
fn partitions(random: &mut StdRng) -> Vec<Vec<Event>> {
    let regions = [None, Some("IN"), Some("US")];
    let partition = |random: &mut StdRng| {
        let mut time = T0 + random.random_range(0..400_000);
        let mut event = |random: &mut StdRng| {
            time += match random.random_range(0..60) {
                0 => random.random_range(10_000..60_000),
                1 => -random.random_range(5_000..30_000),
                _ => random.random_range(-900..1_800),
            };
            let item = format!("item:{}", random.random_range(0..30));
            let region = regions[random.random_range(0..3usize)].map(String::from);
            Event { time, item, weight: random.random_range(1..5), region }
        };
        (0..random.random_range(1..700)).map(|_| event(random)).collect()
    };
    (0..random.random_range(1..5)).map(|_| partition(random)).collect()
}

/// What a run over a range has counted, by pane.
fn counted(spec: &JobSpec, feed: &Feed, workers: usize, range: Range<u64>) -> (Panes, WorkerCounts) {
    let job = Running::of_range(spec, feed, workers, None, Some(range));
    let view = job.view.clone();
    let mut panes = Panes::new();
    for snapshot in job.finish().finals().into_iter().filter(|snapshot| snapshot.total > 0) {
        let items: Counts =
            snapshot.items.iter().map(|item| (item.item_id.to_string(), item.count)).collect();
        panes
            .entry((snapshot.window_start / PANE) as u64)
            .or_default()
            .insert(snapshot.group.to_string(), items);
    }
    let mut all = WorkerCounts::default();
    for (_, status) in view.workers().into_iter().flatten() {
        let counts = status.counts;
        (all.records, all.events, all.outside) =
            (all.records + counts.records, all.events + counts.events, all.outside + counts.outside);
        all.refused.iter_mut().zip(counts.refused).for_each(|(all, more)| *all += more);
    }
    (panes, all)
}

#[test]
fn in_a_range_just_that_is_counted_which_a_whole_run_counts_there() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let (spec, partitions) = (each_pane(), partitions(&mut random));
        let start = FIRST + random.random_range(0..60);
        let range = start..start + random.random_range(1..40);
        let mut expected = panes(&spec, &partitions);
        expected.retain(|pane, _| range.contains(pane));
        let workers = random.random_range(1..4);
        let (found, counts) = counted(&spec, &Feed::bounded(&partitions), workers, range.clone());
        assert_eq!(found, expected, "seed {seed}, {range:?}");
        let refused: u64 = counts.refused.iter().sum();
        assert_eq!(counts.records, counts.events + counts.outside + refused, "seed {seed}");
    }
}

#[test]
fn what_is_outside_is_neither_late_nor_refused_and_nothing_is_read_after_it() {
    // Each second an event, for ten minutes; in the third minute one of the first, and later one of the third.
    let mut events: Vec<Event> = (0..600).map(|second| Event::new(T0 + 1000 * second, "a")).collect();
    events.insert(150, Event::new(T0 + 30_000, "before"));
    events.insert(160, Event::new(T0 + 125_000, "late"));
    let minute = FIRST + 12..FIRST + 18;
    let (found, counts) = counted(&each_pane(), &Feed::bounded(&[events]), 1, minute.clone());
    assert_eq!(panes::sum(&found, minute, ""), Counts::from([("a".into(), 60)]));
    assert_eq!((counts.events, counts.refused[Refusal::Late as usize]), (60, 1));
    // Up to the event that is five seconds behind the range.
    assert_eq!(counts.outside, 120 + 1 + 6);
    assert_eq!(counts.records, 120 + 60 + 6 + 2, "nothing is taken of what follows");
}

#[test]
fn what_is_no_event_is_told_wherever_it_stands() {
    let (feed, stamp) = (Feed::bounded(&[vec![]]), |ms| Some(BrokerTime::Appended(T0 + ms)));
    feed.push_raw(0, b"no json".to_vec(), stamp(0));
    // Its clock is wrong; were it believed, nothing of the range would be read.
    feed.push_raw(0, Event::new(T0 + 700_000, "ahead").json(), stamp(1000));
    feed.push_raw(0, Event::new(T0 + 61_000, "a").json(), stamp(61_000));
    feed.push_raw(0, br#"{"timestamp":1711670465000}"#.to_vec(), stamp(65_000));
    let (found, counts) = counted(&each_pane(), &feed, 1, FIRST + 6..FIRST + 12);
    assert_eq!(panes::sum(&found, 0..u64::MAX, ""), Counts::from([("a".into(), 1)]));
    let refused = |reason| counts.refused[reason as usize];
    assert_eq!((refused(Refusal::Malformed), refused(Refusal::Future), refused(Refusal::Item)), (1, 1, 1));
}
