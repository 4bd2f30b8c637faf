//! What the brokers say of topics: their partitions, and the id by which a topic differs from another one of the same name
//! (KIP-516).
//!
//! librdkafka has a call for it, `rd_kafka_DescribeTopics`, which is one request for metadata and which the safe crate
//! does not offer. In: a client and the names of topics. Out: the answer, as values of our own. Always holds: each handle
//! that librdkafka hands out is given back once, on every path, after all that was lent from it; nothing outlives the call.
#![allow(unsafe_code)]

use rdkafka::bindings as ffi;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

/// librdkafka did not make what it was asked to make.
const NOT_MADE: &str = "librdkafka has no memory for it";

/// A topic's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicId(u128);

impl TopicId {
    /// As librdkafka writes it: in base64, without padding.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = |byte| DIGITS.iter().position(|digit| *digit == byte);
        let (last, first) = text.as_bytes().split_last().filter(|(_, first)| first.len() == 21)?;
        let id = first.iter().try_fold(0, |id: u128, byte| Some(id << 6 | digit(*byte)? as u128))?;
        // The last digit has two bits of the id.
        Some(TopicId(id << 2 | digit(*last)? as u128 >> 4))
    }

    /// Whether it stands for none.
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What the brokers say of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// `None` where the brokers give no ids to topics (before Kafka 2.8).
    pub(crate) id: Option<TopicId>,
    pub(crate) partitions: Vec<u32>,
}

/// What the brokers say of each of several topics, by their names.
pub(crate) type Descriptions = Vec<(String, Result<Description, Unknown>)>;

/// Why a topic is not described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The brokers have none of this name.
    Missing,
    /// They do not say: no answer, access denied.
    Untold(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Missing => f.write_str("unknown topic"),
            Unknown::Untold(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for TopicId {
    /// As 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Asks what the brokers say of a topic, for at most `timeout`.
///
/// # Errors
/// [`Unknown`].
pub(crate) fn describe_topic<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Description, Unknown> {
    let answer = describe_topics(consumer, &[topic], timeout)?.into_iter().next();
    answer
        .map_or_else(|| Err(Unknown::Untold("the answer does not name the topic".to_owned())), |(_, one)| one)
}

/// Asks what the brokers say of topics, for at most `timeout`. They answer for each of them.
///
/// # Errors
/// [`Unknown::Untold`] where they answer for none.
pub(crate) fn describe_topics<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[impl AsRef<str>],
    timeout: Duration,
) -> Result<Descriptions, Unknown> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let names = topics.iter().map(|topic| CString::new(topic.as_ref())).collect::<Result<Vec<_>, _>>();
    let owned = names.map_err(|error| Unknown::Untold(error.to_string()))?;
    let mut names: Vec<_> = owned.iter().map(|name| name.as_ptr()).collect();
    let wait = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let client = consumer.client().native_ptr();
    let kind = ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: `client` is the live handle of `consumer`, which is borrowed for the whole call. What the three calls
    // return is null or ours, each to be given back by the function beside it. `names` holds C strings, which are alive
    // in `owned` and are copied.
    let (options, topics, queue) = unsafe {
        (
            Owned::new(ffi::rd_kafka_AdminOptions_new(client, kind), ffi::rd_kafka_AdminOptions_destroy)?,
            Owned::new(
                ffi::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
                ffi::rd_kafka_TopicCollection_destroy,
            )?,
            Owned::new(ffi::rd_kafka_queue_new(client), ffi::rd_kafka_queue_destroy)?,
        )
    };
    // SAFETY: the options are live; no room is given for an error's text, which is allowed.
    let set =
        unsafe { ffi::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), wait, ptr::null_mut(), 0) };
    check(set)?;
    // SAFETY: all four handles are live. The call takes what it needs of the topics and options, and keeps the queue
    // by a reference of its own until it has answered.
    unsafe { ffi::rd_kafka_DescribeTopics(client, topics.as_ptr(), options.as_ptr(), queue.as_ptr()) };
    // SAFETY: the queue is live; what comes is null, after the time is over, or an event that is ours to give back.
    let event =
        unsafe { Owned::new(ffi::rd_kafka_queue_poll(queue.as_ptr(), wait), ffi::rd_kafka_event_destroy) };
    described(&event.map_err(|_| Unknown::Untold("no answer in time".to_owned()))?)
}

/// What the answer says of the topics that were asked for.
fn described(event: &Owned<ffi::rd_kafka_event_t>) -> Result<Descriptions, Unknown> {
    let mut count = 0;
    // SAFETY: the event is live. It is one of an admin call, whose error can be asked for; its result is null where it
    // is not the answer to `DescribeTopics`, and else lives as long as the event, as does the array of `count`
    // descriptions, whose number is written to a place of ours.
    let (error, all) = unsafe {
        let error = ffi::rd_kafka_event_error(event.as_ptr());
        let result = ffi::rd_kafka_event_DescribeTopics_result(event.as_ptr());
        let all = if result.is_null() {
            ptr::null_mut()
        } else {
            ffi::rd_kafka_DescribeTopics_result_topics(result, &mut count)
        };
        (error, all)
    };
    check(error)?;
    let mut topics = Vec::new();
    for place in 0..if all.is_null() { 0 } else { count } {
        // SAFETY: the array has so many places, each with a description that lives as long as the event, as does its
        // name, a C string.
        let (topic, name) = unsafe {
            let topic: *const ffi::rd_kafka_TopicDescription_t = *all.add(place);
            (topic, CStr::from_ptr(ffi::rd_kafka_TopicDescription_name(topic)))
        };
        // SAFETY: the description is live as long as the event, which is borrowed here.
        topics.push((name.to_string_lossy().into_owned(), unsafe { description(topic) }));
    }
    Ok(topics)
}

