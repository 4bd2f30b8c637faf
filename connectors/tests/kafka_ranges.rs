//! Reading a part of a Kafka topic, against a real broker: up to where it ends now, up to given offsets, without what
//! is gone; and what is known of it beforehand.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/kafka_server.rs"]
mod kafka_server;

use crest_connectors::kafka::{KafkaFactory, KafkaOptions, ensure_topic};
use crest_connectors::source::{Partition, Progress, Source, SourceError, SourceFactory};
use crest_connectors::{OnGap, Probed, SourceOptions, Start, Until, probe};
use kafka_server::KafkaServer;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(90);

/// The broker of all tests.
fn broker() -> &'static KafkaServer {
    static BROKER: OnceLock<KafkaServer> = OnceLock::new();
    BROKER.get_or_init(KafkaServer::start)
}

fn producer(properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker().address());
    for (key, value) in properties {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// Appends a record for each number; its time stamp is as many seconds.
fn send(producer: &BaseProducer, topic: &str, partition: i32, numbers: Range<i64>) {
    for number in numbers {
        let payload = number.to_string();
        let record = BaseRecord::<(), _>::to(topic).partition(partition).payload(&payload);
        producer.send(record.timestamp(number * 1000)).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// A topic whose partitions have so many records each, numbered like their offsets.
fn topic(name: &str, records: &[i64]) -> String {
    let url = broker().url(name);
    ensure_topic(&url.parse().unwrap(), Some(records.len() as u32), &BTreeMap::new()).unwrap();
    let producer = producer(&[]);
    (0..).zip(records).for_each(|(partition, count)| send(&producer, name, partition, 0..*count));
    url
}

fn at(offsets: &[(Partition, i64)]) -> BTreeMap<Partition, i64> {
    offsets.iter().copied().collect()
}

fn open(url: &str, start: &[(Partition, i64)], until: Until) -> Result<KafkaFactory, SourceError> {
    let start = if start.is_empty() { Start::Earliest } else { Start::Offsets(at(start)) };
    KafkaFactory::new(KafkaOptions { start, until: Some(until), ..KafkaOptions::new(url.parse().unwrap()) })
}

/// Reads a source until all its partitions have ended: the offsets, by partition.
fn read_whole(source: &mut dyn Source) -> BTreeMap<Partition, Vec<i64>> {
    let (deadline, partitions) = (Instant::now() + LONG, source.partitions().to_vec());
    let mut found: BTreeMap<Partition, Vec<i64>> = partitions.iter().map(|p| (*p, Vec::new())).collect();
    let mut reading: Vec<usize> = (0..partitions.len()).collect();
    while !reading.is_empty() {
        assert!(Instant::now() < deadline, "{found:?}");
        reading.retain(|slot| {
            let offsets = found.get_mut(&partitions[*slot]).unwrap();
            let progress = source.read(*slot, 700, &mut |record| offsets.push(record.offset)).unwrap();
            if progress == Progress::Waiting {
                std::thread::sleep(Duration::from_millis(1));
            }
            progress != Progress::Ended
        });
    }
    for slot in 0..partitions.len() {
        let progress = source.read(slot, 1, &mut |_| panic!("it has ended"));
        assert_eq!(progress.unwrap(), Progress::Ended, "and stays so");
    }
    assert_eq!(source.stats().lag, 0);
    found
}

fn read_by(factory: &KafkaFactory, workers: usize) -> BTreeMap<Partition, Vec<i64>> {
    (0..workers).flat_map(|worker| read_whole(&mut *factory.open(worker, workers).unwrap())).collect()
}

#[test]
fn a_topic_is_read_up_to_where_it_ended_although_a_producer_goes_on() {
    let url = topic("growing", &[5000, 3000, 0]);
    let going_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (producer, mut next) = (producer(&[]), 10_000);
            while going_on.load(Ordering::Relaxed) {
                (0..3).for_each(|partition| send(&producer, "growing", partition, next..next + 20));
                next += 20;
            }
        });
        let factory = open(&url, &[], Until::Now).unwrap();
        assert!(factory.bounded() && factory.open(0, 1).unwrap().bounded());
        let ranges = factory.ranges();
        assert!(ranges[&0].end >= 5000 && ranges[&1].end >= 3000, "{ranges:?}");
        // More has come by now.
        let probed = || probe(&url.parse().unwrap(), &SourceOptions::default(), &BTreeMap::new()).unwrap();
        while probed().iter().any(|(partition, probed)| probed.high <= ranges[partition].end) {}
        for workers in [1, 2, 5] {
            let expected = ranges.iter().map(|(p, range)| (*p, range.clone().collect())).collect();
            assert_eq!(read_by(&factory, workers), expected);
        }
        going_on.store(false, Ordering::Relaxed);
    });
}

