//! The names of the keys.

use crate::group_key::GroupKey;
use crate::snapshot::Snapshot;
use chrono::DateTime;
use std::sync::Arc;

/// The name of a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RankingName {
    /// The board's name.
    pub board: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
    /// The group, or the whole board.
    pub group: GroupKey,
}

impl RankingName {
    /// The name of the ranking that a snapshot is of.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { board, window, group, .. } = snapshot;
        RankingName { board: board.clone(), window: window.clone(), group: group.clone() }
    }
}

/// The board that a job has where none is configured: it goes without its name.
const DEFAULT_BOARD: &str = "default";

/// A ranking's key and that of its meta hash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// `topk:videos:last_1h:region=IN`, a sorted set.
    pub(super) ranking: String,
    /// `{topk:videos:last_1h:region=IN}:meta`, a hash in the same slot of a cluster.
    pub(super) meta: String,
}

/// The keys of the window's current ranking.
pub(super) fn live(prefix: &str, snapshot: &Snapshot) -> Keys {
    of_window(prefix, &snapshot.board, &snapshot.window, &snapshot.group)
}

/// The keys of a window's current ranking, by its name.
pub(super) fn of_window(prefix: &str, board: &str, window: &str, group: &GroupKey) -> Keys {
    keys(prefix, board, &braceless(window), group)
}

/// The keys of the bucket that a tumbling window leaves behind, named by when it began; of one of the calendar, by the window and the
/// unit, since other windows may begin then, too.
pub(super) fn bucket(prefix: &str, snapshot: &Snapshot) -> Keys {
    if let Some(unit) = &snapshot.unit {
        let name = format!("{}:{}", braceless(&snapshot.window), unit.name);
        return keys(prefix, &snapshot.board, &name, &snapshot.group);
    }
    // Where the windows are not of whole minutes their beginnings need seconds to differ.
    let width = snapshot.window_end - snapshot.window_start;
    let form = if width % 60_000 == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    let time = DateTime::from_timestamp_millis(snapshot.window_start).unwrap_or_default();
    keys(prefix, &snapshot.board, &time.format(form).to_string(), &snapshot.group)
}

/// The key of the lease on a window's rankings, in the slot of the whole board's.
pub(super) fn lease(prefix: &str, board: &str, window: &str) -> String {
    format!("{{{}}}:owner", of_window(prefix, board, window, &GroupKey::WHOLE).ranking)
}

fn keys(prefix: &str, board: &str, window: &str, group: &GroupKey) -> Keys {
    let mut ranking = prefix.to_owned();
    if board != DEFAULT_BOARD {
        ranking.push_str(&braceless(board));
        ranking.push(':');
    }
    ranking.push_str(window);
    if !group.is_whole() {
        ranking.push(':');
        ranking.push_str(&braceless(group.as_str()));
    }
    Keys { meta: format!("{{{ranking}}}:meta"), ranking }
}

/// Braces choose the slot of a key in a cluster; in a name they would send a ranking and its meta to two.
fn braceless(text: &str) -> String {
    text.replace('{', "%7B").replace('}', "%7D")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::CalendarUnit;
    use crate::snapshot::tests_support::snapshot;
    use std::time::Duration;

    fn of(board: &str, group: &[(&str, &str)]) -> Snapshot {
        let group = GroupKey::from_values(group.iter().copied());
        Snapshot { group, ..snapshot(board, "last_1h", 1_773_137_700_000, true) }
    }

    #[test]
    fn live_keys_name_board_window_and_group() {
        let ranking = |board, group: &[_]| live("topk:", &of(board, group)).ranking;
        assert_eq!(ranking("default", &[]), "topk:last_1h");
        assert_eq!(ranking("default", &[("region", "IN")]), "topk:last_1h:region=IN");
        assert_eq!(ranking("videos", &[]), "topk:videos:last_1h");
        assert_eq!(ranking("videos", &[("region", "IN"), ("a", "b")]), "topk:videos:last_1h:a=b,region=IN");
        assert_eq!(live("topk:", &of("videos", &[])).meta, "{topk:videos:last_1h}:meta");
        assert_eq!(live("x:", &of("default", &[("a", "{b}")])).meta, "{x:last_1h:a=%7Bb%7D}:meta");
    }

    #[test]
    fn buckets_are_named_by_when_they_began() {
        let at = |seconds: i64, group: &[_]| {
            let snapshot = of("videos", group);
            bucket("topk:", &Snapshot { window_start: snapshot.window_end - seconds * 1000, ..snapshot })
                .ranking
        };
        assert_eq!(at(60, &[]), "topk:videos:2026-03-10T10:14");
        assert_eq!(at(900, &[("region", "IN")]), "topk:videos:2026-03-10T10:00:region=IN");
        assert_eq!(at(10, &[]), "topk:videos:2026-03-10T10:14:50");
        let today = Snapshot {
            window: "today".into(),
            unit: Some(CalendarUnit { name: "2026-03-10".into(), stays: Duration::from_secs(60) }),
            ..of("videos", &[("region", "IN")])
        };
        assert_eq!(bucket("topk:", &today).ranking, "topk:videos:today:2026-03-10:region=IN");
    }
}
