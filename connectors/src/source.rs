//! The contract of a source: who reads which partition, and what a read may answer.
//!
//! A job opens a [`SourceFactory`] once, before anything else runs, so that an unreachable broker or a
//! missing file is an error at start. Each worker then takes its own [`Source`], which holds its share of the
//! partitions, and alone reads them. Which ones these are, each worker knows without asking the others. A source moves
//! bytes: it knows no event time and parses no payload.

use crate::endpoint::EndpointError;
use crate::framing::Framing;
pub use crate::partition::{Partition, TopicPartition, TopicPartitionError};
use crate::unpack::Compression;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Instant;

/// When the broker says that a record came, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerTime {
    /// The producer's clock stamped it (Kafka's `CreateTime`, the default of topics).
    Created(i64),
    /// The broker's clock stamped it (`LogAppendTime`).
    Appended(i64),
}

impl BrokerTime {
    /// The time, whoever's clock it is of.
    pub fn ms(self) -> i64 {
        let (BrokerTime::Created(time) | BrokerTime::Appended(time)) = self;
        time
    }
}

/// One record of a partition, borrowed from the reader's buffer for the time of the call.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the partition: Kafka's offset, or the record's number (from 1) in a file. See
    /// [`Framing`](crate::framing::Framing) for what is numbered.
    pub offset: i64,
    /// The broker's time stamp, where there is one.
    pub time: Option<BrokerTime>,
    /// Its content.
    pub payload: Payload<'a>,
    /// Kafka's key, where the record has one.
    pub key: Option<&'a [u8]>,
    /// Kafka's headers. They are looked at only where one is asked for.
    pub headers: Option<&'a dyn Headers>,
}

impl<'a> Record<'a> {
    /// A record that has neither a time stamp nor a key nor headers.
    pub fn new(offset: i64, payload: Payload<'a>) -> Self {
        Record { offset, time: None, payload, key: None, headers: None }
    }
}

/// What is known of a log's identity (see [`SourceFactory::identity`]): what is told `now`, and of topics whose ids are not
/// told now what was known before.
///
/// ```
/// use crest_connectors::source::join_identities;
/// let join = |known: &str, now: &str| join_identities(Some(known.into()), Some(now.into()));
/// assert_eq!(join("a=1,b=2", "b=3,c=4").as_deref(), Some("a=1,b=3,c=4"));
/// assert_eq!(join("1", "2").as_deref(), Some("2"));
/// assert_eq!(join_identities(Some("1".into()), None).as_deref(), Some("1"));
/// ```
pub fn join_identities(known: Option<String>, now: Option<String>) -> Option<String> {
    let (Some(known), Some(now)) = (&known, &now) else { return now.or(known) };
    let topic = |part: &str| part.split_once('=').map_or("", |(topic, _)| topic).to_owned();
    let parts = known.split(',').chain(now.split(','));
    let joined: BTreeMap<String, &str> = parts.map(|part| (topic(part), part)).collect();
    Some(joined.into_values().collect::<Vec<_>>().join(","))
}

/// The content of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The bytes, without a line end. They may be none.
    Bytes(&'a [u8]),
    /// The same, where it is known that they are UTF-8.
    Text(&'a str),
    /// Kafka's null: the record says that its key is deleted.
    Tombstone,
    /// More than [`MAX_RECORD_BYTES`], which are not held in memory.
    TooLong,
}

impl<'a> Payload<'a> {
    /// The bytes, unless they are more than [`MAX_RECORD_BYTES`].
    pub fn new(bytes: &'a [u8]) -> Self {
        if bytes.len() <= MAX_RECORD_BYTES { Payload::Bytes(bytes) } else { Payload::TooLong }
    }

    /// The bytes, where it has some.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Text(text) => Some(text.as_bytes()),
            Payload::Tombstone | Payload::TooLong => None,
        }
    }
}

/// The headers of a record.
pub trait Headers: fmt::Debug {
    /// The value of the last header of this name; `None` where there is none, or its value is null.
    fn last(&self, name: &str) -> Option<&[u8]>;

    /// Hands all of them over in their order: the bytes of the name, and the value where it is not null.
    fn each(&self, take: EachHeader<'_>);
}

/// Is given headers, one by one.
pub type EachHeader<'a> = &'a mut dyn FnMut(&[u8], Option<&[u8]>);

/// Where the records of a partition come from. What does not apply to a source is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Kafka's topic.
    pub topic: Option<String>,
    /// The number of the partition in the topic or the log.
    pub partition: Option<u32>,
    /// The path of the file.
    pub file: Option<String>,
}

/// A record over this size is not held in memory: it is delivered as [`Payload::TooLong`].
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Bytes of a stream that are looked at in one read at most, so that it stays short also where no record ends.
pub(crate) const MAX_BYTES_PER_READ: usize = 4 << 20;

/// What one call of [`Source::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This many records were handed over; there may be more at once.
    Read(usize),
    /// Nothing at hand now, and more may be on its way: the end of the partition is not known to be reached.
    Waiting,
    /// Nothing at hand: the partition is read to its end, and since this instant its broker has answered without a
    /// break. An outage of the broker ends that knowledge; it begins anew after it. What waits for the commit of a
    /// transaction is before the end.
    AtEnd(Instant),
    /// A bounded partition was read to its end; it stays so.
    Ended,
}

/// That a partition was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadToEnd {
    /// All that it held at this instant has been read since.
    pub at: Instant,
    /// Since when its broker has answered without a break.
    pub answering_since: Instant,
}

