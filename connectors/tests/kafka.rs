//! The Kafka source and loader against a real broker: what its mock cannot show.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/kafka_server.rs"]
mod kafka_server;

use crest_connectors::Start;
use crest_connectors::kafka::{KafkaFactory, KafkaOptions, Loader, ProduceError, ensure_topic};
use crest_connectors::source::{
    BrokerTime, MAX_RECORD_BYTES, Partition, Progress, Record, Source, SourceError, SourceFactory,
};
use kafka_server::KafkaServer;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(90);

/// The broker of the tests that do not stop it.
fn broker() -> &'static KafkaServer {
    static BROKER: OnceLock<KafkaServer> = OnceLock::new();
    BROKER.get_or_init(KafkaServer::start)
}

type Records = BTreeMap<Partition, Vec<(i64, String)>>;

/// Reads all slots in turns until `done`.
fn read_until(source: &mut dyn Source, records: &mut Records, done: impl Fn(&Records, &[Progress]) -> bool) {
    let deadline = Instant::now() + LONG;
    let mut progress = Vec::new();
    while !done(records, &progress) {
        assert!(Instant::now() < deadline, "{} records so far; {progress:?}", total(records));
        progress.clear();
        for slot in 0..source.partitions().len() {
            let found = records.entry(source.partitions()[slot]).or_default();
            let mut each = |record: Record<'_>| {
                assert!(matches!(record.time, Some(BrokerTime::Created(_))));
                found.push((
                    record.offset,
                    String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap(),
                ));
            };
            progress.push(source.read(slot, 1000, &mut each).unwrap());
        }
        if !progress.iter().any(|progress| matches!(progress, Progress::Read(_))) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn at_end(progress: &[Progress]) -> bool {
    !progress.is_empty() && progress.iter().all(|progress| matches!(progress, Progress::AtEnd(_)))
}

fn total(records: &Records) -> usize {
    records.values().map(Vec::len).sum()
}

/// Sends so many numbered records, each with its number as the key.
fn load(url: &str, numbers: std::ops::Range<u32>) {
    let mut loader = Loader::connect(&url.parse().unwrap(), &BTreeMap::new()).unwrap();
    let count = u64::from(numbers.end - numbers.start);
    for number in numbers {
        let text = number.to_string();
        loader.send(Some(text.as_bytes()), text.as_bytes()).unwrap();
    }
    assert_eq!(loader.finish(Instant::now() + LONG).unwrap(), count);
}

/// Every number of the range is there once, and the offsets of each partition have neither gap nor repetition.
fn assert_whole(records: &Records, numbers: std::ops::Range<u32>) {
    for (partition, records) in records {
        let offsets: Vec<i64> = records.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets, (0..records.len() as i64).collect::<Vec<_>>(), "partition {partition}");
    }
    let found: BTreeSet<u32> = records.values().flatten().map(|(_, text)| text.parse().unwrap()).collect();
    assert_eq!(found.len(), total(records));
    assert_eq!(found, numbers.collect());
}

fn admin(broker: &KafkaServer) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap()
}

#[test]
fn a_topic_is_made_once_loaded_and_read_by_any_number_of_workers() {
    let url = broker().url("loaded");
    let missing = KafkaFactory::new(KafkaOptions::new(url.parse().unwrap())).err().unwrap().to_string();
    assert!(missing.contains("no topic \"loaded\""), "{missing}");
    let topic = ensure_topic(&url.parse().unwrap(), Some(3), &BTreeMap::new()).unwrap();
    assert_eq!((topic.partitions, topic.created), (3, true));
    let topic = ensure_topic(&url.parse().unwrap(), Some(5), &BTreeMap::new()).unwrap();
    assert_eq!((topic.partitions, topic.created), (3, false), "it stays as it is");
    load(&url, 0..100_000);

    let factory = KafkaFactory::new(KafkaOptions::new(url.parse().unwrap())).unwrap();
    let mut records = Records::new();
    for worker in 0..2 {
        read_until(&mut *factory.open(worker, 2).unwrap(), &mut records, |_, progress| at_end(progress));
    }
    assert_eq!(records.len(), 3);
    assert!(records.values().all(|records| records.len() > 30_000), "keys are spread evenly");
    assert_whole(&records, 0..100_000);
}

