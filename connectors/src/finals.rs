//! Whole final rankings as messages: each under its board, window and group, so that a compacted topic keeps the last one.

use crate::group_key::GroupKey;
use crate::outbox::{Message, Outbox};
use crate::snapshot::{SinkError, Snapshot, SnapshotSink};
use crate::snapshot_line::append_line;
use std::sync::Arc;
use std::time::Instant;

/// Puts each final snapshot into an outbox.
pub struct FinalsSink {
    outbox: Arc<Outbox>,
}

impl FinalsSink {
    /// A sink of this outbox.
    pub fn new(outbox: Arc<Outbox>) -> Self {
        FinalsSink { outbox }
    }

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

impl SnapshotSink for FinalsSink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if !snapshot.is_final {
            return;
        }
        match Self::message(snapshot) {
            Ok(message) => self.outbox.push(message),
            Err(error) => {
                tracing::error!(%error, board = &*snapshot.board, "a ranking cannot be written as JSON");
            }
        }
    }

    fn ready(&self) -> bool {
        self.outbox.is_ready()
    }

    fn shows_provisionals(&self) -> bool {
        false
    }

    fn finals_complete(&self, board: &Arc<str>, end: i64) {
        self.outbox.complete(board, end);
    }

    fn delivered(&self, _deadline: Instant) -> i64 {
        self.outbox.delivered()
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        self.outbox.flush(deadline)
    }

    fn close(&self, deadline: Instant) {
        self.outbox.close(deadline);
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
        let message = FinalsSink::message(&grouped).unwrap();
        assert_eq!(message.key, "videos/last_1m/category=x%3Dy,region=a/b");
        assert_eq!(message.id, "videos/last_1m/category=x%3Dy,region=a/b@20000");
        assert_eq!(message.body, serde_json::to_vec(&grouped).unwrap());
        let later = Snapshot { computed_at: 99_999, epoch: 7, ..grouped };
        assert_eq!(FinalsSink::message(&later).unwrap().id, message.id);
        let whole = FinalsSink::message(&snapshot("videos", "last_1m", 20_000, true)).unwrap();
        assert_eq!(whole.key, "videos/last_1m");
    }
}
