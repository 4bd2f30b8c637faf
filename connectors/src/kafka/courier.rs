//! Brings the messages of an outbox to a topic.
//!
//! Always holds: each message is acknowledged by all replicas in sync before it counts as delivered; of two with the same
//! key the later one is the last in its partition. librdkafka's idempotence sees to both within a run. Where it gives up,
//! all that was sent after the first message that failed is sent again, in order, by a new producer.

use super::client::{Properties, check, describe, log, plain_config, undelivered};
use super::connect::Lookup;
use super::producer::{CONNECT_TIMEOUT, DEFAULTS, lookup_properties};
use crate::endpoint::KafkaUrl;
use crate::outbox::{Courier, Delivery, Link, Message, Trouble};
use crate::snapshot::SinkError;
use crate::source::SourceError;
use crest_host::clock;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::Arc;
use std::time::Duration;

/// Properties in which a courier differs from the loader. A message waits as long as it takes; rankings are few.
const COURIER_DEFAULTS: [(&str, &str); 2] = [("linger.ms", "5"), ("acks", "all")];
/// What the courier relies on. A user cannot change it.
const FIXED: [(&str, &str); 2] = [("enable.idempotence", "true"), ("message.timeout.ms", "0")];
/// How long the courier waits for reports at a time.
const POLL: Duration = Duration::from_millis(50);
/// Without an acknowledgement for so long, the brokers are said not to answer.
const SILENCE: Duration = Duration::from_secs(5);
/// The header that has the id of a message.
const ID: &str = "id";

type Sender = BaseProducer<Receipts>;

/// Sends messages to one topic.
pub struct KafkaCourier {
    config: ClientConfig,
    target: KafkaUrl,
    sender: Sender,
}

impl KafkaCourier {
    /// A courier to the topic, which must exist; properties are librdkafka's.
    ///
    /// # Errors
    /// [`SinkError::Invalid`] for a property that makes no sense, [`SinkError::Unreachable`] where no broker answers within
    /// about 10 s or the topic does not exist.
    pub fn connect(target: &KafkaUrl, properties: &Properties) -> Result<Self, SinkError> {
        let invalid = |reason| SinkError::Invalid { url: target.to_string(), reason };
        for (fixed, value) in FIXED {
            if properties.contains_key(fixed) {
                return Err(invalid(format!("property {fixed} is always {value}")));
            }
        }
        Lookup::of(target, &lookup_properties(properties), CONNECT_TIMEOUT)
            .and_then(|lookup| lookup.connect(&target.topic))
            .map_err(|error| refused(target, error))?;
        let defaults = [DEFAULTS.as_slice(), &COURIER_DEFAULTS].concat();
        let mut config = plain_config(&target.servers, properties, &defaults).map_err(invalid)?;
        for (key, value) in FIXED {
            config.set(key, value);
        }
        check(&config).map_err(invalid)?;
        let sender = new_sender(&config, target).map_err(invalid)?;
        Ok(KafkaCourier { config, target: target.clone(), sender })
    }

    /// Sends what librdkafka has room for. Returns how many of the messages that are.
    fn send(&self, messages: &[Arc<Message>]) -> usize {
        self.sender.context().begin();
        for (place, message) in messages.iter().enumerate() {
            let id = Header { key: ID, value: Some(&message.id) };
            let record = BaseRecord::with_opaque_to(&self.target.topic, place)
                .key(message.key.as_bytes())
                .payload(&message.body)
                .headers(OwnedHeaders::new().insert(id));
            self.sender.context().sent();
            let Err((error, _)) = self.sender.send(record) else { continue };
            if error.rdkafka_error_code() == Some(Code::QueueFull) {
                self.sender.context().unsent();
                return place;
            }
            let reason =
                format!("no record for topic {:?} is taken: {}", self.target.topic, describe(&error));
            self.sender.context().settle(place, Fate::of(&error, reason));
        }
        messages.len()
    }

    /// Begins anew where librdkafka has met an error after which it sends nothing any more.
    fn replace_if_broken(&mut self) {
        let Some((_, reason)) = self.sender.client().fatal_error() else { return };
        tracing::error!("Kafka: {}: the producer is replaced: {reason}", self.target);
        match new_sender(&self.config, &self.target) {
            Ok(new) => self.sender = new,
            Err(reason) => tracing::error!("Kafka: {}: there is no new producer: {reason}", self.target),
        }
    }
}

