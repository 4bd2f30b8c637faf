//! Counters in Redis: the sorted set of a bucket holds the exact count of each item while the bucket fills, and ends
//! as the final count, whatever happens to the job in between.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, START, Traffic, write_files};
use common::program::{Cluster, Crest, path};
use common::recount::{Counts, Group, Recount, rank};
use common::rules::{Board, Rules, Window};
use common::servers::Redis;
use common::trial::{Place, Trial};
use common::web::Web;
use common::{eventually, new_folder};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
/// The sorted sets of buckets by their keys, as Redis gives them: best first.
type Buckets = BTreeMap<String, Vec<(String, u64)>>;

/// A board of one tumbling window that keeps counters.
fn rules(pane: i64, size: i64) -> Rules {
    let videos = Board {
        name: "videos",
        by: vec!["region"],
        engine: "exact",
        counters: true,
        k: 100_000,
        weights: vec![("buy", 3)],
        windows: vec![Window { name: "bucket", size, slide: size }],
        ..Board::default()
    };
    Rules {
        pane,
        out_of_orderness: 2 * SECOND,
        max_future_skew: Some(MINUTE),
        boards: vec![videos],
        ..Rules::default()
    }
}

fn traffic(events: usize, span: i64) -> Traffic {
    Traffic {
        events,
        items: 300,
        span,
        disorder: SECOND,
        heaviest: 4,
        types: vec!["view", "buy"],
        regions: vec!["IN", "US"],
        ..Traffic::default()
    }
}

/// The key of the bucket that begins at `start`.
fn key(start: i64, size: i64, group: &Group) -> String {
    let form = if size % MINUTE == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    let time = chrono::DateTime::from_timestamp_millis(start).unwrap().format(form);
    let of_group = group.iter().map(|(name, value)| format!(":{name}={value}")).collect::<String>();
    format!("topk:videos:{time}{of_group}")
}

/// All buckets of a recount, with an event, from `first` to `last`.
fn buckets(recount: &Recount, size: i64, first: i64, last: i64) -> Buckets {
    let starts = (first.div_euclid(size)..=last.div_euclid(size)).map(|bucket| bucket * size);
    let of = |start: i64| {
        let groups = recount.between("videos", start, start + size).into_iter();
        groups.map(move |(group, counts)| (key(start, size, &group), rank(&counts, 100_000)))
    };
    starts.flat_map(of).collect()
}

fn sum(rows: &[(String, u64)]) -> u64 {
    rows.iter().map(|(_, count)| count).sum()
}

