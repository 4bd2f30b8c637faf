//! A gap in event time: a run that ends publishes the windows with events and no other, a live one does not flood.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::state::StateStore;
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::{Engine, JobSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::{Event, Feed, Running, T0, finals, recount, spec};

const DAY: i64 = 86_400_000;
/// What nobody could go through one end after the other: 22,000,000 of them, up to the last years that are read.
const DECADES: i64 = 70 * 365 * DAY;

/// Events far apart, in groups of which one is silent for a while.
fn events() -> Vec<Event> {
    let in_region = |region: &str, event| Event { region: Some(region.into()), ..event };
    let mut events = Vec::new();
    for (start, region) in [(T0, "IN"), (T0 + DECADES, "US"), (T0 + DECADES + 400_000, "IN")] {
        events
            .extend((0..50).map(|n| in_region(region, Event::new(start + 700 * n, &format!("i{}", n % 7)))));
    }
    events
}

fn grouped(engine: Engine) -> JobSpec {
    let mut spec = spec();
    (spec.boards[0].by, spec.boards[0].engine) = (vec!["region".into()], engine);
    spec
}

#[test]
fn windows_without_events_are_neither_computed_nor_published() {
    let (events, other) = (events(), vec![Event::new(T0 + 10 * 365 * DAY, "alone")]);
    for engine in [Engine::Sketch, Engine::Exact] {
        let spec = grouped(engine);
        for partitions in [vec![events.clone()], vec![events.clone(), other.clone()]] {
            let expected = recount::snapshots(&spec, &partitions);
            assert!(expected.iter().all(|snapshot| snapshot.total > 0) && expected.len() < 200);
            assert!(finals(&spec, &partitions, 2) == expected, "{engine:?} is not the recount");
        }
    }
}

#[test]
fn they_are_where_that_is_wanted() {
    let mut events = events();
    events
        .iter_mut()
        .filter(|event| event.time >= T0 + DECADES)
        .for_each(|event| event.time -= DECADES - DAY);
    for engine in [Engine::Sketch, Engine::Exact] {
        let spec = JobSpec { empty: true, ..grouped(engine) };
        let expected = recount::snapshots(&spec, &[events.clone()]);
        assert!(expected.iter().filter(|snapshot| snapshot.total == 0).count() > 8640);
        assert!(finals(&spec, &[events.clone()], 2) == expected, "{engine:?} is not the recount");
    }
}

#[test]
fn a_state_is_carried_over_the_gap() {
    for engine in [Engine::Sketch, Engine::Exact] {
        let (spec, folder, feed) =
            (grouped(engine), tempfile::tempdir().unwrap(), Feed::bounded(&[events()]));
        let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let state = JobState::open(store, &spec, "feed", &Retention::default(), 1).unwrap();
        let epoch = state.epoch();
        let job = Running::with_state(&spec, &feed, 2, Some(Arc::new(state)));
        let published = job.finish().finals();
        let expected = recount::snapshots(&spec, &[events()]);
        assert_eq!(epoch, 1);
        assert!(published == expected, "{engine:?} is not the recount");
    }
}

/// It shows that the windows are empty now, once, and goes on where time does.
#[test]
fn a_live_run_whose_time_jumps_shows_the_last_empty_window_and_goes_on() {
    for engine in [Engine::Sketch, Engine::Exact] {
        let feed = Feed::live(1);
        events().iter().for_each(|event| feed.push(0, event));
        feed.push(0, &Event::new(T0 + DECADES + 1_000_000, "last"));
        let job = Running::start(&grouped(engine), &feed, 1);
        let end = T0 + DECADES + 60_000;
        job.kept.wait_for("a window after the gap", |s| s.is_final && s.window_end > end + 400_000);
        let finals = job.stop().finals();
        assert!(finals.len() < 500, "{} rankings", finals.len());
        let middle = |time: i64| T0 + 600_000 < time && time <= T0 + DECADES;
        for window in ["last_1m", "two_5m"] {
            let whole = finals.iter().filter(|s| &*s.window == window && s.group.is_whole());
            let shown: Vec<_> =
                whole.filter(|s| middle(s.window_end)).map(|s| (s.window_end, s.total)).collect();
            assert!(matches!(shown[..], [(end, 0)] if end > T0 + DECADES - 300_000), "{window}: {shown:?}");
        }
    }
}

/// What no broker has stamped is compared with the wall clock, where that is wanted.
#[test]
fn a_guard_that_is_given_for_files_is_obeyed() {
    let day = Duration::from_secs(86_400);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let far = Event::new((now + 2 * day).as_millis() as i64, "far ahead");
    let run = |guards_files| {
        let mut spec = spec();
        (spec.time.max_future_skew, spec.time.guards_files) = (day, guards_files);
        let feed = Feed::bounded(&[vec![]]).with_raw(vec![far.json()]);
        Running::start(&spec, &feed, 1).finish().finals().len()
    };
    assert_eq!(run(true), 0);
    assert!(run(false) > 0);
}
