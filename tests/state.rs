//! What can happen to a job's state from outside: another job takes it over, its place cannot be written or is full
//! for a while, the source forgets what it needs; and a bounded job that is killed, and one that has ended. And what
//! `crest state` tells of it.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic, write_files};
use common::program::{Cluster, Crest, path};
use common::recount::{Recount, assert_same};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::trial::{Published, Trial};
use common::web::Web;
use common::{eventually, new_folder, skip};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SECOND: i64 = 1000;
const PATIENCE: Duration = Duration::from_secs(30);

fn rules() -> Rules {
    let windows = vec![
        Window { name: "last_5s", size: 5 * SECOND, slide: SECOND },
        Window { name: "twos", size: 2 * SECOND, slide: 2 * SECOND },
    ];
    Rules::live(vec![Board { k: 20, windows, ..Board::default() }])
}

fn logs(partitions: usize) -> Vec<Vec<Event>> {
    let traffic = Traffic { events: 30_000, span: 60 * SECOND, disorder: 3 * SECOND, ..Traffic::default() };
    traffic.logs(partitions)
}

/// Waits until process 0 has written so many lines.
fn until_lines(job: &mut Cluster, lines: usize) {
    let enough = |crest: &Crest| (crest.stdout().len() >= lines).then_some(());
    job.processes[0].until("more windows", enough);
}

/// Waits for the end of a run that must fail with this status; its standard error.
fn failure(crest: &mut Crest, status: i32) -> String {
    let ended = crest.wait(PATIENCE);
    assert_eq!(ended.code(), Some(status), "{}", crest.describe());
    crest.stderr().join("\n")
}

#[test]
fn a_second_job_takes_over_and_the_first_one_ends() {
    let mut trial = Trial::new("fenced", &rules(), "", logs(2));
    trial.send(0.3).join().unwrap();
    let mut first = trial.start((1, 1), &[]);
    until_lines(&mut first, 10);
    let mut second = trial.start((2, 1), &[]);
    second.processes[0].until_logged("reading on from offsets");
    trial.send_rest();
    let reason = failure(&mut first.processes[0], 1);
    assert!(reason.contains("was taken over by a job of epoch"), "{reason}");
    trial.published.take(&first.processes[0].stdout());
    trial.finish(&mut second);
    trial.assert_exactly_once(true);
}

#[test]
fn another_job_on_the_same_state_is_refused_by_what_differs() {
    let mut trial = Trial::new("foreign", &rules(), "", logs(2));
    trial.send(0.5).join().unwrap();
    let mut first = trial.start((1, 1), &[]);
    until_lines(&mut first, 10);
    trial.stop(&mut first);
    let mut other = trial.start((1, 1), &["--pane", "500ms"]);
    let reason = failure(&mut other.processes[0], 2);
    assert!(reason.contains("time.pane was \"1s\" and is now \"500ms\""), "{reason}");
    let mut other = trial.start((1, 1), &["--engine", "exact"]);
    let reason = failure(&mut other.processes[0], 2);
    let way_on = "give the board another name, or let it count anew with --reset-board default";
    assert!(reason.contains("boards[default].engine") && reason.contains(way_on), "{reason}");
    trial.send_rest();
    trial.finish(&mut trial.start((1, 1), &[]));
    trial.assert_exactly_once(true);
}

