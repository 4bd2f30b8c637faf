//! One item, and the points of the top items, through the real program: every bound and every rank that is said holds in an
//! exact recount, whatever the interval, the group, the engine, the number of workers, and however the job was stopped.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;
#[path = "items/rises.rs"]
mod rises;

use common::events::{Event, START, Traffic, write_files};
use common::program::{Crest, path};
use common::recount::{Counts, Group, Recount, rank};
use common::rules::{Board, Rules, Window};
use common::web::Web;
use common::{eventually, new_folder};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const K: usize = 12;
/// So few rows that sketched panes overflow, and so many kept that exact ones stay exact in rollups.
const OVERFLOWING: &str = "\n[sketch]\nrows = 32\nrows_kept = 8192\n";
/// So few that the rollups of exact panes are cut, too.
const CUT: &str = "\n[sketch]\nrows = 32\nrows_kept = 120\n";
const ENGINES: [&str; 2] = ["sketch", "exact"];

/// Two boards of the same events, sketched and exact, whose groups are regions.
fn rules() -> Rules {
    let windows = vec![Window { name: "last_10m", size: 10 * MINUTE, slide: MINUTE }];
    let board = |name| Board {
        name,
        engine: name,
        by: vec!["region"],
        k: K,
        windows: windows.clone(),
        ..Board::default()
    };
    Rules { boards: ENGINES.map(board).to_vec(), max_future_skew: None, ..Rules::default() }
}

fn traffic() -> Traffic {
    Traffic {
        events: 150_000,
        items: 5_000,
        span: 3 * HOUR,
        disorder: 8 * SECOND,
        regions: vec!["IN", "US"],
        heaviest: 3,
        ..Traffic::default()
    }
}

fn write(rules: &Rules, dir: &Path, more: &str) -> PathBuf {
    let config = rules.write(dir);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + more).unwrap();
    config
}

/// Counts a whole source into a state.
fn count(config: &Path, source: &str, state: &Path, workers: &str) {
    let job = ["--config", path(config), "--source", source, "--state", path(state), "-w", workers];
    Crest::spawn(job).finals();
}

/// A state, or those of several regions, and an API over it.
struct Held {
    dir: PathBuf,
    recount: Recount,
    web: Web,
    node: Crest,
}

impl Held {
    /// Of a region for each of these additions to the configuration, which share the partitions.
    fn new(purpose: &str, sketch: &str, regions: &[&str]) -> Held {
        Held::of(purpose, traffic().logs(3), sketch, regions)
    }

    /// Of these logs.
    fn of(purpose: &str, logs: Vec<Vec<Event>>, sketch: &str, regions: &[&str]) -> Held {
        let (dir, rules) = (new_folder(purpose), rules());
        let mut states = Vec::new();
        for (place, (more, logs)) in
            regions.iter().zip(logs.chunks(logs.len().div_ceil(regions.len()))).enumerate()
        {
            let dir = dir.join(format!("region-{place}"));
            std::fs::create_dir(&dir).unwrap();
            let more = format!("{sketch}seed = {}\n{more}", 1000 + place);
            let (source, config) = (write_files(&dir, logs), write(&rules, &dir, &more));
            let state = dir.join("state");
            count(&config, &source, &state, "2");
            states.push(format!("r{place}={}", path(&state)));
        }
        let state = match states.as_slice() {
            [state] => state.trim_start_matches("r0=").to_owned(),
            states => format!("state:{}", states.join(",")),
        };
        let (node, web) = Web::of_new(["serve", "--state", &state]);
        Held { dir, recount: Recount::new(&rules, &logs), web, node }
    }

    fn durable(&self) -> i64 {
        self.web.json("/top-k/exact?window=1h")["window_end"].as_i64().unwrap()
    }

