//! Messages of one partition in batches, by calls of librdkafka's C functions.
//!
//! `BaseConsumer::poll` makes an event and a counted reference of each message, which takes three times the
//! processor time of `rd_kafka_consume_batch_queue`. In: a consumer and a partition, before the partition is
//! assigned. Out: borrowed records. Always holds: the queue never outlives its consumer, a message never
//! outlives the call that lends it, and all messages of a batch are destroyed, also where the callee panics.
#![allow(unsafe_code)]

use crate::source::{BrokerTime, EachHeader, Headers, Payload, Record};
use rdkafka::bindings as ffi;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::{RDKafkaMessage, RDKafkaQueue, RDKafkaRespErr};
use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// What librdkafka hands over for a partition.
#[derive(Debug)]
pub(crate) enum Delivery<'a> {
    /// A message.
    Message(Record<'a>),
    /// An error in place of a message, the end of the partition among them.
    Error {
        /// The error.
        code: RDKafkaErrorCode,
        /// The offset at which it was met, where it has one.
        offset: i64,
        /// librdkafka's own words.
        reason: String,
    },
}

/// The messages of one partition, kept apart from those of all others.
pub(crate) struct PartitionQueue<C: ConsumerContext> {
    queue: NonNull<RDKafkaQueue>,
    topic: CString,
    partition: i32,
    /// Declared last, so that it is dropped after [`Drop::drop`] has given the queue back: the queue belongs to
    /// this client.
    consumer: Arc<BaseConsumer<C>>,
}

/// Room for the messages of one call, kept between calls.
#[derive(Default)]
pub(crate) struct Batch(Vec<*mut RDKafkaMessage>);

impl<C: ConsumerContext> PartitionQueue<C> {
    /// Takes the partition's messages out of the consumer's own queue. To be called before `assign`, so that
    /// not one message goes there. `None` where librdkafka cannot make the queue.
    pub(crate) fn new(consumer: &Arc<BaseConsumer<C>>, topic: &str, partition: i32) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: `client` is the live handle of `consumer`, which is kept alive for as long as the queue;
        // `topic` is a C string that outlives the call. The reference returned is ours to give back.
        let queue = unsafe { ffi::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        let queue = NonNull::new(queue)?;
        // SAFETY: `queue` is a live reference; a null destination is documented to end the forwarding.
        unsafe { ffi::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut()) };
        Some(PartitionQueue { queue, topic, partition, consumer: consumer.clone() })
    }

    /// The next offset to be written to the partition, as the broker said in its last answer to a fetch. What waits for
    /// the commit of a transaction is before it.
    pub(crate) fn high(&self) -> Option<i64> {
        let (client, mut low, mut high) = (self.consumer.client().native_ptr(), 0, 0);
        // SAFETY: `client` is the live handle of our consumer, `topic` a C string that outlives the call, and there are
        // two places to write to. What is asked for is at hand; nothing is sent or waited for.
        let known = unsafe {
            let topic = self.topic.as_ptr();
            ffi::rd_kafka_get_watermark_offsets(client, topic, self.partition, &mut low, &mut high)
        };
        // Negative stands for none.
        (known == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Takes at most `limit` of the messages at hand, without waiting.
    pub(crate) fn take<'a>(&'a mut self, batch: &'a mut Batch, limit: usize) -> Messages<'a> {
        batch.0.clear();
        batch.0.reserve(limit);
        // SAFETY: the queue is a live reference, and the vector has room for `limit` pointers, of which the call
        // writes as many as it returns. With a timeout of 0 it takes what is there and does not wait.
        let count =
            unsafe { ffi::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, batch.0.as_mut_ptr(), limit) };
        // It is negative where the call failed, and then nothing was written.
        let count = usize::try_from(count).unwrap_or(0).min(limit);
        // SAFETY: `count` pointers were written, and there was room for them.
        unsafe { batch.0.set_len(count) };
        Messages { all: &batch.0, next: 0 }
    }
}

impl<C: ConsumerContext> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, nobody else has it, and its client is still alive: `consumer` is
        // dropped after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// A batch of messages, each destroyed once: after it was lent, or with the batch.
pub(crate) struct Messages<'a> {
    all: &'a [*mut RDKafkaMessage],
    next: usize,
}

