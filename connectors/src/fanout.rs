//! One sink made of several: each snapshot goes to all of them.

use crate::snapshot::{Retired, SinkError, Snapshot, SnapshotSink};
use std::sync::Arc;
use std::time::Instant;

/// Hands everything to each of its sinks, in order.
pub struct Sinks(pub Vec<Arc<dyn SnapshotSink>>);

impl SnapshotSink for Sinks {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        self.0.iter().for_each(|sink| sink.publish(snapshot));
    }

    fn pass_over(&self, snapshot: &Arc<Snapshot>) {
        self.0.iter().for_each(|sink| sink.pass_over(snapshot));
    }

    fn retire(&self, group: &Retired) {
        self.0.iter().for_each(|sink| sink.retire(group));
    }

    fn ready(&self) -> bool {
        self.0.iter().all(|sink| sink.ready())
    }

    fn shows_provisionals(&self) -> bool {
        self.0.iter().any(|sink| sink.shows_provisionals())
    }

    fn finals_complete(&self, board: &Arc<str>, end: i64) {
        self.0.iter().for_each(|sink| sink.finals_complete(board, end));
    }

    /// What the last of them has delivered.
    fn delivered(&self, deadline: Instant) -> i64 {
        self.0.iter().map(|sink| sink.delivered(deadline)).min().unwrap_or(i64::MAX)
    }

    /// Flushes all, also after one has failed, and tells of the first that did.
    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        self.0.iter().map(|sink| sink.flush(deadline)).fold(Ok(()), Result::and)
    }

    fn close(&self, deadline: Instant) {
        self.0.iter().for_each(|sink| sink.close(deadline));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group_key::GroupKey;
    use crate::snapshot::tests_support::snapshot;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>, bool);

    impl SnapshotSink for Notes {
        fn publish(&self, snapshot: &Arc<Snapshot>) {
            self.0.lock().unwrap().push(format!("publish {}", snapshot.window_end));
        }
        fn retire(&self, group: &Retired) {
            self.0.lock().unwrap().push(format!("retire {}", group.group));
        }
        fn finals_complete(&self, board: &Arc<str>, end: i64) {
            self.0.lock().unwrap().push(format!("complete {board} {end}"));
        }
        fn flush(&self, _: Instant) -> Result<(), SinkError> {
            self.0.lock().unwrap().push("flush".into());
            if self.1 { Err(SinkError::Write(std::io::ErrorKind::BrokenPipe.into())) } else { Ok(()) }
        }
    }

    #[test]
    fn every_sink_gets_everything_even_after_a_failure() {
        let (bad, good) = (Arc::new(Notes(Mutex::default(), true)), Arc::new(Notes::default()));
        let sinks = Sinks(vec![bad.clone(), good.clone()]);
        sinks.publish(&Arc::new(snapshot("b", "w", 1000, true)));
        let group = GroupKey::from_values([("r", "IN")]);
        sinks.retire(&Retired { board: "b".into(), windows: Vec::new(), group, epoch: 1 });
        sinks.finals_complete(&"b".into(), 1000);
        assert!(sinks.flush(Instant::now()).is_err());
        let expected = ["publish 1000", "retire r=IN", "complete b 1000", "flush"];
        assert_eq!(*bad.0.lock().unwrap(), expected);
        assert_eq!(*good.0.lock().unwrap(), expected);
    }
}
