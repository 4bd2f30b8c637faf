//! The `[snapshots]` section of the configuration file.

use super::one_or_more::OneOrMore;
use super::property::Property;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where snapshots go.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotsSection {
    /// As `--snapshots`; one or a list.
    ///
    /// Type: URL or list of URLs
    /// Default: `memory`; `-` for runs over files and standard input
    /// Example: ["redis://localhost:6379/0", "memory"]
    pub url: Option<OneOrMore>,
    /// What is before every key in Redis.
    ///
    /// Example: "shop:"
    pub key_prefix: Option<String>,
    /// How long a key stays in Redis after it was last written.
    ///
    /// Type: duration
    /// Default: rankings stay; buckets of the past stay a day, those of the calendar 31 of its units
    /// Example: "7d"
    pub ttl: Option<String>,
    /// As `--empty`; for runs over files and standard input.
    ///
    /// Default: false
    /// Example: true
    pub empty: Option<bool>,
    /// Any property of librdkafka, for rankings and changes that go to topics.
    ///
    /// Default: none
    /// Example: { "security.protocol" = "ssl" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kafka: BTreeMap<String, Property>,
    /// Redis servers that are given a part of the rankings.
    ///
    /// Default: none
    /// Example: [{ url = "redis://localhost:6379/1", whole = false }]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shard: Vec<ShardSection>,
}

/// A Redis server that is given a part of the rankings.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardSection {
    /// The server: `redis://host:port/db`.
    ///
    /// Type: URL
    /// Default: must be given
    /// Example: "redis://localhost:6379/1"
    pub url: String,
    /// Only rankings of these boards.
    ///
    /// Default: all
    /// Example: ["videos"]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boards: Option<OneOrMore>,
    /// Only rankings of these windows.
    ///
    /// Default: all
    /// Example: "last_1h"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<OneOrMore>,
    /// Only rankings of groups with these values, by dimension.
    ///
    /// Default: all
    /// Example: { region = ["DE", "FR"] }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, OneOrMore>,
    /// Whether the rankings of whole boards are among them.
    ///
    /// Default: true
    /// Example: false
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
}
