//! Two regions on the real Kafka, each a job of two processes with a topic and a state of its own, and a job over their
//! states: the global rankings are those of one job over both topics, though jobs are killed and started again.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic};
use common::new_folder;
use common::program::{Cluster, Crest, path};
use common::recount::{Recount, assert_same, judge_claims};
use common::rules::Rules;
use common::trial::{Published, Trial};
use serde_json::Value;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

const SECOND: i64 = 1000;
const PATIENCE: Duration = Duration::from_secs(30);

fn traffic(seed: u64, items: u64) -> Vec<Vec<Event>> {
    let traffic = Traffic {
        seed,
        events: 40_000,
        items,
        span: 60 * SECOND,
        disorder: 3 * SECOND,
        regions: vec!["IN", "US", "LK"],
        ..Traffic::default()
    };
    traffic.logs(2)
}

/// The job over the states of the regions.
struct Global {
    dir: PathBuf,
    source: String,
    crest: Option<Crest>,
    published: Published,
}

impl Global {
    fn over(eu: &Trial, us: &Trial, more: &str) -> Self {
        let dir = new_folder("regions");
        let config = Rules::live_with_groups("sketch").write(&dir);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + more).unwrap();
        let state = |trial: &Trial| path(&trial.dir.join("state")).to_owned();
        let source = format!("state:eu={},us={}", state(eu), state(us));
        Global { dir, source, crest: None, published: Published::default() }
    }

    fn start(&mut self, workers: &str) {
        self.crest = Some(self.spawn(workers, &[]));
    }

    fn spawn(&self, workers: &str, more: &[&str]) -> Crest {
        let (config, state) = (self.dir.join("crest.toml"), self.dir.join("state"));
        let what =
            ["--config", path(&config), "--source", &self.source, "--state", path(&state), "-w", workers];
        // Nobody is missing, so that the answer depends on nothing but the logs.
        let ends = ["--idle-timeout", "10m", "--snapshots", "-", "--http", "off"];
        Crest::spawn([&what[..], &ends, more].concat())
    }

    /// Kills it, and lets one that stood by take over.
    fn fail_over(&mut self, workers: &str) {
        let mut standby = self.spawn(workers, &["--standby"]);
        standby.until_logged("standing by for the job");
        self.kill();
        standby.until_logged("taking over");
        self.crest = Some(standby);
    }

    fn kill(&mut self) {
        let mut crest = self.crest.take().unwrap();
        crest.kill();
        self.published.take(&crest.stdout());
    }

    fn stop(&mut self) {
        let mut crest = self.crest.take().unwrap();
        crest.sigterm();
        assert!(crest.wait(PATIENCE).success(), "{}", crest.describe());
        self.published.take(&crest.stdout());
    }
}

/// What is final once both regions have passed their closing events.
fn expected(eu: &Trial, us: &Trial) -> (Recount, Vec<Value>) {
    let all = [eu.logs(), us.logs()].concat();
    let recount = Recount::new(&Rules::live_with_groups("sketch"), &all);
    let closing = all.iter().map(|log| log.last().unwrap().time).min().unwrap();
    let passed = (closing - Rules::live_with_groups("sketch").out_of_orderness).div_euclid(SECOND) * SECOND;
    let mut finals = recount.finals();
    finals.retain(|snapshot| snapshot["window_end"].as_i64().unwrap() <= passed);
    (recount, finals)
}

fn kill_one(cluster: &mut Cluster) {
    cluster.processes[1].kill();
    cluster.processes[0].wait(PATIENCE);
}

/// Runs two regions and the job over them while their parts are killed. Returns what was published and what should be.
fn run(name: (&'static str, &'static str), items: u64, more: &str) -> (Vec<Value>, Recount, Vec<Value>) {
    let trial =
        |topic, seed| Trial::new(topic, &Rules::live_with_groups("sketch"), more, traffic(seed, items));
    let (mut eu, mut us) = (trial(name.0, 5), trial(name.1, 6));
    let mut of_eu = eu.start((1, 2), &[]);
    let mut of_us = us.start((2, 2), &[]);
    [&mut of_eu, &mut of_us].into_iter().for_each(|cluster| {
        cluster.processes[0].until_logged("crest ");
    });
    let mut global = Global::over(&eu, &us, more);
    global.start("2");
    for (step, workers) in ["1", "3", "2"].into_iter().enumerate() {
        let sending = [eu.send(0.25), us.send(0.25)];
        sleep(Duration::from_millis(700));
        match step {
            0 => global.fail_over(workers),
            1 => kill_one(&mut of_eu),
            _ => global.stop(),
        }
        sending.into_iter().for_each(|sending| sending.join().unwrap());
        match step {
            0 => {}
            1 => of_eu = eu.start((2, 2), &[]),
            _ => global.start(workers),
        }
    }
    eu.send_rest();
    us.send_rest();
    let (recount, expected) = expected(&eu, &us);
    let last = expected.last().unwrap();
    let of = |field: &str| format!("{field:?}:{}", last[field]);
    let mark = ["board", "window", "group", "window_start", "window_end"].map(of).join(",");
    let is_there = |crest: &Crest| crest.stdout().iter().any(|line| line.contains(&mark)).then_some(());
    global.crest.as_mut().unwrap().until("the last window", is_there);
    global.stop();
    eu.stop(&mut of_eu);
    us.stop(&mut of_us);
    let mut finals = global.published.finals();
    let end = |snapshot: &Value| snapshot["window_end"].as_i64().unwrap();
    finals.retain(|snapshot| end(snapshot) <= end(last));
    std::fs::remove_dir_all(&global.dir).unwrap();
    (finals, recount, expected)
}

#[test]
fn the_global_rankings_are_those_of_one_job_over_all_topics() {
    let (finals, _, expected) = run(("regions-eu", "regions-us"), 300, "");
    assert_same(&finals, &expected);
}

#[test]
fn where_panes_were_cut_in_the_regions_the_global_bounds_hold() {
    let small = "\n[sketch]\nrows = 32\nrows_kept = 200\n";
    let (finals, recount, expected) = run(("regions-cut-eu", "regions-cut-us"), 5000, small);
    let name = |s: &Value| ["board", "window", "group", "window_end"].map(|field| s[field].to_string());
    assert_eq!(finals.iter().map(name).collect::<Vec<_>>(), expected.iter().map(name).collect::<Vec<_>>());
    assert!(finals.iter().any(|snapshot| snapshot["error_floor"] != 0), "something was cut");
    let rules = Rules::live_with_groups("sketch");
    for snapshot in &finals {
        let index = rules.boards.iter().position(|board| snapshot["board"] == *board.name).unwrap();
        let board = &rules.boards[index];
        let window = board.windows.iter().find(|window| snapshot["window"] == *window.name).unwrap();
        let ended = recount.ended(index, window, snapshot["window_end"].as_i64().unwrap());
        let (_, truth, _) = ended.iter().find(|(_, _, told)| told["group"] == snapshot["group"]).unwrap();
        judge_claims(snapshot, truth, board.k);
    }
}
