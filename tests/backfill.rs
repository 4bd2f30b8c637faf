//! Backfills with the real Kafka and Redis: a past that was never counted is filled beside the live job, through kills,
//! and what was counted wrongly is counted anew; every interval then equals an exact recount.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{START, Traffic};
use common::program::{Crest, path};
use common::recount::{Group, Recount, rank};
use common::rules::{Board, Rules, Window};
use common::servers::Redis;
use common::trial::Trial;
use common::web::Web;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const K: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);

fn rules() -> Rules {
    let windows = vec![
        Window { name: "last_5s", size: 5 * SECOND, slide: SECOND },
        Window { name: "minutes", size: MINUTE, slide: MINUTE },
    ];
    Rules::live(vec![Board { by: vec!["region"], k: K, windows, ..Board::default() }])
}

/// A topic of 25 minutes, of which a live job counts the second half.
struct Halves {
    trial: Trial,
    recount: Recount,
    middle: Vec<usize>,
}

impl Halves {
    fn new(topic: &'static str) -> Halves {
        let traffic = Traffic {
            events: 60_000,
            items: 200,
            span: 25 * MINUTE,
            disorder: 3 * SECOND,
            regions: vec!["IN", "US"],
            ..Traffic::default()
        };
        let logs = traffic.logs(2);
        let middle = logs.iter().map(|log| log.len() / 2).collect();
        let trial = Trial::new(topic, &rules(), "", logs);
        let recount = trial.recount();
        Halves { trial, recount, middle }
    }

    fn offsets(&self) -> String {
        let names = self.trial.partitions();
        names.iter().zip(&self.middle).map(|(name, at)| format!("{name}={at}")).collect::<Vec<_>>().join(",")
    }

    fn backfill(&self, from: i64, to: i64, more: &[&str]) -> Crest {
        let (from, to) = (from.to_string(), to.to_string());
        self.trial.command("backfill", &[&["--from", &from, "--to", &to], more].concat())
    }

    fn state(&self) -> Value {
        let mut look =
            Crest::spawn(["state", "--json", "--verify", "--state", path(&self.trial.dir.join("state"))]);
        assert!(look.wait(PATIENCE).success(), "{}", look.describe());
        serde_json::from_str(&look.stdout()[0]).unwrap()
    }

    /// Compares intervals that begin and end with panes between these times with the recount.
    fn check(&self, from: i64, to: i64, seed: u64) {
        let state = self.trial.dir.join("state");
        let (mut node, web) = Web::of_new(["serve", "--state", path(&state)]);
        let mut random = StdRng::seed_from_u64(seed);
        let panes = (to - from) / SECOND;
        for _ in 0..25 {
            let start = random.random_range(0..panes);
            let (start, end) =
                (from + start * SECOND, from + random.random_range(start + 1..=panes) * SECOND);
            self.check_one(&web, start, end, random.random_range(0..2) == 0);
        }
        self.check_one(&web, from, to, false);
        node.kill();
    }

    fn check_one(&self, web: &Web, start: i64, end: i64, region: bool) {
        let group: Group = region.then(|| ("region".into(), "IN".into())).into_iter().collect();
        let query = if region { "&region=IN" } else { "" };
        let (status, body) = web.get(&format!("/top-k?from={start}&to={end}{query}"));
        let counts = self.recount.between("default", start, end).remove(&group).unwrap_or_default();
        if region && counts.is_empty() {
            return assert_eq!(status, 404, "{body}");
        }
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&answer["window_start"], &answer["window_end"]), (&start.into(), &end.into()));
        assert_eq!(answer["total"], counts.values().sum::<u64>(), "{start} to {end}: {answer}");
        let row =
            |item: &Value| (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap());
        let rows: Vec<(String, u64)> = answer["items"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, rank(&counts, K), "{start} to {end}");
    }
}

#[test]
fn a_past_is_filled_beside_the_live_job_through_kills_and_counted_anew_where_it_is_wrong() {
    fills_a_past("filled");
}

#[test]
fn a_past_of_several_topics_is_filled_beside_the_live_job() {
    fills_a_past("filled-one,filled-two");
}

