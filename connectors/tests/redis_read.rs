//! Rankings read back from a real redis-server: what comes back is what was published, from a replica too, and what a
//! job did not publish is told from what it did.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/redis_server.rs"]
mod redis_server;

use crest_connectors::group_key::GroupKey;
use crest_connectors::redis::{Damaged, RankingName, Read, RedisOptions, RedisReader, RedisSink, Version};
use crest_connectors::snapshot::{Item, SinkError, Snapshot, SnapshotSink};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::Commands;
use redis_server::RedisServer;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(30);

/// Item ids as hostile as a producer may send them.
const IDS: &str = "[ -~]{1,8}|[\u{0}-\u{1f}\u{7f}-\u{9f}]{1,4}|\\PC{1,12}|[{}%,=:\"\\\\]{1,6}";

/// Rankings as a job makes them: by count, then by id, both descending.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let count = prop_oneof![0..5_u64, 0..1_000_000_u64, (1_u64 << 53)..(1 << 60)];
    let row = (IDS, count, 0..100_u64, any::<bool>(), proptest::option::of(-9..9_i32));
    (proptest::collection::vec(row, 0..40), any::<bool>()).prop_map(|(rows, share_ranks)| {
        let mut seen = HashSet::new();
        let mut items: Vec<Item> = rows
            .into_iter()
            .filter(|row| seen.insert(row.0.clone()))
            .map(|(id, upper, apart, exact, change)| {
                let lower = if exact { upper } else { upper.saturating_sub(apart) };
                let exact = lower == upper;
                Item {
                    rank: 0,
                    item_id: id.into(),
                    count: upper,
                    lower,
                    upper,
                    exact,
                    estimate: None,
                    change,
                }
            })
            .collect();
        items.sort_by(|a, b| (b.count, &b.item_id).cmp(&(a.count, &a.item_id)));
        items.iter_mut().zip(1..).for_each(|(item, rank)| item.rank = rank);
        for at in 1..items.len() {
            if share_ranks && items[at].count == items[at - 1].count {
                items[at].rank = items[at - 1].rank;
            }
        }
        items
    })
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let group = proptest::collection::btree_map("[a-c{}%]{1,3}", "[A-C,={}%]{0,4}", 0..3);
    let names = (prop_oneof![Just("default".to_owned()), "[a-z{}]{1,6}"], "[a-z0-9_{}]{1,6}", group);
    (names, items(), any::<[u32; 6]>(), any::<bool>()).prop_map(|(names, items, numbers, is_final)| {
        let (board, window, group) = names;
        let [start, size, total, floor, guaranteed, k] = numbers;
        let window_end = i64::from(start) + i64::from(size);
        Snapshot {
            board: board.into(),
            window: window.into(),
            group: GroupKey::from_values(group),
            window_start: i64::from(start),
            window_end,
            computed_at: window_end + 7,
            watermark: window_end - 3,
            is_final,
            total: u64::from(total) << 30,
            error: items.iter().map(|item| item.upper - item.lower).max().unwrap_or(0),
            error_floor: u64::from(floor),
            guaranteed,
            partial: false,
            since: None,
            missing: Vec::new(),
            distinct: None,
            retracts: false,
            items,
            k,
            rising: None,
            unit: None,
            lacking: 0,
            removed: 0,
            epoch: 5,
            bucket: false,
            counters: false,
        }
    })
}

fn name(snapshot: &Snapshot) -> RankingName {
    let Snapshot { board, window, group, .. } = snapshot.clone();
    RankingName { board, window, group }
}

