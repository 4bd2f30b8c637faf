//! A blocklist that changes while a job runs: of a file and of a set of a real Redis, sketched and counted exactly, over HTTP
//! and in Redis.

#![allow(clippy::unwrap_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, path};
use common::servers::Redis;
use common::web::Web;
use common::{eventually, new_folder};
use redis::Commands;
use serde_json::Value;
use std::path::PathBuf;

const SET: &str = "blocked:items";

/// A live job of two boards, one with a list in a file, one with a set of Redis.
struct Job {
    dir: PathBuf,
    list: PathBuf,
    redis: Redis,
    crest: Crest,
    web: Web,
}

impl Job {
    fn start() -> Job {
        let (dir, redis) = (new_folder("blocklist"), Redis::start());
        let (list, config) = (dir.join("blocked.txt"), dir.join("crest.toml"));
        std::fs::write(&list, "nobody\n").unwrap();
        let times = "pane = \"1s\"\nout_of_orderness = \"1s\"\nrefresh = \"200ms\"";
        let windows = r#"windows = [ { name = "fast", size = "5s", slide = "1s" } ]"#;
        let set = format!("{}?set={SET}", redis.url());
        let text = format!(
            "[time]\n{times}\n[[board]]\nname = \"file\"\nk = 5\nblocklist = {:?}\n{windows}\n\
             [[board]]\nname = \"set\"\nengine = \"exact\"\nk = 5\nblocklist = {set:?}\n{windows}\n",
            path(&list)
        );
        std::fs::write(&config, text).unwrap();
        let source = "demo:?rate=500&items=50&partitions=1";
        let url = redis.url();
        let job = ["--config", path(&config), "--source", source, "--snapshots", &url];
        let (crest, web) = Web::of_new(job);
        Job { dir, list, redis, crest, web }
    }

    /// The ids of a board's ranking, once it has five.
    fn ids(&self, board: &str) -> Vec<String> {
        let mut ids = Vec::new();
        eventually("a whole ranking", || {
            let (status, body) = self.web.get(&format!("/top-k/{board}?window=fast"));
            let ranking: Value = serde_json::from_str(&body).unwrap();
            let rows = ranking["items"].as_array().filter(|_| status == 200).cloned().unwrap_or_default();
            ids = rows.iter().map(|row| row["item_id"].as_str().unwrap().to_owned()).collect();
            ids.len() == 5
        });
        ids
    }

    /// Waits until rankings of a board have an item, or have it no more, also in Redis.
    fn until(&self, board: &str, id: &str, is_there: bool) {
        let has = |ids: Vec<String>| ids.iter().any(|other| other == id);
        eventually("the rankings go by the list", || has(self.ids(board)) == is_there);
        let key = format!("topk:{board}:fast");
        let in_redis = || self.redis.ranking(&key).into_iter().map(|(id, _)| id).collect();
        eventually("those in Redis, too", || has(in_redis()) == is_there);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.crest.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn rankings_follow_a_list_as_it_changes() {
    let mut job = Job::start();
    let leader = job.ids("file")[0].clone();
    job.crest.until_logged("blocked items: 1");
    std::fs::write(&job.list, format!("nobody\n{leader}\n")).unwrap();
    job.crest.until_logged("blocked items: 2");
    job.until("file", &leader, false);
    job.until("set", &leader, true);
    let _: () = job.redis.connect().sadd(SET, &leader).unwrap();
    job.until("set", &leader, false);
    assert_eq!(job.web.json(&format!("/items/file/{leader}?window=fast"))["blocked"], true);
    assert_eq!(job.web.json("/boards/set")["blocked"], 1);

    // What cannot be read stays as it was, and is warned of once.
    std::fs::remove_file(&job.list).unwrap();
    job.crest.until_logged("stays as it was");
    std::thread::sleep(std::time::Duration::from_secs(5));
    let warned = job.crest.stderr().iter().filter(|line| line.contains("stays as it was")).count();
    assert_eq!(warned, 1, "{}", job.crest.describe());
    assert!(!job.ids("file").contains(&leader));

    std::fs::write(&job.list, "\n").unwrap();
    job.until("file", &leader, true);
    let _: () = job.redis.connect().del(SET).unwrap();
    job.until("set", &leader, true);
}

#[test]
fn a_list_that_cannot_be_read_ends_the_job_at_its_start() {
    let (dir, redis) = (new_folder("blocklist-none"), Redis::start());
    let _: () = redis.connect().set("text", "no set").unwrap();
    let nowhere = dir.join("missing.txt");
    let wrong = format!("{}?set=text", redis.url());
    for (list, says) in [(path(&nowhere), "No such file"), (&wrong, "WRONGTYPE"), ("http://h/x", "?set=KEY")]
    {
        let config = dir.join("crest.toml");
        std::fs::write(&config, format!("[[board]]\nname = \"videos\"\nblocklist = {list:?}\n")).unwrap();
        let said = Crest::spawn(["--config", path(&config), "--source", "demo:", "--http", "off"]).failure();
        assert!(said.contains("board.videos.blocklist") && said.contains(says), "{said}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
