//! How many different users each item has, through the real program: every bound holds in an exact recount, exact boards are
//! exact, and kills on the real Kafka lose and double nothing.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::program::{Crest, path, without_computed_at};
use common::recount::{Recount, assert_same, judge_claims};
use common::rules::{Board, Rules, Window};
use common::trial::Trial;
use common::web::Web;
use common::{new_folder, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const ENGINES: [&str; 2] = ["sketch", "exact"];
/// Sketches that overflow. Estimates depend on the seed, which a run without a state would draw anew.
const SMALL: &str = "\n[sketch]\nrows = 32\nrows_kept = 200\nseed = 77\n";

/// Users of each item, sketched and exact, and in each region.
fn boards(windows: &[Window]) -> Vec<Board> {
    let board = |name| Board {
        name,
        engine: name,
        by: vec!["region"],
        k: 20,
        distinct: Some("user"),
        windows: windows.to_vec(),
        ..Board::default()
    };
    ENGINES.map(board).to_vec()
}

fn rules() -> Rules {
    let windows = [
        Window { name: "last_1m", size: MINUTE, slide: 10 * SECOND },
        Window { name: "last_30m", size: 30 * MINUTE, slide: MINUTE },
    ];
    Rules { boards: boards(&windows), ..Rules::default() }
}

/// Each event is of a user; some items are clicked again and again by two.
fn logs(traffic: &Traffic, users: u64) -> Vec<Vec<Event>> {
    let mut random = StdRng::seed_from_u64(traffic.seed);
    let mut user = |at: usize, event: Event| match at % 8 {
        0 => Event { item: format!("clicked-{}", at / 8 % 3), ..event }
            .with("user", &format!("bot-{}", random.random_range(0..2))),
        _ => event.with("user", &format!("user-{}", random.random_range(0..users))),
    };
    let logs = traffic.logs(4).into_iter();
    logs.map(|log| log.into_iter().enumerate().map(|(at, event)| user(at, event)).collect()).collect()
}

fn traffic() -> Traffic {
    Traffic {
        events: 120_000,
        items: 3_000,
        span: 50 * MINUTE,
        disorder: 4 * SECOND,
        regions: vec!["IN", "US"],
        ..Traffic::default()
    }
}

fn write(rules: &Rules, dir: &std::path::Path, more: &str) -> std::path::PathBuf {
    let config = rules.write(dir);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + more).unwrap();
    config
}

/// Judges each ranking; how many of them have estimates, and how many are cut.
fn judge_all(finals: &[Value], recount: &Recount) -> (usize, usize) {
    let (mut estimated, mut cut) = (0, 0);
    for said in finals {
        let name = said["board"].as_str().unwrap();
        let time = |name: &str| said[name].as_i64().unwrap();
        let truth = recount.between(name, time("window_start"), time("window_end"));
        let group = serde_json::from_value(said["group"].clone()).unwrap();
        judge_claims(said, truth.get(&group).unwrap(), 20);
        let items = said["items"].as_array().unwrap();
        estimated += usize::from(items.iter().any(|item| !item["estimate"].is_null()));
        cut += usize::from(said["error_floor"] != 0);
        let first = items[0]["item_id"].as_str().unwrap();
        assert!(items.len() < 10 || !first.starts_with("clicked"), "two users lead: {said}");
    }
    (estimated, cut)
}