    /// The true counts between two times.
    fn truth(&self, board: &str, region: Option<&str>, (from, to): (i64, i64)) -> Counts {
        let group: Group = region.map(|region| ("region".into(), region.into())).into_iter().collect();
        self.recount.between(board, from, to).remove(&group).unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.node.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn ask(web: &Web, path: &str) -> (u16, Value) {
    let (status, body) = web.get(path);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name}: {value}"))
}

fn times(value: &Value) -> (i64, i64) {
    let time = |name: &str| value[name].as_i64().unwrap_or_else(|| panic!("no {name}: {value}"));
    (time("window_start"), time("window_end"))
}

/// The bounds of a count hold, and are the count where the board is exact.
fn judge_count(said: &Value, truth: &Counts, id: &str, is_exact: bool) {
    let count = truth.get(id).copied().unwrap_or(0);
    let (lower, upper) = (number(said, "lower"), number(said, "upper"));
    assert!((lower..=upper).contains(&count), "{id} has {count}, not {lower} to {upper}");
    assert_eq!((number(said, "count"), &said["exact"]), (upper, &(lower == upper).into()), "{said}");
    assert!(!is_exact || lower == upper, "{id} has {count}, not {lower} to {upper}");
}

/// What is said of an item: its bounds, and the ranks that it can have.
fn judge_item(said: &Value, truth: &Counts, id: &str, is_exact: bool) {
    judge_count(said, truth, id, is_exact);
    assert_eq!(number(said, "total"), truth.values().sum::<u64>(), "{said}");
    assert_eq!(said["item_id"], id);
    if said["listed"] == false {
        assert_eq!(
            (number(said, "lower"), number(said, "upper")),
            (0, number(said, "error_floor")),
            "{said}"
        );
    }
    let count = truth.get(id).copied().unwrap_or(0);
    let before =
        truth.iter().filter(|(other, theirs)| (**theirs, other.as_str()) > (count, id)).count() as u64;
    if said["rank"].is_null() {
        assert_eq!((count, number(said, "upper")), (0, 0), "{id}: {said}");
        return;
    }
    let (best, worst) = (number(&said["rank"], "best"), number(&said["rank"], "worst"));
    assert!(best <= before + 1 && before < worst, "{id} is {}: {said}", before + 1);
    assert!(!is_exact || best == worst, "{said}");
}

/// The points of these items leave no gap in the interval, lie on multiples of the step, and hold.
fn judge_points(said: &Value, ids: &[&str], is_exact: bool, truth: impl Fn((i64, i64)) -> Counts) -> usize {
    let ((start, end), step) = (times(said), number(said, "step_ms") as i64);
    let points = said["points"].as_array().unwrap();
    assert!(points.len().is_multiple_of(ids.len()), "{} points of {} items", points.len(), ids.len());
    let mut at = start;
    for same in points.chunks(ids.len()) {
        let span = times(&same[0]);
        assert_eq!(span.0, at, "there is a gap: {said}");
        assert!(span.1 > at && span.1 <= end && (span.1 == end || span.1 % step == 0), "{span:?} of {step}");
        assert!(span.1 - span.0 <= step && (at == start || at % step == 0), "{span:?} of {step}");
        let truth = truth(span);
        for (point, id) in same.iter().zip(ids) {
            assert_eq!(times(point), span);
            assert!(point["item_id"].is_null() || point["item_id"] == *id, "{point}");
            assert_eq!(number(point, "total"), truth.values().sum::<u64>());
            judge_count(point, &truth, id, is_exact);
        }
        at = span.1;
    }
    assert_eq!(at, end, "the points end before the interval does");
    points.len() / ids.len()
}

/// Some items of all kinds: of the head, of the tail, and one that never was.
fn some_ids(truth: &Counts, random: &mut StdRng) -> Vec<String> {
    let ranked = rank(truth, usize::MAX);
    let head = ranked.iter().take(3);
    let tail = (0..3).filter_map(|_| ranked.choose(random));
    head.chain(tail)
        .map(|(id, _)| id.clone())
        .chain(["never seen".to_owned(), "item-4999".to_owned()])
        .collect()
}

fn encoded(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Asks for items and series in intervals of all lengths; how many points were judged, and how many were not exact.
fn judge_at_random(held: &Held, seed: u64, rounds: usize, are_cut: bool) -> (usize, usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let (first, durable) = (START / (10 * SECOND) * 10 * SECOND, held.durable());
    let (mut points, mut inexact) = (0, 0);
    for round in 0..rounds {
        let from = random.random_range(first + 10 * SECOND..durable - 1);
        let long = [5 * MINUTE, HOUR, 3 * HOUR][round % 3];
        let to = random.random_range(from + 1..=durable.min(from + long));
        let (board, region) = (ENGINES[round % 2], [None, Some("IN"), Some("US")][random.random_range(0..3)]);
        let is_exact = board == "exact" && !are_cut;
        let group = region.map_or(String::new(), |region| format!("&region={region}"));
        let truth = |span| held.truth(board, region, span);
        let interval = format!("from={from}&to={to}{group}");
        for id in some_ids(&truth((from, to)), &mut random) {
            let (status, said) = ask(&held.web, &format!("/items/{board}/{}?{interval}", encoded(&id)));
            assert_eq!(status, 200, "seed {seed}: {interval}: {said}");
            let (start, end) = times(&said);
            assert!(start <= from && to <= end && end <= durable.max(to), "{interval}: {said}");
            judge_item(&said, &truth((start, end)), &id, is_exact);
            points += judge_points(&said, &[&id], is_exact, truth);
            inexact += usize::from(said["exact"] == false);
        }
        let (status, said) = ask(&held.web, &format!("/series/{board}?{interval}&k=5"));
        assert_eq!(status, 200, "seed {seed}: {interval}: {said}");
        let items = said["items"].as_array().unwrap();
        let ids: Vec<&str> = items.iter().map(|item| item["item_id"].as_str().unwrap()).collect();
        if is_exact {
            let top: Vec<String> = rank(&truth(times(&said)), 5).into_iter().map(|(id, _)| id).collect();
            assert_eq!(ids, top);
        }
        points += judge_points(&said, &ids, is_exact, truth);
    }
    (points, inexact)
}

#[test]
fn bounds_and_ranks_of_any_item_hold_in_any_interval_and_at_each_point_of_it() {
    let held = Held::new("items", OVERFLOWING, &[""]);
    let (points, inexact) = judge_at_random(&held, 20_261_130, 12, false);
    assert!(points > 500 && inexact > 0, "{points} points, {inexact} counts that are not exact");
    // In windows, and in those with points.
    for (query, points) in [
        ("window=last_10m", 0),
        ("window=3h", 0),
        ("window=last_10m&step=auto", 60),
        ("window=1h&step=20m", 4),
    ] {
        let said = held.web.json(&format!("/items/exact/item-1?{query}"));
        judge_item(&said, &held.truth("exact", None, times(&said)), "item-1", true);
        let found = said["points"].as_array().map_or(0, Vec::len);
        assert!(found.abs_diff(points) <= 1, "{query}: {found} points");
    }
    // One that begins too early begins with what is kept.
    for path in ["/items/exact/item-1", "/series/exact"] {
        let said = held.web.json(&format!("{path}?from=7"));
        let end = START / (10 * SECOND) * 10 * SECOND + 10 * SECOND;
        assert!(times(&said).0 < end && times(&said).1 == held.durable(), "{said}");
    }
    let said = held.web.json("/series/exact?window=last_10m");
    assert_eq!(said["items"].as_array().unwrap().len(), 10, "ten, unless more are asked for");
}

#[test]
fn over_blocks_that_were_let_go_of_and_the_states_of_regions_they_hold_as_well() {
    let forgets = "[state.retention]\npane = \"30m\"\n\"1m\" = \"1h\"\n\"10m\" = \"10h\"\n";
    let held = Held::new("items-regions", CUT, &["", forgets, ""]);
    let (points, inexact) = judge_at_random(&held, 20_261_131, 24, true);
    assert!(points > 500 && inexact > 0, "{points} points, {inexact} counts that are not exact");
    let durable = held.durable();
    let back = |hours: i64| durable - hours * HOUR;
    let (status, said) =
        ask(&held.web, &format!("/items/sketch/item-1?from={}&to={}&step=1m", back(2), back(1)));
    let error = said["error"].as_str().unwrap();
    let told =
        "step = \"1m\": must be a multiple of 10m, which is how long the blocks are that are kept there";
    assert!(status == 400 && error == told, "{status} {said}");
    // From the first pane that was counted on, which is in the middle of the first block that is kept.
    for board in ENGINES {
        let said = held.web.json(&format!("/items/{board}/item-1?from=7"));
        judge_item(&said, &held.truth(board, None, times(&said)), "item-1", false);
        judge_points(&said, &["item-1"], false, |span| held.truth(board, None, span));
        assert!(times(&said).0 < START && times(&said).0 % (10 * MINUTE) != 0, "{:?}", times(&said));
    }
    // A step that fits is answered up to where the interval begins, and no further back than is asked for.
    let said = held.web.json(&format!("/items/sketch/item-1?from={}&to={}&step=70m", back(2) + 1, back(1)));
    judge_points(&said, &["item-1"], false, |span| held.truth("sketch", None, span));
}

#[test]
fn any_number_of_workers_gives_the_same_answers() {
    let (dir, rules) = (new_folder("items-workers"), rules());
    let source = write_files(&dir, &traffic().logs(4));
    let config = write(&rules, &dir, OVERFLOWING);
    let (mut answers, from, middle) = (Vec::new(), START + 30 * MINUTE, START + 90 * MINUTE);
    for workers in ["1", "2", "3"] {
        let state = dir.join(workers);
        count(&config, &source, &state, workers);
        let (mut node, web) = Web::of_new(["serve", "--state", path(&state)]);
        let mut texts = Vec::new();
        for board in ENGINES {
            for query in
                ["window=last_10m", "window=1h&step=auto", &format!("from={from}&to={middle}&region=IN")]
            {
                for place in [
                    "items/BOARD/item-2?",
                    "items/BOARD/item-4000?",
                    "items/BOARD/none?",
                    "series/BOARD?",
                    "top-k/BOARD?by=rise&against=20m&",
                ] {
                    // What rises has no points.
                    let query =
                        if place.contains("rise") { query.trim_end_matches("&step=auto") } else { query };
                    let text = web.get(&format!("/{}{query}", place.replace("BOARD", board))).1;
                    texts.push(common::program::without_computed_at(&text));
                }
            }
        }
        answers.push(texts);
        node.kill();
    }
    assert!(answers[0].iter().any(|text| text.contains("\"exact\":false")) && answers[0].len() == 30);
    assert_eq!(answers[0].iter().filter(|text| text.contains("\"surge\":")).count(), 6);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_can() {
    let held = Held::new("items-refused", OVERFLOWING, &[""]);
    let (durable, long) = (held.durable(), "x".repeat(1025));
    let items = "/items/sketch/item-1";
    for (path, status, told) in [
        ("/items/none/item-1".into(), 404, "there is no board \"none\""),
        ("/series/none".into(), 404, "there is no board \"none\""),
        (format!("{items}?window=last_1w"), 404, "has no window \"last_1w\""),
        (format!("{items}?window=3h&region=XX"), 404, "has no events of region=XX in 3h"),
        ("/series/sketch?region=XX".into(), 404, "has no events of region=XX in last_10m"),
        (format!("{items}?region=IN&city=x"), 400, "\"city\" means nothing here"),
        (format!("{items}?k=3"), 400, "k = \"3\": means nothing here"),
        (format!("{items}?from=7&to=7"), 400, "to = \"7\": must be after from"),
        (format!("{items}?window=1h&step=15s"), 400, "step = \"15s\": must be a multiple of 10s, or auto"),
        (format!("{items}?window=1h&step=x"), 400, "step = \"x\": must be a multiple of 10s, or auto"),
        (format!("{items}?window=1h&step=10s&step=10s"), 400, "step is given twice"),
        (
            format!("{items}?window=3h&step=10s"),
            400,
            "step = \"10s\": the interval has 1080 such steps, and at most 1000",
        ),
        ("/series/sketch?window=1h&step=0s".into(), 400, "step = \"0s\": must be a multiple of 10s, or auto"),
        ("/series/sketch?k=13".into(), 400, "k = \"13\": must be from 1 to 12"),
        (format!("{items}?from=7&to=2000"), 416, "was let go of, or was never counted"),
        (format!("/series/sketch?from={}", durable + HOUR), 416, "was let go of, or was never counted"),
        (
            format!("/items/sketch/{long}"),
            400,
            "an item's id has from 1 to 1024 bytes, and this one has 1025",
        ),
        ("/items/sketch/%FF".into(), 400, "the path is not UTF-8"),
        ("/items/sketch/a/b".into(), 404, "there is no /items/sketch/a/b"),
        ("/items/sketch/".into(), 404, "there is no /items/sketch/"),
    ] {
        let (got, body) = ask(&held.web, &path);
        let error = body["error"].as_str().unwrap();
        assert!(got == status && error.contains(told), "{path}: {got} {body}");
    }
    let (_, body) = ask(&held.web, "/items/none/item-1");
    assert_eq!(body["boards"], serde_json::json!(["sketch", "exact"]));
    // What an id may have is asked for as it is written in a path.
    for id in ["a/b?c&d#e %25", "☃", &"x".repeat(1024), "%", "+"] {
        let (status, said) = ask(&held.web, &format!("/items/exact/{}", encoded(id)));
        assert_eq!((status, said["item_id"].as_str()), (200, Some(id)));
        assert_eq!(
            (&said["count"], &said["rank"], &said["listed"]),
            (&0.into(), &Value::Null, &false.into())
        );
    }
    assert_eq!(
        held.web.metric("crest_http_requests_total", "route=\"/items/{board}/{id}\",status=\"4xx\""),
        14.0
    );
}

/// A job that was killed says of all items what it said before, and counts on.
#[test]
fn after_a_kill_and_a_restart_they_hold() {
    let dir = new_folder("items-killed");
    let rules = Rules { pane: SECOND, out_of_orderness: 0, ..rules() };
    let config = write(&rules, &dir, OVERFLOWING);
    let events = Traffic { events: 6_000, span: 5 * MINUTE, disorder: 0, ..traffic() }.log();
    let start = || {
        Web::of_new([
            "--config",
            path(&config),
            "--state",
            path(&dir.join("state")),
            "--idle-timeout",
            "200ms",
        ])
    };
    let (mut job, web) = start();
    web.send_events(&events[..3_500]);
    eventually("some panes are durable", || web.get("/items/exact/item-1?window=20s").0 == 200);
    job.kill();
    let (mut job, web) = start();
    web.send_events(&events[3_500..]);
    // A last event lets all panes before it close.
    web.send_events(&[Event::new("last", START + HOUR).with("region", "IN")]);
    let (from, to) = (START, START + 5 * MINUTE);
    let asked = format!("from={from}&to={to}");
    eventually("all panes are durable", || {
        let (status, said) = ask(&web, &format!("/items/exact/item-1?{asked}"));
        status == 200 && times(&said).1 == to
    });
    let mut recount = Recount::empty(&rules, 1);
    events.iter().for_each(|event| recount.read(0, event));
    for board in ENGINES {
        for (region, group) in [(None, Group::new()), (Some("US"), [("region".into(), "US".into())].into())] {
            let truth =
                |(from, to): (i64, i64)| recount.between(board, from, to).remove(&group).unwrap_or_default();
            let query = region.map_or(asked.clone(), |region| format!("{asked}&region={region}"));
            for id in ["item-1", "item-17", "item-3000", "never"] {
                let said = web.json(&format!("/items/{board}/{id}?{query}"));
                judge_item(&said, &truth(times(&said)), id, board == "exact");
                assert!(judge_points(&said, &[id], board == "exact", truth) > 50);
            }
            let group = region.map_or(String::new(), |region| format!("&region={region}"));
            let half = format!("from={}&to={to}&by=rise{group}", (from + to) / 2);
            let said = web.json(&format!("/top-k/{board}?{half}"));
            rises::judge(&said, truth, K, board == "exact");
        }
    }
    job.kill();
    std::fs::remove_dir_all(dir).unwrap();
}
