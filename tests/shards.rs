//! Rankings spread over several Redis servers by board, window and group: each server has what it is given, and nothing
//! else, and all together have what one server has that is given all.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Traffic, write_files};
use common::program::{Crest, path};
use common::servers::Redis;
use common::web::Web;
use common::{eventually, new_folder};
use std::collections::BTreeMap;
use std::path::Path;

const BOARDS: &str = r#"
[[board]]
name = "videos"
by = ["region"]
windows = [ { name = "last_1m", size = "1m", slide = "10s" }, { name = "each_1m", size = "1m", slide = "1m" } ]
[[board]]
name = "items"
windows = [ { name = "last_1m", size = "1m", slide = "10s" } ]
"#;

/// What a server has: each sorted set with its rows, and each meta hash but for what differs from run to run.
fn held(redis: &Redis) -> BTreeMap<String, String> {
    let mut connection = redis.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let mut held = BTreeMap::new();
    for key in keys.into_iter().filter(|key| !key.ends_with(":owner")) {
        let text = if key.ends_with(":meta") {
            let mut meta: BTreeMap<String, String> =
                redis::cmd("HGETALL").arg(&key).query(&mut connection).unwrap();
            ["computed_at", "epoch"].iter().for_each(|field| drop(meta.remove(*field)));
            format!("{meta:?}")
        } else {
            format!("{:?}", redis.ranking(&key))
        };
        held.insert(key, text);
    }
    held
}

fn run(dir: &Path, source: &str, snapshots: &str) {
    let config = dir.join("crest.toml");
    std::fs::write(&config, format!("{BOARDS}\n{snapshots}")).unwrap();
    let mut crest = Crest::spawn(["--config", path(&config), "--source", source]);
    assert!(crest.wait(std::time::Duration::from_secs(60)).success(), "{}", crest.describe());
    assert_eq!(crest.stdout(), [""; 0], "the rankings go to Redis alone");
}

