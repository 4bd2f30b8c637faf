//! The Redis sink beside others on the same keys, and on keys that are not its own, against a real redis-server.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "support/snapshots.rs"]
mod snapshots;

use crest_connectors::group_key::GroupKey;
use crest_connectors::redis::{RankingName, RedisOptions, RedisReader, RedisSink};
use crest_connectors::snapshot::{Snapshot, SnapshotSink};
use redis::{Commands, Connection};
use redis_server::RedisServer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(60);

const KEY: &str = "topk:videos:last_1m";

/// Of a run, until a second; one item with the whole total.
fn snapshot(epoch: u64, end: i64, is_final: bool, total: u64) -> Snapshot {
    Snapshot {
        window_start: (end - 60) * 1000,
        window_end: end * 1000,
        computed_at: end * 1000 + total as i64,
        watermark: end * 1000,
        is_final,
        epoch,
        ..snapshots::snapshot(total)
    }
}

fn open_with(url: &str, catch_up: Duration) -> RedisSink {
    RedisSink::open(RedisOptions { catch_up, ..RedisOptions::new(url.parse().unwrap()) }).unwrap()
}

/// A job that is patient with what an earlier one left for longer than a test lasts.
fn open(server: &RedisServer) -> RedisSink {
    open_with(&server.url(), Duration::from_secs(600))
}

fn publish(sink: &RedisSink, snapshot: Snapshot) {
    sink.publish(&Arc::new(snapshot));
    sink.flush(Instant::now() + LONG).unwrap();
}

/// Publishes what cannot be written; why not.
fn refused(sink: &RedisSink, snapshot: Snapshot) -> String {
    sink.publish(&Arc::new(snapshot));
    sink.flush(Instant::now() + LONG).unwrap_err().to_string()
}

