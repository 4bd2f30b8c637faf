//! Event time on live streams: whatever a partition does or fails to do, the windows go on, and exactly the
//! right events are counted.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::source::BrokerTime;
use crest_formats::refusal::Refusal;
use crest_state::spec::Engine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Event, Feed, Running, T0, live_spec, recount};

fn at(ms: i64) -> Event {
    Event::new(T0 + ms, &format!("item:{}", ms % 7))
}

/// An event every 10 ms of event time.
fn traffic(feed: &Feed, partition: usize, from_ms: i64, to_ms: i64) -> u64 {
    let events = (from_ms..to_ms).step_by(10);
    let count = events.clone().count() as u64;
    events.for_each(|ms| feed.push(partition, &at(ms)));
    count
}

#[test]
fn a_partition_that_is_silent_from_the_start_holds_nothing_back() {
    for workers in [1, 2] {
        let feed = Feed::live(2);
        let sent = traffic(&feed, 0, 0, 6000);
        traffic(&feed, 0, 6000, 6300);
        let job = Running::start(&live_spec(), &feed, workers);
        job.wait_for_second(6);
        assert_eq!(job.stop().counted(), sent);
    }
}

#[test]
fn a_partition_that_falls_silent_is_left_behind_and_may_come_back() {
    let feed = Feed::live(2);
    let mut sent = traffic(&feed, 0, 0, 5000) + traffic(&feed, 1, 0, 1500);
    let job = Running::start(&live_spec(), &feed, 2);
    job.wait_for_second(4);
    // It wakes with events of panes that are closed by now, and with some of open ones.
    traffic(&feed, 1, 2000, 2500);
    sent += traffic(&feed, 1, 5000, 7000) + traffic(&feed, 0, 5000, 7000);
    job.wait_for_second(6);
    job.assert_refused(Refusal::Late, 50);
    traffic(&feed, 0, 7000, 7200);
    traffic(&feed, 1, 7000, 7200);
    job.wait_for_second(7);
    assert_eq!(job.stop().counted(), sent);
}

