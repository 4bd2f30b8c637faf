//! Nothing is lost in silence: what a run made of its input is told at its end, over HTTP and in the log, by board and
//! by field; a weight that is named must be there, and one that is not named counts for nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::events::START;
use common::program::{Cluster, Crest, parse_finals, path};
use common::web::Web;
use common::{eventually, new_folder};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// A window that holds all events of a case.
const DAY: &str = r#"windows = [ { name = "day", size = "1d", slide = "1d" } ]"#;

/// A run over one file.
struct Case {
    dir: PathBuf,
    events: Vec<Value>,
    config: String,
}

/// What came of it: its status, the rankings by board, and what it said at the end.
struct Outcome {
    status: i32,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    log: String,
}

impl Case {
    fn new(config: &str, events: Vec<Value>) -> Self {
        let (dir, config) = (new_folder("told"), config.replace("DAY", DAY));
        let lines: String = events.iter().map(|event| event.to_string() + "\n").collect();
        std::fs::write(dir.join("events.ndjson"), lines).unwrap();
        std::fs::write(dir.join("crest.toml"), &config).unwrap();
        Case { dir, events, config }
    }

    fn arguments(&self) -> [String; 4] {
        let (source, config) = (self.dir.join("events.ndjson"), self.dir.join("crest.toml"));
        ["--config".into(), path(&config).into(), "--source".into(), format!("file:{}", path(&source))]
    }

    fn run(&self) -> Outcome {
        let mut crest = Crest::spawn(self.arguments());
        let status = crest.wait(PATIENCE).code().unwrap_or_else(|| panic!("{}", crest.describe()));
        let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for ranking in parse_finals(&crest.stdout()).iter().filter(|ranking| ranking["group"] == json!({})) {
            let board = counts.entry(ranking["board"].as_str().unwrap().into()).or_default();
            for item in ranking["items"].as_array().unwrap() {
                let count = board.entry(item["item_id"].as_str().unwrap().into()).or_default();
                *count += item["count"].as_u64().unwrap();
            }
        }
        Outcome { status, counts, log: crest.stderr().join("\n") }
    }

    /// The sums of a field by item, counted here.
    fn sums(&self, item: &str, weight: impl Fn(&Value) -> u64) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for event in self.events.iter().filter(|event| event[item].is_string()) {
            *sums.entry(event[item].as_str().unwrap().to_owned()).or_default() += weight(event);
        }
        sums
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Outcome {
    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.log.contains(text), "it does not say {text:?}:\n{}", self.log);
    }
}

/// Events of a second each.
fn events(count: i64, event: impl Fn(i64) -> Value) -> Vec<Value> {
    let timed = |n| {
        let mut event = event(n);
        event["timestamp"] = (START / 1000 + n).into();
        event
    };
    (0..count).map(timed).collect()
}

#[test]
fn an_array_of_events_that_no_record_has_is_named() {
    let case = Case::new(
        "[schema]\neach = \"lines\"\n[[board]]\nname = \"default\"\nDAY\n",
        events(20, |_| json!({"items": [{"item_id": "a"}]})),
    );
    let run = case.run();
    assert_eq!((run.status, run.counts.len()), (1, 0), "{}", run.log);
    run.says("nothing was counted: read 20 records, counted none: 20 without an event");
    run.says("board default matched no event; no event had lines (each)");
}

/// What is refused before any board sees it says nothing of the fields that a board names.
#[test]
fn boards_are_not_blamed_for_events_that_none_of_them_saw() {
    let config =
        "[schema]\ntimestamp = \"at\"\n[[board]]\nname = \"default\"\nfilter = { kind = \"view\" }\nDAY\n";
    let case = Case::new(config, events(20, |_| json!({"item_id": "a", "kind": "view"})));
    let run = case.run();
    assert_eq!((run.status, run.counts.len()), (1, 0), "{}", run.log);
    run.says("nothing was counted: read 20 records, counted none: 20 refused as timestamp (none has at)");
    assert!(!run.log.contains("no event had"), "{}", run.log);
}

