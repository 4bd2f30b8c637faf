//! The Redis sink against a real redis-server: what it writes, what it refuses to overwrite, and how it lives
//! through outages.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/redis_server.rs"]
mod redis_server;

use crest_connectors::group_key::GroupKey;
use crest_connectors::redis::{RedisOptions, RedisSink};
use crest_connectors::snapshot::{Item, SinkError, Snapshot, SnapshotSink};
use redis::Commands;
use redis_server::RedisServer;
use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(30);

fn snapshot(end: i64, is_final: bool, items: &[(&str, u64, u64)]) -> Snapshot {
    let ranked = (1..).zip(items);
    let item = |(rank, (id, lower, upper)): (u32, &(&str, u64, u64))| Item {
        rank,
        item_id: (*id).into(),
        count: *upper,
        lower: *lower,
        upper: *upper,
        exact: lower == upper,
        estimate: None,
        change: None,
    };
    Snapshot {
        board: "videos".into(),
        window: "last_1m".into(),
        group: GroupKey::WHOLE,
        window_start: end - 60_000,
        window_end: end,
        computed_at: end + 17,
        watermark: end,
        is_final,
        total: items.iter().map(|item| item.2).sum(),
        error: 3,
        error_floor: 4,
        guaranteed: 1,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: ranked.map(item).collect(),
        k: 10,
        rising: None,
        unit: None,
        lacking: 0,
        removed: 0,
        epoch: 5,
        bucket: false,
        counters: false,
    }
}

fn open(server: &RedisServer) -> RedisSink {
    RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).unwrap()
}

fn publish(sink: &RedisSink, snapshot: Snapshot) {
    sink.publish(&Arc::new(snapshot));
    sink.flush(Instant::now() + LONG).unwrap();
}

