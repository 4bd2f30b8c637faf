//! Several topics as one source, by the real program from the real broker: a list, a pattern, topics that come and go.
//! Whatever their number, each event counts once.

#![allow(clippy::unwrap_used)] // a step that fails is a failed test

mod common;

use common::events::{Event, START, every_10_ms, now};
use common::program::{Crest, parse_finals, path};
use common::recount::{Recount, assert_begins_with};
use common::rules::Rules;
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
/// Far more than an end takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn rules() -> Rules {
    Rules::of_seconds(4 * SECOND)
}

/// A job with a state, over the topics that a URL names.
struct Job {
    crest: Crest,
    web: Web,
    dir: PathBuf,
}

impl Job {
    fn start(topics: &str, options: &[&str], dir: &Path) -> Job {
        let mut crest = Job::spawn(topics, &[options, &["--http", "127.0.0.1:0"]].concat(), dir);
        Job { web: Web::of(&mut crest), crest, dir: dir.to_owned() }
    }

    /// A run that need not get as far as to serve anything.
    fn spawn(topics: &str, options: &[&str], dir: &Path) -> Crest {
        let (source, config) = (Kafka::shared().url(topics), rules().write(dir));
        let state = dir.join("state");
        let job = ["--config", path(&config), "--source", &source, "--state", path(&state)];
        Crest::spawn(job.iter().chain(&["--snapshots", "-"]).chain(options))
    }

    fn records(&self) -> u64 {
        self.web.json("/status")["records"].as_u64().unwrap()
    }

    fn has_durable_panes(&self) -> bool {
        let manifest = std::fs::read(self.dir.join("state/manifest.json"));
        let manifest = manifest.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        manifest.is_some_and(|manifest| manifest["live"]["durable"].as_u64() > Some(0))
    }

    /// The final snapshots so far; the last line of a run that was killed may be cut off.
    fn finals(&self) -> Vec<Value> {
        let mut lines = self.crest.stdout();
        lines.retain(|line| serde_json::from_str::<Value>(line).is_ok());
        parse_finals(&lines)
    }

    fn stop(mut self) -> Vec<Value> {
        self.crest.sigterm();
        assert!(self.crest.wait(PATIENCE).success(), "{}", self.crest.describe());
        let _ = std::fs::remove_dir_all(&self.dir);
        self.finals()
    }
}

