//! `[archive]`: where what a log delivers is kept.

use super::property::Property;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where what a log delivers is kept, and how long.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSection {
    /// As `--archive`.
    pub url: Option<String>,
    /// Options of a cloud's store, by the names of the `object_store` crate; also of an archive that is read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Property>,
    /// How long blocks are kept: `"400d"`, or `"forever"`.
    pub retention: Option<String>,
    /// How long a record waits at most until its block is written: `"1m"`.
    pub interval: Option<String>,
}

impl ArchiveSection {
    pub(super) fn is_empty(&self) -> bool {
        *self == ArchiveSection::default()
    }
}