/// Publishes what is not taken, and says why.
fn refused(sink: &RedisSink, snapshot: Snapshot, why: &str) {
    sink.publish(&Arc::new(snapshot));
    let error = sink.flush(Instant::now() + LONG).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

fn ranking(connection: &mut redis::Connection, key: &str) -> Vec<(String, u64)> {
    connection.zrevrange_withscores(key, 0, -1).unwrap()
}

fn meta(connection: &mut redis::Connection, key: &str) -> HashMap<String, String> {
    connection.hgetall(format!("{{{key}}}:meta")).unwrap()
}

const KEY: &str = "topk:videos:last_1m";

#[test]
fn a_ranking_is_replaced_whole_with_its_meta() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    publish(&sink, snapshot(60_000, false, &[("old", 9, 9)]));
    publish(&sink, snapshot(60_000, true, &[("c", 7, 7), ("b", 5, 5), ("a", 3, 5)]));
    let expected = [("c", 7), ("b", 5), ("a", 5)].map(|(id, count)| (id.to_owned(), count));
    assert_eq!(ranking(&mut connection, KEY), expected, "equal counts are by item id descending");
    let mut fields = meta(&mut connection, KEY);
    let bounds: BTreeMap<String, [u64; 2]> = serde_json::from_str(&fields.remove("bounds").unwrap()).unwrap();
    assert_eq!(bounds, BTreeMap::from([("a".to_owned(), [3, 5])]));
    let expected = [
        ("window_start", "0"),
        ("window_end", "60000"),
        ("computed_at", "60017"),
        ("watermark", "60000"),
        ("final", "1"),
        ("total", "17"),
        ("error", "3"),
        ("error_floor", "4"),
        ("guaranteed", "1"),
        ("other", "[0,2]"),
        ("k", "10"),
        ("epoch", "5"),
        ("changes", "[null,null,null]"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(connection.ttl::<_, i64>(KEY).unwrap(), -1);

    publish(&sink, snapshot(70_000, true, &[]));
    assert!(!connection.exists::<_, bool>(KEY).unwrap(), "an empty ranking has no set");
    assert_eq!(meta(&mut connection, KEY)["window_end"], "70000");
    assert_eq!(sink.stats().written, 3);
}

#[test]
fn groups_and_the_default_board_have_keys_of_their_own_and_large_rankings_fit() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let options = RedisOptions {
        key_prefix: "x:".into(),
        ttl: Some(LONG),
        ..RedisOptions::new(server.url().parse().unwrap())
    };
    let sink = RedisSink::open(options).unwrap();
    let ids: Vec<String> = (0..20_000).map(|n| format!("item-{n:05}")).collect();
    let items: Vec<(&str, u64, u64)> =
        ids.iter().zip(1..).map(|(id, count)| (id.as_str(), count, count)).collect();
    let group = GroupKey::from_values([("region", "IN")]);
    publish(&sink, Snapshot { group, board: "default".into(), ..snapshot(60_000, true, &items) });
    let key = "x:last_1m:region=IN";
    assert_eq!(connection.zcard::<_, usize>(key).unwrap(), 20_000);
    assert_eq!(ranking(&mut connection, key)[0], ("item-19999".to_owned(), 20_000));
    let ttl: i64 = connection.pttl(key).unwrap();
    let meta_ttl: i64 = connection.pttl(format!("{{{key}}}:meta")).unwrap();
    assert!(ttl > 0 && meta_ttl > 0, "{ttl} {meta_ttl}");
}

#[test]
fn neither_an_older_run_nor_an_older_window_replaces_a_newer_one() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let (first, second) = (open(&server), open(&server));
    let count = |connection: &mut redis::Connection| ranking(connection, KEY)[0].1;
    publish(&first, snapshot(60_000, true, &[("a", 1, 1)]));
    publish(&second, snapshot(60_000, false, &[("a", 2, 2)]));
    publish(&second, snapshot(50_000, true, &[("a", 3, 3)]));
    assert_eq!(count(&mut connection), 1);
    assert_eq!((second.stats().written, second.stats().outdated), (0, 2));
    let older = open(&server);
    refused(&older, Snapshot { epoch: 4, ..snapshot(90_000, true, &[("a", 4, 4)]) }, "epoch 5");
    assert_eq!(count(&mut connection), 1, "an older run");
    let options =
        RedisOptions { catch_up: Duration::ZERO, ..RedisOptions::new(server.url().parse().unwrap()) };
    let newer = RedisSink::open(options).unwrap();
    publish(&newer, Snapshot { epoch: 10, ..snapshot(10_000, false, &[("a", 5, 5)]) });
    assert_eq!(count(&mut connection), 5, "a newer run may begin with an older window");
    refused(&first, snapshot(90_000, true, &[("a", 6, 6)]), "epoch 10");
    assert_eq!(count(&mut connection), 5, "the older run has been replaced");
}

#[test]
fn a_tumbling_window_leaves_its_buckets_for_a_while() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    let end = 1_773_137_760_000; // 2026-03-10T10:16
    for (minute, is_final) in [(0, true), (1, true), (2, false)] {
        let snapshot =
            snapshot(end + minute * 60_000, is_final, &[("a", minute as u64 + 1, minute as u64 + 1)]);
        sink.publish(&Arc::new(Snapshot { bucket: true, ..snapshot }));
    }
    sink.flush(Instant::now() + LONG).unwrap();
    let count =
        |connection: &mut redis::Connection, key: &str| ranking(connection, key).first().map(|item| item.1);
    assert_eq!(count(&mut connection, "topk:videos:2026-03-10T10:15"), Some(1));
    assert_eq!(count(&mut connection, "topk:videos:2026-03-10T10:16"), Some(2));
    assert_eq!(count(&mut connection, "topk:videos:2026-03-10T10:17"), None, "it is not over");
    assert_eq!(count(&mut connection, KEY), Some(3));
    let ttl: i64 = connection.ttl("topk:videos:2026-03-10T10:15").unwrap();
    assert!(ttl > 23 * 60 * 60, "{ttl}");
}

/// Of a bucket that is filling, or full, by a run of the job.
fn counters(epoch: u64, computed_at: i64, is_final: bool, items: &[(&str, u64, u64)]) -> Snapshot {
    let end = 1_773_137_760_000; // 2026-03-10T10:16
    let counted = snapshot(end, is_final, items);
    Snapshot { bucket: true, counters: true, epoch, computed_at: end + computed_at, ..counted }
}

