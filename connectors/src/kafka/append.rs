//! A topic as the log that events are written to.
//!
//! In: batches, from any thread. Out: each sender hears once whether all records of its batch are in the topic. Always
//! holds: what is on its way is bounded, and a batch over the bound is refused before any of it is sent; while the
//! brokers are known to be away, batches are refused at once and the brokers are asked every second.

use super::availability::Availability;
use super::client::{Properties, check, describe, log, plain_config, undelivered};
use super::connect::Lookup;
use super::errors::{Kind, kind};
use super::fate::Fate;
use super::in_flight::{InFlight, Waiting};
use super::producer::{CONNECT_TIMEOUT, DEFAULTS, lookup_properties};
use crate::append::{AppendError, AppendStats, Batch, Done, EventLog};
use crate::endpoint::KafkaUrl;
use crate::source::{MAX_RECORD_BYTES, SourceError};
use crest_host::clock;
use parking_lot::{Mutex, RwLock};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Properties in which the log differs from the loader. A sender waits for each batch, so it must learn soon that no
/// broker takes it.
const LOG_DEFAULTS: [(&str, &str); 2] = [("linger.ms", "5"), ("message.timeout.ms", "10000")];
/// librdkafka's own limits. They are above those of the log, so that librdkafka never refuses the rest of a batch.
const QUEUE_BOUNDS: [(&str, &str); 2] =
    [("queue.buffering.max.messages", "0"), ("queue.buffering.max.kbytes", "1048576")];
/// What librdkafka counts for a record beside key and payload when it checks `message.max.bytes`.
const RECORD_OVERHEAD: usize = 36;
/// How long the thread waits for reports at a time.
const POLL: Duration = Duration::from_millis(50);
/// How often brokers that are away are asked, and how long they have to answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

type Sender = BaseProducer<Reports>;

/// A Kafka topic that events are appended to: acknowledged by all replicas in sync, each once, keyed like
/// [`Loader`](super::Loader)'s.
pub struct KafkaLog {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the senders and the thread share.
struct Shared {
    config: ClientConfig,
    target: KafkaUrl,
    /// Bytes of key and payload of a record at most.
    max_bytes: usize,
    waiting: Arc<Waiting>,
    brokers: Arc<Availability>,
    /// Replaced where librdkafka gives up for good.
    sender: RwLock<Arc<Sender>>,
    closed: AtomicBool,
}

impl KafkaLog {
    /// The topic of `url`, which must exist; properties are librdkafka's.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] for a property that makes no sense, [`SourceError::Unreachable`] where no
    /// broker answers within about 10 s or the topic does not exist.
    pub fn connect(url: &KafkaUrl, properties: &Properties) -> Result<Self, SourceError> {
        let invalid = |reason| SourceError::Invalid { url: url.to_string(), reason };
        if let Some((bound, _)) = QUEUE_BOUNDS.iter().find(|(bound, _)| properties.contains_key(*bound)) {
            return Err(invalid(format!("property {bound}: what waits is bounded by the log itself")));
        }
        Lookup::of(url, &lookup_properties(properties), CONNECT_TIMEOUT)?.connect(&url.topic)?;
        let mut defaults = DEFAULTS.to_vec();
        defaults.extend(LOG_DEFAULTS);
        let mut config = plain_config(&url.servers, properties, &defaults).map_err(invalid)?;
        for (key, value) in QUEUE_BOUNDS {
            config.set(key, value);
        }
        check(&config).map_err(invalid)?;
        let (waiting, brokers) = (Arc::default(), Arc::default());
        let max_bytes = max_record_bytes(&config).map_err(invalid)?;
        let sender = new_sender(&config, url, &brokers).map_err(invalid)?;
        let sender = RwLock::new(Arc::new(sender));
        let (closed, target) = (AtomicBool::new(false), url.clone());
        let shared = Shared { config, target, max_bytes, waiting, brokers, sender, closed };
        let shared = Arc::new(shared);
        let theirs = shared.clone();
        let thread = crest_host::thread::spawn("kafka-log", move || serve(&theirs));
        let thread = thread.map_err(|error| SourceError::Unreachable {
            url: url.to_string(),
            reason: format!("the thread that writes to it cannot be started: {error}"),
        })?;
        Ok(KafkaLog { shared, thread: Mutex::new(Some(thread)) })
    }
}

impl EventLog for KafkaLog {
    /// What is refused at once is told to `done` within the call.
    fn append(&self, batch: Batch, done: Done) {
        let shared = &*self.shared;
        if batch.is_empty() {
            return done(Ok(()));
        }
        if let Some(refusal) = shared.refusal(&batch) {
            shared.waiting.counts.failed();
            return done(Err(refusal));
        }
        match InFlight::new(&shared.waiting, &batch, done) {
            Ok(flight) => shared.send(&batch, &flight),
            Err(done) => {
                shared.waiting.counts.full();
                done(Err(AppendError::Full));
            }
        }
    }

