//! Fills a topic: makes it where it is missing, and sends records as fast as the brokers take them.

use super::client::{LastError, Properties, check, describe, log, plain_config, undelivered};
use super::connect::Lookup;
use crate::endpoint::KafkaUrl;
use crate::source::SourceError;
use crest_host::clock;
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the brokers may take to answer at the start.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long they may take to make a topic.
const CREATE_TIMEOUT: Duration = Duration::from_secs(10);
/// Records sent between two looks at what was delivered.
const SENDS_PER_POLL: u64 = 256;
/// How long a full queue is waited on at a time.
const FULL_QUEUE_POLL: Duration = Duration::from_millis(100);

/// Sends in large compressed batches, each record once and in order, and to the partition that a Java client
/// would choose.
pub(super) const DEFAULTS: [(&str, &str); 11] = [
    ("client.id", "crest"),
    ("enable.idempotence", "true"),
    ("compression.type", "lz4"),
    ("linger.ms", "20"),
    ("batch.num.messages", "20000"),
    ("queue.buffering.max.messages", "200000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("partitioner", "murmur2_random"),
    // A record that was not taken for so long is an error.
    ("message.timeout.ms", "60000"),
    ("reconnect.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
];

/// Why a topic cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The URL or a property makes no sense, the brokers do not answer, or they deny access.
    #[error(transparent)]
    Connect(#[from] SourceError),
    /// The topic could not be made.
    #[error("topic {topic:?}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// Records were not taken.
    #[error("{failed} records were not taken by Kafka, {delivered} were: {reason}")]
    Delivery {
        /// So many were taken before.
        delivered: u64,
        /// So many were not, or it is not known.
        failed: u64,
        /// Why the first of them was not.
        reason: String,
    },
}

/// A topic as it was found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// How many partitions it has.
    pub partitions: usize,
    /// Whether it was made just now.
    pub created: bool,
}

/// Finds the topic, or makes it with `partitions` partitions (as many as
/// the broker makes by default, where that is not said). An existing topic stays as it is.
///
/// # Errors
/// [`ProduceError::Connect`], and [`ProduceError::Topic`] where it cannot be made.
pub fn ensure_topic(
    target: &KafkaUrl,
    partitions: Option<u32>,
    properties: &Properties,
) -> Result<Topic, ProduceError> {
    let lookup = Lookup::of(target, &lookup_properties(properties), CONNECT_TIMEOUT)?;
    if let Some(count) = lookup.existing(&target.topic)? {
        return Ok(Topic { partitions: count, created: false });
    }
    let failed = |reason| ProduceError::Topic { topic: target.topic.clone(), reason };
    let config = plain_config(&target.servers, &lookup_properties(properties), &[("client.id", "crest")])
        .map_err(failed)?;
    let admin: AdminClient<LastError> =
        config.create_with_context(LastError::default()).map_err(|error| failed(describe(&error)))?;
    let count =
        partitions.map_or(Ok(-1), i32::try_from).map_err(|_| failed("too many partitions".to_owned()))?;
    // -1 leaves the choice to the broker.
    let topic = NewTopic::new(&target.topic, count, TopicReplication::Fixed(-1));
    let options =
        AdminOptions::new().operation_timeout(Some(CREATE_TIMEOUT)).request_timeout(Some(CREATE_TIMEOUT));
    let made = futures_executor::block_on(admin.create_topics([&topic], &options));
    let made = made.map_err(|error| failed(describe(&error)))?;
    let created = match made.into_iter().next() {
        Some(Err((_, Code::TopicAlreadyExists))) => false,
        Some(Err((_, code))) => return Err(failed(code.to_string())),
        _ => true,
    };
    Ok(Topic { partitions: lookup.connect(&target.topic)?.len(), created })
}

/// Sends records to a topic.
pub struct Loader {
    producer: BaseProducer<Deliveries>,
    counts: Arc<Counts>,
    topic: String,
    sent: u64,
}

struct Counts {
    target: KafkaUrl,
    delivered: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

impl Loader {
    /// A loader of the topic, which must exist; properties are librdkafka's.
    ///
    /// # Errors
    /// [`ProduceError::Connect`].
    pub fn connect(target: &KafkaUrl, properties: &Properties) -> Result<Self, ProduceError> {
        Lookup::of(target, &lookup_properties(properties), CONNECT_TIMEOUT)?.connect(&target.topic)?;
        let invalid = |reason| SourceError::Invalid { url: target.to_string(), reason };
        let config = plain_config(&target.servers, properties, &DEFAULTS).map_err(invalid)?;
        check(&config).map_err(invalid)?;
        let topic = target.topic.clone();
        let (delivered, failed, first_failure) = Default::default();
        let counts = Arc::new(Counts { target: target.clone(), delivered, failed, first_failure });
        let producer = config.create_with_context(Deliveries(counts.clone()));
        let producer = producer.map_err(|error| invalid(describe(&error)))?;
        Ok(Loader { producer, counts, topic, sent: 0 })
    }

    /// Sends one record; waits while too many are on their way.
    ///
    /// # Errors
    /// [`ProduceError::Delivery`] once a record, this or an earlier one, was not taken.
    pub fn send(&mut self, key: Option<&[u8]>, payload: &[u8]) -> Result<(), ProduceError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).payload(payload);
        record.key = key;
        while let Err((error, back)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(Code::QueueFull) {
                let reason = format!("no record for topic {:?} is taken: {}", self.topic, describe(&error));
                return Err(self.failure(Some(reason)));
            }
            record = back;
            self.producer.poll(FULL_QUEUE_POLL);
            self.check()?;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(SENDS_PER_POLL) {
            self.producer.poll(Duration::ZERO);
            self.check()?;
        }
        Ok(())
    }

    /// How many records Kafka has taken so far.
    pub fn delivered(&self) -> u64 {
        self.counts.delivered.load(Ordering::Relaxed)
    }

    /// Waits until all are taken, at most until `deadline`; says how many were.
    ///
    /// # Errors
    /// [`ProduceError::Delivery`] where any was not.
    pub fn finish(self, deadline: Instant) -> Result<u64, ProduceError> {
        while self.producer.in_flight_count() > 0 {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                let KafkaUrl { servers, topic, .. } = &self.counts.target;
                let reason =
                    format!("{servers} has not acknowledged all records for topic {topic:?} in time");
                return Err(self.failure(Some(reason)));
            }
            let _ = self.producer.flush(left.min(Duration::from_millis(200)));
            self.check()?;
        }
        self.check()?;
        Ok(self.delivered())
    }

    fn check(&self) -> Result<(), ProduceError> {
        if self.counts.failed.load(Ordering::Relaxed) > 0 { Err(self.failure(None)) } else { Ok(()) }
    }

    fn failure(&self, reason: Option<String>) -> ProduceError {
        let first = self.counts.first_failure.lock().clone();
        let delivered = self.delivered();
        let failed = (self.sent - delivered).max(1);
        ProduceError::Delivery { delivered, failed, reason: first.or(reason).unwrap_or_default() }
    }
}

/// The producer's context: counts what was delivered.
struct Deliveries(Arc<Counts>);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, record)) => {
                let mut first = self.0.first_failure.lock();
                first.get_or_insert_with(|| undelivered(error, record, &self.0.target));
                self.0.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The properties that a client which only asks can have too: how to reach the brokers, not how to send.
pub(super) fn lookup_properties(properties: &Properties) -> Properties {
    let reach = ["security.", "ssl.", "sasl.", "enable.ssl.", "broker.", "socket.", "client.", "debug"];
    let kept = properties.iter().filter(|(key, _)| reach.iter().any(|prefix| key.starts_with(prefix)));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}