const BUCKET: &str = "topk:videos:2026-03-10T10:15";

#[test]
fn the_counters_of_a_bucket_are_written_whole_while_it_fills() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    let count = |connection: &mut redis::Connection, item: &str| -> Option<u64> {
        connection.zscore(BUCKET, item).unwrap()
    };
    // A neighbour of the same minute, and one of the board's other keys.
    let group = GroupKey::from_values([("region", "IN")]);
    publish(&sink, Snapshot { group, ..counters(5, 1, false, &[("b", 1, 1)]) });
    let _: () = connection.zadd("topk:videos:2026-03-10T10:14", "a", 7).unwrap();
    for (at, seen) in (1..).zip([3, 4, 9]) {
        publish(&sink, counters(5, at, false, &[("a", seen, seen), ("b", 1, 1)]));
        assert_eq!(count(&mut connection, "a"), Some(seen));
        assert_eq!(meta(&mut connection, BUCKET)["final"], "0");
    }
    publish(&sink, counters(5, 4, true, &[("a", 10, 10), ("b", 2, 2)]));
    publish(&sink, counters(5, 5, false, &[("a", 9, 9)]));
    let expected = [("a".to_owned(), 10), ("b".to_owned(), 2)];
    assert_eq!(ranking(&mut connection, BUCKET), expected, "a full bucket is left as it is");
    assert_eq!((sink.stats().written, sink.stats().outdated), (10, 2), "with the current rankings");
    let ttl: i64 = connection.ttl(BUCKET).unwrap();
    assert!(ttl > 23 * 60 * 60, "{ttl}");
    assert_eq!(ranking(&mut connection, &format!("{BUCKET}:region=IN")), [("b".to_owned(), 1)]);
    assert_eq!(ranking(&mut connection, "topk:videos:2026-03-10T10:14"), [("a".to_owned(), 7)]);
}

#[test]
fn a_run_that_counts_a_bucket_anew_shows_no_less_of_it_than_the_one_before() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let (first, second) = (open(&server), open(&server));
    let rows = |connection: &mut redis::Connection| ranking(connection, BUCKET);
    let is = |a: u64, b: u64| [("a".to_owned(), a), ("b".to_owned(), b)];
    publish(&first, counters(5, 1, false, &[("a", 9, 9), ("b", 2, 2)]));
    publish(&second, counters(6, 2, false, &[("a", 4, 4), ("b", 1, 1)]));
    assert_eq!(rows(&mut connection), is(9, 2), "it has not come as far");
    publish(&second, counters(6, 3, false, &[("a", 8, 8), ("b", 3, 3)]));
    assert_eq!(rows(&mut connection), is(8, 3), "it has, by the total");
    refused(&first, counters(5, 4, false, &[("a", 99, 99)]), "epoch 6");
    refused(&first, counters(5, 4, true, &[("a", 99, 99)]), "epoch 6");
    assert_eq!(rows(&mut connection), is(8, 3), "the earlier run has been replaced");
    publish(&second, counters(6, 5, true, &[("a", 6, 6), ("b", 3, 3)]));
    assert_eq!(rows(&mut connection), is(6, 3), "what is full is right, though it be less");
    // A third run from the beginning, without any state.
    publish(&second, counters(7, 6, false, &[("a", 50, 50), ("b", 1, 1)]));
    assert_eq!(rows(&mut connection), is(6, 3), "a full bucket is replaced by a full one only");
    publish(&second, counters(7, 7, true, &[("a", 7, 7), ("b", 3, 3)]));
    assert_eq!(rows(&mut connection), is(7, 3));
    let live = ranking(&mut connection, KEY);
    assert_eq!(live, is(7, 3), "the current ranking is that of the latest run in any case");
}