#[test]
fn a_time_is_a_start() {
    let url = broker().url("times");
    ensure_topic(&url.parse().unwrap(), Some(2), &BTreeMap::new()).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker().address()).create().unwrap();
    for second in 1..=10 {
        let payload = second.to_string();
        let record = BaseRecord::<(), _>::to("times").partition(0).payload(&payload).timestamp(second * 1000);
        producer.send(record).unwrap();
    }
    producer.flush(LONG).unwrap();
    let starts = |time| {
        let options = KafkaOptions { start: Start::Time(time), ..KafkaOptions::new(url.parse().unwrap()) };
        KafkaFactory::new(options).unwrap().starts()
    };
    assert_eq!(starts(0), BTreeMap::from([(0, 0), (1, 0)]));
    assert_eq!(starts(4500), BTreeMap::from([(0, 4), (1, 0)]));
    assert_eq!(starts(10_001), BTreeMap::from([(0, 10), (1, 0)]), "nothing is as late: it starts at the end");
}

#[test]
fn new_partitions_are_read_from_their_beginning() {
    let url = broker().url("growing");
    ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    let options = KafkaOptions {
        discovery_interval: Duration::from_millis(200),
        ..KafkaOptions::new(url.parse().unwrap())
    };
    let options = KafkaOptions { start: Start::Latest, ..options };
    let factory = KafkaFactory::new(options).unwrap();
    let mut source = factory.open(0, 1).unwrap();
    let mut idle = factory.open(2, 3).unwrap();
    assert!(idle.partitions().is_empty());
    let grown = [NewPartitions::new("growing", 3)];
    futures_executor::block_on(admin(broker()).create_partitions(&grown, &AdminOptions::new())).unwrap();
    // The brokers may still tell of the old ones for a moment.
    let deadline = Instant::now() + LONG;
    while ensure_topic(&url.parse().unwrap(), None, &BTreeMap::new()).unwrap().partitions < 3 {
        assert!(Instant::now() < deadline);
    }
    load(&url, 0..3000);
    let mut records = Records::new();
    read_until(&mut *source, &mut records, |records, progress| total(records) >= 3000 && at_end(progress));
    assert_eq!(records.len(), 3);
    assert_whole(&records, 0..3000);
    assert_eq!(idle.partitions(), [2]);
    read_until(&mut *idle, &mut Records::new(), |_, progress| at_end(progress));
}

#[test]
fn every_compression_can_be_read() {
    let url = broker().url("compressed");
    ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let properties = BTreeMap::from([("compression.type".to_owned(), codec.to_owned())]);
        let mut loader = Loader::connect(&url.parse().unwrap(), &properties).unwrap();
        (0..100).for_each(|_| loader.send(None, codec.repeat(20).as_bytes()).unwrap());
        loader.finish(Instant::now() + LONG).unwrap();
    }
    let mut records = Records::new();
    let mut source = KafkaFactory::new(KafkaOptions::new(url.parse().unwrap())).unwrap().open(0, 1).unwrap();
    read_until(&mut *source, &mut records, |_, progress| at_end(progress));
    assert_eq!(total(&records), 500);
    assert_eq!(records[&0][499].1, "zstd".repeat(20));
}

