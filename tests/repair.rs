//! What was damaged, and how a job goes on: its log is salvaged, its panes are counted again, what a backup brought back
//! in part is refused, and a state that fails is told as long as it does.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, START, Traffic};
use common::program::{Crest, path};
use common::recount::{Recount, assert_same};
use common::rules::Rules;
use common::trial::Published;
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::Value;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: usize = 4096;

/// An all-in-one job: its log, in the folder of its state.
struct House {
    dir: PathBuf,
    data: PathBuf,
    rules: Rules,
    config: PathBuf,
    events: Vec<Event>,
}

impl House {
    fn new(purpose: &str) -> House {
        let rules = Rules::live_sliding();
        let traffic =
            Traffic { events: 12_000, items: 100, span: 60 * SECOND, disorder: SECOND, ..Traffic::default() };
        let mut events = traffic.log();
        events.push(Event::new("closing", START + 80 * SECOND));
        let dir = new_folder(purpose);
        let (data, config) = (dir.join("data"), rules.write(&dir));
        House { dir, data, rules, config, events }
    }

    fn options(&self) -> Vec<String> {
        self.options_with(path(&self.data))
    }

    fn options_with(&self, state: &str) -> Vec<String> {
        let source = format!("log:{}?partitions=1", path(&self.data.join("log")));
        let options = ["--config", path(&self.config), "--source", &source, "--state", state];
        options.map(str::to_owned).to_vec()
    }

    fn spawn(&self, more: &[&str]) -> Crest {
        Self::spawn_with(&self.options(), more)
    }

    fn spawn_with(options: &[String], more: &[&str]) -> Crest {
        let ends = ["--snapshots", "-", "--http", "127.0.0.1:0", "--idle-timeout", "10m"];
        Crest::spawn(options.iter().map(String::as_str).chain(ends).chain(more.iter().copied()))
    }

    fn start(&self, more: &[&str]) -> (Crest, Web) {
        let mut crest = self.spawn(more);
        let web = Web::of(&mut crest);
        (crest, web)
    }

    /// What the state holds.
    fn state(&self, more: &[&str]) -> Value {
        let mut look = Crest::spawn([&["state", "--json", "--state", path(&self.data)], more].concat());
        assert!(look.wait(PATIENCE).success(), "{}", look.describe());
        serde_json::from_str(&look.stdout()[0]).unwrap()
    }

    /// What is to be published of some events, up to where the last one lets time pass.
    fn finals(&self, events: &[Event]) -> Vec<Value> {
        let passed = events.last().unwrap().time - self.rules.out_of_orderness;
        let mut finals = Recount::new(&self.rules, &[events.to_vec()]).finals();
        finals.retain(|snapshot| snapshot["window_end"].as_i64().unwrap() <= passed);
        finals
    }

    fn until_published(crest: &mut Crest, expected: &[Value]) {
        let mark = format!("\"window_end\":{}", expected.last().unwrap()["window_end"]);
        crest.until("the last window", |crest| {
            crest.stdout().iter().any(|line| line.contains(&mark)).then_some(())
        });
    }

    /// Runs `crest log …` over a folder: its JSON.
    fn log(&self, verb: &str, folder: &Path, more: &[&str], status: i32) -> Value {
        let mut crest = Crest::spawn([&["log", verb, path(folder), "--json"], more].concat());
        assert_eq!(crest.wait(PATIENCE).code(), Some(status), "{}", crest.describe());
        serde_json::from_str(&crest.stdout()[0]).unwrap()
    }

    /// Damages one page of the log so that offsets from `from` on are lost, and not the last ones: which.
    fn damage_log(&self, from: u64) -> (u64, u64) {
        let path = self.data.join("log/events.redb");
        let whole = std::fs::read(&path).unwrap();
        let trial = self.dir.join("trial");
        std::fs::create_dir(&trial).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() / PAGE;
        for page in (1..=used).rev() {
            let mut bytes = whole.clone();
            bytes[page * PAGE + PAGE / 2] ^= 0x40;
            std::fs::write(trial.join("events.redb"), &bytes).unwrap();
            let mut look = Crest::spawn(["log", "verify", "--json", common::program::path(&trial)]);
            if look.wait(PATIENCE).success() {
                continue;
            }
            let told: Value = serde_json::from_str(&look.stdout()[0]).unwrap();
            let partition = &told["partitions"][0];
            let Some(lost) = partition["damaged"].get(0) else { continue };
            let (first, end) = (lost["from"].as_u64().unwrap(), lost["to"].as_u64().unwrap());
            if from <= first && end + 1000 < partition["next"].as_u64().unwrap() {
                std::fs::write(&path, bytes).unwrap();
                return (first, end);
            }
        }
        panic!("no page has a block of its own")
    }
}

