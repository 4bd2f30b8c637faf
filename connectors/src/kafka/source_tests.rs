//! The reader against librdkafka's mock cluster: partitions, starts, ends, outages, and what cannot be read.

use super::tests_support::{Cluster, TOPIC};
use super::{KafkaFactory, KafkaOptions};
use crate::source::{BrokerTime, Partition, Progress, Source, SourceError, SourceFactory};
use crate::start::Start;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(60);

fn options(cluster: &Cluster) -> KafkaOptions {
    // The mock has no controller, whom librdkafka would ask for the topic's id.
    KafkaOptions {
        identity_timeout: Duration::from_millis(10),
        ..KafkaOptions::new(cluster.url().parse().unwrap())
    }
}

fn open(options: KafkaOptions) -> Box<dyn Source> {
    KafkaFactory::new(options).unwrap().open(0, 1).unwrap()
}

fn numbers(count: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| n.to_string().into_bytes())
}

type Records = BTreeMap<Partition, Vec<(i64, String)>>;

/// Reads all slots in turns into `records` until `done` says so of them and of each slot's last progress.
fn read_until(source: &mut dyn Source, records: &mut Records, done: impl Fn(&Records, &[Progress]) -> bool) {
    let deadline = Instant::now() + LONG;
    let mut progress = Vec::new();
    while !done(records, &progress) {
        assert!(
            Instant::now() < deadline,
            "so far: {:?}",
            records.iter().map(|(p, r)| (p, r.len())).collect::<Vec<_>>()
        );
        progress.clear();
        for slot in 0..source.partitions().len() {
            let partition = source.partitions()[slot];
            let found = records.entry(partition).or_default();
            let mut each = |record: crate::source::Record<'_>| {
                assert!(matches!(record.time, Some(BrokerTime::Created(time)) if time > 0));
                found.push((
                    record.offset,
                    String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap(),
                ));
            };
            progress.push(source.read(slot, 100, &mut each).unwrap());
        }
        if !progress.iter().any(|progress| matches!(progress, Progress::Read(_))) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn all_at_end(progress: &[Progress]) -> bool {
    !progress.is_empty() && progress.iter().all(|progress| matches!(progress, Progress::AtEnd(_)))
}

/// The error that reading ends with.
fn read_to_error(source: &mut dyn Source) -> SourceError {
    let deadline = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = source.read(0, 100, &mut |_| ()) {
            return error;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn workers_share_the_partitions_and_read_each_to_its_end() {
    let cluster = Cluster::start(5);
    (0..4).for_each(|partition| cluster.produce(partition, numbers(300)));
    let factory = KafkaFactory::new(options(&cluster)).unwrap();
    let mut all = Records::new();
    for worker in 0..3 {
        let mut source = factory.open(worker, 3).unwrap();
        assert!(!source.bounded());
        assert_eq!(source.name(0), format!("{TOPIC}/{worker}"));
        read_until(&mut *source, &mut all, |_, progress| all_at_end(progress));
        assert_eq!((source.stats().lag, source.stats().disconnected), (0, false));
    }
    let expected: Vec<_> = (0..300).map(|n| (n, n.to_string())).collect();
    for partition in 0..4 {
        assert_eq!(all[&partition], expected);
    }
    assert_eq!(all[&4], [], "an empty partition is at its end");
    assert!(factory.open(6, 7).unwrap().partitions().is_empty());
}

#[test]
fn a_start_is_the_end_or_an_offset_that_is_kept() {
    let cluster = Cluster::start(2);
    (0..2).for_each(|partition| cluster.produce(partition, numbers(10)));
    let starts = |start| KafkaFactory::new(KafkaOptions { start, ..options(&cluster) }).map(|f| f.starts());
    assert_eq!(starts(Start::Earliest).unwrap(), BTreeMap::from([(0, 0), (1, 0)]));
    assert_eq!(starts(Start::Latest).unwrap(), BTreeMap::from([(0, 10), (1, 10)]));
    let offsets = |offsets: &[(Partition, i64)]| Start::Offsets(offsets.iter().copied().collect());
    assert_eq!(starts(offsets(&[(1, 10)])).unwrap(), BTreeMap::from([(0, 0), (1, 10)]));

    let error = starts(offsets(&[(0, 3), (1, 11)])).unwrap_err().to_string();
    assert!(error.contains("events/1 at offset 11") && error.contains("0 to 10"), "{error}");
    let reached = BTreeMap::from([(0, 10), (1, 11)]);
    let resumed = KafkaOptions { start: offsets(&[(0, 3), (1, 4)]), reached, ..options(&cluster) };
    let error = KafkaFactory::new(resumed).err().unwrap().to_string();
    assert!(error.contains("events/1 at offset 11") && error.contains("made anew"), "{error}");
    let error = starts(offsets(&[(2, 0)])).unwrap_err().to_string();
    assert!(error.contains("no partition 2"), "{error}");

    let mut records = Records::new();
    let mut source = open(KafkaOptions { start: offsets(&[(0, 7), (1, 10)]), ..options(&cluster) });
    read_until(&mut *source, &mut records, |_, progress| all_at_end(progress));
    assert_eq!(records[&0].iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(records[&1], []);
}

#[test]
fn the_lag_of_a_partition_that_is_not_read_is_known() {
    let cluster = Cluster::start(2);
    cluster.produce(0, numbers(100));
    // After the first answer the queue is full, and nothing is fetched any more.
    let properties = BTreeMap::from([("queued.min.messages".to_owned(), "1".to_owned())]);
    let interval = Duration::from_millis(100);
    let mut source = open(KafkaOptions { properties, discovery_interval: interval, ..options(&cluster) });
    let deadline = Instant::now() + LONG;
    while source.read(0, 1, &mut |_| ()).unwrap() != Progress::Read(1) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    cluster.produce(0, numbers(900));
    while source.lag(0) != 999 {
        assert!(Instant::now() < deadline, "{} records", source.lag(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((source.lag(1), source.stats().lag), (0, 999));
}

#[test]
fn an_outage_ends_the_knowledge_of_the_end_and_loses_and_doubles_nothing() {
    let cluster = Cluster::start(1);
    cluster.produce(0, numbers(100));
    let mut source = open(options(&cluster));
    let mut records = Records::new();
    read_until(&mut *source, &mut records, |_, progress| all_at_end(progress));
    let Progress::AtEnd(before) = source.read(0, 1, &mut |_| ()).unwrap() else {
        panic!("it was at the end")
    };

    cluster.down();
    let down = Instant::now();
    read_until(&mut *source, &mut records, |_, progress| progress == [Progress::Waiting]);
    let deadline = Instant::now() + LONG;
    while !source.stats().disconnected {
        assert_eq!(source.read(0, 1, &mut |_| ()).unwrap(), Progress::Waiting);
        assert!(Instant::now() < deadline);
    }
    assert!(source.stats().retries > 0);

    cluster.up();
    read_until(&mut *source, &mut records, |_, progress| all_at_end(progress));
    let Progress::AtEnd(after) = source.read(0, 1, &mut |_| ()).unwrap() else { panic!("it was at the end") };
    assert!(before < down && after > down, "the instant begins anew, although librdkafka says nothing again");
    assert!(!source.stats().disconnected);
    cluster.produce(0, numbers(50));
    read_until(&mut *source, &mut records, |records, progress| {
        records[&0].len() >= 150 && all_at_end(progress)
    });
    assert_eq!(
        records[&0].iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
        (0..150).collect::<Vec<_>>()
    );
}

#[test]
fn a_partition_found_later_begins_at_its_beginning() {
    let cluster = Cluster::start(3);
    (0..3).for_each(|partition| cluster.produce(partition, numbers(10)));
    let interval = Duration::from_millis(100);
    let factory = KafkaFactory::new(KafkaOptions {
        start: Start::Latest,
        discovery_interval: interval,
        ..options(&cluster)
    });
    let factory = factory.unwrap();
    factory.forget_partitions(1..3);
    let (mut first, mut second) = (factory.open(0, 2).unwrap(), factory.open(1, 2).unwrap());
    assert!(second.partitions().is_empty());
    let (mut evens, mut odds) = (Records::new(), Records::new());
    read_until(&mut *first, &mut evens, |records, _| {
        records.get(&2).is_some_and(|records| records.len() == 10)
    });
    read_until(&mut *second, &mut odds, |records, _| {
        records.get(&1).is_some_and(|records| records.len() == 10)
    });
    assert_eq!(evens[&0], [], "this one was there at the start, and starts at its end");
    cluster.produce(0, numbers(1));
    read_until(&mut *first, &mut evens, |records, progress| records[&0].len() == 1 && all_at_end(progress));
}

#[test]
fn an_offset_that_is_gone_is_lost_by_name() {
    let cluster = Cluster::start(1);
    cluster.produce(0, numbers(10));
    let mut source = open(options(&cluster));
    read_until(&mut *source, &mut Records::new(), |_, progress| all_at_end(progress));
    let gone = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE];
    cluster.mock().request_errors(RDKafkaApiKey::Fetch, &gone);
    let error = read_to_error(&mut *source);
    let SourceError::Lost { partition, offset, .. } = &error else { panic!("{error}") };
    assert_eq!((partition.as_str(), *offset), ("events/0", 10));
    assert!(error.to_string().contains("offset"), "{error}");
}

#[test]
fn denied_access_is_waited_out_and_is_fatal_when_it_lasts() {
    let cluster = Cluster::start(1);
    cluster.produce(0, numbers(10));
    let patience = Duration::from_secs(2);
    let factory = KafkaFactory::new(KafkaOptions { error_patience: patience, ..options(&cluster) }).unwrap();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

    cluster.mock().request_errors(RDKafkaApiKey::Fetch, &[denied]);
    let mut source = factory.open(0, 1).unwrap();
    let mut records = Records::new();
    let began = Instant::now();
    read_until(&mut *source, &mut records, |_, progress| {
        began.elapsed() > patience * 2 && all_at_end(progress)
    });
    assert_eq!((records[&0].len(), source.stats().retries), (10, 1), "it passed");

    cluster.mock().request_errors(RDKafkaApiKey::Fetch, &vec![denied; 1000]);
    let error = read_to_error(&mut *factory.open(0, 1).unwrap()).to_string();
    assert!(error.contains("events/0 at offset 0") && error.contains("authorization"), "{error}");
}

#[test]
fn brokers_that_do_not_answer_and_topics_that_are_not_there_are_refused_at_start() {
    let short = Duration::from_millis(1500);
    let refused = |url: &str| {
        let options = KafkaOptions { connect_timeout: short, ..KafkaOptions::new(url.parse().unwrap()) };
        KafkaFactory::new(options).err().unwrap().to_string()
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refused(&format!("kafka://{free}/t"));
    assert!(error.contains(&free.to_string()) && error.contains("refused"), "{error}");
    let cluster = Cluster::start(1);
    let error = refused(&format!("kafka://{}/other", cluster.servers()));
    assert!(error.contains("no topic \"other\""), "{error}");
}
