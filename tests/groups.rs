//! Groups that come and go by the hundred, on the real program and the real Redis: a board holds and lists no more of
//! them than it may have, and what has left leaves nothing, also where it left while the job was down.

#![allow(clippy::unwrap_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, path};
use common::servers::Redis;
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LIMIT: u64 = 20;

const CONFIG: &str = r#"
[time]
pane = "200ms"
out_of_orderness = "200ms"
idle_timeout = "500ms"
refresh = "100ms"
[[board]]
name = "b"
by = ["region"]
max_groups = 20
windows = [ { name = "short", size = "1s", slide = "200ms" }, { name = "long", size = "3s", slide = "1s" } ]
"#;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Sends an event of each of these regions, all of now.
fn send(web: &Web, regions: impl Iterator<Item = String>) {
    let event =
        |region: String| json!({"item_id": "i", "timestamp": now(), "region": region}).to_string() + "\n";
    let lines: String = regions.map(event).collect();
    let answer = web.send("POST", "/events", &[("Content-Type", "application/x-ndjson")], lines.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// All keys of Redis.
fn keys(redis: &Redis) -> BTreeSet<String> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis.connect()).unwrap();
    keys.into_iter().filter(|key| !key.ends_with(":owner")).collect()
}

/// Those of the rankings of the whole board and of these regions.
fn keys_of(regions: &[&str]) -> BTreeSet<String> {
    let rankings = ["short", "long"].into_iter().flat_map(|window| {
        let groups = regions.iter().map(move |region| format!("topk:b:{window}:region={region}"));
        groups.chain([format!("topk:b:{window}")])
    });
    rankings.flat_map(|key| [format!("{{{key}}}:meta"), key]).collect()
}

fn listed(web: &Web) -> u64 {
    web.json("/boards/b")["groups_total"].as_u64().unwrap()
}

#[test]
fn what_has_left_leaves_nothing_in_memory_in_redis_and_in_the_lists() {
    let (redis, dir) = (Redis::start(), new_folder("groups"));
    let (config, state) = (dir.join("crest.toml"), dir.join("data"));
    std::fs::write(&config, CONFIG).unwrap();
    let url = redis.url();
    let run = || {
        let arguments = ["--config", path(&config), "--state", path(&state), "--snapshots", &url];
        let mut crest = Crest::spawn(arguments.into_iter().chain(["--http", "127.0.0.1:0"]));
        let web = Web::of(&mut crest);
        (crest, web)
    };
    let (mut crest, web) = run();
    // Some that stay, and in each second a hundred that do not.
    let stay = || (0..3).map(|n| format!("stays-{n}"));
    let began = Instant::now();
    let (mut sent, mut bytes) = (0, Vec::new());
    while began.elapsed() < Duration::from_secs(8) {
        send(&web, stay().chain((sent..sent + 10).map(|n| format!("goes-{n}"))));
        sent += 10;
        // Between two ends a window holds what was in it at the first, and what is to be in it at the second.
        let (listed, held) = (listed(&web), web.metric("crest_groups", "") as u64);
        assert!(listed <= 2 * LIMIT && held <= 2 * LIMIT + 1, "{listed} listed, {held} held");
        if began.elapsed() > Duration::from_secs(4) {
            bytes.push(web.metric("crest_window_bytes", ""));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // Some 40 kB of the groups that may be held, or 55 while a table doubles; all that came would take 300.
    assert!(bytes.iter().all(|bytes| *bytes < 120e3), "groups that left are held: {bytes:?}");
    assert!(web.metric("crest_groups_refused_weight_total", "board=\"b\"") > 0.0);
    assert!(keys(&redis).len() as u64 <= 4 + 2 * 4 * LIMIT, "{} keys", keys(&redis).len());
    eventually("a group that stays is listed", || keys(&redis).is_superset(&keys_of(&["stays-0"])));
    crest.until_logged("max_groups");
    crest.kill();
    // All of them leave while nobody is there to see it.
    std::thread::sleep(Duration::from_secs(4));
    assert!(keys(&redis).iter().any(|key| key.contains("goes-")), "nobody has removed them");
    let (crest, web) = run();
    let expected = keys_of(&["stays-0", "stays-1", "stays-2"]);
    eventually("no more than what is in a window", || {
        send(&web, stay());
        std::thread::sleep(Duration::from_millis(100));
        keys(&redis) == expected && listed(&web) == 3
    });
    let whole: BTreeSet<String> = keys_of(&[]).into_iter().filter(|key| key.ends_with(":meta")).collect();
    eventually("nothing but the whole board, which is empty", || keys(&redis) == whole);
    assert_eq!(listed(&web), 0);
    assert_eq!(web.get("/top-k/b?window=long&region=goes-1").0, 404);
    drop(crest);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let (redis, dir) = (Redis::start(), new_folder("unchanged"));
    let config = dir.join("crest.toml");
    // One pane stays open as long as nothing newer comes.
    let quiet = CONFIG.replace("\"500ms\"", "\"1h\"").replace("pane = \"200ms\"", "pane = \"1h\"");
    let windows = quiet.find("windows").unwrap();
    let windows = quiet.split_at(windows).0.to_owned()
        + "windows = [ { name = \"short\", size = \"1h\", slide = \"1h\" }, { name = \"long\", size = \"2h\", slide = \"1h\" } ]";
    std::fs::write(&config, windows).unwrap();
    let (url, hour) = (redis.url(), now() / 3_600_000 * 3_600_000 - 3_600_000);
    let arguments = ["--config", path(&config), "--snapshots", &url, "--http", "127.0.0.1:0"];
    let state = dir.join("data");
    let mut crest = Crest::spawn(arguments.into_iter().chain(["--state", path(&state)]));
    let web = Web::of(&mut crest);
    let send = |region: &str| {
        let line = json!({"item_id": "i", "timestamp": hour + 1000, "region": region}).to_string() + "\n";
        let answer =
            web.send("POST", "/events", &[("Content-Type", "application/x-ndjson")], line.as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    let told = |region: &str, field: &str| -> Option<u64> {
        let key = format!("{{topk:b:short:region={region}}}:meta");
        redis::cmd("HGET").arg(key).arg(field).query(&mut redis.connect()).unwrap()
    };
    send("quiet");
    send("loud");
    eventually("both are written", || told("quiet", "total") == Some(1) && told("loud", "total") == Some(1));
    let before = told("quiet", "computed_at");
    for total in 2..6 {
        send("loud");
        eventually("its total is written", || told("loud", "total") == Some(total));
    }
    assert!(told("loud", "computed_at") > before);
    assert_eq!(told("quiet", "computed_at"), before, "it was written again, and nothing had changed in it");
    drop(crest);
    std::fs::remove_dir_all(dir).unwrap();
}
