//! Archives of real Kafka topics: what was delivered is there once through kills, and stands in for the topic when the
//! brokers have forgotten it.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;
#[path = "../connectors/tests/support/s3_server.rs"]
mod s3_server;

use common::events::{START, Traffic};
use common::program::{Cluster, Crest, parse_finals, path};
use common::recount::{Group, Recount, assert_same, rank};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::trial::Trial;
use common::web::Web;
use common::{eventually, new_folder, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use s3_server::S3Server;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECOND: i64 = 1000;
const PATIENCE: Duration = Duration::from_secs(60);
/// So that short tests have many blocks.
const OFTEN: &str = "\n[archive]\ninterval = \"100ms\"\n";

/// The blocks of an archive, by partition, in their order.
fn blocks(archive: &Path, topic: &str) -> BTreeMap<u32, Vec<PathBuf>> {
    let mut blocks = BTreeMap::new();
    for partition in std::fs::read_dir(archive.join("blocks").join(topic)).into_iter().flatten() {
        let folder = partition.unwrap();
        let number = folder.file_name().to_str().unwrap().parse().unwrap();
        let within = |folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = within(folder.path()).flat_map(within).collect();
        files.sort();
        blocks.insert(number, files);
    }
    blocks
}

/// The lines of an archive, by a reader that knows nothing of the program's; the offsets of each partition rise by one.
fn lines(archive: &Path, topic: &str) -> BTreeMap<u32, Vec<Value>> {
    let read = |file: &PathBuf| {
        let plain = zstd::stream::decode_all(std::fs::File::open(file).unwrap()).unwrap();
        let lines = String::from_utf8(plain).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let mut all = BTreeMap::new();
    for (partition, files) in blocks(archive, topic) {
        let lines: Vec<Value> = files.iter().flat_map(read).collect();
        for (offset, line) in lines.iter().enumerate() {
            let is = (&line["topic"], &line["partition"], &line["offset"]);
            assert_eq!(
                is,
                (&json!(topic), &json!(partition), &json!(offset)),
                "each record once and in order"
            );
        }
        all.insert(partition, lines);
    }
    all
}

/// What a test sends: a key, a payload, and headers.
type Sent = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(&'static str, Option<Vec<u8>>)>);

/// Events, and what is none: texts, bytes, deletions, JSON with spaces around it.
fn record(random: &mut StdRng, number: usize) -> Sent {
    let event = format!("{{\"item_id\":\"i{}\",\"timestamp\":{}}}", number % 50, START + number as i64);
    let payload = match random.random_range(0..12) {
        0 => None,
        1 => Some(b"not JSON \xc3\xa4 \"quoted\"\n".to_vec()),
        2 => Some(vec![0xff, 0, 1, 2]),
        3 => Some(format!(" {event} \r\n").into_bytes()),
        4 => Some(Vec::new()),
        _ => Some(event.into_bytes()),
    };
    let key = match random.random_range(0..4) {
        0 => None,
        1 => Some(vec![0x80, 0x81]),
        _ => Some(format!("key-{number}").into_bytes()),
    };
    let headers = match random.random_range(0..3) {
        0 => vec![("trace", Some(b"first".to_vec())), ("trace", None), ("bytes", Some(vec![0xfe]))],
        _ => Vec::new(),
    };
    (key, payload, headers)
}

fn send(topic: &str, partition: i32, records: &[Sent]) {
    let config: ClientConfig = Kafka::shared().client();
    let producer: BaseProducer = config.create().unwrap();
    for (key, payload, headers) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).timestamp(START);
        if !headers.is_empty() {
            let all = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: value.as_ref() })
            });
            record = record.headers(all);
        }
        record = payload.iter().fold(record, |record, payload| record.payload(payload));
        record = key.iter().fold(record, |record, key| record.key(key));
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();
}

/// The bytes of a member of a line, which stands there as text or in base64.
fn bytes(line: &Value, name: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let base64 = line
        .get(format!("{name}_base64"))
        .map(|text| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap());
    base64.or_else(|| line.get(name).map(|text| text.as_str().unwrap().as_bytes().to_vec()))
}

