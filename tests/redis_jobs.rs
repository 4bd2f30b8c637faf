//! Jobs and readers over the keys of one real Redis: a second job on them, keys that are not ours, a server that is full,
//! restarts, and what a node says of a job that is dead.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a step that fails is a failed test

mod common;

use common::program::{Crest, path};
use common::sender::Sender;
use common::servers::{Kafka, Redis};
use common::web::Web;
use common::{eventually, new_folder};
use redis::Commands;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const KEY: &str = "topk:fast";
const TIMES: &str =
    "[time]\npane = \"1s\"\nout_of_orderness = \"1s\"\nidle_timeout = \"1s\"\nrefresh = \"200ms\"\n";

/// A configuration of one board over the key prefix of all.
fn config(dir: &str, board: &str) -> PathBuf {
    let file = new_folder(dir).join("crest.toml");
    let windows =
        r#"[ { name = "fast", size = "10s", slide = "1s" }, { name = "slow", size = "1m", slide = "1s" } ]"#;
    std::fs::write(&file, format!("{TIMES}[[board]]\nname = {board:?}\nwindows = {windows}\n")).unwrap();
    file
}

/// A live job over synthetic traffic.
fn job(config: &Path, redis: &Redis) -> (Crest, Web) {
    let source = "demo:?rate=500&items=50&partitions=1";
    let (config, url) = (path(config), redis.url());
    let mut crest =
        Crest::spawn(["--config", config, "--source", source, "--snapshots", &url, "--http", "127.0.0.1:0"]);
    let web = Web::of(&mut crest);
    (crest, web)
}

fn epoch(redis: &Redis) -> u64 {
    redis.meta(KEY).get("epoch").map_or(0, |epoch| epoch.parse().unwrap())
}

fn check(web: &Web, name: &str) -> String {
    let ready = web.json("/readyz");
    assert_eq!(ready["ready"], true, "{ready}");
    ready["checks"][name].as_str().unwrap().to_owned()
}

fn logged(crest: &Crest, text: &str) -> usize {
    crest.stderr().iter().filter(|line| line.contains(text)).count()
}

#[test]
fn of_two_jobs_the_newer_writes_and_the_older_says_so_and_goes_on_when_it_is_gone() {
    let (redis, one, other) = (Redis::start(), config("jobs", "default"), config("jobs", "other"));
    let (mut first, web) = job(&one, &redis);
    let (apart, apart_web) = job(&other, &redis);
    eventually("both write", || epoch(&redis) > 0 && !redis.ranking("topk:other:fast").is_empty());

    for clean in [true, false] {
        let (before, said) = (epoch(&redis), logged(&first, "another job (epoch"));
        let (mut second, second_web) = job(&one, &redis);
        eventually("the newer one writes", || epoch(&redis) > before);
        let theirs = epoch(&redis);
        first.until("what the older one says", |crest| {
            (logged(crest, "another job (epoch") > said).then_some(())
        });
        let line = first.stderr().into_iter().rfind(|line| line.contains("another job (epoch")).unwrap();
        assert!(
            line.contains("WARN") && line.contains("topk:") && line.contains(&theirs.to_string()),
            "{line}"
        );
        eventually("readyz says so", || {
            check(&web, "redis").contains(&format!("another job (epoch {theirs}) writes {KEY}"))
        });
        eventually("of both windows", || web.metric("crest_redis_fenced_windows", "") == 2.0);
        assert_eq!(
            (check(&second_web, "redis"), second_web.metric("crest_redis_fenced_windows", "")),
            ("ok".into(), 0.0)
        );
        let total = web.json("/top-k?window=slow")["total"].as_u64().unwrap();
        eventually("the older one goes on counting", || {
            web.json("/top-k?window=slow")["total"].as_u64().unwrap() > total
        });
        assert_eq!(epoch(&redis), theirs, "and writes nothing");

        if clean {
            second.sigterm();
            assert!(second.wait(Duration::from_secs(10)).success(), "{}", second.describe());
        } else {
            second.kill();
        }
        eventually("the older one writes again", || epoch(&redis) > theirs && check(&web, "redis") == "ok");
        assert_eq!(web.metric("crest_redis_fenced_windows", ""), 0.0);
    }
    // A job that was ahead of the time, or of a version that takes no lease.
    let ahead = epoch(&redis) + 1_000_000_000;
    let _: () = redis.connect().hset(format!("{{{KEY}}}:meta"), "epoch", ahead).unwrap();
    eventually("what it left is passed", || epoch(&redis) > ahead);

    assert_eq!((check(&apart_web, "redis"), logged(&apart, "another job")), ("ok".into(), 0));
    // A bounded wait for a stop that gives the keys back.
    first.sigterm();
    assert!(first.wait(Duration::from_secs(10)).success(), "{}", first.describe());
    assert!(!redis.connect().exists::<_, bool>(format!("{{{KEY}}}:owner")).unwrap());
}

