//! `[[changes]]`: who is told what entered, left or overtook in a ranking.

use super::one_or_more::OneOrMore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who is told of changes in the rankings of a window.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangesSection {
    /// What it is called in ids; the board and the window, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The board.
    pub board: String,
    /// Its window.
    pub window: String,
    /// Of how many leading items; of 10 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// Only those of groups with these values, by dimension.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, OneOrMore>,
    /// Whether those of the whole board are among them: they are, unless this is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
    /// Whether only what the bounds prove is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certain: Option<bool>,
    /// `https://host/path` or `kafka://host:port/topic`.
    pub to: String,
    /// What a webhook is signed with, 16 bytes or more …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// … or the file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}
