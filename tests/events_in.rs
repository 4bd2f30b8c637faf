//! Events sent over HTTP: what was answered with 202 is counted once, through kills of the program and outages of the
//! broker; what was refused is not counted at all.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, path};
use common::servers::Kafka;
use common::web::{Answer, Web};
use common::{eventually, new_folder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: u64 = 3_600_000;

/// One window that holds all that a test sends, however long it takes: events are of the hour before.
const CONFIG: &str = r#"
[time]
idle_timeout = "1h"
refresh = "200ms"
[[board]]
name = "default"
windows = [ { name = "hour", size = "1h", slide = "1h" } ]
"#;

/// Counts by item.
type Counts = BTreeMap<String, u64>;

/// What became of the events that were sent.
#[derive(Default)]
struct Sent {
    accepted: Counts,
    /// Without an answer, or with one that nobody knows.
    unknown: Counts,
    refused: u64,
}

impl Sent {
    fn note(&mut self, items: &[String], answer: Option<&Answer>) {
        let counts = match answer {
            Some(answer) if answer.status == 202 => &mut self.accepted,
            Some(answer) if answer.body.contains("not known") => &mut self.unknown,
            Some(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.body);
                assert!(answer.headers.contains_key("retry-after"));
                self.refused += 1;
                return;
            }
            None => &mut self.unknown,
        };
        for item in items {
            *counts.entry(item.clone()).or_default() += 1;
        }
    }

    /// Waits until all that was accepted is counted, then holds the counts against what was sent.
    fn assert_counted(&self, web: &Web) {
        let accepted: u64 = self.accepted.values().sum();
        let counts = || {
            let (status, body) = web.get("/top-k");
            let ranking: Value =
                if status == 200 { serde_json::from_str(&body).unwrap() } else { Value::Null };
            let rows = ranking["items"].as_array().cloned().unwrap_or_default();
            let row =
                |row: &Value| (row["item_id"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap());
            rows.iter().map(row).collect::<Counts>()
        };
        eventually("all accepted events", || counts().values().sum::<u64>() >= accepted);
        // Nothing comes after it that was not sent.
        std::thread::sleep(Duration::from_secs(1));
        let counts = counts();
        for (item, count) in &counts {
            let least = self.accepted.get(item).copied().unwrap_or(0);
            let most = least + self.unknown.get(item).copied().unwrap_or(0);
            assert!((least..=most).contains(count), "{item}: {count} is not from {least} to {most}");
        }
        assert!(self.accepted.keys().all(|item| counts.contains_key(item)));
    }
}

/// A time of the last whole hour, in milliseconds since 1970.
fn last_hour() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    now / HOUR * HOUR - HOUR / 2
}

/// Some events as a body, with their items.
fn batch(random: &mut StdRng, time: u64) -> (String, Vec<String>) {
    let items: Vec<String> =
        (0..random.random_range(1..40)).map(|_| format!("i{}", random.random_range(0..60))).collect();
    let events: Vec<Value> = items.iter().map(|item| json!({"item_id": item, "timestamp": time})).collect();
    (json!(events).to_string(), items)
}

#[test]
fn a_202_survives_sigkill() {
    let seed = common::seed("events_in");
    let dir = new_folder("events-in");
    let config = dir.join("crest.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let start = || Web::of_new(["--config", path(&config), "--state", path(&dir.join("data")), "-w", "2"]);
    let (mut crest, mut web) = start();
    let address = Arc::new(Mutex::new(web.address().to_owned()));
    let (over, sent, time) =
        (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Sent::default())), last_hour());
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let (address, over, sent) = (address.clone(), over.clone(), sent.clone());
            std::thread::spawn(move || {
                let mut random = StdRng::seed_from_u64(seed.wrapping_add(sender));
                while !over.load(Ordering::Relaxed) {
                    let web = Web::at(&address.lock().unwrap().clone());
                    let (body, items) = batch(&mut random, time);
                    let answer = web.try_send("POST", "/events", &[], body.as_bytes());
                    sent.lock().unwrap().note(&items, answer.as_ref().ok());
                    if answer.is_err() {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            })
        })
        .collect();
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..6 {
        let before: u64 = sent.lock().unwrap().accepted.values().sum();
        eventually("more is accepted", || sent.lock().unwrap().accepted.values().sum::<u64>() > before + 200);
        std::thread::sleep(Duration::from_millis(random.random_range(0..500)));
        crest.kill();
        (crest, web) = start();
        web.address().clone_into(&mut address.lock().unwrap());
    }
    let before: u64 = sent.lock().unwrap().accepted.values().sum();
    eventually("more is accepted", || sent.lock().unwrap().accepted.values().sum::<u64>() > before);
    over.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let sent = sent.lock().unwrap();
    sent.assert_counted(&web);
    let unknown: u64 = sent.unknown.values().sum();
    eprintln!("{} accepted, {unknown} unknown", sent.accepted.values().sum::<u64>());
    // After a stop as it should be, too.
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(10)).success(), "{}", crest.describe());
    let (_crest, web) = start();
    sent.assert_counted(&web);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Keys and items of all messages of a topic.
fn messages(kafka: &Kafka, topic: &str, partitions: i32) -> Vec<(String, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.address())
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    let mut count = 0;
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        count += consumer.fetch_watermarks(topic, partition, Duration::from_secs(20)).unwrap().1 as usize;
    }
    consumer.assign(&all).unwrap();
    let mut messages = Vec::new();
    while messages.len() < count {
        let message = consumer.poll(Duration::from_secs(20)).expect("a message").unwrap();
        let payload: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        messages.push((key, payload["item_id"].as_str().unwrap().to_owned()));
    }
    messages
}

