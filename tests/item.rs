//! `crest item` as a person or a script runs it, against the real program: what it prints, and what it says when it cannot.

#![allow(clippy::unwrap_used)] // a step that fails is a failed test

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::program::{Crest, path};
use common::rules::{Board, Rules, Window};
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::Value;
use std::time::Duration;

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(60);

fn run(url: &str, further: &[&str]) -> Crest {
    Crest::spawn([&["item", "--url", url], further].concat())
}

/// The lines of a run that must succeed.
fn printed(url: &str, further: &[&str]) -> Vec<String> {
    let mut crest = run(url, further);
    assert!(crest.wait(LONG).success() && crest.stderr().is_empty(), "{}", crest.describe());
    crest.stdout()
}

/// The one line that a run says which must fail with this status.
fn refused(url: &str, further: &[&str], status: i32) -> String {
    let mut crest = run(url, further);
    assert_eq!(crest.wait(LONG).code(), Some(status), "{}", crest.describe());
    let said = crest.stderr();
    let [line] = said.as_slice() else { panic!("one line is expected: {}", crest.describe()) };
    line.clone()
}

#[test]
fn an_item_is_printed_with_its_history_where_there_is_a_state() {
    let dir = new_folder("item");
    let windows = vec![Window { name: "last_30m", size: 1_800_000, slide: 60_000 }];
    let board = Board { by: vec!["region"], windows, ..Board::default() };
    let config = Rules { boards: vec![board], ..Rules::default() }.write(&dir);
    let traffic = Traffic { span: 50 * 60_000, regions: vec!["IN", "US"], ..Traffic::default() };
    let mut log = traffic.log();
    let odd = "two\nlines \u{1b}[2J/?";
    log.extend((0..7).map(|n| Event::new(odd, START + 50 * 60_000 + n).with("region", "IN")));
    let (source, state) = (write_files(&dir, &[log]), dir.join("state"));
    Crest::spawn(["--config", path(&config), "--source", &source, "--state", path(&state)]).finals();
    let mut node = Crest::spawn(["serve", "--state", path(&state), "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut node);
    let url = web.address();

    let said = web.json("/items/default/item-1?window=last_30m");
    let lines = printed(url, &["item-1"]);
    assert!(
        lines[0].starts_with("default last_30m · ") && lines[0].contains(" · final · total "),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1..4],
        [
            "item   item-1".to_owned(),
            format!("count  {}", indicatif::HumanCount(said["count"].as_u64().unwrap())),
            format!("rank   {}", said["rank"]["best"]),
        ]
    );
    assert!(lines[4].starts_with("share  ") && lines[5].is_empty(), "{lines:?}");
    // Six rows of columns and the line of times, in 80 columns.
    assert_eq!(lines.len(), 6 + 7, "{lines:?}");
    assert!(lines[6].contains('┤') && lines[12].ends_with(" UTC, 40s a column"), "{lines:?}");
    assert!(lines[6..].iter().all(|line| line.chars().count() <= 80), "{lines:?}");

    // Nothing of an id reaches the terminal that it would obey, and what was typed is what is asked for.
    let lines = printed(url, &[odd, "--window", "10m", "--group", "region=IN", "--step", "5m"]);
    assert!(lines[0].starts_with("default 10m region=IN · "), "{}", lines[0]);
    assert_eq!(lines[1..3], ["item   two\\u{a}lines \\u{1b}[2J/?", "count  7"]);
    assert!(lines.last().unwrap().ends_with("5m a column"), "{lines:?}");
    let line = printed(url, &["item-1", "--json"]).concat();
    let mut same: Value = serde_json::from_str(&line).unwrap();
    same["computed_at"] = said["computed_at"].clone();
    assert_eq!(same, said);
    let line = printed(url, &["item-1", "--json", "--step", "10m"]).concat();
    assert!(serde_json::from_str::<Value>(&line).unwrap()["points"].as_array().unwrap().len() >= 3, "{line}");

    let none = printed(url, &["nobody"]);
    assert_eq!(none[2..4], ["count  0, it has no event there", "rank   none"]);
    assert!(
        refused(url, &["item-1", "--board", "x"], 1).contains("there is no board \"x\"; boards: default")
    );
    let step = refused(url, &["item-1", "--step", "7s"], 1);
    assert!(step.contains("step = \"7s\": must be a multiple of 10s"), "{step}");
    assert!(refused("nonsense", &["item-1"], 2).contains("--url"));
    node.kill();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn without_a_state_it_says_that_there_is_no_history() {
    let mut crest =
        Crest::spawn(["--demo", "--http", "127.0.0.1:0", "--refresh", "200ms", "--window", "day=24h/24h"]);
    let web = Web::of(&mut crest);
    eventually("a ranking", || web.get("/top-k").0 == 200);
    let top = web.json("/top-k?k=1")["items"][0]["item_id"].as_str().unwrap().to_owned();
    let lines = printed(web.address(), &[&top]);
    assert!(lines[0].contains(" · provisional · ") && lines[0].ends_with(" old"), "{}", lines[0]);
    assert!(
        lines.last().unwrap().starts_with("no history: ") && lines.last().unwrap().contains("--state"),
        "{lines:?}"
    );
}