/// Sends an event each 20 ms to these topics, as time goes on, for so long.
fn send_for(topics: &[&str], span: Duration, sent: &mut Vec<Vec<Event>>) {
    sent.resize(sent.len().max(topics.len()), Vec::new());
    let end = Instant::now() + span;
    while Instant::now() < end {
        for (topic, sent) in topics.iter().zip(&mut *sent) {
            let event = Event::new(&format!("item-{}", now() / 20 % 7), now());
            Kafka::shared().load(topic, &[vec![event.clone()]]);
            sent.push(event);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_topic_that_comes_to_match_a_pattern_loses_nothing_whether_the_job_runs_or_not() {
    let (kafka, dir) = (Kafka::shared(), new_folder("coming"));
    let topics = ["coming.one", "coming.two", "coming.three"];
    kafka.create_topic("not.coming.zero", 1);
    kafka.load("not.coming.zero", &[every_10_ms(0, 1000)]);
    let mut job = Job::start(r"^coming\..*", &["-w", "2"], &dir);
    job.crest.until_logged(r"no topic matches ^coming\..* yet");
    let mut sent = Vec::new();
    for (known, topic) in topics[..2].iter().enumerate() {
        kafka.create_topic(topic, 1);
        send_for(&topics[..=known], Duration::from_secs(6), &mut sent);
        let total = sent.iter().map(Vec::len).sum::<usize>() as u64;
        eventually("all is read", || job.records() == total);
    }
    assert_eq!((job.web.refused("late"), job.web.refused("before_partition")), (0, 0));
    job.crest.until("some seconds", |crest| (crest.stdout().len() > 3).then_some(()));
    job.crest.kill();
    let mut finals = job.finals();

    kafka.create_topic(topics[2], 1);
    send_for(&topics, Duration::from_secs(1), &mut sent);
    let mut job = Job::start(r"^coming\..*", &["-w", "3"], &dir);
    send_for(&topics, Duration::from_secs(5), &mut sent);
    let end = sent.iter().flatten().map(|event| event.time).max().unwrap();
    let last = format!(r#""window_start":{},"#, end / SECOND * SECOND);
    let look = |crest: &Crest| crest.stdout().iter().any(|line| line.contains(&last)).then_some(());
    job.crest.until("the last second", look);
    assert_eq!((job.web.refused("late"), job.web.refused("before_partition")), (0, 0));
    assert_eq!(job.web.metric("crest_partition_lag_records", r#"partition="coming.two/0""#), 0.0);
    finals.extend(job.stop());
    finals.sort_by_key(|snapshot| snapshot["window_end"].as_i64());
    finals.dedup();
    assert_begins_with(&finals, &Recount::new(&rules(), &sent).finals());
}

#[test]
fn each_record_is_known_by_its_topic_and_its_number_there() {
    let (kafka, dir) = (Kafka::shared(), new_folder("known"));
    for (topic, counts) in [("known-a", [30, 0]), ("known-b", [20, 10])] {
        kafka.create_topic(topic, 2);
        kafka.load(topic, &counts.map(|count| every_10_ms(0, 10 * count)));
    }
    let config = dir.join("topics.toml");
    let board = "[[board]]\nname = \"topics\"\nitem = \"{record:topic}-{record:partition}\"\n\
                 windows = [ { name = \"hour\", size = \"1h\", slide = \"1h\" } ]\n";
    std::fs::write(&config, board).unwrap();
    let source = Kafka::shared().url("known-b,known-a");
    let job = ["--config", path(&config), "--source", &source, "--state", "off", "--snapshots", "memory"];
    let start = ["--start", "known-a:0=10,known-b:0=5", "--http", "127.0.0.1:0"];
    let mut crest = Crest::spawn(job.iter().chain(&start));
    let web = Web::of(&mut crest);
    eventually("all is read", || web.json("/status")["records"] == 45);
    let expected = [("known-a-0", 20), ("known-b-0", 15), ("known-b-1", 10)];
    eventually("it is ranked", || {
        let (_, body) = web.get("/top-k/topics?window=hour");
        let items = serde_json::from_str::<Value>(&body).unwrap()["items"].clone();
        let row = |item: &Value| (item["item_id"].clone(), item["count"].clone());
        let rows: Vec<_> = items.as_array().into_iter().flatten().map(row).collect();
        rows == expected.map(|(id, count)| (json!(id), json!(count)))
    });
    crest.kill();
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn one_topic_of_several_that_is_deleted_or_made_anew_ends_the_job_and_is_named() {
    let kafka = Kafka::shared();
    let cases = [
        ("renewed-a,renewed-b", "renewed-b", Some(80)),
        ("renewed-c,renewed-d", "renewed-d", None),
        (r"^gone\.", "gone.b", None),
        (r"^anew\.", "anew.b", Some(10)),
    ];
    let topics = |gone: &'static str| [gone.replace(['b', 'd'], "other"), gone.to_owned()];
    let start = |(reads, gone, _): &(&str, &'static str, Option<i64>)| {
        let names = if reads.starts_with('^') {
            topics(gone).to_vec()
        } else {
            reads.split(',').map(Into::into).collect()
        };
        for name in &names {
            kafka.create_topic(name, 1);
            kafka.load(name, &[every_10_ms(0, 10_000)]);
        }
        Job::start(reads, &[], &new_folder(gone))
    };
    let jobs: Vec<Job> = cases.iter().map(start).collect();
    for ((_, gone, anew), job) in cases.iter().zip(&jobs) {
        eventually("both topics are read", || job.records() == 2000);
        eventually("a pane is durable", || job.has_durable_panes());
        job.crest.signal("STOP");
        kafka.delete_topic(gone);
        if let Some(records) = anew {
            kafka.create_topic(gone, 1);
            let log = (0..*records).map(|n| Event::new("of-the-new-one", START + 100_000 + n * 1000));
            kafka.load(gone, &[log.collect()]);
        }
        job.crest.signal("CONT");
    }
    for ((reads, gone, anew), mut job) in cases.iter().zip(jobs) {
        assert!(!job.crest.wait(PATIENCE).success());
        let told = job.crest.describe();
        assert!(!job.crest.stdout().iter().any(|line| line.contains("of-the-new-one")), "{told}");
        let reason = match anew {
            Some(_) => format!("topic {gone:?} was deleted and made anew"),
            None => format!("the brokers have no topic {gone:?} any more"),
        };
        assert!(told.contains(&reason), "{told}");
        // Nor does the state go on without it.
        let mut again = Job::spawn(reads, &["--http", "off"], &job.dir);
        assert!(!again.wait(PATIENCE).success());
        assert!(again.stderr().join("\n").contains(gone), "{}", again.describe());
        let _ = std::fs::remove_dir_all(&job.dir);
    }
}

#[test]
fn what_makes_no_sense_of_several_topics_is_refused_by_name() {
    let (kafka, dir) = (Kafka::shared(), new_folder("refused"));
    for topic in ["refused-a", "refused-b"] {
        kafka.create_topic(topic, 1);
    }
    let (both, one, none) = (kafka.url("refused-a,refused-b"), kafka.url("refused-a"), kafka.url("^no-such"));
    let events = dir.join("events.ndjson");
    std::fs::write(&events, "{}\n").unwrap();
    let (missing, from) = (kafka.url("refused-a,refused-c"), ["--from", "0=0", "--to", "0=1"]);
    let cases: [(&[&str], &str); 9] = [
        (&["produce", "--to", &both, path(&events)], "events are written to one"),
        (&["produce", "--to", &none, path(&events)], "events are written to one"),
        (&["--source", &one, "--ingest", &both], "events are written to one"),
        (&["--source", &both, "--ingest", "on"], "must be one topic"),
        (&["--source", &both, "--state", "off", "--start", "0=5"], "is written topic:number=offset"),
        (&["--source", &both, "--state", "off", "--start", "refused-a:7=5"], "no partition refused-a/7"),
        (&["--source", &missing, "--state", "off"], "no topic \"refused-c\""),
        (
            &[
                "audit",
                "--state",
                "off",
                "--source",
                &none,
                "--from",
                "2024-01-01T00:00:00Z",
                "--to",
                "2024-01-02T00:00:00Z",
            ],
            "no topic that matches ^no-such",
        ),
        (
            &["audit", "--state", "off", "--source", &both, from[0], from[1], from[2], from[3]],
            "is written topic:number=offset",
        ),
    ];
    for (arguments, reason) in cases {
        let mut crest = Crest::spawn(arguments);
        assert!(!crest.wait(PATIENCE).success(), "{arguments:?}");
        assert!(crest.stderr().join("\n").contains(reason), "{arguments:?}: {}", crest.describe());
    }
    let _ = std::fs::remove_dir_all(&dir);
}
