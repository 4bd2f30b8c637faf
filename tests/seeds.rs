//! Nobody can make two ids that are taken for one: the seed of the item hash is a secret of each state and live run, and
//! one for all its processes.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::program::{Cluster, Crest, path};
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Four ids, counted 1, 2, 3 and 50 times, that share their hash under the seed of the first edition.
const SAME_HASH: &str = "tests/seeds/same_hash.ndjson";

fn counts(ranking: &Value) -> Vec<u64> {
    let rows = ranking["items"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["exact"] == true));
    rows.iter().map(|row| row["count"].as_u64().unwrap()).collect()
}

#[test]
fn ids_made_to_share_their_hash_are_told_apart_in_files() {
    let source = format!("file:{SAME_HASH}");
    let run = || Crest::spawn(["--source", &source, "--window", "hour=1h/1h"]).final_text();
    let text = run();
    assert_eq!(counts(&serde_json::from_str(text.lines().next().unwrap()).unwrap()), [50, 3, 2, 1]);
    assert_eq!(text, run(), "two runs over the same files agree");
}

fn live(state: &Path) -> Crest {
    Crest::spawn([
        "--state",
        path(state),
        "--http",
        "127.0.0.1:0",
        "--refresh",
        "100ms",
        "--window",
        "hour=1h/1h",
    ])
}

fn seed(state: &Path) -> u64 {
    let manifest = std::fs::read(state.join("manifest.json")).unwrap();
    serde_json::from_slice::<Value>(&manifest).unwrap()["job"]["sketch"]["seed"].as_u64().unwrap()
}

#[test]
fn a_state_has_a_seed_of_its_own_which_is_told_to_nobody() {
    let (dir, other) = (new_folder("seed"), new_folder("other-seed"));
    let mut crest = live(&dir);
    let web = Web::of(&mut crest);
    let sent = web.send("POST", "/events", &[], &std::fs::read(SAME_HASH).unwrap());
    assert_eq!(sent.status, 202, "{}", sent.body);
    let all = || web.get("/top-k?window=hour");
    eventually("all events", || all().0 == 200 && web.json("/top-k?window=hour")["total"] == 56);
    assert_eq!(counts(&web.json("/top-k?window=hour")), [50, 3, 2, 1]);
    let first = seed(&dir);
    let mut told = ["/status", "/metrics", "/boards"].map(|page| web.get(page).1).concat();
    crest.sigterm();
    crest.wait(std::time::Duration::from_secs(30));
    told += &crest.stderr().concat();

    let mut again = live(&dir);
    let web = Web::of(&mut again);
    eventually("all events again", || {
        let (status, body) = web.get("/top-k?window=hour");
        status == 200 && counts(&serde_json::from_str(&body).unwrap()) == [50, 3, 2, 1]
    });
    assert_eq!(seed(&dir), first, "after a restart");
    told += &again.stderr().concat();
    drop(again);
    let mut stranger = live(&other);
    Web::of(&mut stranger);
    assert_ne!(seed(&other), first);

    // Another seed than the state's is refused, by its key alone.
    let config = dir.join("crest.toml");
    std::fs::write(&config, "[sketch]\nseed = 8765432187654321\n").unwrap();
    let arguments =
        ["--config", path(&config), "--state", path(&dir), "--http", "off", "--window", "hour=1h/1h"];
    let refused = Crest::spawn(arguments).failure();
    assert!(refused.contains("sketch.seed = ***"), "{refused}");
    told += &refused;
    let of_program = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_crest")).args(arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let shown = of_program(&["config", "--config", path(&config)]);
    assert!(shown.contains("seed = \"***\""), "{shown}");
    told += &shown;
    told += &of_program(&["state", "--state", path(&dir), "--json", "--verify"]);
    for secret in [first, 8765432187654321] {
        for written in [secret.to_string(), format!("{secret:x}")] {
            assert!(!told.contains(&written), "the seed {written} is told in:\n{told}");
        }
    }
    [dir, other].iter().for_each(|dir| drop(std::fs::remove_dir_all(dir)));
}

/// With seeds of their own they could not merge what the others have counted.
#[test]
fn the_processes_of_a_cluster_count_with_the_seed_of_the_first() {
    let live = ["--demo", "--pane", "200ms", "--window", "w=1s/1s", "--snapshots", "-", "--http", "off"];
    let live = [&live[..], &["--out-of-orderness", "0s"]].concat();
    let mut cluster = Cluster::spawn(2, &live);
    let is_final = |line: &String| line.contains("\"final\":true");
    cluster.processes[0].until("three final rankings", |crest| {
        (crest.stdout().iter().filter(|line| is_final(line)).count() >= 3).then_some(())
    });
    assert!(cluster.processes.iter_mut().all(Crest::running));
}
