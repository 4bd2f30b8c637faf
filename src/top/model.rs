//! What the API says, as far as it is shown.

use crest_connectors::snapshot::{Other, Snapshot};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET /boards`.
#[derive(Debug, Deserialize)]
pub struct Boards {
    /// In the order of the configuration.
    pub boards: Vec<Board>,
    /// The name of the last of these, where more come after it.
    #[serde(default)]
    pub next: Option<String>,
}

/// A board.
#[derive(Clone, Debug, Deserialize)]
pub struct Board {
    /// In URLs.
    pub name: String,
    /// Rows that it keeps.
    pub k: usize,
    /// Its dimensions.
    #[serde(default)]
    pub by: Vec<String>,
    /// Its windows.
    pub windows: Vec<Window>,
}

/// A window of a board.
#[derive(Clone, Debug, Deserialize)]
pub struct Window {
    /// In URLs.
    pub name: String,
}

/// A ranking, as `GET /top-k/{board}` and its stream say it.
#[derive(Clone, Debug, Deserialize)]
pub struct Ranking {
    /// What was ranked.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// What all items without a row have.
    #[serde(default)]
    pub other: Option<Other>,
    /// How long ago, when it was sent.
    #[serde(default)]
    pub snapshot_age_seconds: Option<f64>,
    /// Whether it could not be refreshed.
    #[serde(default)]
    pub stale: bool,
}

/// How the job is, as the stream says every second. All is absent on a node without a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Counted per second.
    pub events_per_second: Option<f64>,
    /// How far event time is behind the clock.
    pub watermark_lag_ms: Option<i64>,
    /// Events that came too late to be counted.
    pub late: Option<u64>,
    /// Records that were refused, late ones aside.
    pub refused: Option<u64>,
    /// What the boards have met.
    pub boards: BTreeMap<String, Met>,
}

/// What a board has met.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Met {
    /// Why it has counted nothing, where that is to be told.
    pub why_empty: Option<String>,
}

impl Status {
    /// Why there is no ranking of a board, where that is known.
    pub fn why_empty(&self, board: &str) -> Option<&str> {
        self.boards.get(board)?.why_empty.as_deref()
    }
}

/// The ranking that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The board's name.
    pub board: String,
    /// The window's name; without one, the board's first.
    pub window: Option<String>,
    /// Rows.
    pub k: usize,
    /// Dimensions and their values.
    pub group: Vec<(String, String)>,
}

impl Query {
    /// The path and query of its URL below `call`: `/top-k` or `/stream`.
    pub fn path(&self, call: &str) -> String {
        let first = format!("k={}", self.k);
        format!("{call}/{}?{}", encoded(&self.board), self.joined(vec![first]))
    }

    /// The path and query of what rises in the same window and group, against what this names.
    pub fn rising_path(&self, against: Option<&str>) -> String {
        let mut first = vec![format!("k={}", self.k), "by=rise".to_owned()];
        first.extend(against.map(|against| format!("against={}", encoded(against))));
        format!("/top-k/{}?{}", encoded(&self.board), self.joined(first))
    }

    /// The path and query of an item of this id in the same window and group; its points have this step.
    pub fn item_path(&self, id: &str, step: Option<&str>) -> String {
        let step = step.map(|step| format!("step={}", encoded(step)));
        let query = self.joined(step.into_iter().collect());
        format!("/items/{}/{}?{query}", encoded(&self.board), encoded(id))
    }

    /// These pairs of a query, and those of the window and the group.
    fn joined(&self, mut pairs: Vec<String>) -> String {
        let window = self.window.iter().map(|window| ("window", window.as_str()));
        let group = self.group.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs
            .extend(window.chain(group).map(|(name, value)| format!("{}={}", encoded(name), encoded(value))));
        pairs.join("&")
    }
}

/// Percent-encoded: all but what RFC 3986 calls unreserved.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded_in_a_path() {
        let query = Query {
            board: "a/b c".into(),
            window: Some("last_1h".into()),
            k: 7,
            group: vec![("region".into(), "é&x=1".into())],
        };
        assert_eq!(query.path("/top-k"), "/top-k/a%2Fb%20c?k=7&window=last_1h&region=%C3%A9%26x%3D1");
        let path = query.rising_path(Some("1d"));
        let expected = "/top-k/a%2Fb%20c?k=7&by=rise&against=1d&window=last_1h&region=%C3%A9%26x%3D1";
        assert_eq!(path, expected);
        let path = query.item_path("a/b?", Some("10m"));
        assert_eq!(path, "/items/a%2Fb%20c/a%2Fb%3F?step=10m&window=last_1h&region=%C3%A9%26x%3D1");
        let query = Query { window: None, group: Vec::new(), ..query };
        assert_eq!(query.item_path("☃", None), "/items/a%2Fb%20c/%E2%98%83?");
    }

    #[test]
    fn a_status_may_say_nothing() {
        let status: Status = serde_json::from_str(r#"{"late":null,"live":false,"other":1}"#).unwrap();
        assert!(status.late.is_none() && status.events_per_second.is_none());
    }
}