#[test]
fn a_job_goes_on_with_its_state_over_a_log_that_was_salvaged() {
    let house = House::new("salvaged");
    let (half, rest) = house.events.split_at(6000);
    let mut published = Published::default();
    let (mut crest, web) = house.start(&[]);
    web.send_events(half);
    crest.until("some windows", |crest| (crest.stdout().len() >= 10).then_some(()));
    crest.kill();
    published.take(&crest.stdout());
    // The rest comes while nobody counts.
    let mut taker = House::spawn_with(&house.options_with("off"), &[]);
    Web::of(&mut taker).send_events(rest);
    taker.kill();

    let next = house.state(&[])["partitions"]["0"]["next"].as_u64().unwrap();
    let (first, end) = house.damage_log(next);
    let log = house.data.join("log");
    let refused = house.spawn(&[]).failure();
    assert!(refused.contains("crest log salvage"), "{refused}");
    let told = house.log("verify", &log, &[], 1);
    assert_eq!(told["whole"], false);
    let salvaged = house.log("salvage", &log, &["--state", path(&house.data)], 0);
    assert_eq!(salvaged["partitions"][0]["damaged"], serde_json::json!([{ "from": first, "to": end }]));
    assert_eq!(salvaged["doubts"], serde_json::json!([]));
    assert!(Path::new(salvaged["aside"].as_str().unwrap()).exists());
    assert_eq!(house.log("verify", &log, &[], 0)["whole"], true);

    let refused = house.spawn(&[]).failure();
    let last = end - 1;
    assert!(refused.contains(&format!("offsets {first} to {last} were lost")), "{refused}");
    assert!(refused.contains("--on-gap skip goes on"), "{refused}");
    let (mut crest, web) = house.start(&["--on-gap", "skip"]);
    let left: Vec<Event> = (0..)
        .zip(&house.events)
        .filter(|(offset, _)| !(first..end).contains(offset))
        .map(|(_, event)| event.clone())
        .collect();
    let expected = house.finals(&left);
    House::until_published(&mut crest, &expected);
    assert_eq!(web.metric("crest_gap_records_total", ""), (end - first) as f64);
    crest.kill();
    published.take(&crest.stdout());
    assert_same(&published.finals(), &expected);
    let _ = std::fs::remove_dir_all(&house.dir);
}

