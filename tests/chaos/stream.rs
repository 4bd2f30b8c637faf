//! The events of a chaos run: a producer that goes on whatever happens to the broker, and a reader of what the broker has,
//! each record with the time at which it came.

use super::common::events::{Event, Traffic, now};
use super::common::servers::Kafka;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

pub const TOPIC: &str = "chaos";
pub const PARTITIONS: usize = 4;
/// Between two batches, in ms.
const BEAT: i64 = 100;

/// A producer.
pub struct Stream {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Begins to send what the seed decides, so many events a second.
    pub fn start(kafka: &Kafka, seed: u64, rate: usize) -> Stream {
        let producer: BaseProducer = patient(kafka)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let theirs = over.clone();
        let thread = std::thread::spawn(move || {
            for beat in 0.. {
                if theirs.load(Ordering::Acquire) {
                    break;
                }
                batch(seed.wrapping_add(beat), rate * BEAT as usize / 1000)
                    .into_iter()
                    .for_each(|(partition, event)| send(&producer, partition, &event));
                producer.poll(Duration::ZERO);
                std::thread::sleep(Duration::from_millis(BEAT as u64));
            }
            while producer.in_flight_count() > 0 {
                producer.poll(Duration::from_millis(BEAT as u64));
            }
        });
        Stream { over, thread: Some(thread) }
    }

    /// Stops, once the broker has all.
    pub fn finish(&mut self) {
        self.over.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The events of one beat, each with its partition: some of them late, and a few ahead of the broker's time.
fn batch(seed: u64, events: usize) -> Vec<(usize, Event)> {
    let traffic = Traffic {
        seed,
        events,
        items: 3000,
        start: now() - BEAT,
        span: BEAT,
        disorder: 2500,
        heaviest: 3,
        types: vec!["view", "buy", "other"],
        regions: vec!["IN", "US", "DE"],
        ..Traffic::default()
    };
    let mut random = StdRng::seed_from_u64(!seed);
    let mut made = Vec::new();
    for mut event in traffic.log() {
        match random.random_range(0..1000) {
            0..5 => event.time -= random.random_range(3_000..20_000),
            5 => event.time += random.random_range(1_000..6_000),
            _ => {}
        }
        let kind = format!("kind-{}", random.random_range(0..20));
        made.push((random.random_range(0..PARTITIONS), event.with("kind", &kind)));
    }
    made
}

fn send(producer: &BaseProducer, partition: usize, event: &Event) {
    let payload = event.json();
    let record = BaseRecord::<(), str>::to(TOPIC).partition(partition as i32).payload(&payload);
    let mut sent = producer.send(record);
    // A broker that is away for long leaves no room.
    while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) = sent {
        producer.poll(Duration::from_millis(BEAT as u64));
        sent = producer.send(record);
    }
    sent.map_err(|(error, _)| error).expect("a record that can be sent");
}

fn patient(kafka: &Kafka) -> ClientConfig {
    let mut config = kafka.client();
    config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "500").set("log_level", "0");
    config
}

/// Reads all that the broker has and will have: each event with its partition.
pub fn read(kafka: &Kafka) -> Receiver<(usize, Event)> {
    let consumer: BaseConsumer = patient(kafka).set("group.id", "oracle").create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        all.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || read_on(&consumer, &sender));
    receiver
}

fn read_on(consumer: &BaseConsumer, sender: &Sender<(usize, Event)>) {
    let mut next = [0; PARTITIONS];
    loop {
        // A broker that is away is no end.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let partition = message.partition() as usize;
        assert_eq!(message.offset(), next[partition], "the oracle reads every record once");
        next[partition] += 1;
        if sender.send((partition, event(&message))).is_err() {
            return;
        }
    }
}

fn event(message: &BorrowedMessage<'_>) -> Event {
    let value: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let field = |name: &str| Some((name.to_owned(), text(name)?));
    Event {
        item: text("item_id").unwrap(),
        time: value["timestamp"].as_i64().unwrap(),
        event_type: text("event_type"),
        weight: value["weight"].as_u64().map(|weight| weight as u32),
        fields: ["region", "kind"].into_iter().filter_map(field).collect(),
        sent: message.timestamp().to_millis(),
    }
}