/// What it is, its payload, and when the broker says that it came.
type Junk = (&'static str, Option<Vec<u8>>, Option<BrokerTime>);

/// A record that counts for nothing, for each reason to refuse one, and a tombstone.
fn junk() -> Vec<Junk> {
    let stamp = Some(BrokerTime::Appended(T0 + 2000));
    let text = |name, text: &str| (name, Some(text.as_bytes().to_vec()), stamp);
    let time = T0 + 2000;
    let long = "x".repeat(2000);
    vec![
        ("tombstone", None, stamp),
        text("empty", ""),
        text("malformed", "{"),
        ("invalid_utf8", Some(b"\xff".to_vec()), stamp),
        text("item", &format!(r#"{{"timestamp":{time}}}"#)),
        text("item_too_long", &format!(r#"{{"item_id":"{long}","timestamp":{time}}}"#)),
        text("timestamp", r#"{"item_id":"a"}"#),
        text("weight", &format!(r#"{{"item_id":"a","timestamp":{time},"weight":0}}"#)),
        ("future", Some(at(366 * 86_400_000).json()), stamp),
        ("late", Some(at(-3_600_000).json()), stamp),
    ]
}

#[test]
fn records_that_count_for_nothing_keep_no_partition_active() {
    for engine in [Engine::Sketch, Engine::Exact] {
        // One partition for each reason, which never had an event or, where it must be late, has had one.
        let junk = junk();
        let feed = Feed::live(1 + junk.len());
        traffic(&feed, junk.len(), 0, 10);
        let mut spec = live_spec();
        spec.boards[0].engine = engine;
        let sent = 1 + traffic(&feed, 0, 0, 4000);
        traffic(&feed, 0, 4000, 4300);
        let job = Running::start(&spec, &feed, 2);
        let over = Arc::new(AtomicBool::new(false));
        let sender = {
            let (feed, over) = (feed.clone(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    for (partition, (_, payload, stamp)) in (1..).zip(&junk) {
                        feed.push_raw(partition, payload.clone(), *stamp);
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            })
        };
        job.wait_for_second(4);
        over.store(true, Ordering::Relaxed);
        sender.join().unwrap();
        assert_eq!(job.stop().counted(), sent, "{engine:?}");
    }
}

#[test]
fn tombstones_are_counted_apart_from_what_is_refused() {
    let feed = Feed::live(1);
    let stamp = Some(BrokerTime::Appended(T0 + 500));
    (0..3).for_each(|_| feed.push_raw(0, None, stamp));
    feed.push_raw(0, Vec::new(), stamp);
    let sent = traffic(&feed, 0, 0, 4000);
    let job = Running::start(&live_spec(), &feed, 1);
    job.wait_for_second(2);
    job.assert_tombstones(3);
    job.assert_refused(Refusal::Malformed, 1);
    assert!(sent > 0);
    job.stop();
}

#[test]
fn a_flood_of_records_that_count_for_nothing_holds_nothing_back() {
    let feed = Feed::live(3);
    feed.flood(1, b"");
    feed.flood(2, b"{");
    let sent = traffic(&feed, 0, 0, 4000);
    traffic(&feed, 0, 4000, 4300);
    let job = Running::start(&live_spec(), &feed, 1);
    job.wait_for_second(4);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn a_backlog_of_records_that_count_for_nothing_is_read_before_time_passes_it() {
    let feed = Feed::live(2).paced(Duration::from_millis(2));
    (0..1000).for_each(|_| feed.push_raw(1, Vec::new(), None));
    let sent = traffic(&feed, 1, 0, 1000) + traffic(&feed, 0, 0, 1000);
    traffic(&feed, 0, 1000, 1300);
    let mut spec = live_spec();
    spec.time.idle_timeout = Duration::from_millis(50);
    let job = Running::start(&spec, &feed, 1);
    job.wait_for_second(1);
    job.assert_refused(Refusal::Late, 0);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn a_worker_reads_all_its_partitions_however_many_are_silent() {
    let feed = Feed::live(40);
    let sent = traffic(&feed, 39, 0, 2000);
    traffic(&feed, 39, 2000, 2300);
    let job = Running::start(&live_spec(), &feed, 1);
    job.wait_for_second(2);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn an_event_ahead_of_its_brokers_time_makes_nobody_late() {
    for workers in [1, 2] {
        let feed = Feed::live(2);
        let honest = |from: i64, to: i64| traffic(&feed, 0, from, to) + traffic(&feed, 1, from, to);
        let mut sent = honest(0, 500);
        for partition in 0..2 {
            feed.push_raw(partition, at(59_500).json(), Some(BrokerTime::Appended(T0 + 500)));
        }
        sent += honest(500, 3000);
        honest(3000, 3300);
        let job = Running::start(&live_spec(), &feed, workers);
        job.wait_for_second(3);
        job.assert_refused(Refusal::Late, 0);
        job.assert_refused(Refusal::Future, 0);
        assert_eq!(job.kept.counted(), sent, "up to the third second");
        // The silent stream goes on from the broker's time, not from the one that is ahead.
        let ahead = job.kept.all().into_iter().filter(|s| s.is_final && s.window_end > T0 + 60_000);
        assert_eq!(ahead.count(), 0);
        job.stop();
    }
}

#[test]
fn workers_without_a_partition_hold_nothing_back() {
    let feed = Feed::live(1);
    let sent = traffic(&feed, 0, 0, 4000);
    let job = Running::start(&live_spec(), &feed, 3);
    traffic(&feed, 0, 4000, 4300);
    job.wait_for_second(4);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn an_event_a_year_ahead_is_refused_and_closes_nothing() {
    let feed = Feed::live(1);
    let mut sent = traffic(&feed, 0, 0, 1500);
    let year = 366 * 86_400_000;
    feed.push_raw(0, at(year).json(), Some(BrokerTime::Appended(T0 + 1500)));
    sent += traffic(&feed, 0, 1500, 3000);
    traffic(&feed, 0, 3000, 3300);
    let job = Running::start(&live_spec(), &feed, 1);
    job.wait_for_second(3);
    job.assert_refused(Refusal::Future, 1);
    job.assert_refused(Refusal::Late, 0);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn an_event_an_hour_old_is_late_and_alone() {
    let feed = Feed::live(2);
    let mut sent = traffic(&feed, 0, 0, 1500) + traffic(&feed, 1, 0, 3000);
    feed.push(0, &at(-3_600_000));
    sent += traffic(&feed, 0, 1500, 3000);
    traffic(&feed, 0, 3000, 3300);
    traffic(&feed, 1, 3000, 3300);
    let job = Running::start(&live_spec(), &feed, 1);
    job.wait_for_second(3);
    job.assert_refused(Refusal::Late, 1);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn an_hour_old_first_event_opens_the_windows_early_and_loses_nothing() {
    let feed = Feed::live(1);
    feed.push(0, &at(-3_600_000));
    let sent = 1 + traffic(&feed, 0, 0, 2000);
    traffic(&feed, 0, 2000, 2300);
    let job = Running::start(&live_spec(), &feed, 1);
    job.wait_for_second(2);
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn when_all_traffic_stops_the_windows_slide_on_and_drain() {
    let feed = Feed::live(3);
    let sent = traffic(&feed, 0, 0, 1500) + traffic(&feed, 1, 100, 1900);
    let job = Running::start(&live_spec(), &feed, 2);
    let drained = job.wait_for_second(4);
    assert_eq!((drained.total, drained.items.len()), (0, 0));
    assert_eq!(job.stop().counted(), sent);
}

#[test]
fn an_old_topic_replayed_whole_loses_nothing_to_idleness() {
    // One partition ends a minute before the others, and by far; it is idle long before they are read.
    let feed = Feed::live(3);
    let logs = [(0, 60_000), (0, 1000), (30_000, 60_000)];
    let mut partitions = Vec::new();
    for (partition, (from, to)) in logs.into_iter().enumerate() {
        let events: Vec<Event> = (from..to).step_by(10).map(at).collect();
        events.iter().for_each(|event| feed.push(partition, event));
        partitions.push(events);
    }
    let spec = live_spec();
    let expected = recount::snapshots(&spec, &partitions);
    for workers in [1, 2] {
        let again = Feed::live(3);
        for (partition, events) in partitions.iter().enumerate() {
            events.iter().for_each(|event| again.push(partition, event));
        }
        let job = Running::start(&spec, &again, workers);
        job.wait_for_second(60);
        let finals = job.stop().finals();
        assert_eq!(finals[..expected.len()], expected);
    }
}

#[test]
fn a_stop_publishes_no_half_filled_window_as_final() {
    let feed = Feed::live(2);
    traffic(&feed, 0, 0, 2500);
    traffic(&feed, 1, 0, 2500);
    let job = Running::start(&live_spec(), &feed, 2);
    job.wait_for_second(2);
    let kept = job.stop();
    assert_eq!(kept.finals().len(), 2);
    assert_eq!(kept.counted(), 400);
}

#[test]
fn what_is_open_is_shown_provisionally_before_it_is_final() {
    let feed = Feed::live(2);
    traffic(&feed, 0, 0, 250);
    let mut spec = live_spec();
    spec.time.idle_timeout = Duration::from_secs(60);
    let job = Running::start(&spec, &feed, 2);
    let first = job.kept.wait_for("a provisional snapshot", |s| !s.is_final && s.total == 25);
    assert_eq!((first.window_start, first.window_end, first.error), (T0, T0 + 1000, 0));
    traffic(&feed, 1, 500, 600);
    let next = job.kept.wait_for("the next", |s| !s.is_final && s.total == 35);
    assert_eq!(next.window_end, T0 + 1000);
    assert_eq!(job.stop().finals(), vec![], "nothing is closed: neither partition is past its disorder");
}
