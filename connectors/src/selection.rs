//! A part of the rankings, for a sink of its own: so they are spread over several servers by board, window or group.

use crate::group_key::GroupKey;
use crate::snapshot::{Retired, SinkError, Snapshot, SnapshotSink};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Which rankings are meant. An empty set means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Of these boards.
    pub boards: BTreeSet<String>,
    /// Of these windows.
    pub windows: BTreeSet<String>,
    /// Of those groups that have, for each of these dimensions, one of its values.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// Whether those of whole boards are meant, too.
    pub whole: bool,
}

impl Selection {
    fn has_board(&self, board: &str) -> bool {
        self.boards.is_empty() || self.boards.contains(board)
    }

    fn has_group(&self, group: &GroupKey) -> bool {
        if group.is_whole() {
            return self.whole;
        }
        self.groups.iter().all(|(dimension, values)| {
            group.pairs().any(|(name, value)| *name == **dimension && values.contains(&*value))
        })
    }

    /// Whether a ranking is meant.
    pub fn has(&self, board: &str, window: &str, group: &GroupKey) -> bool {
        // What rises in a window goes where the window does.
        let window = window.split(':').next().unwrap_or(window);
        let has_window = self.windows.is_empty() || self.windows.contains(window);
        has_window && self.has_board(board) && self.has_group(group)
    }
}

/// Hands a selection of all rankings to a sink.
pub struct Selected {
    /// What it is handed.
    pub selection: Selection,
    /// The sink.
    pub sink: Arc<dyn SnapshotSink>,
}

impl SnapshotSink for Selected {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if self.selection.has(&snapshot.board, &snapshot.window, &snapshot.group) {
            self.sink.publish(snapshot);
        }
    }

    fn pass_over(&self, snapshot: &Arc<Snapshot>) {
        if self.selection.has(&snapshot.board, &snapshot.window, &snapshot.group) {
            self.sink.pass_over(snapshot);
        }
    }

    fn retire(&self, group: &Retired) {
        if self.selection.has_board(&group.board) && self.selection.has_group(&group.group) {
            self.sink.retire(group);
        }
    }

    fn ready(&self) -> bool {
        self.sink.ready()
    }

    fn shows_provisionals(&self) -> bool {
        self.sink.shows_provisionals()
    }

    fn finals_complete(&self, board: &Arc<str>, end: i64) {
        if self.selection.has_board(board) {
            self.sink.finals_complete(board, end);
        }
    }

    fn delivered(&self, deadline: Instant) -> i64 {
        self.sink.delivered(deadline)
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        self.sink.flush(deadline)
    }

    fn close(&self, deadline: Instant) {
        self.sink.close(deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_named_is_meant_and_what_is_not_named_restricts_nothing() {
        let all = Selection { boards: set(&[]), windows: set(&[]), groups: BTreeMap::new(), whole: true };
        let group = |region: &str| GroupKey::from_values([("category", "a=b,c"), ("region", region)]);
        for group in [GroupKey::WHOLE, group("IN")] {
            assert!(all.has("videos", "last_1m", &group));
        }
        let groups = BTreeMap::from([("region".into(), set(&["IN", "LK"]))]);
        let south = Selection { boards: set(&["videos"]), windows: set(&["last_1m"]), groups, whole: false };
        assert!(south.has("videos", "last_1m", &group("IN")) && south.has("videos", "last_1m", &group("LK")));
        for (board, window, group) in [
            ("videos", "last_1m", group("US")),
            ("videos", "last_1m", GroupKey::WHOLE),
            ("videos", "last_1m", GroupKey::from_values([("language", "IN")])),
            ("videos", "last_1h", group("IN")),
            ("sales", "last_1m", group("IN")),
        ] {
            assert!(!south.has(board, window, &group), "{board} {window} {group}");
        }
        assert!(Selection { whole: true, ..south }.has("videos", "last_1m", &GroupKey::WHOLE));
    }
}
