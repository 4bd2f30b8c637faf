//! Files and standard input, read to their end by the real program: the final snapshots on standard output
//! equal an exact recount, for any number of workers and processes.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::new_folder;
use common::program::{Cluster, Crest, path};
use common::recount::{Recount, assert_same};
use common::rules::{Board, Rules, Window};
use std::path::PathBuf;

struct Case {
    dir: PathBuf,
    logs: Vec<Vec<Event>>,
    rules: Rules,
    source: String,
    config: PathBuf,
}

impl Case {
    fn new(rules: Rules, logs: Vec<Vec<Event>>) -> Self {
        let dir = new_folder("bounded");
        let (source, config) = (write_files(&dir, &logs), rules.write(&dir));
        Case { dir, logs, rules, source, config }
    }

    fn arguments(&self) -> Vec<&str> {
        vec!["--config", path(&self.config), "--source", &self.source]
    }

    fn run(&self, workers: &str) -> Crest {
        Crest::spawn([vec!["-w", workers], self.arguments()].concat())
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Two boards with everything that a board can have.
fn boards() -> Rules {
    let (second, minute) = (1000, 60_000);
    let windows = vec![
        Window { name: "last_1m", size: minute, slide: 10 * second },
        Window { name: "minutes", size: minute, slide: minute },
        Window { name: "odd", size: 50 * second, slide: 20 * second },
    ];
    let views = Board {
        name: "views",
        filter: vec![("event_type", vec!["view", "click"])],
        by: vec!["region"],
        k: 7,
        weights: vec![("click", 3)],
        windows: windows.clone(),
        ..Board::default()
    };
    let all = Board { name: "all", k: 50, windows, ..Board::default() };
    Rules { boards: vec![views, all], ..Rules::default() }
}

#[test]
fn every_board_group_and_window_equals_the_recount() {
    let traffic = Traffic {
        events: 30_000,
        heaviest: 4,
        types: vec!["view", "click", "purchase"],
        regions: vec!["IN", "US", "a=b,c%"],
        disorder: 8_000,
        ..Traffic::default()
    };
    let case = Case::new(boards(), traffic.logs(3));
    let recount = Recount::new(&case.rules, &case.logs);
    assert!(recount.late > 0, "the case has late events");
    let expected = recount.finals();
    assert_same(&case.run("1").finals(), &expected);
    assert_same(&case.run("2").finals(), &expected);
}

#[test]
fn four_very_unequal_files_on_one_worker_give_the_answer_of_four_workers_and_of_two_processes() {
    let part = |seed, events, from_minutes: i64, minutes: i64| {
        let (start, span) = (START + from_minutes * 60_000, minutes * 60_000);
        Traffic { seed, events, start, span, ..Traffic::default() }.log()
    };
    let logs = vec![part(1, 40_000, 0, 90), part(2, 200, 80, 1), part(3, 3, 30, 2), part(4, 5_000, -60, 20)];
    let case = Case::new(Rules::default(), logs);
    let expected = Recount::new(&case.rules, &case.logs).finals();
    let one = case.run("1").final_text();
    assert_same(&common::program::parse_finals(&with_time(&one)), &expected);
    assert!(one == case.run("4").final_text(), "four workers answer otherwise than one");
    assert!(one == Cluster::spawn(2, &case.arguments()).final_text(), "two processes answer otherwise");
}

/// Lines as the program wrote them, but for the time.
fn with_time(text: &str) -> Vec<String> {
    text.lines().map(|line| line.replacen('{', r#"{"computed_at":0,"#, 1)).collect()
}

#[test]
fn standard_input_is_read_to_its_end() {
    let events = Traffic { events: 3000, ..Traffic::default() }.log();
    let lines: String = events.iter().map(|event| event.json() + "\n").collect();
    let expected = Recount::new(&Rules::default(), &[events]).finals();
    let crest = Crest::spawn_reading(lines.leak().as_bytes(), ["--source", "-"]);
    assert_same(&crest.finals(), &expected);
}

#[test]
fn an_empty_file_and_an_empty_input_end_well_and_say_nothing() {
    let case = Case::new(Rules::default(), vec![Vec::new()]);
    assert_eq!(case.run("2").finals(), Vec::<serde_json::Value>::new());
    assert_eq!(Crest::spawn(["--source", "-"]).finals(), Vec::<serde_json::Value>::new());
}