/// The end of the window that is shown, in seconds, and its total.
fn shown(connection: &mut Connection, key: &str) -> (i64, u64) {
    let meta = |connection: &mut Connection| -> (i64, u64) {
        connection.hmget(format!("{{{key}}}:meta"), &["window_end", "total"]).unwrap()
    };
    loop {
        let before = meta(connection);
        let rows: Vec<(String, u64)> = connection.zrevrange_withscores(key, 0, -1).unwrap();
        // A job may have written between the reads.
        if meta(connection) == before {
            assert_eq!(rows, [("a".to_owned(), before.1)], "the ranking is that of its hash");
            return (before.0 / 1000, before.1);
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_newest_job_that_is_alive_writes_on_one_server_and_on_a_cluster() {
    for cluster in [false, true] {
        let server = RedisServer::start_with(if cluster { &["--cluster-enabled", "yes"] } else { &[] });
        let mut connection = server.connect();
        let mut url = server.url();
        if cluster {
            redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec(&mut connection).unwrap();
            url = format!("redis+cluster://127.0.0.1:{}", server.port());
        }
        let [older, newer] = [(); 2].map(|()| open_with(&url, Duration::from_secs(600)));
        publish(&older, snapshot(5, 60, true, 1));
        publish(&newer, snapshot(9, 70, true, 2));
        let group = GroupKey::from_values([("region", "IN")]);
        let of_group =
            |epoch, end, total| Snapshot { group: group.clone(), ..snapshot(epoch, end, true, total) };
        publish(&newer, of_group(9, 70, 3));
        for snapshot in [snapshot(5, 80, true, 4), of_group(5, 80, 5)] {
            let why = refused(&older, snapshot);
            assert!(
                why.contains(&format!("another job (epoch 9) writes {KEY}; this one (epoch 5)")),
                "{why}"
            );
        }
        assert_eq!(shown(&mut connection, KEY), (70, 2));
        assert!(older.trouble().unwrap().contains("epoch 9"));
        assert_eq!((older.stats().fenced, newer.stats().fenced), (1, 0));
        // Another board is nobody's business.
        let other = open_with(&url, Duration::ZERO);
        publish(&other, Snapshot { board: "music".into(), ..snapshot(7, 60, true, 6) });

        newer.close(Instant::now() + LONG);
        eventually("what waited is written", || {
            shown(&mut connection, KEY) == (80, 4) && older.trouble().is_none()
        });
        eventually("of the group too", || shown(&mut connection, &format!("{KEY}:region=IN")) == (80, 5));
        // The sink knows of a write a little later than Redis has it.
        eventually("nothing waits", || (older.stats().fenced, older.stats().pending) == (0, 0));
        let epoch: u64 = connection.hget(format!("{{{KEY}}}:meta"), "epoch").unwrap();
        assert!(epoch > 9, "what the other may still be writing is refused: {epoch}");
        assert_eq!((other.trouble(), other.stats().written), (None, 1));
    }
}

#[test]
fn a_lease_that_nobody_renews_ends_by_the_clock_of_redis() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    publish(&sink, snapshot(5, 60, true, 1));
    let lease = format!("{{{KEY}}}:owner");
    let ttl: i64 = connection.pttl(&lease).unwrap();
    assert!((1..=10_000).contains(&ttl), "{ttl}");
    // A job that was ahead of the time has died a moment ago.
    let ahead = u64::MAX / 2;
    let _: () = connection.hset_multiple(&lease, &[("run", ahead), ("epoch", ahead)]).unwrap();
    let _: () = connection.hset(format!("{{{KEY}}}:meta"), "epoch", ahead).unwrap();
    let why = refused(&sink, snapshot(5, 70, true, 2));
    assert!(why.contains(&format!("epoch {ahead}")), "{why}");
    eventually("it is over", || shown(&mut connection, KEY) == (70, 2));
    let reader = |connection: &mut Connection| -> u64 { connection.hget(&lease, "run").unwrap() };
    assert_eq!(reader(&mut connection), 5);
}

#[test]
fn what_an_earlier_run_has_shown_of_a_later_time_stands_until_this_one_has_come_as_far_or_for_a_while() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let earlier = open(&server);
    publish(&earlier, snapshot(5, 80, false, 100));
    drop(earlier);
    let sink = open(&server);
    let mut steps = |steps: &[(i64, bool, u64, (i64, u64))]| {
        for (end, is_final, total, expected) in steps {
            publish(&sink, snapshot(6, *end, *is_final, *total));
            assert_eq!(shown(&mut connection, KEY), *expected, "after {end} {is_final} {total}");
        }
    };
    let stands = (80, 100);
    steps(&[(60, true, 7, stands), (70, true, 8, stands), (80, false, 9, stands), (80, false, 99, stands)]);
    steps(&[(80, false, 100, (80, 100)), (70, true, 500, (80, 100)), (80, false, 101, (80, 101))]);
    steps(&[(80, true, 90, (80, 90)), (90, false, 1, (90, 1))]);

    let (third, fourth) = (open(&server), open_with(&server.url(), Duration::from_secs(4)));
    publish(&third, snapshot(7, 90, true, 50));
    publish(&third, snapshot(7, 90, false, 60));
    assert_eq!(shown(&mut connection, KEY), (90, 50), "what is final is not replaced by what is not");
    publish(&fourth, snapshot(8, 30, true, 3));
    assert_eq!(shown(&mut connection, KEY), (90, 50));
    eventually("it has waited for long enough", || shown(&mut connection, KEY) == (30, 3));
}

/// The total of a board that retracts falls with each event that takes away, which has been counted all the same.
#[test]
fn what_was_taken_away_was_counted_too() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let left = |epoch, total, removed| {
        let snapshot = snapshot(epoch, 80, false, total);
        // With each of these, time goes on.
        Snapshot { retracts: true, removed, computed_at: epoch as i64 * 1000 + removed as i64, ..snapshot }
    };
    let earlier = open(&server);
    publish(&earlier, left(5, 100, 20));
    drop(earlier);
    let later = open(&server);
    publish(&later, left(6, 110, 0));
    assert_eq!(shown(&mut connection, KEY), (80, 100), "it has not counted as much");
    publish(&later, left(6, 90, 30));
    assert_eq!(shown(&mut connection, KEY), (80, 90));
}

