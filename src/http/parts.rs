//! The parts of a job in `/status`, each with how it does: the partitions that it reads, the state that it keeps, and the
//! Redis in which it publishes.

use super::api::Api;
use crest_connectors::redis::{RedisSink, RedisStats};
use crest_dataflows::status::JobView;
use crest_state::monitor::{StateCounts, Waiting};
use serde::Serialize;
use std::cmp::Reverse;

/// Partitions that are listed.
const MOST_PARTITIONS: usize = 1000;

/// How far a partition is.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    name: String,
    /// In milliseconds since 1970 UTC; `None` before its first event.
    watermark: Option<i64>,
    lag_records: u64,
}

/// The partitions that are furthest behind, at most [`MOST_PARTITIONS`]: by what they have not read yet, then by time.
pub fn partitions(view: &JobView) -> Vec<Partition> {
    let mut found: Vec<Partition> = view.with_workers(|workers| {
        let all = workers.iter().flatten().flat_map(|(_, status)| &status.partitions);
        let one = |(name, known): (&String, &crest_dataflows::status::PartitionStatus)| Partition {
            name: name.clone(),
            watermark: known.watermark,
            lag_records: known.lag,
        };
        all.map(one).collect()
    });
    found.sort_by(|a, b| {
        (Reverse(a.lag_records), a.watermark, &a.name).cmp(&(Reverse(b.lag_records), b.watermark, &b.name))
    });
    found.truncate(MOST_PARTITIONS);
    found
}

/// What became of the state since the start. Times are milliseconds since 1970 UTC.
#[derive(Debug, Serialize)]
pub struct Stored {
    /// All events before this time are in it.
    durable: i64,
    commits: u64,
    bytes: u64,
    /// By the wall clock; `None` before the first.
    last_commit: Option<i64>,
    /// Since when its store fails, and why.
    failing_since: Option<i64>,
    failure: Option<String>,
}

impl From<StateCounts> for Stored {
    fn from(counts: StateCounts) -> Self {
        let StateCounts { durable, commits, bytes, last_commit, waiting, .. } = counts;
        let (failing_since, failure) = waiting.map(|Waiting { since, reason }| (since, reason)).unzip();
        let last_commit = (last_commit > 0).then_some(last_commit);
        Stored { durable, commits, bytes, last_commit, failing_since, failure }
    }
}

/// What was written to a Redis since the start.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Without secrets.
    to: String,
    written: u64,
    pending: u64,
    /// Lost, since too many waited.
    dropped: u64,
    /// What keeps rankings from being written just now.
    failure: Option<String>,
}

impl Written {
    fn of(to: &str, sink: &RedisSink) -> Self {
        let RedisStats { written, pending, dropped, .. } = sink.stats();
        Written { to: to.to_owned(), written, pending, dropped, failure: sink.trouble() }
    }
}

/// Each Redis in which the job publishes.
pub fn redis(api: &Api) -> Vec<Written> {
    api.redis.iter().map(|(to, sink)| Written::of(to, sink)).collect()
}