impl Courier for KafkaCourier {
    fn deliver(&mut self, messages: &[Arc<Message>], link: &Link<'_>) -> Delivery {
        self.replace_if_broken();
        let sent = self.send(messages);
        if sent == 0 {
            // It is empty before each batch.
            let reason = "its queue takes no message: queue.buffering.max.kbytes is too small".to_owned();
            return Delivery { trouble: Some(Trouble { reason, pause: None }), ..Delivery::default() };
        }
        let mut heard = clock::now();
        while !self.sender.context().is_settled() {
            if link.is_closed() {
                // Whatever comes of those, the next run sends them again, under the same ids.
                return Delivery::default();
            }
            let before = self.sender.context().open();
            self.sender.poll(POLL);
            if self.sender.context().open() < before {
                heard = clock::now();
            }
            let why = self.sender.context().take_trouble();
            if let Some(why) = why.or_else(|| silent(heard)) {
                link.tell_of_trouble(&why);
            }
        }
        self.sender.context().outcome(sent)
    }
}

/// What there is to say of brokers that have acknowledged nothing since an instant.
fn silent(heard: std::time::Instant) -> Option<String> {
    let silence = clock::since(heard);
    (silence >= SILENCE).then(|| format!("no acknowledgement for {} s", SILENCE.as_secs()))
}

fn refused(target: &KafkaUrl, error: SourceError) -> SinkError {
    let url = target.to_string();
    match error {
        SourceError::Unreachable { reason, .. } => SinkError::Unreachable { url, reason },
        SourceError::Invalid { reason, .. } => SinkError::Invalid { url, reason },
        other => SinkError::Unreachable { url, reason: other.to_string() },
    }
}

fn new_sender(config: &ClientConfig, target: &KafkaUrl) -> Result<Sender, String> {
    let receipts = Receipts { target: target.clone(), batch: Mutex::default(), trouble: Mutex::default() };
    config.create_with_context(receipts).map_err(|error| describe(&error))
}

/// What became of a message.
enum Fate {
    Delivered,
    /// The brokers will never take it.
    Refused(String),
    /// It may be taken when it is sent again.
    Failed(String),
}

impl Fate {
    fn of(error: &KafkaError, reason: String) -> Self {
        match error.rdkafka_error_code() {
            Some(
                Code::MessageSizeTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidMessage
                | Code::InvalidRecord,
            ) => Fate::Refused(reason),
            _ => Fate::Failed(reason),
        }
    }
}

/// The producer's context: notes what became of each message of a batch.
struct Receipts {
    target: KafkaUrl,
    batch: Mutex<Batch>,
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Batch {
    fates: Vec<Option<Fate>>,
    open: usize,
}

impl Receipts {
    fn begin(&self) {
        *self.batch.lock() = Batch::default();
    }

    fn sent(&self) {
        let mut batch = self.batch.lock();
        batch.fates.push(None);
        batch.open += 1;
    }

    /// The message that was sent last was not.
    fn unsent(&self) {
        let mut batch = self.batch.lock();
        batch.fates.pop();
        batch.open -= 1;
    }

    fn settle(&self, place: usize, fate: Fate) {
        let mut batch = self.batch.lock();
        if let Some(open) = batch.fates.get_mut(place).filter(|fate| fate.is_none()) {
            *open = Some(fate);
            batch.open -= 1;
        }
    }

    fn open(&self) -> usize {
        self.batch.lock().open
    }

    fn is_settled(&self) -> bool {
        self.open() == 0
    }

    fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().take()
    }

    /// How far the batch was delivered. After a message that failed, nothing counts: what was sent later is sent again
    /// behind it.
    fn outcome(&self, sent: usize) -> Delivery {
        let mut delivery = Delivery::default();
        for fate in self.batch.lock().fates.drain(..).take(sent) {
            match fate {
                Some(Fate::Delivered) => {}
                Some(Fate::Refused(reason)) => {
                    tracing::error!("Kafka: {}: a message is given up: {reason}", self.target);
                    delivery.refused += 1;
                }
                Some(Fate::Failed(reason)) => {
                    delivery.trouble = Some(Trouble { reason, pause: None });
                    break;
                }
                None => break,
            }
            delivery.done += 1;
        }
        delivery
    }
}

impl ClientContext for Receipts {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        // One broker of several may go without an outage.
        if matches!(
            error.rdkafka_error_code(),
            Some(Code::AllBrokersDown | Code::Fatal | Code::Authentication)
        ) {
            *self.trouble.lock() = Some(format!("{}: {reason}", self.target.servers));
        }
    }
}

