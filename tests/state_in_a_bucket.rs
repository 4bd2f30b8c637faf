//! A job whose state is in a bucket: killed and resumed through a real S3 server, and looked at there; and regions whose
//! states are in one.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;
#[path = "../connectors/tests/support/s3_server.rs"]
mod s3_server;

use common::events::{Traffic, write_files};
use common::new_folder;
use common::program::{Crest, parse_finals, path};
use common::recount::{Group, Recount, assert_same};
use common::rules::{Board, Rules, Window};
use common::trial::Published;
use common::web::Web;
use hyper::Method;
use s3_server::{Answer, S3Server};
use std::time::Duration;

const SECOND: i64 = 1000;
const PATIENCE: Duration = Duration::from_secs(60);

fn rules() -> Rules {
    let windows = vec![Window { name: "last_5s", size: 5 * SECOND, slide: SECOND }];
    let boards = vec![Board { k: 20, windows, ..Board::default() }];
    Rules { pane: SECOND, out_of_orderness: 2 * SECOND, max_future_skew: None, boards, ..Rules::default() }
}

#[test]
fn a_job_is_killed_and_resumed_with_its_state_in_a_bucket() {
    let (server, dir, rules) = (S3Server::start(), new_folder("bucket"), rules());
    let logs =
        Traffic { events: 20_000, span: 60 * SECOND, disorder: 3 * SECOND, ..Traffic::default() }.logs(2);
    let (source, config) = (write_files(&dir, &logs), rules.write(&dir));
    let options: String =
        server.options().iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    let text = std::fs::read_to_string(&config).unwrap();
    let state = format!("\n[state]\nurl = \"{}\"\n[state.options]\n{options}", server.url("jobs/a"));
    std::fs::write(&config, text + &state).unwrap();
    let run = |workers| Crest::spawn(["--config", path(&config), "--source", &source, "-w", workers]);

    let mut published = Published::default();
    for (workers, lines) in [("1", 1), ("2", 20)] {
        let mut crest = run(workers);
        // It may have come to its end before.
        while crest.running() && crest.stdout().len() < lines {
            std::thread::sleep(Duration::from_millis(1));
        }
        crest.kill();
        published.take(&crest.stdout());
    }
    let mut last = run("3");
    assert!(last.wait(PATIENCE).success(), "{}", last.describe());
    published.take(&last.stdout());

    let mut whole = Crest::spawn(["--config", path(&config), "--source", &source, "--state", "off"]);
    assert!(whole.wait(PATIENCE).success(), "{}", whole.describe());
    assert_same(&parse_finals(&whole.stdout()), &Recount::new(&rules, &logs).finals());
    published.assert_same(&whole.stdout());

    let manifest = server.path("jobs/a/manifest.json");
    let bytes = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    let refused = run("1").failure();
    assert!(refused.contains("panes and rollups, such as panes/0"), "{refused}");
    std::fs::write(&manifest, bytes).unwrap();
    let mut look = Crest::spawn(["state", "--config", path(&config), "--verify"]);
    assert!(look.wait(PATIENCE).success(), "{}", look.describe());
    let told = look.stdout().join("\n");
    assert!(told.contains("s3://crest-test/jobs/a") && told.contains(" objects are whole"), "{told}");
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn regions_in_a_bucket_are_merged_and_served() {
    let (server, dir, rules) = (S3Server::start(), new_folder("bucket-regions"), rules());
    let options: String =
        server.options().iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    let mut all = Vec::new();
    for (seed, name) in [(1, "eu"), (2, "us")] {
        let traffic = Traffic { seed, events: 5_000, span: 60 * SECOND, ..Traffic::default() };
        let (dir, logs) = (dir.join(name), traffic.logs(2));
        std::fs::create_dir(&dir).unwrap();
        let (source, config) = (write_files(&dir, &logs), rules.write(&dir));
        let text = std::fs::read_to_string(&config).unwrap();
        let state = format!("\n[state]\nurl = \"{}\"\n[state.options]\n{options}", server.url(name));
        std::fs::write(&config, text + &state).unwrap();
        Crest::spawn(["--config", path(&config), "--source", &source]).finals();
        all.extend(logs);
    }
    let config = rules.write(&dir);
    let text = std::fs::read_to_string(&config).unwrap();
    let regions = format!("\n[source.regions.eu]\n{options}[source.regions.us]\n{options}");
    std::fs::write(&config, text + &regions).unwrap();
    let states = format!("state:eu={},us={}", server.url("eu"), server.url("us"));
    // Who merges them may only read them.
    server.disturb(|method, _| match *method {
        Method::GET | Method::HEAD => Answer::Right,
        _ => Answer::Status(403),
    });
    let merge = ["--config", path(&config), "--source", &states, "--state", "off", "-w", "2"];
    let finals = Crest::spawn([&merge[..], &["--snapshots", "-", "--http", "off"]].concat()).finals();
    let expected = Recount::new(&rules, &all);
    assert_same(&finals, &expected.finals());

    let mut node =
        Crest::spawn(["serve", "--config", path(&config), "--state", &states, "--http", "127.0.0.1:0"]);
    let answer = Web::of(&mut node).json("/top-k?window=30s");
    let time = |key: &str| answer[key].as_i64().unwrap();
    let counts = expected.between("default", time("window_start"), time("window_end"));
    let total: u64 = counts.get(&Group::new()).unwrap().values().sum();
    assert_eq!(answer["total"], total, "{answer}");
    node.kill();
    std::fs::remove_dir_all(dir).unwrap();
}