fn fills_a_past(topics: &'static str) {
    let seed: u64 = std::env::var("CREST_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(9);
    eprintln!("CREST_TEST_SEED={seed}");
    let mut halves = Halves::new(topics);
    let redis = Redis::start();
    halves.trial.send(0.9).join().unwrap();
    let offsets = halves.offsets();
    let mut job = halves.trial.start((1, 1), &["--start", &offsets]);
    job.processes[0].until("windows", |crest| (crest.stdout().len() > 100).then_some(()));

    // What the live job began with is its first pane.
    let counted = halves.state()["counted"][0].clone();
    let first = counted["from_ms"].as_i64().unwrap();
    let from = START - 10 * SECOND;
    let snapshots = redis.url();
    let more = ["-w", "2", "--snapshots", &snapshots];
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..4 {
        let mut killed = halves.backfill(from, first, &more);
        std::thread::sleep(Duration::from_millis(random.random_range(50..900)));
        killed.kill();
    }
    let mut filled = halves.backfill(from, first, &more);
    assert!(filled.wait(PATIENCE).success(), "{}", filled.describe());
    let state = halves.state();
    assert_eq!(state["backfills"], Value::Array(Vec::new()));
    assert_eq!(state["counted"].as_array().unwrap().len(), 1, "there is no gap: {}", state["counted"]);
    assert_eq!(state["counted"][0]["from_ms"], from);
    halves.check(from, first, seed);

    // Its buckets are there, and no live key.
    let minute = START / MINUTE * MINUTE + MINUTE;
    let time = chrono::DateTime::from_timestamp_millis(minute).unwrap().format("%Y-%m-%dT%H:%M");
    let top = redis.ranking(&format!("topk:{time}"));
    let counts = halves.recount.between("default", minute, minute + MINUTE).remove(&Group::new()).unwrap();
    assert_eq!(top, rank(&counts, K));
    let keys: Vec<String> = redis::Commands::keys(&mut redis.connect(), "*").unwrap();
    assert!(keys.iter().all(|key| key.contains("topk:20")), "{keys:?}");

    // There is nothing more to do.
    let mut again = halves.backfill(from, first, &more);
    assert!(again.wait(PATIENCE).success(), "{}", again.describe());

    // The live job, which has not noticed, publishes what it would have. Its first panes lack what came before its offsets.
    halves.trial.send_rest();
    let middle = halves.middle.clone();
    let expected = halves.trial.expected_of(|partition, offset, _| offset >= middle[partition]);
    halves.trial.finish_with(&mut job, &expected);
    let wrong = first + 10 * SECOND;
    let mut anew = halves.backfill(first - 10 * SECOND, wrong, &["--replace"]);
    assert!(anew.wait(PATIENCE).success(), "{}", anew.describe());
    let durable = halves.state()["durable_ms"].as_i64().unwrap();
    halves.check(from, durable, seed + 1);
}

#[test]
fn what_cannot_be_filled_is_refused_before_anything_is_counted() {
    let mut halves = Halves::new("not-filled");
    let refused = |halves: &Halves, from: i64, to: i64, more: &[&str]| {
        let mut crest = halves.backfill(from, to, more);
        assert!(!crest.wait(PATIENCE).success(), "{}", crest.describe());
        crest.stderr().join("\n")
    };
    let reason = refused(&halves, START, START + MINUTE, &[]);
    assert!(reason.contains("there is no manifest"), "{reason}");
    halves.trial.send(0.9).join().unwrap();
    let mut job = halves.trial.start((1, 1), &[]);
    job.processes[0].until("windows", |crest| (crest.stdout().len() > 50).then_some(()));
    let reason = refused(&halves, START, START + 1000 * MINUTE, &[]);
    assert!(reason.contains("the job has counted up to"), "{reason}");
    let reason = refused(&halves, START, START, &[]);
    assert!(reason.contains("--to"), "{reason}");
    let reason = refused(&halves, START, START + MINUTE, &["--engine", "exact"]);
    assert!(reason.contains("boards[default].engine"), "{reason}");
    let reason = refused(&halves, START, START + MINUTE, &["--board", "nobody"]);
    assert!(reason.contains("--board = \"nobody\": must be one of default"), "{reason}");
    let reason = refused(&halves, START, START + MINUTE, &["--reset-board", "default"]);
    assert!(reason.contains("only the job itself resets boards"), "{reason}");
    let reason = refused(&halves, START, START + MINUTE, &["-n", "2"]);
    assert!(reason.contains("--processes"), "{reason}");
    assert_eq!(halves.state()["backfills"], Value::Array(Vec::new()));
    job.processes[0].kill();
}
