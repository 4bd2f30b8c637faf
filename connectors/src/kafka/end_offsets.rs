//! Where partitions end that nobody reads just now. librdkafka's statistics know what the last fetch has told, and a
//! reader whose queue is full fetches nothing: for the partitions that wait, the brokers are asked.

use crate::source::Partition;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};

/// What is asked and known of the partitions' ends.
#[derive(Default)]
pub(crate) struct EndOffsets(Mutex<Offsets>);

#[derive(Default)]
struct Offsets {
    wanted: BTreeSet<Partition>,
    known: BTreeMap<Partition, i64>,
}

impl EndOffsets {
    /// The next offset to be written to a partition, as the brokers said last; they will be asked again.
    pub(crate) fn of(&self, partition: Partition) -> Option<i64> {
        let mut state = self.0.lock();
        state.wanted.insert(partition);
        state.known.get(&partition).copied()
    }

    /// The partitions that were asked for since this was last called.
    pub(crate) fn wanted(&self) -> Vec<Partition> {
        std::mem::take(&mut self.0.lock().wanted).into_iter().collect()
    }

    /// Takes what the brokers say.
    pub(crate) fn note(&self, ends: impl IntoIterator<Item = (Partition, i64)>) {
        self.0.lock().known.extend(ends);
    }
}