#[test]
fn each_server_has_its_part_and_all_together_have_all() {
    let dir = new_folder("shards");
    let traffic = Traffic { events: 20_000, regions: vec!["IN", "LK", "US"], ..Traffic::default() };
    let source = write_files(&dir, &traffic.logs(2));
    let (one, south, west, items) = (Redis::start(), Redis::start(), Redis::start(), Redis::start());
    run(&dir, &source, &format!("[snapshots]\nurl = {:?}\n", one.url()));
    let shard = |redis: &Redis, what: &str| format!("[[snapshots.shard]]\nurl = {:?}\n{what}\n", redis.url());
    let shards = [
        shard(&south, "boards = [\"videos\"]\ngroups = { region = [\"IN\", \"LK\"] }"),
        shard(
            &west,
            "boards = [\"videos\"]\nwindows = [\"last_1m\"]\ngroups = { region = \"US\" }\nwhole = false",
        ),
        shard(&items, "boards = \"items\""),
    ];
    run(&dir, &source, &shards.concat());

    let all = held(&one);
    let is_of = |key: &str, what: &[&str]| what.iter().any(|what| key.contains(what));
    let part = |takes: &dyn Fn(&str) -> bool| -> BTreeMap<String, String> {
        all.iter().filter(|(key, _)| takes(key)).map(|(key, held)| (key.clone(), held.clone())).collect()
    };
    let regions = ["region=IN", "region=LK", "region=US"];
    let of_videos = |key: &str| key.contains(":videos:");
    let in_south = part(&|key| of_videos(key) && (is_of(key, &regions[..2]) || !is_of(key, &regions)));
    let in_west = part(&|key| of_videos(key) && is_of(key, &regions[2..]) && key.contains("last_1m"));
    let in_items = part(&|key| key.contains(":items:"));
    for (redis, expected) in [(&south, in_south), (&west, in_west), (&items, in_items)] {
        assert!(expected.len() >= 2, "the case has something for each: {:?}", all.keys());
        assert_eq!(held(redis), expected);
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_node_reads_one_server_and_must_be_told_which() {
    let dir = new_folder("shards");
    let (videos, items) = (Redis::start(), Redis::start());
    let config = dir.join("crest.toml");
    let shard = |redis: &Redis, board: &str| {
        format!("[[snapshots.shard]]\nurl = {:?}\nboards = {board:?}\n", redis.url())
    };
    let times = "[time]\npane = \"1s\"\nout_of_orderness = \"1s\"\nrefresh = \"200ms\"\n";
    let window = "windows = [ { name = \"fast\", size = \"10s\", slide = \"1s\" } ]";
    let boards = format!("[[board]]\nname = \"videos\"\n{window}\n[[board]]\nname = \"items\"\n{window}\n");
    let text = format!("{times}{}{}{boards}", shard(&videos, "videos"), shard(&items, "items"));
    std::fs::write(&config, text).unwrap();
    let source = "demo:?rate=500&items=50&partitions=1";
    let mut job = Crest::spawn(["--config", path(&config), "--source", source, "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut job);
    eventually("both are written", || {
        !videos.ranking("topk:videos:fast").is_empty() && !items.ranking("topk:items:fast").is_empty()
    });
    assert!(videos.ranking("topk:items:fast").is_empty());
    assert_eq!(web.json("/top-k/items?window=fast&k=1")["board"], "items", "the job itself has all");

    let serve = ["serve", "--config", path(&config), "--http", "127.0.0.1:0"];
    let refused = Crest::spawn(serve).failure();
    assert!(refused.contains("snapshots.shard[0].url") && refused.contains("--snapshots"), "{refused}");
    let mut node = Crest::spawn([&serve[..], &["--snapshots", &videos.url()]].concat());
    let web = Web::of(&mut node);
    assert_eq!(web.json("/top-k/videos?window=fast&k=1")["board"], "videos");
    assert_eq!(web.get("/top-k/items?window=fast&k=1").0, 503);
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_shard_of_what_there_is_not_is_refused_by_key_and_value() {
    let dir = new_folder("shards");
    let config = dir.join("crest.toml");
    for (shard, key, reason) in [
        ("boards = \"films\"", "snapshots.shard[0].boards = \"films\"", "there are items, videos"),
        ("boards = []", "snapshots.shard[0].boards = []", "must name at least one"),
        ("windows = \"last_1h\"", "snapshots.shard[0].windows = \"last_1h\"", "there are each_1m, last_1m"),
        ("groups = { city = \"x\" }", "snapshots.shard[0].groups.city", "there are region"),
        (
            "boards = \"items\"\ngroups = { region = \"IN\" }",
            "snapshots.shard[0].groups.region",
            "there are none",
        ),
        ("groups = { region = [] }", "snapshots.shard[0].groups.region = []", "must name at least one value"),
        ("board = \"items\"", "\"board\": unknown field", "`boards`"),
    ] {
        let text = format!("{BOARDS}\n[[snapshots.shard]]\nurl = \"redis://127.0.0.1:1/0\"\n{shard}\n");
        std::fs::write(&config, text).unwrap();
        let told = Crest::spawn(["--config", path(&config), "--source", "demo:"]).failure();
        assert!(told.contains(key) && told.contains(reason), "{shard}: {told}");
    }
    for (url, reason) in [("-", "must be redis://"), ("redis://127.0.0.1:1/0", "is there twice")] {
        let shard = format!("[[snapshots.shard]]\nurl = {url:?}\n");
        std::fs::write(&config, format!("{BOARDS}\n{shard}{shard}")).unwrap();
        let told = Crest::spawn(["--config", path(&config), "--source", "demo:"]).failure();
        assert!(told.contains("snapshots.shard[") && told.contains(reason), "{told}");
    }
    let _ = std::fs::remove_dir_all(dir);
}