#[test]
fn what_is_deleted_cannot_be_a_start_and_a_deleted_topic_ends_its_reader() {
    let url = broker().url("fading");
    ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    load(&url, 0..100);
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset("fading", 0, Offset::Offset(40)).unwrap();
    let (admin, ask) = (admin(broker()), AdminOptions::new());
    futures_executor::block_on(admin.delete_records(&upto, &ask)).unwrap();
    let start = Start::Offsets(BTreeMap::from([(0, 39)]));
    let error = KafkaFactory::new(KafkaOptions { start, ..KafkaOptions::new(url.parse().unwrap()) })
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("fading/0 at offset 39") && error.contains("40 to 100"), "{error}");

    let patience = Duration::from_secs(3);
    // librdkafka believes for so long that a topic which is missing is only new.
    let properties = BTreeMap::from([("topic.metadata.propagation.max.ms".to_owned(), "1000".to_owned())]);
    let options =
        KafkaOptions { properties, error_patience: patience, ..KafkaOptions::new(url.parse().unwrap()) };
    let factory = KafkaFactory::new(options);
    let mut source = factory.unwrap().open(0, 1).unwrap();
    let mut records = Records::new();
    read_until(&mut *source, &mut records, |_, progress| at_end(progress));
    assert_eq!(records[&0].first().map(|(offset, _)| *offset), Some(40));
    futures_executor::block_on(admin.delete_topics(&["fading"], &ask)).unwrap();
    let deadline = Instant::now() + LONG;
    let error = loop {
        assert!(Instant::now() < deadline, "the topic is gone: {:?}", source.stats());
        match source.read(0, 100, &mut |_| panic!("there is nothing left")) {
            Err(error) => break error,
            Ok(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let SourceError::Lost { partition, offset, reason } = error else { panic!("{error}") };
    assert_eq!((partition.as_str(), offset), ("fading/0", 100));
    assert!(reason.to_lowercase().contains("unknown topic"), "{reason}");
}

#[test]
fn a_topic_that_is_made_anew_is_another_one() {
    let url = broker().url("anew");
    let identity = || {
        ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
        KafkaFactory::new(KafkaOptions::new(url.parse().unwrap())).unwrap().identity()
    };
    let first = identity().unwrap();
    assert!(first.len() == 32 && first.bytes().all(|digit| digit.is_ascii_hexdigit()), "{first}");
    assert_eq!(identity().as_ref(), Some(&first));
    ensure_topic(&broker().url("beside").parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    let beside =
        KafkaFactory::new(KafkaOptions::new(broker().url("beside").parse().unwrap())).unwrap().identity();
    assert_ne!(beside, Some(first.clone()));
    load(&url, 0..10);

    let (admin, ask) = (admin(broker()), AdminOptions::new());
    let deleted = futures_executor::block_on(admin.delete_topics(&["anew"], &ask)).unwrap();
    assert_eq!(deleted, [Ok("anew".to_owned())]);
    // The brokers may tell of the old one for a moment.
    let one = NewTopic::new("anew", 1, TopicReplication::Fixed(1));
    let made = futures_executor::block_on(admin.create_topics([&one], &ask)).unwrap();
    assert_eq!(made, [Ok("anew".to_owned())]);
    let deadline = Instant::now() + LONG;
    while identity().as_ref() == Some(&first) {
        assert!(Instant::now() < deadline);
    }
    load(&url, 0..10);
    let second = identity().unwrap();
    assert!(second != first && identity() == Some(second));
}

#[test]
fn a_record_that_is_not_taken_is_an_error() {
    let url = broker().url("refused");
    ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    let properties = BTreeMap::from([("message.max.bytes".to_owned(), "100000000".to_owned())]);
    let mut loader = Loader::connect(&url.parse().unwrap(), &properties).unwrap();
    loader.send(None, b"small").unwrap();
    let mut noise = vec![0; 20_000_000];
    Xoshiro256PlusPlus::seed_from_u64(7).fill_bytes(&mut noise);
    let sent = loader.send(None, &noise).and_then(|()| loader.finish(Instant::now() + LONG).map(drop));
    let Err(ProduceError::Delivery { failed, reason, .. }) = sent else { panic!("{sent:?}") };
    assert!(failed >= 1 && reason.to_lowercase().contains("large"), "{failed}: {reason}");
}

#[test]
fn a_record_over_the_limit_is_delivered_without_its_bytes() {
    let url = broker().url("large");
    ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    let properties = BTreeMap::from([("message.max.bytes".to_owned(), "100000000".to_owned())]);
    let mut loader = Loader::connect(&url.parse().unwrap(), &properties).unwrap();
    for bytes in [1, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1, 4 * MAX_RECORD_BYTES, 2] {
        loader.send(None, &vec![b'x'; bytes]).unwrap();
    }
    loader.finish(Instant::now() + LONG).unwrap();
    let mut source = KafkaFactory::new(KafkaOptions::new(url.parse().unwrap())).unwrap().open(0, 1).unwrap();
    let (mut lengths, deadline) = (Vec::new(), Instant::now() + LONG);
    while lengths.len() < 5 {
        assert!(Instant::now() < deadline);
        source.read(0, 10, &mut |record| lengths.push(record.payload.bytes().map(<[u8]>::len))).unwrap();
    }
    assert_eq!(lengths, [Some(1), Some(MAX_RECORD_BYTES), None, None, Some(2)]);
}

#[test]
fn positions_are_committed_for_lag_tools() {
    let url = broker().url("watched");
    ensure_topic(&url.parse().unwrap(), Some(2), &BTreeMap::new()).unwrap();
    load(&url, 0..1000);
    let options =
        KafkaOptions { group_id: Some("watchers".into()), ..KafkaOptions::new(url.parse().unwrap()) };
    let mut source = KafkaFactory::new(options).unwrap().open(0, 1).unwrap();
    let mut config = ClientConfig::new();
    let observer: BaseConsumer =
        config.set("bootstrap.servers", broker().address()).set("group.id", "watchers").create().unwrap();
    let committed = || -> i64 {
        let mut list = TopicPartitionList::new();
        for partition in 0..2 {
            list.add_partition("watched", partition);
        }
        let list = observer.committed_offsets(list, LONG).unwrap();
        list.elements().iter().map(|element| element.offset().to_raw().unwrap().max(0)).sum()
    };
    let mut records = Records::new();
    read_until(&mut *source, &mut records, |_, progress| at_end(progress) && committed() == 1000);
}

#[test]
fn a_stopped_and_a_killed_broker_lose_and_double_nothing() {
    let broker = KafkaServer::start();
    let url = broker.url("steady");
    ensure_topic(&url.parse().unwrap(), Some(4), &BTreeMap::new()).unwrap();
    load(&url, 0..20_000);
    let factory = KafkaFactory::new(KafkaOptions {
        group_id: Some("lag".into()),
        ..KafkaOptions::new(url.parse().unwrap())
    })
    .unwrap();
    let mut source = factory.open(0, 1).unwrap();
    let mut records = Records::new();
    read_until(&mut *source, &mut records, |records, _| total(records) > 5000);
    let mut loaded = 20_000;
    for kill in [false, true] {
        if kill {
            broker.kill()
        } else {
            broker.stop()
        }
        read_until(&mut *source, &mut records, |_, progress| {
            !progress.is_empty() && progress.iter().all(|progress| *progress == Progress::Waiting)
        });
        let deadline = Instant::now() + LONG;
        while !source.stats().disconnected {
            assert!(Instant::now() < deadline);
            assert_eq!(source.read(0, 1000, &mut |_| panic!("all was read")).unwrap(), Progress::Waiting);
        }
        broker.start_again();
        let back = Instant::now();
        read_until(&mut *source, &mut records, |_, progress| at_end(progress));
        println!("read again {:?} after the broker came back", back.elapsed());
        load(&url, loaded..loaded + 1000);
        loaded += 1000;
        read_until(&mut *source, &mut records, |records, progress| {
            total(records) >= loaded as usize && at_end(progress)
        });
        let stats = source.stats();
        assert!(!stats.disconnected && stats.retries > 0 && stats.lag == 0, "{stats:?}");
    }
    assert_whole(&records, 0..loaded);
    broker.kill();
    // With its broker gone, a reader still ends at once.
    drop(source);
}
