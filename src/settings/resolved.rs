//! What is read and written, resolved: the source, the state and where snapshots go.

use crest_connectors::{OnGap, Start};
use crest_state::retention::Retention;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where the page and the API are unless told otherwise: nobody but this machine reaches it.
pub const DEFAULT_HTTP: &str = "127.0.0.1:8080";
/// The synthetic source.
pub const DEMO_URL: &str = "demo:";
/// An embedded log, before its folder.
pub const LOG_URL: &str = "log:";

/// Where events come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSettings {
    /// `kafka://…`, `log:…`, `file:…`, `-` or `demo:`.
    pub url: String,
    /// Whether nobody chose it: a bare `crest`.
    pub by_default: bool,
    /// Where to begin in a log.
    pub start: Option<Start>,
    /// What to do where records are gone that were to be read.
    pub on_gap: OnGap,
    /// The consumer group to which positions are committed, for lag tools.
    pub group_id: Option<String>,
    /// Any librdkafka property.
    pub kafka: BTreeMap<String, String>,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSettings {
    /// A folder, or `s3://…` and its kin.
    pub url: String,
    /// Of a cloud's store, by the names of the `object_store` crate.
    pub options: BTreeMap<String, String>,
    /// How long panes and rollups are kept.
    pub retention: Retention,
}

/// Where snapshots go.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotSettings {
    /// At least one of `redis://…` (and its kin), `-` and `memory`.
    pub urls: Vec<String>,
    /// Before every Redis key.
    pub key_prefix: String,
    /// How long a key stays in Redis after it was last written; where it is not said, rankings stay for good and
    /// the past buckets of tumbling windows for a day.
    pub ttl: Option<Duration>,
}

impl SourceSettings {
    /// Whether the source ends: files and standard input.
    pub fn bounded(&self) -> bool {
        self.url == "-" || self.url.starts_with("file:")
    }

    /// Whether it is a topic of Kafka.
    pub fn is_kafka(&self) -> bool {
        self.url.starts_with("kafka://")
    }

    /// Whether it is the embedded log.
    pub fn is_embedded(&self) -> bool {
        self.url.starts_with(LOG_URL)
    }

    /// Whether events are added to it while it is read, and kept for a time.
    pub fn is_log(&self) -> bool {
        self.is_kafka() || self.is_embedded()
    }
}
