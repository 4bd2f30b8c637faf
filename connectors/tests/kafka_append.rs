//! Kafka as the log that events are written to, against a real broker: whole batches, keyed like the loader's, and an
//! outage in which nothing that was said to be kept is lost.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "support/kafka_server.rs"]
mod kafka_server;

use crest_connectors::KafkaLog;
use crest_connectors::append::{AppendError, Batch, EventLog};
use crest_connectors::kafka::{KafkaFactory, KafkaOptions, Loader, ensure_topic};
use crest_connectors::source::{Partition, Progress, SourceFactory};
use crest_connectors::{Until, source};
use kafka_server::KafkaServer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(90);
/// Events of a batch.
const EVENTS: usize = 100;

type Outcome = Result<(), AppendError>;

/// The broker of the tests that do not stop it.
fn broker() -> &'static KafkaServer {
    static BROKER: OnceLock<KafkaServer> = OnceLock::new();
    BROKER.get_or_init(KafkaServer::start)
}

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn batch(number: usize) -> Batch {
    let mut batch = Batch::default();
    for event in 0..EVENTS {
        batch.push(format!("key-{event}").as_bytes(), format!("{number}:{event}").as_bytes());
    }
    batch
}

fn append(log: &KafkaLog, batch: Batch) -> Receiver<Outcome> {
    let (told, hear) = channel();
    log.append(batch, Box::new(move |outcome| told.send(outcome).unwrap()));
    hear
}

fn append_and_wait(log: &KafkaLog, batch: Batch) -> Outcome {
    append(log, batch).recv_timeout(LONG).unwrap()
}

/// All payloads of the topic, by partition.
fn read(url: &str) -> BTreeMap<Partition, Vec<String>> {
    let options = KafkaOptions { until: Some(Until::Now), ..KafkaOptions::new(url.parse().unwrap()) };
    let mut source = KafkaFactory::new(options).unwrap().open(0, 1).unwrap();
    let (mut found, deadline) = (BTreeMap::new(), Instant::now() + LONG);
    for (slot, partition) in source.partitions().to_vec().into_iter().enumerate() {
        let texts: &mut Vec<String> = found.entry(partition).or_default();
        let mut each = |record: source::Record<'_>| {
            texts.push(String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap());
        };
        while source.read(slot, 1000, &mut each).unwrap() != Progress::Ended {
            assert!(Instant::now() < deadline);
        }
    }
    found
}

/// How many events of each batch are there, none of them twice.
fn batches(url: &str) -> BTreeMap<usize, usize> {
    let texts: Vec<String> = read(url).into_values().flatten().collect();
    let distinct: BTreeSet<&String> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len(), "none is there twice");
    let mut batches = BTreeMap::new();
    for text in texts {
        *batches.entry(text.split_once(':').unwrap().0.parse().unwrap()).or_default() += 1;
    }
    batches
}

#[test]
fn batches_arrive_whole_in_the_partitions_that_the_loader_chooses() {
    let (mine, theirs) = (broker().url("appended"), broker().url("loaded"));
    let missing = KafkaLog::connect(&mine.parse().unwrap(), &BTreeMap::new()).err().unwrap().to_string();
    assert!(missing.contains("no topic \"appended\""), "{missing}");
    for url in [&mine, &theirs] {
        ensure_topic(&url.parse().unwrap(), Some(5), &BTreeMap::new()).unwrap();
    }
    let log = KafkaLog::connect(&mine.parse().unwrap(), &BTreeMap::new()).unwrap();
    let mut loader = Loader::connect(&theirs.parse().unwrap(), &BTreeMap::new()).unwrap();
    let mut waiting = Vec::new();
    for number in 0..50 {
        let batch = batch(number);
        batch.iter().for_each(|(key, payload)| loader.send(Some(key), payload).unwrap());
        waiting.push(append(&log, batch));
    }
    loader.finish(Instant::now() + LONG).unwrap();
    assert!(log.flush(Instant::now() + LONG));
    assert!(waiting.iter().all(|hear| hear.try_recv().unwrap() == Ok(())));
    assert_eq!(append_and_wait(&log, Batch::default()), Ok(()));
    let found = read(&mine);
    assert_eq!(found, read(&theirs), "in the same partitions, in the same order");
    assert!(found.values().all(|texts| !texts.is_empty()));
    assert_eq!(batches(&mine), (0..50).map(|number| (number, EVENTS)).collect());
    let stats = log.stats();
    assert_eq!((stats.events, stats.batches, stats.failed, stats.full), (5000, 50, 0, 0));
    assert!(stats.waiting_bytes == 0 && !stats.unavailable && stats.time > Duration::ZERO);
}

