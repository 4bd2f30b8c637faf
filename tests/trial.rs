//! `crest try` on data as people have it: what it prints ranks as an exact recount does, also when the job runs by the
//! configuration that it has written.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;
#[path = "trial/recount.rs"]
mod recount;
#[path = "../connectors/tests/support/registry_server.rs"]
mod registry_server;

use common::program::{Crest, parse_finals, path};
use common::servers::{Kafka, Produced};
use common::web::Web;
use common::{new_folder, root};
use recount::{Ranking, ranked, recount};
use registry_server::{Answer, RegistryServer};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What one look printed.
struct Tried {
    success: bool,
    text: String,
    /// The ranking, as it was printed.
    ranking: Ranking,
    stderr: String,
}

/// Runs `crest try` with these arguments, and this on its standard input.
fn tried<'a>(input: &'static [u8], arguments: impl IntoIterator<Item = &'a str>) -> Tried {
    let mut crest = Crest::spawn_reading(input, ["try"].into_iter().chain(arguments));
    let success = crest.wait(Duration::from_secs(60)).success();
    let lines = crest.stdout();
    let row = |line: &String| {
        let (_rank, rest) = line.trim_start().split_once(' ')?;
        let (count, item) = rest.trim_start().split_once("  ")?;
        Some((unescaped(item), count.replace(',', "").parse().ok()?))
    };
    let rows = lines.iter().skip_while(|line| !line.starts_with("Top ")).skip(1);
    let ranking = rows.take_while(|line| !line.is_empty()).map(|line| row(line).unwrap()).collect();
    Tried { success, text: lines.join("\n"), ranking, stderr: crest.stderr().join("\n") }
}

/// What a text stands for that is printed with escapes such as `\u{1b}`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (digits, rest) = part.split_once('}').unwrap();
        out.extend(char::from_u32(u32::from_str_radix(digits, 16).unwrap()));
        out += rest;
    }
    out
}