/// The same as it is read back.
type Back = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

/// The record of a line.
fn read_back(line: &Value) -> Back {
    assert_eq!((&line["timestamp"], &line["timestamp_type"]), (&json!(START), &json!("created")));
    // A document stands there as it is; ours are written as serde_json writes them.
    let document = line.get("value").map(|value| value.to_string().into_bytes());
    let text = line.get("value_text").map(|text| text.as_str().unwrap().as_bytes().to_vec());
    let payload = document.or(text).or_else(|| bytes(line, "value"));
    let headers = line.get("headers").and_then(Value::as_array).into_iter().flatten();
    let header = |header: &Value| (header["name"].as_str().unwrap().to_owned(), bytes(header, "value"));
    (bytes(line, "key"), payload, headers.map(header).collect())
}

#[test]
fn killed_jobs_leave_every_record_in_the_archive_once_byte_for_byte() {
    let dir = new_folder("archive");
    let archive = dir.join("archive");
    through_kills("archived-killed", (&dir, 1), path(&archive), &archive, "");
}

#[test]
fn a_cluster_that_is_killed_archives_into_a_bucket() {
    let (bucket, dir) = (S3Server::start(), new_folder("archive-bucket"));
    let options: String =
        bucket.options().iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    let options = format!("[archive.options]\n{options}");
    through_kills("archived-bucket", (&dir, 2), &bucket.url("archive"), &bucket.path("archive"), &options);
}

/// Kills a job of so many processes again and again while it archives, and holds the archive against what was sent.
fn through_kills(topic: &str, (dir, processes): (&Path, usize), url: &str, archive: &Path, options: &str) {
    let mut random = StdRng::seed_from_u64(seed(topic));
    Kafka::shared().create_topic(topic, 2);
    let config = dir.join("crest.toml");
    std::fs::write(&config, OFTEN.to_owned() + options).unwrap();
    let start = |workers: usize| {
        let (source, workers) = (Kafka::shared().url(topic), workers.to_string());
        let state = dir.join("state");
        let job = ["-w", &workers, "--config", path(&config), "--source", &source, "--archive", url];
        let more = ["--state", path(&state), "--http", "off", "--pane", "1s", "--window", "w=5s/1s"];
        Cluster::spawn(processes, &[job, more].concat())
    };
    let mut sent: BTreeMap<u32, Vec<Sent>> = BTreeMap::new();
    let mut number = 0;
    let mut send_more = |random: &mut StdRng, sent: &mut BTreeMap<u32, Vec<Sent>>| {
        for partition in 0..2 {
            let records: Vec<Sent> = (0..400).map(|n| record(random, number + n)).collect();
            number += 400;
            send(topic, partition as i32, &records);
            sent.entry(partition).or_default().extend(records);
        }
    };
    for round in 0..8 {
        let mut job = start(1 + round % 2);
        send_more(&mut random, &mut sent);
        std::thread::sleep(Duration::from_millis(random.random_range(0..1200)));
        for crest in &mut job.processes {
            assert!(crest.running(), "{}", crest.describe());
        }
        job.processes.iter_mut().for_each(Crest::kill);
    }
    send_more(&mut random, &mut sent);
    let mut job = start(2);
    let all: usize = sent.values().map(Vec::len).sum();
    eventually("all is archived", || lines(archive, topic).values().map(Vec::len).sum::<usize>() == all);
    job.processes[0].sigterm();
    for crest in &mut job.processes {
        assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
    }
    for (partition, lines) in lines(archive, topic) {
        assert_eq!(lines.len(), sent[&partition].len());
        for (line, (key, payload, headers)) in lines.iter().zip(&sent[&partition]) {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            assert_eq!(read_back(line), (key.clone(), payload.clone(), headers), "{line}");
        }
    }
    let mut listing = Crest::spawn(["archive", url, "--config", path(&config), "--json"]);
    assert!(listing.wait(PATIENCE).success(), "{}", listing.describe());
    let listing: Value = serde_json::from_str(&listing.stdout()[0]).unwrap();
    assert_eq!(listing["source"], format!("kafka:{topic}"));
    for (partition, sent) in sent {
        let kept = &listing["partitions"][partition as usize];
        assert_eq!((&kept["to"], &kept["records"]), (&json!(sent.len()), &json!(sent.len())));
        assert_eq!(kept["gaps"], json!([]));
    }
    std::fs::remove_dir_all(dir).unwrap();
}