#[test]
fn what_is_not_ours_and_what_a_full_server_holds_stay_as_they_are() {
    let (redis, config) = (Redis::start(), config("jobs", "default"));
    let mut connection = redis.connect();
    let _: () = connection.set(KEY, "somebody else's").unwrap();
    let (mut crest, web) = job(&config, &redis);
    let line = crest.until_logged("that no job has written");
    assert!(line.contains("WARN") && line.contains("topk:fast is a string"), "{line}");
    eventually("the others go on", || !redis.ranking("topk:slow").is_empty());
    eventually("readyz names it", || check(&web, "redis").contains("topk:fast is a string"));
    assert_eq!(web.metric("crest_redis_foreign_keys", ""), 1.0);
    assert_eq!(connection.get::<_, String>(KEY).unwrap(), "somebody else's");
    let _: () = connection.del(KEY).unwrap();
    eventually("it is written once it is gone", || {
        !redis.ranking(KEY).is_empty() && check(&web, "redis") == "ok"
    });
    assert_eq!(logged(&crest, "topk:fast is a string"), 1, "{}", crest.describe());

    let full = |bytes: u64, connection: &mut redis::Connection| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(connection).unwrap();
    };
    full(1, &mut connection);
    eventually("readyz says what Redis says", || check(&web, "redis").contains("maxmemory"));
    let kept = (redis.meta(KEY), redis.ranking(KEY));
    assert!(!kept.1.is_empty());
    let refused = web.metric("crest_redis_failures_total", "");
    eventually("more is refused", || web.metric("crest_redis_failures_total", "") > refused);
    assert_eq!((redis.meta(KEY), redis.ranking(KEY)), kept);
    full(0, &mut connection);
    eventually("it goes on", || redis.meta(KEY)["window_end"] != kept.0["window_end"]);
}

#[test]
fn a_node_says_when_its_job_is_dead_and_when_another_is_there() {
    let (redis, config) = (Redis::start(), config("jobs", "default"));
    let url = redis.url();
    let serve = ["serve", "--config", path(&config), "--snapshots", &url, "--http", "127.0.0.1:0"];
    let mut node = Crest::spawn(serve);
    let web = Web::of(&mut node);
    assert_eq!(check(&web, "job"), "no job writes rankings, and there are none");
    let (mut crest, _) = job(&config, &redis);
    eventually("a ranking", || web.get("/top-k?window=fast").0 == 200);
    eventually("a job", || check(&web, "job") == "ok");
    let streamed = follow(&web, "/stream/default?window=fast");
    let fresh = |ranking: &Value| ranking.get("stale").is_none();
    assert!(fresh(&web.json("/top-k?window=fast")));

    crest.kill();
    let tag = web.send("GET", "/top-k?window=fast", &[], b"").headers["etag"].clone();
    eventually("stale", || web.json("/top-k?window=fast")["stale"] == true);
    let again = web.send("GET", "/top-k?window=fast", &[("if-none-match", &tag)], b"");
    assert_eq!(again.status, 200, "who knows the ranking does not know that it is stale");
    // It is silent at first, and then its lease runs out.
    let told = check(&web, "job");
    assert!(["silent; nothing", "no job writes"].iter().any(|start| told.starts_with(start)), "{told}");
    let gone = "no job writes default/fast and 1 more; nothing came since 20";
    eventually("the job is gone", || check(&web, "job").starts_with(gone));
    assert_eq!(web.metric("crest_mirror_windows_without_job", ""), 2.0);
    assert!(streamed.join().unwrap().contains("\"stale\":true"));

    let (_crest, _) = job(&config, &redis);
    eventually("fresh again", || fresh(&web.json("/top-k?window=fast")) && check(&web, "job") == "ok");
}

