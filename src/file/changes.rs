//! `[[changes]]`: who is told what entered, left or overtook in a ranking.

use super::one_or_more::OneOrMore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who is told of changes in the rankings of a window.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangesSection {
    /// What the watch is called in ids.
    ///
    /// Default: `board/window`
    /// Example: "alerts"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The board.
    ///
    /// Default: must be given
    /// Example: "videos"
    pub board: String,
    /// Its window.
    ///
    /// Default: must be given
    /// Example: "last_1h"
    pub window: String,
    /// Of how many leading items changes are told, 1,000 at most.
    ///
    /// Default: 10, or the board's `k` where that is less
    /// Example: 20
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// Only changes of groups with these values, by dimension.
    ///
    /// Default: all
    /// Example: { region = ["IN"] }
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, OneOrMore>,
    /// Whether changes of the whole board are among them.
    ///
    /// Default: true
    /// Example: false
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
    /// Whether only what the bounds prove is told.
    ///
    /// Default: false
    /// Example: true
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certain: Option<bool>,
    /// Who is told: `https://host/path` or `kafka://host:port/topic`.
    ///
    /// Type: URL
    /// Default: must be given
    /// Example: "https://example.com/hooks/crest"
    pub to: String,
    /// What a webhook is signed with, 16 bytes or more.
    ///
    /// Default: that of `--changes-secret`
    /// Example: "a-secret-of-16-bytes-or-more"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The file that holds this secret.
    ///
    /// Default: none
    /// Example: "/run/secrets/crest"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}
