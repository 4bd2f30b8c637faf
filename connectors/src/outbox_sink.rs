//! The sink in front of an outbox: what a [`Writer`] makes of final rankings goes to a receiver that may lose nothing.

use crate::outbox::{Message, Outbox};
use crate::snapshot::{SinkError, Snapshot, SnapshotSink};
use std::sync::Arc;
use std::time::Instant;

/// Makes messages of final rankings, which it is handed in the order of their ends.
pub trait Writer: Send + Sync {
    /// What is told of a ranking that is published, if anything is.
    fn write(&self, snapshot: &Arc<Snapshot>) -> Option<Message>;

    /// What is told of one that is [passed over](SnapshotSink::pass_over).
    fn pass_over(&self, _snapshot: &Arc<Snapshot>) -> Option<Message> {
        None
    }
}

/// Puts what is told of final rankings into an outbox.
pub struct OutboxSink<W> {
    writer: W,
    outbox: Arc<Outbox>,
}

impl<W: Writer> OutboxSink<W> {
    /// A sink of this outbox.
    pub fn new(writer: W, outbox: Arc<Outbox>) -> Self {
        OutboxSink { writer, outbox }
    }
}

impl<W: Writer> SnapshotSink for OutboxSink<W> {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if snapshot.is_final
            && let Some(message) = self.writer.write(snapshot)
        {
            self.outbox.push(message);
        }
    }

    fn pass_over(&self, snapshot: &Arc<Snapshot>) {
        if let Some(message) = self.writer.pass_over(snapshot) {
            self.outbox.push(message);
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
    use crate::outbox::{Courier, Delivery, Link};
    use crate::snapshot::tests_support::snapshot;
    use parking_lot::Mutex;
    use std::time::Duration;

    /// Tells the window of each ranking that is published, and nothing of others.
    struct Windows;

    impl Writer for Windows {
        fn write(&self, snapshot: &Arc<Snapshot>) -> Option<Message> {
            let id = snapshot.window.to_string();
            (id != "unwatched").then(|| Message { key: id.clone(), id, body: Vec::new() })
        }
    }

    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Courier for Kept {
        fn deliver(&mut self, messages: &[Arc<Message>], _: &Link<'_>) -> Delivery {
            self.0.lock().extend(messages.iter().map(|message| message.id.clone()));
            Delivery { done: messages.len(), ..Delivery::default() }
        }
    }

    #[test]
    fn final_rankings_alone_are_told_and_known_to_be_delivered_once_they_are() {
        let kept = Arc::<Mutex<Vec<String>>>::default();
        let outbox = Outbox::start("test:", &["b".into()], Kept(kept.clone())).unwrap();
        let sink = OutboxSink::new(Windows, outbox);
        let of = |window, is_final| Arc::new(snapshot("b", window, 10, is_final));
        sink.publish(&of("open", false));
        sink.publish(&of("unwatched", true));
        sink.publish(&of("closed", true));
        sink.pass_over(&of("before", true));
        sink.finals_complete(&"b".into(), 10);
        let soon = Instant::now() + Duration::from_secs(30);
        sink.flush(soon).unwrap();
        assert_eq!(*kept.lock(), ["closed"]);
        assert_eq!(sink.delivered(Instant::now()), 10);
        assert!(!sink.shows_provisionals());
        sink.close(soon);
    }
}
