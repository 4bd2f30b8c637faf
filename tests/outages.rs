//! Outages of the real servers under a running job: the broker or Redis is stopped or killed and started again
//! while events go on coming. The job goes on by itself and says so, and no event is lost or doubled.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::Event;
use common::program::{Crest, parse_finals, path};
use common::recount::{Recount, assert_begins_with};
use common::rules::{Board, Rules, Window};
use common::sender::Sender;
use common::servers::{Kafka, Redis};
use common::web::Web;
use common::{eventually, new_folder};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use std::time::Duration;

const SECOND: i64 = 1000;
const PARTITIONS: usize = 2;

/// How a server ends, and by what.
type End<Server> = (&'static str, fn(&Server));

fn rules() -> Rules {
    let windows = vec![
        Window { name: "fives", size: 5 * SECOND, slide: 5 * SECOND },
        Window { name: "last_5s", size: 5 * SECOND, slide: SECOND },
    ];
    Rules::live(vec![Board { k: 20, windows, ..Board::default() }])
}

/// How many records the broker holds.
fn held(kafka: &Kafka, topic: &str) -> usize {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.address()).create().unwrap();
    let count = |partition| {
        let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(20)).unwrap();
        (high - low) as usize
    };
    (0..PARTITIONS as i32).map(count).sum()
}

fn logged(crest: &Crest, text: &str) -> usize {
    crest.stderr().iter().filter(|line| line.contains(text)).count()
}

/// Waits until so many more records were read.
fn read_on(web: &Web, more: f64) {
    let before = web.metric("crest_records_total", "");
    eventually("more records are read", || web.metric("crest_records_total", "") >= before + more);
}

/// Waits for the last window with an event, stops the job, and holds every final snapshot against the recount.
fn assert_nothing_lost_or_doubled(mut crest: Crest, logs: &[Vec<Event>]) -> Vec<Value> {
    let recount = Recount::new(&rules(), logs);
    assert_eq!(recount.late, 0, "the sender's disorder is within bounds");
    let expected = recount.finals();
    let last = expected.iter().map(|snapshot| snapshot["window_end"].as_i64().unwrap()).max().unwrap();
    let mark = format!(r#""window":"fives","group":{{}},"window_start":{},"#, last - 5 * SECOND);
    crest.until("the last window", |crest| crest.stdout().iter().any(|l| l.contains(&mark)).then_some(()));
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(10)).success(), "{}", crest.describe());
    let finals = parse_finals(&crest.stdout());
    assert_begins_with(&finals, &expected);
    finals
}

#[test]
fn a_broker_that_stops_or_dies_and_comes_back_loses_and_doubles_nothing() {
    let (kafka, topic) = (Kafka::start(PARTITIONS as u32), "outages");
    kafka.create_topic(topic, PARTITIONS as u32);
    let (dir, source) = (new_folder("outages"), kafka.url(topic));
    let config = rules().write(&dir);
    let job = ["-w", "2", "--config", path(&config), "--source", &source, "--start", "earliest"];
    let ends = ["--idle-timeout", "3s", "--snapshots", "-", "--http", "127.0.0.1:0"];
    let mut crest = Crest::spawn(job.iter().chain(&ends));
    let (web, sender) = (Web::of(&mut crest), Sender::start(&kafka, topic, PARTITIONS));
    read_on(&web, 300.0);
    let mut retries = 0.0;
    let ways: [End<Kafka>; 2] = [("SIGTERM", Kafka::stop), ("SIGKILL", Kafka::kill)];
    for (round, (how, end)) in ways.into_iter().enumerate() {
        end(&kafka);
        eventually(how, || web.metric("crest_source_disconnected", "") > 0.0);
        crest.until(how, |crest| (logged(crest, "Kafka: the connection is lost") > round).then_some(()));
        assert_eq!(web.get("/healthz").0, 200, "a job that waits for its broker is alive");
        kafka.start_again();
        crest.until(how, |crest| (logged(crest, "Kafka: the connection is back") > round).then_some(()));
        eventually("no worker is disconnected", || web.metric("crest_source_disconnected", "") == 0.0);
        let counted = web.metric("crest_source_retries_total", "");
        assert!(counted > retries, "{how}: {counted} retries after {retries}");
        retries = counted;
        read_on(&web, 300.0);
    }
    let logs = sender.finish();
    let sent: usize = logs.iter().map(Vec::len).sum();
    assert_eq!(held(&kafka, topic), sent, "the broker holds each event once");
    eventually("all is read", || web.metric("crest_records_total", "") as usize >= sent);
    for text in ["Kafka: the connection is lost", "Kafka: the connection is back"] {
        assert_eq!(logged(&crest, text), 2, "one line each: {}", crest.describe());
    }
    assert_nothing_lost_or_doubled(crest, &logs);
    let _ = std::fs::remove_dir_all(dir);
}