/// Reads a stream of events until one says that it is stale.
fn follow(web: &Web, path: &str) -> JoinHandle<String> {
    let address = web.address().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    std::thread::spawn(move || {
        BufReader::new(stream)
            .lines()
            .map(Result::unwrap)
            .find(|line| line.contains("\"stale\":true"))
            .unwrap_or_default()
    })
}

/// Looks at a window's end and total all the time, and notes where they went back.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Watch {
    fn start(mut look: impl FnMut() -> Option<(i64, i64)> + Send + 'static) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread = std::thread::spawn(move || {
            let (mut last, mut changes, mut back) = ((0, 0), 0, Vec::new());
            while !theirs.load(Ordering::Acquire) {
                if let Some(seen) = look().filter(|seen| *seen != last) {
                    if seen < last {
                        back.push(format!("{last:?} to {seen:?}"));
                    }
                    (last, changes) = (seen, changes + 1);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (changes, back)
        });
        Watch { over, thread }
    }

    fn finish(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

#[test]
fn no_ranking_goes_back_when_the_job_is_killed_and_comes_again() {
    let (kafka, redis, topic) = (Kafka::shared(), Redis::start(), "restarts");
    kafka.create_topic(topic, 2);
    let (config, dir) = (config("jobs", "default"), new_folder("jobs"));
    let (source, url, state) = (kafka.url(topic), redis.url(), dir.join("state"));
    let arguments =
        ["--config", path(&config), "--source", &source, "--snapshots", &url, "--state", path(&state)];
    let spawn = || Crest::spawn(arguments.iter().chain(&["--http", "off"]));
    let serve = ["serve", "--config", path(&config), "--snapshots", &url, "--http", "127.0.0.1:0"];
    let mut node = Crest::spawn(serve);
    let web = Web::of(&mut node);

    let sender = Sender::start(kafka, topic, 2);
    let mut crest = spawn();
    let mut connection = redis.connect();
    let in_redis = Watch::start(move || {
        let meta = format!("{{{KEY}}}:meta");
        let fields: (Option<i64>, Option<i64>) = connection.hmget(meta, &["window_end", "total"]).unwrap();
        fields.0.zip(fields.1)
    });
    let served = Watch::start(move || {
        let (status, body) = web.get("/top-k?window=fast");
        let ranking: HashMap<String, Value> = serde_json::from_str(&body).unwrap();
        (status == 200).then(|| (ranking["window_end"].as_i64().unwrap(), ranking["total"].as_i64().unwrap()))
    });
    for _ in 0..3 {
        let ends = || redis.meta(KEY).get("window_end").map_or(0, |end| end.parse::<i64>().unwrap());
        let before = ends();
        eventually("rankings go on for some seconds", || ends() > before.max(1) + 4000);
        crest.kill();
        crest = spawn();
    }
    drop(sender.finish());
    eventually("a final one", || redis.meta(KEY)["final"] == "1");
    for (what, (changes, back)) in [("Redis", in_redis.finish()), ("the node", served.finish())] {
        assert!(changes > 10, "{what}: only {changes} changes");
        assert!(back.is_empty(), "{what} went back {} times in {changes}: {}", back.len(), back.join(", "));
    }
    let _ = std::fs::remove_dir_all(dir);
}