impl Messages<'_> {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Hands them to `each`, in order; says how many.
    pub(crate) fn hand_out(mut self, each: &mut dyn FnMut(Delivery<'_>)) -> usize {
        while let Some(message) = self.next() {
            each(message.delivery());
        }
        self.all.len()
    }

    fn next(&mut self) -> Option<Message> {
        let message = *self.all.get(self.next)?;
        // From here on it is the message's own drop that destroys it.
        self.next += 1;
        Some(Message(message))
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}

/// One message that librdkafka gave to us to destroy.
#[derive(Debug)]
struct Message(*mut RDKafkaMessage);

impl Message {
    /// What it holds, for as long as it lives.
    fn delivery(&self) -> Delivery<'_> {
        // SAFETY: librdkafka wrote this pointer to a message of ours, which lives until our drop destroys it.
        let message = unsafe { &*self.0 };
        if message.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Delivery::Error {
                code: message.err.into(),
                offset: message.offset,
                reason: self.reason(),
            };
        }
        // SAFETY: a message without an error holds `len` bytes at `payload` and `key_len` bytes at `key`, unless they are
        // null. They live as long as it does.
        let (payload, key) =
            unsafe { (bytes(message.payload, message.len), bytes(message.key, message.key_len)) };
        Delivery::Message(Record {
            offset: message.offset,
            time: self.time(),
            payload: payload.map_or(Payload::Tombstone, Payload::new),
            key,
            headers: Some(self),
        })
    }

    fn time(&self) -> Option<BrokerTime> {
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is live, and `kind` is a place to write to.
        let time = unsafe { ffi::rd_kafka_message_timestamp(self.0, &mut kind) };
        match kind {
            // A producer that has no time sends -1.
            _ if time < 0 => None,
            ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => Some(BrokerTime::Created(time)),
            ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => {
                Some(BrokerTime::Appended(time))
            }
            ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => None,
        }
    }

    fn reason(&self) -> String {
        // SAFETY: the message is live; what is returned is null or a C string that lives as long as it does.
        unsafe {
            let reason = ffi::rd_kafka_message_errstr(self.0);
            if reason.is_null() {
                String::new()
            } else {
                CStr::from_ptr(reason).to_string_lossy().into_owned()
            }
        }
    }
}

impl Headers for Message {
    fn last(&self, name: &str) -> Option<&[u8]> {
        let name = CString::new(name).ok()?;
        let (mut headers, mut value, mut length) = (ptr::null_mut(), ptr::null(), 0);
        // SAFETY: the message is live, `name` is a C string that outlives the calls, and there is a place for each answer.
        // The headers are the message's own, and so is the value: both live as long as it does. The message is not
        // shared between threads, so that nobody else has its headers parsed at the same time.
        unsafe {
            let found = ffi::rd_kafka_message_headers(self.0, &mut headers);
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            let found = ffi::rd_kafka_header_get_last(headers, name.as_ptr(), &mut value, &mut length);
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            bytes(value, length)
        }
    }

    fn each(&self, take: EachHeader<'_>) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is live, and there is a place for the answer. The headers are the message's own, and live as
        // long as it does.
        let found = unsafe { ffi::rd_kafka_message_headers(self.0, &mut headers) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers are live, and there is a place for each answer. What is found is a C string and a value
            // of so many bytes, both of which live as long as the message.
            unsafe {
                let found = ffi::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut length);
                if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                    return;
                }
                take(CStr::from_ptr(name).to_bytes(), bytes(value, length));
            }
        }
    }
}

