//! What a newcomer does: `crest --demo` and its page, `crest produce` into a real broker, `crest config`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::{START, Traffic};
use common::program::{Crest, path};
use common::servers::Kafka;
use common::web::Web;
use common::{eventually, free_port, new_folder};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

#[test]
fn the_demo_says_where_it_is_and_its_rankings_move() {
    let began = Instant::now();
    let mut crest = Crest::spawn(["--demo", "--http", "127.0.0.1:0", "--refresh", "200ms"]);
    let web = Web::of(&mut crest);
    eprintln!("the address was there after {} ms", began.elapsed().as_millis());
    eventually("the first ranking", || web.get("/top-k").0 == 200);
    let ranking = |snapshot: &Value| {
        let id = |item: &Value| item["item_id"].as_str().unwrap().to_owned();
        snapshot["items"].as_array().unwrap().iter().map(id).collect::<Vec<_>>()
    };
    let first = web.json("/top-k?window=last_1m&k=10");
    assert_eq!((&first["board"], &first["window"]), (&"default".into(), &"last_1m".into()));
    assert!(first["total"].as_u64().unwrap() > 0 && first["snapshot_age_seconds"].as_f64().unwrap() < 60.0);
    eventually("another order of the first ten", || {
        ranking(&web.json("/top-k?window=last_1m&k=10")) != ranking(&first)
    });
    let boards = web.json("/boards").to_string();
    assert!(
        ["default", "last_1m", "last_1h", "last_24h"].iter().all(|name| boards.contains(name)),
        "{boards}"
    );
    assert_eq!(web.json("/healthz")["status"], "ok");
    eventually("the first status", || web.metric("crest_events_total", "") > 0.0);
    let (status, page) = web.get("/");
    assert!(status == 200 && page.to_lowercase().contains("<!doctype html>"), "{page}");
    let (status, unknown) = web.get("/top-k?window=last_week");
    assert!(status == 404 && unknown.contains("last_24h"), "it names what there is: {unknown}");
    assert_eq!(crest.stdout(), Vec::<String>::new());
    let told = crest.until_logged("crest 0.");
    assert!(
        ["source=\"demo:\"", "boards=\"default\"", "workers=1"].iter().all(|part| told.contains(part)),
        "{told}"
    );
    let began = Instant::now();
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(10)).success(), "{}", crest.describe());
    eprintln!("SIGTERM to one process: {} ms", began.elapsed().as_millis());
}

#[test]
fn logs_are_objects_where_that_is_wanted() {
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_crest"))
        .args(["--source", "-"])
        .env("CREST_LOG_FORMAT", "json")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.success());
    let text = String::from_utf8(run.stderr).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["source"] == "-" && line["level"] == "INFO"), "{text}");
}

/// All messages of a topic: partition, key and payload.
fn messages(kafka: &Kafka, topic: &str, partitions: i32, count: usize) -> Vec<(i32, String, String)> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.address())
        .set("group.id", "reader")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let mut messages = Vec::new();
    eventually("all messages", || {
        while let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            messages.push((message.partition(), text(message.key()), text(message.payload())));
        }
        messages.len() >= count
    });
    messages
}

fn partitions_of(kafka: &Kafka, topic: &str) -> usize {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.address()).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).unwrap();
    metadata.topics()[0].partitions().len()
}

#[test]
fn two_signals_close_together_are_one_wish_to_stop() {
    let mut crest = Crest::spawn(["--demo", "--http", "127.0.0.1:0"]);
    crest.until_logged("http://127.0.0.1:");
    crest.sigterm();
    // As `timeout` sends them; the process may have ended by the second.
    let again =
        std::process::Command::new("sh").args(["-c", &format!("kill -TERM {} 2>&1", crest.id())]).output();
    assert!(again.is_ok());
    assert!(crest.wait(Duration::from_secs(10)).success(), "{}", crest.describe());
}

