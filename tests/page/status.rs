//! How the job is doing, as the page shows it: what works, events and what became of the others, partitions, state, sinks.

use super::common::servers::Redis;
use super::legible::is_legible_in_both_lights;
use super::*;
use serde_json::json;

/// The texts of a table's cells.
fn cells(browser: &Browser, table: &str) -> Vec<Vec<String>> {
    let script = format!(
        "return [...document.querySelectorAll('#{table} tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent))"
    );
    serde_json::from_value(browser.run(&script)).unwrap()
}

fn row<'a>(rows: &'a [Vec<String>], first: &str) -> &'a [String] {
    rows.iter().find(|row| row[0] == first).unwrap_or_else(|| panic!("{first} of {rows:?}"))
}

#[test]
fn the_status_shows_all_parts_of_a_job_and_which_of_them_fails() {
    let (redis, dir) = (Redis::start(), new_folder("page-status"));
    let config = dir.join("crest.toml");
    let text = "[time]\npane = \"1s\"\nout_of_orderness = \"1s\"\n[[board]]\nname = \"default\"\n\
                windows = [ { name = \"last_10s\", size = \"10s\", slide = \"1s\" } ]\n";
    std::fs::write(&config, text).unwrap();
    let log = format!("log:{}?partitions=2", dir.join("log").display());
    let (state, url) = (dir.join("state"), redis.url());
    let job = ["--config", path(&config), "--source", &log, "--state", path(&state), "--snapshots", &url];
    let mut crest = Crest::spawn([&job[..], &["--http", "127.0.0.1:0"]].concat());
    let web = Web::of(&mut crest);
    let post = |time: i64| {
        let lines: String = (0..50)
            .map(|n| json!({"item_id": format!("i{n}"), "timestamp": time}).to_string() + "\n")
            .collect();
        assert_eq!(web.send("POST", "/events", &[], lines.as_bytes()).status, 202);
    };
    post(common::events::now());
    let browser = Browser::open(390, 844);
    browser.go(web.address());
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows > 0);
    browser.tab_to("#status-link");
    browser.press(Key::Enter);
    assert!(fragment(&browser).contains("view=status"));
    let commits = || web.json("/status")["state"]["commits"].as_u64().unwrap();
    // A later second closes the pane, which then is stored; what is of the past is late.
    browser.until(
        "a commit",
        || {
            post(common::events::now());
            commits()
        },
        |commits| *commits > 0,
    );
    browser.until(
        "late events",
        || {
            post(common::events::now() - 3_600_000);
            web.json("/status")["late"].as_u64().unwrap()
        },
        |late| *late > 0,
    );
    let agrees = || {
        let (status, rows) = (web.json("/status"), cells(&browser, "status-events"));
        let count = |what: &str| rows.iter().find(|row| row[0] == what).map(|row| row[1].clone());
        let said = |name: &str| Some(grouped(status[name].as_u64().unwrap()));
        count("Records read") == said("records") && count("Not counted: late") == said("late")
    };
    browser.until("the counts", agrees, |agrees| *agrees);

    let status = web.json("/status");
    let names: Vec<String> =
        cells(&browser, "status-partitions").into_iter().map(|row| row[0].clone()).collect();
    let mut known: Vec<&str> =
        status["partitions"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(known.len() == 2 && status["partitions_total"] == 2, "{status}");
    known.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, known);
    let rows = cells(&browser, "status-state");
    assert!(
        row(&rows, "Durable up to")[1].len() >= 8 && row(&rows, "Written")[1].contains(" commits, "),
        "{rows:?}"
    );
    let sinks = cells(&browser, "status-sinks");
    assert_eq!((sinks.len(), &sinks[0][0], sinks[0][4].as_str()), (1, &url, "ok"));
    assert!(!["0", ""].contains(&sinks[0][1].as_str()), "rankings were written: {sinks:?}");
    let checks = cells(&browser, "status-checks");
    assert!(["state", "redis", "workers"].iter().all(|part| row(&checks, part)[1] == "✓ ok"), "{checks:?}");
    assert_eq!(browser.text("#status-ready"), "Ready");
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
    is_legible_in_both_lights(&browser);

    // What fails is told by its reason.
    redis.kill();
    let check =
        || cells(&browser, "status-checks").into_iter().find(|row| row[0] == "redis").unwrap_or_default();
    browser.until(
        "that Redis fails",
        || {
            post(common::events::now());
            check()
        },
        |row| row[1].starts_with("✗ cannot be written"),
    );
    let sink = || cells(&browser, "status-sinks")[0][4].clone();
    browser.until("why", sink, |found| found.starts_with("cannot be written"));
    is_legible_in_both_lights(&browser);
    browser.press(Key::Escape);
    assert!(!fragment(&browser).contains("view=status"));
    browser.until("the ranking", || shown(&browser).len(), |rows| *rows > 0);
    browser.back();
    assert_eq!(browser.run("return document.getElementById('status-view').checkVisibility()"), true);
    is_clean(&browser, &web);
    drop(crest);
    let _ = std::fs::remove_dir_all(dir);
}
