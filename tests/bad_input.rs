//! Bad input: bad events among good ones are refused one by one and change nothing else, whatever they come from;
//! a command that cannot run says why in one line, and nothing on standard output.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::{Event, START, Traffic};
use common::program::{Crest, parse_finals, path};
use common::recount::{Recount, assert_begins_with, assert_same};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, free_port, new_folder};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const SECOND: i64 = 1000;

/// An event or what should have been one.
enum Record {
    Good(Event),
    Bad(&'static str, Vec<u8>),
}

/// Every kind of bad event with its reason, each more than once.
fn bad_events() -> Vec<(&'static str, Vec<u8>)> {
    let with = |fields: &str| format!(r#"{{"timestamp":{START},{fields}}}"#).into_bytes();
    let at = |timestamp: &str| format!(r#"{{"item_id":"x","timestamp":{timestamp}}}"#).into_bytes();
    let weighing = |weight: &str| with(&format!(r#""item_id":"x","weight":{weight}"#));
    let latin1 = [br#"{"item_id":"caf"#.as_slice(), b"\xe9", br#"","timestamp":1711664400000}"#].concat();
    let long = format!(r#"{{"item_id":"{}","timestamp":{START}}}"#, "x".repeat(1 << 20)).into_bytes();
    vec![
        ("malformed", b"not JSON at all".to_vec()),
        ("malformed", format!(r#"{{"item_id":"x","timestamp":{START}"#).into_bytes()),
        ("malformed", format!(r#"[{{"item_id":"x","timestamp":{START}}}]"#).into_bytes()),
        ("malformed", b"42".to_vec()),
        ("malformed", b"\x00\x1b[31mred".to_vec()),
        ("invalid_utf8", latin1),
        ("invalid_utf8", b"\xff\xfe\xfd".to_vec()),
        ("too_long", long.clone()),
        ("item", with(r#""item":"x""#)),
        ("item", with(r#""item_id":"""#)),
        ("item", with(r#""item_id":null"#)),
        ("item", with(r#""item_id":{"id":"x"}"#)),
        ("item_too_long", with(&format!(r#""item_id":"{}""#, "x".repeat(1025)))),
        ("timestamp", br#"{"item_id":"x"}"#.to_vec()),
        ("timestamp", at("\"yesterday\"")),
        ("timestamp", at("-1")),
        ("timestamp", at("99999999999999999999")),
        ("timestamp", at("\"2100-01-01T00:00:00Z\"")),
        ("weight", weighing("-1")),
        ("weight", weighing("0")),
        ("weight", weighing("\"two\"")),
        ("weight", weighing("1.5")),
        ("weight", weighing("4294967296")),
        ("too_long", long),
    ]
}

/// Good events with all of the bad ones in their midst.
fn log(good: Vec<Event>) -> Vec<Record> {
    let (mut records, mut bad) = (Vec::new(), bad_events().into_iter());
    for (index, event) in good.into_iter().enumerate() {
        if index % 7 == 3 {
            records.extend(bad.next().map(|(reason, payload)| Record::Bad(reason, payload)));
        }
        records.push(Record::Good(event));
    }
    assert_eq!(bad.len(), 0, "enough good events");
    records
}

fn good(log: &[Record]) -> Vec<Event> {
    let event = |record: &Record| if let Record::Good(event) = record { Some(event.clone()) } else { None };
    log.iter().filter_map(event).collect()
}

fn payload(record: &Record) -> Vec<u8> {
    match record {
        Record::Good(event) => event.json().into_bytes(),
        Record::Bad(_, payload) => payload.clone(),
    }
}

fn lines(log: &[Record]) -> Vec<u8> {
    log.iter().flat_map(|record| [payload(record), b"\n".to_vec()].concat()).collect()
}

/// What `--rejects` must hold of a partition: what is over a mebibyte is not held in memory, so not kept either.
fn rejects(log: &[Record], partition: &str, first_offset: i64) -> Vec<Value> {
    let reject = |(offset, record): (i64, &Record)| match record {
        Record::Good(_) => None,
        Record::Bad(reason, payload) => {
            let kept = if *reason == "too_long" { "".into() } else { String::from_utf8_lossy(payload) };
            Some(json!({"reason": reason, "partition": partition, "offset": offset, "payload": kept}))
        }
    };
    (first_offset..).zip(log).filter_map(reject).collect()
}

fn kept(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("the rejects are UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each reject is a line of JSON")).collect()
}

/// The first of each kind, and only it, has its line with partition and offset.
fn assert_first_of_each_kind_logged(crest: &Crest, rejects: &[Value]) {
    let mut first: BTreeMap<String, &Value> = BTreeMap::new();
    for reject in rejects {
        first.entry(reject["reason"].to_string()).or_insert(reject);
    }
    let log = crest.stderr();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("refused an event")).collect();
    assert_eq!(lines.len(), first.len(), "{}", crest.describe());
    for (reason, reject) in first {
        let (partition, offset) = (reject["partition"].as_str().unwrap(), &reject["offset"]);
        let told = |line: &&&String| {
            line.contains(&format!("reason={reason}"))
                && line.contains(partition)
                && line.contains(&format!("offset={offset} "))
        };
        assert_eq!(lines.iter().filter(told).count(), 1, "{reject}: {}", crest.describe());
    }
}

/// The metrics count each reason, the good ones, and the tombstones, which are not refused.
fn assert_counted(web: &Web, good: usize, tombstones: usize, rejects: &[Value]) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for reject in rejects {
        *counts.entry(reject["reason"].as_str().unwrap()).or_default() += 1;
    }
    for reason in [
        "malformed",
        "invalid_utf8",
        "too_long",
        "item",
        "item_too_long",
        "timestamp",
        "weight",
        "future",
        "late",
    ] {
        assert_eq!(web.refused(reason), counts.get(reason).copied().unwrap_or(0), "{reason}");
    }
    assert_eq!(web.metric("crest_events_total", "") as usize, good);
    assert_eq!(web.metric("crest_records_total", "") as usize, good + tombstones + rejects.len());
    assert_eq!(web.metric("crest_tombstones_total", "") as usize, tombstones);
    assert_eq!(web.json("/status")["tombstones"], tombstones);
    assert_eq!(web.metric("crest_rejects_lost_total", ""), 0.0);
}

#[test]
fn bad_lines_of_a_file_are_kept_apart_and_change_nothing() {
    let dir = new_folder("bad");
    let mut events = Traffic { events: 3000, ..Traffic::default() }.log();
    // An id of the most bytes that are allowed is a good one.
    events.insert(1000, Event::new(&"y".repeat(1024), events[1000].time));
    let log = log(events);
    let (file, rejected) = (dir.join("events.ndjson"), dir.join("rejects.ndjson"));
    std::fs::write(&file, lines(&log)).unwrap();
    let (source, config) = (format!("file:{}", file.display()), Rules::default().write(&dir));
    let job = ["--config", path(&config), "--source", &source, "--rejects", path(&rejected)];
    let mut crest = Crest::spawn(job);
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
    assert_same(&parse_finals(&crest.stdout()), &Recount::new(&Rules::default(), &[good(&log)]).finals());
    let expected = rejects(&log, path(&file), 1);
    assert_eq!(kept(&rejected), expected);
    assert_first_of_each_kind_logged(&crest, &expected);
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn bad_lines_of_standard_input_are_counted_by_reason() {
    let log = log(Traffic { events: 2000, ..Traffic::default() }.log());
    let expected = rejects(&log, "standard input", 1);
    let dir = new_folder("bad");
    let config = Rules::default().write(&dir);
    let (mut crest, mut input) =
        Crest::spawn_open(["--config", path(&config), "--source", "-", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    input.write_all(&lines(&log)).unwrap();
    eventually("all is read", || web.metric("crest_records_total", "") as usize == log.len());
    assert_counted(&web, good(&log).len(), 0, &expected);
    drop(input);
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
    assert_same(&parse_finals(&crest.stdout()), &Recount::new(&Rules::default(), &[good(&log)]).finals());
    assert_first_of_each_kind_logged(&crest, &expected);
    let _ = std::fs::remove_dir_all(dir);
}

fn live_rules() -> Rules {
    let window = Window { name: "twos", size: 2 * SECOND, slide: 2 * SECOND };
    Rules {
        pane: SECOND,
        out_of_orderness: SECOND,
        max_future_skew: Some(60 * SECOND),
        boards: vec![Board { windows: vec![window], ..Board::default() }],
        ..Rules::default()
    }
}

/// Writes the records of each partition, and a tombstone to the second one.
fn produce(kafka: &Kafka, topic: &str, logs: &[Vec<Record>]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.address())
        .set("message.max.bytes", "4000000")
        .create()
        .unwrap();
    for (partition, record) in (0..).zip(logs).flat_map(|(index, log)| log.iter().map(move |r| (index, r))) {
        let payload = payload(record);
        let time = if let Record::Good(event) = record { event.time } else { START };
        let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&payload).timestamp(time);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    let tombstone = BaseRecord::<_, ()>::to(topic).partition(1).key("gone");
    assert!(producer.send(tombstone).is_ok());
    producer.flush(Duration::from_secs(60)).unwrap();
}

#[test]
fn bad_messages_of_kafka_are_counted_logged_and_kept_and_change_nothing() {
    let (kafka, dir, rules) = (Kafka::shared(), new_folder("bad"), live_rules());
    let traffic = Traffic { events: 1000, span: 8 * SECOND, disorder: 900, items: 50, ..Traffic::default() };
    let mut logs: Vec<Vec<Record>> = traffic.logs(2).into_iter().map(log).collect();
    // Only here can one be empty, or hold an end of line.
    logs[0].insert(40, Record::Bad("malformed", Vec::new()));
    logs[1].insert(1, Record::Bad("malformed", b"two\nlines".to_vec()));
    kafka.create_topic("bad", 2);
    produce(kafka, "bad", &logs);
    let (source, config, rejected) = (kafka.url("bad"), rules.write(&dir), dir.join("rejects.ndjson"));
    let job = ["--config", path(&config), "--source", &source, "--start", "earliest", "--snapshots", "-"];
    let ends = ["--idle-timeout", "1s", "--http", "127.0.0.1:0", "--rejects", path(&rejected)];
    let mut crest = Crest::spawn(job.iter().chain(&ends));
    let web = Web::of(&mut crest);
    let recount = Recount::new(&rules, &logs.iter().map(|log| good(log)).collect::<Vec<_>>());
    let expected = recount.finals();
    let mark = format!(r#""window_end":{},"#, expected.last().unwrap()["window_end"]);
    crest.until("the last window", |crest| crest.stdout().iter().any(|l| l.contains(&mark)).then_some(()));
    let refused: Vec<Vec<Value>> =
        (0..).zip(&logs).map(|(index, log)| rejects(log, &format!("bad/{index}"), 0)).collect();
    assert_counted(&web, recount.counted as usize, 1, &refused.concat());
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(10)).success(), "{}", crest.describe());
    assert_begins_with(&parse_finals(&crest.stdout()), &expected);
    let kept = kept(&rejected);
    for (index, refused) in refused.iter().enumerate() {
        let partition = format!("bad/{index}");
        let of_it: Vec<Value> =
            kept.iter().filter(|reject| reject["partition"] == *partition).cloned().collect();
        assert_eq!(&of_it, refused);
    }
    assert_first_of_each_kind_logged(&crest, &kept);
    assert!(
        crest.stderr().iter().all(|line| line != "lines" && !line.starts_with("lines")),
        "a record forged a line"
    );
    let _ = std::fs::remove_dir_all(dir);
}

/// The command fails, says why in one line that holds all of `named`, and writes nothing on standard output.
fn assert_refused(arguments: &[&str], named: &[&str]) {
    let mut crest = Crest::spawn(arguments);
    let status = crest.wait(Duration::from_secs(60));
    assert!(!status.success() && status.code().is_some(), "{status}: {}", crest.describe());
    assert!(crest.stdout().is_empty(), "{}", crest.describe());
    let said = crest.stderr();
    let [line] = said.as_slice() else { panic!("one line is expected: {}", crest.describe()) };
    assert!(line.starts_with("crest: ") && !line.contains("hush"), "{line}");
    for text in named {
        assert!(line.contains(text), "{text:?} is not in {line:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line_that_names_it() {
    let dir = new_folder("nonsense");
    let file = |name: &str, text: &str| {
        let file = dir.join(name);
        std::fs::write(&file, text).unwrap();
        path(&file).to_owned()
    };
    let events = format!("file:{}", file("events.ndjson", &(Event::new("a", START).json() + "\n")));
    let unknown_key = file("key.toml", "[time]\npane = \"10s\"\npain = \"10s\"\n");
    let unknown_section = file("section.toml", "[tiem]\npane = \"10s\"\n");
    let broken = file("broken.toml", "[time\n");
    let fraction = file(
        "fraction.toml",
        "[[board]]\nname = \"b\"\nwindows = [{ name = \"w\", size = \"15s\", slide = \"10s\" }]\n",
    );
    let run = |more: &[&'static str]| [&["--source", events.as_str()], more].concat();
    assert_refused(&run(&["--frobnicate"]), &["--frobnicate"]);
    assert_refused(&["--source", &events, "--config", &unknown_key], &["key.toml", "pain"]);
    assert_refused(&["--source", &events, "--config", &unknown_section], &["section.toml", "tiem"]);
    assert_refused(&["--source", &events, "--config", &broken], &["broken.toml"]);
    assert_refused(&["--source", &events, "--config", &fraction], &["fraction.toml", "size", "15s", "10s"]);
    assert_refused(&["--source", &events, "--config", "/nowhere/crest.toml"], &["/nowhere/crest.toml"]);
    assert_refused(&run(&["--window", "odd=15s/10s"]), &["--window", "15s", "10s"]);
    assert_refused(&run(&["--pane", "0s"]), &["--pane"]);
    assert_refused(&run(&["--pane", "soon"]), &["--pane", "soon"]);
    assert_refused(&run(&["-n", "2", "-p", "2"]), &["--process", "2"]);
    assert_refused(&["--source", "log:/x?keep=soon"], &["--source", "log:/x", "keep=soon"]);
    assert_refused(&["log", "verify", "log:/x?keep=soon"], &["log:/x", "keep=soon", "90s"]);
    assert_refused(&run(&["--start", "latest"]), &["--start"]);
    assert_refused(&run(&["--snapshots", "mysql://h"]), &["--snapshots", "mysql://h"]);
    assert_refused(&["--source", "gopher://h"], &["--source", "gopher://h"]);
    assert_refused(&["--source", "file:/nowhere/events.ndjson"], &["/nowhere/events.ndjson"]);
    assert_refused(&["--source", &format!("file:{}", dir.display())], &[path(&dir)]);
    assert_refused(
        &run(&["--rejects", "/nowhere/rejects.ndjson"]),
        &["--rejects", "/nowhere/rejects.ndjson"],
    );
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn what_cannot_be_reached_is_refused_in_one_line_that_names_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    assert_refused(&["--demo", "--http", &taken], &["--http", &taken]);
    let nobody = format!("127.0.0.1:{}", free_port());
    let dir = new_folder("unreachable");
    let file = dir.join("events.ndjson");
    std::fs::write(&file, Event::new("a", START).json() + "\n").unwrap();
    let events = format!("file:{}", file.display());
    let redis = format!("redis://user:hush@{nobody}/0");
    let broker = format!("kafka://{nobody}/events");
    // Both are given some seconds to come up.
    std::thread::scope(|threads| {
        threads.spawn(|| {
            assert_refused(&["--source", &events, "--snapshots", "-", "--snapshots", &redis], &[&nobody]);
        });
        threads.spawn(|| {
            assert_refused(&["--source", &broker, "--snapshots", "-", "--http", "off"], &[&nobody]);
        });
    });
    let hosts = dir.join("hosts.txt");
    let other = free_port();
    std::fs::write(&hosts, format!("{taken}\n127.0.0.1:{other}\n")).unwrap();
    let cluster = ["-n", "2", "-p", "0", "--hostfile", path(&hosts), "--demo", "--http", "off"];
    assert_refused(&cluster, &["process 0", &taken]);
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_topic_or_an_offset_that_is_not_there_is_refused_in_one_line() {
    let kafka = Kafka::shared();
    let missing = kafka.url("no-such-topic");
    assert_refused(&["--source", &missing, "--http", "off"], &["no-such-topic"]);
    kafka.create_topic("short", 1);
    let short = kafka.url("short");
    assert_refused(&["--source", &short, "--http", "off", "--start", "0=77"], &["short/0", "77"]);
    assert_refused(&["--source", &short, "--http", "off", "--start", "9=0"], &["partition 9"]);
}

/// Nobody sees from a row alone which of its fields is missing, and in what place.
#[test]
fn rows_without_a_header_are_told_of_by_the_names_of_their_columns() {
    let (dir, config) =
        (new_folder("told-rows"), "[source]\nformat = \"csv\"\ncsv = COLUMNS\n[schema]\nitem = \"skuu\"\n");
    let columns = "{ header = false, columns = [\"timestamp\", \"country\", \"sku\"] }";
    let config = config.replace("COLUMNS", columns);
    let rows: String = (0..20).map(|n| format!("{},DE,sku-{n}\n", START / 1000 + n)).collect();
    std::fs::write(dir.join("crest.toml"), config).unwrap();
    std::fs::write(dir.join("rows.csv"), rows + "1711670400\n").unwrap();
    let source = format!("file:{}", path(&dir.join("rows.csv")));
    let mut crest = Crest::spawn(["--config", path(&dir.join("crest.toml")), "--source", &source]);
    assert!(!crest.wait(Duration::from_secs(60)).success());
    let log = crest.stderr().join("\n");
    for text in [
        "skuu must be text that is not empty, a number or a boolean; the record has: timestamp, country, sku",
        "a row has 3 fields: timestamp, country, sku",
        "no event had skuu (item; did you mean sku?)",
    ] {
        assert!(log.contains(text), "it does not say {text:?}:\n{log}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