#[test]
fn a_file_is_loaded_into_a_missing_topic_keyed_by_item_and_counted_right() {
    let (kafka, dir) = (Kafka::shared(), new_folder("produce"));
    let events = Traffic { events: 5000, items: 300, ..Traffic::default() }.log();
    let mut lines: Vec<String> = events.iter().map(|event| event.json()).collect();
    lines.insert(10, "no JSON".into());
    lines.insert(20, "[1]".into());
    lines.insert(30, format!(r#"{{"timestamp":{START}}}"#));
    let file = dir.join("events.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let url = kafka.url("loaded");
    let mut crest = Crest::spawn(["produce", "--to", &url, "--partitions", "3", path(&file)]);
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
    let said = crest.stderr().join("\n");
    assert!(said.contains("sent 5000 records"), "{said}");
    assert!(said.contains("refused 2 records as malformed; the first was"), "{said}");
    assert!(said.contains("refused 1 record as item, since item_id must be text"), "{said}");
    assert!(
        said.contains("events.ndjson at offset 11") && said.contains("events.ndjson at offset 31"),
        "{said}"
    );
    assert!(crest.stdout().is_empty());

    assert_eq!(partitions_of(kafka, "loaded"), 3);
    let loaded = messages(kafka, "loaded", 3, events.len());
    assert_eq!(loaded.len(), events.len());
    let mut home: HashMap<&str, i32> = HashMap::new();
    for (partition, key, payload) in &loaded {
        let event: Value = serde_json::from_str(payload).unwrap();
        assert_eq!(event["item_id"], key.as_str());
        assert_eq!(home.entry(key).or_insert(*partition), partition, "{key} lies in one partition");
    }
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let sent = events.iter().map(|event| event.json()).collect();
    assert_eq!(sorted(loaded.into_iter().map(|(_, _, payload)| payload).collect()), sorted(sent));
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn records_of_csv_are_sent_as_they_are_without_the_header_keyed_by_the_item_of_their_board() {
    let (kafka, dir) = (Kafka::shared(), new_folder("produce-csv"));
    let config = dir.join("crest.toml");
    let text = "[source]\nformat = \"csv\"\ncsv = { header = true, columns = [\"at\", \"name\"] }\n[schema]\ntimestamp = \"at\"\n\
                [[board]]\nname = \"b\"\nitem = \"name\"\nnormalize = [\"trim\"]\n";
    std::fs::write(&config, text).unwrap();
    let rows = ["1711670400,\"tv, 42\"\"\"", "1711670402,\"two\nlines\"", "1711670403, sofa "];
    let packed = dir.join("a.csv.zst");
    let file = format!("time,what\r\n{}\r\n{}\n", rows[0], rows[2]);
    std::fs::write(&packed, zstd::encode_all(file.as_bytes(), 0).unwrap()).unwrap();
    let plain = dir.join("b.csv");
    std::fs::write(&plain, format!("time,what\n{}\nno row\n", rows[1])).unwrap();
    let (url, files) = (kafka.url("rows"), [path(&packed), path(&plain)]);
    let mut load = Crest::spawn(
        ["produce", "--partitions", "1", "--config", path(&config), "--to", &url].iter().chain(&files),
    );
    assert!(load.wait(Duration::from_secs(60)).success(), "{}", load.describe());
    assert!(load.stderr().join("\n").contains("refused 1 record as malformed"), "{}", load.describe());
    let expected = [("tv, 42\"", rows[0]), ("two\nlines", rows[1]), ("sofa", rows[2])];
    let expected = expected.map(|(key, row)| (0, key.to_owned(), row.to_owned()));
    assert_eq!(messages(kafka, "rows", 1, rows.len()), expected, "by their time");

    // A job that reads the topic keeps a state, which what is piped into it does not.
    std::fs::write(&config, format!("[state]\nurl = {:?}\n{text}", path(&dir.join("state")))).unwrap();
    let piped = kafka.url("piped-rows");
    let rows = format!("{}\n{}\n", rows[0], rows[2]).replacen("1711", "at,name\n1711", 1);
    let mut load = Crest::spawn_reading(
        rows.leak().as_bytes(),
        ["produce", "--partitions", "1", "--config", path(&config), "--to", &piped, "-"],
    );
    assert!(load.wait(Duration::from_secs(60)).success(), "{}", load.describe());
    assert_eq!(messages(kafka, "piped-rows", 1, 2).len(), 2);

    // Nobody could tell the columns of a topic whose rows have lost their header.
    let mut nameless = Crest::spawn(["produce", "--to", &url, path(&plain)]);
    assert_eq!(nameless.wait(Duration::from_secs(60)).code(), Some(2), "{}", nameless.describe());
    assert!(nameless.stderr()[0].contains("source.csv.columns"), "{}", nameless.describe());
    // Nor does a topic have rows of two kinds.
    std::fs::write(&config, "[source]\ncsv = { columns = [\"at\", \"name\"] }\n").unwrap();
    let tabs = dir.join("c.tsv");
    std::fs::write(&tabs, "1711670400\ta\n").unwrap();
    let mut mixed =
        Crest::spawn(["produce", "--config", path(&config), "--to", &url, path(&plain), path(&tabs)]);
    assert_eq!(mixed.wait(Duration::from_secs(60)).code(), Some(2), "{}", mixed.describe());
    assert!(mixed.stderr()[0].contains("another format than that of"), "{}", mixed.describe());
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn what_is_loaded_from_standard_input_is_what_the_job_counts() {
    let kafka = Kafka::shared();
    let events = Traffic { events: 500, span: 9000, disorder: 0, ..Traffic::default() }.log();
    let lines: String = events.iter().map(|event| event.json() + "\n").collect();
    let url = kafka.url("piped");
    let mut load = Crest::spawn_reading(lines.leak().as_bytes(), ["produce", "--to", &url]);
    assert!(load.wait(Duration::from_secs(60)).success(), "{}", load.describe());
    assert_eq!(partitions_of(kafka, "piped"), 4);
    let mut job = Crest::spawn(["--source", &url, "--start", "earliest", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut job);
    eventually("all events", || web.metric("crest_events_total", "") as usize == events.len());
    eventually("their total", || {
        let (status, body) = web.get("/top-k?window=last_24h");
        status == 200 && serde_json::from_str::<Value>(&body).unwrap()["total"] == events.len()
    });
}

#[test]
fn a_load_that_cannot_be_says_why_in_one_line() {
    let dir = new_folder("produce");
    let file = dir.join("events.ndjson");
    std::fs::write(&file, Traffic { events: 5, ..Traffic::default() }.log()[0].json()).unwrap();
    let nobody = format!("127.0.0.1:{}", free_port());
    let nowhere = format!("kafka://{nobody}/events");
    let cases = [
        (vec!["produce", "--to", &nowhere, path(&file)], nobody.as_str()),
        (vec!["produce", "--to", &nowhere, "/nowhere/events.ndjson"], "/nowhere/events.ndjson"),
        (vec!["produce", "--to", "redis://h/t", path(&file)], "redis://h/t"),
        (vec!["produce", path(&file)], "--to"),
    ];
    for (arguments, named) in cases {
        let mut crest = Crest::spawn(arguments);
        assert!(!crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
        let said = crest.stderr();
        let [line] = said.as_slice() else { panic!("one line is expected: {}", crest.describe()) };
        assert!(line.starts_with("crest: ") && line.contains(named), "{named:?} is not in {line:?}");
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn the_configuration_that_is_printed_is_taken_back() {
    let dir = new_folder("config");
    let print = |arguments: &[&str]| {
        let mut crest = Crest::spawn([&["config"], arguments].concat());
        assert!(crest.wait(Duration::from_secs(20)).success(), "{}", crest.describe());
        assert!(crest.stderr().is_empty(), "{}", crest.describe());
        crest.stdout().join("\n") + "\n"
    };
    let kafka =
        ["--source", "kafka://a:9092,b:9092/events", "--start", "2026-03-10T10:15:00Z", "--http", "off"];
    let redis = ["--snapshots", "-", "--snapshots", "redis://user:hush@h:6379/1"];
    let time =
        ["--pane", "5s", "--window", "w=1h/5s", "-k", "7", "--refresh", "500ms", "--idle-timeout", "3s"];
    let all = [&kafka[..], &redis, &time].concat();
    for (number, arguments) in [&[][..], &["--demo"], &all].into_iter().enumerate() {
        let text = print(arguments);
        assert!(!text.contains("hush"), "secrets are masked: {text}");
        let file = dir.join(format!("{number}.toml"));
        std::fs::write(&file, &text).unwrap();
        assert_eq!(print(&["--config", path(&file)]), text);
    }
    let _ = std::fs::remove_dir_all(dir);
}