#[test]
fn keys_that_no_job_has_written_are_left_as_they_are_and_named() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    let key = |window: &str| format!("topk:videos:{window}");
    let meta = |window: &str| format!("{{{}}}:meta", key(window));
    let make = |connection: &mut Connection, words: &[&str]| {
        redis::cmd(words[0]).arg(&words[1..]).exec(connection).unwrap();
    };
    let owner = format!("{{{}}}:owner", key("g"));
    let made: Vec<(&str, String, &str)> = vec![
        ("a", key("a"), "string"),
        ("b", key("b"), "list"),
        ("c", key("c"), "hash"),
        ("d", key("d"), "zset"),
        ("e", meta("e"), "hash"),
        ("f", meta("f"), "set"),
        ("g", owner.clone(), "list"),
    ];
    make(&mut connection, &["SET", &key("a"), "x"]);
    make(&mut connection, &["RPUSH", &key("b"), "x"]);
    make(&mut connection, &["HSET", &key("c"), "epoch", "1"]);
    make(&mut connection, &["ZADD", &key("d"), "1", "x"]);
    make(&mut connection, &["HSET", &meta("e"), "x", "y"]);
    make(&mut connection, &["SADD", &meta("f"), "x"]);
    make(&mut connection, &["RPUSH", &owner, "x"]);
    let dumps = |connection: &mut Connection| -> Vec<Option<Vec<u8>>> {
        made.iter().map(|(_, key, _)| redis::cmd("DUMP").arg(key).query(connection).unwrap()).collect()
    };
    let before = dumps(&mut connection);
    assert!(before.iter().all(Option::is_some));
    for (window, _, _) in &made {
        let why = refused(&sink, Snapshot { window: (*window).into(), ..snapshot(5, 60, true, 1) });
        assert!(why.contains(&format!("{} snapshots", sink.stats().foreign)), "{window}: {why}");
    }
    assert_eq!(sink.stats().foreign, made.len() as u64);
    // The others go on at once: nothing is lost, and nothing waits for a server that is there.
    sink.publish(&Arc::new(snapshot(5, 60, true, 7)));
    let _ = sink.flush(Instant::now() + LONG);
    assert_eq!(shown(&mut connection, KEY), (60, 7));
    assert!(!sink.stats().disconnected && sink.stats().failures == 0);
    assert_eq!(dumps(&mut connection), before);

    for (window, name, kind) in &made {
        // The sink knows of a write a little later than Redis has it.
        let trouble = format!("{name} is a {kind} that no job has written");
        eventually(&trouble, || sink.trouble().is_some_and(|told| told.contains(&trouble)));
        let _: () = connection.del(name).unwrap();
        eventually("it is written", || connection.exists(meta(window)).unwrap());
        assert_eq!(shown(&mut connection, &key(window)), (60, 1), "{name}");
    }
    eventually("nothing is in the way", || (sink.trouble(), sink.stats().pending) == (None, 0));
}

#[test]
fn a_set_whose_hash_the_server_has_evicted_is_replaced() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let mut connection = server.connect();
    let sink = open(&server);
    publish(&sink, snapshot(5, 60, true, 1));
    let _: () = connection.del(format!("{{{KEY}}}:meta")).unwrap();
    publish(&sink, snapshot(5, 70, true, 2));
    assert_eq!(shown(&mut connection, KEY), (70, 2));
}

#[test]
fn a_full_server_keeps_what_it_has_whole_and_is_not_filled_beyond() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = open(&server);
    publish(&sink, snapshot(5, 60, true, 1));
    let limit = |bytes: u64, connection: &mut Connection| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(connection).unwrap();
    };
    limit(1, &mut connection);
    sink.publish(&Arc::new(snapshot(5, 70, true, 2)));
    let error = sink.flush(Instant::now() + Duration::from_millis(500)).unwrap_err().to_string();
    assert!(error.contains("OOM") && sink.trouble().unwrap().contains("OOM"), "{error}");
    assert_eq!(shown(&mut connection, KEY), (60, 1));
    limit(0, &mut connection);
    sink.flush(Instant::now() + LONG).unwrap();
    assert_eq!(shown(&mut connection, KEY), (70, 2));
}

#[test]
fn a_reader_is_told_of_the_job_that_writes() {
    let server = RedisServer::start();
    let mut reader = RedisReader::open(RedisOptions::new(server.url().parse().unwrap())).unwrap();
    let name = RankingName { board: "videos".into(), window: "last_1m".into(), group: GroupKey::WHOLE };
    let mut tending = || reader.tending(std::slice::from_ref(&name)).unwrap()[0];
    assert_eq!(tending(), None);
    let options = RedisOptions {
        refresh: Duration::from_millis(250),
        ..RedisOptions::new(server.url().parse().unwrap())
    };
    let sink = RedisSink::open(options).unwrap();
    sink.tell_whether(Box::new(|| true));
    publish(&sink, snapshot(5, 60, true, 1));
    let told = tending().unwrap();
    assert_eq!((told.refresh, told.hindered, told.silent), (Duration::from_millis(250), true, false));
    // As when the job has not renewed it for a while.
    let mut connection = server.connect();
    redis::cmd("PEXPIRE").arg("{topk:videos:last_1m}:owner").arg(5_500).exec(&mut connection).unwrap();
    assert!(tending().unwrap().silent);
    let renewed = Instant::now() + LONG;
    while tending().unwrap().silent {
        assert!(Instant::now() < renewed, "it is renewed");
        std::thread::sleep(Duration::from_millis(20));
    }
    sink.close(Instant::now() + LONG);
    assert_eq!(tending(), None);
}
