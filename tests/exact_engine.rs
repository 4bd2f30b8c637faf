//! Boards with `engine = "exact"`: with sketches so small that they would be far from exact, every snapshot equals a
//! naive recount, for any number of workers and processes, while it fills and from the state.
//!
//! The seed is printed; `CREST_TEST_SEED=…` gives the same events and rules again.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::program::{Cluster, Crest, path};
use common::recount::{Group, Recount, assert_same, judge, rank};
use common::rules::{Board, Rules, Window};
use common::web::Web;
use common::{eventually, new_folder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// The least that there may be.
const SKETCH: &str = "\n[sketch]\nrows = 32\n";

fn write(rules: &Rules, dir: &Path) -> PathBuf {
    let config = rules.write(dir);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + SKETCH).unwrap();
    config
}

fn random(test: &str) -> StdRng {
    StdRng::seed_from_u64(common::seed(test))
}

/// Boards of all kinds, over panes of a second or more.
fn random_rules(random: &mut StdRng, k: usize) -> Rules {
    let pane = [1, 5, 10][random.random_range(0..3)] * SECOND;
    let (out_of_orderness, allowed_lateness) = (random.random_range(0..=4), 3 * random.random_range(0..=1));
    let mut window = |name| {
        let size = random.random_range(1..=12);
        Window { name, size: size * pane, slide: random.random_range(1..=size) * pane }
    };
    let mut board = |name| Board {
        name,
        engine: "exact",
        k,
        windows: vec![window("one"), window("two"), window("three")],
        ..Board::default()
    };
    let whole = board("whole");
    let filter = vec![("event_type", vec!["view", "buy"])];
    let filtered = Board { filter, weights: vec![("buy", 3)], ..board("filtered") };
    let grouped = Board { by: vec!["region"], weights: vec![("buy", 1000)], ..board("grouped") };
    Rules {
        pane,
        out_of_orderness: out_of_orderness * SECOND,
        allowed_lateness: allowed_lateness * SECOND,
        boards: vec![whole, filtered, grouped],
        ..Rules::default()
    }
}

fn traffic(random: &mut StdRng) -> Traffic {
    Traffic {
        seed: random.random(),
        events: 10_000,
        items: 2_000,
        span: 2 * MINUTE,
        disorder: 8 * SECOND,
        types: vec!["view", "buy", "other"],
        regions: vec!["IN", "US", "DE"],
        ..Traffic::default()
    }
}

/// What one worker publishes equals the recount, and what others do is the same, byte for byte.
fn assert_exact(rules: &Rules, logs: &[Vec<Event>]) -> Recount {
    let (dir, recount) = (new_folder("exact"), Recount::new(rules, logs));
    let (source, config) = (write_files(&dir, logs), write(rules, &dir));
    let job = |workers| vec!["--config", path(&config), "--source", &source, "-w", workers];
    let text = Crest::spawn(job("1")).final_text();
    let finals: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_same(&finals, &recount.finals());
    for workers in ["2", "3", "4"] {
        assert!(Crest::spawn(job(workers)).final_text() == text, "{workers} workers publish other bytes");
    }
    assert!(Cluster::spawn(2, &job("1")).final_text() == text, "two processes publish other bytes");
    let _ = std::fs::remove_dir_all(dir);
    recount
}

#[test]
fn any_stream_is_counted_as_by_the_recount() {
    let mut random = random("any stream");
    for (partitions, k) in [(1, 10), (4, 1), (5, 400)] {
        let rules = random_rules(&mut random, k);
        let logs = traffic(&mut random).logs(partitions);
        assert_exact(&rules, &logs);
    }
}

#[test]
fn late_events_are_left_out() {
    let mut random = random("late");
    let rules = Rules { pane: SECOND, out_of_orderness: SECOND, ..random_rules(&mut random, 20) };
    let rules =
        Rules { boards: rules.boards.iter().map(by_the_second).collect(), allowed_lateness: 0, ..rules };
    let recount = assert_exact(&rules, &traffic(&mut random).logs(3));
    assert!(recount.late > 1000, "{} late events", recount.late);
}