fn windows() -> Vec<Window> {
    vec![Window { name: "last_5s", size: 5 * SECOND, slide: SECOND }]
}

fn rules(boards: usize) -> Rules {
    let late = Board { name: "regions", by: vec!["region"], k: 7, windows: windows(), ..Board::default() };
    let boards = [Board { k: 10, windows: windows(), ..Board::default() }, late].into_iter().take(boards);
    Rules::live(boards.collect())
}

/// A topic, of which a job has counted and archived all, through a kill; and the events that it has.
fn archived(topic: &'static str, partitions: usize) -> (Trial, PathBuf) {
    let traffic = Traffic {
        events: 20_000,
        items: 100,
        span: 300 * SECOND,
        disorder: 3 * SECOND,
        regions: vec!["IN", "US"],
        ..Traffic::default()
    };
    let mut trial = Trial::new(topic, &rules(1), OFTEN, traffic.logs(partitions));
    let archive = trial.dir.join("archive");
    let more = ["--archive", path(&archive).to_owned().leak()];
    trial.send(0.5).join().unwrap();
    let mut job = trial.start((1, 1), &more);
    job.processes[0].until("windows", |crest| (crest.stdout().len() > 30).then_some(()));
    job.processes[0].kill();
    trial.published.take(&job.processes[0].stdout());
    trial.send(0.3).join().unwrap();
    let mut job = trial.start((2, 1), &more);
    trial.send_rest();
    trial.finish(&mut job);
    (trial, archive)
}

#[test]
fn a_board_that_comes_later_is_counted_from_the_archive_when_the_topic_has_forgotten_it() {
    let (topic, partitions) = ("archived-board", 2);
    let (trial, archive) = archived(topic, partitions);
    let recount = Recount::new(&rules(2), trial.logs());
    for (partition, log) in trial.logs().iter().enumerate() {
        assert_eq!(lines(&archive, topic)[&(partition as u32)].len(), log.len());
        // All but the last event, of a pane that is open.
        Kafka::shared().forget(topic, partition as i32, log.len() as i64 - 1);
    }
    // The job goes on with another board, which knows nothing of the past.
    rules(2).write(&trial.dir);
    let mut job = trial.start((1, 1), &["--archive", path(&archive)]);
    job.processes[0].until_logged("the board regions counts from");
    let state = |name: &str| -> Value {
        let state = trial.dir.join("state");
        let mut look = Crest::spawn(["state", "--json", "--state", path(&state)]);
        assert!(look.wait(PATIENCE).success(), "{}", look.describe());
        serde_json::from_str::<Value>(&look.stdout()[0]).unwrap()[name].clone()
    };
    let (from, to) = (START - 10 * SECOND, state("durable_ms").as_i64().unwrap());
    let range = ["--from", &from.to_string(), "--to", &to.to_string()].map(str::to_owned);
    let range: Vec<&str> = range.iter().map(String::as_str).collect();
    let refused = trial.command("backfill", &[&range[..], &["--board", "regions"]].concat()).failure();
    assert!(refused.contains("let go"), "the topic itself has nothing left: {refused}");
    let source = format!("archive:{}", archive.display());
    let more = [&range[..], &["--board", "regions", "--source", &source]].concat();
    let mut filled = trial.command_over("backfill", &more);
    assert!(filled.wait(PATIENCE).success(), "{}", filled.describe());
    trial.stop_only(&mut job);

    let (_node, web) = Web::of_new(["serve", "--state", path(&trial.dir.join("state"))]);
    let mut random = StdRng::seed_from_u64(seed(topic));
    for _ in 0..20 {
        let panes = (to - from) / SECOND;
        let start = random.random_range(0..panes - 1);
        let (start, end) = (from + start * SECOND, from + random.random_range(start + 1..panes) * SECOND);
        let region = random.random_bool(0.5);
        let group: Group = region.then(|| ("region".into(), "IN".into())).into_iter().collect();
        let query = if region { "&region=IN" } else { "" };
        let counts = recount.between("regions", start, end).remove(&group).unwrap_or_default();
        let (status, body) = web.get(&format!("/top-k?board=regions&from={start}&to={end}{query}"));
        if region && counts.is_empty() {
            assert_eq!(status, 404, "{body}");
            continue;
        }
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &answer["total"]), (200, &json!(counts.values().sum::<u64>())), "{answer}");
        let row =
            |item: &Value| (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap());
        let rows: Vec<(String, u64)> = answer["items"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, rank(&counts, 7), "{start} to {end}");
    }
    // The stored panes of both boards are judged by the archive.
    let mut audit = trial.command_over("audit", &[&range[..], &["--source", &source]].concat());
    assert!(audit.wait(PATIENCE).success(), "{}", audit.describe());
}

