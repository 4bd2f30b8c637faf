//! Event time through the real program and the real broker: whatever a partition does or fails to do, the windows
//! go on, and exactly the right events are counted.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::{Event, START, Traffic, every_10_ms, now};
use common::program::{Crest, parse_finals, path};
use common::recount::{Recount, assert_begins_with};
use common::rules::{Rules, Window};
use common::servers::{Kafka, Produced};
use common::web::Web;
use common::{eventually, new_folder};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
/// 366 days: none of the years in which tests are run has more.
const YEAR: i64 = 366 * 24 * HOUR;

fn rules() -> Rules {
    let mut rules = Rules::of_seconds(SECOND);
    rules.boards[0].windows.push(Window { name: "last_3s", size: 3 * SECOND, slide: SECOND });
    rules
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
    let logs = [every_10_ms(0, 4000), vec![], every_10_ms(500, 4000)];
    let mut job = Live::start("silent-from-the-start", &logs, "--idle-timeout 1s -w 2");
    // Nothing came after: the last windows close since the clock goes on.
    job.wait_for_second(5000);
    job.assert_refused(0, 0);
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn a_partition_that_falls_silent_is_left_behind_and_may_come_back() {
    let before = [every_10_ms(0, 4000), every_10_ms(0, 1500)];
    let mut job = Live::start("falls-silent", &before, "--idle-timeout 1s -w 2");
    job.wait_for_second(4000);
    // It wakes with events of seconds that are final by now, with which nothing can be done.
    job.send(&[vec![], every_10_ms(2000, 2500)]);
    eventually("they are late", || job.web.refused("late") == 50);
    // Then both go on, well ahead of the clock that has driven the windows meanwhile.
    let after = [every_10_ms(120_000, 122_000), every_10_ms(120_000, 122_000)];
    job.send(&after);
    job.wait_for_second(123_000);
    job.assert_refused(0, 50);
    let logs: Vec<_> = before.into_iter().zip(after).map(|(a, b)| [a, b].concat()).collect();
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn workers_without_a_partition_hold_nothing_back() {
    let logs = [every_10_ms(0, 3000), every_10_ms(0, 2500)];
    let mut job = Live::start("few-partitions", &logs, "--idle-timeout 1s -w 5");
    job.wait_for_second(4000);
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn an_event_a_year_ahead_is_refused_and_closes_nothing() {
    let ahead = Event { sent: Some(START + 1500), ..Event::new("tomorrow", START + YEAR) };
    let logs = [[every_10_ms(0, 1500), vec![ahead], every_10_ms(1500, 3000)].concat(), every_10_ms(0, 3000)];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!((recount.future, recount.late), (1, 0));
    let mut job = Live::start("a-year-ahead", &logs, "--idle-timeout 1s -w 1");
    job.wait_for_second(4000);
    job.assert_refused(1, 0);
    job.assert_publishes(&recount.finals());
}

/// Sends to a partition each so many ms, until it is stopped.
struct Drip {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Drip {
    fn start(topic: &'static str, partition: i32, every: Duration, payloads: Vec<String>) -> Drip {
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread = std::thread::spawn(move || {
            let producer: BaseProducer = Kafka::shared().client().set("linger.ms", "0").create().unwrap();
            for (sent, payload) in (0..).zip(payloads.iter().cycle()) {
                if theirs.load(Ordering::Relaxed) {
                    producer.flush(Duration::from_secs(60)).unwrap();
                    return sent;
                }
                let record = BaseRecord::<(), _>::to(topic).partition(partition).payload(payload);
                producer.send(record.timestamp(START + 2000)).map_err(|(error, _)| error).unwrap();
                producer.poll(Duration::ZERO);
                std::thread::sleep(every);
            }
            unreachable!()
        });
        Drip { over, thread }
    }

    /// How many it has sent.
    fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn partitions_of_records_that_count_for_nothing_hold_nothing_back() {
    let topic = "nothing-counts";
    let late = Event::new("late", START - HOUR).json();
    let junk = ["", "{", r#"{"timestamp":1711664400}"#, r#"{"item_id":"a"}"#].map(str::to_owned);
    let ahead = Event::new("ahead", START + YEAR).json();
    // One that never had an event, one that had, and one that is flooded.
    let logs = [every_10_ms(0, 4000), vec![], every_10_ms(0, 10), vec![]];
    let mut job = Live::start(topic, &logs, "--idle-timeout 1s -w 2");
    let pace = Duration::from_millis(300);
    let drips = [
        Drip::start(topic, 1, pace, [&junk[..], std::slice::from_ref(&ahead)].concat()),
        Drip::start(topic, 2, pace, vec![late, ahead]),
        Drip::start(topic, 3, Duration::from_millis(1), junk.to_vec()),
    ];
    job.wait_for_second(5000);
    let sent: u64 = drips.into_iter().map(Drip::stop).sum();
    let refused = |job: &Live| job.web.metric("crest_refused_total", "") as u64;
    eventually("all is refused", || refused(&job) == sent);
    job.assert_publishes(&Recount::new(&rules(), &logs).finals());
}

#[test]
fn a_partition_whose_time_stands_still_is_named() {
    let topic = "stands-still";
    let logs = [every_10_ms(0, 4000), every_10_ms(0, 1000)];
    let mut job = Live::start(topic, &logs, "--idle-timeout 1s -w 2");
    // Its events count, and all say the same time.
    let same = vec![Event::new("same", START + 1000).json()];
    let drip = Drip::start(topic, 1, Duration::from_millis(100), same);
    let warned = job.crest.until_logged("has held the windows back for");
    assert!(warned.contains("WARN") && warned.contains("stands-still/1"), "{warned}");
    eventually("the status names it", || job.web.json("/status")["held_by"]["partition"] == "stands-still/1");
    let held = job.web.json("/status")["held_by"].take();
    assert_eq!(held["watermark"], START);
    assert!(job.web.metric("crest_partition_holding_seconds", "stands-still/1") > 10.0);
    drip.stop();
    job.wait_for_second(4000);
    eventually("nothing is held", || job.web.json("/status")["held_by"] == Value::Null);
    let warnings = job.crest.stderr().iter().filter(|line| line.contains("held the windows back")).count();
    assert_eq!(warnings, 1, "{}", job.crest.describe());
    let _ = std::fs::remove_dir_all(&job.dir);
}

/// Both move, and the windows go by the one that is five minutes behind.
#[test]
fn a_partition_that_stays_far_behind_the_others_is_named() {
    let topic = "stays-behind";
    let behind = -300 * SECOND;
    let logs = [every_10_ms(0, 4000), every_10_ms(behind, behind + 1000)];
    let mut job = Live::start(topic, &logs, "--idle-timeout 5s -w 2");
    let old = (10..1000).map(|tenth| Event::new("old", START + behind + tenth * 100).json());
    let drip = Drip::start(topic, 1, Duration::from_millis(100), old.collect());
    let warned = job.crest.until_logged("has held the windows back for");
    let why = "its events are much older than those of another partition";
    assert!(warned.contains("stays-behind/1") && warned.contains(why), "{warned}");
    eventually("the status names it", || job.web.json("/status")["held_by"]["partition"] == "stays-behind/1");
    let status = job.web.json("/status");
    assert_eq!(status["held_by"]["why"], "behind", "{status}");
    let watermark = |of: &Value| of["watermark"].as_i64().unwrap();
    assert!(watermark(&status) - watermark(&status["held_by"]) > 200 * SECOND, "{status}");
    drip.stop();
    job.wait_for_second(4000);
    eventually("nothing is held", || job.web.json("/status")["held_by"] == Value::Null);
    let _ = std::fs::remove_dir_all(&job.dir);
}

#[test]
fn a_record_without_a_time_stamp_is_no_event_of_the_future() {
    let topic = "no-time-stamp";
    let kafka = Kafka::shared();
    kafka.create_topic(topic, 1);
    let records = |log: &[Event], timestamp: Option<i64>| {
        let payloads: Vec<_> = log.iter().map(|event| event.json().into_bytes()).collect();
        let record = |payload: Vec<u8>| Produced { partition: 0, timestamp, payload: payload.into() };
        kafka.produce(topic, payloads.into_iter().map(record));
    };
    let log = every_10_ms(0, 3000);
    records(&log, Some(-1));
    records(&[Event::new("ahead", START + YEAR)], Some(START + 3000));
    let mut job = Live::read(topic, new_folder(topic), "--idle-timeout 1s -w 1");
    job.wait_for_second(3000);
    job.assert_refused(1, 0);
    let warned = job.crest.until_logged("future");
    for told in [
        "2025-03-29T22:20:00.000Z",
        "max_future_skew (1m)",
        "producer's time stamp, 2024-03-28T22:20:03.000Z",
    ] {
        assert!(warned.contains(told), "no {told} in {warned}");
    }
    job.assert_publishes(&Recount::new(&rules(), &[log]).finals());
}

#[test]
fn an_event_ahead_of_its_brokers_time_makes_nobody_late() {
    let ahead = |ms| Event { sent: Some(START + ms), ..Event::new("ahead", START + ms + 59_000) };
    let logs = [
        [every_10_ms(0, 1500), vec![ahead(1500)], every_10_ms(1500, 3000)].concat(),
        [vec![ahead(0)], every_10_ms(0, 2000), vec![ahead(2000)], every_10_ms(2000, 3000)].concat(),
    ];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!((recount.future, recount.late), (0, 0));
    let mut job = Live::start("a-minute-ahead", &logs, "--idle-timeout 1s -w 2");
    job.wait_for_second(4000);
    job.assert_refused(0, 0);
    let by_then: Vec<Value> =
        recount.finals().into_iter().filter(|s| s["window_end"].as_i64().unwrap() <= START + 4000).collect();
    job.assert_publishes(&by_then);
}

/// Sends 3,000 events of the present, and between them some that are 59 s ahead, by `send`; the job whose status it is
/// must count them all, and not go on to the time of those.
fn assert_one_sender_ahead_harms_nobody(web: &Web, mut send: impl FnMut(Vec<Value>)) {
    let event = |item: &str, time: i64| json!({ "item_id": item, "timestamp": time });
    for _ in 0..30 {
        send(vec![event("ahead", now() + 59_000), event("ahead", now() + 59_000)]);
        send((0..100).map(|n| event(&format!("item-{}", n % 7), now())).collect());
        std::thread::sleep(Duration::from_millis(20));
    }
    eventually("all is counted", || {
        let status = web.json("/status");
        assert_eq!((&status["late"], &status["refused"]), (&0.into(), &0.into()), "{status}");
        assert!(status["watermark"].as_i64().is_none_or(|at| at <= now()), "{status}");
        status["events"] == 3060
    });
}

#[test]
fn one_sender_ahead_harms_nobody_by_the_clock_of_producer_or_broker() {
    for (topic, stamp) in [("ahead-created", "CreateTime"), ("ahead-appended", "LogAppendTime")] {
        let kafka = Kafka::shared();
        kafka.create_topic_with(topic, 2, &[("message.timestamp.type", stamp)]);
        let producer: BaseProducer = kafka.client().set("linger.ms", "0").create().unwrap();
        let job = Live::read(topic, new_folder(topic), "--out-of-orderness 10s -w 2");
        assert_one_sender_ahead_harms_nobody(&job.web, |events| {
            for (number, event) in (0..).zip(events) {
                let payload = event.to_string();
                let record = BaseRecord::<(), _>::to(topic).partition(number % 2).payload(&payload);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
            producer.flush(Duration::from_secs(60)).unwrap();
        });
        let _ = std::fs::remove_dir_all(&job.dir);
    }
}

#[test]
fn one_sender_ahead_harms_nobody_over_http() {
    let dir = new_folder("ahead-posted");
    let source = format!("log:{}?partitions=3", path(&dir.join("log")));
    let state = dir.join("state");
    let job = ["--source", &source, "--state", path(&state), "-w", "2"];
    let (_crest, web) = Web::of_new(job);
    assert_one_sender_ahead_harms_nobody(&web, |events| {
        let answer = web.send("POST", "/events", &[], json!(events).to_string().as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.body);
    });
    // What is provisional is of the present, too.
    eventually("what is popular now is shown", || {
        let (status, body) = web.get("/top-k?window=last_1m");
        let ranking: Value = serde_json::from_str(&body).unwrap();
        // The first rows are of the honest senders, by the same count.
        status == 200 && ranking["total"].as_i64() >= Some(3000) && ranking["items"][0]["item_id"] == "item-1"
    });
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn an_event_an_hour_old_is_late_and_alone() {
    let old = Event::new("yesterday", START - HOUR);
    let logs = [[every_10_ms(0, 1500), vec![old], every_10_ms(1500, 3000)].concat(), every_10_ms(0, 3000)];
    let recount = Recount::new(&rules(), &logs);
    assert_eq!((recount.future, recount.late), (0, 1));
    let mut job = Live::start("an-hour-old", &logs, "--idle-timeout 1s -w 2");
    job.wait_for_second(4000);
    job.assert_refused(0, 1);
    job.assert_publishes(&recount.finals());
}

#[test]
fn when_all_traffic_stops_the_windows_slide_on_and_drain() {
    let logs = [every_10_ms(0, 1500), every_10_ms(300, 1900), every_10_ms(100, 200)];
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