/// With windows that suit any pane.
fn by_the_second(board: &Board) -> Board {
    let windows = vec![
        Window { name: "sliding", size: 7 * SECOND, slide: 2 * SECOND },
        Window { name: "tumbling", size: 20 * SECOND, slide: 20 * SECOND },
    ];
    Board { windows, ..board.clone() }
}

#[test]
fn ties_and_weights_of_any_size_are_ranked_alike() {
    let mut random = random("ties and weights");
    let rules = random_rules(&mut random, 25);
    // About as many events as items in a window: most counts are equal.
    let ties = Traffic { skew: 0.0, events: 4_000, ..traffic(&mut random) };
    assert_exact(&rules, &ties.logs(3));
    // Times a board's factor no more than a weight may be.
    let heavy = Traffic { heaviest: u32::MAX / 1000, ..traffic(&mut random) };
    assert_exact(&rules, &heavy.logs(2));
}

#[test]
fn groups_come_and_go_and_time_may_jump() {
    let mut random = random("gap");
    let regions = [vec!["IN", "US"], vec!["US", "DE"]];
    let burst = |random: &mut StdRng, number: usize| {
        let start = START + number as i64 * 36 * HOUR;
        let traffic = traffic(random);
        Traffic { start, span: MINUTE, events: 4_000, regions: regions[number].clone(), ..traffic }.logs(2)
    };
    let (mut logs, later) = (burst(&mut random, 0), burst(&mut random, 1));
    logs.iter_mut().zip(later).for_each(|(log, later)| log.extend(later));
    let windows = vec![
        Window { name: "last_5m", size: 5 * MINUTE, slide: MINUTE },
        Window { name: "last_1d", size: 24 * HOUR, slide: 4 * HOUR },
    ];
    let rules = random_rules(&mut random, 10);
    let boards = rules.boards.into_iter().map(|board| Board { windows: windows.clone(), ..board }).collect();
    assert_exact(&Rules { boards, pane: 10 * SECOND, ..rules }, &logs);
}

/// One board of two windows and regions, whose time passes by events alone.
fn live_rules() -> Rules {
    let windows = vec![
        Window { name: "sliding", size: 10 * MINUTE, slide: MINUTE },
        Window { name: "tumbling", size: 30 * MINUTE, slide: 30 * MINUTE },
    ];
    let board = Board { by: vec!["region"], engine: "exact", k: 500, windows, ..Board::default() };
    Rules { boards: vec![board], max_future_skew: Some(MINUTE), ..Rules::default() }
}

/// A ranking's items and counts; all of them must be exact.
fn exact_rows(snapshot: &Value) -> Vec<(String, u64)> {
    assert_eq!((&snapshot["error"], &snapshot["error_floor"]), (&json!(0), &json!(0)), "{snapshot}");
    let items = snapshot["items"].as_array().unwrap();
    assert_eq!(snapshot["guaranteed"], items.len());
    let row = |item: &Value| {
        assert_eq!(
            (&item["lower"], &item["upper"], &item["exact"]),
            (&item["count"], &item["count"], &json!(true))
        );
        (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap())
    };
    items.iter().map(row).collect()
}

