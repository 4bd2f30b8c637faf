//! Whole final rankings as messages: each under its board, window and group, so that a compacted topic keeps the last one.

use crate::group_key::GroupKey;
use crate::outbox::Message;
use crate::outbox_sink::Writer;
use crate::snapshot::Snapshot;
use crate::snapshot_line::append_line;
use std::sync::Arc;

/// Makes a message of each final ranking.
pub struct Finals;

impl Finals {
    fn message(snapshot: &Snapshot) -> serde_json::Result<Message> {
        let key = key(&snapshot.board, &snapshot.window, &snapshot.group);
        let mut body = Vec::new();
        append_line(&mut body, snapshot)?;
        // It is one record, and no line.
        body.pop();
        Ok(Message { id: id(&key, snapshot.window_end), key, body })
    }
}

/// What a ranking is of, as a text: `videos/last_1h`, `videos/last_1h/region=IN`.
pub(crate) fn key(board: &str, window: &str, group: &GroupKey) -> String {
    match group.is_whole() {
        true => format!("{board}/{window}"),
        false => format!("{board}/{window}/{}", group.as_str()),
    }
}

/// The id of what is told of a ranking: the same in every run.
pub(crate) fn id(of: &str, window_end: i64) -> String {
    format!("{of}@{window_end}")
}

impl Writer for Finals {
    fn write(&self, snapshot: &Arc<Snapshot>) -> Option<Message> {
        let failed =
            |error| tracing::error!(%error, board = &*snapshot.board, "a ranking cannot be written as JSON");
        Self::message(snapshot).map_err(failed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests_support::snapshot;

    #[test]
    fn a_message_is_the_snapshot_under_a_key_of_its_own_and_an_id_that_never_changes() {
        let group = GroupKey::from_values([("region", "a/b"), ("category", "x=y")]);
        let grouped = Snapshot { group, ..snapshot("videos", "last_1m", 20_000, true) };
        let message = Finals::message(&grouped).unwrap();
        assert_eq!(message.key, "videos/last_1m/category=x%3Dy,region=a/b");
        assert_eq!(message.id, "videos/last_1m/category=x%3Dy,region=a/b@20000");
        assert_eq!(message.body, serde_json::to_vec(&grouped).unwrap());
        let later = Snapshot { computed_at: 99_999, epoch: 7, ..grouped };
        assert_eq!(Finals::message(&later).unwrap().id, message.id);
        let whole = Finals::message(&snapshot("videos", "last_1m", 20_000, true)).unwrap();
        assert_eq!(whole.key, "videos/last_1m");
    }
}
