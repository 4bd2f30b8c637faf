//! What waits to be written: the newest of each ranking, the newest of each bucket that is filling, and the buckets
//! that are full.
//!
//! Always holds: one snapshot for each board, window and group, however long Redis is away, and one of the bucket that
//! it fills; at most [`MAX_LIVE`] of either and [`MAX_BUCKETS`] full buckets, what is dropped beyond them being
//! counted.

use super::keys::RankingName;
use crate::snapshot::Snapshot;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
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
    /// As the bucket of a tumbling window, which is full when the snapshot is final.
    Bucket(Arc<Snapshot>),
}

impl Write {
    pub(super) fn snapshot(&self) -> &Snapshot {
        match self {
            Write::Live(snapshot) | Write::Bucket(snapshot) => snapshot,
        }
    }
}

#[derive(Default)]
pub(super) struct Pending {
    live: Newest,
    /// Provisional ones of buckets. Each of a full bucket is followed by its final one, so that no more than one of a
    /// window need wait.
    filling: Newest,
    buckets: VecDeque<Arc<Snapshot>>,
    buckets_only: bool,
    /// Snapshots that went unwritten since too many waited.
    pub(super) dropped: u64,
}

/// The newest snapshot of each board, window and group.
#[derive(Default)]
struct Newest(HashMap<RankingName, Arc<Snapshot>>);

impl Newest {
    /// Keeps the newer of this one and the one that waits. False where there is no room.
    fn add(&mut self, snapshot: Arc<Snapshot>) -> bool {
        let room = self.0.len() < MAX_LIVE;
        match self.0.entry(RankingName::of(&snapshot)) {
            Entry::Occupied(mut waiting) => {
                if snapshot.freshness() >= waiting.get().freshness() {
                    waiting.insert(snapshot);
                }
                true
            }
            Entry::Vacant(place) => {
                if room {
                    place.insert(snapshot);
                }
                room
            }
        }
    }

    /// Lets go of what is older than a snapshot.
    fn remove_before(&mut self, snapshot: &Snapshot) {
        if let Entry::Occupied(waiting) = self.0.entry(RankingName::of(snapshot))
            && waiting.get().freshness() < snapshot.freshness()
        {
            waiting.remove();
        }
    }
}

impl Pending {
    /// Nothing; with `buckets_only` no current ranking is ever taken.
    pub(super) fn new(buckets_only: bool) -> Self {
        Pending { buckets_only, ..Pending::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.live.0.len() + self.filling.0.len() + self.buckets.len()
    }

    /// Takes a new snapshot.
    pub(super) fn add(&mut self, snapshot: &Arc<Snapshot>) {
        if snapshot.bucket && snapshot.is_final {
            self.filling.remove_before(snapshot);
            self.buckets.push_back(snapshot.clone());
            if self.buckets.len() > MAX_BUCKETS {
                self.buckets.pop_front();
                self.dropped += 1;
            }
        }
        if !self.buckets_only {
            if snapshot.counters && !snapshot.is_final {
                self.add_filling(snapshot.clone());
            }
            self.add_live(snapshot.clone());
        }
    }

    /// Lets go of the current ranking that waits under a name.
    pub(super) fn forget(&mut self, name: &RankingName) {
        self.live.0.remove(name);
    }

    /// Drops what is older than a snapshot that is being written: written later, it would replace the newer one.
    pub(super) fn drop_before(&mut self, write: &Write) {
        match write {
            Write::Live(snapshot) => self.live.remove_before(snapshot),
            Write::Bucket(snapshot) => self.filling.remove_before(snapshot),
        }
    }

    /// Whether a current ranking of a name waits.
    pub(super) fn holds(&self, name: &RankingName) -> bool {
        self.live.0.contains_key(name)
    }

    /// Takes all that waits, oldest buckets first.
    pub(super) fn take(&mut self) -> Vec<Write> {
        let full = self.buckets.drain(..);
        let filling = self.filling.0.drain().map(|(_, snapshot)| snapshot);
        let live = self.live.0.drain().map(|(_, snapshot)| Write::Live(snapshot));
        full.chain(filling).map(Write::Bucket).chain(live).collect()
    }

    /// Puts back what could not be written, in the order in which it was taken; what came meanwhile and is
    /// newer stays.
    pub(super) fn put_back(&mut self, writes: Vec<Write>) {
        for write in writes.into_iter().rev() {
            match write {
                Write::Live(snapshot) => self.add_live(snapshot),
                Write::Bucket(snapshot) if !snapshot.is_final => self.add_filling(snapshot),
                Write::Bucket(_) if self.buckets.len() >= MAX_BUCKETS => self.dropped += 1,
                Write::Bucket(snapshot) => self.buckets.push_front(snapshot),
            }
        }
    }

    fn add_live(&mut self, snapshot: Arc<Snapshot>) {
        self.dropped += u64::from(!self.live.add(snapshot));
    }

    fn add_filling(&mut self, snapshot: Arc<Snapshot>) {
        self.dropped += u64::from(!self.filling.add(snapshot));
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

    fn filling(end: i64, computed_at: i64) -> Arc<Snapshot> {
        Arc::new(Snapshot { counters: true, computed_at, ..(*tumbling(end, false)).clone() })
    }

    fn counted(end: i64) -> Arc<Snapshot> {
        Arc::new(Snapshot { counters: true, ..(*tumbling(end, true)).clone() })
    }

    fn of_buckets(writes: &[Write]) -> Vec<(i64, bool, i64)> {
        let of = |write: &Write| match write {
            Write::Bucket(snapshot) => Some((snapshot.window_end, snapshot.is_final, snapshot.computed_at)),
            Write::Live(_) => None,
        };
        writes.iter().filter_map(of).collect()
    }

    #[test]
    fn of_a_bucket_that_fills_the_newest_waits_until_it_is_full() {
        let mut pending = Pending::default();
        for computed_at in [1, 3, 2] {
            pending.add(&filling(10, computed_at));
        }
        assert_eq!(pending.len(), 2, "and the current ranking");
        let writes = pending.take();
        assert_eq!(of_buckets(&writes), [(10, false, 3)]);
        pending.add(&filling(10, 4));
        pending.put_back(writes);
        assert_eq!(of_buckets(&pending.take()), [(10, false, 4)], "what came meanwhile is newer");

        let (mut later, newest) = (Pending::default(), Write::Live(filling(10, 4)));
        [3, 4, 5].iter().for_each(|computed_at| later.add(&filling(10, *computed_at)));
        later.drop_before(&newest);
        assert_eq!(later.len(), 2, "one that is newer still waits");
        let mut earlier = Pending::default();
        earlier.add(&filling(10, 3));
        earlier.drop_before(&newest);
        assert_eq!(of_buckets(&earlier.take()), [(10, false, 3)], "the bucket alone");

        pending.add(&filling(10, 5));
        pending.add(&counted(10));
        pending.add(&filling(20, 6));
        pending.add(&counted(10));
        assert_eq!(of_buckets(&pending.take()), [(10, true, 17), (10, true, 17), (20, false, 6)]);
        let mut elsewhere = Pending::new(true);
        elsewhere.add(&filling(20, 7));
        assert_eq!(elsewhere.len(), 0, "beside a job that keeps the current ones");
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