#[test]
fn a_run_over_the_archive_says_what_the_job_on_the_topic_said() {
    let (trial, archive) = archived("archived-same", 3);
    let source = format!("archive:{}", archive.display());
    let config = trial.dir.join("crest.toml");
    for workers in ["1", "3"] {
        let run =
            ["-w", workers, "--config", path(&config), "--source", &source, "--snapshots", "-", "--empty"];
        let mut crest = Crest::spawn(run);
        assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
        let expected = trial.expected();
        let last = expected.last().unwrap()["window_end"].as_i64().unwrap();
        let end =
            |line: &String| serde_json::from_str::<Value>(line).unwrap()["window_end"].as_i64().unwrap();
        let lines: Vec<String> = crest.stdout().into_iter().filter(|line| end(line) <= last).collect();
        trial.published.assert_same(&lines);
        assert_same(&parse_finals(&lines), &expected);
    }
}

#[test]
fn an_outage_of_the_archive_is_told_and_over_when_it_is() {
    let (topic, dir) = ("archived-outage", new_folder("archive-outage"));
    Kafka::shared().create_topic(topic, 1);
    let (archive, config) = (dir.join("archive"), dir.join("crest.toml"));
    std::fs::write(&config, OFTEN).unwrap();
    let source = Kafka::shared().url(topic);
    let (mut job, web) =
        Web::of_new(["--config", path(&config), "--source", &source, "--archive", path(&archive)]);
    let record = |n: usize| (None, Some(format!("{{\"item_id\":\"{n}\"}}").into_bytes()), Vec::new());
    let records: Vec<Sent> = (0..200).map(record).collect();
    send(topic, 0, &records[..100]);
    eventually("the first are archived", || lines(&archive, topic).get(&0).is_some_and(|l| l.len() == 100));
    // What was mounted there is gone.
    let away = dir.join("away");
    std::fs::rename(&archive, &away).unwrap();
    send(topic, 0, &records[100..]);
    eventually("it is told", || web.metric("crest_archive_unreachable", "") == 1.0);
    let (_, ready) = web.get("/readyz");
    assert!(ready.contains("\"archive\":\"has failed since 20"), "{ready}");
    let status = web.json("/status");
    assert!(status["archive"]["failing_since"].is_i64() && status["archive"]["held_bytes"] != 0, "{status}");
    assert!(!archive.exists(), "it is not made anew elsewhere");
    std::fs::rename(&away, &archive).unwrap();
    eventually("the rest is archived", || lines(&archive, topic)[&0].len() == 200);
    eventually("it is over", || web.metric("crest_archive_unreachable", "") == 0.0);
    eventually("nothing is held", || web.json("/status")["archive"]["held_bytes"] == 0);
    job.sigterm();
    assert!(job.wait(PATIENCE).success(), "{}", job.describe());
    std::fs::remove_dir_all(dir).unwrap();
}
