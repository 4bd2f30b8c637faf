//! How rankings go to Redis.

use super::link::{Purpose, Target};
use crate::endpoint::RedisUrl;
use crate::snapshot::SinkError;
use std::time::Duration;

/// How snapshots go to Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// The servers.
    pub url: RedisUrl,
    /// Before every key: `topk:`.
    pub key_prefix: String,
    /// How long a ranking outlives its last refresh, and how long a bucket stays; `None` for ever, but for buckets: those of
    /// tumbling windows stay for a day, and those of the calendar for as long as their unit says.
    pub ttl: Option<Duration>,
    /// Whether only the buckets of tumbling windows are written, and neither a current ranking nor its meta hash is
    /// touched: no.
    pub buckets_only: bool,
    /// For how long what an earlier run left is only replaced by what is newer, while this one catches up with it: 1 min.
    pub catch_up: Duration,
    /// How often the job shows open windows, which readers are told: 1 s.
    pub refresh: Duration,
}

impl RedisOptions {
    /// The default options for a URL.
    pub fn new(url: RedisUrl) -> Self {
        RedisOptions {
            url,
            key_prefix: "topk:".to_owned(),
            ttl: None,
            buckets_only: false,
            catch_up: Duration::from_secs(60),
            refresh: Duration::from_secs(1),
        }
    }

    /// The clients of the servers.
    pub(super) fn target(&self, purpose: Purpose) -> Result<Target, SinkError> {
        let invalid = |reason: String| SinkError::Invalid { url: self.url.to_string(), reason };
        if self.key_prefix.contains(['{', '}']) {
            return Err(invalid("key_prefix: braces would part a ranking from its meta in a cluster".into()));
        }
        Target::new(&self.url, purpose).map_err(invalid)
    }
}
