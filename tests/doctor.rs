//! `crest doctor` against real servers: what is well is called well and stays as it was, and what is wrong is named with what to do.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, now};
use common::program::{Crest, path};
use common::servers::{Kafka, Produced, Redis};
use common::{free_port, new_folder, skip};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// What one run found.
struct Checked {
    success: bool,
    findings: Vec<Value>,
}

impl Checked {
    fn of(mut crest: Crest) -> Checked {
        let success = crest.wait(Duration::from_secs(120)).success();
        let text = crest.stdout().join("\n");
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", crest.describe()));
        assert_eq!(report["ok"], success, "{text}");
        let findings = report["findings"].as_array().unwrap().clone();
        assert!(
            findings.iter().all(|finding| finding["ok"].as_bool().unwrap() != finding["fix"].is_string())
        );
        Checked { success, findings }
    }

    /// What is wrong: the only finding that is.
    fn only_fault(&self) -> (String, String, String) {
        let faults: Vec<&Value> = self.findings.iter().filter(|finding| finding["ok"] == false).collect();
        let [fault] = faults.as_slice() else { panic!("{:#?}", self.findings) };
        let text = |key: &str| fault[key].as_str().unwrap().to_owned();
        (text("check"), text("found"), text("fix"))
    }

    /// What was found of one kind of thing.
    fn found(&self, check: &str) -> &str {
        let finding = self.findings.iter().find(|finding| finding["check"] == check);
        finding.unwrap_or_else(|| panic!("{check}: {:#?}", self.findings))["found"].as_str().unwrap()
    }
}

/// Asks for a check of a job with these arguments.
fn doctor(arguments: &[&str]) -> Checked {
    Checked::of(Crest::spawn([&["doctor", "--json"], arguments].concat()))
}

/// The same of a job that is run by these words, such as `env` with variables.
fn doctor_by(by: &[&str], arguments: &[&str]) -> Checked {
    let by: Vec<String> = by.iter().map(|word| (*word).to_owned()).collect();
    Checked::of(Crest::spawn_by(&by, [&["doctor", "--json"], arguments].concat()))
}

/// Fails unless the only fault is of this kind, and says this.
fn assert_fault(checked: &Checked, check: &str, said: &str, to_do: &str) {
    let (kind, found, fix) = checked.only_fault();
    assert_eq!(kind, check, "{found}; {fix}");
    assert!(found.contains(said), "{found:?} does not say {said:?}");
    assert!(fix.contains(to_do), "{fix:?} does not say {to_do:?}");
    assert!(!checked.success);
}

/// A topic with this many events of now, half of them in each of two partitions.
fn filled(kafka: &Kafka, topic: &str, events: i64) {
    kafka.create_topic(topic, 2);
    let event = |n: i64| Event::new(&format!("item-{}", n % 7), now() - n);
    kafka.load(topic, &[0, 1].map(|half| (0..events / 2).map(|n| event(2 * n + half)).collect()));
}

fn keys(redis: &Redis) -> Vec<String> {
    redis::cmd("KEYS").arg("*").query(&mut redis.connect()).unwrap()
}