#[test]
fn a_field_that_is_in_an_array_is_offered_with_the_array() {
    let case = Case::new(
        "[[board]]\nname = \"default\"\nitem = \"lines.skuu\"\nDAY\n",
        events(20, |_| json!({"lines": [{"sku": "a"}, {"sku": "b"}]})),
    );
    let run = case.run();
    run.says("no event had lines.skuu (item; did you mean sku, with each = \"lines[*]\"?)");
    let each = case
        .config
        .replace("lines.skuu", "sku")
        .replace("[[board]]", "[schema]\neach = \"lines[*]\"\ntimestamp = \"$.timestamp\"\n[[board]]");
    let counted = Case::new(&each, case.events.clone()).run().counts["default"].clone();
    assert_eq!(counted, BTreeMap::from([("a".into(), 20), ("b".into(), 20)]));
}

#[test]
fn a_weight_that_is_named_and_absent_is_refused_and_told() {
    let sold = |n: i64| json!({"item_id": format!("i{}", n % 3), "quantity": 3});
    let case =
        Case::new("[schema]\nweight = \"quantitiy\"\n[[board]]\nname = \"default\"\nDAY\n", events(20, sold));
    let run = case.run();
    assert_eq!((run.status, run.counts.len()), (1, 0), "{}", run.log);
    run.says("nothing was counted: read 20 records, counted none: 20 refused as weight (none has quantitiy)");
    run.says(
        "board default matched 20 events, 20 of them without a usable weight; no event had quantitiy (weight; did you mean quantity?)",
    );

    let named = Case::new(&case.config.replace("quantitiy", "quantity"), case.events.clone());
    assert_eq!(named.run().counts["default"], case.sums("item_id", |_| 3));

    // What charges and refunds have in common is their type.
    let booked = |n: i64| match n % 3 {
        0 => json!({"kind": "refund", "item_id": "r", "amount_refunded": 9000}),
        _ => json!({"kind": "charge", "item_id": "c", "amount": 1000}),
    };
    let config = "[schema]\ntype = \"kind\"\nweight = [\"amount\", \"amount_refunded\"]\n[[board]]\nname = \"money\"\nDAY\n";
    let run = Case::new(config, events(6, booked)).run();
    assert_eq!(run.counts["money"], BTreeMap::from([("c".into(), 4000), ("r".into(), 18_000)]));
    let amount = config.replace("[\"amount\", \"amount_refunded\"]", "\"amount\"");
    let run = Case::new(&amount, events(6, booked)).run();
    assert_eq!((run.status, &run.counts["money"]), (0, &BTreeMap::from([("c".into(), 4000)])), "{}", run.log);
    run.says("read 6 records, counted 4: 2 refused as weight");
    let by_default = amount.replace("[[board]]", "weight_default = 7\n[[board]]");
    let run = Case::new(&by_default, events(6, booked)).run();
    assert_eq!(run.counts["money"], BTreeMap::from([("c".into(), 4000), ("r".into(), 14)]), "{}", run.log);
}

#[test]
fn a_field_named_weight_that_nobody_configured_multiplies_nothing() {
    let heavy =
        |n: i64| json!({"item_id": "a", "weight": if n % 2 == 0 { json!(80) } else { json!("82 kg") }});
    let case = Case::new("[[board]]\nname = \"default\"\nDAY\n", events(10, heavy));
    let run = case.run();
    assert_eq!((run.status, &run.counts["default"]["a"]), (0, &10), "{}", run.log);
    run.says("read 10 records, counted all");
}

#[test]
fn lists_of_fields_pass_over_what_cannot_be_used() {
    let unusable = [Value::Null, json!(""), json!({}), json!(["x"]), json!([1.5])];
    let event = |n: i64| {
        let (item, time) = (&unusable[n as usize % 5], &unusable[n as usize / 5 % 5]);
        json!({"sku": item, "product_id": format!("p{}", n % 7), "ts": time, "n": unusable[n as usize / 25], "qty": 2})
    };
    let config = "[schema]\nitem = [\"sku\", \"product_id\"]\ntimestamp = [\"ts\", \"timestamp\"]\n\
                  weight = [\"n\", \"qty\"]\n[[board]]\nname = \"default\"\nDAY\n";
    let case = Case::new(config, events(125, event));
    let run = case.run();
    assert_eq!(run.counts["default"], case.sums("product_id", |_| 2), "{}", run.log);
    run.says("read 125 records, counted all");
}

