//! Where panes are exact, what the program publishes is the exact recount of its input, byte for byte the same
//! for any number of workers and processes, from files and from Kafka, on standard output and in Redis.

mod common;

use common::events::{Event, Traffic, write_files};
use common::new_folder;
use common::program::{Cluster, Crest, parse_finals, path};
use common::recount::{Recount, assert_same};
use common::rules::{Board, Rules, Window};
use common::servers::{Kafka, Redis};
use serde_json::Value;

/// Boards with all that a board can have, and disorder that makes some events late.
fn several_boards() -> (Rules, Vec<Vec<Event>>) {
    let window = |name, size: i64, slide: i64| Window { name, size: size * 1000, slide: slide * 1000 };
    let regions = Board {
        name: "regions",
        filter: vec![("event_type", vec!["view", "purchase"])],
        by: vec!["region"],
        k: 7,
        weights: vec![("purchase", 5)],
        windows: vec![window("last_30s", 30, 10), window("minutes", 60, 60)],
        ..Board::default()
    };
    let whole = Board { name: "whole", windows: vec![window("last_2m", 120, 20)], ..Board::default() };
    let traffic = Traffic {
        disorder: 30_000,
        heaviest: 3,
        types: vec!["view", "purchase", "hover"],
        regions: vec!["IN", "US", "a,b=c%", "ZZ"],
        ..Traffic::default()
    };
    let mut logs = traffic.logs(4);
    // A group that comes late and goes, and an event that lacks its dimension.
    let start = traffic.start;
    logs[1].push(
        Event { event_type: Some("view".into()), ..Event::new("rare", start + 299_000) }.with("region", "QQ"),
    );
    logs[2].push(Event { event_type: Some("view".into()), ..Event::new("nowhere", start + 299_500) });
    (Rules { boards: vec![regions, whole], ..Rules::default() }, logs)
}

fn assert_text(text: &str, expected: &[Value]) {
    // Put a time of computing back, which the parser insists on.
    let lines: Vec<_> = text.lines().map(|line| line.replacen('{', r#"{"computed_at":0,"#, 1)).collect();
    assert_same(&parse_finals(&lines), expected);
}

#[test]
fn files_are_counted_exactly_by_any_number_of_workers() {
    let dir = new_folder("exact");
    let (rules, logs) = several_boards();
    let (config, url) = (rules.write(&dir), write_files(&dir, &logs));
    let recount = Recount::new(&rules, &logs);
    assert!(recount.late > 100 && recount.unmatched == 0, "{} late", recount.late);

    let job = ["--config", path(&config), "--source", &url, "--snapshots", "-"];
    let one = Crest::spawn(["-w", "1"].iter().chain(&job)).final_text();
    assert_text(&one, &recount.finals());
    assert_eq!(Crest::spawn(["-w", "2"].iter().chain(&job)).final_text(), one);
    assert_eq!(Crest::spawn(["-w", "7"].iter().chain(&job)).final_text(), one);
    assert_eq!(Cluster::spawn(2, &job).final_text(), one);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_job_that_is_told_nothing_counts_exactly() {
    let dir = new_folder("default");
    let logs = Traffic::default().logs(3);
    let url = write_files(&dir, &logs);
    let finals = Crest::spawn(["--source", &url, "--snapshots", "-"]).finals();
    assert_same(&finals, &Recount::new(&Rules::default(), &logs).finals());
    std::fs::remove_dir_all(dir).unwrap();
}

/// The rows of a snapshot as Redis holds them.
fn rows(snapshot: &Value) -> Vec<(String, u64)> {
    let items = snapshot["items"].as_array().unwrap().iter();
    items.map(|row| (row["item_id"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap())).collect()
}

#[test]
fn kafka_is_counted_exactly_into_redis() {
    let (kafka, redis) = (Kafka::shared(), Redis::start());
    let logs = Traffic::default().logs(4);
    kafka.create_topic("exact", 4);
    kafka.load("exact", &logs);
    let expected = Recount::new(&Rules::default(), &logs).finals();
    let last_end = expected
        .iter()
        .filter(|s| s["window"] == "last_1m")
        .map(|s| s["window_end"].as_i64())
        .max()
        .flatten();
    let last =
        expected.iter().find(|s| s["window"] == "last_1m" && s["window_end"].as_i64() == last_end).unwrap();

    let job = ["-w", "2", "--source", &kafka.url("exact"), "--snapshots", "-", "--snapshots", &redis.url()];
    let quick = ["--idle-timeout", "1s", "--http", "off", "--start", "earliest"];
    let mut crest = Crest::spawn(job.iter().chain(&quick));
    let seen = crest.until("the last window", |crest| {
        let finals = parse_finals(&crest.stdout());
        finals
            .iter()
            .any(|s| s["window"] == "last_1m" && s["window_end"].as_i64() == last_end)
            .then_some(finals)
    });
    let minute = |all: &[Value]| all.iter().filter(|s| s["window"] == "last_1m").cloned().collect::<Vec<_>>();
    let expected_minutes = minute(&expected);
    assert_same(&minute(&seen)[..expected_minutes.len()], &expected_minutes);
    common::eventually("Redis has the hour as it was counted", || {
        redis.ranking("topk:last_1h") == rows(expected.iter().rfind(|s| s["window"] == "last_1h").unwrap())
    });
    assert!(rows(last).len() == 100 && !redis.meta("topk:last_1h").is_empty());
    crest.sigterm();
    assert!(crest.wait(std::time::Duration::from_secs(20)).success(), "{}", crest.describe());
}