#[test]
fn buckets_alone_can_be_written_beside_a_job_that_keeps_the_live_keys() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let end = 1_773_137_760_000; // 2026-03-10T10:16
    publish(&open(&server), snapshot(end + 600_000, true, &[("live", 7, 7)]));
    let live = (ranking(&mut connection, KEY), meta(&mut connection, KEY));

    let options = RedisOptions { buckets_only: true, ..RedisOptions::new(server.url().parse().unwrap()) };
    let sink = RedisSink::open(options).unwrap();
    // Of a run with a newer epoch, which would overwrite whatever it wrote; also newer than what is live, of windows
    // that have no live key yet, and of such as leave no buckets.
    let of = |minutes: i64, bucket, is_final| {
        let epoch = 99;
        let snapshot = snapshot(end + minutes * 60_000, is_final, &[("past", minutes as u64 + 1, 9)]);
        Arc::new(Snapshot { bucket, epoch, ..snapshot })
    };
    let all = [of(0, true, true), of(1, true, true), of(20, true, false), of(21, false, true)];
    all.iter().for_each(|snapshot| sink.publish(snapshot));
    sink.publish(&Arc::new(Snapshot { window: "other".into(), ..(*of(2, false, true)).clone() }));
    sink.flush(Instant::now() + LONG).unwrap();

    assert_eq!((ranking(&mut connection, KEY), meta(&mut connection, KEY)), live);
    let mut keys: Vec<String> = connection.keys("*").unwrap();
    // The lease of the live job, which is about to be given back.
    keys.retain(|key| *key != format!("{{{KEY}}}:owner"));
    keys.sort();
    let buckets = ["topk:videos:2026-03-10T10:15", "topk:videos:2026-03-10T10:16"];
    let mut expected: Vec<String> = [KEY, buckets[0], buckets[1]]
        .iter()
        .flat_map(|key| [key.to_string(), format!("{{{key}}}:meta")])
        .collect();
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(ranking(&mut connection, buckets[1]), [("past".to_owned(), 9)]);
    assert_eq!(meta(&mut connection, buckets[1])["epoch"], "99");
    assert_eq!((sink.stats().written, sink.stats().pending), (2, 0));
}

#[test]
fn an_outage_is_waited_out_and_the_newest_is_published_on_return() {
    let mut server = RedisServer::start();
    let sink = open(&server);
    publish(&sink, snapshot(60_000, true, &[("a", 1, 1)]));
    server.kill();
    for minute in 2..100 {
        sink.publish(&Arc::new(snapshot(minute * 60_000, true, &[("a", minute as u64, minute as u64)])));
    }
    let Err(SinkError::Unreachable { reason, .. }) = sink.flush(Instant::now() + Duration::from_millis(500))
    else {
        panic!("Redis is down")
    };
    assert!(reason.starts_with("1 snapshots could not be delivered"), "{reason}");
    let stats = sink.stats();
    assert!(stats.disconnected && stats.failures > 0);
    assert_eq!((stats.pending, stats.dropped, stats.written), (1, 0, 1), "only the newest waits");

    server.restart();
    sink.flush(Instant::now() + LONG).unwrap();
    let mut connection = server.connect();
    assert_eq!(ranking(&mut connection, KEY), [("a".to_owned(), 99)]);
    assert!(!sink.stats().disconnected);
    publish(&sink, snapshot(100 * 60_000, true, &[("a", 100, 100)]));
    assert_eq!(ranking(&mut connection, KEY), [("a".to_owned(), 100)]);
}

#[test]
fn one_key_that_cannot_be_written_does_not_hold_up_the_others() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    let _: () = connection.set(format!("{{{KEY}}}:meta"), "somebody else's").unwrap();
    sink.publish(&Arc::new(snapshot(60_000, true, &[("a", 1, 1)])));
    sink.publish(&Arc::new(Snapshot { window: "last_1h".into(), ..snapshot(60_000, true, &[("b", 1, 1)]) }));
    let error = sink.flush(Instant::now() + Duration::from_millis(500)).unwrap_err().to_string();
    assert!(
        error.contains("1 snapshots") && error.contains("{topk:videos:last_1m}:meta is a string"),
        "{error}"
    );
    assert_eq!(ranking(&mut connection, "topk:videos:last_1h"), [("b".to_owned(), 1)]);
    let _: () = connection.del(format!("{{{KEY}}}:meta")).unwrap();
    sink.flush(Instant::now() + LONG).unwrap();
    assert_eq!(ranking(&mut connection, KEY), [("a".to_owned(), 1)]);
}