    fn stats(&self) -> AppendStats {
        let Shared { waiting, brokers, .. } = &*self.shared;
        waiting.counts.stats(waiting.bytes(), brokers.outage().is_some())
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.shared.waiting.flush(deadline)
    }
}

impl Shared {
    /// Why nothing of the batch is sent, where that is so.
    fn refusal(&self, batch: &Batch) -> Option<AppendError> {
        let mut sizes =
            batch.iter().map(|(key, payload)| (key.len() + payload.len(), payload.len())).enumerate();
        let large = sizes.find(|(_, (both, payload))| *both > self.max_bytes || *payload > MAX_RECORD_BYTES);
        if let Some((index, (both, _))) = large {
            let most = self.max_bytes.min(MAX_RECORD_BYTES);
            let reason = format!("it has {both} bytes with its key, and the topic is sent {most} at most");
            return Some(AppendError::Refused { index, reason });
        }
        self.brokers.outage().map(AppendError::Unavailable)
    }

    fn send(&self, batch: &Batch, flight: &Arc<InFlight>) {
        let sender = self.sender();
        for (index, (key, payload)) in batch.iter().enumerate() {
            let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.target.topic, flight.clone());
            record = record.payload(payload);
            // Without a key the partition is chosen at random, which an empty one would not say.
            record.key = (!key.is_empty()).then_some(key);
            let Err((error, _)) = sender.send(record) else { continue };
            let reason =
                format!("no record for topic {:?} is taken: {}", self.target.topic, describe(&error));
            let full = error.rdkafka_error_code() == Some(Code::QueueFull);
            match index {
                0 if full => flight.refuse(AppendError::Full),
                0 => flight.refuse(AppendError::Unavailable(reason)),
                _ => flight.settle(batch.len() - index, Fate::Dropped, Some(reason)),
            }
            return;
        }
    }

    fn sender(&self) -> Arc<Sender> {
        self.sender.read().clone()
    }

    /// Asks the brokers whether each partition of the topic has one that takes its records.
    fn probe(&self, sender: &Sender) {
        let KafkaUrl { servers, topic: name, .. } = &self.target;
        let metadata = sender.client().fetch_metadata(Some(name), PROBE_TIMEOUT);
        let untold = |error| format!("{servers} does not tell of topic {name:?}: {}", describe(&error));
        let found = metadata.map_err(untold).and_then(|metadata| {
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            let topic = topic.ok_or_else(|| format!("{servers} does not tell of topic {name:?}"))?;
            let leaderless = || topic.partitions().iter().find(|partition| partition.leader() < 0);
            match topic.error() {
                Some(error) => Err(format!("topic {name:?}: {}", Code::from(error))),
                None => leaderless().map_or(Ok(()), |p| Err(format!("{name}/{} has no leader", p.id()))),
            }
        });
        match found {
            Ok(()) => self.brokers.recover(),
            Err(reason) => self.brokers.lose(&reason),
        }
    }

    /// Begins anew where librdkafka has met an error after which it sends nothing any more.
    fn replace(&self, sender: &Sender) {
        let Some((_, reason)) = sender.client().fatal_error() else { return };
        tracing::error!("Kafka: {}: the producer is replaced: {reason}", self.target);
        match new_sender(&self.config, &self.target, &self.brokers) {
            Ok(new) => {
                *self.sender.write() = Arc::new(new);
            }
            Err(reason) => self.brokers.lose(&reason),
        }
    }
}

/// The thread that serves librdkafka's reports and looks after outages. What is on its way when it ends is given up.
fn serve(shared: &Shared) {
    let mut asked: Option<Instant> = None;
    while !shared.closed.load(Ordering::Acquire) {
        let sender = shared.sender();
        sender.poll(POLL);
        if shared.brokers.is_in_doubt() && asked.is_none_or(|asked| clock::since(asked) >= PROBE_INTERVAL) {
            shared.replace(&sender);
            shared.probe(&sender);
            asked = Some(clock::now());
        }
    }
}

impl Drop for KafkaLog {
    /// Gives up what is on its way; [`flush`](EventLog::flush) waits for it first.
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        let thread = self.thread.lock().take();
        // A sender may let go of the log in its answer, which comes from this thread.
        if let Some(thread) = thread.filter(|serving| serving.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("url", &self.shared.target).finish_non_exhaustive()
    }
}

