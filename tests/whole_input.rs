//! A window of the whole of a bounded input, and the summary of what became of it, by the real program.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::new_folder;
use common::program::{Cluster, Crest, path};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
[schema]
weight = "weight"
[[board]]
name = "views"
filter = { event_type = ["view"] }
by = ["region"]
windows = [ { name = "all" }, { name = "w", size = "10s", slide = "10s" } ]
[[board]]
name = "all"
windows = [ { name = "all" } ]
"#;

/// One line of a file, as the test knows it.
struct Line {
    text: String,
    item: String,
    view: bool,
    time: i64,
    weight: u64,
}

/// Events that go back and forth in time, with refused ones among them.
fn lines() -> Vec<Line> {
    let line = |n: i64| {
        let (view, weight) = (n % 3 == 0, 1 + n as u64 % 4);
        let (item, time) = (format!("item:{}", n * n % 17), 1_711_670_400 + n - 40 * (n % 7));
        let event_type = if view { "view" } else { "buy" };
        let event = json!({
            "item_id": item, "event_type": event_type, "timestamp": time, "weight": weight
        });
        Line { text: event.to_string(), item, view, time: time * 1000, weight }
    };
    (0..3_000).map(line).collect()
}

fn write(dir: &Path) -> (PathBuf, PathBuf) {
    let (events, config) = (dir.join("events.ndjson"), dir.join("crest.toml"));
    let mut text: String = lines().iter().map(|line| line.text.clone() + "\n").collect();
    text += "nonsense\n{\"timestamp\":1711670400,\"weight\":1}\n";
    std::fs::write(&events, text).unwrap();
    std::fs::write(&config, CONFIG).unwrap();
    (events, config)
}

/// The events that are late for panes of 10 s, of which 5 s of disorder are allowed: read off the log, one by one.
fn late(lines: &[Line]) -> Vec<bool> {
    let mut newest = i64::MIN / 2;
    let late = |line: &Line| {
        let late = line.time / 10_000 * 10_000 < (newest - 5_000).div_euclid(10_000) * 10_000;
        newest = newest.max(line.time);
        late
    };
    lines.iter().map(late).collect()
}

fn items(ranking: &Value) -> BTreeMap<String, u64> {
    let items = ranking["items"].as_array().unwrap().iter();
    items.map(|item| (item["item_id"].as_str().unwrap().into(), item["count"].as_u64().unwrap())).collect()
}

fn recount(lines: &[Line], takes: impl Fn(&Line) -> bool) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in lines.iter().filter(|line| takes(line)) {
        *counts.entry(line.item.clone()).or_default() += line.weight;
    }
    counts
}

#[test]
fn rankings_and_summary_equal_the_recount_by_both_engines_and_in_a_cluster() {
    let dir = new_folder("whole");
    let (events, config) = write(&dir);
    let (source, summary) = (format!("file:{}", path(&events)), dir.join("summary.json"));
    let base = ["--config", path(&config), "--source", &source, "--snapshots", "-"];
    let lines = lines();
    let is_late = late(&lines);
    let (views, missed) = (
        lines.iter().filter(|line| line.view).count(),
        lines.iter().zip(&is_late).filter(|(line, late)| line.view && **late).count(),
    );
    assert!(missed > 0, "the case has late events");
    let mut texts = Vec::new();
    for engine in ["sketch", "exact", "cluster"] {
        let engine_of = if engine == "cluster" { "sketch" } else { engine };
        let arguments = [&base[..], &["--engine", engine_of, "--summary", path(&summary)]].concat();
        let _ = std::fs::remove_file(&summary);
        let text = match engine {
            "cluster" => Cluster::spawn(2, &arguments).final_text(),
            _ => Crest::spawn(arguments).final_text(),
        };
        let finals: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let whole: Vec<&Value> = finals.iter().filter(|ranking| ranking["window"] == "all").collect();
        assert_eq!(whole.len(), 2, "one for each board");
        assert!(finals[finals.len() - 2..].iter().eq(whole.iter().copied()), "they come last");
        assert_eq!(items(whole[0]), recount(&lines, |line| line.view));
        assert_eq!(items(whole[1]), recount(&lines, |_| true));
        let (first, last) =
            (lines.iter().map(|l| l.time).min().unwrap(), lines.iter().map(|l| l.time).max().unwrap());
        let times = (whole[1]["window_start"].as_i64(), whole[1]["window_end"].as_i64());
        assert_eq!(times, (Some(first / 10_000 * 10_000), Some(last / 10_000 * 10_000 + 10_000)));
        let sliding: u64 =
            finals.iter().filter(|r| r["window"] == "w").map(|r| r["total"].as_u64().unwrap()).sum();
        let on_time = lines.iter().zip(&is_late).filter(|(line, late)| line.view && !**late);
        assert_eq!(sliding, on_time.map(|(line, _)| line.weight).sum::<u64>());
        let told: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
        let expected = json!({
            "ended": true, "read": lines.len() + 2, "counted": lines.len(), "late": missed, "late_counted": missed,
            "refused": { "malformed": 1, "item": 1 }, "unmatched": 0, "outside": 0, "tombstones": 0,
            "without_events": 0, "replayed": 0,
            "boards": [
                { "name": "views", "matched": views, "without_item": 0, "without_weight": 0,
                  "unseen": [ { "name": "region", "key": "by" } ] },
                { "name": "all", "matched": lines.len() + 1, "without_item": 1, "without_weight": 0, "unseen": [] },
            ],
        });
        assert_eq!(told, expected);
        texts.push(text);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "the engines and the cluster agree");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn twenty_years_apart_are_three_rankings_and_an_audit_finds_them_true() {
    let dir = new_folder("years");
    let events = dir.join("events.ndjson");
    let event = |time: &str| format!("{{\"item_id\":\"a\",\"timestamp\":\"{time}\"}}\n");
    std::fs::write(&events, event("2005-04-08T00:00:00Z") + &event("2025-08-11T00:00:00Z")).unwrap();
    let source = format!("file:{}", path(&events));
    let run = ["--source", &source, "--window", "all", "--window", "w=10s/10s"];
    let finals = Crest::spawn(run).finals();
    let told: Vec<_> =
        finals.iter().map(|r| (r["window"].as_str().unwrap(), r["total"].as_u64().unwrap())).collect();
    assert_eq!(told, [("w", 1), ("w", 1), ("all", 2)]);
    let summary = dir.join("audit.json");
    let audit = [&["audit"], &run[..], &["--json", "--summary", path(&summary)]].concat();
    let mut audit = Crest::spawn(audit);
    assert!(audit.wait(PATIENCE).success(), "{}", audit.describe());
    let told: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!((&told["read"], &told["counted"], &told["late"]), (&json!(2), &json!(2), &json!(0)));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_live_job_that_is_stopped_writes_its_summary() {
    let dir = new_folder("stopped");
    let summary = dir.join("summary.json");
    let mut crest = Crest::spawn(["--demo", "--http", "off", "--summary", path(&summary)]);
    crest.until_logged("crest");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!summary.exists());
    crest.sigterm();
    assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
    let told: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!(told["ended"], json!(false));
    assert!(told["read"].as_u64() > Some(0) && told["boards"][0]["name"] == "default", "{told}");
    let entries = std::fs::read_dir(&dir).unwrap().count();
    assert_eq!(entries, 1, "no draft is left");
    std::fs::remove_dir_all(dir).unwrap();
}
