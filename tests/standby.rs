//! Processes that stand by for a job on the real Kafka: when it is killed, stands still, or is stopped, one of them goes on,
//! and all together publish every final ranking with one content.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic};
use common::program::{Cluster, Crest, path};
use common::rules::Rules;
use common::servers::Kafka;
use common::trial::Trial;
use common::web::Web;
use common::{eventually, free_port};
use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;

const SECOND: i64 = 1000;
const STANDBY: [&str; 1] = ["--standby"];
const PATIENCE: Duration = Duration::from_secs(60);

fn traffic(seed: u64) -> Vec<Vec<Event>> {
    let span = 120 * SECOND;
    Traffic { seed, events: 40_000, items: 300, span, disorder: 3 * SECOND, ..Traffic::default() }.logs(3)
}

/// Sends a part of the events, and waits until the job has published so many windows more.
fn go_on(trial: &mut Trial, job: &mut Cluster, windows: usize) {
    let before = job.processes[0].stdout().len();
    trial.send(0.2).join().unwrap();
    let enough = |crest: &Crest| (crest.stdout().len() >= before + windows).then_some(());
    job.processes[0].until("some windows", enough);
}

/// Waits until all that it can publish is published.
fn settle(crest: &Crest) -> usize {
    let mut lines = crest.stdout().len();
    loop {
        sleep(Duration::from_millis(1500));
        let now = crest.stdout().len();
        if now == lines {
            return now;
        }
        lines = now;
    }
}

#[test]
fn one_that_is_killed_one_that_stands_still_and_one_that_is_stopped_are_followed() {
    let mut trial = Trial::new("standby", &Rules::live_sliding(), "", traffic(3));
    let mut first = trial.start((2, 1), &[]);
    first.processes[0].until_logged("crest ");
    let http = format!("127.0.0.1:{}", free_port());
    let mut second = trial.start((1, 1), &["--standby", "--http", &http]);
    second.processes[0].until_logged("standing by for the job");
    go_on(&mut trial, &mut first, 10);
    shows_what_the_state_has(&http);

    first.processes[0].kill();
    trial.published.take(&first.processes[0].stdout());
    second.processes[0].until_logged("taking over: nothing was heard");
    go_on(&mut trial, &mut second, 10);
    let web = Web::at(&format!("http://{http}"));
    eventually("it is ready", || web.get("/readyz").0 == 200);

    let mut third = trial.start((3, 2), &STANDBY);
    third.processes[0].until_logged("standing by for the job");
    settle(&second.processes[0]);
    second.processes[0].signal("STOP");
    let sending = trial.send(0.2);
    third.processes[0].until_logged("taking over: nothing was heard");
    sending.join().unwrap();
    go_on(&mut trial, &mut third, 10);
    let before = second.processes[0].stdout();
    second.processes[0].signal("CONT");
    assert!(!second.processes[0].wait(PATIENCE).success(), "{}", second.processes[0].describe());
    assert_eq!(second.processes[0].stdout(), before, "it was taken over");
    let told = second.processes[0].stderr();
    assert!(told.iter().any(|line| line.contains("taken over") || line.contains("epoch")), "{told:?}");
    trial.published.take(&before);

    let mut fourth = trial.start((1, 1), &STANDBY);
    fourth.processes[0].until_logged("standing by for the job");
    trial.stop(&mut third);
    fourth.processes[0].until_logged("taking over: the job on");
    let stopped = fourth.processes[0].stderr().iter().any(|line| line.contains("was stopped"));
    assert!(stopped, "it does not wait: {}", fourth.processes[0].describe());
    trial.send_rest();
    trial.finish(&mut fourth);
    trial.assert_exactly_once(true);
}

/// One that stands by is alive and not ready, and answers from the state.
fn shows_what_the_state_has(http: &str) {
    let web = Web::at(&format!("http://{http}"));
    assert_eq!(web.get("/healthz").0, 200);
    let (status, body) = web.get("/readyz");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["ready"]), (503, &false.into()));
    let job = answer["checks"]["job"].as_str().unwrap();
    assert!(job.starts_with("stands by for the job of epoch "), "{job}");
    let ranking = web.json("/top-k?window=last_5s");
    assert_eq!(ranking["final"], true, "{ranking}");
    assert!(web.get("/metrics").1.contains("\ncrest_standby 1\n"));
}

#[test]
fn of_several_that_begin_at_once_one_begins() {
    let mut trial = Trial::new("standby-all", &Rules::live_sliding(), "", traffic(4));
    let mut all: Vec<Cluster> = (0..3).map(|_| trial.start((1, 1), &STANDBY)).collect();
    let begun = |job: &Cluster| {
        job.processes[0].stderr().iter().any(|line| line.contains("beginning: there is no job"))
    };
    eventually("one begins", || all.iter().any(begun));
    let place = all.iter().position(begun).unwrap();
    let mut active = all.remove(place);
    for other in &mut all {
        other.processes[0].until_logged("standing by for the job");
    }
    trial.send_rest();
    trial.finish(&mut active);
    trial.assert_exactly_once(true);
}

#[test]
fn what_cannot_stand_by_is_refused_in_one_line() {
    let kafka = Kafka::shared();
    kafka.create_topic("standby-refused", 1);
    let source = kafka.url("standby-refused");
    let dir = common::new_folder("standby-refused");
    let state = dir.join("state");
    let refused = |arguments: &[&str], reason: &str| {
        let told = Crest::spawn([&["--standby", "--http", "off"], arguments].concat()).failure();
        assert!(told.lines().count() == 1 && told.contains(reason), "{told}");
    };
    let log = format!("log:{}", path(&dir.join("log")));
    refused(
        &["--source", &log, "--state", path(&state)],
        "--standby = true: needs a kafka:// source: the embedded log",
    );
    refused(&["--source", &source, "--state", "off"], "--standby = true: needs a --state");
    refused(&["--demo"], "--standby = true: needs a kafka:// or state: source");
    let range = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-02T00:00:00Z"];
    let task = ["backfill", "--source", &source, "--state", path(&state), "--standby"];
    let told = Crest::spawn([&task, &range[..]].concat()).failure();
    assert!(told.contains("--standby: only the job itself can stand by"), "{told}");

    let mut job = Crest::spawn(["--source", &source, "--state", path(&state), "--http", "off"]);
    job.until_logged("state: new");
    let other = dir.join("other.toml");
    std::fs::write(&other, "[[board]]\nname = \"default\"\nfilter = { event_type = [\"buy\"] }\n").unwrap();
    let arguments = [
        "--config",
        path(&other),
        "--standby",
        "--source",
        &source,
        "--state",
        path(&state),
        "--http",
        "off",
    ];
    let told = Crest::spawn(arguments).failure();
    assert!(told.contains("boards") || told.contains("board \"default\""), "{told}");
    assert!(job.running(), "nothing has become of the job: {}", job.describe());
    let _ = std::fs::remove_dir_all(dir);
}