#[test]
fn a_topic_is_read_between_offsets_of_which_some_may_be_equal() {
    let url = topic("between", &[1000, 1000, 1000, 1000]);
    let start = [(0, 100), (1, 500), (2, 1000), (3, 900)];
    let until = Until::Offsets(at(&[(0, 200), (1, 500), (3, 300)]));
    let factory = open(&url, &start, until).unwrap();
    assert_eq!(
        factory.ranges(),
        BTreeMap::from([(0, 100..200), (1, 500..500), (2, 1000..1000), (3, 900..900)])
    );
    let expected = BTreeMap::from([(0, (100..200).collect()), (1, vec![]), (2, vec![]), (3, vec![])]);
    for workers in [1, 4] {
        assert_eq!(read_by(&factory, workers), expected);
    }
    let refusal = |offsets: &[_]| open(&url, &[], Until::Offsets(at(offsets))).err().unwrap().to_string();
    let error = refusal(&[(0, 5), (2, 1001)]);
    assert!(error.contains("between/2 at offset 1001") && error.contains("offsets 0 to 1000"), "{error}");
    let error = refusal(&[(4, 5)]);
    assert!(error.contains("until: the topic has no partition 4"), "{error}");
    assert_eq!(KafkaFactory::new(KafkaOptions::new(url.parse().unwrap())).unwrap().ranges(), BTreeMap::new());
}

/// Sends a transaction of so many records, and commits it or not.
fn transact(producer: &BaseProducer, topic: &str, records: Range<i64>, commit: bool) {
    producer.begin_transaction().unwrap();
    send(producer, topic, 0, records);
    let ended = if commit { producer.commit_transaction(LONG) } else { producer.abort_transaction(LONG) };
    ended.unwrap();
}

#[test]
fn a_range_that_ends_with_what_is_no_record_ends_all_the_same() {
    let url = topic("transactional", &[10]);
    let transactional = producer(&[("transactional.id", "ranges")]);
    transactional.init_transactions(LONG).unwrap();
    transact(&transactional, "transactional", 10..20, true); // the marker at offset 20
    transact(&transactional, "transactional", 21..31, false); // the marker at offset 31
    // The broker writes a transaction's marker after it has confirmed its end.
    let end = || open(&url, &[], Until::Now).unwrap().ranges()[&0].end;
    let deadline = Instant::now() + LONG;
    while end() < 32 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let records: Vec<i64> = (0..20).collect();
    let ends = |until: Until| {
        let factory = open(&url, &[], until).unwrap();
        (factory.ranges()[&0].end, read_by(&factory, 1).remove(&0).unwrap())
    };
    assert_eq!(ends(Until::Now), (32, records.clone()), "the topic ends with a marker");
    for end in [21, 25, 31] {
        let until = || Until::Offsets(at(&[(0, end)]));
        assert_eq!(ends(until()), (end, records.clone()));
    }
    send(&producer(&[]), "transactional", 0, 32..35);
    assert_eq!(ends(Until::Offsets(at(&[(0, 32)]))), (32, records.clone()), "there is more behind it");
    // A transaction that is open: its records cannot be read yet, so the partition ends before it.
    transactional.begin_transaction().unwrap();
    send(&transactional, "transactional", 0, 35..40);
    let expected: Vec<i64> = records.into_iter().chain(32..35).collect();
    assert_eq!(ends(Until::Now), (35, expected));
}

#[test]
fn a_look_tells_what_is_kept_and_when_records_were_written() {
    let url = topic("looked-at", &[100, 50, 0]);
    let options = SourceOptions::default();
    let look = |offsets: &[_]| probe(&url.parse().unwrap(), &options, &at(offsets));
    let probed =
        |partition: u32, low, high, time| Probed { name: format!("looked-at/{partition}"), low, high, time };
    let plain = [(0, probed(0, 0, 100, None)), (1, probed(1, 0, 50, None)), (2, probed(2, 0, 0, None))];
    assert_eq!(look(&[]).unwrap(), BTreeMap::from(plain.clone()));
    let found = look(&[(0, 42), (1, 50), (2, 0)]).unwrap();
    assert_eq!(
        found,
        BTreeMap::from([(0, probed(0, 0, 100, Some(42_000))), plain[1].clone(), plain[2].clone()])
    );
    assert_eq!(look(&[(0, 99), (1, 70)]).unwrap()[&0].time, Some(99_000));
    let error = look(&[(7, 0)]).unwrap_err().to_string();
    assert!(error.contains("offset: the topic has no partition 7"), "{error}");
}

/// Deletes the records of a partition before an offset, as retention does.
fn forget(topic: &str, partition: i32, before: i64) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", broker().address()).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
    futures_executor::block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
}

