//! Final rankings in a topic of the real Kafka: whatever is killed, and however long the topic's broker is away, each is
//! there under its id, with one content, and the last one of each key is the last ranking.
//!
//! The seed is printed; `CREST_TEST_SEED=…` gives the same events and kills again (as far as time repeats itself).

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic};
use common::program::{Cluster, path, without_computed_at};
use common::records::{Record, records};
use common::rules::Rules;
use common::seed;
use common::servers::Kafka;
use common::trial::{Place, Trial};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
const PARTITIONS: usize = 4;
const KILLS: usize = 6;
const PLACES: [Place; 3] = [(1, 1), (3, 1), (2, 1)];

fn traffic(seed: u64, items: u64) -> Vec<Vec<Event>> {
    Traffic::mixed(seed, 60_000, items, 90 * SECOND).logs(PARTITIONS)
}

/// Lets a run go on until the instant of its kill: any since its start, or one soon after it has published.
fn let_run(job: &Cluster, random: &mut StdRng) {
    let (lines, enough) = (random.random_range(1..150), Instant::now() + Duration::from_secs(3));
    while job.processes[0].stdout().len() < lines && Instant::now() < enough {
        sleep(Duration::from_millis(3));
    }
    sleep(Duration::from_millis(random.random_range(0..150)));
}

fn kill(job: &mut Cluster) {
    for crest in &mut job.processes {
        assert!(crest.running(), "it ended by itself: {}", crest.describe());
        crest.kill();
    }
}

/// The key of a final snapshot, as the documentation says it.
fn key(snapshot: &Value) -> String {
    let group = snapshot["group"].as_object().unwrap();
    let pairs: Vec<String> =
        group.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    let (board, window) = (snapshot["board"].as_str().unwrap(), snapshot["window"].as_str().unwrap());
    [board, window]
        .into_iter()
        .chain((!pairs.is_empty()).then_some(&*pairs.join(",")))
        .collect::<Vec<_>>()
        .join("/")
}

/// Holds the records of a topic against all final snapshots that must be there, in the order of their ends.
fn assert_all_there(found: &[Record], expected: &[Value]) {
    let mut by_id: BTreeMap<&str, String> = BTreeMap::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for Record { key: of, id, body } in found {
        let text = without_computed_at(body);
        let before = by_id.entry(id).or_insert_with(|| text.clone());
        assert_eq!(*before, text, "{id} has two contents");
        let snapshot: Value = serde_json::from_str(body).unwrap();
        assert_eq!((of, &format!("{of}@{}", snapshot["window_end"])), (&key(&snapshot), id));
        last.insert(of, id);
    }
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|snapshot| (key(snapshot), format!("{}@{}", key(snapshot), snapshot["window_end"])))
        .collect();
    let missing: Vec<_> = expected.iter().filter(|(_, id)| !by_id.contains_key(id.as_str())).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {:?}", missing.len(), expected.len(), missing.first());
    assert_eq!(by_id.len(), expected.len(), "nothing else is there");
    let newest: BTreeMap<&str, &str> = expected.iter().map(|(key, id)| (key.as_str(), id.as_str())).collect();
    assert_eq!(last, newest, "the last record of each key is the last ranking");
}

fn survives_kills(topic: &'static str, engine: &'static str, exact: bool) {
    let seed = seed(topic);
    let mut random = StdRng::seed_from_u64(seed);
    let finals = format!("{topic}-finals");
    Kafka::shared().create_topic_with(&finals, 3, &[("cleanup.policy", "compact")]);
    let url = Kafka::shared().url(&finals);
    let more = ["--snapshots", url.as_str()];
    let mut trial = Trial::new(topic, &Rules::live_with_groups(engine), "", traffic(seed, 300));
    for round in 0..KILLS {
        let sending = trial.send(1.0 / KILLS as f64);
        let mut job = trial.start(PLACES[round % PLACES.len()], &more);
        let_run(&job, &mut random);
        kill(&mut job);
        trial.published.take(&job.processes[0].stdout());
        sending.join().unwrap();
    }
    trial.send_rest();
    trial.finish(&mut trial.start((2, 1), &more));
    trial.assert_exactly_once(exact);
    let found = records(Kafka::shared(), &finals);
    let expected = trial.published.finals();
    eprintln!("{topic}: {} records of {} rankings", found.len(), expected.len());
    assert_all_there(&found, &expected);
}

#[test]
fn kills_lose_no_ranking_and_give_none_two_contents() {
    survives_kills("finals-sketched", "sketch", true);
}

#[test]
fn kills_lose_no_exact_ranking_and_give_none_two_contents() {
    survives_kills("finals-counted", "exact", true);
}

#[test]
fn what_waited_for_a_broker_when_the_job_was_killed_is_published_by_the_next() {
    let (topic, broker) = ("finals-wait", Kafka::start(1));
    broker.create_topic("finals", 1);
    let url = broker.url("finals");
    let more = ["--snapshots", url.as_str()];
    let mut trial = Trial::new(topic, &Rules::live_with_groups("sketch"), "", traffic(seed(topic), 300));
    let sending = trial.send(0.3);
    let mut job = trial.start((2, 1), &more);
    job.processes[0].until("some windows", |crest| (crest.stdout().len() > 20).then_some(()));
    sending.join().unwrap();
    broker.kill();
    let lines = job.processes[0].stdout().len();
    trial.send(0.3).join().unwrap();
    // Rankings are made and printed, and the state is committed, while the topic cannot be written.
    job.processes[0].until("windows beyond", |crest| (crest.stdout().len() > lines + 60).then_some(()));
    sleep(Duration::from_secs(3));
    kill(&mut job);
    trial.published.take(&job.processes[0].stdout());
    broker.start_again();
    let mut job = trial.start((1, 1), &more);
    trial.send_rest();
    trial.finish(&mut job);
    let found = records(&broker, "finals");
    assert_all_there(&found, &trial.published.finals());
}

#[test]
fn a_bounded_run_has_all_its_rankings_in_the_topic_when_it_ends() {
    let dir = common::new_folder("finals-bounded");
    let log = dir.join("events.ndjson");
    let mut all: Vec<Event> = traffic(7, 300).concat();
    all.sort_by_key(|event| event.time);
    std::fs::write(&log, all.iter().map(|event| event.json() + "\n").collect::<String>()).unwrap();
    Kafka::shared().create_topic("finals-bounded", 2);
    let (source, url) = (format!("file:{}", path(&log)), Kafka::shared().url("finals-bounded"));
    let job = [
        "--source",
        &source,
        "--snapshots",
        "-",
        "--snapshots",
        &url,
        "--pane",
        "1s",
        "--window",
        "last_10s=10s/1s",
    ];
    let printed = common::program::Crest::spawn(job).finals();
    let found = records(Kafka::shared(), "finals-bounded");
    assert_eq!(found.len(), printed.len(), "each once");
    assert_all_there(&found, &printed);
    std::fs::remove_dir_all(&dir).unwrap();
}