/// Another board counts the same events, so that none is refused.
#[test]
fn a_board_that_cannot_use_what_it_takes_is_told_of_while_it_runs() {
    let dir = new_folder("told-lacking");
    let config = dir.join("crest.toml");
    std::fs::write(&config, "[[board]]\nname = \"all\"\n[[board]]\nname = \"money\"\nweight = \"price\"\n")
        .unwrap();
    let log = format!("log:{}?partitions=1", dir.join("log").display());
    let job = ["--config", path(&config), "--source", &log, "--state", "off"];
    let (mut crest, web) = Web::of_new(job);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let post = |price: f64, count: usize| {
        let event = json!({"item_id": "a", "timestamp": now, "price": price}).to_string() + "\n";
        assert_eq!(web.send("POST", "/events", &[], event.repeat(count).as_bytes()).status, 202);
    };
    let board = || said(&web, "/readyz")["checks"]["boards"].clone();
    post(20.0, 9_000);
    eventually("9,000 are read", || web.metric("crest_records_total", "") as usize == 9_000);
    assert_eq!(board(), "ok");
    post(19.9, 2_000);
    let line = "board money matched 11,000 events, 2,000 of them without a usable weight";
    eventually("it is told", || board() == line);
    crest.until_logged(&format!("of the first 11000 records, {line}"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_matches_nothing_is_told_by_board_and_field() {
    let view = |n: i64| json!({"event": "view", "item_id": format!("i{}", n % 3), "region": "IN"});
    let boards = r#"
        [[board]]
        name = "good"
        filter = { event_type = "view" }
        by = ["region"]
        DAY
        [[board]]
        name = "typos"
        by = ["regoin"]
        weights = { veiw = 5 }
        DAY
        [[board]]
        name = "videos"
        item = "video_id"
        DAY
        [[board]]
        name = "strict"
        filter = { event_type = "buy", kind = "x" }
        DAY
    "#;
    let case = Case::new(boards, events(30, view));
    let run = case.run();
    assert_eq!(run.status, 0, "{}", run.log);
    let sums = case.sums("item_id", |_| 1);
    assert_eq!((&run.counts["good"], &run.counts["typos"]), (&sums, &sums));
    for line in [
        "INFO read 30 records, counted all; in ",
        "INFO board good matched 30 events\n",
        "WARN board typos matched 30 events; no event had regoin (by; did you mean region?), veiw (weights)",
        "WARN board videos matched 30 events, 30 of them without a usable item; no event had video_id (item)",
        "WARN board strict matched no event; no event had kind (filter)",
    ] {
        run.says(line);
    }

    let only = |board: &str| boards.split("[[board]]").find(|text| text.contains(board)).unwrap();
    let nothing = Case::new(&format!("[[board]]{}", only("strict")), case.events.clone());
    let run = nothing.run();
    assert_eq!((run.status, run.counts.values().map(BTreeMap::len).sum::<usize>()), (1, 0), "{}", run.log);
    run.says("crest: nothing was counted: read 30 records, counted none: 30 on no board");

    let timeless = Case::new("[schema]\ntimestamp = \"at\"\n", case.events.clone()).run();
    assert_eq!(timeless.status, 1);
    timeless.says("read 30 records, counted none: 30 refused as timestamp (none has at)");
    let wrong = Case::new("[schema]\ntimestamp = \"event\"\n", case.events.clone()).run();
    wrong.says("counted none: 30 refused as timestamp; in ");
}

#[test]
fn what_was_late_is_told_and_the_same_by_any_workers() {
    let mut shuffled = events(10_000, |n| json!({"item_id": format!("i{}", n % 10)}));
    shuffled.shuffle(&mut StdRng::seed_from_u64(14));
    let case = Case::new("", shuffled);
    // Late by the definition: of a pane that the newest event before it, less 5 s, has passed.
    let (mut newest, mut late) = (0, 0);
    for event in &case.events {
        let time = event["timestamp"].as_i64().unwrap();
        late += i64::from(time / 10 < (newest - 5) / 10);
        newest = newest.max(time);
    }
    assert!(late > 9000, "{late}");
    let (late, counted) = (thousands(late), thousands(10_000 - late));
    let line = format!("WARN read 10,000 records, counted {counted}: {late} late; in ");
    let run = case.run();
    assert_eq!(run.status, 0, "{}", run.log);
    run.says(&line);

    let arguments = case.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["-w", "2"]).collect();
    let mut cluster = Cluster::spawn(2, &arguments);
    for (process, crest) in cluster.processes.iter_mut().enumerate() {
        assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
        let told = crest.stderr().iter().any(|said| said.contains(&line[5..]));
        assert_eq!(told, process == 0, "process 0 tells of all: {}", crest.describe());
    }
}

fn thousands(count: i64) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
}

#[test]
fn a_run_that_is_stopped_has_not_failed() {
    let (mut crest, input) = Crest::spawn_open(["--source", "-", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    std::io::Write::write_all(&mut &input, b"{}\n{}\n").unwrap();
    eventually("both are read", || web.metric("crest_records_total", "") == 2.0);
    crest.sigterm();
    assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
    let log = crest.stderr().join("\n");
    assert!(log.contains("stopped: read 2 records, counted none: 2 refused as timestamp"), "{log}");
}

#[test]
fn a_state_whose_weight_was_another_is_refused_by_name_and_gone_on_with_in_one_line() {
    let weighed = "schema = { weight = \"weight\", weight_default = 1 }\n";
    let boards = "[[board]]\nname = \"default\"\nDAY\n";
    let heavy = |n: i64| json!({"item_id": "a", "weight": n % 2 + 1});
    let case = Case::new(&format!("{weighed}{boards}"), events(10, heavy));
    let state = case.dir.join("state");
    let run = |config: &str| {
        std::fs::write(case.dir.join("crest.toml"), config.replace("DAY", DAY)).unwrap();
        let arguments = case.arguments();
        let state = ["--state".to_owned(), path(&state).to_owned()];
        let mut crest = Crest::spawn(arguments.iter().chain(&state));
        (crest.wait(PATIENCE).code().unwrap(), crest.stderr().join("\n"))
    };
    let (status, log) = run(&case.config);
    assert!(status == 0 && log.contains("read 10 records, counted all; kept as"), "{log}");
    let (status, log) = run(boards);
    assert_eq!(status, 2, "{log}");
    assert!(log.contains("schema.weight[0] was \"weight\" and is now not set"), "{log}");
    assert!(log.contains("goes on with schema = { weight = \"weight\", weight_default = 1 }"), "{log}");
    let required = case.config.replace(", weight_default = 1", "");
    let (status, log) = run(&required);
    assert!(status == 2 && log.contains("schema.weight_default was not set and is now \"none\""), "{log}");
    let (status, log) = run(&case.config);
    assert!(
        status == 0 && log.contains("read 0 records"),
        "a run with nothing left to read is none that failed: {log}"
    );
}

/// The body of any answer.
fn said(web: &Web, path: &str) -> Value {
    serde_json::from_str(&web.get(path).1).expect("an answer in JSON")
}

/// A live job whose boards want what never comes.
const LIVE: &str = r#"
    [time]
    pane = "1s"
    out_of_orderness = "1s"
    idle_timeout = "500ms"
    refresh = "200ms"
    [[board]]
    name = "strict"
    filter = { kind = "x" }
    windows = [ { name = "hour", size = "1h", slide = "1h" } ]
    [[board]]
    name = "typos"
    filter = { event_type = "view" }
    by = ["regoin"]
    windows = [ { name = "hour", size = "1h", slide = "1h" } ]
"#;

#[test]
fn a_live_job_says_why_there_is_no_ranking() {
    let dir = new_folder("told");
    let config = dir.join("crest.toml");
    std::fs::write(&config, LIVE).unwrap();
    let log = format!("log:{}?partitions=1", dir.join("log").display());
    let job = ["--config", path(&config), "--source", &log, "--state", "off"];
    let (mut crest, web) = Web::of_new(job);
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let post = |event: &str, time: i64, count: usize| -> Value {
        let event =
            json!({"item_id": "a", "event": event, "region": "IN", "timestamp": time}).to_string() + "\n";
        let answer = web.send("POST", "/events", &[], event.repeat(count).as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    let why = |board: &str| web.json("/status")["boards"][board]["why_empty"].clone();
    assert_eq!(why("strict"), Value::Null, "nothing was read yet");
    assert_eq!(said(&web, "/top-k/strict")["error"], "there is no ranking yet");

    // Events of the past are late for nobody before time has passed.
    let message = "Event queued for processing";
    assert_eq!(post("buy", now(), 9_000), json!({"message": message, "accepted": 9000, "unmatched": 9000}));
    let nothing = "read 9,000 records, counted none: 9,000 on no board; board strict matched no event; no event had kind (filter)";
    eventually("what is wrong with the board", || why("strict") == nothing);
    assert_eq!(
        said(&web, "/readyz")["checks"]["boards"],
        format!("2 boards have counted nothing: {nothing}")
    );
    let (status, body) = web.get("/top-k/strict");
    let ranking: Value = serde_json::from_str(&body).unwrap();
    match status {
        503 => assert_eq!(ranking["error"], format!("there is no ranking yet: {nothing}")),
        _ => assert_eq!((status, &ranking["total"]), (200, &0.into()), "{body}"),
    }
    assert_eq!(web.metric("crest_board_matched_total", r#"board="strict""#), 0.0);

    assert_eq!(post("view", now(), 2_000), json!({"message": message, "accepted": 2000}));
    eventually("the other board counts", || web.json("/status")["boards"]["typos"]["matched"] == 2000);
    let typos = &web.json("/status")["boards"]["typos"];
    assert_eq!(typos["unseen"], json!([{"name": "regoin", "key": "by"}]));
    assert_eq!((&typos["why_empty"], &typos["without_item"]), (&Value::Null, &0.into()));
    assert_eq!(web.metric("crest_board_field_seen", r#"field="regoin""#), 0.0);
    assert_eq!(web.metric("crest_board_field_seen", r#"board="typos",key="item""#), 1.0);
    eventually("there are rankings", || web.get("/top-k/typos").0 == 200);
    let missing = said(&web, "/top-k/typos?regoin=IN")["error"].clone();
    let expected = r#"board "typos" has no events of regoin=IN in window "hour"; no event had regoin"#;
    assert_eq!(missing, expected);
    let board = said(&web, "/readyz")["checks"]["boards"].clone();
    assert_eq!(board, "read 11,000 records; board strict matched no event; no event had kind (filter)");

    crest.until_logged(
        "of the first 11000 records, board strict matched no event; no event had kind (filter)",
    );
    crest.until_logged(
        "of the first 11000 records, board typos matched 2,000 events; no event had regoin (by; did you mean region?)",
    );
    assert_eq!(crest.stderr().iter().filter(|line| line.contains("of the first")).count(), 2, "once");

    eventually("an old event is known to be late", || {
        let answer = post("view", now() - 3_600_000, 1);
        assert_eq!(answer["accepted"], 1);
        answer["late"] == 1
    });
    drop(crest);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_terminal_is_told_why_there_is_no_ranking() {
    let dir = new_folder("told");
    let config = dir.join("crest.toml");
    std::fs::write(&config, "[schema]\nitem = \"id\"\n").unwrap();
    let (mut crest, input) =
        Crest::spawn_open(["--config", path(&config), "--source", "-", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    let line = json!({"item_id": "a", "timestamp": START}).to_string() + "\n";
    std::io::Write::write_all(&mut &input, line.repeat(5).as_bytes()).unwrap();
    eventually("all are read", || web.metric("crest_records_total", "") == 5.0);
    let why = "there is no ranking yet: read 5 records, counted none: 5 refused as item (none has id)";
    assert_eq!(said(&web, "/top-k")["error"], why);
    assert!(
        said(&web, "/readyz")["checks"]["boards"]
            .as_str()
            .unwrap()
            .starts_with("read 5 records, counted none")
    );
    let mut top = Crest::spawn(["top", "--url", web.address()]);
    assert_eq!(top.wait(PATIENCE).code(), Some(1));
    assert!(top.stderr().join("\n").contains(why), "{}", top.describe());
    let mut watch = Crest::spawn(["top", "--watch", "--url", web.address()]);
    watch.until_logged(why);
    watch.kill();
    drop(input);
    assert_eq!(crest.wait(PATIENCE).code(), Some(1), "{}", crest.describe());
}

#[test]
fn a_header_that_cannot_be_read_is_named() {
    let case = Case::new("[source]\nformat = \"csv\"\n[[board]]\nname = \"default\"\nDAY\n", vec![]);
    let header = [b"item_id,timestamp,caf".as_slice(), b"\xe9", b"\na,1711670400,1\n"].concat();
    std::fs::write(case.dir.join("events.ndjson"), header).unwrap();
    let run = case.run();
    assert_eq!((run.status, run.counts.len()), (1, 0), "{}", run.log);
    run.says("the header cannot be read, so that all rows of the file are refused");
    run.says("1 refused as malformed");
}