/// What Redis and the API say of a window, when both have the same snapshot.
fn same_in_both(redis: &Redis, web: &Web, window: &str) -> bool {
    let (status, body) = web.get(&format!("/top-k?window={window}"));
    let snapshot: Value = serde_json::from_str(&body).unwrap();
    let (key, meta) = (format!("topk:{window}"), redis.meta(&format!("topk:{window}")));
    let told = |name: &str| meta.get(name).and_then(|text| text.parse().ok());
    let found = |name: &str| snapshot[name].as_i64();
    if status != 200 || told("computed_at") != found("computed_at") {
        return false;
    }
    let rows = redis.ranking(&key);
    // Between the two questions a newer one may have come.
    redis.meta(&key) != meta || {
        assert_eq!(rows, ranked(&snapshot), "{window}: {snapshot}");
        assert_eq!(told("window_end"), found("window_end"));
        true
    }
}

fn ranked(snapshot: &Value) -> Vec<(String, u64)> {
    let row = |item: &Value| (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap());
    snapshot["items"].as_array().unwrap().iter().map(row).collect()
}

/// The name of a tumbling window's bucket.
fn bucket(snapshot: &Value) -> String {
    let start = chrono::DateTime::from_timestamp_millis(snapshot["window_start"].as_i64().unwrap()).unwrap();
    format!("topk:{}", start.format("%Y-%m-%dT%H:%M:%S"))
}

#[test]
fn a_redis_that_stops_or_dies_and_comes_back_empty_has_the_newest_rankings_again() {
    let (kafka, redis, topic) = (Kafka::shared(), Redis::start(), "redis-outages");
    kafka.create_topic(topic, PARTITIONS as u32);
    let (dir, source, url) = (new_folder("outages"), kafka.url(topic), redis.url());
    let config = rules().write(&dir);
    let job = ["-w", "2", "--config", path(&config), "--source", &source, "--start", "earliest"];
    let ends = ["--idle-timeout", "1s", "--refresh", "250ms", "--http", "127.0.0.1:0"];
    let sinks = ["--snapshots", "-", "--snapshots", &url];
    let mut crest = Crest::spawn(job.iter().chain(&ends).chain(&sinks));
    let (web, sender) = (Web::of(&mut crest), Sender::start(kafka, topic, PARTITIONS));
    eventually("a ranking in Redis", || !redis.ranking("topk:last_5s").is_empty());
    let mut ended_while_down = Vec::new();
    let ways: [End<Redis>; 2] = [("SIGTERM", Redis::stop), ("SIGKILL", Redis::kill)];
    for (round, (how, end)) in ways.into_iter().enumerate() {
        end(&redis);
        eventually(how, || web.metric("crest_redis_disconnected", "") == 1.0);
        let finals = crest.stdout().len();
        let failures = web.metric("crest_redis_failures_total", "");
        read_on(&web, 500.0);
        let ends = |crest: &Crest| {
            let all = crest.stdout();
            all[finals..]
                .iter()
                .filter(|line| line.contains(r#""window":"fives""#))
                .cloned()
                .collect::<Vec<_>>()
        };
        ended_while_down =
            crest.until("a bucket while Redis is away", |c| Some(ends(c)).filter(|new| !new.is_empty()));
        eventually("it is tried again", || web.metric("crest_redis_failures_total", "") > failures);
        let waiting = web.metric("crest_redis_pending", "");
        assert!((1.0..20.0).contains(&waiting), "{waiting} rankings wait: two windows and a few buckets");
        redis.start_again();
        crest.until(how, |crest| (logged(crest, "Redis: snapshots are written again") > round).then_some(()));
        assert_eq!(logged(&crest, "Redis: snapshots cannot be written"), round + 1, "{}", crest.describe());
        assert_eq!(web.metric("crest_redis_disconnected", ""), 0.0);
        eventually("Redis has what the API has", || same_in_both(&redis, &web, "last_5s"));
    }
    assert_eq!(web.metric("crest_redis_dropped_total", ""), 0.0);
    let logs = sender.finish();
    let finals = assert_nothing_lost_or_doubled(crest, &logs);
    for window in ["fives", "last_5s"] {
        let last = finals.iter().rev().find(|snapshot| snapshot["window"] == window).unwrap();
        assert_eq!(redis.meta(&format!("topk:{window}"))["window_end"], last["window_end"].to_string());
        assert_eq!(redis.ranking(&format!("topk:{window}")), ranked(last));
    }
    for snapshot in parse_finals(&ended_while_down) {
        assert_eq!(redis.ranking(&bucket(&snapshot)), ranked(&snapshot), "the buckets wait for Redis");
    }
    let _ = std::fs::remove_dir_all(dir);
}
