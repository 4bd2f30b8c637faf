//! The mirror against a real redis-server.

#[path = "../../connectors/tests/support/redis_server.rs"]
mod redis_server;

use super::*;
use crest_connectors::redis::RedisSink;
use crest_connectors::snapshot::{Item, Snapshot, SnapshotSink};
use crest_formats::schema::SchemaSpec;
use crest_state::spec::{BoardSpec, SketchSpec, TimeSpec};
use redis::Commands;
use redis_server::RedisServer;
use std::collections::BTreeMap;
use std::time::Instant;

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(50);
/// Longer than any test: nothing is read but at the start and for those who wait.
const NEVER: Duration = Duration::from_secs(600);

/// A board `videos` by region with the default windows.
fn spec() -> Arc<JobSpec> {
    let board = BoardSpec { name: "videos".into(), by: vec!["region".into()], ..BoardSpec::default() };
    let (time, sketch, schema) = (TimeSpec::default(), SketchSpec::default(), SchemaSpec::default());
    Arc::new(JobSpec { boards: vec![board], time, sketch, schema, ..JobSpec::default() })
}

fn snapshot(window: &str, region: &str, minute: i64) -> Snapshot {
    let count = minute as u64;
    let item = Item {
        rank: 1,
        item_id: "a".into(),
        count,
        lower: count,
        upper: count,
        exact: true,
        estimate: None,
        change: None,
    };
    let region = Some(region).filter(|region| !region.is_empty());
    let group: BTreeMap<_, _> =
        region.map(|region| ("region".to_owned(), region.to_owned())).into_iter().collect();
    Snapshot {
        board: "videos".into(),
        window: window.into(),
        group: GroupKey::from_values(group),
        window_start: 0,
        window_end: minute * 60_000,
        computed_at: minute * 60_000,
        watermark: 0,
        is_final: true,
        total: count,
        error: 0,
        error_floor: 0,
        guaranteed: 1,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: None,
        retracts: false,
        items: vec![item],
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

fn publish(server: &RedisServer, snapshots: impl IntoIterator<Item = Snapshot>) {
    let sink = RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).unwrap();
    snapshots.into_iter().for_each(|snapshot| sink.publish(&Arc::new(snapshot)));
    sink.flush(Instant::now() + LONG).unwrap();
}

fn mirror(server: &RedisServer, every: Duration) -> Arc<Mirror> {
    Mirror::start(RedisOptions::new(server.url().parse().unwrap()), spec(), every).unwrap()
}

fn want(mirror: &Mirror, window: &str, group: &str) -> Found {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(mirror.want("videos", window, &group.parse().unwrap()))
}

/// The minute of the ranking in the store; 0 without one.
fn minute(mirror: &Mirror, group: &str) -> i64 {
    mirror
        .store()
        .latest("videos", "last_1m", &group.parse().unwrap())
        .map_or(0, |snapshot| snapshot.window_end / 60_000)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_whole_board_is_there_at_once_and_kept_fresh() {
    let server = RedisServer::start();
    publish(&server, [snapshot("last_1m", "", 1), snapshot("last_1h", "", 1)]);
    let mirror = mirror(&server, EVERY);
    assert_eq!(minute(&mirror, ""), 1);
    assert_eq!((want(&mirror, "last_1m", ""), want(&mirror, "last_24h", "")), (Found::Here, Found::Absent));
    publish(&server, [snapshot("last_1m", "", 2), snapshot("last_24h", "", 2)]);
    eventually("the next minute", || {
        minute(&mirror, "") == 2 && want(&mirror, "last_24h", "") == Found::Here
    });
    let stats = mirror.stats();
    assert_eq!((stats.reads, stats.rankings, stats.failures), (4, 3, 0), "nothing is read twice");
    assert_eq!(stats.disconnected_for, None);
}

#[test]
fn a_group_is_read_when_it_is_wanted_and_followed_from_then_on() {
    let server = RedisServer::start();
    publish(&server, [snapshot("last_1m", "IN", 1), snapshot("last_1m", "a,=%b", 1)]);
    let mirror = mirror(&server, EVERY);
    assert_eq!(minute(&mirror, "region=IN"), 0, "nobody asked for it");
    for group in ["region=IN", "region=a%2C%3D%25b"] {
        assert_eq!(want(&mirror, "last_1m", group), Found::Here);
        assert_eq!(minute(&mirror, group), 1);
    }
    assert_eq!(want(&mirror, "last_1m", "region=US"), Found::Absent);
    publish(&server, [snapshot("last_1m", "IN", 2), snapshot("last_1m", "US", 2)]);
    eventually("the next minute", || minute(&mirror, "region=IN") == 2);
    eventually("a group that is new", || want(&mirror, "last_1m", "region=US") == Found::Here);
    // The three windows, and the three groups.
    eventually("all are followed", || mirror.stats().rankings == 6);
}

#[test]
fn what_cannot_be_there_or_was_not_a_moment_ago_costs_redis_nothing() {
    let server = RedisServer::start();
    let mirror = mirror(&server, NEVER);
    let mut connection = server.connect();
    let looks = |connection: &mut redis::Connection| -> String {
        let info: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
        info.lines()
            .find_map(|line| line.strip_prefix("cmdstat_hmget:calls=")?.split(',').next().map(str::to_owned))
            .unwrap()
    };
    assert_eq!(want(&mirror, "last_1m", "region=US"), Found::Absent);
    let before = looks(&mut connection);
    let too_long = format!("region={}", "x".repeat(300));
    for (window, group) in [
        ("last_1m", "region=US"),
        ("last_week", "region=US"),
        ("last_1m", "country=US"),
        ("last_1m", "color=red,region=US"),
        ("last_1m", &too_long),
    ] {
        for _ in 0..100 {
            assert_eq!(want(&mirror, window, group), Found::Absent, "{window} {group}");
        }
    }
    assert_eq!(looks(&mut connection), before);
}

#[test]
fn while_redis_is_away_the_last_known_stays_and_then_it_goes_on() {
    let mut server = RedisServer::start();
    publish(&server, [snapshot("last_1m", "", 7), snapshot("last_1m", "IN", 7)]);
    let mirror = mirror(&server, EVERY);
    assert_eq!(want(&mirror, "last_1m", "region=IN"), Found::Here);
    server.kill();
    eventually("the loss is noticed", || mirror.stats().disconnected_for.is_some());
    assert_eq!((minute(&mirror, ""), want(&mirror, "last_1m", "")), (7, Found::Here));
    assert_eq!(want(&mirror, "last_1m", "region=IN"), Found::Here);
    assert_eq!(want(&mirror, "last_1m", "region=US"), Found::Unreachable);
    assert_eq!(want(&mirror, "last_1h", ""), Found::Unreachable);
    assert!(mirror.stats().failures > 0);

    server.restart();
    eventually("Redis is back", || mirror.stats().disconnected_for.is_none());
    assert_eq!((minute(&mirror, ""), want(&mirror, "last_1m", "")), (7, Found::Here), "Redis is empty");
    // The job began anew, with nothing that it knows.
    let anew = Snapshot { epoch: 1, ..snapshot("last_1m", "", 3) };
    publish(&server, [anew]);
    publish(&server, [snapshot("last_1m", "IN", 8)]);
    eventually("the mirror goes with it", || minute(&mirror, "") == 3 && minute(&mirror, "region=IN") == 8);
}

#[test]
fn a_server_that_hangs_holds_nobody_up_for_long() {
    let server = RedisServer::start();
    publish(&server, [snapshot("last_1m", "", 7)]);
    let mirror = mirror(&server, NEVER);
    let signal = |name: &str| {
        std::process::Command::new("kill").args([name, &server.pid().to_string()]).status().unwrap()
    };
    assert!(signal("-STOP").success());
    assert_eq!(want(&mirror, "last_1m", "region=IN"), Found::Unreachable);
    assert_eq!(want(&mirror, "last_1m", ""), Found::Here);
    assert!(signal("-CONT").success());
}

#[test]
fn a_damaged_ranking_is_told_and_the_others_go_on() {
    let server = RedisServer::start();
    publish(&server, [snapshot("last_1m", "", 1), snapshot("last_1h", "", 1), snapshot("last_1m", "IN", 1)]);
    let mut connection = server.connect();
    let _: () = connection.hset("{topk:videos:last_1h}:meta", "total", "much").unwrap();
    let _: () = connection.hset("{topk:videos:last_1m:region=IN}:meta", "total", "much").unwrap();
    let mirror = mirror(&server, EVERY);
    assert_eq!(
        (want(&mirror, "last_1m", ""), want(&mirror, "last_1h", "")),
        (Found::Here, Found::Absent),
        "it was never there"
    );
    assert_eq!(want(&mirror, "last_1m", "region=IN"), Found::Unreachable);
    let failures = mirror.stats().failures;
    publish(&server, [snapshot("last_1m", "", 2), snapshot("last_1h", "", 2)]);
    eventually("both", || want(&mirror, "last_1h", "") == Found::Here && minute(&mirror, "") == 2);
    assert_eq!(mirror.stats().failures, failures, "it is told once");
}

#[test]
fn without_redis_it_does_not_start() {
    let port = RedisServer::start().port();
    let url = format!("redis://:secret@127.0.0.1:{port}").parse().unwrap();
    let failed = Mirror::start(RedisOptions::new(url), spec(), EVERY).err().unwrap();
    assert_eq!(failed.status(), 1);
    assert!(failed.to_string().contains("refused") && !failed.to_string().contains("secret"), "{failed}");
}