#[test]
fn panes_that_are_damaged_or_missing_are_counted_again_by_the_command_that_is_told() {
    let house = House::new("panes");
    let (mut crest, web) = house.start(&[]);
    web.send_events(&house.events);
    let expected = house.finals(&house.events);
    House::until_published(&mut crest, &expected);
    crest.kill();
    let mut objects: Vec<PathBuf> =
        std::fs::read_dir(house.data.join("panes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    objects.sort();
    let last = objects.len() - 1;
    let damage = || {
        let mut bytes = std::fs::read(&objects[last]).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&objects[last], bytes).unwrap();
    };
    mend(&house, damage, "is damaged");
    objects =
        std::fs::read_dir(house.data.join("panes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    objects.sort();
    let last = objects.len() - 1;
    let remove = || objects[last - 1..].iter().for_each(|object| std::fs::remove_file(object).unwrap());
    mend(&house, remove, "which is missing, as ");

    let (mut crest, web) = house.start(&[]);
    let (from, to) = (START, START + 58 * SECOND);
    let ask = || web.get(&format!("/top-k?from={from}&to={to}"));
    eventually("the past", || ask().0 == 200);
    let answer: Value = serde_json::from_str(&ask().1).unwrap();
    let counts = Recount::new(&house.rules, std::slice::from_ref(&house.events)).between("default", from, to);
    assert_eq!(answer["total"], counts.values().flat_map(|counts| counts.values()).sum::<u64>());
    crest.kill();
    let _ = std::fs::remove_dir_all(&house.dir);
}

/// Damages the state, and mends it by the command that the job's refusal tells.
fn mend(house: &House, damage: impl FnOnce(), told: &str) {
    damage();
    let refused = house.spawn(&[]).failure();
    assert!(refused.contains(told), "{refused}");
    let command = refused.split('`').nth(1).unwrap_or_else(|| panic!("no command is told: {refused}"));
    let typed = command.strip_prefix("crest ").unwrap().split(' ').map(str::to_owned);
    let mut backfill = Crest::spawn(typed.chain(house.options()));
    assert!(backfill.wait(PATIENCE).success(), "{}", backfill.describe());
    assert_eq!(house.state(&["--verify"])["verified"]["faults"], serde_json::json!([]));
}

#[test]
fn panes_without_a_manifest_are_refused_and_what_is_beside_a_new_state_is_nobodys_business() {
    let house = House::new("orphaned");
    // What is in the way of nothing: its log, half a manifest of an editor, files of others.
    std::fs::create_dir_all(house.data.join("panes")).unwrap();
    for name in ["manifest.json.tmp", "notes.txt", "panes/readme", "lost+found"] {
        std::fs::write(house.data.join(name), "not of the state").unwrap();
    }
    let (mut crest, web) = house.start(&[]);
    web.send_events(&house.events[..3000]);
    crest.until("some windows", |crest| (crest.stdout().len() >= 5).then_some(()));
    crest.kill();
    let (manifest, aside) = (house.data.join("manifest.json"), house.dir.join("aside.json"));
    std::fs::rename(&manifest, &aside).unwrap();
    let look = ["state", "--state", path(&house.data)].map(str::to_owned).to_vec();
    let backfill = ["backfill", "--from", "0=0", "--to", "0=10"].map(str::to_owned).to_vec();
    for refused in [
        house.spawn(&[]).failure(),
        Crest::spawn(look).failure(),
        Crest::spawn([backfill, house.options()].concat()).failure(),
    ] {
        assert!(refused.contains("panes and rollups, such as panes/0"), "{refused}");
        assert!(refused.contains("no manifest.json") && refused.contains("backup"), "{refused}");
        assert!(!manifest.exists(), "nothing was begun");
    }
    std::fs::rename(&aside, &manifest).unwrap();
    house.start(&[]).0.kill();
    let _ = std::fs::remove_dir_all(&house.dir);
}

#[test]
fn a_final_ranking_comes_once_though_the_job_is_killed_again_and_again() {
    let house = House::new("once");
    let mut published = Published::default();
    for round in 0..5 {
        let (mut crest, web) = house.start(&[]);
        if round == 0 {
            // No minute ends among these, whose rollup would be stored and tell the manifest more than panes do.
            web.send_events(&house.events[400..2000]);
            crest.until("some windows", |crest| (crest.stdout().len() >= 3).then_some(()));
        }
        // A kill in the very moment between a delivery and its note may bring it again, and no other.
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            let state = house.state(&[]);
            if state["durable_ms"].is_i64() && state["durable_ms"] == state["published_ms"] {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        crest.kill();
        published.take(&crest.stdout());
    }
    assert!(!published.finals().is_empty());
    assert_eq!(published.again, 0, "nothing was published again");
    let _ = std::fs::remove_dir_all(&house.dir);
}

/// How many files a process has open.
fn open_files(crest: &Crest) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", crest.id())).unwrap().count()
}

#[test]
fn a_job_whose_connections_take_all_descriptors_is_not_ready_until_they_go() {
    let house = House::new("flood");
    let (mut crest, web) = house.start(&[]);
    web.send_events(&house.events[..2000]);
    crest.until("some windows", |crest| (crest.stdout().len() >= 3).then_some(()));
    assert_eq!(web.get("/readyz").0, 200);
    let limit = format!("--nofile={}", open_files(&crest) + 30);
    let pid = crest.id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    if !limited.is_ok_and(|status| status.success()) {
        return common::skip("a_job_whose_connections_take_all_descriptors", "there is no prlimit here");
    }
    let address = web.address().strip_prefix("http://").unwrap().to_owned();
    let mut flood: Vec<TcpStream> = Vec::new();
    let refill = |flood: &mut Vec<TcpStream>| {
        for _ in 0..100 {
            flood.extend(TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_millis(200)));
        }
    };
    refill(&mut flood);
    // Over the connection that it has already.
    web.send_events(&house.events[2000..6000]);
    let checks = || -> (u16, Value) {
        let (status, body) = web.get("/readyz");
        (status, serde_json::from_str(&body).unwrap())
    };
    eventually("it is not ready", || checks().0 == 503);
    let (_, told) = checks();
    let state = told["checks"]["state"].as_str().unwrap();
    assert!(state.contains("has failed since 2") && state.contains("Too many open files"), "{told}");
    assert_eq!((told["ready"].as_bool(), web.metric("crest_state_unreachable", "")), (Some(false), 1.0));
    crest.until_logged("the state fails");
    drop(flood);
    eventually("it is ready again", || checks().0 == 200);
    let expected = house.finals(&house.events[..6000]);
    House::until_published(&mut crest, &expected);
    assert_same(&common::program::parse_finals(&crest.stdout()), &expected);
    crest.kill();
    let _ = std::fs::remove_dir_all(&house.dir);
}
