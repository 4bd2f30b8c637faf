//! Any past interval from the state, by an API node without a job: what it says equals an exact recount, covers what it
//! says it covers, and what is not held any more is refused with what is.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{START, Traffic, write_files};
use common::new_folder;
use common::program::{Crest, path};
use common::recount::{Group, Recount, rank};
use common::rules::{Board, Rules, Window};
use common::web::Web;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const K: usize = 15;

/// A state of five hours, and an API over it.
struct Past {
    dir: PathBuf,
    recount: Recount,
    node: Crest,
    web: Web,
}

impl Past {
    fn new(purpose: &str, retention: &str) -> Past {
        Past::of_regions(purpose, &[retention])
    }

    /// Of a region for each of these retentions, which share the partitions.
    fn of_regions(purpose: &str, retentions: &[&str]) -> Past {
        let windows = vec![Window { name: "last_10m", size: 10 * MINUTE, slide: MINUTE }];
        let board = Board { by: vec!["region"], k: K, windows, ..Board::default() };
        let rules = Rules { boards: vec![board], max_future_skew: None, ..Rules::default() };
        let traffic = Traffic {
            events: 60_000,
            items: 400,
            span: 5 * HOUR,
            disorder: 8 * SECOND,
            regions: vec!["IN", "US"],
            ..Traffic::default()
        };
        let (dir, logs) = (new_folder(purpose), traffic.logs(3));
        let mut states = Vec::new();
        for (retention, logs) in retentions.iter().zip(logs.chunks(logs.len().div_ceil(retentions.len()))) {
            let dir = dir.join(format!("region-{}", states.len()));
            std::fs::create_dir(&dir).unwrap();
            let (source, config) = (write_files(&dir, logs), rules.write(&dir));
            let text = std::fs::read_to_string(&config).unwrap() + retention;
            std::fs::write(&config, text).unwrap();
            let state = dir.join("state");
            let job = ["--config", path(&config), "--source", &source, "--state", path(&state), "-w", "2"];
            // A region hashes with a secret of its own.
            let seed = format!("\n[sketch]\nseed = {}\n", 1000 + states.len());
            std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + &seed).unwrap();
            Crest::spawn(job).finals();
            states.push(path(&state).to_owned());
        }
        let state = match states.as_slice() {
            [state] => state.clone(),
            states => {
                let named = states.iter().enumerate().map(|(place, state)| format!("r{place}={state}"));
                format!("state:{}", named.collect::<Vec<_>>().join(","))
            }
        };
        let (node, web) = Web::of_new(["serve", "--state", &state]);
        Past { dir, recount: Recount::new(&rules, &logs), node, web }
    }

    fn ask(&self, query: &str) -> (u16, Value) {
        let (status, body) = self.web.get(&format!("/top-k?{query}"));
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// Asks for an interval; what it really covers, after the answer was compared with the recount of just that.
    fn check(&self, query: &str, region: Option<&str>) -> (i64, i64) {
        let group: Group = region.map(|region| ("region".into(), region.into())).into_iter().collect();
        let query = region.map_or(query.to_owned(), |region| format!("{query}&region={region}"));
        let (status, answer) = self.ask(&query);
        assert_eq!(status, 200, "{query}: {answer}");
        let time = |key: &str| answer[key].as_i64().unwrap();
        let (start, end) = (time("window_start"), time("window_end"));
        let counts = self.recount.between("default", start, end).remove(&group).unwrap_or_default();
        assert_eq!(answer["total"], counts.values().sum::<u64>(), "{query}: {answer}");
        let rows = rank(&counts, K);
        let items: Vec<(String, u64)> = answer["items"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(items, rows, "{query}");
        assert_eq!((&answer["error"], &answer["error_floor"]), (&0.into(), &0.into()));
        assert_eq!((&answer["final"], &answer["group"]), (&true.into(), &json!(group)));
        (start, end)
    }

    fn durable(&self) -> i64 {
        self.ask("window=1h").1["window_end"].as_i64().unwrap()
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        self.node.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn row(item: &Value) -> (String, u64) {
    (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap())
}

#[test]
fn any_interval_equals_the_recount_of_it() {
    let past = Past::new("past", "");
    let (first, durable) = (START / (10 * SECOND) * 10 * SECOND, past.durable());
    let seed = 20_261_122;
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..60 {
        let from = random.random_range(first + 10 * SECOND..durable - 1);
        let to = random.random_range(from + 1..=durable);
        let region = [None, Some("IN"), Some("US")][random.random_range(0..3)];
        let covered = past.check(&format!("from={from}&to={to}"), region);
        // Whole panes, and no more of them than there need be.
        let pane = 10 * SECOND;
        assert_eq!(covered, (from / pane * pane, (to + pane - 1) / pane * pane), "seed {seed}");
    }
    let text = |ms: i64| chrono::DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339();
    let (from, to) = (text(first + HOUR).replace("+00:00", "Z"), text(first + 2 * HOUR).replace('+', "%2B"));
    assert_eq!(past.check(&format!("from={from}&to={to}"), None), (first + HOUR, first + 2 * HOUR));
    // Up to what is durable.
    assert_eq!(past.check("window=3h", Some("IN")), (durable - 3 * HOUR, durable));
    assert_eq!(past.check("window=40s", None), (durable - 40 * SECOND, durable));
    assert_eq!(past.check("window=last_10m", None), (durable - 10 * MINUTE, durable), "a window by its name");
    assert_eq!(past.check(&format!("from={}", durable - MINUTE), None), (durable - MINUTE, durable));
    assert_eq!(past.check(&format!("from={}&to={}", durable - MINUTE, durable + HOUR), None).1, durable);
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_can() {
    let mut past = Past::new("past-refused", "");
    let durable = past.durable();
    for (query, status, told) in [
        ("from=yesterday", 400, "from = \"yesterday\": must be a time"),
        ("to=5", 400, "to is given without from"),
        ("from=7&to=7", 400, "to = \"7\": must be after from"),
        ("from=7&window=1h", 400, "an interval is one or the other"),
        ("window=15s", 400, "window = \"15s\": must be a window's name, or a multiple of 10s"),
        ("window=last_1w", 404, "has no window \"last_1w\""),
        ("window=3h&region=XX", 404, "has no events of region=XX"),
        ("from=7&to=2000", 416, "was let go of, or was never counted"),
    ] {
        let (got, body) = past.ask(query);
        let error = body["error"].as_str().unwrap();
        assert!(got == status && error.contains(told), "{query}: {got} {body}");
    }
    let (_, body) = past.ask(&format!("from={}", durable + HOUR));
    let kept = &body["kept"][0];
    assert_eq!(kept["to_ms"], durable, "{body}");
    let whole = past.check(&format!("from={}&to={durable}", kept["from_ms"]), None);
    assert_eq!(whole, (kept["from_ms"].as_i64().unwrap(), durable), "all that is told can be asked for");
    past.node.sigterm();
    past.node.wait(Duration::from_secs(5));
}

#[test]
fn what_is_older_is_held_in_longer_blocks_and_the_answer_says_so() {
    let retention =
        "\n[state.retention]\npane = \"30m\"\n\"1m\" = \"1h\"\n\"10m\" = \"2h\"\n\"1h\" = \"3h\"\n";
    let past = Past::new("past-kept", retention);
    let durable = past.durable();
    let from = |back: i64| durable - back;
    // Recent panes, and then minutes, tens of minutes, hours: rounded outward.
    let whole = |time: i64, block: i64| time / block * block;
    for (back, block) in [(20 * MINUTE, 10 * SECOND), (55 * MINUTE, MINUTE), (110 * MINUTE, 10 * MINUTE)] {
        let at = from(back) + 7 * SECOND;
        let (start, end) = past.check(&format!("from={at}&to={}", at + 5 * SECOND), Some("US"));
        assert_eq!((start, end), (whole(at, block), whole(at + 5 * SECOND - 1, block) + block), "{back}");
    }
    let at = from(150 * MINUTE);
    assert_eq!(past.check(&format!("from={at}&to={durable}"), None), (whole(at, HOUR), durable));
    let panes = std::fs::read_dir(past.dir.join("region-0/state/panes")).unwrap().count() as i64;
    assert!(
        (180..240).contains(&panes),
        "half an hour of panes and what belongs to their minutes, not {panes}"
    );
    let whole = past.check(&format!("from={}&to={}", START + 10 * SECOND, durable), None);
    assert!(whole.0 < START, "days are kept for good");
}

#[test]
fn over_the_states_of_regions_any_interval_equals_the_recount_of_all() {
    let forgets = "\n[state.retention]\npane = \"30m\"\n\"1m\" = \"1h\"\n\"10m\" = \"2h\"\n";
    let past = Past::of_regions("past-regions", &["", forgets]);
    let durable = past.durable();
    let mut random = StdRng::seed_from_u64(20_261_130);
    let first = START / (10 * SECOND) * 10 * SECOND;
    let mut widened = 0;
    for _ in 0..60 {
        let from = random.random_range(first + 10 * SECOND..durable - 1);
        let to = random.random_range(from + 1..=durable);
        let region = [None, Some("IN"), Some("US")][random.random_range(0..3)];
        // All have blocks for what is covered, however long theirs are.
        let (start, end) = past.check(&format!("from={from}&to={to}"), region);
        assert!(start <= from && to <= end && end <= durable);
        widened += i32::from(from - start > MINUTE);
    }
    assert!(widened > 10, "only {widened} were widened");
    let (status, answer) = past.ask("window=3h&region=XX");
    assert_eq!(status, 404, "{answer}");
    let (status, answer) = past.ask("from=7&to=2000");
    let error = answer["error"].as_str().unwrap();
    assert!(status == 416 && error.starts_with("region r0: the interval is not held"), "{answer}");
}