/// What a description says.
///
/// # Safety
/// The description is live.
unsafe fn description(topic: *const ffi::rd_kafka_TopicDescription_t) -> Result<Description, Unknown> {
    let (mut count, mut partitions) = (0, Vec::new());
    // SAFETY: the description is live, by the caller's word, and so are its error, which may be null, its id, and the
    // array of `count` partitions, whose number is written to a place of ours.
    let (error, id) = unsafe {
        let error = ffi::rd_kafka_TopicDescription_error(topic);
        let error = if error.is_null() {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        } else {
            ffi::rd_kafka_error_code(error)
        };
        let id = ffi::rd_kafka_TopicDescription_topic_id(topic);
        let id = (!id.is_null()).then(|| {
            let high = ffi::rd_kafka_Uuid_most_significant_bits(id);
            let low = ffi::rd_kafka_Uuid_least_significant_bits(id);
            u128::from(high as u64) << 64 | u128::from(low as u64)
        });
        let first = ffi::rd_kafka_TopicDescription_partitions(topic, &mut count);
        for place in 0..if first.is_null() { 0 } else { count } {
            partitions.push(ffi::rd_kafka_TopicPartitionInfo_partition(*first.add(place)));
        }
        (error, id)
    };
    check(error)?;
    let mut partitions: Vec<u32> = partitions.into_iter().filter_map(|p| p.try_into().ok()).collect();
    partitions.sort_unstable();
    Ok(Description { id: id.map(TopicId).filter(|id| !id.is_none()), partitions })
}

fn check(code: RDKafkaRespErr) -> Result<(), Unknown> {
    match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => Err(Unknown::Missing),
        code => Err(Unknown::Untold(RDKafkaErrorCode::from(code).to_string())),
    }
}

/// A handle of librdkafka's that is ours to give back.
struct Owned<T> {
    handle: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes what librdkafka made; an error where it is null.
    ///
    /// # Safety
    /// The handle is null, or live, and nobody else gives it back; `destroy` is how it is given back.
    unsafe fn new(handle: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, Unknown> {
        let handle = NonNull::new(handle).ok_or_else(|| Unknown::Untold(NOT_MADE.to_owned()))?;
        Ok(Owned { handle, destroy })
    }

    fn as_ptr(&self) -> *mut T {
        self.handle.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: whoever made this value vouched that the handle is live, ours alone, and given back like this.
        unsafe { (self.destroy)(self.handle.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ensure_topic;
    // librdkafka's mock has no controller, whom it asks.
    use crate::kafka::kafka_server::KafkaServer;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::DefaultConsumerContext;
    use std::collections::BTreeMap;

    #[test]
    fn a_topic_is_described_and_where_there_is_none_it_is_said_why() {
        let broker = KafkaServer::start();
        let consumer: BaseConsumer<DefaultConsumerContext> =
            ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap();
        let ask = |topic, seconds| describe_topic(&consumer, topic, Duration::from_secs(seconds));
        for (topic, partitions) in [("one", 1), ("two", 3)] {
            ensure_topic(&broker.url(topic).parse().unwrap(), Some(partitions), &BTreeMap::new()).unwrap();
        }
        let known = ask("one", 30).unwrap();
        assert!(known.id.is_some() && known.partitions == [0]);
        // Many times: a handle given back twice would end the process here.
        (0..100).for_each(|_| assert_eq!(ask("one", 30), Ok(known.clone())));
        let other = ask("two", 30).unwrap();
        assert!(other.id.is_some_and(|id| Some(id) != known.id) && other.partitions == [0, 1, 2]);
        assert_eq!(ask("missing", 30), Err(Unknown::Missing));
        let all = describe_topics(&consumer, &["two", "missing", "one"], Duration::from_secs(30)).unwrap();
        let all: BTreeMap<String, Result<Description, Unknown>> = all.into_iter().collect();
        let expected = [("missing", Err(Unknown::Missing)), ("one", Ok(known)), ("two", Ok(other))];
        assert_eq!(all, expected.map(|(name, told)| (name.to_owned(), told)).into());
        assert_eq!(describe_topics::<_>(&consumer, &[""; 0], Duration::ZERO), Ok(vec![]));
        assert!(ask("a\0b", 30).is_err());
        assert!(ask("one", 1_000_000).is_err(), "librdkafka takes no such time");
        broker.kill();
        assert!(ask("one", 1).is_err());
    }

    #[test]
    fn an_id_is_written_with_all_its_digits() {
        assert_eq!(TopicId(0xabc).to_string(), "00000000000000000000000000000abc");
        let id = TopicId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(TopicId::from_base64("ASNFZ4mrze8AESIzRFVmdw"), Some(id));
        assert!(TopicId::from_base64("AAAAAAAAAAAAAAAAAAAAAA").is_some_and(TopicId::is_none));
        for wrong in ["", "ASNFZ4mrze8AESIzRFVmd", "ASNFZ4mrze8AESIzRFVmdw==", "ASNFZ4mrze8_ESIzRFVmdw"] {
            assert_eq!(TopicId::from_base64(wrong), None, "{wrong}");
        }
    }
}