#[test]
fn what_is_well_is_said_and_left_as_it_was() {
    let (kafka, redis, dir) = (Kafka::shared(), Redis::start(), new_folder("doctor"));
    filled(kafka, "well", 300);
    kafka.create_topic("well-rankings", 1);
    let (source, state) = (kafka.url("well"), dir.join("state"));
    let (snapshots, rankings) = (redis.url(), kafka.url("well-rankings"));
    let job = ["--source", &source, "--snapshots", &snapshots, "--snapshots", &rankings];
    let job = [&job[..], &["--state", path(&state), "--http", "127.0.0.1:0"]].concat();
    let groups = kafka.groups();

    let new = doctor(&job);
    assert!(new.success, "{:#?}", new.findings);
    let checks: Vec<&str> = new.findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let all = [
        "configuration",
        "state",
        "source",
        "sample",
        "snapshots",
        "snapshots",
        "clock",
        "files",
        "memory",
        "port",
    ];
    assert_eq!(checks, all);
    assert!(new.found("state").contains("it is new") && !state.exists(), "{}", new.found("state"));
    assert!(new.found("source").contains("2 partitions, which keep 300 offsets"), "{}", new.found("source"));
    assert_eq!(new.found("sample"), "read 300 records, counted all");
    assert_eq!(
        doctor(&[&job[..], &["--sample", "10"]].concat()).found("sample"),
        "read 10 records, counted all"
    );
    assert!(new.found("clock").contains("that of Redis agrees"), "{}", new.found("clock"));
    assert_eq!(keys(&redis), [""; 0]);
    assert_eq!(kafka.groups(), groups, "nothing was committed");

    // For people it is a line each.
    let mut crest = Crest::spawn([&["doctor"], &job[..]].concat());
    assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
    let lines = crest.stdout();
    assert_eq!(lines.len(), all.len(), "{lines:#?}");
    assert!(
        lines.iter().zip(all).all(|(line, check)| line.starts_with(&format!("ok   {check} "))),
        "{lines:#?}"
    );
    assert_eq!(crest.stderr(), [""; 0]);

    // Beside what a job has left.
    let mut run = Crest::spawn(&job);
    run.until("a ranking", |_| {
        (!keys(&redis).is_empty() && state.join("manifest.json").exists()).then_some(())
    });
    run.sigterm();
    assert!(run.wait(Duration::from_secs(20)).success(), "{}", run.describe());
    let held = || (fs::read(state.join("manifest.json")).unwrap(), keys(&redis).len());
    let before = held();
    let again = doctor(&job);
    assert!(again.success, "{:#?}", again.findings);
    assert!(again.found("state").contains("it is this job's, of epoch"), "{}", again.found("state"));
    assert_eq!(held(), before);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_source_that_cannot_be_read_is_named() {
    let kafka = Kafka::shared();
    let quiet = ["--state", "off", "--http", "off"];
    let checked = |source: &str, more: &[&str]| doctor(&[&["--source", source], &quiet[..], more].concat());
    let missing = checked(&kafka.url("nobody-made-it"), &[]);
    assert_fault(&missing, "source", "have no topic \"nobody-made-it\"", "make it");
    let away = checked(&format!("kafka://127.0.0.1:{}/events", free_port()), &[]);
    assert_fault(&away, "source", "no answer from 127.0.0.1", "see that the brokers run");
    assert_fault(
        &checked("file:/nowhere/*.ndjson", &[]),
        "source",
        "/nowhere/*.ndjson",
        "see that it is there",
    );
    kafka.create_topic("doctor-empty", 1);
    let empty = checked(&kafka.url("doctor-empty"), &[]);
    assert_eq!((empty.success, empty.found("sample")), (true, "there is no record yet to be parsed"));
    assert!(checked(&kafka.url("^doctor-none"), &[]).found("source").contains("no topic matches yet"));
}

#[test]
fn a_sample_that_the_configuration_does_not_read_is_named() {
    let (kafka, dir) = (Kafka::shared(), new_folder("doctor-sample"));
    kafka.create_topic("junk", 1);
    let junk =
        |n: i64| Produced { partition: 0, timestamp: Some(now() - n), payload: b"no, JSON"[..].into() };
    kafka.produce("junk", (0..50).map(junk));
    let quiet = ["--state", "off", "--http", "off"];
    let checked = doctor(&[&["--source", &kafka.url("junk")], &quiet[..]].concat());
    assert_fault(&checked, "sample", "50 refused as malformed", "correct source.format");

    filled(kafka, "good", 100);
    let config = dir.join("crest.toml");
    let with = |text: &str| {
        fs::write(&config, format!("[source]\nurl = {:?}\n{text}", kafka.url("good"))).unwrap();
        doctor(&[&["--config", path(&config)], &quiet[..]].concat())
    };
    assert_fault(&with("[schema]\nitem = \"itemid\"\n"), "sample", "counted none", "[schema]");
    let wrong = with("[[board]]\nname = \"a\"\nby = [\"itemid\"]\n");
    assert_fault(&wrong, "board", "did you mean item_id?", "correct the field's name");
    // Every event is counted by one board, so that none is refused.
    let parts = "[[board]]\nname = \"all\"\n[[board]]\nname = \"money\"\nweight = \"price\"\n";
    let priced = |price: &str| {
        let event = |n: i64| Produced {
            partition: 0,
            timestamp: Some(now() - n),
            payload: format!("{{\"item_id\":\"a\",\"timestamp\":{},\"price\":{price}}}", now())
                .into_bytes()
                .into(),
        };
        let topic = format!("priced-{price}");
        kafka.create_topic(&topic, 1);
        kafka.produce(&topic, (0..50).map(event));
        fs::write(&config, parts).unwrap();
        doctor(&[&["--config", path(&config), "--source", &kafka.url(&topic)], &quiet[..]].concat())
    };
    let board = "board money matched 50 events, 50 of them without a usable weight";
    assert_fault(&priced("19.90"), "board", board, "weight_scale = 100");
    assert!(priced("19").success);
    // Times that were divided by 1,000 once more.
    kafka.create_topic("long-ago", 1);
    let ago = |n: i64| Produced {
        partition: 0,
        timestamp: Some(now() - n),
        payload: format!("{{\"item_id\":\"a\",\"timestamp\":{}}}", now() / 1_000_000).into_bytes().into(),
    };
    kafka.produce("long-ago", (0..50).map(ago));
    let told = doctor(&[&["--source", &kafka.url("long-ago")], &quiet[..]].concat());
    let is_told = |finding: &Value| {
        let found = finding["found"].as_str().unwrap();
        found.contains("all events are from before 1970-01-")
            && found.contains("years before their broker's time stamp")
    };
    assert!(told.success && told.findings.iter().any(is_told), "{:#?}", told.findings);
    assert_fault(&with("[time]\npain = \"1s\"\n"), "configuration", "unknown field `pain`", "correct it");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_redis_that_a_job_cannot_write_is_named() {
    let (main, replica, dir) = (Redis::start(), Redis::start(), new_folder("doctor-redis"));
    let file = dir.join("events.ndjson");
    fs::write(&file, Event::new("a", now()).json() + "\n").unwrap();
    let source = format!("file:{}", path(&file));
    let checked = |url: &str| doctor(&["--source", &source, "--snapshots", url]);
    assert!(checked(&main.url()).success);

    let mut connection = replica.connect();
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(main.port()).query(&mut connection).unwrap();
    assert_fault(&checked(&replica.url()), "snapshots", "is a read-only replica", "name its master");

    let acl = ["SETUSER", "reader", "on", ">a long password", "~*", "+@read", "+@connection"];
    let _: () = redis::cmd("ACL").arg(&acl).query(&mut main.connect()).unwrap();
    let url = main.url().replace("redis://", "redis://reader:a%20long%20password@");
    let denied = checked(&url);
    assert_fault(&denied, "snapshots", "permission", "ACL SETUSER");
    assert!(!denied.only_fault().1.contains("password"), "{}", denied.only_fault().1);

    let full = ["SET", "maxmemory", "1"];
    let _: () = redis::cmd("CONFIG").arg(&full).query(&mut main.connect()).unwrap();
    assert_fault(&checked(&main.url()), "snapshots", "it is full", "more maxmemory");
    assert_eq!(keys(&main), [""; 0]);
    let away = format!("redis://127.0.0.1:{}", free_port());
    assert_fault(&checked(&away), "snapshots", &away, "start it");
    fs::remove_dir_all(dir).unwrap();
}

/// A source of one event of now, and arguments that look at nothing else.
fn one_file(dir: &Path) -> String {
    let file = dir.join("events.ndjson");
    fs::write(&file, Event::new("a", now()).json() + "\n").unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    format!("file:{}", path(&file))
}

#[test]
fn a_state_that_cannot_be_written_is_named() {
    let dir = new_folder("doctor-state");
    let source = one_file(&dir);
    let closed = dir.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    // Whom root's rights do not help.
    let nobody: &[&str] = if is_root {
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    } else {
        &["env"]
    };
    let below = closed.join("state");
    for place in [&closed, &below] {
        let checked = doctor_by(nobody, &["--source", &source, "--state", path(place)]);
        assert_fault(&checked, "state", "ermission denied", "let this user write there");
    }
    let file = dir.join("events.ndjson");
    let checked = doctor(&["--source", &source, "--state", path(&file)]);
    assert_fault(&checked, "state", "is a file, not a folder", "give another place");

    let full = dir.join("full");
    fs::create_dir(&full).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=64k none {0} && dd if=/dev/zero of={0}/filled bs=1k status=none; exec \"$0\" \"$@\"",
        path(&full)
    );
    if is_root {
        let checked = doctor_by(
            &["unshare", "--mount", "--", "sh", "-c", &mount],
            &["--source", &source, "--state", path(&full)],
        );
        assert_fault(&checked, "state", "no space is left", "make room");
        let roomy = mount.replace("dd if", "true if");
        let checked = doctor_by(
            &["unshare", "--mount", "--", "sh", "-c", &roomy],
            &["--source", &source, "--state", path(&full)],
        );
        assert_fault(&checked, "state", "64.00 KiB are free", "state.retention");
    } else {
        skip("a full disk under doctor", "only root mounts one");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_state_of_another_job_and_offsets_that_are_gone_are_named() {
    let (kafka, dir) = (Kafka::shared(), new_folder("doctor-resume"));
    filled(kafka, "gone", 400);
    let (source, state) = (kafka.url("gone"), dir.join("state"));
    let job = ["--source", &source, "--state", path(&state), "--http", "off", "--pane", "1s"];
    let job = [&job[..], &["--window", "a=1s/1s", "--snapshots", "-"]].concat();
    let mut run = Crest::spawn(&job);
    run.until("a final ranking", |run| (!run.stdout().is_empty()).then_some(()));
    run.kill();
    assert!(doctor(&job).success);
    let other = doctor(&[&job[..], &["--engine", "exact"]].concat());
    assert_fault(&other, "state", "engine", "give another place");

    kafka.forget("gone", 0, 200);
    kafka.forget("gone", 1, 200);
    let later: Vec<Vec<Event>> = vec![vec![Event::new("a", now())]; 2];
    kafka.load("gone", &later);
    kafka.forget("gone", 0, 201);
    kafka.forget("gone", 1, 201);
    let gone = doctor(&job);
    assert_fault(&gone, "source", "gone/", "--on-gap skip");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn an_embedded_log_that_is_open_elsewhere_and_ports_in_use_are_named() {
    let dir = new_folder("doctor-log");
    let (log, state) = (format!("log:{}", path(&dir.join("log"))), dir.join("state"));
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let job = ["--source", &log, "--state", path(&state), "--http", &address];
    let new = doctor(&job);
    assert!(new.success && new.found("source").contains("is made at the start"), "{:#?}", new.findings);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing was made");

    let mut run = Crest::spawn(job);
    run.until_logged("http://");
    let held = doctor(&[&job[..4], &["--http", "off"]].concat());
    assert_fault(&held, "source", "held by another process", "stop the crest");
    run.sigterm();
    assert!(run.wait(Duration::from_secs(20)).success(), "{}", run.describe());
    assert!(doctor(&job).success);
    let listener = TcpListener::bind(&address).unwrap();
    assert_fault(&doctor(&job), "port", &format!("{address} is in use"), "give another with --http");
    drop(listener);
    let foreign = [&job[..4], &["--http", "192.0.2.1:8080"]].concat();
    assert_fault(&doctor(&foreign), "port", "is no address of this machine", "ip address");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn clocks_that_differ_are_named() {
    let libraries = glob::glob("/usr/lib/*/faketime/libfaketimeMT.so.1").unwrap();
    let Some(library) = libraries.map(Result::unwrap).next() else {
        return skip("clocks under doctor", "libfaketime is not installed");
    };
    let (redis, dir) = (Redis::start(), new_folder("doctor-clocks"));
    let preload = format!("LD_PRELOAD={}", path(&library));
    let (source, snapshots) = (one_file(&dir), redis.url());
    let shifted = |by: &str| {
        let time = format!("FAKETIME={by}");
        let by = ["env", &preload, &time, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
        doctor_by(&by, &["--source", &source, "--snapshots", &snapshots])
    };
    assert!(shifted("+0").success);
    for (shift, way) in [("+1h", "behind this machine's"), ("-1h", "ahead of this machine's")] {
        let checked = shifted(shift);
        assert_fault(&checked, "clock", way, "NTP");
        let found = checked.only_fault().1;
        assert!(found.contains(&snapshots) && (found.contains("1h") || found.contains("59m")), "{found}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn records_of_the_future_are_named() {
    let kafka = Kafka::shared();
    kafka.create_topic("future", 1);
    let record = |stamp| Produced {
        partition: 0,
        timestamp: Some(stamp),
        payload: Event::new("a", now()).json().into_bytes().into(),
    };
    let source = kafka.url("future");
    let job = ["--source", &source, "--state", "off", "--http", "off"];
    kafka.produce("future", [record(now())]);
    assert!(doctor(&job).success);
    kafka.produce("future", [record(now() + 3_600_000)]);
    assert_fault(&doctor(&job), "clock", "the newest record is stamped 59m", "max_future_skew");
}

#[test]
fn limits_that_are_too_low_are_named() {
    let dir = new_folder("doctor-limits");
    let source = one_file(&dir);
    let few = Crest::spawn_under(
        "ulimit -n 300",
        ["doctor", "--json", "--source", &source, "--http", "127.0.0.1:0"],
    );
    assert_fault(&Checked::of(few), "files", "300 may be", "LimitNOFILE");
    let config = dir.join("crest.toml");
    // Twenty million groups in ten windows each.
    let window = |n: usize| format!("{{ name = \"w{n}\", size = \"{n}m\", slide = \"1m\" }}");
    let windows: Vec<String> = (1..=10).map(window).collect();
    let board = |n: usize| {
        let windows = windows.join(", ");
        format!(
            "[[board]]\nname = \"b{n}\"\nby = [\"item_id\"]\nmax_groups = 100000\nwindows = [ {windows} ]\n"
        )
    };
    fs::write(&config, (0..200).map(board).collect::<String>()).unwrap();
    let large = doctor(&["--config", path(&config), "--source", &source]);
    assert_fault(&large, "memory", "GiB are free", "max_groups");
    fs::remove_dir_all(dir).unwrap();
}
