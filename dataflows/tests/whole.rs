//! A window of the whole of a bounded input says what a naive recount of all events says, late ones included: for any
//! number of workers, by both engines, beside windows that slide and alone, and also when runs are cut off and resumed.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::{Snapshot, SnapshotSink};
use crest_formats::refusal::Refusal;
use crest_state::spec::{Engine, JobSpec, WindowSpec};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Event, Feed, Kept, Running, T0, finals, recount, spec};

const REGIONS: [Option<&str>; 3] = [None, Some("IN"), Some("US")];

fn with_windows(engine: Engine, windows: Vec<WindowSpec>) -> JobSpec {
    let mut spec = spec();
    let board = &mut spec.boards[0];
    (board.engine, board.windows, board.by) = (engine, windows, vec!["region".into()]);
    spec
}

fn windows() -> impl Strategy<Value = Vec<WindowSpec>> {
    let sliding = |name, size, slide| {
        let seconds = Duration::from_secs;
        WindowSpec::sliding(name, seconds(size), seconds(slide))
    };
    let all = vec![sliding("last_1m", 60, 10), WindowSpec::whole("too"), sliding("uneven", 50, 30)];
    prop::sample::subsequence(all, 0..=3).prop_map(|mut windows| {
        windows.push(WindowSpec::whole("all"));
        windows
    })
}

/// Partitions with disorder, a good part of it beyond what is allowed, and with gaps.
fn partitions() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let step = prop_oneof![20 => -12_000i64..14_000, 2 => -200_000i64..-30_000, 1 => 60_000i64..400_000];
    let event = (step, 0usize..40, 1u32..5, 0usize..3);
    let partition = (0i64..200_000, prop::collection::vec(event, 0..200));
    prop::collection::vec(partition, 1..5).prop_map(|partitions| {
        let build = |(start, events): (i64, Vec<_>)| {
            let mut time = T0 + 10_000_000 + start;
            let event = |(step, item, weight, region): (i64, usize, u32, usize)| {
                time += step;
                let region = REGIONS[region].map(String::from);
                Event { time, item: format!("item:{item}"), weight, region }
            };
            events.into_iter().map(event).collect()
        };
        partitions.into_iter().map(build).collect()
    })
}

fn expected(spec: &JobSpec, partitions: &[Vec<Event>]) -> Vec<Snapshot> {
    let mut expected = recount::snapshots(spec, partitions);
    expected.extend(recount::whole(spec, partitions));
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn it_equals_the_recount_after_the_windows_that_slide(
        partitions in partitions(), windows in windows(), workers in 1usize..=4, exact in any::<bool>(),
    ) {
        let engine = if exact { Engine::Exact } else { Engine::Sketch };
        let spec = with_windows(engine, windows);
        let computed = finals(&spec, &partitions, workers);
        let expected = expected(&spec, &partitions);
        for (computed, expected) in computed.iter().zip(&expected) {
            prop_assert_eq!(computed, expected);
        }
        prop_assert_eq!(computed.len(), expected.len());
    }
}

#[test]
fn an_event_is_late_only_where_another_window_lacks_it() {
    let at = |second: i64, region: &str| Event {
        region: Some(region.into()),
        ..Event::new(T0 + 1000 * second, "a")
    };
    let events = vec![at(100, "IN"), at(0, "IN"), at(1, "US"), at(2, "DE"), at(3, "FR")];
    let mut spec = with_windows(Engine::Sketch, vec![WindowSpec::whole("all")]);
    let board = |region: &str, windows: Vec<WindowSpec>| {
        let mut board = spec.boards[0].clone();
        board.filter.insert("region".into(), vec![region.to_owned()].into());
        (board.name, board.windows) = (region.into(), windows);
        board
    };
    let (whole, sliding) =
        (WindowSpec::whole("all"), WindowSpec::sliding("last_10s", spec.time.pane, spec.time.pane));
    spec.boards = vec![
        board("IN", vec![whole.clone()]),
        board("US", vec![whole.clone(), sliding.clone()]),
        board("DE", vec![sliding]),
    ];
    let job = Running::start(&spec, &Feed::bounded(&[events]), 1);
    job.wait_for_records(5);
    job.assert_refused(Refusal::Late, 1);
    let counts = job.view.workers()[0].clone().unwrap().1.counts;
    assert_eq!((counts.events, counts.late_in_whole, counts.unmatched), (3, 1, 1));
    let finals = job.finish().finals();
    let told: Vec<_> = finals
        .iter()
        .filter(|snapshot| snapshot.group.is_whole())
        .map(|s| (&*s.board, &*s.window, s.total, (s.window_start - T0) / 1000, (s.window_end - T0) / 1000))
        .collect();
    // All events of the second board are late, and its window has their panes.
    assert_eq!(told, [("IN", "all", 2, 0, 110), ("US", "all", 1, 0, 10)]);
}