#[test]
fn provisional_snapshots_are_exact_soon_after_events_came() {
    let dir = new_folder("exact-live");
    let (rules, mut random) = (live_rules(), random("provisional"));
    let (config, log, state) = (write(&rules, &dir), dir.join("log"), dir.join("state"));
    let source = format!("log:{}?partitions=3", path(&log));
    let ends = ["--state", path(&state), "--http", "127.0.0.1:0"];
    let times = ["--refresh", "100ms", "--idle-timeout", "1h", "-w", "2"];
    let job = ["--config", path(&config), "--source", &source];
    let mut crest = Crest::spawn([job.as_slice(), &ends, &times].concat());
    let web = Web::of(&mut crest);

    let traffic =
        Traffic { events: 12_000, items: 3_000, span: 9 * MINUTE, disorder: 0, ..traffic(&mut random) };
    let events = traffic.log();
    let mut sent = Vec::new();
    for batch in events.chunks(events.len() / 4) {
        web.send_events(batch);
        sent.extend_from_slice(batch);
        // Nothing is late that is in order, so that one log counts as any number does.
        let counts = Recount::new(&rules, &[sent.clone()]).between("default", START, START + 10 * MINUTE);
        for (window, region) in [("sliding", None), ("tumbling", Some("US")), ("sliding", Some("DE"))] {
            let group: Group = region.map(|region| ("region".into(), region.into())).into_iter().collect();
            let query = region.map_or(String::new(), |region| format!("&region={region}"));
            let expected = rank(&counts[&group], 500);
            let total: u64 = counts[&group].values().sum();
            eventually("the counts of all that was sent", || {
                let (status, body) = web.get(&format!("/top-k?window={window}{query}"));
                if status != 200 {
                    return false;
                }
                let snapshot: Value = serde_json::from_str(&body).unwrap();
                exact_rows(&snapshot) == expected && snapshot["total"] == total
            });
        }
    }
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(20)).success(), "{}", crest.describe());
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_state_is_of_one_engine_and_tells_its_past() {
    let (dir, mut random) = (new_folder("exact-state"), random("state"));
    let windows = vec![Window { name: "last_10m", size: 10 * MINUTE, slide: MINUTE }];
    let board = Board { by: vec!["region"], engine: "exact", k: 50, windows, ..Board::default() };
    let rules = Rules { boards: vec![board], ..Rules::default() };
    let traffic = Traffic { events: 40_000, items: 8_000, span: 3 * HOUR, skew: 0.8, ..traffic(&mut random) };
    let logs = traffic.logs(3);
    let (source, config, state) = (write_files(&dir, &logs), write(&rules, &dir), dir.join("state"));
    let recount = Recount::new(&rules, &logs);
    let job = ["--config", path(&config), "--source", &source, "--state", path(&state)];
    let text = Crest::spawn(job.iter().chain(&["-w", "2"])).final_text();
    let finals: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_same(&finals, &recount.finals());

    let refused = Crest::spawn(job.iter().chain(&["--engine", "sketch"])).failure();
    assert!(refused.contains("boards[default].engine"), "{refused}");
    let other = dir.join("other");
    let sketched = ["--config", path(&config), "--source", &source, "--state", path(&other)];
    Crest::spawn(sketched.iter().chain(&["--engine", "sketch"])).finals();
    let refused = Crest::spawn(sketched).failure();
    assert!(refused.contains("boards[default].engine"), "{refused}");

    let mut look = Crest::spawn(["state", "--state", path(&state), "--verify"]);
    assert!(look.wait(Duration::from_secs(60)).success(), "{}", look.describe());
    let (_node, web) = Web::of_new(["serve", "--state", path(&state)]);
    for (from, to) in
        [(0, 40 * SECOND), (10 * MINUTE, 10 * MINUTE + 50 * SECOND), (7 * MINUTE, 2 * HOUR), (0, 3 * HOUR)]
    {
        let answer = web.json(&format!("/top-k?from={}&to={}", START + from, START + to));
        let time = |key: &str| answer[key].as_i64().unwrap();
        let (start, end) = (time("window_start"), time("window_end"));
        let truth = recount.between("default", start, end).remove(&Group::new()).unwrap_or_default();
        judge(&answer, &truth, 50);
        if end - start < MINUTE {
            assert_eq!(exact_rows(&answer), rank(&truth, 50), "panes are kept whole");
        }
    }
    let _ = std::fs::remove_dir_all(dir);
}
