//! What can happen to a job's state from outside: another job takes it over, its place cannot be written or is full
//! for a while, the source forgets what it needs; and a bounded job that is killed, and one that has ended.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic, write_files};
use common::program::{Cluster, Crest, path};
use common::recount::{Recount, assert_same};
use common::rules::{Board, Rules, Window};
use common::servers::Kafka;
use common::trial::{Published, Trial};
use common::web::Web;
use common::{eventually, new_folder};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SECOND: i64 = 1000;
const PATIENCE: Duration = Duration::from_secs(30);

fn rules() -> Rules {
    let windows = vec![
        Window { name: "last_5s", size: 5 * SECOND, slide: SECOND },
        Window { name: "twos", size: 2 * SECOND, slide: 2 * SECOND },
    ];
    Rules {
        pane: SECOND,
        out_of_orderness: 2 * SECOND,
        max_future_skew: Some(60 * SECOND),
        boards: vec![Board { k: 20, windows, ..Board::default() }],
        ..Rules::default()
    }
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
    let mut other = trial.start((1, 1), &["--out-of-orderness", "3s"]);
    let reason = failure(&mut other.processes[0], 2);
    assert!(reason.contains("out_of_orderness"), "{reason}");
    trial.send_rest();
    trial.finish(&mut trial.start((1, 1), &[]));
    trial.assert_exactly_once(true);
}

#[test]
fn offsets_that_the_broker_has_forgotten_are_refused_by_name() {
    let mut trial = Trial::new("forgotten", &rules(), "", logs(2));
    trial.send(0.5).join().unwrap();
    let mut first = trial.start((1, 1), &[]);
    until_lines(&mut first, 10);
    trial.stop(&mut first);
    trial.send(0.5).join().unwrap();
    Kafka::shared().forget("forgotten", 1, 14_000);
    for place in [(1, 1), (1, 2)] {
        let mut again = trial.start(place, &[]);
        let reason = failure(&mut again.processes[0], 1);
        assert!(
            reason.contains("forgotten/1 at offset ") && reason.contains("offsets 14000 to "),
            "{reason}"
        );
    }
}

/// Lets the state fail in the midst of a run: the job says so, waits, and loses nothing.
fn waits_out(mut trial: Trial, fail: impl FnOnce(), mend: impl FnOnce()) {
    trial.send(0.3).join().unwrap();
    let mut job = trial.start((2, 1), &["--http", "127.0.0.1:0"]);
    let web = Web::of(&mut job.processes[0]);
    until_lines(&mut job, 10);
    assert_eq!(web.metric("crest_state_unreachable", ""), 0.0);
    fail();
    trial.send_rest();
    eventually("the state is known to fail", || web.metric("crest_state_unreachable", "") == 1.0);
    assert_eq!(web.get("/healthz").0, 200, "a job that waits for its state is alive");
    eventually("it is tried again", || web.metric("crest_state_retries_total", "") > 1.0);
    mend();
    eventually("the state is known to be back", || web.metric("crest_state_unreachable", "") == 0.0);
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
        return eprintln!("not tested: this system lets nobody mount a small disk here");
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