/// The `minute`th of a window of the board `videos`.
fn minute(window: &str, minute: i64) -> Snapshot {
    let item = |(rank, id): (u32, &str)| {
        let count = 1000 * minute as u64 / u64::from(rank);
        Item {
            rank,
            item_id: id.into(),
            count,
            lower: count,
            upper: count,
            exact: true,
            estimate: None,
            change: Some(1),
        }
    };
    let end = minute * 60_000;
    Snapshot {
        board: "videos".into(),
        window: window.into(),
        group: GroupKey::WHOLE,
        window_start: end - 60_000,
        window_end: end,
        computed_at: end + 17,
        watermark: end,
        is_final: true,
        total: 3000,
        error: 0,
        error_floor: 0,
        guaranteed: 3,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: (1..).zip(["a", "b", "c"]).map(item).collect(),
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

fn sink(server: &RedisServer) -> RedisSink {
    RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).unwrap()
}

fn reader(url: &str) -> RedisReader {
    RedisReader::open(RedisOptions::new(url.parse().unwrap())).unwrap()
}

fn publish(sink: &RedisSink, snapshot: Snapshot) -> Arc<Snapshot> {
    let snapshot = Arc::new(snapshot);
    sink.publish(&snapshot);
    sink.flush(Instant::now() + LONG).unwrap();
    snapshot
}

fn read_one(reader: &mut RedisReader, name: &RankingName) -> Result<Read, Damaged> {
    reader.read(std::slice::from_ref(name), &[None]).unwrap().remove(0)
}

/// Waits until the ranking is this one.
fn until_read(reader: &mut RedisReader, snapshot: &Arc<Snapshot>) {
    let deadline = Instant::now() + LONG;
    let wanted = [name(snapshot)];
    loop {
        match reader.read(&wanted, &[None]) {
            Ok(read) if read[0] == Ok(Read::Changed(snapshot.clone())) => return,
            other => assert!(Instant::now() < deadline, "it reads {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How often a server has run a command.
fn calls(connection: &mut redis::Connection, command: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
    let start = format!("cmdstat_{command}:calls=");
    let count = info.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok());
    count.unwrap_or(0)
}

#[test]
fn what_was_published_is_read_back_whatever_it_is_called() {
    let server = RedisServer::start();
    let (sink, connection) = (sink(&server), RefCell::new(server.connect()));
    let reader = RefCell::new(reader(&server.url()));
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&proptest::collection::vec(snapshots(), 1..4), |published| {
        let _: () = redis::cmd("FLUSHALL").query(&mut *connection.borrow_mut()).unwrap();
        // A later one of the same name replaces or is refused: the test is of one each.
        let published: BTreeMap<RankingName, Arc<Snapshot>> =
            published.into_iter().map(|snapshot| (name(&snapshot), Arc::new(snapshot))).collect();
        published.values().for_each(|snapshot| sink.publish(snapshot));
        sink.flush(Instant::now() + LONG).unwrap();
        let names: Vec<RankingName> = published.keys().cloned().collect();
        let read = reader.borrow_mut().read(&names, &[]).unwrap();
        for (read, snapshot) in read.into_iter().zip(published.values()) {
            prop_assert_eq!(read, Ok(Read::Changed(snapshot.clone())));
        }
        let known: Vec<_> = published.values().map(|snapshot| Some(Version::of(snapshot))).collect();
        let again = reader.borrow_mut().read(&names, &known).unwrap();
        prop_assert!(again.iter().all(|read| *read == Ok(Read::Unchanged)), "{:?}", again);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn an_unchanged_ranking_costs_one_look_and_many_are_read_at_once() {
    let server = RedisServer::start();
    let (sink, mut connection) = (sink(&server), server.connect());
    let mut reader = reader(&server.url());
    let all: Vec<Arc<Snapshot>> = (0..1500).map(|n| Arc::new(minute(&format!("w{n}"), 5))).collect();
    all.iter().for_each(|snapshot| sink.publish(snapshot));
    sink.flush(Instant::now() + LONG).unwrap();
    let names: Vec<RankingName> = all.iter().map(|snapshot| name(snapshot)).collect();
    let mut known: Vec<_> = all.iter().map(|snapshot| Some(Version::of(snapshot))).collect();
    let before = calls(&mut connection, "hmget");
    let read = reader.read(&names, &known).unwrap();
    assert!(read.iter().all(|read| *read == Ok(Read::Unchanged)));
    assert_eq!(calls(&mut connection, "hmget") - before, 1500);
    assert_eq!(calls(&mut connection, "zrevrange"), 0, "nothing was read whole");

    known[777] = None;
    let changed = reader.read(&names, &known).unwrap();
    assert_eq!(changed[777], Ok(Read::Changed(all[777].clone())));
    assert_eq!(calls(&mut connection, "zrevrange"), 1);
    let read = reader.read(&names, &[]).unwrap();
    assert!(read.into_iter().zip(all).all(|(read, snapshot)| read == Ok(Read::Changed(snapshot))));
}

#[test]
fn a_replica_is_read_and_not_written_to() {
    // A replica is otherwise sent the first copy after five seconds only.
    let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let sink = sink(&master);
    let first = publish(&sink, minute("last_1m", 1));
    let mut reader = reader(&replica.url());
    until_read(&mut reader, &first);
    let second = publish(&sink, minute("last_1m", 2));
    until_read(&mut reader, &second);
    let written: redis::RedisResult<()> = replica.connect().set("x", 1);
    assert!(written.unwrap_err().to_string().to_lowercase().contains("read only"), "it is a replica");
}

#[test]
fn redis_may_go_away_and_come_back() {
    let mut server = RedisServer::start();
    let snapshot = publish(&sink(&server), minute("last_1m", 1));
    let mut reader = reader(&server.url());
    let wanted = [name(&snapshot)];
    assert_eq!(read_one(&mut reader, &wanted[0]), Ok(Read::Changed(snapshot)));
    server.kill();
    for _ in 0..2 {
        let error = reader.read(&wanted, &[None]).unwrap_err();
        assert!(matches!(&error, SinkError::Unreachable { .. }), "{error}");
    }
    server.restart();
    assert_eq!(read_one(&mut reader, &wanted[0]), Ok(Read::Absent), "it was not saved");
    let snapshot = publish(&sink(&server), minute("last_1m", 2));
    assert_eq!(read_one(&mut reader, &wanted[0]), Ok(Read::Changed(snapshot)));
    // A connection that the server has closed meanwhile is no outage.
    let _: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut server.connect())
        .unwrap();
    assert!(read_one(&mut reader, &wanted[0]).is_ok());
}

#[test]
fn what_no_job_published_is_told_by_its_key_and_holds_nothing_up() {
    let server = RedisServer::start();
    let (sink, mut connection) = (sink(&server), server.connect());
    let windows =
        ["whole", "field", "number", "lost", "score", "foreign_set", "foreign_hash", "more", "absent"];
    for window in &windows[..8] {
        publish(&sink, minute(window, 3));
    }
    let key = |window: &str| format!("topk:videos:{window}");
    let meta = |window: &str| format!("{{topk:videos:{window}}}:meta");
    let _: () = connection.hdel(meta("field"), "error_floor").unwrap();
    let _: () = connection.hset(meta("number"), "final", "perhaps").unwrap();
    let _: () = connection.del(key("lost")).unwrap();
    let _: () = connection.zadd(key("score"), "a", 0.5).unwrap();
    for foreign in [key("foreign_set"), meta("foreign_hash")] {
        let _: () = connection.del(&foreign).unwrap();
        let _: () = connection.set(&foreign, "somebody else's").unwrap();
    }
    let _: () = connection.zadd(key("more"), "stranger", 7).unwrap();

    let names: Vec<RankingName> = windows.iter().map(|window| name(&minute(window, 3))).collect();
    let mut read = reader(&server.url()).read(&names, &[]).unwrap().into_iter();
    assert_eq!(read.next().unwrap(), Ok(Read::Changed(Arc::new(minute("whole", 3)))));
    let expected = [
        (meta("field"), "error_floor"),
        (meta("number"), "final"),
        (key("lost"), "0 items"),
        (key("score"), "no count"),
        (key("foreign_set"), "WRONGTYPE"),
        (meta("foreign_hash"), "WRONGTYPE"),
        (key("more"), "4 items"),
    ];
    for (key, reason) in expected {
        let damaged = read.next().unwrap().unwrap_err();
        assert!(damaged.key == key && damaged.reason.contains(reason), "{damaged}");
    }
    assert_eq!(read.next().unwrap(), Ok(Read::Absent));
}

#[test]
fn a_cluster_is_read_slot_by_slot() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let mut connection = server.connect();
    redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec(&mut connection).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let sink = RedisSink::open(RedisOptions::new(url.parse().unwrap())).unwrap();
    let published: Vec<Arc<Snapshot>> = ["last_1m", "last_1h", "{odd", "last_24h"]
        .iter()
        .map(|window| publish(&sink, minute(window, 4)))
        .collect();
    let mut names: Vec<RankingName> = published.iter().map(|snapshot| name(snapshot)).collect();
    names.push(name(&minute("absent", 4)));
    let mut reader = reader(&url);
    let expected: Vec<_> = published.iter().cloned().map(|snapshot| Ok(Read::Changed(snapshot))).collect();
    assert_eq!(reader.read(&names, &[]).unwrap(), [expected, vec![Ok(Read::Absent)]].concat());
    let _: () = connection.del("{topk:videos:last_1h}:meta").unwrap();
    let _: () = connection.set("{topk:videos:last_1h}:meta", "somebody else's").unwrap();
    let _: () = connection.del("topk:videos:last_24h").unwrap();
    let read = reader.read(&names, &[]).unwrap();
    assert!(read[0].is_ok() && read[1].is_err() && read[2].is_ok() && read[3].is_err(), "{read:?}");
}

#[test]
fn sentinel_names_a_replica_or_else_the_master() {
    let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let port = master.port().to_string();
    let configuration = master.folder().join("sentinel.conf");
    std::fs::write(&configuration, format!("sentinel monitor main 127.0.0.1 {port} 1\n")).unwrap();
    let sentinel = RedisServer::start_with_file(&configuration, &["--sentinel"]);
    let url = format!("redis+sentinel://127.0.0.1:{}/main/0", sentinel.port());
    let snapshot = publish(&sink(&master), minute("last_1m", 1));
    until_read(&mut reader(&url), &snapshot);

    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let mut connections = [replica.connect(), master.connect()];
    let mut looks = || connections.each_mut().map(|connection| calls(connection, "hmget"));
    let wanted = [name(&snapshot)];
    // Sentinel hears of a new replica when it next asks the master, every ten seconds.
    let deadline = Instant::now() + LONG;
    loop {
        let [of_replica, of_master] = looks();
        reader(&url).read(&wanted, &[]).unwrap();
        let [replica_now, master_now] = looks();
        if replica_now > of_replica && master_now == of_master {
            break;
        }
        assert!(Instant::now() < deadline, "the replica was never asked");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn what_does_not_answer_is_refused_at_start() {
    let port = RedisServer::start().port();
    let error = RedisReader::open(RedisOptions::new(format!("redis://127.0.0.1:{port}").parse().unwrap()))
        .err()
        .unwrap();
    assert!(matches!(&error, SinkError::Unreachable { reason, .. } if reason.contains("refused")), "{error}");
}
