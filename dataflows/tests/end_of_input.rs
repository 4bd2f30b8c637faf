//! Which windows are published when a bounded input comes to its end: those up to the last pane with an event, of all boards
//! alike, whoever takes that event.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_state::spec::{Filter, JobSpec};
use std::collections::BTreeMap;
use std::time::Duration;
use support::state::{Folder, open, run, store, wait_until};
use support::{Event, Feed, Running, T0, finals, spec};

/// A board that takes the events of India only, and one that takes none of those that come last.
fn filtered() -> JobSpec {
    let mut spec = spec();
    spec.boards[0].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
    let mut other = spec.boards[0].clone();
    other.name = "other".into();
    other.filter.insert("region".into(), Filter::AnyOf(vec!["US".into()]));
    spec.boards.push(other);
    spec
}

/// Of India until 40 s, of the US until 50 s, and of nobody until 85 s.
fn partitions() -> Vec<Vec<Event>> {
    let event = |second: i64| {
        let region = match second {
            0..40 => Some("IN"),
            40..50 => Some("US"),
            _ => None,
        };
        Event { region: region.map(String::from), ..Event::new(T0 + second * 1000, "a") }
    };
    vec![(0..85).step_by(2).map(event).collect(), (1..70).step_by(2).map(event).collect()]
}

/// The ends of a board's windows of a minute, in seconds after the first event, and what each holds.
fn minutes(finals: &[Snapshot], board: &str) -> BTreeMap<i64, u64> {
    let of = finals.iter().filter(|final_| &*final_.board == board && &*final_.window == "last_1m");
    of.map(|final_| ((final_.window_end - T0) / 1000, final_.total)).collect()
}

fn assert_to_the_end(finals: &[Snapshot], what: &str) {
    let india = [(10, 10), (20, 20), (30, 30), (40, 40), (50, 40), (60, 40), (70, 30), (80, 20), (90, 10)];
    assert_eq!(minutes(finals, "default"), BTreeMap::from(india), "{what}");
    let us = [(50, 10), (60, 10), (70, 10), (80, 10), (90, 10)];
    assert_eq!(minutes(finals, "other"), BTreeMap::from(us), "{what}");
}

#[test]
fn all_boards_publish_their_windows_up_to_the_last_event_of_any_of_them_or_of_none() {
    for workers in [1, 2, 3] {
        assert_to_the_end(&finals(&filtered(), &partitions(), workers), &format!("{workers} workers"));
    }
    let slow = Feed::bounded(&partitions()).paced(Duration::from_millis(2));
    let finals = Running::start(&filtered(), &slow, 2).finish().finals();
    assert_to_the_end(&finals, "time passed bit by bit");
}

#[test]
fn so_does_a_run_that_resumes_when_all_panes_are_durable() {
    let (spec, folder) = (filtered(), Folder::new().unwrap());
    let feed = Feed::bounded(&partitions());
    feed.set_ended(false);
    let state = open(store(folder.path()), &spec);
    let first = Running::with_state(&spec, &feed, 2, Some(state));
    first.kept.stall();
    feed.set_ended(true);
    let ended = || {
        let manifest = store(folder.path()).manifest().unwrap().unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
        manifest["live"]["ended"] == true
    };
    assert!(wait_until(ended), "the input ends, and its last rankings wait for the sink");
    let mut published = first.stop().finals();
    assert!(minutes(&published, "default").len() < 9, "{published:?}");
    published.extend(run(&spec, &feed, 1, store(folder.path())).finish().finals());
    assert_to_the_end(&published, "resumed");
}
