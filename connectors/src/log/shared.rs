//! What the writer, the callers that append and the readers of a log share.

use super::block::LogPartition;
use super::health::Health;
use super::queue::Queue;
use super::retention::Retention;
use super::store::{Extent, Store};
use crate::append_counts::AppendCounts;
use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds since 1970 UTC.
pub(super) type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) retention: Retention,
    pub(super) queue: Queue,
    pub(super) health: Health,
    pub(super) counts: AppendCounts,
    pub(super) clock: Clock,
    /// The next offset to be written of each partition, which tells readers that there is something.
    next: Vec<AtomicU64>,
}

impl Shared {
    pub(super) fn new(
        store: Store,
        retention: Retention,
        queue: Queue,
        clock: Clock,
        extents: &[Extent],
    ) -> Self {
        let next = extents.iter().map(|extent| AtomicU64::new(extent.next)).collect();
        Shared {
            store,
            retention,
            queue,
            health: Health::new(),
            counts: AppendCounts::default(),
            clock,
            next,
        }
    }

    /// The partitions are so now.
    pub(super) fn publish(&self, extents: &[Extent]) {
        for (next, extent) in self.next.iter().zip(extents) {
            next.store(extent.next, Ordering::Release);
        }
    }

    /// The next offset to be written of a partition.
    pub(super) fn next(&self, partition: LogPartition) -> i64 {
        self.next[partition as usize].load(Ordering::Acquire) as i64
    }
}