#[test]
fn events_twenty_years_apart_are_two_panes() {
    let year = 365 * 86_400_000;
    let partitions = [vec![Event::new(T0, "a"), Event::new(T0 + 20 * year, "a")]];
    let windows = vec![
        WindowSpec::whole("all"),
        WindowSpec::sliding("last_10s", Duration::from_secs(10), Duration::from_secs(10)),
    ];
    for engine in [Engine::Sketch, Engine::Exact] {
        let spec = with_windows(engine, windows.clone());
        let finals = finals(&spec, &partitions, 2);
        let told: Vec<_> = finals.iter().map(|snapshot| (&*snapshot.window, snapshot.total)).collect();
        assert_eq!(told, [("last_10s", 1), ("last_10s", 1), ("all", 2)]);
        assert_eq!(finals[2].window_end - finals[2].window_start, 20 * year + 10_000);
    }
}

#[test]
fn its_memory_is_bounded_by_its_rows_and_its_bounds_are_true() {
    let mut spec = with_windows(Engine::Sketch, vec![WindowSpec::whole("all")]);
    spec.boards[0].by.clear();
    // An item of every pane, and many that come once.
    let items = 300_000;
    let event = |n: i64| match n % 10 {
        0 => Event::new(T0 + 20 * n, "often"),
        _ => Event::new(T0 + 20 * n, &format!("{n:020}")),
    };
    let job = Running::start(&spec, &Feed::bounded(&[(0..items).map(event).collect()]), 1);
    let view = job.view.clone();
    let finals = job.finish().finals();
    let top = &finals[0].items[0];
    assert_eq!((finals.len(), finals[0].total, &*top.item_id), (1, items as u64, "often"));
    assert!(top.lower <= items as u64 / 10 && top.upper >= items as u64 / 10, "{top:?}");
    assert!(finals[0].error_floor > 0 && finals[0].error_floor < 100, "{}", finals[0].error_floor);
    let bytes = view.boards()["default"].window_bytes;
    assert!(bytes < 20 << 20, "{bytes} bytes");
}

#[test]
fn its_groups_keep_no_more_rows_than_those_of_panes() {
    let spec = with_windows(Engine::Sketch, vec![WindowSpec::whole("all")]);
    // Ten thousand items of each of thirty groups.
    let event = |n: i64| Event {
        region: Some(format!("r{}", n % 30)),
        ..Event::new(T0 + 20 * n, &format!("{n:020}"))
    };
    let job = Running::start(&spec, &Feed::bounded(&[(0..300_000).map(event).collect()]), 1);
    let view = job.view.clone();
    assert_eq!(job.finish().finals().len(), 31);
    let bytes = view.boards()["default"].window_bytes;
    assert!(bytes < 20 << 20, "{bytes} bytes");
}

/// After each ranking it takes none until it was asked a few times.
#[derive(Default)]
struct Hesitant {
    kept: Kept,
    refusals: AtomicUsize,
}

impl SnapshotSink for Hesitant {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        self.refusals.store(3, Ordering::SeqCst);
        self.kept.publish(snapshot);
    }

    fn ready(&self) -> bool {
        self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn each_ranking_is_published_once_however_slowly_they_are_taken() {
    let spec = with_windows(Engine::Sketch, vec![WindowSpec::whole("all"), WindowSpec::whole("too")]);
    let event = |n: i64| Event { region: Some(format!("r{}", n % 40)), ..Event::new(T0 + n, "a") };
    let feed = Feed::bounded(&[(0..400).map(event).collect()]);
    let expected = Running::start(&spec, &feed.again(None), 1).finish().finals();
    let sink = Arc::new(Hesitant::default());
    Running::into_sink(&spec, &feed.again(None), 1, sink.clone()).finish();
    assert_eq!(expected.len(), 2 * 41);
    assert_eq!(sink.kept.finals(), expected);
}