/// The producer's context: settles records, and hears of outages.
struct Reports {
    target: KafkaUrl,
    brokers: Arc<Availability>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        // One broker of several may go without an outage; when all are down, the one before says why.
        if matches!(error.rdkafka_error_code(), Some(Code::AllBrokersDown | Code::Fatal)) {
            self.brokers.suspect(&format!("{}: {reason}", self.target.servers));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<InFlight>;

    fn delivery(&self, report: &DeliveryResult<'_>, flight: Arc<InFlight>) {
        let reason = report.as_ref().err().map(|(error, record)| undelivered(error, record, &self.target));
        if let Err((error, _)) = report
            && error.rdkafka_error_code().is_some_and(means_outage)
        {
            self.brokers.lose(reason.as_deref().unwrap_or_default());
        }
        flight.settle(1, Fate::of(report), reason);
    }
}

/// Whether this failure of a record means that the next records will fail too.
fn means_outage(code: Code) -> bool {
    use Code::{Fatal, MessageTimedOut, UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    kind(code) == Kind::Passing
        || matches!(code, Fatal | MessageTimedOut | UnknownPartition | UnknownTopic | UnknownTopicOrPartition)
}

fn new_sender(
    config: &ClientConfig,
    target: &KafkaUrl,
    brokers: &Arc<Availability>,
) -> Result<Sender, String> {
    let reports = Reports { target: target.clone(), brokers: brokers.clone() };
    config.create_with_context(reports).map_err(|error| describe(&error))
}

/// Bytes of key and payload that librdkafka takes of a record at most.
fn max_record_bytes(config: &ClientConfig) -> Result<usize, String> {
    let native = config.create_native_config().map_err(|error| describe(&error))?;
    let given = native.get("message.max.bytes").map_err(|error| describe(&error))?;
    let bytes: usize = given.parse().map_err(|_| format!("property message.max.bytes: {given:?}"))?;
    Ok(bytes.saturating_sub(RECORD_OVERHEAD))
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::Cluster;
    use super::*;
    use crate::append::MAX_WAITING_BYTES;
    use std::collections::BTreeMap;
    use std::sync::mpsc::{Receiver, channel};

    /// Nothing here takes so long unless it fails.
    const LONG: Duration = Duration::from_secs(60);

    fn append(log: &KafkaLog, payload: usize) -> Receiver<Result<(), AppendError>> {
        let (told, hear) = channel();
        let mut batch = Batch::default();
        batch.push(b"key", &vec![b'x'; payload]);
        log.append(batch, Box::new(move |outcome| told.send(outcome).unwrap()));
        hear
    }

    fn connect(cluster: &Cluster, properties: &[(&str, &str)]) -> KafkaLog {
        let properties: BTreeMap<_, _> =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        KafkaLog::connect(&cluster.url().parse().unwrap(), &properties).unwrap()
    }

    #[test]
    fn what_is_on_its_way_is_bounded_and_is_still_sent() {
        let cluster = Cluster::start(2);
        let log = connect(&cluster, &[]);
        assert_eq!(append(&log, 10).recv_timeout(LONG).unwrap(), Ok(()));
        cluster.slow_down(Duration::from_secs(3));
        let mut waiting = Vec::new();
        loop {
            let hear = append(&log, 900_000);
            match hear.try_recv() {
                Ok(outcome) => break assert_eq!(outcome, Err(AppendError::Full)),
                Err(_) => waiting.push(hear),
            }
            assert!(waiting.len() * 900_000 <= MAX_WAITING_BYTES);
        }
        let stats = log.stats();
        assert_eq!((stats.full, stats.waiting_bytes), (1, waiting.len() as u64 * 900_003));
        assert!(!log.flush(Instant::now()));
        cluster.slow_down(Duration::ZERO);
        assert!(log.flush(Instant::now() + LONG));
        assert!(waiting.iter().all(|hear| hear.try_recv().unwrap() == Ok(())));
        assert_eq!(log.stats().waiting_bytes, 0);
    }

    #[test]
    fn brokers_that_are_away_are_asked_until_they_are_back() {
        let cluster = Cluster::start(2);
        let log = connect(&cluster, &[("message.timeout.ms", "2000")]);
        assert_eq!(append(&log, 10).recv_timeout(LONG).unwrap(), Ok(()));
        cluster.down();
        let deadline = Instant::now() + LONG;
        while !log.stats().unavailable {
            assert!(Instant::now() < deadline);
            let _ = append(&log, 10).recv_timeout(LONG).unwrap();
        }
        let Ok(Err(AppendError::Unavailable(why))) = append(&log, 10).try_recv() else {
            panic!("it is refused")
        };
        assert!(why.contains(cluster.servers()), "{why}");
        cluster.up();
        while log.stats().unavailable {
            assert!(Instant::now() < deadline);
            thread::sleep(POLL);
        }
        assert_eq!(append(&log, 10).recv_timeout(LONG).unwrap(), Ok(()));
    }

    #[test]
    fn a_log_that_is_let_go_of_gives_up_what_is_on_its_way() {
        let cluster = Cluster::start(1);
        let log = connect(&cluster, &[]);
        cluster.slow_down(Duration::from_secs(20));
        let hear = append(&log, 10);
        drop(log);
        let outcome = hear.recv_timeout(LONG).unwrap();
        assert!(
            matches!(outcome, Err(AppendError::Unavailable(_) | AppendError::Partly { .. })),
            "{outcome:?}"
        );
    }
}
