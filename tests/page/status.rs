//! How the job is doing, as the page shows it: what works, events and what became of the others, partitions, state, sinks.

use super::common::servers::Redis;
use super::legible::is_legible_in_both_lights;
use super::*;
use common::events::now;
use serde_json::json;

const CONFIG: &str = r#"
[time]
pane = "1s"
out_of_orderness = "1s"
[[board]]
name = "default"
windows = [ { name = "last_10s", size = "10s", slide = "1s" } ]
"#;

/// A job over a log of two partitions, with a state and a Redis.
struct Job {
    dir: PathBuf,
    redis: Redis,
    #[expect(dead_code, reason = "it runs until this is dropped")]
    crest: Crest,
    web: Web,
}

impl Job {
    fn start() -> Job {
        let (redis, dir) = (Redis::start(), new_folder("page-status"));
        let config = dir.join("crest.toml");
        std::fs::write(&config, CONFIG).unwrap();
        let log = format!("log:{}?partitions=2", dir.join("log").display());
        let (state, url) = (dir.join("state"), redis.url());
        let job = ["--config", path(&config), "--source", &log, "--state", path(&state), "--snapshots", &url];
        let mut crest = Crest::spawn([&job[..], &["--http", "127.0.0.1:0"]].concat());
        let web = Web::of(&mut crest);
        Job { dir, redis, crest, web }
    }

    /// Sends it events of this time, in ms.
    fn post(&self, time: i64) {
        let event = |n: i64| json!({"item_id": format!("i{n}"), "timestamp": time}).to_string() + "\n";
        let lines: String = (0..50).map(event).collect();
        assert_eq!(self.web.send("POST", "/events", &[], lines.as_bytes()).status, 202);
    }

    fn status(&self, name: &str) -> u64 {
        self.web.json("/status").pointer(name).and_then(Value::as_u64).unwrap()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The texts of a table's cells.
fn cells(browser: &Browser, table: &str) -> Vec<Vec<String>> {
    let script = format!(
        "return [...document.querySelectorAll('#{table} tbody tr')]
            .map((row) => [...row.children].map((cell) => cell.textContent))"
    );
    serde_json::from_value(browser.run(&script)).unwrap()
}

/// The cells after the first of the row that begins so; none where there is no such row.
fn row(browser: &Browser, table: &str, first: &str) -> Vec<String> {
    let found = cells(browser, table).into_iter().find(|row| row[0] == first);
    found.map(|row| row[1..].to_vec()).unwrap_or_default()
}

/// The job has stored something, and has refused something as late.
fn until_busy(job: &Job, browser: &Browser) {
    // A later second closes the pane of the one before.
    let stored = || {
        job.post(now());
        job.status("/state/commits")
    };
    browser.until("a commit", stored, |commits| *commits > 0);
    let late = || {
        job.post(now() - 3_600_000);
        job.status("/late")
    };
    browser.until("late events", late, |late| *late > 0);
}

#[test]
fn the_status_shows_all_parts_of_a_job_and_which_of_them_fails() {
    let (job, browser) = (Job::start(), Browser::open(390, 844));
    job.post(now());
    browser.go(job.web.address());
    browser.until("a ranking", || shown(&browser).len(), |rows| *rows > 0);
    browser.tab_to("#status-link");
    browser.press(Key::Enter);
    assert!(fragment(&browser).contains("view=status"));
    assert_eq!(browser.text("#json"), "GET /status");
    until_busy(&job, &browser);
    let told = |what: &str| row(&browser, "status-events", what).first().cloned();
    let agrees = || {
        told("Records read") == Some(grouped(job.status("/records")))
            && told("Not counted: late") == Some(grouped(job.status("/late")))
    };
    browser.until("the counts", agrees, |agrees| *agrees);
    let mut partitions: Vec<String> =
        cells(&browser, "status-partitions").into_iter().map(|row| row[0].clone()).collect();
    partitions.sort_unstable();
    let status = job.web.json("/status");
    let known = status["partitions"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    assert!(known.len() == 2 && partitions == known, "{partitions:?} of {status}");
    let state = |what: &str| row(&browser, "status-state", what).concat();
    assert!(state("Durable up to").len() >= 8 && state("Written").contains(" commits, "), "{status}");
    let sink = || row(&browser, "status-sinks", &job.redis.url());
    assert!(sink()[3] == "ok" && sink()[0] != "0", "rankings were written: {:?}", sink());
    for part in ["state", "redis", "workers", "source"] {
        assert_eq!(row(&browser, "status-checks", part), ["✓ ok"], "{part}");
    }
    assert_eq!(browser.text("#status-ready"), "Ready");
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
    is_legible_in_both_lights(&browser);
    is_clean(&browser, &job.web);
}

#[test]
fn the_status_says_which_part_fails_and_leads_back() {
    let (job, browser) = (Job::start(), Browser::open(1280, 900));
    job.post(now());
    browser.go(&format!("{}/#view=status", job.web.address()));
    browser.until("Redis", || row(&browser, "status-checks", "redis"), |found| *found == ["✓ ok"]);
    job.redis.kill();
    let check = || {
        job.post(now());
        row(&browser, "status-checks", "redis").concat()
    };
    browser.until("that it fails", check, |found| found.starts_with("✗ cannot be written"));
    let sink = || row(&browser, "status-sinks", &job.redis.url()).concat();
    browser.until("why", sink, |found| found.contains("cannot be written"));
    is_legible_in_both_lights(&browser);
    browser.press(Key::Escape);
    assert!(!fragment(&browser).contains("view=status"));
    browser.until("the ranking", || shown(&browser).len(), |rows| *rows > 0);
    assert_eq!(browser.run("return document.getElementById('status-view').checkVisibility()"), false);
    browser.back();
    assert_eq!(browser.run("return document.getElementById('status-view').checkVisibility()"), true);
    is_clean(&browser, &job.web);
}