#[test]
fn offsets_that_the_broker_has_forgotten_are_refused_by_name_or_skipped_and_counted() {
    const FIRST_KEPT: usize = 14_000;
    // No event is late, so that it is plain what the state has counted of a partition: all before it was durable.
    let mut trial = Trial::new("forgotten", &Rules { out_of_orderness: 4 * SECOND, ..rules() }, "", logs(2));
    trial.send(0.5).join().unwrap();
    let mut first = trial.start((1, 1), &[]);
    until_lines(&mut first, 10);
    first.processes[0].kill();
    trial.published.take(&first.processes[0].stdout());
    trial.send_rest();
    Kafka::shared().forget("forgotten", 1, FIRST_KEPT as i64);
    let held = seen_as_json(&trial.dir.join("state"), &[], 0);
    let wanted = held["partitions"]["1"]["replay"].as_u64().unwrap();
    for place in [(1, 1), (1, 2)] {
        let mut again = trial.start(place, &[]);
        let reason = failure(&mut again.processes[0], 1);
        assert!(reason.contains(&format!("forgotten/1 at offset {wanted}: ")), "{reason}");
        assert!(reason.contains("offsets 14000 to ") && reason.contains("--on-gap skip goes on"), "{reason}");
    }

    let lost = FIRST_KEPT as u64 - wanted;
    assert!(lost > 0);
    let mut job = trial.start((2, 1), &["--on-gap", "skip", "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut job.processes[0]);
    let gap = format!("partition=\"forgotten/1\" wanted={wanted} first_kept={FIRST_KEPT} lost={lost}");
    job.processes[0].until_logged(&gap);
    eventually("the gap is counted", || web.metric("crest_gap_records_total", "") == lost as f64);
    let durable = held["durable_ms"].as_i64().unwrap();
    let is_left =
        |partition, offset, event: &Event| partition == 0 || event.time < durable || offset >= FIRST_KEPT;
    let expected = trial.expected_of(is_left);
    trial.finish_with(&mut job, &expected);
    assert_same(&trial.published.finals(), &expected);
    let told = job.processes[0].stderr().iter().filter(|line| line.contains(&gap)).count();
    assert_eq!(told, 1, "in one line");
}

/// Lets the state fail in the midst of a run: the job says so, waits, and loses nothing.
fn waits_out(mut trial: Trial, fail: impl FnOnce(), mend: impl FnOnce()) {
    trial.send(0.3).join().unwrap();
    let mut job = trial.start((2, 1), &["--http", "127.0.0.1:0"]);
    let web = Web::of(&mut job.processes[0]);
    until_lines(&mut job, 10);
    assert_eq!((web.metric("crest_state_unreachable", ""), web.get("/readyz").0), (0.0, 200));
    fail();
    trial.send_rest();
    eventually("the state is known to fail", || web.metric("crest_state_unreachable", "") == 1.0);
    assert_eq!(web.get("/healthz").0, 200, "a job that waits for its state is alive");
    let (status, body) = web.get("/readyz");
    let told: Value = serde_json::from_str(&body).unwrap();
    let state = told["checks"]["state"].as_str().unwrap();
    assert_eq!((status, &told["ready"]), (503, &false.into()), "and not ready: {body}");
    assert!(state.contains("has failed since 2") && state.contains("no final ranking comes: "), "{body}");
    eventually("it is tried again", || web.metric("crest_state_retries_total", "") > 1.0);
    mend();
    eventually("the state is known to be back", || web.metric("crest_state_unreachable", "") == 0.0);
    eventually("it is ready again", || web.get("/readyz").0 == 200);
    trial.finish(&mut job);
    trial.assert_exactly_once(true);
}

#[test]
fn a_state_folder_that_is_gone_for_a_while_is_waited_for() {
    let trial = Trial::new("unwritable", &rules(), "", logs(2));
    let (folder, aside) = (trial.dir.join("state"), trial.dir.join("aside"));
    let fail = || {
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
    };
    let mend = || {
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
    };
    waits_out(trial, fail, mend);
}

/// A small file system of its own, where the system lets the test have one.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(at: &Path) -> Option<SmallDisk<'_>> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(at);
        mount.output().is_ok_and(|output| output.status.success()).then_some(SmallDisk(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_for_a_while_is_waited_for() {
    let trial = Trial::new("full-disk", &rules(), "", logs(2));
    let at = trial.dir.join("disk");
    let Some(disk) = SmallDisk::mount(&at) else {
        return skip("a_disk_that_is_full_for_a_while", "a small disk cannot be mounted here");
    };
    let filling = at.join("filling");
    let fail = || {
        // Writes as much as there is room for.
        let _ = std::fs::write(&filling, vec![1; 4 << 20]);
    };
    waits_out(trial.with_state(&at.join("state")), fail, || std::fs::remove_file(&filling).unwrap());
    drop(disk);
}

#[test]
fn a_bounded_job_goes_on_after_kills_and_does_nothing_twice() {
    let (dir, logs, rules) =
        (new_folder("bounded-state"), logs(3), Rules { max_future_skew: None, ..rules() });
    let (source, config, state) = (write_files(&dir, &logs), rules.write(&dir), dir.join("state"));
    let run = |place: &[&str], more: &[&str]| {
        let job = ["--config", path(&config), "--source", &source];
        Crest::spawn([place, &job, more].concat())
    };
    let with_state = ["--state", path(&state)];
    let mut published = Published::default();
    for (place, lines) in [("1", 1), ("2", 30), ("3", 60)] {
        let mut crest = run(&["-w", place], &with_state);
        // It may have come to its end before.
        while crest.running() && crest.stdout().len() < lines {
            std::thread::sleep(Duration::from_millis(1));
        }
        crest.kill();
        published.take(&crest.stdout());
    }
    let mut last = run(&["-w", "2"], &with_state);
    assert!(last.wait(PATIENCE).success(), "{}", last.describe());
    published.take(&last.stdout());

    let mut whole = run(&["-w", "1"], &[]);
    assert!(whole.wait(PATIENCE).success(), "{}", whole.describe());
    assert_same(&common::program::parse_finals(&whole.stdout()), &Recount::new(&rules, &logs).finals());
    published.assert_same(&whole.stdout());

    let again = run(&["-w", "1"], &with_state);
    assert_eq!(again.final_text(), "", "all was published");
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn files_that_came_or_grew_after_the_end_are_refused_by_name() {
    let (dir, logs) = (new_folder("grown"), logs(2));
    let state = ended_state(&dir, &logs);
    let (source, config) = (write_files(&dir, &logs), Rules { max_future_skew: None, ..rules() }.write(&dir));
    let refusal = || {
        let job = ["--config", path(&config), "--source", &source, "--state", path(&state)];
        failure(&mut Crest::spawn(job), 1)
    };
    let (first, last) = (dir.join("part-000.ndjson"), dir.join("part-001.ndjson"));
    let whole = std::fs::read_to_string(&last).unwrap();
    std::fs::write(&last, format!("{whole}{}\n", whole.lines().last().unwrap())).unwrap();
    let offset = whole.lines().count() + 1;
    let reason = refusal();
    assert!(reason.contains(&format!("{} at offset {offset}", path(&last))), "{reason}");
    assert!(reason.contains("needs another --state"), "{reason}");

    // One that sorts before the others moves them all by one.
    std::fs::write(&last, whole).unwrap();
    std::fs::copy(&last, dir.join("part-+.ndjson")).unwrap();
    let reason = refusal();
    assert!(
        reason.contains(&format!("when the state was written, {} was in its place", path(&first))),
        "{reason}"
    );
    let _ = std::fs::remove_dir_all(dir);
}

/// Looks at a state.
fn look(state: &Path, more: &[&str]) -> Crest {
    Crest::spawn([&["state", "--state", path(state)], more].concat())
}

/// The standard output of a look that must end with this status.
fn seen(state: &Path, more: &[&str], status: i32) -> Vec<String> {
    let mut crest = look(state, more);
    assert_eq!(crest.wait(PATIENCE).code(), Some(status), "{}", crest.describe());
    crest.stdout()
}

fn seen_as_json(state: &Path, more: &[&str], status: i32) -> Value {
    let lines = seen(state, &[&["--json"], more].concat(), status);
    assert_eq!(lines.len(), 1, "one object");
    serde_json::from_str(&lines[0]).unwrap()
}

/// The state of a bounded job that has ended.
fn ended_state(dir: &Path, logs: &[Vec<Event>]) -> PathBuf {
    let (source, config) = (write_files(dir, logs), Rules { max_future_skew: None, ..rules() }.write(dir));
    let state = dir.join("state");
    Crest::spawn(["--config", path(&config), "--source", &source, "--state", path(&state)]).finals();
    state
}

#[test]
fn what_is_held_is_listed_with_its_times_and_offsets() {
    let (dir, logs) = (new_folder("listed"), logs(3));
    let state = ended_state(&dir, &logs);
    let report = seen_as_json(&state, &[], 0);
    let panes: BTreeSet<i64> = logs.iter().flatten().map(|event| event.time / SECOND).collect();
    let durable = (panes.last().unwrap() + 1) * SECOND;
    assert_eq!((&report["durable_ms"], &report["published_ms"]), (&durable.into(), &durable.into()));
    let level = |index: usize| report["levels"][index]["blocks"].as_u64().unwrap();
    // Of every minute that is over, with an event in it, there is a rollup; so is of ten of them.
    let complete = |width: i64| {
        let blocks: BTreeSet<i64> = panes.iter().map(|pane| pane / width).collect();
        blocks.iter().filter(|block| (*block + 1) * width * SECOND <= durable).count() as u64
    };
    assert_eq!((level(0), level(1), level(2)), (panes.len() as u64, complete(60), complete(600)));
    assert_eq!(report["objects"], (0..5).map(level).sum::<u64>());
    let first = panes.first().unwrap() * SECOND;
    assert_eq!(report["counted"], serde_json::json!([{ "from_ms": first, "to_ms": durable }]));
    assert_eq!((&report["ended"], &report["finished"]), (&true.into(), &true.into()));
    assert_eq!((&report["pane_ms"], &report["boards"][0]), (&SECOND.into(), &"default".into()));
    assert!(report.get("verified").is_none());

    let text = seen(&state, &[], 0).join("\n");
    let time = chrono::DateTime::from_timestamp_millis(durable).unwrap().format("%Y-%m-%dT%H:%M:%S%.3fZ");
    assert!(text.contains(&format!("durable     up to {time}\npublished   up to {time}\n")), "{text}");
    for (partition, log) in logs.iter().enumerate() {
        // A file's offsets are its lines' numbers, from 1.
        let end = log.len() + 1;
        let at = &report["partitions"][partition.to_string()];
        assert_eq!(at["next"], end);
        let line =
            format!("partition   {}, replay from offset {end}, next {end}", at["name"].as_str().unwrap());
        assert!(text.contains(&line), "{line}\n{text}");
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn objects_that_are_damaged_missing_or_not_named_are_told_by_name() {
    let dir = new_folder("verified");
    let state = ended_state(&dir, &logs(2));
    let whole = seen_as_json(&state, &["--verify"], 0);
    assert_eq!(
        (&whole["verified"]["objects"], &whole["verified"]["bytes"]),
        (&whole["objects"], &whole["bytes"])
    );
    assert_eq!(whole["verified"]["faults"], Value::Array(Vec::new()));

    let mut objects: Vec<PathBuf> =
        std::fs::read_dir(state.join("panes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    objects.sort();
    let name = |object: &Path| format!("panes/{}", object.file_name().unwrap().to_str().unwrap());
    let (damaged, missing) = (&objects[3], &objects[7]);
    let mut bytes = std::fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    std::fs::remove_file(missing).unwrap();
    std::fs::write(state.join("panes/left"), "by a killed run").unwrap();

    let lines = seen(&state, &["--verify"], 1);
    let told = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(told(&format!("{} is damaged: its checksum is another", name(damaged))), 1, "{lines:?}");
    assert_eq!(told(&format!("the manifest names {}, which is missing", name(missing))), 1, "{lines:?}");
    assert_eq!((told("panes/left"), told("panes/0")), (1, 2), "{lines:?}");
    let report = seen_as_json(&state, &["--verify"], 1);
    assert_eq!(report["verified"]["faults"].as_array().unwrap().len(), 2);
    assert_eq!(report["verified"]["objects"], whole["objects"].as_u64().unwrap() - 2);
    assert_eq!(report["unnamed"], Value::from(vec!["panes/left"]));
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn where_there_is_no_state_a_look_says_so_and_makes_none() {
    let dir = new_folder("no-state");
    let mut empty = look(&dir, &[]);
    let reason = failure(&mut empty, 1);
    assert!(reason.contains("there is no manifest, so no job has kept its state there"), "{reason}");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    let reason = failure(&mut look(&dir.join("state"), &["--verify"]), 1);
    assert!(reason.contains("there is no such folder"), "{reason}");
    let reason = failure(&mut Crest::spawn(["state"]), 2);
    assert!(reason.contains("--state"), "{reason}");
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_look_beside_a_running_job_disturbs_nothing() {
    let mut trial = Trial::new("looked-at", &rules(), "", logs(2));
    trial.send(0.5).join().unwrap();
    let mut job = trial.start((2, 1), &[]);
    until_lines(&mut job, 10);
    let report = seen_as_json(&trial.dir.join("state"), &["--verify"], 0);
    assert!(report["durable_ms"].as_i64().unwrap() > 0 && report["ended"] == false, "{report}");
    assert_eq!(report["source"], "kafka:looked-at");
    trial.send_rest();
    trial.finish(&mut job);
    trial.assert_exactly_once(true);
}