/// The bytes at a place; `None` where it is null.
///
/// # Safety
/// Unless `place` is null, there are `length` bytes at it, which live as long as the borrow.
unsafe fn bytes<'a>(place: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!place.is_null()).then(|| unsafe { std::slice::from_raw_parts(place.cast::<u8>(), length) })
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: librdkafka gave this message to us, and nobody else destroys it: `Messages` moves on first.
        unsafe { ffi::rd_kafka_message_destroy(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::tests_support::{Cluster, TOPIC};
    use rdkafka::consumer::DefaultConsumerContext;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::BaseRecord;
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    fn consumer(cluster: &Cluster) -> Arc<BaseConsumer<DefaultConsumerContext>> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", cluster.servers())
            .set("group.id", "test")
            .set("enable.partition.eof", "true");
        Arc::new(config.create().unwrap())
    }

    /// A consumer of two partitions from their beginning on.
    fn queues(cluster: &Cluster) -> [PartitionQueue<DefaultConsumerContext>; 2] {
        let consumer = consumer(cluster);
        let queues = [0, 1].map(|partition| PartitionQueue::new(&consumer, TOPIC, partition).unwrap());
        let mut list = TopicPartitionList::new();
        for partition in 0..2 {
            list.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        queues
    }

    /// Reads until the end of the partition is met.
    fn read_to_end(
        queue: &mut PartitionQueue<DefaultConsumerContext>,
        limit: usize,
    ) -> Vec<(i64, Option<Vec<u8>>, bool)> {
        let (mut found, mut end, mut batch) = (Vec::new(), false, Batch::default());
        while !end {
            let mut handed = 0;
            let count = queue.take(&mut batch, limit).hand_out(&mut |delivery| {
                handed += 1;
                match delivery {
                    Delivery::Message(record) => {
                        let stamped = matches!(record.time, Some(BrokerTime::Created(time)) if time > 0);
                        found.push((record.offset, record.payload.bytes().map(<[u8]>::to_vec), stamped));
                    }
                    Delivery::Error { code: RDKafkaErrorCode::PartitionEOF, offset, reason } => {
                        assert_eq!(offset, found.len() as i64);
                        assert!(reason.contains("end of partition"), "{reason}");
                        end = true;
                    }
                    other => panic!("{other:?}"),
                }
            });
            assert!(count <= limit && count == handed);
            if count == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        found
    }

    #[test]
    fn each_partition_gives_its_own_messages_in_order_and_then_its_end() {
        let cluster = Cluster::start(2);
        let payload = |partition: i32, n: i64| format!("{partition}:{n}").into_bytes();
        for partition in 0..2 {
            cluster.produce(partition, (0..1000).map(|n| payload(partition, n)));
        }
        for (partition, mut queue) in (0..).zip(queues(&cluster)) {
            let expected: Vec<_> = (0..1000).map(|n| (n, Some(payload(partition, n)), true)).collect();
            assert_eq!(read_to_end(&mut queue, 64), expected);
            assert_eq!(queue.high(), Some(1000));
        }
    }

    #[test]
    fn a_tombstone_is_not_an_empty_payload() {
        let cluster = Cluster::start(2);
        cluster.produce_tombstone(0);
        cluster.produce(0, [Vec::new()]);
        let [mut queue, _other] = queues(&cluster);
        assert_eq!(read_to_end(&mut queue, 10), [(0, None, true), (1, Some(Vec::new()), true)]);
    }

    #[test]
    fn a_record_has_its_key_and_the_last_header_of_each_name() {
        let cluster = Cluster::start(2);
        let headers = OwnedHeaders::new()
            .insert(Header { key: "trace", value: Some("first") })
            .insert(Header { key: "empty", value: Some("") })
            .insert(Header { key: "trace", value: Some("last") })
            .insert(Header { key: "null", value: None::<&str> });
        cluster.send(BaseRecord::to(TOPIC).partition(0).key("key").payload("1").headers(headers));
        cluster.send(BaseRecord::<str, str>::to(TOPIC).partition(0).payload("2"));
        cluster.send(BaseRecord::to(TOPIC).partition(0).key("").payload("3"));
        let [mut queue, _other] = queues(&cluster);
        let (mut found, mut batch) = (Vec::new(), Batch::default());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut all = Vec::new();
        while found.len() < 3 {
            queue.take(&mut batch, 10).hand_out(&mut |delivery| {
                let Delivery::Message(record) = delivery else { return };
                let headers = record.headers.unwrap();
                headers.each(&mut |name, value| all.push((text(name), value.map(text))));
                let last = |name| headers.last(name).map(text);
                let names = ["trace", "empty", "null", "none", "tra\0ce"];
                found.push((record.key.map(text), names.map(last)));
            });
        }
        let none = [const { None }; 5];
        let headers = [Some("last".to_owned()), Some(String::new()), None, None, None];
        assert_eq!(
            found,
            [(Some("key".to_owned()), headers), (None, none.clone()), (Some(String::new()), none)]
        );
        let sent = [("trace", Some("first")), ("empty", Some("")), ("trace", Some("last")), ("null", None)];
        assert_eq!(all, sent.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    }

    #[test]
    fn a_panic_of_the_callee_destroys_the_rest_of_the_batch_and_leaves_the_queue_usable() {
        let cluster = Cluster::start(2);
        cluster.produce(0, (0..100).map(|n: u32| n.to_string().into_bytes()));
        let [mut queue, _other] = queues(&cluster);
        let (mut batch, mut first) = (Batch::default(), 0);
        while first == 0 {
            let mut seen = 0;
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                queue.take(&mut batch, 50).hand_out(&mut |_| {
                    seen += 1;
                    panic!("the callee gives up");
                })
            }));
            assert_eq!(panicked.is_err(), seen == 1);
            first += seen;
        }
        // The batch is gone; what was not in it still comes. A message freed twice would end the process here.
        let rest = read_to_end_from(&mut queue);
        assert!(rest < 100, "{rest}");
        drop(queue);
    }

    fn read_to_end_from(queue: &mut PartitionQueue<DefaultConsumerContext>) -> usize {
        let (mut messages, mut end, mut batch) = (0, false, Batch::default());
        while !end {
            queue.take(&mut batch, 50).hand_out(&mut |delivery| match delivery {
                Delivery::Message(_) => messages += 1,
                Delivery::Error { code: RDKafkaErrorCode::PartitionEOF, .. } => end = true,
                other => panic!("{other:?}"),
            });
        }
        messages
    }

    #[test]
    fn the_queue_keeps_its_consumer_alive() {
        let cluster = Cluster::start(2);
        cluster.produce(0, [b"x".to_vec()]);
        let [mut queue, other] = queues(&cluster);
        drop(other);
        assert_eq!(read_to_end(&mut queue, 10).len(), 1);
    }

    #[test]
    fn a_topic_with_a_nul_is_refused() {
        let cluster = Cluster::start(1);
        assert!(PartitionQueue::new(&consumer(&cluster), "a\0b", 0).is_none());
    }
}