#[test]
fn rankings_items_and_points_hold_in_a_recount_whatever_the_number_of_workers() {
    let (dir, rules, logs) = (new_folder("distinct"), rules(), logs(&traffic(), 20_000));
    let (source, config) = (write_files(&dir, &logs), write(&rules, &dir, SMALL));
    let recount = Recount::new(&rules, &logs);
    let mut texts: Vec<Vec<String>> = Vec::new();
    for workers in ["1", "2", "3"] {
        let state = dir.join(workers);
        let job = ["--config", path(&config), "--source", &source, "--state", path(&state), "-w", workers];
        let lines = Crest::spawn(job).lines();
        texts.push(lines.iter().map(|line| without_computed_at(line)).collect());
    }
    assert!(texts[0] == texts[1] && texts[0] == texts[2], "the number of workers shows");
    let finals: Vec<Value> = texts[0].iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let of = |board: &str| finals.iter().filter(|said| said["board"] == board).cloned().collect::<Vec<_>>();
    let exact: Vec<Value> = recount.finals().into_iter().filter(|said| said["board"] == "exact").collect();
    assert_same(&of("exact"), &exact);
    let (estimated, cut) = judge_all(&of("sketch"), &recount);
    assert!(estimated > 50 && cut > of("sketch").len() / 2, "{estimated} with estimates, {cut} cut");

    let mut node = Crest::spawn(["serve", "--state", path(&dir.join("2")), "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut node);
    judge_past(&web, &recount);
    node.kill();

    // The exact engine of the audit finds nothing wrong in what was published, or is stored.
    let state = dir.join("1");
    let audit = ["audit", "--config", path(&config), "--source", &source, "--state", path(&state), "--json"];
    let report: Value = serde_json::from_str(&Crest::spawn(audit).lines()[0]).unwrap();
    assert_eq!(report["violations"], 0, "{report}");
    assert!(report["rankings"].as_u64().unwrap() > 500 && report["boards"][0]["items"] != 0, "{report}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Past intervals, single items and their points, of both boards.
fn judge_past(web: &Web, recount: &Recount) {
    let mut random = StdRng::seed_from_u64(5);
    for round in 0..12 {
        let (board, is_exact) = (ENGINES[round % 2], round % 2 == 1);
        let from = START + random.random_range(1..20) * MINUTE;
        let interval = format!("from={from}&to={}", from + random.random_range(2..25) * MINUTE);
        let said = web.json(&format!("/top-k/{board}?{interval}&k=20"));
        let truth_of = |said: &Value| {
            let time = |name: &str| said[name].as_i64().unwrap();
            recount.between(board, time("window_start"), time("window_end")).remove(&Default::default())
        };
        let truth = truth_of(&said).unwrap();
        judge_claims(&said, &truth, 20);
        for id in ["item-1", "item-2", "item-70", "item-2900", "clicked-1", "nobody"] {
            let said = web.json(&format!("/items/{board}/{id}?{interval}&step=5m"));
            let points = said["points"].as_array().unwrap();
            assert!(!points.is_empty() && said["distinct"] == "user", "{said}");
            for part in std::iter::once(&said).chain(points) {
                let truth = truth_of(part).unwrap_or_default();
                let (count, number) =
                    (truth.get(id).copied().unwrap_or(0), |name: &str| part[name].as_u64().unwrap());
                assert!((number("lower")..=number("upper")).contains(&count), "{id} has {count}: {part}");
                if is_exact {
                    assert_eq!((number("count"), &part["exact"]), (count, &true.into()), "{id}: {part}");
                }
            }
        }
    }
}

/// Runs that are killed at any instant, with other numbers of workers and processes.
fn survives_kills(topic: &'static str, engine: &'static str, is_exact: bool) {
    let seed = seed(topic);
    let mut random = StdRng::seed_from_u64(seed);
    let windows = [
        Window { name: "last_5s", size: 5 * SECOND, slide: SECOND },
        Window { name: "last_20s", size: 20 * SECOND, slide: 5 * SECOND },
    ];
    let of_engine = boards(&windows).into_iter().filter(|board| board.engine == engine);
    let rules = Rules::live(of_engine.collect());
    let traffic = Traffic {
        seed,
        events: 90_000,
        items: 8_000,
        span: 90 * SECOND,
        disorder: 3 * SECOND,
        regions: vec!["IN", "US", "DE"],
        ..Traffic::default()
    };
    let mut trial = Trial::new(topic, &rules, SMALL, logs(&traffic, 3_000));
    trial.run_through_kills(&mut random);
    trial.assert_exactly_once(is_exact);
}

#[test]
fn kills_on_kafka_lose_and_double_nothing_where_users_are_estimated() {
    survives_kills("distinct-sketched", "sketch", false);
}

#[test]
fn kills_on_kafka_lose_and_double_nothing_where_users_are_counted() {
    survives_kills("distinct-exact", "exact", true);
}