/// Tries a source, and runs the job by the configuration that was written. Both must rank the same. Returns what was
/// printed and the configuration.
fn tried_and_run(folder: &Path, input: &'static [u8], source: &str, more: &[&str]) -> (Tried, toml::Table) {
    let config = folder.join("crest.toml");
    let _ = std::fs::remove_file(&config);
    let arguments = [source, "--write", path(&config), "-k", "1000", "--sample", "100000"];
    let tried = tried(input, arguments.into_iter().chain(more.iter().copied()));
    assert!(tried.success, "{source}: {}\n{}", tried.stderr, tried.text);
    let mut crest =
        Crest::spawn_reading(input, ["--config", path(&config), "--snapshots", "-", "-k", "1000"]);
    assert!(crest.wait(Duration::from_secs(60)).success(), "{source}: {}", crest.describe());
    let finals = parse_finals(&crest.stdout());
    let all: Vec<&Value> = finals.iter().filter(|ranking| ranking["window"] == "all").collect();
    let [all] = all.as_slice() else { panic!("{source}: {}", crest.describe()) };
    let row = |item: &Value| (item["item_id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap());
    let by_job: Ranking = all["items"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(tried.ranking, by_job, "{source}");
    (tried, toml::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap())
}

fn case_input(name: &str) -> PathBuf {
    let files = std::fs::read_dir(root().join("tests/cases").join(name)).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    files
        .find(|path| !["crest.toml", "want.json"].map(Some).contains(&path.file_name().unwrap().to_str()))
        .unwrap()
}

/// Each case, and the array, the item and the time that are guessed. `want` says that these are the case's own, so that its
/// right answer is the answer here too; otherwise the input is counted again.
const CASES: [(&str, &str, &str, &str, bool); 30] = [
    ("access_log", "", "path", "time", false),
    ("array_file", "", "item_id", "timestamp", true),
    ("array_records", "$[*]", "item_id", "timestamp", true),
    ("bom_crlf", "", "item_id", "timestamp", true),
    ("charges", "", "data.object.customer", "created", false),
    ("cloudevents", "", "data.item_id", "time", true),
    ("composite", "", "destination", "at", false),
    ("csv", "", "product", "event_time", false),
    ("date_with_month_name", "", "lang", "created_at", true),
    ("debezium", "", "payload.after.product_id", "payload.ts_ms", false),
    ("decimal_weight", "", "sku", "at", false),
    ("dotted_keys", "", "['url.path']", "@timestamp", true),
    ("ecs", "", "url.path", "@timestamp", true),
    ("fallbacks", "", "product_id", "timestamp", false),
    ("filter_values", "", "path", "at", false),
    ("float_seconds", "", "kubernetes.pod", "date", true),
    ("ga4_items", "items[*]", "item_id", "$.event_timestamp", false),
    ("gzip", "", "item_id", "timestamp", true),
    ("local_time", "", "currency", "date_created", false),
    ("mixed_ids", "", "id", "t", true),
    ("nanoseconds", "", "i", "ts", true),
    ("order_lines", "line_items[*]", "product_id", "$.created_at", false),
    (
        "otel_logs",
        "resourceLogs[*].scopeLogs[*].logRecords[*]",
        "attributes[?@.key=='http.route'].value.stringValue",
        "timeUnixNano",
        true,
    ),
    ("post_tags", "commit.record.facets[*].features[*]", "tag", "$.time_us", true),
    ("pretty_file", "", "item_id", "timestamp", true),
    ("seconds_as_text", "", "path", "msec", true),
    ("track_orders", "properties.products[*]", "product_id", "$.timestamp", false),
    ("tsv_no_header", "", "column_2", "column_4", false),
    ("two_days_20_years_apart", "", "i", "t", true),
    ("weight_missing", "", "sku", "at", false),
];

#[test]
fn each_case_is_ranked_by_what_is_guessed_as_a_recount_ranks_it() {
    let folder = new_folder("trial");
    assert_eq!(std::fs::read_dir(root().join("tests/cases")).unwrap().count(), CASES.len());
    for (name, each, item, time, is_the_cases_own) in CASES {
        let input = case_input(name);
        let (tried, config) = tried_and_run(&folder, b"", path(&input), &[]);
        let guessed = |key: &str| config["schema"].get(key).map_or("", |value| value.as_str().unwrap());
        assert_eq!((guessed("each"), guessed("item"), guessed("timestamp")), (each, item, time), "{name}");
        let expected = if is_the_cases_own {
            let want = std::fs::read(input.with_file_name("want.json")).unwrap();
            let want: Value = serde_json::from_slice(&want).unwrap();
            serde_json::from_value(want["boards"]["default"]["items"].clone()).unwrap()
        } else {
            recount(&input, each, item)
        };
        assert_eq!(tried.ranking, expected, "{name}");
        let lines = tried.text.lines().filter(|line| !line.is_empty()).count() - tried.ranking.len();
        assert!(lines <= 50, "{name}: a newcomer reads {lines} lines beside the ranking");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

const MIDNIGHT: i64 = 1_711_670_400;

fn lines(events: impl Iterator<Item = Value>) -> &'static [u8] {
    events.map(|event| event.to_string() + "\n").collect::<String>().into_bytes().leak()
}

#[test]
fn what_comes_on_standard_input_is_ranked_whatever_it_is() {
    let folder = new_folder("trial-stdin");
    let check = |input: &'static [u8], expected: Ranking, telling: &[&str]| {
        let (tried, _) = tried_and_run(&folder, input, "-", &[]);
        assert_eq!(tried.ranking, expected, "{}", tried.text);
        for text in telling {
            assert!(tried.text.contains(text), "{text}: {}", tried.text);
        }
    };
    let posts = lines((0..300).map(|n| {
        let tags: Vec<Value> = (0..n % 3).map(|tag| json!({ "text": format!("tag{}", (n + tag) % 7) })).collect();
        json!({ "created_at": "Wed Aug 27 13:08:45 +0000 2008", "id": n, "lang": if n % 2 == 0 { "en" } else { "de" },
            "text": format!("the post of number {n}"), "entities": { "hashtags": tags }, "user": { "name": format!("u{n}") } })
    }));
    let tags = (0..300).flat_map(|n| (0..n % 3).map(move |tag| format!("tag{}", (n + tag) % 7)));
    check(posts, ranked(tags), &["entities.hashtags[*]", "%a %b %d %H:%M:%S %z %Y", "2008-08-27 13:08:45"]);

    let readings = lines((0..100).map(|n| {
        let reading =
            |s: i64| json!({ "sensor": format!("s{}", (n + s) % 5), "ts": MIDNIGHT + n, "celsius": 20.5 });
        json!({ "device": format!("d{}", n % 3), "readings": (0..4).map(reading).collect::<Vec<_>>() })
    }));
    let sensors = (0..100).flat_map(|n| (0..4).map(move |s| format!("s{}", (n + s) % 5)));
    check(readings, ranked(sensors), &["readings[*]", "# by = [\"$.device\"]"]);

    let row = |n: u32| format!("{};\"shop; {}\";{}.03.2024 10:15;1,5\n", n, n % 4, n % 28 + 1);
    let table: String = "number;shop name;day;price\n".to_owned() + &(0..200).map(row).collect::<String>();
    let shops = ranked((0..200).map(|n| format!("shop; {}", n % 4)));
    let telling = ["CSV with a header, separated by \";\"", "item = \"shop name\"", "timezone = \"UTC\""];
    check(table.into_bytes().leak(), shops, &telling);

    let line = |n: u32| {
        format!("ts=2024-03-29T00:00:{:02}Z level=info path=/p{} msg=\"it is n{n}\"\n", n % 60, n % 6)
    };
    let log: String = (0..120).map(line).collect();
    let paths = ranked((0..120).map(|n| format!("/p{}", n % 6)));
    check(log.into_bytes().leak(), paths, &["lines of key=value", "item = \"path\""]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_configuration_says_is_not_guessed_and_nothing_that_is_there_is_written_over() {
    let folder = new_folder("trial-config");
    let given = folder.join("given.toml");
    std::fs::write(&given, "[schema]\nitem = \"page\"\n[source.kafka]\n\"sasl.password\" = \"hunter2\"\n")
        .unwrap();
    let input = lines((0..60).map(
        |n| json!({ "sku": format!("s{}", n % 5), "page": format!("\u{1b}[2J{}", n % 2), "at": MIDNIGHT }),
    ));
    let config = ["--config", path(&given)];
    let tried_out = tried(input, ["-"].into_iter().chain(config));
    assert!(tried_out.success, "{}", tried_out.stderr);
    assert!(
        tried_out.text.contains("item = \"page\"") && !tried_out.text.contains("item    "),
        "{}",
        tried_out.text
    );
    assert!(!tried_out.text.contains('\u{1b}') && !tried_out.text.contains("hunter2"), "{}", tried_out.text);
    assert_eq!(tried_out.ranking, ranked((0..60).map(|n| format!("\u{1b}[2J{}", n % 2))));
    let refused = tried(input, ["-", "--write", path(&given)]);
    assert!(!refused.success && refused.stderr.contains("is there already"), "{}", refused.stderr);
    assert!(std::fs::read_to_string(&given).unwrap().contains("hunter2"));
    let written = folder.join("written.toml");
    let writes = tried(input, ["-", "--write", path(&written)].into_iter().chain(config));
    assert!(writes.success, "{}", writes.stderr);
    assert!(std::fs::read_to_string(&written).unwrap().contains("hunter2"), "so that it works");
    let mode = std::fs::metadata(&written).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "a file with a secret is its owner's");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_ranked_says_what_is_missing() {
    let folder = new_folder("trial-missing");
    let refusal = |input: &'static [u8], arguments: &[&str]| {
        let tried = tried(input, arguments.iter().copied());
        assert!(!tried.success, "{}", tried.text);
        assert_eq!(tried.stderr.lines().count(), 1, "{}", tried.stderr);
        (tried.stderr, tried.text)
    };
    let empty = folder.join("empty.ndjson");
    std::fs::write(&empty, "").unwrap();
    assert!(refusal(b"", &[path(&empty)]).0.contains("there is no record in it"));
    assert!(refusal(b"", &[path(&folder.join("none.ndjson"))]).0.contains("no file matches"));
    assert!(refusal(b"", &[path(&folder)]).0.contains("is a folder: name its files"));
    assert!(refusal(b"", &["kafka://127.0.0.1:1/topic"]).0.contains("kafka://127.0.0.1:1/topic"));
    let log = format!("log:{}", path(&folder));
    assert!(refusal(b"", &[&log]).0.contains("there is no embedded log in this folder"));
    assert!(!folder.join("events.redb").exists());
    assert!(refusal(b"once upon a time\nthere were some words\n", &["-"]).0.contains("pattern"));
    assert!(refusal(b"\x01\x02\x03\xff\n", &["-"]).0.contains("are read from Kafka only"));
    let (missing, text) = refusal(lines((0..9).map(|n| json!({ "sku": n % 3, "n": 1 }))), &["-"]);
    assert!(missing.contains("timestamp = ") && text.contains("# timestamp = \"…\""), "{missing}\n{text}");
    let (missing, text) = refusal(lines((0..9).map(|n| json!({ "at": MIDNIGHT + n, "ok": true }))), &["-"]);
    assert!(missing.contains("item = ") && text.contains("# item = \"…\""), "{missing}\n{text}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// A number as Avro and Protobuf write it; Avro's is folded before.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Writes records to three partitions of a new topic, and returns its URL.
fn produced(topic: &str, records: impl Iterator<Item = Vec<u8>>) -> String {
    let kafka = Kafka::shared();
    kafka.create_topic(topic, 3);
    let record = |(n, record): (u32, Vec<u8>)| {
        let timestamp = Some(MIDNIGHT * 1000 + i64::from(n));
        Produced { partition: n % 3, timestamp, payload: record.into() }
    };
    kafka.produce(topic, (0..).zip(records).map(record));
    kafka.url(topic)
}

fn pages(records: u64) -> Ranking {
    ranked((0..records).map(|n| format!("p{}", n % 7)))
}

#[test]
fn topics_are_read_from_all_partitions_and_nothing_is_committed() {
    let folder = new_folder("trial-kafka");
    let plain = (0..90).map(|n| json!({ "page": format!("p{}", n % 7) }).to_string().into_bytes());
    let (url, config) = (produced("plain", plain), folder.join("crest.toml"));
    let all = tried(b"", [url.as_str(), "--write", path(&config)]);
    assert!(
        all.success && all.text.contains("timestamp = \"record:timestamp\""),
        "{}{}",
        all.stderr,
        all.text
    );
    assert_eq!(all.ranking, pages(90));
    let written = std::fs::read_to_string(&config).unwrap();
    assert!(written.contains("size = \"1h\"") && written.contains(&url), "{written}");
    let few = tried(b"", [url.as_str(), "--sample", "9"]);
    assert!(few.text.contains("the first records of each of 3 partitions"), "{}", few.text);
    assert_eq!(few.ranking, pages(9), "as many of each partition");
    let kafka = Kafka::shared();
    kafka.create_topic("nothing", 2);
    let nothing = tried(b"", [kafka.url("nothing").as_str()]);
    assert!(!nothing.success && nothing.stderr.contains("there is no record in it"), "{}", nothing.stderr);
    assert_eq!(kafka.groups(), [""; 0], "no consumer group is left behind");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn topics_of_avro_and_protobuf_are_read_by_a_registry_or_a_schema() {
    let folder = new_folder("trial-schemas");
    let expected = pages(90);
    let registry = RegistryServer::start();
    let schema = json!({ "type": "record", "name": "View", "fields": [
        { "name": "page", "type": "string" }, { "name": "at", "type": { "type": "long", "logicalType": "timestamp-millis" } } ] });
    registry.answer("/schemas/ids/7", Answer::new(200, json!({ "schema": schema.to_string() }).to_string()));
    let folded = |number: i64| varint((number as u64) << 1);
    let avro = |n: i64| {
        let page = format!("p{}", n % 7);
        [folded(page.len() as i64), page.into_bytes(), folded(MIDNIGHT * 1000 + n)].concat()
    };
    let url = produced("framed", (0..90).map(|n| [&[0, 0, 0, 0, 7], &avro(n)[..]].concat()));
    let unnamed = tried(b"", [url.as_str()]);
    assert!(!unnamed.success && unnamed.stderr.contains("--registry"), "{}", unnamed.stderr);
    let framed = tried(b"", [url.as_str(), "--registry", &registry.url()]);
    assert!(framed.success && framed.text.contains("format = \"avro\""), "{}{}", framed.stderr, framed.text);
    assert_eq!(framed.ranking, expected);
    let asked: Vec<String> = registry.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["/schemas/ids/7"], "it is asked once");

    let url = produced("avro", (0..90).map(avro));
    let file = folder.join("view.avsc");
    std::fs::write(&file, schema.to_string()).unwrap();
    let local = tried(b"", [url.as_str(), "--schema", path(&file)]);
    assert!(local.success && local.text.contains("timestamp = \"at\""), "{}{}", local.stderr, local.text);
    assert_eq!(local.ranking, expected);

    let protobuf = |n: u64| {
        let page = format!("p{}", n % 7);
        [
            vec![0x0a],
            varint(page.len() as u64),
            page.into_bytes(),
            vec![0x10],
            varint(MIDNIGHT as u64 - 100 + n),
        ]
        .concat()
    };
    let url = produced("protobuf", (0..90).map(protobuf));
    let file = folder.join("view.proto");
    std::fs::write(&file, "syntax = \"proto3\"; message View { string page = 1; int64 at = 2; }").unwrap();
    let local = tried(b"", [url.as_str(), "--schema", path(&file)]);
    assert!(local.success && local.text.contains("format = \"protobuf\""), "{}{}", local.stderr, local.text);
    assert_eq!(local.ranking, expected);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_embedded_log_is_read_where_a_job_has_left_it() {
    let folder = new_folder("trial-log");
    let mut crest = Crest::spawn(["--state", path(&folder), "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    let events: Vec<Value> =
        (0..90).map(|n| json!({ "item_id": format!("p{}", n % 7), "timestamp": MIDNIGHT + n })).collect();
    let answer = web.send("POST", "/events", &[], json!(events).to_string().as_bytes());
    assert_eq!(answer.status, 202);
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
    let file = folder.join("log/events.redb");
    let before = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap().modified().unwrap());
    let log = tried(b"", [format!("log:{}", path(&folder)).as_str()]);
    assert!(
        log.success && log.text.contains(&format!("log:{}/log", path(&folder))),
        "{}{}",
        log.stderr,
        log.text
    );
    assert_eq!(log.ranking, pages(90));
    let after = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap().modified().unwrap());
    assert!(before == after, "the log is only read");
    std::fs::remove_dir_all(folder).unwrap();
}
