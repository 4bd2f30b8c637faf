//! `[archive]`: where what a log delivers is kept.

use super::property::Property;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where what a log delivers is kept, and how long.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSection {
    /// As `--archive`.
    ///
    /// Type: URL or path
    /// Example: "s3://bucket/archive"
    pub url: Option<String>,
    /// Options of the object store, by the names that the `object_store` crate gives them; also of an archive that is read.
    ///
    /// Default: none
    /// Example: { region = "eu-west-1" }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Property>,
    /// How long blocks are kept, a minute at least, or `forever`.
    ///
    /// Type: duration
    /// Default: forever
    /// Example: "400d"
    pub retention: Option<String>,
    /// How long a record waits at most until its block is written: 100 ms to 1 h.
    ///
    /// Type: duration
    /// Default: 1m
    /// Example: "10s"
    pub interval: Option<String>,
}

impl ArchiveSection {
    pub(super) fn is_empty(&self) -> bool {
        *self == ArchiveSection::default()
    }
}
