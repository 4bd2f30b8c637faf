//! The scripts that people and tests stand on: servers that keep their data through a crash and end with their
//! owner, and a cluster whose processes live and die together.

#![allow(clippy::unwrap_used)] // a step that fails is a failed test

mod common;

use common::events::{START, Traffic, write_files};
use common::program::{Crest, path};
use common::servers::{Kafka, Produced, Redis};
use common::web::Web;
use common::{eventually, free_port, new_folder, root};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn records(kafka: &Kafka, topic: &str, partition: i32) -> i64 {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.address()).create().unwrap();
    let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(30)).unwrap();
    high - low
}

/// What the dashboard of the API asks for, asked of a program: each column of each panel is a field of each row.
#[test]
fn the_dashboard_of_items_asks_for_fields_that_there_are() {
    let dir = new_folder("grafana");
    let traffic = Traffic { events: 3000, items: 30, span: 20 * 60_000, ..Traffic::default() };
    let (source, state) = (write_files(&dir, &traffic.logs(1)), dir.join("state"));
    Crest::spawn(["--source", &source, "--state", path(&state)]).finals();
    let mut node = Crest::spawn(["serve", "--state", path(&state), "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut node);
    let dashboard = std::fs::read_to_string(root().join("deploy/grafana-series.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let filled = |text: &str| {
        let (from, to) = (START.to_string(), (START + 3_600_000).to_string());
        let values = [
            ("__from", &*from),
            ("__to", &*to),
            ("board", "default"),
            ("k", "5"),
            ("step", "auto"),
            ("item:percentencode", "item-1"),
        ];
        values
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
    };
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let target = &panel["targets"][0];
        let params = target["url_options"]["params"].as_array().unwrap().iter();
        let text = |value: &Value| filled(value.as_str().unwrap());
        let query: Vec<String> =
            params.map(|pair| format!("{}={}", text(&pair["key"]), text(&pair["value"]))).collect();
        let said = web.json(&format!("{}?{}", text(&target["url"]), query.join("&")));
        let rows = said[target["root_selector"].as_str().unwrap()].as_array().unwrap();
        assert!(rows.len() >= 5, "{said}");
        for column in target["columns"].as_array().unwrap() {
            let kind = column["type"].as_str().unwrap();
            let fits = |value: &Value| match kind {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "number" | "timestamp_epoch" => value.is_i64(),
                other => panic!("{other}: what is that?"),
            };
            let selector = column["selector"].as_str().unwrap();
            assert!(rows.iter().all(|row| fits(&row[selector])), "{selector} is no {kind}: {}", rows[0]);
            asked += 1;
        }
    }
    assert_eq!(asked, 11);
    node.kill();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_killed_broker_comes_back_with_all_it_had() {
    let kafka = Kafka::start(1);
    kafka.create_topic("events", 2);
    let day = 1_711_670_400_000; // years ago: nothing is deleted for being old
    let record = |n: u32| Produced { partition: n % 2, timestamp: Some(day), payload: b"{}"[..].into() };
    kafka.produce("events", (0..1000).map(record));
    kafka.kill();
    kafka.start_again();
    assert_eq!((records(&kafka, "events", 0), records(&kafka, "events", 1)), (500, 500));
    kafka.stop();
    kafka.start_again();
    kafka.produce("events", [record(0)]);
    assert_eq!(records(&kafka, "events", 0), 501);
}

#[test]
fn a_redis_is_stopped_and_comes_back() {
    let redis = Redis::start();
    let _: () =
        redis::cmd("ZADD").arg("key").arg(2).arg("a").arg(2).arg("b").query(&mut redis.connect()).unwrap();
    assert_eq!(redis.ranking("key"), [("b".to_owned(), 2), ("a".to_owned(), 2)]);
    redis.stop();
    assert!(redis::Client::open(redis.url()).unwrap().get_connection().is_err());
    redis.start_again();
    assert_eq!(redis.ranking("key"), []);
}

#[test]
fn a_server_ends_with_its_owner_and_leaves_nothing() {
    let mut owner = Command::new("sleep").arg("600").spawn().unwrap();
    let (dir, port) = (new_folder("owned"), free_port());
    let script = Command::new(root().join("scripts/redis"))
        .args(["start", "--port", &port.to_string(), "--owner", &owner.id().to_string(), "--dir"])
        .arg(&dir)
        .output();
    assert!(script.unwrap().status.success());
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the owned folder is gone", || !dir.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// Linux has all of 127.0.0.0/8 on its loopback.
#[test]
#[cfg(target_os = "linux")]
fn servers_listen_at_the_address_that_is_asked_for() {
    let (kafka, redis) = (Kafka::start_at("127.0.0.2", 1), Redis::start_at("127.0.0.2"));
    kafka.produce("events", [Produced { partition: 0, timestamp: None, payload: b"{}"[..].into() }]);
    assert_eq!(records(&kafka, "events", 0), 1);
    assert_eq!(redis.ranking("key"), []);
    for port in [kafka.port(), redis.port()] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "only there");
    }
}

#[test]
fn a_port_in_use_is_an_error() {
    let redis = Redis::start();
    let port = redis.url().rsplit(':').next().unwrap().trim_end_matches("/0").to_owned();
    let dir = new_folder("second");
    for name in ["redis", "kafka"] {
        let start = ["start", "--port", &port, "--dir"];
        let output = Command::new(root().join("scripts").join(name)).args(start).arg(&dir).output().unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(message, format!("scripts/{name}: port {port} is in use\n"));
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// A program that stands for `crest` in a cluster: it notes that it ran, and process 1 fails as it is told.
fn stand_in(dir: &Path, of_process_1: &str) -> PathBuf {
    let program = dir.join("stand-in");
    let text = format!(
        "#!/bin/sh\ntrap 'echo $4 >> {0}/stops; exit 0' TERM\necho $4 >> {0}/starts\n\
         [ $4 != 0 ] || [ -s $0.file ] || echo \"$CREST_READY_FILE\" > $0.file\n\
         echo \"arguments $*\" >&2\necho \"from $4\"\n[ $4 != 1 ] || {{ {of_process_1}; }}\n\
         while :; do sleep 0.02; done\n",
        dir.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Waits, in the shell, until so many have started.
fn started(dir: &Path, count: usize) -> String {
    format!("until [ $(wc -l < {}/starts) = {count} ]; do sleep 0.02; done", dir.display())
}

fn cluster(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(root().join("scripts/cluster"));
    command
        .env("CREST_BIN", program)
        .env("CREST_STATE", "off")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn lines(dir: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn when_one_process_dies_all_are_stopped() {
    let dir = new_folder("cluster-once");
    let program = stand_in(&dir, &format!("{}; exit 7", started(&dir, 3)));
    let output = cluster(&program, &["--once", "3", "-k", "5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(lines(&dir, "stops"), ["0", "2"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    for process in 0..3 {
        let line = format!("[{process}] arguments -n 3 -p {process} -k 5");
        assert!(stderr.lines().any(|l| l == line), "{stderr}");
    }
    assert!(stderr.contains("process 1 ended with status 7; stopping the others"), "{stderr}");
    let mut published: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    published.sort();
    assert_eq!(published, ["from 0", "from 1", "from 2"]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_cluster_is_restarted_until_it_is_stopped() {
    let dir = new_folder("cluster-again");
    let first =
        format!("[ -e {1}/failed ] || {{ {0}; touch {1}/failed; exit 9; }}", started(&dir, 2), dir.display());
    let program = stand_in(&dir, &first);
    let mut supervisor = cluster(&program, &["2"]).spawn().unwrap();
    eventually("all processes were started twice", || lines(&dir, "starts").len() == 4);
    let stop = format!("kill -TERM {}", supervisor.id());
    assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
    assert!(supervisor.wait().unwrap().success());
    // Process 0 with the one that failed, and both at the end.
    assert_eq!(lines(&dir, "stops"), ["0", "0", "1"]);
    std::fs::remove_dir_all(dir).unwrap();
}

fn sends(signal: &str, process: u32) {
    assert!(
        Command::new("kill").args([format!("-{signal}"), process.to_string()]).status().unwrap().success()
    );
}

#[test]
fn only_process_0_is_told_where_to_serve() {
    for options in [&["--http", "127.0.0.1:1", "-k", "5"][..], &["--http=127.0.0.1:1", "-k", "5"]] {
        let dir = new_folder("cluster-http");
        let program = stand_in(&dir, &format!("echo http=$CREST_HTTP >&2; {}; exit 7", started(&dir, 2)));
        let mut command = cluster(&program, &[&["--once", "2"], options].concat());
        let output = command.env("CREST_HTTP", "127.0.0.1:2").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let first = format!("[0] arguments -n 2 -p 0 {}", options.join(" "));
        for line in [first.as_str(), "[1] arguments -n 2 -p 1 -k 5", "[1] http="] {
            assert!(stderr.lines().any(|l| l == line), "no {line:?} in {stderr}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// The pauses of a cluster whose process 1 does this at each start, until there are so many.
fn pauses(of_process_1: &str, count: usize) -> Vec<String> {
    let dir = new_folder("cluster-pauses");
    let program = stand_in(&dir, of_process_1);
    let mut supervisor = cluster(&program, &["2"]).spawn().unwrap();
    let lines = BufReader::new(supervisor.stderr.take().unwrap()).lines().map(Result::unwrap);
    let prefix = "scripts/cluster: starting all again in ";
    let pauses = lines.filter_map(|line| Some(line.strip_prefix(prefix)?.to_owned())).take(count).collect();
    sends("TERM", supervisor.id());
    assert!(supervisor.wait().unwrap().success(), "a wanted stop is no failure");
    std::fs::remove_dir_all(dir).unwrap();
    pauses
}

#[test]
fn the_pause_grows_only_while_the_job_is_not_ready() {
    assert_eq!(pauses("exit 7", 4), ["0.2 s", "0.4 s", "0.8 s", "1.6 s"]);
    // The job is ready, as process 0 says, before process 1 fails.
    let ready = "until [ -s $0.file ]; do sleep 0.02; done; touch $(cat $0.file)";
    assert_eq!(pauses(&format!("{ready}; exit 7"), 5), ["0.2 s"; 5]);
}

#[test]
fn a_first_start_that_is_refused_is_not_repeated() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_crest"));
    let output = cluster(&program, &["2", "--demo", "--http", "off", "-k", "0"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("-k = 0") && !stderr.contains("starting all again"), "{stderr}");
}

/// A cluster of two real processes with synthetic traffic, which serves here.
fn real(address: &str, dir: &Path) -> Command {
    let hosts = dir.join("hosts.txt");
    let addresses: String = (0..2).map(|_| format!("127.0.0.1:{}\n", free_port())).collect();
    std::fs::write(&hosts, addresses).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_crest"));
    let options = ["2", "--demo", "--refresh", "100ms", "--http", address, "--hostfile"];
    let mut command = cluster(&program, &[&options[..], &[path(&hosts)]].concat());
    command.env("TMPDIR", dir);
    command
}

/// Whether the supervisor was told that the job is ready.
fn told(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| entry.unwrap().path().join("ready").exists())
}

/// Process 1 of those that were started with this hostfile.
fn process_1(dir: &Path) -> Option<u32> {
    let mark =
        format!("\0-p\x001\0--demo\0--refresh\x00100ms\0--hostfile\0{}\0", dir.join("hosts.txt").display());
    let entries =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let ours = |id: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.contains(&mark) && line.starts_with(env!("CARGO_BIN_EXE_crest"))
    };
    entries.filter_map(|name| name.parse().ok()).find(ours)
}

#[test]
fn kills_of_a_cluster_that_was_ready_are_recovered_from_without_growing_pauses() {
    let dir = new_folder("cluster-kills");
    let address = format!("127.0.0.1:{}", free_port());
    let mut supervisor = real(&address, &dir).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(supervisor.stderr.take().unwrap()).lines();
    let said = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>());
    let web = Web::at(&format!("http://{address}"));
    let ready =
        || web.try_send("GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200) && told(&dir);
    let mut killed = BTreeSet::new();
    for _ in 0..5 {
        let mut victim = None;
        eventually("another process 1, ready with the first", || {
            victim = process_1(&dir).filter(|id| !killed.contains(id));
            victim.is_some() && ready() && web.get("/top-k").0 == 200
        });
        let victim = victim.unwrap();
        killed.insert(victim);
        sends("KILL", victim);
    }
    eventually("the last recovery", || process_1(&dir).is_some_and(|id| !killed.contains(&id)) && ready());
    sends("TERM", supervisor.id());
    assert!(supervisor.wait().unwrap().success());
    let said = said.join().unwrap();
    let pauses: Vec<&String> = said.iter().filter(|line| line.contains("starting all again")).collect();
    assert_eq!(pauses, ["scripts/cluster: starting all again in 0.2 s"; 5], "{said:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_stop_of_a_cluster_that_is_just_starting_is_no_failure() {
    let mut random = StdRng::seed_from_u64(14);
    for round in 0..6 {
        let dir = new_folder("cluster-stop");
        let mut supervisor =
            real("127.0.0.1:0", &dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // It has set its traps when the first process runs.
        eventually("process 1 runs", || process_1(&dir).is_some());
        let delay = random.random_range(0..1000);
        std::thread::sleep(Duration::from_millis(delay));
        sends("TERM", supervisor.id());
        let status = supervisor.wait().unwrap();
        assert!(status.success(), "round {round}, after {delay} ms: {status}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