/// Whether the program has the thread that writes to Kafka: one that may only read must not begin it.
fn connects_to_write(crest: &Crest) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", crest.id())).unwrap();
    threads.flatten().any(|thread| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name == "kafka-log\n")
    })
}

#[test]
fn a_202_is_in_kafka_and_an_outage_is_a_503() {
    let (kafka, topic, partitions) = (Kafka::start(2), "events-in", 2);
    kafka.create_topic(topic, 2);
    let dir = new_folder("events-in-kafka");
    let config = dir.join("crest.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let (crest, web) = Web::of_new(["--config", path(&config), "--source", &kafka.url(topic)]);
    let (mut sent, time) = (Sent::default(), last_hour());
    let mut random = StdRng::seed_from_u64(7);
    let mut send = |sent: &mut Sent| {
        let (body, items) = batch(&mut random, time);
        let answer = web.send("POST", "/events", &[], body.as_bytes());
        sent.note(&items, Some(&answer));
        answer.status
    };
    assert_eq!(web.metric("crest_ingest_batches_total", ""), 0.0);
    assert!(!connects_to_write(&crest), "nobody has sent anything yet");
    for _ in 0..30 {
        assert_eq!(send(&mut sent), 202);
    }
    assert!(connects_to_write(&crest));
    // Nothing of a request with one bad event is taken, whatever stands before it.
    let wrong = format!(r#"[{{"item_id":"never","timestamp":{time}}},{{"item_id":"never"}}]"#);
    let answer = web.send("POST", "/events", &[], wrong.as_bytes());
    assert_eq!((answer.status, answer.body.contains("event 1: timestamp")), (422, true), "{}", answer.body);
    sent.assert_counted(&web);
    kafka.stop();
    eventually("a refusal", || send(&mut sent) == 503);
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        send(&mut sent);
    }
    assert!(sent.refused > 0);
    assert_eq!(web.get("/readyz").0, 503, "who cannot keep events is not ready for more");
    assert_eq!(web.get("/top-k").0, 200, "and goes on answering");
    kafka.start_again();
    eventually("the broker is written to again", || send(&mut sent) == 202);
    sent.assert_counted(&web);
    eventually("it is ready again", || web.get("/readyz").0 == 200);
    let messages = messages(&kafka, topic, partitions);
    assert!(messages.iter().all(|(key, item)| key == item), "each is keyed by its item");
    assert!(messages.iter().all(|(_, item)| item != "never"));
    drop(crest);
    std::fs::remove_dir_all(dir).unwrap();
}

const TWO_SHAPES: &str = r#"
    [time]
    idle_timeout = "1h"
    refresh = "200ms"
    [[board]]
    name = "products"
    weights = { purchase = 5 }
    filter = { event_type = ["view", "purchase"] }
    windows = [ { name = "hour", size = "1h", slide = "1h" } ]
    [[board]]
    name = "videos"
    filter = { event_type = "video_view" }
    item = "video_id"
    by = ["region", "device"]
    max_groups = 2
    windows = [ { name = "hour", size = "1h", slide = "1h" } ]
"#;

#[test]
fn both_shapes_of_events_are_ranked_by_their_boards_and_groups() {
    let dir = new_folder("shapes");
    let config = dir.join("crest.toml");
    std::fs::write(&config, TWO_SHAPES).unwrap();
    let (crest, web) = Web::of_new(["--config", path(&config), "--state", path(&dir.join("data"))]);
    let seconds = last_hour() / 1000;
    let text =
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let product = |item: &str, kind: &str| json!({"item_id": item, "event_type": kind, "timestamp": seconds});
    let video = |item: &str, region: &str| json!({"event": "video_view", "video_id": item, "region": region, "device": "tv", "timestamp": text});
    let mut events = vec![
        product("product:abc123", "view"),
        product("product:abc123", "view"),
        product("product:xyz", "purchase"),
        product("product:xyz", "other"),
        video("abc123", "IN"),
        video("abc123", "IN"),
        video("def456", "US"),
    ];
    // A flood of groups is counted in the whole, and told of.
    events.extend((0..50).map(|n| video("abc123", &format!("region-{n}"))));
    let lines: String = events.iter().map(|event| event.to_string() + "\n").collect();
    let answer = web.send("POST", "/events", &[("Content-Type", "application/x-ndjson")], lines.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body, r#"{"message":"Event queued for processing","accepted":57,"unmatched":1}"#);
    let rows = |path: &str| -> Vec<(String, u64)> {
        let ranking = web.json(path);
        let row = |row: &Value| (row["item_id"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap());
        ranking["items"].as_array().unwrap().iter().map(row).collect()
    };
    let row = |item: &str, count: u64| (item.to_owned(), count);
    for (ranking, total) in
        [("/top-k/videos", 53), ("/top-k/products", 7), ("/top-k/videos?region=IN&device=tv", 2)]
    {
        eventually(ranking, || web.get(ranking).1.contains(&format!("\"total\":{total},")));
    }
    assert_eq!(rows("/top-k/products"), [row("product:xyz", 5), row("product:abc123", 2)]);
    assert_eq!(rows("/top-k/videos"), [row("abc123", 52), row("def456", 1)]);
    assert_eq!(rows("/top-k/videos?region=IN&device=tv"), [row("abc123", 2)]);
    let groups = web.json("/boards/videos");
    // Two groups in a pane of each of the log's partitions at most.
    assert!(groups["groups_total"].as_u64().unwrap() <= 8, "{groups}");
    eventually("the refused groups", || web.metric("crest_groups_refused_total", "") >= 42.0);
    drop(crest);
    std::fs::remove_dir_all(dir).unwrap();
}
