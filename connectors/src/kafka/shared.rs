//! What all workers of a process share about a topic: what is read of its partitions, which ones there are by now,
//! and whether an outage was told of.

use super::ends::Ends;
use super::health::Change;
use super::options::KafkaOptions;
use super::target::Target;
use crate::source::{Partition, SourceError};
use crate::span::Span;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What the workers and the thread that looks for partitions share.
pub(crate) struct Shared {
    /// Without secrets.
    pub(crate) url: String,
    pub(crate) target: Target,
    pub(crate) options: KafkaOptions,
    spans: Mutex<BTreeMap<Partition, Span>>,
    version: AtomicU64,
    outage: Mutex<Outage>,
    pub(crate) ends: Ends,
    /// Ends the thread when the last worker and the factory have gone.
    _alive: Sender<()>,
}

/// How many workers' clients have lost their brokers, and since when any has.
#[derive(Default)]
struct Outage {
    clients: usize,
    since: Option<Instant>,
}

impl Shared {
    pub(crate) fn new(
        url: String,
        target: Target,
        options: KafkaOptions,
        spans: BTreeMap<Partition, Span>,
        alive: Sender<()>,
    ) -> Self {
        let (spans, version, outage) = (Mutex::new(spans), AtomicU64::new(0), Mutex::default());
        Shared { url, target, options, spans, version, outage, ends: Ends::default(), _alive: alive }
    }

    /// What is read of the known partitions.
    pub(crate) fn spans(&self) -> MutexGuard<'_, BTreeMap<Partition, Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all partitions end.
    pub(crate) fn bounded(&self) -> bool {
        self.options.until.is_some()
    }

    /// Why a partition cannot be read from an offset on.
    pub(crate) fn lost(&self, partition: Partition, offset: i64, reason: String) -> SourceError {
        SourceError::Lost { partition: self.target.partition_name(partition), offset, reason }
    }

    /// Changes when partitions were found.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Tells of an outage once, however many clients meet it.
    pub(crate) fn tell(&self, change: Change) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Lost(why) => {
                outage.clients += 1;
                if outage.clients == 1 {
                    outage.since = Some(Instant::now());
                    tracing::warn!("Kafka: the connection is lost, and is tried again: {why}");
                }
            }
            Change::Back => {
                outage.clients -= 1;
                if outage.clients == 0 {
                    let seconds = outage.since.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
                    tracing::info!("Kafka: the connection is back after {seconds:.1} s");
                }
            }
        }
    }

    /// A client that had lost its brokers has ended.
    pub(crate) fn forget_lost(&self) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.clients -= 1;
    }

    /// A partition that was not there at the start begins at its beginning: all of it is new.
    pub(crate) fn add(&self, partition: Partition, first: i64) {
        self.spans().insert(partition, Span { start: first, until: None, gap: None });
        self.version.fetch_add(1, Ordering::Release);
        tracing::info!("Kafka: found the new partition {}", self.target.partition_name(partition));
    }
}
