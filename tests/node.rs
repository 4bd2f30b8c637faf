//! `crest serve` beside a job: events go through it into Kafka, and rankings come back through Redis as the job found them,
//! also for a while when Redis is gone.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, path};
use common::servers::{Kafka, Redis};
use common::web::Web;
use common::{eventually, new_folder};
use serde_json::{Value, json};
use std::fs;

const BOARDS: &str = r#"
[time]
idle_timeout = "1h"
refresh = "200ms"
[[board]]
name = "default"
windows = [ { name = "hour", size = "1h", slide = "1h" } ]
[[board]]
name = "videos"
filter = { event_type = "video_view" }
by = ["region"]
windows = [ { name = "hour", size = "1h", slide = "1h" } ]
"#;

/// Without what differs from one look to the next.
fn settled(mut ranking: Value) -> Value {
    for field in ["snapshot_age_seconds", "computed_at", "watermark"] {
        ranking.as_object_mut().unwrap().remove(field);
    }
    ranking
}

#[test]
fn a_node_takes_events_and_shows_what_the_job_finds() {
    let (kafka, redis, topic) = (Kafka::start(2), Redis::start(), "node");
    kafka.create_topic(topic, 2);
    let dir = new_folder("node");
    let config = dir.join("crest.toml");
    let (source, snapshots) = (kafka.url(topic), redis.url());
    fs::write(&config, format!("[source]\nurl = {source:?}\n[snapshots]\nurl = {snapshots:?}\n{BOARDS}"))
        .unwrap();
    let mut job = Crest::spawn(["--config", path(&config), "--http", "127.0.0.1:0", "--ingest", "off"]);
    let mut node = Crest::spawn(["serve", "--config", path(&config), "--http", "127.0.0.1:0"]);
    let (job_web, web) = (Web::of(&mut job), Web::of(&mut node));
    assert_eq!(job_web.send("POST", "/events", &[], b"{}").status, 404, "the job takes none");
    assert_eq!(web.get("/top-k").0, 503, "there is no ranking yet");

    let time =
        std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64 / 3_600_000 * 3_600_000 - 1_800_000;
    let event = |item: u64| {
        let region = if item.is_multiple_of(3) { "IN" } else { "US" };
        json!({"item_id": format!("v{item}"), "event": "video_view", "region": region, "timestamp": time})
    };
    let events: Vec<Value> = (0..300).map(|n| event((n * n) % 40)).collect();
    let answer = web.send("POST", "/events", &[], json!(events).to_string().as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.body);
    for all in ["/top-k", "/top-k/videos"] {
        eventually("all events", || web.get(all).1.contains("\"total\":300"));
    }
    for query in ["/top-k", "/top-k/videos?region=IN", "/top-k/videos?k=3", "/top-k/videos?region=US&k=2"] {
        eventually(query, || {
            let (status, body) = web.get(query);
            status == 200 && {
                let (here, job) = (serde_json::from_str(&body).unwrap(), job_web.json(query));
                settled(here) == settled(job)
            }
        });
    }
    assert_eq!(web.get("/top-k/videos?region=DE").0, 404);
    assert_eq!((&web.json("/status")["live"], &web.json("/status")["ingest"]), (&false.into(), &true.into()));
    assert_eq!(web.get("/top-k?final=true").0, 503, "nothing is final yet, and there is no state");

    redis.kill();
    eventually("the last known ranking, as such", || web.json("/top-k")["stale"] == true);
    let first = web.json("/top-k")["snapshot_age_seconds"].as_f64().unwrap();
    eventually("its age grows", || {
        web.json("/top-k")["snapshot_age_seconds"].as_f64().unwrap() > first + 1.0
    });
    assert_eq!(settled(web.json("/top-k/videos?region=IN")), {
        let mut known = settled(job_web.json("/top-k/videos?region=IN"));
        known["stale"] = true.into();
        known
    });
    assert_eq!(web.get("/top-k/videos?region=DE").0, 503, "nobody can say");
    let ready = web.json("/readyz");
    assert!(ready["checks"]["redis"].as_str().unwrap().starts_with("cannot be read"), "{ready}");
    assert_eq!(web.send("POST", "/events", &[], event(0).to_string().as_bytes()).status, 202);
    redis.start_again();
    eventually("what came meanwhile", || web.json("/top-k")["total"] == 301);
    assert!(web.json("/top-k").get("stale").is_none());

    node.sigterm();
    job.sigterm();
    drop((node, job));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_node_without_anything_to_read_is_told_so() {
    let text = Crest::spawn(["serve", "--state", "off"]).failure();
    assert!(
        text.contains("--state = off: must say where the state is") && text.contains("--snapshots"),
        "{text}"
    );
    let text = Crest::spawn(["serve", "--snapshots", "-"]).failure();
    assert!(text.contains("--snapshots = \"-\": must be redis://"), "{text}");
}
