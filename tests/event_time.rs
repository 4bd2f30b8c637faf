//! Event time through the real program and the real broker: whatever a partition does or fails to do, the windows
//! go on, and exactly the right events are counted.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::{Event, START, Traffic};
use common::new_folder;
use common::program::{Crest, parse_finals, path};
use common::recount::{Recount, assert_begins_with};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::web::Web;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
/// 366 days: none of the years in which tests are run has more.
const YEAR: i64 = 366 * 24 * HOUR;

fn rules() -> Rules {
    let windows = vec![
        Window { name: "seconds", size: SECOND, slide: SECOND },
        Window { name: "last_3s", size: 3 * SECOND, slide: SECOND },
    ];
    Rules {
        pane: SECOND,
        out_of_orderness: SECOND,
        max_future_skew: Some(60 * SECOND),
        boards: vec![Board { k: 10, windows, ..Board::default() }],
        ..Rules::default()
    }
}

/// An event every 10 ms from one time to another, in ms after the start of all.
fn traffic(from: i64, to: i64) -> Vec<Event> {
    (from..to).step_by(10).map(|ms| Event::new(&format!("item-{}", ms / 10 % 7), START + ms)).collect()
}

/// A job on a topic of its own.
struct Live {
    topic: &'static str,
    crest: Crest,
    web: Web,
    dir: PathBuf,
}

impl Live {
    /// A job on a new topic that holds these events, by partition.
    fn start(topic: &'static str, logs: &[Vec<Event>], options: &str) -> Live {
        let (kafka, dir) = (Kafka::shared(), new_folder(topic));
        kafka.create_topic(topic, logs.len() as u32);
        kafka.load(topic, logs);
        Live::read(topic, dir, options)
    }

    fn read(topic: &'static str, dir: PathBuf, options: &str) -> Live {
        let (source, config) = (Kafka::shared().url(topic), rules().write(&dir));
        let job = ["--config", path(&config), "--source", &source, "--start", "earliest"];
        let ends = ["--snapshots", "-", "--http", "127.0.0.1:0"];
        let mut crest = Crest::spawn(job.iter().chain(&ends).copied().chain(options.split(' ')));
        Live { topic, web: Web::of(&mut crest), crest, dir }
    }

    fn send(&self, logs: &[Vec<Event>]) {
        Kafka::shared().load(self.topic, logs);
    }

    /// Waits for the final snapshot of the second that begins so many ms after the start.
    fn wait_for_second(&mut self, from: i64) -> Value {
        let start = START + from;
        let mark = format!(r#""window":"seconds","group":{{}},"window_start":{start},"#);
        let line = self.crest.until(&format!("the second at {start}"), |crest| {
            crest.stdout().into_iter().find(|line| line.contains(&mark))
        });
        parse_finals(&[line]).remove(0)
    }

    fn assert_refused(&self, future: u64, late: u64) {
        assert_eq!((self.web.refused("future"), self.web.refused("late")), (future, late));
    }

    /// Stops the job and holds what it published against the recount.
    fn assert_publishes(mut self, expected: &[Value]) {
        self.crest.sigterm();
        assert!(self.crest.wait(Duration::from_secs(10)).success(), "{}", self.crest.describe());
        assert_begins_with(&parse_finals(&self.crest.stdout()), expected);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_partition_that_is_silent_from_the_start_holds_nothing_back() {
    let logs = [traffic(0, 4000), vec![], traffic(500, 4000)];
    let mut job = Live::start("silent-from-the-start", &logs, "--idle-timeout 1s -w 2");
    // Nothing came after: the last windows close since the clock goes on.
    job.wait_for_second(5000);
    job.assert_refused(0, 0);
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn a_partition_that_falls_silent_is_left_behind_and_may_come_back() {
    let before = [traffic(0, 4000), traffic(0, 1500)];
    let mut job = Live::start("falls-silent", &before, "--idle-timeout 1s -w 2");
    job.wait_for_second(4000);
    // It wakes with events of seconds that are final by now, with which nothing can be done.
    job.send(&[vec![], traffic(2000, 2500)]);
    common::eventually("they are late", || job.web.refused("late") == 50);
    // Then both go on, well ahead of the clock that has driven the windows meanwhile.
    let after = [traffic(120_000, 122_000), traffic(120_000, 122_000)];
    job.send(&after);
    job.wait_for_second(123_000);
    job.assert_refused(0, 50);
    let logs: Vec<_> = before.into_iter().zip(after).map(|(a, b)| [a, b].concat()).collect();
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn workers_without_a_partition_hold_nothing_back() {
    let logs = [traffic(0, 3000), traffic(0, 2500)];
    let mut job = Live::start("few-partitions", &logs, "--idle-timeout 1s -w 5");
    job.wait_for_second(4000);
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn an_event_a_year_ahead_is_refused_and_closes_nothing() {
    let ahead = Event { sent: Some(START + 1500), ..Event::new("tomorrow", START + YEAR) };
    let logs = [[traffic(0, 1500), vec![ahead], traffic(1500, 3000)].concat(), traffic(0, 3000)];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!((recount.future, recount.late), (1, 0));
    let mut job = Live::start("a-year-ahead", &logs, "--idle-timeout 1s -w 1");
    job.wait_for_second(4000);
    job.assert_refused(1, 0);
    job.assert_publishes(&recount.finals());
}

#[test]
fn an_event_an_hour_old_is_late_and_alone() {
    let old = Event::new("yesterday", START - HOUR);
    let logs = [[traffic(0, 1500), vec![old], traffic(1500, 3000)].concat(), traffic(0, 3000)];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!((recount.future, recount.late), (0, 1));
    let mut job = Live::start("an-hour-old", &logs, "--idle-timeout 1s -w 2");
    job.wait_for_second(4000);
    job.assert_refused(0, 1);
    job.assert_publishes(&recount.finals());
}

#[test]
fn when_all_traffic_stops_the_windows_slide_on_and_drain() {
    let logs = [traffic(0, 1500), traffic(300, 1900), traffic(100, 200)];
    let mut job = Live::start("all-stops", &logs, "--idle-timeout 1s -w 2");
    let drained = job.wait_for_second(5000);
    assert_eq!((&drained["total"], &drained["items"]), (&0.into(), &Value::Array(vec![])));
    let before: Vec<Value> = parse_finals(&job.crest.stdout());
    let empty = |window: &str| before.iter().filter(|s| s["window"] == window && s["total"] == 0).count();
    assert!(empty("seconds") >= 3 && empty("last_3s") >= 1, "each end is published, empty ones too");
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn an_old_topic_of_very_unequal_partitions_is_replayed_whole() {
    let part = |seed, events, from: i64, span: i64| {
        let disorder = 900;
        Traffic { seed, events, start: START + from, span, disorder, items: 50, ..Traffic::default() }.log()
    };
    // A minute of much, a second of little, a late beginner, and one that ends before the others begin.
    let logs = [
        part(1, 120_000, 0, 60_000),
        part(2, 50, 0, 1000),
        part(3, 5000, 30_000, 45_000),
        part(4, 20_000, -40_000, 30_000),
    ];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!(recount.late, 0);
    // The short partitions are idle long before the long one is read.
    let mut job = Live::start("unequal", &logs, "--idle-timeout 100ms -w 1");
    job.wait_for_second(75_000);
    job.assert_refused(0, 0);
    job.assert_publishes(&recount.finals());
    let mut again = Live::read("unequal", new_folder("unequal"), "--idle-timeout 100ms -w 4");
    again.wait_for_second(75_000);
    again.assert_publishes(&recount.finals());
}
