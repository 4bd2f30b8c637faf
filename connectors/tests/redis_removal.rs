//! The rankings of groups that left, against a real redis-server: they are removed with their hashes, unless somebody
//! else's or a later run's, and also where Redis was away when they left.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "support/snapshots.rs"]
mod snapshots;

use crest_connectors::group_key::GroupKey;
use crest_connectors::redis::{RedisOptions, RedisSink};
use crest_connectors::snapshot::{Retired, Snapshot, SnapshotSink};
use redis::Commands;
use redis_server::RedisServer;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn group(region: &str) -> GroupKey {
    GroupKey::from_values([("region", region)])
}

fn snapshot(window: &str, region: &str, epoch: u64) -> Arc<Snapshot> {
    let group = if region.is_empty() { GroupKey::WHOLE } else { group(region) };
    let (board, window) = ("b".into(), window.into());
    Arc::new(Snapshot { board, window, group, epoch, ..snapshots::snapshot(3) })
}

fn retired(region: &str, epoch: u64) -> Retired {
    Retired { board: "b".into(), windows: vec!["v".into(), "w".into()], group: group(region), epoch }
}

fn keys(server: &RedisServer) -> Vec<String> {
    let mut keys: Vec<String> = server.connect().keys("*").unwrap();
    keys.retain(|key| !key.ends_with(":owner"));
    keys.sort();
    keys
}

fn flush(sink: &RedisSink) {
    sink.flush(Instant::now() + LONG).unwrap();
}

#[test]
fn what_left_is_removed_with_its_hashes_and_nothing_else() {
    let server = RedisServer::start();
    let sink = RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).unwrap();
    for window in ["v", "w"] {
        ["", "IN", "US", "{x}"].iter().for_each(|region| sink.publish(&snapshot(window, region, 5)));
    }
    flush(&sink);
    assert_eq!(keys(&server).len(), 16);
    sink.retire(&retired("{x}", 5));
    sink.retire(&retired("US", 5));
    // It comes back before it was gone, in one window.
    sink.publish(&snapshot("w", "US", 5));
    flush(&sink);
    let expected = ["v", "v:region=IN", "w", "w:region=IN", "w:region=US"];
    let expected =
        expected.iter().flat_map(|name| [format!("topk:b:{name}"), format!("{{topk:b:{name}}}:meta")]);
    let mut expected: Vec<String> = expected.collect();
    expected.sort();
    assert_eq!(keys(&server), expected);
    assert_eq!(sink.stats().pending, 0);
    // Redis goes away, the group leaves, and Redis comes back.
    let mut server = server;
    redis::cmd("SAVE").exec(&mut server.connect()).unwrap();
    server.kill();
    sink.retire(&retired("IN", 5));
    assert!(sink.flush(Instant::now() + Duration::from_millis(200)).is_err());
    server.restart();
    flush(&sink);
    assert!(keys(&server).iter().all(|key| !key.contains("IN")), "{:?}", keys(&server));
    assert_eq!(sink.stats().removed, 5);
}

#[test]
fn what_a_later_run_has_written_or_nobody_of_crest_stays() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let sink = RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).unwrap();
    sink.publish(&snapshot("v", "IN", 6));
    flush(&sink);
    connection.set::<_, _, ()>("topk:b:w:region=IN", "mine").unwrap();
    connection.set::<_, _, ()>("{topk:b:w:region=IN}:meta", "mine too").unwrap();
    let before = keys(&server);
    let older = RedisSink::open(RedisOptions::new(server.url().parse().unwrap())).unwrap();
    older.retire(&retired("IN", 5));
    let _ = older.flush(Instant::now() + LONG);
    assert_eq!((keys(&server), older.stats().removed), (before, 0));
    sink.retire(&retired("IN", 6));
    flush(&sink);
    assert_eq!(keys(&server), ["topk:b:w:region=IN", "{topk:b:w:region=IN}:meta"]);
}
