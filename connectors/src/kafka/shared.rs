//! What all workers of a process share about their topics: what is read of the partitions, which ones there are by now,
//! whether they are still the same topics, and whether an outage was told of.

use super::client::describe;
use super::end_offsets::EndOffsets;
use super::health::Change;
use super::options::KafkaOptions;
use super::topic_id::TopicId;
use crate::endpoint::{KafkaSourceUrl, Topics};
use crate::outage::Outage;
use crate::source::{Partition, SourceError, TopicPartition};
use crate::span::Span;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// What the workers and the thread that looks for partitions share.
pub(crate) struct Shared {
    pub(crate) options: KafkaOptions,
    /// The topics that are read, each with its id where the brokers give ids to topics.
    ids: Mutex<Ids>,
    end: OnceLock<End>,
    known: Mutex<BTreeMap<Partition, Known>>,
    version: AtomicU64,
    readers: Mutex<Readers>,
    pub(crate) ends: EndOffsets,
    /// Ends the thread when the last worker and the factory have gone.
    _alive: Sender<()>,
}

/// Topics and their ids.
pub(crate) type Ids = BTreeMap<String, Option<TopicId>>;

/// A partition that is read.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) at: TopicPartition,
    pub(crate) span: Span,
}

/// Why there is nothing to read any more.
#[derive(Debug)]
enum End {
    /// The topic is gone.
    Missing { topic: String },
    /// Another one is in its place.
    Replaced { topic: String, counted: TopicId, found: TopicId },
    /// A partition was found that can have no number of its own.
    SameNumber { first: String, second: String },
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
        (ids, known): (Ids, BTreeMap<Partition, Known>),
        alive: Sender<()>,
    ) -> Self {
        Shared {
            options,
            ids: Mutex::new(ids),
            end: OnceLock::new(),
            known: Mutex::new(known),
            version: AtomicU64::new(0),
            readers: Mutex::default(),
            ends: EndOffsets::default(),
            _alive: alive,
        }
    }

    /// The topics and their brokers.
    pub(crate) fn url(&self) -> &KafkaSourceUrl {
        &self.options.url
    }

    /// The topics that are read by now, with their ids.
    pub(crate) fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock()
    }

    /// The ids of all topics as one text: that of a single topic, and else each with its topic.
    pub(crate) fn identity(&self) -> Option<String> {
        let ids = self.ids();
        let mut known = ids.iter().filter_map(|(topic, id)| Some((topic, (*id)?)));
        match self.url().topics {
            Topics::One(_) => known.next().map(|(_, id)| id.to_string()),
            Topics::Several(_) | Topics::Pattern(..) => {
                let all: Vec<String> = known.map(|(topic, id)| format!("{topic}={id}")).collect();
                (!all.is_empty()).then(|| all.join(","))
            }
        }
    }

    /// The brokers have said, or a client has heard from them, that a topic has this id now.
    pub(crate) fn compare(&self, topic: &str, found: Option<TopicId>) {
        if let (Some(counted), Some(found)) = (self.ids().get(topic).copied().flatten(), found)
            && counted != found
        {
            let _ = self.end.set(End::Replaced { topic: topic.to_owned(), counted, found });
        }
    }

    /// The brokers have not known a topic for longer than is waited.
    pub(crate) fn miss(&self, topic: &str) {
        let _ = self.end.set(End::Missing { topic: topic.to_owned() });
    }

    /// Fails where a topic is gone, or is another one; the reader would have read the record at `offset` next.
    ///
    /// # Errors
    /// [`SourceError::Lost`], [`SourceError::Replaced`], [`SourceError::SameNumber`].
    pub(crate) fn check(&self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        match self.end.get() {
            None => Ok(()),
            Some(End::Missing { topic }) => {
                let reason = format!("unknown topic: the brokers have no topic {topic:?} any more");
                Err(lost(partition, offset, reason))
            }
            Some(End::Replaced { topic, counted, found }) => Err(SourceError::Replaced {
                topic: topic.clone(),
                counted: counted.to_string(),
                found: found.to_string(),
            }),
            Some(End::SameNumber { first, second }) => {
                Err(SourceError::SameNumber { first: first.clone(), second: second.clone() })
            }
        }
    }

    /// The partitions that are known by now, and what is read of them.
    pub(crate) fn known(&self) -> MutexGuard<'_, BTreeMap<Partition, Known>> {
        self.known.lock()
    }

    /// Whether all partitions end.
    pub(crate) fn bounded(&self) -> bool {
        self.options.until.is_some()
    }

    /// Changes when partitions were found.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Logs an outage once, however many clients meet it.
    pub(crate) fn tell(&self, change: Change) {
        let mut readers = self.readers.lock();
        let servers = &self.url().servers;
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

    /// A partition that was not there at the start begins at its beginning: all of it is new. `id`: its
    /// topic's.
    pub(crate) fn add(&self, number: Partition, at: TopicPartition, first: i64, id: Option<TopicId>) {
        let name = at.to_string();
        self.ids().entry(at.topic.to_string()).or_insert(id);
        match self.known().entry(number) {
            Entry::Vacant(place) => {
                place.insert(Known { at, span: Span { start: first, until: None, gap: None } });
            }
            Entry::Occupied(known) => {
                let (first, second) = (known.get().at.topic.to_string(), at.topic.to_string());
                if first != second {
                    let _ = self.end.set(End::SameNumber { first, second });
                }
                return;
            }
        }
        self.version.fetch_add(1, Ordering::Release);
        tracing::info!("Kafka: found the new partition {name}");
    }
}

/// Why a partition cannot be read from an offset on.
pub(crate) fn lost(partition: &TopicPartition, offset: i64, reason: String) -> SourceError {
    SourceError::Lost { partition: partition.to_string(), offset, reason }
}

/// Why a partition cannot be assigned to the client.
pub(crate) fn unassigned(partition: &TopicPartition, offset: i64, error: &KafkaError) -> SourceError {
    lost(partition, offset, format!("the client cannot be told to read it: {}", describe(error)))
}

impl Readers {
    /// One client has lost its brokers no longer. How long the outage lasted, where it is over.
    fn one_less(&mut self) -> Option<Duration> {
        self.lost -= 1;
        if self.lost == 0 { self.outage.end() } else { None }
    }
}