/// A worker's reader of the partitions that it holds.
pub trait Source {
    /// The partitions held, by slot. It only grows, at its end, while the job runs (new Kafka partitions).
    /// Cheap: it is asked at every turn.
    fn partitions(&mut self) -> &[Partition];

    /// The partition's name for people: `topic/3`, or a file's path.
    fn name(&self, slot: usize) -> String;

    /// What all records of the slot's partition have in common.
    fn origin(&self, _slot: usize) -> Origin {
        Origin::default()
    }

    /// The header of a CSV file, which is no record: known before the first record is handed over. The call of
    /// [`read`](Self::read) that finds it hands over none.
    fn header(&self, _slot: usize) -> Option<&[u8]> {
        None
    }

    /// How the slot's partition is cut into records and how it is compressed, once both are known; of logs there is no such
    /// thing.
    fn form(&self, _slot: usize) -> Option<(Framing, Compression)> {
        None
    }

    /// Hands at most `limit` records of the slot's partition to `each`, in order, and never blocks for more
    /// than a few milliseconds.
    ///
    /// # Errors
    /// Only what cannot be waited out: an offset that is gone, a topic deleted, access denied, a file that
    /// cannot be read. Outages that pass are retried inside, logged in one line and counted.
    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError>;

    /// Whether all partitions end. Only in unbounded sources is a partition ever idle, and an event without a broker's
    /// time stamp too far ahead.
    fn bounded(&self) -> bool;

    /// When the slot's partition was last known to be read to its end, if it is not known to hold more. Where records
    /// keep coming, [`Progress::AtEnd`] may never be answered, though each is read at once.
    fn read_to_end(&self, _slot: usize) -> Option<ReadToEnd> {
        None
    }

    /// Records between the read position of the slot's partition and its end, as last known.
    fn lag(&self, _slot: usize) -> u64 {
        0
    }

    /// The offset of the slot's partition that is read next, where it is known beforehand.
    fn position(&self, _slot: usize) -> Option<i64> {
        None
    }

    /// The offsets of the slot's partition that were last skipped since they are kept no more. A call of
    /// [`read`](Self::read) meets one such gap at most, and hands over no records from before and after it.
    fn gap(&self, _slot: usize) -> Option<Range<i64>> {
        None
    }

    /// Since when the slot's partition has waited for the end of a transaction, in milliseconds since 1970 UTC: what it
    /// wrote is there, and is not delivered before it is committed.
    fn open_transaction(&self, _slot: usize) -> Option<i64> {
        None
    }

    /// What this reader has met so far.
    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}

/// Counters of one reader since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceStats {
    /// Errors that were retried: a broker that went away, a request that timed out.
    pub retries: u64,
    /// Whether the broker cannot be reached just now.
    pub disconnected: bool,
    /// Records between the read position and the end of the partitions, as last known.
    pub lag: u64,
    /// Records that were gone before they were read, and were skipped; of a compacted log it is the offsets.
    pub gap_records: u64,
}

/// Makes the readers of a job, one a worker.
pub trait SourceFactory: Send + Sync {
    /// The reader of `worker` among `workers`. Called on the worker's own thread.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError>;

    /// See [`Source::bounded`].
    fn bounded(&self) -> bool;

    /// What tells this log from another one of the same name, where the broker says so (a Kafka topic's id).
    fn identity(&self) -> Option<String> {
        None
    }

    /// The partitions of a log that are known by now, with the offset at which each begins.
    fn starts(&self) -> BTreeMap<Partition, i64> {
        BTreeMap::new()
    }

    /// The offsets of each partition of a bounded log that are read, so that progress can be shown; empty where they are
    /// not known beforehand.
    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        BTreeMap::new()
    }
}

/// Why a source cannot be read (any further).
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URL or an option of the source makes no sense.
    #[error("source {url:?}: {reason}")]
    Invalid {
        /// As it was given.
        url: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// It cannot be reached at start.
    #[error("source {url}: {reason}")]
    Unreachable {
        /// Without secrets.
        url: String,
        /// What failed.
        reason: String,
    },
    /// Partitions of two topics have the same number in the job, since 44 bits of their names' hashes are equal.
    #[error(
        "topics {first:?} and {second:?} cannot be read by one job, since their names have the same hash"
    )]
    SameNumber {
        /// The one that was found first.
        first: String,
        /// The other one.
        second: String,
    },
    /// The topic is not the one any more that was read, but another one of its name.
    #[error(
        "topic {topic:?} was deleted and made anew while it was read: what is counted is of the one of id {counted}, \
         and this is {found}; a state goes on with no other one, give another --state"
    )]
    Replaced {
        /// Its name.
        topic: String,
        /// The id of the one that was read.
        counted: String,
        /// The id of the one that is there.
        found: String,
    },
    /// A partition cannot be read any further.
    #[error("{partition} at offset {offset}: {reason}")]
    Lost {
        /// Its name for people.
        partition: String,
        /// The next offset to read.
        offset: i64,
        /// What failed.
        reason: String,
    },
    /// An archive cannot be read, or not be written.
    #[error("{0}")]
    Archive(String),
    /// A file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What the operating system says.
        error: std::io::Error,
    },
}

impl From<EndpointError> for SourceError {
    fn from(error: EndpointError) -> Self {
        let (url, reason) = error.into_parts();
        SourceError::Invalid { url, reason }
    }
}