#[test]
fn a_record_that_is_never_taken_is_refused_by_its_place_and_nothing_of_its_batch_is_sent() {
    let url = broker().url("bounded");
    ensure_topic(&url.parse().unwrap(), Some(1), &BTreeMap::new()).unwrap();
    let log =
        KafkaLog::connect(&url.parse().unwrap(), &properties(&[("message.max.bytes", "2000")])).unwrap();
    let of = |bytes: usize| {
        let mut batch = Batch::default();
        batch.push(b"k", b"0:0");
        batch.push(b"key", format!("0:{}", "x".repeat(bytes - 5)).as_bytes());
        batch
    };
    // librdkafka counts 36 bytes for what stands around a record.
    let Err(AppendError::Refused { index: 1, reason }) = append_and_wait(&log, of(1965)) else { panic!() };
    assert!(reason.contains("1965 bytes") && reason.contains("1964 at most"), "{reason}");
    assert_eq!(append_and_wait(&log, of(1964)), Ok(()));
    assert_eq!(read(&url)[&0].len(), 2);
    // The reader would be given no payload over 1 MiB, whatever the topic takes.
    let log =
        KafkaLog::connect(&url.parse().unwrap(), &properties(&[("message.max.bytes", "100000000")])).unwrap();
    assert!(matches!(append_and_wait(&log, of((1 << 20) + 4)), Err(AppendError::Refused { index: 1, .. })));
    let refusal =
        |key| KafkaLog::connect(&url.parse().unwrap(), &properties(&[(key, "1")])).err().unwrap().to_string();
    assert!(refusal("queue.buffering.max.kbytes").contains("bounded by the log itself"));
    assert!(refusal("linger.mss").contains("property linger.mss"));
}

/// Appends numbered batches until `enough` says so of an outcome; what was kept and what was refused for certain is
/// noted.
fn append_until(
    log: &KafkaLog,
    next: &mut usize,
    kept: &mut BTreeSet<usize>,
    refused: &mut BTreeSet<usize>,
    enough: impl Fn(&Outcome) -> bool,
) {
    let deadline = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < deadline);
        let outcome = append_and_wait(log, batch(*next));
        match &outcome {
            Ok(()) => assert!(kept.insert(*next)),
            Err(AppendError::Unavailable(_)) => assert!(refused.insert(*next)),
            Err(AppendError::Partly { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        *next += 1;
        if enough(&outcome) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn through_a_stopped_and_a_killed_broker_nothing_kept_is_lost_and_it_takes_again() {
    let broker = KafkaServer::start();
    let url = broker.url("steady");
    ensure_topic(&url.parse().unwrap(), Some(4), &BTreeMap::new()).unwrap();
    let log =
        KafkaLog::connect(&url.parse().unwrap(), &properties(&[("message.timeout.ms", "4000")])).unwrap();
    let (mut next, mut kept, mut refused) = (0, BTreeSet::new(), BTreeSet::new());
    for kill in [false, true] {
        for _ in 0..20 {
            append_until(&log, &mut next, &mut kept, &mut refused, |_| true);
        }
        let waiting: Vec<_> = (next..next + 50).map(|number| (number, append(&log, batch(number)))).collect();
        next += 50;
        if kill {
            broker.kill()
        } else {
            broker.stop()
        }
        // What was on its way is settled, however it ends.
        for (number, hear) in waiting {
            match hear.recv_timeout(LONG).unwrap() {
                Ok(()) => assert!(kept.insert(number)),
                Err(AppendError::Unavailable(_)) => assert!(refused.insert(number)),
                Err(AppendError::Partly { of, .. }) => assert_eq!(of, EVENTS),
                Err(other) => panic!("{other}"),
            }
        }
        append_until(&log, &mut next, &mut kept, &mut refused, |outcome| {
            matches!(outcome, Err(AppendError::Unavailable(_)))
        });
        assert!(log.stats().unavailable);
        let begun = Instant::now();
        let mut at_once = 0;
        while at_once < 20 {
            // Refused within the call: nothing is queued for the broker's return.
            let hear = append(&log, batch(next));
            match hear.try_recv() {
                Ok(Err(AppendError::Unavailable(reason))) => {
                    assert!(!reason.is_empty());
                    assert!(refused.insert(next));
                    at_once += 1;
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => assert!(begun.elapsed() < LONG, "it is known to be down"),
            }
            next += 1;
        }
        assert_eq!(log.stats().waiting_bytes, 0);
        broker.start_again();
        append_until(&log, &mut next, &mut kept, &mut refused, Result::is_ok);
        assert!(!log.stats().unavailable);
    }
    assert!(log.flush(Instant::now() + LONG));
    let there = batches(&url);
    for number in &kept {
        assert_eq!(there.get(number), Some(&EVENTS), "batch {number} was kept");
    }
    assert!(refused.iter().all(|number| !there.contains_key(number)), "what was refused is not there");
}
