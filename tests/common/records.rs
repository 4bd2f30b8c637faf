//! What is in a topic, as an ordinary consumer reads it.

use super::servers::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// One record.
pub struct Record {
    pub key: String,
    /// The header `id`.
    pub id: String,
    pub body: String,
}

/// All records that a topic has now: those of each partition in order, one partition after the other.
pub fn records(kafka: &Kafka, topic: &str) -> Vec<Record> {
    let consumer: BaseConsumer = kafka.client().set("group.id", "test").create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let (mut all, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    for partition in metadata.topics()[0].partitions() {
        let (first, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition.id(), Offset::Offset(first)).unwrap();
        consumer.assign(&list).unwrap();
        let mut next = first;
        while next < end {
            // It also ends a poll when it has something else to do than to hand out records.
            let Some(record) = consumer.poll(Duration::from_millis(100)) else {
                assert!(Instant::now() < deadline, "waited in vain for more records than {next} of {end}");
                continue;
            };
            let record = record.unwrap();
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            let headers = record.headers().expect("each record has headers");
            let id = headers.iter().find(|header| header.key == "id").expect("each has an id");
            all.push(Record { key: text(record.key()), id: text(id.value), body: text(record.payload()) });
            next = record.offset() + 1;
        }
    }
    all
}
