//! The main job on a real Kafka and a real Redis: the same final snapshots, byte for byte, by one worker, by
//! two and by two processes; equal to an exact recount where panes are exact; and the Redis sets equal them.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic};
use common::new_folder;
use common::program::{Cluster, Crest, parse_finals, path, without_computed_at};
use common::recount::{Recount, assert_same, judge};
use common::rules::{Board, Rules, Window};
use common::servers::{Kafka, Redis};
use serde_json::Value;
use std::time::Duration;

const SECOND: i64 = 1000;

/// Windows that end within a test: event time goes on at the pace of the clock once the topic is read.
fn rules(k: usize) -> Rules {
    let windows = vec![
        Window { name: "last_10s", size: 10 * SECOND, slide: SECOND },
        Window { name: "tens", size: 10 * SECOND, slide: 10 * SECOND },
    ];
    let board = Board { k, windows, ..Board::default() };
    Rules::live(vec![board])
}

fn arguments<'a>(config: &'a str, source: &'a str, redis: &'a str) -> Vec<&'a str> {
    let job = ["--config", config, "--source", source, "--start", "earliest", "--http", "off"];
    let ends = ["--idle-timeout", "1s", "--snapshots", "-", "--snapshots", redis];
    [job.as_slice(), &ends].concat()
}

/// Lets a live job run until it has published the final window that ends at `end`, and stops it; the finals up
/// to there without their times, and all of them.
fn finals_until(first: &mut Crest, end: i64) -> (String, Vec<Value>) {
    let mark =
        format!(r#""window":"tens","group":{{}},"window_start":{},"window_end":{end}"#, end - 10 * SECOND);
    first.until("the last window", |crest| {
        crest.stdout().iter().any(|line| line.contains(&mark)).then_some(())
    });
    first.sigterm();
    assert!(first.wait(Duration::from_secs(10)).success(), "{}", first.describe());
    let lines = first.stdout();
    let up_to = lines.iter().position(|line| line.contains(&mark)).unwrap();
    let text = lines[..=up_to].iter().map(|line| without_computed_at(line) + "\n").collect();
    (text, parse_finals(&lines))
}

/// The rows of a snapshot as Redis gives them.
fn rows(snapshot: &Value) -> Vec<(String, u64)> {
    let row = |item: &Value| (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap());
    snapshot["items"].as_array().unwrap().iter().map(row).collect()
}

/// Redis has the buckets of the tumbling window and, under the live key, the last final that was published.
fn assert_redis_equals(redis: &Redis, finals: &[Value]) {
    let of = |window: &str| finals.iter().filter(|s| s["window"] == window).cloned().collect::<Vec<_>>();
    let mut compared = 0;
    for snapshot in of("tens").iter().filter(|snapshot| snapshot["total"] != 0) {
        let start =
            chrono::DateTime::from_timestamp_millis(snapshot["window_start"].as_i64().unwrap()).unwrap();
        let key = format!("topk:{}", start.format("%Y-%m-%dT%H:%M:%S"));
        assert_eq!(redis.ranking(&key), rows(snapshot), "{key}");
        compared += 1;
    }
    assert!(compared > 2, "only {compared} buckets");
    for window in ["last_10s", "tens"] {
        let (key, last) = (format!("topk:{window}"), of(window).pop().unwrap());
        let meta = redis.meta(&key);
        assert_eq!(meta["window_end"], last["window_end"].to_string(), "{meta:?}");
        assert_eq!(meta["total"], last["total"].to_string(), "{meta:?}");
        assert_eq!(redis.ranking(&key), rows(&last));
    }
}

#[test]
fn one_worker_two_workers_and_two_processes_publish_the_same_bytes_and_the_exact_counts() {
    let kafka = Kafka::shared();
    let logs =
        Traffic { events: 40_000, span: 60 * SECOND, disorder: 3 * SECOND, ..Traffic::default() }.logs(4);
    kafka.create_topic("exact", 4);
    kafka.load("exact", &logs);
    let (rules, dir) = (rules(20), new_folder("kafka"));
    let recount = Recount::new(&rules, &logs);
    assert!(recount.late > 0, "the case has late events");
    let expected = recount.finals();
    let last = expected.iter().map(|s| s["window_end"].as_i64().unwrap()).max().unwrap();
    let (config, source) = (rules.write(&dir), kafka.url("exact"));

    let mut texts = Vec::new();
    for place in ["-w 1", "-w 2", "-n 2 -w 1"] {
        let redis = Redis::start();
        let url = redis.url();
        let job = arguments(path(&config), &source, &url);
        let (text, finals) = if place.starts_with("-n") {
            let mut cluster = Cluster::spawn(2, &[job, vec!["-w", "1"]].concat());
            let result = finals_until(&mut cluster.processes[0], last);
            let other = cluster.processes[1].wait(Duration::from_secs(10));
            assert!(other.success(), "the other process stops with it: {}", cluster.processes[1].describe());
            result
        } else {
            finals_until(&mut Crest::spawn([job, place.split(' ').collect()].concat()), last)
        };
        assert_same(&finals[..expected.len()], &expected);
        assert_redis_equals(&redis, &finals);
        texts.push((place, text));
    }
    for (place, text) in &texts[1..] {
        assert!(*text == texts[0].1, "{place} publishes other bytes than {}", texts[0].0);
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_million_distinct_items_are_ranked_within_their_bounds() {
    let kafka = Kafka::shared();
    let head = Traffic {
        events: 600_000,
        items: 100_000,
        span: 40 * SECOND,
        disorder: SECOND,
        ..Traffic::default()
    };
    let mut logs = head.logs(4);
    // Every one of a million items comes once, spread over the same time and all partitions.
    let rare = 1_000_000usize;
    for (partition, log) in logs.iter_mut().enumerate() {
        let mine = (partition..rare).step_by(4);
        let once =
            mine.map(|n| Event::new(&format!("rare-{n}"), head.start + n as i64 * head.span / rare as i64));
        log.extend(once);
        log.sort_by_key(|event| event.time);
    }
    kafka.create_topic("million", 4);
    kafka.load("million", &logs);
    let (rules, dir, redis) = (rules(100), new_folder("kafka"), Redis::start());
    let (config, source, url) = (rules.write(&dir), kafka.url("million"), redis.url());
    let recount = Recount::new(&rules, &logs);
    let expected = recount.finals();
    let last = expected.iter().map(|s| s["window_end"].as_i64().unwrap()).max().unwrap();
    let job = [arguments(path(&config), &source, &url), vec!["-w", "2"]].concat();
    let (_, finals) = finals_until(&mut Crest::spawn(job), last);
    let sketched = finals.iter().filter(|s| s["error_floor"] != 0).count();
    assert!(sketched > expected.len() / 2, "only {sketched} snapshots are sketched");
    for (snapshot, exact) in finals.iter().zip(&expected) {
        assert_eq!(snapshot["window_end"], exact["window_end"]);
        let end = snapshot["window_end"].as_i64().unwrap();
        let truth = recount.counts("default", snapshot["window"].as_str().unwrap(), end);
        assert_eq!(judge(snapshot, &truth, 100), 10.min(truth.len()), "recall at 10 until {end}");
    }
    assert_redis_equals(&redis, &finals);
    let _ = std::fs::remove_dir_all(dir);
}
