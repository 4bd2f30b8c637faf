//! What waits to be written: the newest of each ranking, and the buckets.
//!
//! Always holds: one snapshot for each board, window and group, however long Redis is away; at most
//! [`MAX_LIVE`] of them and [`MAX_BUCKETS`] buckets, what is dropped beyond them being counted.

use crate::snapshot::Snapshot;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Rankings that may wait; a job has no more of them at once.
pub(super) const MAX_LIVE: usize = 65_536;
/// Buckets that may wait: the oldest go first.
pub(super) const MAX_BUCKETS: usize = 16_384;

/// A snapshot to be written.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// As the current ranking of its window.
    Live(Arc<Snapshot>),
    /// As the bucket of a tumbling window.
    Bucket(Arc<Snapshot>),
}

#[derive(Default)]
pub(super) struct Pending {
    live: HashMap<Key, Arc<Snapshot>>,
    buckets: VecDeque<Arc<Snapshot>>,
    buckets_only: bool,
    /// Snapshots that went unwritten since too many waited.
    pub(super) dropped: u64,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    board: Arc<str>,
    window: Arc<str>,
    group: Arc<BTreeMap<String, String>>,
}

impl Pending {
    /// Nothing; with `buckets_only` no current ranking is ever taken.
    pub(super) fn new(buckets_only: bool) -> Self {
        Pending { buckets_only, ..Pending::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len() + self.buckets.len()
    }

    /// Takes a new snapshot.
    pub(super) fn add(&mut self, snapshot: &Arc<Snapshot>) {
        if snapshot.bucket && snapshot.is_final {
            self.buckets.push_back(snapshot.clone());
            if self.buckets.len() > MAX_BUCKETS {
                self.buckets.pop_front();
                self.dropped += 1;
            }
        }
        if !self.buckets_only {
            self.add_live(snapshot.clone());
        }
    }

    /// Takes all that waits, oldest buckets first.
    pub(super) fn take(&mut self) -> Vec<Write> {
        let buckets = self.buckets.drain(..).map(Write::Bucket);
        buckets.chain(self.live.drain().map(|(_, snapshot)| Write::Live(snapshot))).collect()
    }

    /// Puts back what could not be written, in the order in which it was taken; what came meanwhile and is
    /// newer stays.
    pub(super) fn put_back(&mut self, writes: Vec<Write>) {
        for write in writes.into_iter().rev() {
            match write {
                Write::Live(snapshot) => self.add_live(snapshot),
                Write::Bucket(_) if self.buckets.len() >= MAX_BUCKETS => self.dropped += 1,
                Write::Bucket(snapshot) => self.buckets.push_front(snapshot),
            }
        }
    }

    fn add_live(&mut self, snapshot: Arc<Snapshot>) {
        let key = Key {
            board: snapshot.board.clone(),
            window: snapshot.window.clone(),
            group: snapshot.group.clone(),
        };
        if let Some(waiting) = self.live.get_mut(&key) {
            if snapshot.freshness() >= waiting.freshness() {
                *waiting = snapshot;
            }
        } else if self.live.len() < MAX_LIVE {
            self.live.insert(key, snapshot);
        } else {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests_support::snapshot;

    fn ends(writes: &[Write]) -> Vec<(bool, i64)> {
        let end = |write: &Write| match write {
            Write::Live(snapshot) => (true, snapshot.window_end),
            Write::Bucket(snapshot) => (false, snapshot.window_end),
        };
        writes.iter().map(end).collect()
    }

    fn tumbling(end: i64, is_final: bool) -> Arc<Snapshot> {
        Arc::new(Snapshot { bucket: true, ..snapshot("b", "w", end, is_final) })
    }

    #[test]
    fn the_newest_of_each_ranking_waits_and_every_bucket() {
        let mut pending = Pending::default();
        for (end, is_final) in [(10, true), (20, false), (20, true), (20, false), (15, true)] {
            pending.add(&tumbling(end, is_final));
        }
        assert_eq!(pending.len(), 4);
        let writes = pending.take();
        assert_eq!(ends(&writes), [(false, 10), (false, 20), (false, 15), (true, 20)]);
        assert!(
            matches!(&writes[3], Write::Live(s) if s.is_final),
            "a provisional one is older than the final one"
        );
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn buckets_alone_are_taken_where_nothing_else_is_to_be_written() {
        let mut pending = Pending::new(true);
        pending.add(&tumbling(10, true));
        pending.add(&tumbling(20, false));
        pending.add(&Arc::new(snapshot("b", "w", 30, true)));
        let writes = pending.take();
        assert_eq!(ends(&writes), [(false, 10)]);
        pending.put_back(writes);
        assert_eq!((pending.len(), pending.dropped), (1, 0));
    }

    #[test]
    fn what_was_not_written_comes_back_behind_what_is_newer() {
        let mut pending = Pending::default();
        pending.add(&tumbling(10, true));
        let writes = pending.take();
        pending.add(&tumbling(20, true));
        pending.put_back(writes);
        assert_eq!(ends(&pending.take()), [(false, 10), (false, 20), (true, 20)]);
    }

    #[test]
    fn the_oldest_buckets_are_dropped_and_counted() {
        let mut pending = Pending::default();
        for end in 0..MAX_BUCKETS as i64 + 3 {
            pending.add(&tumbling(end, true));
        }
        let writes = pending.take();
        assert_eq!((pending.dropped, writes.len()), (3, MAX_BUCKETS + 1));
        assert_eq!(ends(&writes[..1]), [(false, 3)]);
        pending.add(&tumbling(MAX_BUCKETS as i64 + 9, true));
        pending.put_back(writes);
        assert_eq!((pending.dropped, pending.len()), (4, MAX_BUCKETS + 1));
    }
}
