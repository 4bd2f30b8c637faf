//! What is left where some events take away what others have counted, through the real program: every bound holds in an exact
//! recount, exact boards are exact, and kills on the real Kafka lose and double nothing.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "audit/object.rs"]
#[allow(dead_code)] // this test uses its part
mod object;

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::program::{Crest, parse_finals, path, without_computed_at};
use common::recount::{Counts, Group, Recount, assert_same, judge_claims};
use common::rules::{Board, Rules, Window};
use common::servers::Redis;
use common::trial::Trial;
use common::web::Web;
use common::{new_folder, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::Commands;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const K: usize = 20;
const ENGINES: [&str; 2] = ["sketch", "exact"];
/// Sketches that overflow.
const SMALL: &str = "\n[sketch]\nrows = 32\nrows_kept = 200\n";
const PATIENCE: Duration = Duration::from_secs(120);

/// Likes less unlikes, sketched and exact, and in each region.
fn boards(windows: &[Window]) -> Vec<Board> {
    let board = |name| Board {
        name,
        engine: name,
        by: vec!["region"],
        k: K,
        retract: vec![("event_type", vec!["unlike", "delete"])],
        weights: vec![("delete", 3)],
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

fn traffic() -> Traffic {
    Traffic {
        events: 120_000,
        items: 3_000,
        span: 50 * MINUTE,
        disorder: 4 * SECOND,
        heaviest: 3,
        types: vec!["view", "like", "like", "like", "like", "unlike"],
        regions: vec!["IN", "US"],
        ..Traffic::default()
    }
}

/// Every third item is taken back from time to time, more of it than was counted.
fn logs(traffic: &Traffic, partitions: usize) -> Vec<Vec<Event>> {
    let taken_back = |event: Event| {
        let number: u64 = event.item.trim_start_matches("item-").parse().unwrap();
        let is_so = number.is_multiple_of(3) && event.time / 100_000 % 3 == 2;
        Event { event_type: if is_so { Some("delete".into()) } else { event.event_type.clone() }, ..event }
    };
    let logs = traffic.logs(partitions).into_iter();
    logs.map(|log| log.into_iter().map(taken_back).collect()).collect()
}

fn write(rules: &Rules, dir: &Path, more: &str) -> PathBuf {
    let config = rules.write(dir);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + more).unwrap();
    config
}

fn time(said: &Value, name: &str) -> i64 {
    said[name].as_i64().unwrap()
}

/// Holds a ranking against the recount, its total too.
fn judge(said: &Value, recount: &Recount) {
    let (name, group) = (said["board"].as_str().unwrap(), said["group"].clone());
    let (from, to) = (time(said, "window_start"), time(said, "window_end"));
    let group: Group = serde_json::from_value(group).unwrap();
    let truth = recount.between(name, from, to).remove(&group).unwrap_or_default();
    judge_claims(said, &truth, K);
    let total = recount.totals(name, from, to).remove(&group).unwrap_or(0);
    assert_eq!(said["total"], total, "{said}");
    assert_eq!(said["retracts"], true);
}

/// A job over files that was run by so many workers, with a state of each.
struct Case {
    dir: PathBuf,
    config: PathBuf,
    source: String,
    recount: Recount,
    finals: Vec<Value>,
}

impl Case {
    fn new() -> Case {
        let (dir, rules, logs) = (new_folder("retract"), rules(), logs(&traffic(), 4));
        let (source, config) = (write_files(&dir, &logs), write(&rules, &dir, SMALL));
        let recount = Recount::new(&rules, &logs);
        let (mut texts, mut published): (Vec<Vec<String>>, Vec<String>) = (Vec::new(), Vec::new());
        for workers in ["1", "2", "3"] {
            let state = dir.join(workers);
            let job =
                ["--config", path(&config), "--source", &source, "--state", path(&state), "-w", workers];
            let lines = Crest::spawn(job).lines();
            texts.push(lines.iter().map(|line| without_computed_at(line)).collect());
            published = lines;
        }
        assert!(texts[0] == texts[1] && texts[0] == texts[2], "the number of workers shows");
        std::fs::write(dir.join("rankings.ndjson"), published.join("\n") + "\n").unwrap();
        let finals = parse_finals(&published);
        Case { dir, config, source, recount, finals }
    }

    fn of(&self, board: &str) -> Vec<Value> {
        self.finals.iter().filter(|said| said["board"] == board).cloned().collect()
    }

    /// What an audit finds, which ends with this status.
    fn audit(&self, status: i32, more: &[&str]) -> Value {
        let what = ["audit", "--config", path(&self.config), "--source", &self.source, "--json"];
        let mut audit = Crest::spawn([&what, more].concat());
        assert_eq!(audit.wait(PATIENCE).code(), Some(status), "{}", audit.describe());
        serde_json::from_str(&audit.stdout()[0]).unwrap()
    }
}

#[test]
fn rankings_items_and_points_hold_in_a_recount_whatever_the_number_of_workers() {
    let case = Case::new();
    let exact: Vec<Value> =
        case.recount.finals().into_iter().filter(|said| said["board"] == "exact").collect();
    assert_same(&case.of("exact"), &exact);
    let sketched = case.of("sketch");
    sketched.iter().for_each(|said| judge(said, &case.recount));
    let cut = sketched.iter().filter(|said| said["error_floor"] != 0).count();
    assert!(cut > sketched.len() / 2, "{cut} of {} are cut", sketched.len());

    let state = case.dir.join("2");
    let mut node = Crest::spawn(["serve", "--state", path(&state), "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut node);
    judge_past(&web, &case.recount);
    // What is removed of a group is no group.
    let all = web.json("/boards").to_string();
    assert!(!all.contains("\"-\"") && !all.contains("-,"), "{all}");
    node.kill();

    // The exact engine of the audit finds nothing wrong in what is stored, or was published.
    let state = case.dir.join("1");
    let report = case.audit(0, &["--state", path(&state)]);
    assert_eq!(report["violations"], 0, "{report}");
    assert!(report["rankings"].as_u64().unwrap() > 500 && report["boards"][0]["items"] != 0, "{report}");
    let published = case.dir.join("rankings.ndjson");
    assert_eq!(case.audit(0, &["--rankings", path(&published)])["violations"], 0);
    audit_finds_damage(&case);
    std::fs::remove_dir_all(&case.dir).unwrap();
}

/// Past intervals, single items and their points, and what rises, of both boards.
fn judge_past(web: &Web, recount: &Recount) {
    let mut random = StdRng::seed_from_u64(5);
    for round in 0..12 {
        let (board, is_exact) = (ENGINES[round % 2], round % 2 == 1);
        let from = START + random.random_range(1..20) * MINUTE;
        let region = ["", "&region=IN"][round / 2 % 2];
        let interval = format!("from={from}&to={}{region}", from + random.random_range(2..25) * MINUTE);
        let said = web.json(&format!("/top-k/{board}?{interval}&k={K}"));
        judge(&said, recount);
        let group: Group = serde_json::from_value(said["group"].clone()).unwrap();
        let truth_of = |said: &Value| -> Counts {
            let (from, to) = (time(said, "window_start"), time(said, "window_end"));
            recount.between(board, from, to).remove(&group).unwrap_or_default()
        };
        for id in ["item-1", "item-2", "item-3", "item-9", "item-70", "item-2900", "nobody"] {
            let said = web.json(&format!("/items/{board}/{id}?{interval}&step=5m"));
            let points = said["points"].as_array().unwrap();
            assert!(!points.is_empty() && said["retracts"] == true, "{said}");
            for part in std::iter::once(&said).chain(points) {
                let (from, to) = (time(part, "window_start"), time(part, "window_end"));
                let total = recount.totals(board, from, to).remove(&group).unwrap_or(0);
                assert_eq!(part["total"], total, "{part}");
                let (count, number) =
                    (truth_of(part).get(id).copied().unwrap_or(0), |name: &str| part[name].as_u64().unwrap());
                assert!((number("lower")..=number("upper")).contains(&count), "{id} has {count}: {part}");
                if is_exact {
                    assert_eq!((number("count"), &part["exact"]), (count, &true.into()), "{id}: {part}");
                }
            }
            judge_rank(&said, &truth_of(&said), id);
        }
        let series = web.json(&format!("/series/{board}?{interval}&k=3&step=5m"));
        for point in series["points"].as_array().unwrap() {
            let (truth, id) = (truth_of(point), point["item_id"].as_str().unwrap());
            let (count, number) =
                (truth.get(id).copied().unwrap_or(0), |name: &str| point[name].as_u64().unwrap());
            assert!((number("lower")..=number("upper")).contains(&count), "{id} has {count}: {point}");
        }
    }
    for (round, board) in ENGINES.iter().enumerate() {
        let (from, to) = (START + 25 * MINUTE, START + 35 * MINUTE);
        let said = web.json(&format!("/top-k/{board}?from={from}&to={to}&by=rise&against=previous&k=20"));
        let truth = |from: i64, to: i64| recount.between(board, from, to).remove(&Group::new()).unwrap();
        let now = truth(time(&said, "window_start"), time(&said, "window_end"));
        let before = truth(time(&said, "before_start"), time(&said, "before_end"));
        let items = said["items"].as_array().unwrap();
        assert!(!items.is_empty());
        for item in items {
            let id = item["item_id"].as_str().unwrap();
            let of = |counts: &Counts| counts.get(id).copied().unwrap_or(0);
            let number = |name: &str| item[name].as_u64().unwrap();
            assert!((number("lower")..=number("upper")).contains(&of(&now)), "{item}");
            assert!((number("before_lower")..=number("before")).contains(&of(&before)), "{item}");
            assert!(round == 0 || item["exact"] == true, "{item}");
        }
    }
}

/// The rank of an item is in its range; one of which nothing is left has none.
fn judge_rank(said: &Value, truth: &Counts, id: &str) {
    let count = truth.get(id).copied().unwrap_or(0);
    if count == 0 {
        return;
    }
    let before = |(other, theirs): (&String, &u64)| (*theirs, other.as_str()) > (count, id);
    let rank = 1 + truth.iter().filter(|row| before(*row)).count() as u64;
    let of = |end: &str| said["rank"][end].as_u64().unwrap_or_else(|| panic!("{id} ranks {rank}: {said}"));
    assert!((of("best")..=of("worst")).contains(&rank), "{id} ranks {rank}: {said}");
}

/// What is changed in a stored pane, of what was counted or of what was removed, or in a ranking.
fn audit_finds_damage(case: &Case) {
    let state = case.dir.join("3");
    for ledger in ["", "-"] {
        let file = object::panes(&state).swap_remove(15);
        let whole = std::fs::read(&file).unwrap();
        object::rewrite(&file, |board, group, mut rows| {
            if board == "exact" && group == ledger {
                let (top, _) = rows.top();
                rows.lessen(top, 3);
            }
        });
        let report = case.audit(1, &["--state", path(&state)]);
        std::fs::write(&file, whole).unwrap();
        assert!(report["violations"].as_u64().unwrap() > 0, "ledger {ledger:?}: {report}");
    }
    let text = std::fs::read_to_string(case.dir.join("rankings.ndjson")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let forged = lines.iter_mut().find(|said| said["board"] == "sketch" && said["total"] != 0).unwrap();
    forged["total"] = json!(forged["total"].as_u64().unwrap() + 1);
    let file = case.dir.join("forged.ndjson");
    let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    std::fs::write(&file, text).unwrap();
    let report = case.audit(1, &["--rankings", path(&file)]);
    assert_eq!(report["violations"], 1, "{report}");
}

/// Change records of a database: what a delete takes away is named by what was there before.
#[test]
fn deletes_of_debezium_take_away_what_was_there() {
    let dir = new_folder("debezium");
    let mut random = StdRng::seed_from_u64(3);
    let (mut rows, mut left) = (Vec::<(u64, u64)>::new(), BTreeMap::<u64, i64>::new());
    let mut text = String::new();
    for n in 0..4000_i64 {
        let at = START + n * 10;
        // Rows of a table: of which shop each order is.
        let record = if !rows.is_empty() && random.random_bool(0.4) {
            let (order, shop) = rows.swap_remove(random.random_range(0..rows.len()));
            *left.entry(shop).or_default() -= 1;
            json!({"op": "d", "before": {"id": order, "shop": {"id": shop}}, "after": null, "ts_ms": at})
        } else {
            let shop = random.random_range(0..8_u64).min(random.random_range(0..8));
            rows.push((n as u64, shop));
            *left.entry(shop).or_default() += 1;
            json!({"op": "c", "before": null, "after": {"id": n, "shop": {"id": shop}}, "ts_ms": at})
        };
        text += &(json!({"schema": {}, "payload": record}).to_string() + "\n");
    }
    let (events, config) = (dir.join("orders.ndjson"), dir.join("crest.toml"));
    std::fs::write(&events, text).unwrap();
    let board = r#"
        [schema]
        timestamp = "payload.ts_ms"
        [[board]]
        name = "orders"
        item = ["payload.after.shop.id", "payload.before.shop.id"]
        retract = { "payload.op" = "d" }
        windows = [{ name = "all" }]
    "#;
    std::fs::write(&config, board).unwrap();
    let source = format!("file:{}", events.display());
    let finals = Crest::spawn(["--config", path(&config), "--source", &source]).finals();
    let mut expected: Vec<(i64, String)> =
        left.iter().filter(|(_, left)| **left > 0).map(|(shop, left)| (*left, shop.to_string())).collect();
    expected.sort_by(|a, b| b.cmp(a));
    let rows = finals[0]["items"].as_array().unwrap().iter();
    let rows: Vec<_> = rows
        .map(|row| (row["count"].as_i64().unwrap(), row["item_id"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(
        (&finals[0]["total"], finals.len()),
        (&json!(expected.iter().map(|(n, _)| n).sum::<i64>()), 1)
    );
    std::fs::remove_dir_all(&dir).unwrap();
}

/// What Redis has is what is left; what was removed has no key of its own.
#[test]
fn redis_has_what_is_left() {
    let (dir, rules, redis) = (new_folder("retract-redis"), rules(), Redis::start());
    let logs = logs(&Traffic { events: 8_000, items: 40, span: 4 * MINUTE, ..traffic() }, 2);
    let (source, config) = (write_files(&dir, &logs), write(&rules, &dir, ""));
    let url = redis.url();
    let mut job = Crest::spawn(["--config", path(&config), "--source", &source, "--snapshots", &url]);
    assert!(job.wait(PATIENCE).success(), "{}", job.describe());
    let keys: Vec<String> = redis.connect().keys("*").unwrap();
    assert!(keys.len() >= 24 && keys.iter().all(|key| !key.contains('-')), "{keys:?}");

    let recount = Recount::new(&rules, &logs);
    let finals = recount.finals();
    for (board, window) in [("sketch", "last_1m"), ("exact", "last_1m"), ("exact", "last_30m")] {
        for (group, key) in [(json!({}), ""), (json!({"region": "US"}), ":region=US")] {
            let of = |said: &&Value| {
                said["window"] == window && said["board"] == "exact" && said["group"] == group
            };
            let last = finals.iter().rfind(of).unwrap();
            let rows = last["items"].as_array().unwrap().iter();
            let rows =
                rows.map(|row| (row["item_id"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap()));
            let key = format!("topk:{board}:{window}{key}");
            assert_eq!(redis.ranking(&key), rows.collect::<Vec<_>>(), "{key}");
            let meta = redis.meta(&key);
            assert_eq!(
                (meta["total"].parse().ok(), meta.get("other")),
                (last["total"].as_u64(), None),
                "{key}"
            );
            assert!(meta["removed"].parse::<u64>().unwrap() > 0, "{meta:?}");
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// What makes no sense is refused by its key; a field that no event has is told; a state keeps to what it was.
#[test]
fn a_board_that_retracts_is_held_to_what_it_says() {
    let dir = new_folder("retract-refused");
    let (config, events) = (dir.join("crest.toml"), dir.join("events.ndjson"));
    std::fs::write(&events, Event::new("a", START).json() + "\n").unwrap();
    let source = format!("file:{}", events.display());
    let state = dir.join("state");
    let run = |board: &str, more: &[&str]| {
        let windows = "windows = [{ name = \"m\", size = \"1m\", slide = \"1m\" }]";
        std::fs::write(&config, format!("[[board]]\nname = \"likes\"\n{windows}\n{board}\n")).unwrap();
        Crest::spawn([&["--config", path(&config), "--source", &source], more].concat())
    };
    let distinct = "retract = { op = \"d\" }\ncount = { distinct = \"user\" }";
    let said = run(distinct, &[]).failure();
    assert!(
        said.contains("board.likes.retract = \"op\": must be left out where count.distinct is given"),
        "{said}"
    );
    let said = run("retract = { op = [] }", &[]).failure();
    assert!(said.contains("board.likes.retract.op = empty: must have at least one value"), "{said}");
    let said = run("retract = { op = { is = 1 } }", &[]).failure();
    assert!(said.contains("retract") && said.contains("a table with not, prefix or exists"), "{said}");

    let mut job = run("retract = { op = \"d\" }", &["--state", path(&state)]);
    assert!(job.wait(PATIENCE).success(), "{}", job.describe());
    assert!(job.stderr().join("\n").contains("no event had op (retract"), "{}", job.describe());
    let said = run("retract = { op = \"x\" }", &["--state", path(&state)]).failure();
    assert!(said.contains("retract") && said.contains("--reset-board likes"), "{said}");
    let mut shown = Crest::spawn(["config", "--config", path(&config), "--source", &source]);
    assert!(shown.wait(PATIENCE).success() && shown.stdout().join("\n").contains("op = \"x\""));
    std::fs::remove_dir_all(&dir).unwrap();
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
        events: 60_000,
        items: 2_000,
        span: 90 * SECOND,
        disorder: 3 * SECOND,
        regions: vec!["IN", "US", "DE"],
        ..traffic()
    };
    let mut trial = Trial::new(topic, &rules, SMALL, logs(&traffic, 3));
    trial.run_through_kills(&mut random);
    trial.assert_exactly_once(is_exact);
    let recount = trial.recount();
    trial.published.finals().iter().for_each(|said| judge(said, &recount));
}

#[test]
fn kills_on_kafka_lose_and_double_nothing_where_likes_are_sketched() {
    survives_kills("retract-sketched", "sketch", false);
}

#[test]
fn kills_on_kafka_lose_and_double_nothing_where_likes_are_counted() {
    survives_kills("retract-exact", "exact", true);
}