impl ProducerContext for Receipts {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, place: usize) {
        let fate = match report {
            Ok(_) => Fate::Delivered,
            Err((error, record)) => Fate::of(error, undelivered(error, record, &self.target)),
        };
        self.settle(place, fate);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{Cluster, TOPIC};
    use super::*;
    use crate::outbox::Outbox;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Headers, Message as _};
    use rdkafka::{Offset, TopicPartitionList};
    use std::collections::BTreeMap;
    use std::time::Instant;

    /// Nothing here takes so long unless it fails.
    const LONG: Duration = Duration::from_secs(60);

    fn outbox(cluster: &Cluster, properties: &[(&str, &str)]) -> Result<Arc<Outbox>, SinkError> {
        let properties: BTreeMap<_, _> =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let courier = KafkaCourier::connect(&cluster.url().parse().unwrap(), &properties)?;
        Outbox::start(&cluster.url(), &["a".into()], courier)
    }

    fn message(number: usize, bytes: usize) -> Message {
        let body = format!("{number:0bytes$}").into_bytes();
        Message { id: number.to_string(), key: format!("key{}", number % 3), body }
    }

    /// The ids of so many records of a topic of one partition, in order, and those of their keys' last ones.
    fn read(cluster: &Cluster, count: usize) -> (Vec<String>, BTreeMap<String, String>) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.servers()).set("group.id", "test");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let (mut ids, mut last) = (Vec::new(), BTreeMap::new());
        while ids.len() < count {
            let record = consumer.poll(LONG).expect("there are more").unwrap();
            let header = record.headers().unwrap().get(0);
            assert_eq!(header.key, ID);
            let id = String::from_utf8(header.value.unwrap().to_vec()).unwrap();
            last.insert(String::from_utf8(record.key().unwrap().to_vec()).unwrap(), id.clone());
            ids.push(id);
        }
        (ids, last)
    }

    #[test]
    fn messages_wait_out_an_outage_and_come_in_order() {
        let cluster = Cluster::start(1);
        let outbox = outbox(&cluster, &[]).unwrap();
        (0..50).for_each(|number| outbox.push(message(number, 10)));
        outbox.complete("a", 50);
        outbox.flush(Instant::now() + LONG).unwrap();
        cluster.down();
        (50..2500).for_each(|number| outbox.push(message(number, 10)));
        outbox.complete("a", 100);
        while outbox.trouble().is_none() {
            std::thread::sleep(POLL);
        }
        assert_eq!(outbox.delivered(), 50);
        assert!(outbox.stats().disconnected);
        cluster.up();
        outbox.flush(Instant::now() + LONG).unwrap();
        assert_eq!((outbox.delivered(), outbox.stats().delivered), (100, 2500));
        let (ids, _) = read(&cluster, 2500);
        assert_eq!(ids, (0..2500).map(|number| number.to_string()).collect::<Vec<_>>());
        outbox.close(Instant::now() + LONG);
    }

    #[test]
    fn a_message_that_is_too_large_is_given_up_and_holds_up_no_other() {
        let cluster = Cluster::start(1);
        let outbox = outbox(&cluster, &[("message.max.bytes", "2000")]).unwrap();
        for number in 0..30 {
            outbox.push(message(number, if number == 7 { 3000 } else { 100 }));
        }
        outbox.flush(Instant::now() + LONG).unwrap();
        let stats = outbox.stats();
        assert_eq!((stats.delivered, stats.refused), (29, 1));
        let (ids, last) = read(&cluster, 29);
        assert!(!ids.contains(&"7".to_owned()));
        assert_eq!(last.into_values().collect::<Vec<_>>(), ["27", "28", "29"]);
    }

    #[test]
    fn what_it_relies_on_cannot_be_changed_and_the_topic_must_be_there() {
        let cluster = Cluster::start(1);
        let error = outbox(&cluster, &[("enable.idempotence", "false")]).err().unwrap().to_string();
        assert!(error.contains("property enable.idempotence is always true"), "{error}");
        let url: KafkaUrl = format!("kafka://{}/nowhere", cluster.servers()).parse().unwrap();
        let missing = KafkaCourier::connect(&url, &Properties::new());
        assert!(matches!(missing, Err(SinkError::Unreachable { .. })));
    }
}