#[test]
fn a_server_that_hangs_never_holds_up_the_publisher() {
    let server = RedisServer::start();
    let sink = open(&server);
    let signal = |name: &str| Command::new("kill").args([name, &server.pid().to_string()]).status().unwrap();
    assert!(signal("-STOP").success());
    for minute in 1..1000 {
        sink.publish(&Arc::new(snapshot(minute * 60_000, true, &[("a", minute as u64, minute as u64)])));
    }
    // To be here at all is the point: each call returned although nothing was written.
    assert!(sink.stats().pending > 0 && sink.stats().written == 0);
    assert!(signal("-CONT").success());
    sink.flush(Instant::now() + LONG).unwrap();
    assert_eq!(ranking(&mut server.connect(), KEY), [("a".to_owned(), 999)]);
}

#[test]
fn passwords_are_used_and_never_told() {
    let server = RedisServer::start_with(&["--requirepass", "hunter2"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/0", server.port());
    let sink = RedisSink::open(RedisOptions::new(url("hunter2").parse().unwrap())).unwrap();
    publish(&sink, snapshot(60_000, true, &[("a", 1, 1)]));
    let error =
        RedisSink::open(RedisOptions::new(url("swordfish").parse().unwrap())).err().unwrap().to_string();
    assert!(error.contains("***") && !error.contains("swordfish"), "{error}");
    let error = RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).err().unwrap().to_string();
    assert!(error.to_lowercase().contains("auth"), "{error}");
}

#[test]
fn what_does_not_answer_or_makes_no_sense_is_refused_at_start() {
    let port = RedisServer::start().port();
    let error = RedisSink::open(RedisOptions::new(format!("redis://127.0.0.1:{port}").parse().unwrap()))
        .err()
        .unwrap();
    assert!(matches!(&error, SinkError::Unreachable { reason, .. } if reason.contains("refused")), "{error}");
    let options =
        RedisOptions { key_prefix: "{a}:".into(), ..RedisOptions::new("redis://h".parse().unwrap()) };
    assert!(RedisSink::open(options).err().unwrap().to_string().contains("braces"));
}

#[test]
fn a_cluster_is_written_to_slot_by_slot() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let mut connection = server.connect();
    redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec(&mut connection).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let sink = RedisSink::open(RedisOptions::new(url.parse().unwrap())).unwrap();
    for window in ["last_1m", "last_1h", "last_24h", "{odd"] {
        sink.publish(&Arc::new(Snapshot { window: window.into(), ..snapshot(60_000, true, &[("a", 1, 1)]) }));
    }
    sink.flush(Instant::now() + LONG).unwrap();
    for key in [KEY, "topk:videos:last_1h", "topk:videos:last_24h", "topk:videos:%7Bodd"] {
        assert_eq!(ranking(&mut connection, key), [("a".to_owned(), 1)]);
        assert_eq!(meta(&mut connection, key)["final"], "1");
    }
}

#[test]
fn sentinel_names_the_master() {
    let server = RedisServer::start();
    // Sentinel keeps what it learns in its configuration file.
    let configuration = server.folder().join("sentinel.conf");
    std::fs::write(&configuration, format!("sentinel monitor main 127.0.0.1 {} 1\n", server.port())).unwrap();
    let sentinel = RedisServer::start_with_file(&configuration, &["--sentinel"]);
    let url = format!("redis+sentinel://127.0.0.1:{}/main/0", sentinel.port());
    let sink = RedisSink::open(RedisOptions::new(url.parse().unwrap())).unwrap();
    publish(&sink, snapshot(60_000, true, &[("a", 1, 1)]));
    assert_eq!(ranking(&mut server.connect(), KEY), [("a".to_owned(), 1)]);
    let url = format!("redis+sentinel://127.0.0.1:{}/other/0", sentinel.port());
    assert!(RedisSink::open(RedisOptions::new(url.parse().unwrap())).is_err());
}