/// Looks at all keys again and again: no item ever has more than its final count, and no bucket's sum ever falls.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watch {
    fn start(url: String, truth: Buckets) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread = std::thread::spawn(move || {
            let client = redis::Client::open(url).unwrap();
            let (mut connection, mut sums) = (client.get_connection().unwrap(), HashMap::new());
            let most: HashMap<&String, Counts> =
                truth.iter().map(|(key, rows)| (key, rows.iter().cloned().collect())).collect();
            let mut partial = 0;
            while !theirs.load(Ordering::Acquire) {
                for (key, rows) in &truth {
                    let seen = look(&mut connection, key);
                    for (item, count) in &seen {
                        let most = most[key].get(item).copied().unwrap_or(0);
                        assert!(*count <= most, "{key}: {item} has {count}, and {most} were sent");
                    }
                    let before = sums.insert(key, sum(&seen)).unwrap_or(0);
                    assert!(sum(&seen) >= before, "{key}: {before} fell to {}", sum(&seen));
                    partial += usize::from(!seen.is_empty() && sum(&seen) < sum(rows));
                }
            }
            partial
        });
        Watch { over, thread }
    }

    /// How many looks met a bucket that was filling.
    fn finish(self) -> usize {
        self.over.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn look(connection: &mut redis::Connection, key: &str) -> Vec<(String, u64)> {
    redis::cmd("ZREVRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES").query(connection).unwrap()
}

fn post(web: &Web, events: &[Event]) {
    let lines: String = events.iter().map(|event| event.json() + "\n").collect();
    let answer = web.send("POST", "/events", &[("content-type", "application/x-ndjson")], lines.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.body);
}

#[test]
fn a_bucket_s_counts_grow_while_it_fills_and_end_exact() {
    let (redis, dir, size) = (Redis::start(), new_folder("counters"), 10 * MINUTE);
    let rules = rules(10 * SECOND, size);
    let (config, log, state) = (rules.write(&dir), dir.join("log"), dir.join("state"));
    let (source, url) = (format!("log:{}?partitions=1", path(&log)), redis.url());
    let ends = ["--snapshots", &url, "--state", path(&state), "--http", "127.0.0.1:0"];
    let times = ["--refresh", "100ms", "--idle-timeout", "1h"];
    let job = ["--config", path(&config), "--source", &source];
    let mut crest = Crest::spawn([job.as_slice(), &ends, &times].concat());
    let web = Web::of(&mut crest);
    // Neither the bucket before nor anybody else's key is touched.
    let others = [key(START - size, size, &Group::new()), "topk:videos:2024-03-28".to_owned()];
    for other in &others {
        redis::cmd("ZADD").arg(other).arg(7).arg("other").exec(&mut redis.connect()).unwrap();
    }

    let events = traffic(8_000, 9 * MINUTE).log();
    let events: Vec<Event> = events.into_iter().filter(|event| event.time >= START).collect();
    let recount = Recount::new(&rules, std::slice::from_ref(&events));
    let watch = Watch::start(url.clone(), buckets(&recount, size, START, START));
    let mut sent = Vec::new();
    for batch in events.chunks(events.len().div_ceil(4)) {
        post(&web, batch);
        sent.extend_from_slice(batch);
        let so_far = buckets(&Recount::new(&rules, &[sent.clone()]), size, START, START);
        assert_eq!(so_far.len(), 3, "the whole and two regions");
        for (key, rows) in &so_far {
            eventually(key, || redis.ranking(key) == *rows);
            assert_eq!(redis.meta(key)["final"], "0");
            assert_eq!(redis.meta(key)["total"], sum(rows).to_string());
        }
    }
    assert!(watch.finish() > 0);

    let close = START + size + MINUTE;
    post(&web, &[Event::new("closing", close)]);
    for (key, rows) in buckets(&Recount::new(&rules, &[sent]), size, START, START) {
        eventually("the final count", || redis.meta(&key)["final"] == "1");
        assert_eq!(redis.ranking(&key), rows);
    }
    let next = key(close - MINUTE, size, &Group::new());
    eventually("the next bucket", || redis.ranking(&next) == [("closing".to_owned(), 1)]);
    for other in &others {
        assert_eq!(redis.ranking(other), [("other".to_owned(), 7)]);
    }
    crest.sigterm();
    assert!(crest.wait(Duration::from_secs(20)).success(), "{}", crest.describe());
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn kills_and_replays_never_double_a_count() {
    const PARTITIONS: usize = 4;
    const PLACES: [Place; 5] = [(1, 1), (2, 1), (1, 2), (3, 1), (1, 1)];
    let (redis, size, span) = (Redis::start(), 4 * SECOND, 60 * SECOND);
    let rules = rules(SECOND, size);
    let logs = Traffic { disorder: 3 * SECOND, ..traffic(60_000, span) }.logs(PARTITIONS);
    let mut trial = Trial::new("counters", &rules, "", logs);
    let truth = buckets(&trial.recount(), size, START - size, START + span);
    assert!(truth.len() > 3 * (span / size) as usize, "a bucket for each group and time");
    let watch = Watch::start(redis.url(), truth.clone());
    let ends = ["--snapshots", &redis.url(), "--refresh", "100ms"];
    for place in PLACES {
        let sending = trial.send(1.0 / PLACES.len() as f64);
        let mut job = trial.start(place, &ends);
        let some = |crest: &Crest| (crest.stdout().len() > 3).then_some(());
        job.processes[0].until("some windows", some);
        sleep(Duration::from_millis(300));
        kill(&mut job);
        trial.published.take(&job.processes[0].stdout());
        sending.join().unwrap();
    }
    trial.send_rest();
    trial.finish(&mut trial.start((2, 1), &ends));
    trial.assert_exactly_once(true);
    assert!(watch.finish() > 0, "no bucket was seen while it filled");
    for (key, rows) in &truth {
        assert_eq!(redis.ranking(key), *rows, "{key}");
        assert_eq!(redis.meta(key)["final"], "1", "{key}");
    }
}

fn kill(job: &mut Cluster) {
    for crest in &mut job.processes {
        assert!(crest.running(), "it ended by itself: {}", crest.describe());
    }
    job.processes.iter_mut().for_each(Crest::kill);
}

#[test]
fn a_bucket_of_too_many_items_keeps_the_top_ones_and_another_run_leaves_it_so() {
    let (redis, dir, size) = (Redis::start(), new_folder("counters"), 10 * MINUTE);
    let rules = Rules { max_future_skew: None, ..rules(10 * SECOND, size) };
    let logs = traffic(20_000, 25 * MINUTE).logs(2);
    let (source, config, url) = (write_files(&dir, &logs), rules.write(&dir), redis.url());
    let job = ["--config", path(&config), "--source", &source, "--snapshots", &url, "--http", "off"];
    let mut truth = buckets(&Recount::new(&rules, &logs), size, START, START + 20 * MINUTE);
    assert!(truth.values().all(|rows| rows.len() > 5));
    for (k, times) in [("100000", 0), ("5", 1), ("5", 1)] {
        let mut crest = Crest::spawn(job.iter().chain(&["-k", k]));
        assert!(crest.wait(Duration::from_secs(60)).success(), "{}", crest.describe());
        let told = crest.stderr().iter().filter(|line| line.contains("more than 5 items")).count();
        assert_eq!(told, times, "{}", crest.describe());
        for (key, rows) in &mut truth {
            let total = redis.meta(key)["total"].clone();
            if times == 0 {
                assert_eq!(total, sum(rows).to_string());
            }
            rows.truncate(k.parse().unwrap());
            assert_eq!(redis.ranking(key), *rows, "{key}");
            assert!(
                times == 0 || total.parse::<u64>().unwrap() > sum(rows),
                "which tells that some are missing"
            );
        }
    }
    let _ = std::fs::remove_dir_all(dir);
}
