//! What all workers of a process share about a topic: what is read of its partitions, which ones there are by now,
//! whether it is still the same topic, and whether an outage was told of.

use super::client::describe;
use super::ends::Ends;
use super::health::Change;
use super::options::KafkaOptions;
use super::topic_id::TopicId;
use crate::endpoint::KafkaUrl;
use crate::outage::Outage;
use crate::source::{Partition, SourceError};
use crate::span::Span;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// What the workers and the thread that looks for partitions share.
pub(crate) struct Shared {
    pub(crate) options: KafkaOptions,
    /// The id of the topic that is read, where the brokers give ids to topics.
    pub(crate) identity: Option<TopicId>,
    end: OnceLock<End>,
    spans: Mutex<BTreeMap<Partition, Span>>,
    version: AtomicU64,
    readers: Mutex<Readers>,
    pub(crate) ends: Ends,
    /// Ends the thread when the last worker and the factory have gone.
    _alive: Sender<()>,
}

/// Why there is nothing to read any more.
#[derive(Debug)]
enum End {
    /// The topic is gone.
    Missing,
    /// Another one is in its place.
    Replaced { counted: TopicId, found: TopicId },
}

/// How many workers' clients have lost their brokers; an outage lasts while any has.
#[derive(Default)]
struct Readers {
    lost: usize,
    outage: Outage,
}

impl Shared {
    pub(crate) fn new(
        options: KafkaOptions,
        (identity, spans): (Option<TopicId>, BTreeMap<Partition, Span>),
        alive: Sender<()>,
    ) -> Self {
        let (spans, version, readers) = (Mutex::new(spans), AtomicU64::new(0), Mutex::default());
        let (end, ends) = (OnceLock::new(), Ends::default());
        Shared { options, identity, end, spans, version, readers, ends, _alive: alive }
    }

    /// The topic and its brokers.
    pub(crate) fn topic(&self) -> &KafkaUrl {
        &self.options.url
    }

    /// The brokers have said, or a client has heard from them, that the topic has this id now.
    pub(crate) fn compare(&self, found: Option<TopicId>) {
        if let (Some(counted), Some(found)) = (self.identity, found)
            && counted != found
        {
            let _ = self.end.set(End::Replaced { counted, found });
        }
    }

    /// The brokers have not known the topic for longer than is waited.
    pub(crate) fn miss(&self) {
        let _ = self.end.set(End::Missing);
    }

    /// Fails where the topic is gone, or is another one; the reader would have read the record at `offset` next.
    ///
    /// # Errors
    /// [`SourceError::Lost`], [`SourceError::Replaced`].
    pub(crate) fn check(&self, partition: Partition, offset: i64) -> Result<(), SourceError> {
        let topic = &self.topic().topic;
        match self.end.get() {
            None => Ok(()),
            Some(End::Missing) => {
                let reason = format!("unknown topic: the brokers have no topic {topic:?} any more");
                Err(self.lost(partition, offset, reason))
            }
            Some(End::Replaced { counted, found }) => Err(SourceError::Replaced {
                topic: topic.clone(),
                counted: counted.to_string(),
                found: found.to_string(),
            }),
        }
    }

    /// What is read of the known partitions.
    pub(crate) fn spans(&self) -> MutexGuard<'_, BTreeMap<Partition, Span>> {
        self.spans.lock()
    }

    /// Whether all partitions end.
    pub(crate) fn bounded(&self) -> bool {
        self.options.until.is_some()
    }

    /// Why a partition cannot be read from an offset on.
    pub(crate) fn lost(&self, partition: Partition, offset: i64, reason: String) -> SourceError {
        SourceError::Lost { partition: self.topic().partition_name(partition), offset, reason }
    }

    /// Why a partition cannot be assigned to the client.
    pub(crate) fn unassigned(&self, partition: Partition, offset: i64, error: &KafkaError) -> SourceError {
        self.lost(partition, offset, format!("the client cannot be told to read it: {}", describe(error)))
    }

    /// Changes when partitions were found.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Logs an outage once, however many clients meet it.
    pub(crate) fn tell(&self, change: Change) {
        let mut readers = self.readers.lock();
        let servers = &self.topic().servers;
        match change {
            Change::Lost(why) => {
                readers.lost += 1;
                if readers.lost == 1 {
                    tracing::warn!("Kafka: the connection is lost, and is tried again ({servers}): {why}");
                    readers.outage.begin(why);
                }
            }
            Change::Back => {
                if let Some(lasted) = readers.one_less() {
                    tracing::info!("Kafka: the connection is back after {:.1} s", lasted.as_secs_f64());
                }
            }
        }
    }

    /// A client that had lost its brokers has ended.
    pub(crate) fn forget_lost(&self) {
        self.readers.lock().one_less();
    }

    /// A partition that was not there at the start begins at its beginning: all of it is new.
    pub(crate) fn add(&self, partition: Partition, first: i64) {
        self.spans().insert(partition, Span { start: first, until: None, gap: None });
        self.version.fetch_add(1, Ordering::Release);
        tracing::info!("Kafka: found the new partition {}", self.topic().partition_name(partition));
    }
}

impl Readers {
    /// One client has lost its brokers no longer. How long the outage lasted, where it is over.
    fn one_less(&mut self) -> Option<Duration> {
        self.lost -= 1;
        if self.lost == 0 { self.outage.end() } else { None }
    }
}