#[test]
fn what_is_gone_at_the_start_is_refused_or_skipped_and_counted() {
    let url = topic("gone", &[1000, 1000, 1000]);
    forget("gone", 0, 400);
    forget("gone", 2, 1000);
    let options = |start: &[_], until: Option<Until>, on_gap| {
        let start = Start::Offsets(at(start));
        KafkaOptions { start, until, on_gap, ..KafkaOptions::new(url.parse().unwrap()) }
    };
    let refusal = |options| KafkaFactory::new(options).err().unwrap().to_string();
    let error = refusal(options(&[(0, 399)], None, OnGap::Fail));
    let expected = "gone/0 at offset 399: it is kept no more: offsets 400 to 1000 can be read; --on-gap \
                    skip goes on without them";
    assert_eq!(error, expected);
    let error = refusal(options(&[(0, 1001)], None, OnGap::Skip));
    assert!(error.contains("gone/0 at offset 1001: the partition ends before it"), "{error}");

    let start = [(0, 100), (1, 10), (2, 70)];
    let skip = |until| KafkaFactory::new(options(&start, Some(until), OnGap::Skip)).unwrap();
    let factory = skip(Until::Now);
    assert_eq!(factory.ranges(), BTreeMap::from([(0, 400..1000), (1, 10..1000), (2, 1000..1000)]));
    let mut source = factory.open(0, 1).unwrap();
    assert_eq!(source.stats().gap_records, 300 + 930);
    let expected = [(0, (400..1000).collect()), (1, (10..1000).collect()), (2, vec![])];
    assert_eq!(read_whole(&mut *source), expected.into());
    assert_eq!(source.stats().gap_records, 300 + 930);
    // Only what was to be read is missed.
    let factory = skip(Until::Offsets(at(&[(0, 150), (1, 10), (2, 70)])));
    let mut source = factory.open(0, 1).unwrap();
    assert!(read_whole(&mut *source).values().all(Vec::is_empty));
    assert_eq!(source.stats().gap_records, 50);

    let found = probe(&url.parse().unwrap(), &SourceOptions::default(), &at(&[(0, 5), (2, 5)])).unwrap();
    let seen = |partition: u64| (found[&partition].low, found[&partition].high, found[&partition].time);
    assert_eq!((seen(0), seen(2)), ((400, 1000, Some(400_000)), (1000, 1000, None)));
}

/// A reader that is overtaken: it has read a little and fetched little more when what follows is deleted. Also the
/// offsets that it has read.
fn overtaken(name: &str, forgotten: i64, until: Option<Until>, on_gap: OnGap) -> (Box<dyn Source>, Vec<i64>) {
    let url = topic(name, &[0]);
    // Batches, and so fetches, of a few records.
    send(&producer(&[("batch.num.messages", "10")]), name, 0, 0..5000);
    let small = [("queued.min.messages", "1"), ("fetch.message.max.bytes", "500")];
    let properties = small.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let options = KafkaOptions { until, on_gap, properties, ..KafkaOptions::new(url.parse().unwrap()) };
    let mut source = KafkaFactory::new(options).unwrap().open(0, 1).unwrap();
    let mut read = Vec::new();
    let deadline = Instant::now() + LONG;
    while read.is_empty() {
        assert!(Instant::now() < deadline);
        source.read(0, 5, &mut |record| read.push(record.offset)).unwrap();
    }
    forget(name, 0, forgotten);
    (source, read)
}

#[test]
fn a_reader_that_retention_overtakes_fails_by_name_unless_it_is_to_skip() {
    let (mut source, mut read) = overtaken("overtaken", 4000, None, OnGap::Fail);
    let error = loop {
        match source.read(0, 100, &mut |record| read.push(record.offset)) {
            Err(error) => break error.to_string(),
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let next = read.len() as i64;
    assert_eq!(read, (0..next).collect::<Vec<_>>());
    assert!(error.starts_with(&format!("overtaken/0 at offset {next}: ")), "{error}");
    assert!(error.contains("offsets 4000 to 5000 can be read; --on-gap skip goes on"), "{error}");

    let (mut source, mut read) = overtaken("passed", 4000, None, OnGap::Skip);
    let deadline = Instant::now() + LONG;
    while !matches!(source.read(0, 100, &mut |record| read.push(record.offset)).unwrap(), Progress::AtEnd(_))
    {
        assert!(Instant::now() < deadline, "{:?}", read.last());
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = read.iter().position(|offset| *offset == 4000).unwrap() as i64;
    assert_eq!(read, (0..before).chain(4000..5000).collect::<Vec<_>>());
    assert_eq!((source.stats().gap_records, source.stats().lag), ((4000 - before) as u64, 0));
    send(&producer(&[]), "passed", 0, 5000..5010);
    while read.last() != Some(&5009) {
        assert!(Instant::now() < deadline, "it reads on");
        source.read(0, 100, &mut |record| read.push(record.offset)).unwrap();
    }
}

#[test]
fn a_reader_of_a_range_of_which_all_is_deleted_comes_to_its_end() {
    for (name, forgotten, until) in
        [("cut-to-its-end", 5000, Until::Now), ("cut-beyond", 4000, Until::Offsets(at(&[(0, 3000)])))]
    {
        let (mut source, mut read) = overtaken(name, forgotten, Some(until.clone()), OnGap::Skip);
        read.extend(read_whole(&mut *source).remove(&0).unwrap());
        let (next, end) = (read.len() as i64, if until == Until::Now { 5000 } else { 3000 });
        assert_eq!(read, (0..next).collect::<Vec<_>>());
        assert_eq!(source.stats().gap_records, (end - next) as u64, "{name}");
    }
}
