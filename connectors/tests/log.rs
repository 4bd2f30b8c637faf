//! The embedded log on a real disk: what was kept is read in order, by any number of workers, after any reopening, and
//! after the process was killed in the middle of it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is a failed test

use crest_connectors::append::{Batch, EventLog};
use crest_connectors::source::{BrokerTime, Partition, Progress, Record, SourceError, SourceFactory};
use crest_connectors::{Log, OnGap, SourceOptions, Start, Until, open_source, probe};
use proptest::prelude::*;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(90);

type Records = BTreeMap<Partition, Vec<(i64, Vec<u8>)>>;

fn url(folder: &Path) -> String {
    format!("log:{}/log", folder.display())
}

fn append(log: &Log, batch: Batch) {
    let (told, hear) = channel();
    log.append(batch, Box::new(move |kept| told.send(kept).unwrap()));
    hear.recv_timeout(LONG).unwrap().unwrap();
}

/// A batch of events `number:0`, `number:1` …, whose keys spread over all partitions.
fn numbered(number: usize, events: usize) -> Batch {
    let mut batch = Batch::default();
    for event in 0..events {
        batch.push(format!("key-{number}-{event}").as_bytes(), format!("{number}:{event}").as_bytes());
    }
    batch
}

/// Reads a bounded source to its end, by so many workers.
fn read_by(factory: &Arc<dyn SourceFactory>, workers: usize) -> Records {
    let mut records = Records::new();
    for worker in 0..workers {
        let mut source = factory.open(worker, workers).unwrap();
        let partitions = source.partitions().to_vec();
        assert!(partitions.iter().all(|partition| *partition as usize % workers == worker));
        for (slot, partition) in partitions.into_iter().enumerate() {
            assert_eq!(source.name(slot), format!("log/{partition}"));
            let found = records.entry(partition).or_default();
            let mut each = |record: Record<'_>| {
                assert!(matches!(record.time, Some(BrokerTime::Appended(1_700_000_000_000..))));
                found.push((record.offset, record.payload.bytes().unwrap().to_vec()));
            };
            while source.read(slot, 100, &mut each).unwrap() != Progress::Ended {}
        }
        assert_eq!(source.stats().lag, 0);
    }
    records
}

fn all(log: &Arc<Log>) -> Records {
    read_by(&log.source(None, BTreeMap::new(), Some(Until::Now), OnGap::Fail).unwrap(), 1)
}

/// The batches that are there; each must be whole, and there once.
fn whole_batches(records: &Records, events: usize) -> BTreeSet<usize> {
    let mut found: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for records in records.values() {
        for (at, (offset, payload)) in records.iter().enumerate() {
            assert_eq!(*offset, at as i64);
            let (number, event) = std::str::from_utf8(payload).unwrap().split_once(':').unwrap();
            assert!(found.entry(number.parse().unwrap()).or_default().insert(event.parse().unwrap()));
        }
    }
    for (number, found) in &found {
        assert_eq!(found.len(), events, "batch {number} is there by half");
    }
    found.into_keys().collect()
}

#[test]
fn a_log_is_made_written_and_read_by_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&url(folder.path()).parse().unwrap()).unwrap();
    assert_eq!(log.partitions(), 4);
    for number in 0..50 {
        append(&log, numbered(number, 200));
    }
    let factory = log.source(None, BTreeMap::new(), Some(Until::Now), OnGap::Fail).unwrap();
    let records = read_by(&factory, 1);
    assert_eq!(whole_batches(&records, 200).len(), 50);
    assert!(records.values().all(|records| records.len() > 2000), "keys are spread evenly");
    for workers in [2, 3, 9] {
        assert_eq!(read_by(&factory, workers), records);
    }
    let ranges: BTreeMap<_, _> =
        records.iter().map(|(partition, records)| (*partition, 0..records.len() as i64)).collect();
    assert_eq!(factory.ranges(), ranges);
    let identity = factory.identity().unwrap();
    assert!(identity.len() == 32 && identity.bytes().all(|digit| digit.is_ascii_hexdigit()), "{identity}");
    let stats = log.stats();
    assert_eq!((stats.events, stats.batches, stats.waiting_bytes, stats.unavailable), (10_000, 50, 0, false));
    assert!(stats.bytes > 100_000 && stats.time > Duration::ZERO);
}

#[test]
fn an_unbounded_reader_follows_and_tells_since_when_it_is_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&format!("{}?partitions=1", url(folder.path())).parse().unwrap()).unwrap();
    let options = SourceOptions { log: Some(log.clone()), ..SourceOptions::default() };
    let factory = open_source(&"log:any".parse().unwrap(), &options).unwrap();
    assert!(!factory.bounded());
    let mut source = factory.open(0, 1).unwrap();
    assert!(factory.open(1, 2).unwrap().partitions().is_empty());
    for number in 0..20 {
        append(&log, numbered(number, 10));
        assert_eq!((source.stats().lag, source.read_to_end(0)), (10, None));
        let before = Instant::now();
        let mut found = 0;
        assert_eq!(source.read(0, 100, &mut |_| found += 1).unwrap(), Progress::Read(10));
        assert_eq!((found, source.stats().lag), (10, 0));
        let Progress::AtEnd(since) = source.read(0, 100, &mut |_| panic!()).unwrap() else { panic!() };
        let end = source.read_to_end(0).unwrap();
        assert!(end.at >= before && end.answering_since == since);
    }
}

#[test]
fn a_part_is_read_from_where_and_up_to_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}?partitions=2", url(folder.path()));
    let log = Log::open(&url.parse().unwrap()).unwrap();
    let mut batch = Batch::default();
    for number in 0..500 {
        batch.push(format!("key-{number}").as_bytes(), format!("0:{number}").as_bytes());
    }
    append(&log, batch.clone());
    thread::sleep(Duration::from_millis(5));
    append(&log, batch);
    let high: Vec<i64> = log.probe(&BTreeMap::new()).unwrap().values().map(|probed| probed.high).collect();
    let options = SourceOptions { log: Some(log.clone()), ..SourceOptions::default() };
    let probed = probe(&url.parse().unwrap(), &options, &BTreeMap::from([(0, 0), (1, high[1] - 1)])).unwrap();
    let (first, second) = (probed[&0].time.unwrap(), probed[&1].time.unwrap());
    assert!(first < second);
    let at = |offsets: &[(Partition, i64)]| offsets.iter().copied().collect::<BTreeMap<_, _>>();
    let ranges = |start, until| {
        let factory = log.source(Some(start), BTreeMap::new(), Some(until), OnGap::Fail)?;
        assert!(factory.bounded());
        let ranges = factory.ranges();
        let read: BTreeMap<_, _> = read_by(&factory, 1)
            .into_iter()
            .map(|(p, r)| (p, r.into_iter().map(|(o, _)| o).collect()))
            .collect();
        let expected: BTreeMap<Partition, Vec<i64>> =
            ranges.iter().map(|(p, range)| (*p, range.clone().collect())).collect();
        assert_eq!(read, expected);
        Ok::<_, SourceError>((ranges[&0].clone(), ranges[&1].clone()))
    };
    let (middle, ends) = ((high[0] / 2, high[1] / 2), (high[0], high[1]));
    for (start, begins) in [
        (Start::Earliest, (0, 0)),
        (Start::Latest, ends),
        (Start::Time(0), (0, 0)),
        (Start::Time(first), (0, 0)),
        (Start::Time(first + 1), middle),
        (Start::Time(second), middle),
        (Start::Time(second + 1), ends),
        (Start::Offsets(at(&[(1, 7)])), (0, 7)),
    ] {
        let found = ranges(start.clone(), Until::Now).unwrap();
        assert_eq!(found, (begins.0..ends.0, begins.1..ends.1), "{start:?}");
    }
    let part = ranges(Start::Offsets(at(&[(0, 5), (1, 9)])), Until::Offsets(at(&[(0, 11), (1, 9)]))).unwrap();
    assert_eq!(part, (5..11, 9..9));

    let refusal = |start, until, reached: &[(Partition, i64)]| {
        log.source(start, at(reached), until, OnGap::Skip).err().unwrap().to_string()
    };
    let beyond = ends.0 + 1;
    for error in [
        refusal(Some(Start::Offsets(at(&[(0, beyond)]))), None, &[]),
        refusal(None, Some(Until::Offsets(at(&[(0, beyond)]))), &[]),
        refusal(None, None, &[(0, beyond)]),
    ] {
        let said = format!("log/0 at offset {beyond}: the partition ends before it (is the log another one");
        assert!(error.starts_with(&said), "{error}");
    }
    let error = refusal(Some(Start::Offsets(at(&[(2, 0)]))), None, &[]);
    assert!(error.contains("start: the log has no partition 2, only 2 partitions"), "{error}");
    let error = log.probe(&at(&[(3, 0)])).unwrap_err().to_string();
    assert!(error.contains("offset: the log has no partition 3"), "{error}");
    log.source(None, at(&[(0, ends.0)]), None, OnGap::Fail).unwrap();
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let refusal = |url: &str| {
        let opened = url.parse().map_err(SourceError::from).and_then(|url| Log::open(&url));
        opened.err().unwrap().to_string()
    };
    assert!(refusal(&format!("log:{path}/file/log")).starts_with(&format!("{path}/file/log: ")));
    std::fs::create_dir(folder.path().join("letters")).unwrap();
    std::fs::write(folder.path().join("letters/events.redb"), "Dear friend, ".repeat(1000)).unwrap();
    let error = refusal(&format!("log:{path}/letters"));
    assert!(error.contains("letters/events.redb: it is no event log, or is damaged"), "{error}");
    let error = refusal(&format!("log:{path}/l?keep=never"));
    assert!(error.contains("keep=never") && error.contains("log:"), "{error}");
    assert!(!folder.path().join("l").exists());
    let log = Log::open(&format!("log:{path}/l?partitions=2").parse().unwrap()).unwrap();
    let error = open_source(&format!("log:{path}/l").parse().unwrap(), &SourceOptions::default())
        .err()
        .unwrap()
        .to_string();
    assert_eq!(error, format!("{path}/l/events.redb: is held by another process"));
    drop(log);
    let error = refusal(&format!("log:{path}/l?partitions=3"));
    assert!(error.contains("partitions=3: the log was made with 2"), "{error}");
    open_source(&format!("log:{path}/l").parse().unwrap(), &SourceOptions::default()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_appended_is_read_in_order_through_any_reopening(
        partitions in 1..6_u32,
        steps in prop::collection::vec(
            // Now and then a step opens the log anew.
            (prop::collection::vec((0..9_u8, prop::collection::vec(any::<u8>(), 0..300)), 0..40), prop::bool::weighted(0.2)),
            1..30,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}?partitions={partitions}", url(folder.path()));
        let mut log = Log::open(&url.parse().unwrap()).unwrap();
        let identity = log.identity();
        let mut by_key: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
        for (events, reopen) in steps {
            let mut batch = Batch::default();
            for (key, payload) in events {
                // The key stands before the payload, so that the order within it can be followed.
                let payload = [&[key], payload.as_slice()].concat();
                batch.push(&vec![b'k'; usize::from(key)], &payload);
                by_key.entry(key).or_default().push(payload);
            }
            append(&log, batch);
            if reopen {
                drop(log);
                log = Log::open(&url.parse().unwrap()).unwrap();
            }
        }
        prop_assert_eq!(log.identity(), identity);
        let records = all(&log);
        prop_assert_eq!(records.len(), partitions as usize);
        let mut found: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
        let mut homes: BTreeMap<u8, BTreeSet<Partition>> = BTreeMap::new();
        for (partition, records) in records {
            for (at, (offset, payload)) in records.into_iter().enumerate() {
                prop_assert_eq!(offset, at as i64);
                homes.entry(payload[0]).or_default().insert(partition);
                found.entry(payload[0]).or_default().push(payload);
            }
        }
        for (key, expected) in by_key {
            let mut found = found.remove(&key).unwrap_or_default();
            let mut expected = expected;
            if key == 0 {
                // Events without a key may be anywhere.
                (found.sort(), expected.sort()).1
            } else {
                prop_assert!(homes[&key].len() == 1);
            }
            prop_assert_eq!(found, expected);
        }
    }
}

/// Where the process that is to be killed finds its log's folder.
const FOLDER: &str = "CREST_TEST_LOG_FOLDER";
/// From which number on it counts its batches.
const FIRST: &str = "CREST_TEST_LOG_FIRST";
/// How many events each has.
const KILLED_EVENTS: usize = 50;
/// How many batches it appends before it waits for the first.
const MOST_ON_THEIR_WAY: usize = 8;

/// Not a test by itself: what [`what_was_kept_survives_a_kill_at_any_instant`] runs in a process of its own. It
/// appends until it is killed, and says of each batch that it was kept.
#[test]
fn appends_until_it_is_killed() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let log = Log::open(&url(Path::new(&folder)).parse().unwrap()).unwrap();
    println!("\nopened");
    let (told, hear) = channel();
    let mut on_their_way = 0;
    for number in first.parse::<usize>().unwrap().. {
        let told = told.clone();
        let kept = move |kept: Result<(), _>| {
            kept.unwrap();
            println!("kept {number}");
            let _ = told.send(());
        };
        log.append(numbered(number, KILLED_EVENTS), Box::new(kept));
        on_their_way += 1;
        if on_their_way > MOST_ON_THEIR_WAY {
            hear.recv_timeout(LONG).unwrap();
            on_their_way -= 1;
        }
    }
}

/// Ends with its value, also where the test fails.
struct Appender(Child);

impl Appender {
    fn start(folder: &Path, first: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "appends_until_it_is_killed", "--nocapture"]);
        command.env(FOLDER, folder).env(FIRST, first.to_string());
        Appender(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_was_kept_survives_a_kill_at_any_instant() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut kept = BTreeSet::new();
    for round in 0..12 {
        let mut appender = Appender::start(folder.path(), round * 1_000_000);
        let mut lines = BufReader::new(appender.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let opened = lines.by_ref().any(|line| line == "opened");
        assert!(opened, "the child can open the log in round {round}");
        if round == 0 {
            let error = Log::open(&url(folder.path()).parse().unwrap()).err().unwrap().to_string();
            assert!(error.ends_with("events.redb: is held by another process"), "{error}");
        }
        let number = |line: String| line.strip_prefix("kept ").map(|number| number.parse::<usize>().unwrap());
        let before = random.random_range(0..80);
        kept.extend(lines.by_ref().take(before).filter_map(number));
        thread::sleep(Duration::from_micros(random.random_range(0..3000)));
        appender.0.kill().unwrap();
        // What it said before it was killed counts too.
        kept.extend(lines.filter_map(number));
        drop(appender);

        let log = Log::open(&url(folder.path()).parse().unwrap()).unwrap();
        let there = whole_batches(&all(&log), KILLED_EVENTS);
        assert!(kept.is_subset(&there), "lost: {:?}", kept.difference(&there));
        // What was on its way may be there as well.
        assert!(
            there.len() <= kept.len() + (round + 1) * (MOST_ON_THEIR_WAY + 1),
            "{} {}",
            there.len(),
            kept.len()
        );
    }
    assert!(kept.len() > 100, "{}", kept.len());
}

#[test]
fn a_log_that_is_let_go_of_keeps_what_it_has_taken() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&url(folder.path()).parse().unwrap()).unwrap();
    let (told, hear) = channel();
    for number in 0..100 {
        let told = told.clone();
        log.append(numbered(number, 10), Box::new(move |kept| told.send(kept).unwrap()));
    }
    drop(log);
    assert_eq!(hear.try_iter().filter(Result::is_ok).count(), 100);
    let log = Log::open(&url(folder.path()).parse().unwrap()).unwrap();
    assert_eq!(whole_batches(&all(&log), 10).len(), 100);
    assert!(log.flush(Instant::now()), "nothing waits");
}

/// Written by commit 619f539: three batches of forty events, as JSON lines.
#[test]
fn a_log_that_the_first_release_wrote_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("log")).unwrap();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/first-log/log/events.redb");
    std::fs::copy(stored, folder.path().join("log/events.redb")).unwrap();
    let log = Log::open(&url(folder.path()).parse().unwrap()).unwrap();
    let before = all(&log);
    let mut found: Vec<String> = Vec::new();
    for records in before.values() {
        for (at, (offset, payload)) in records.iter().enumerate() {
            assert_eq!(*offset, at as i64);
            found.push(String::from_utf8(payload.clone()).unwrap());
        }
    }
    let event = |batch: i64, n: i64| {
        let time = 1_711_670_400_000 + n * 100 + batch * 5000;
        format!(r#"{{"item_id":"item:{}","timestamp":{time},"note":"é {n}"}}"#, n * batch % 17)
    };
    let mut expected: Vec<String> = (1..=3)
        .flat_map(|batch| (1..=40).map(move |n| (batch, n)))
        .map(|(batch, n)| event(batch, n))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    append(&log, numbered(7, 20));
    let after = all(&log);
    let new = |(partition, records): (&Partition, &Vec<(i64, Vec<u8>)>)| {
        let known = before.get(partition).map_or(0, Vec::len);
        assert_eq!(records[..known], before.get(partition).cloned().unwrap_or_default());
        records.len() - known
    };
    assert_eq!(after.iter().map(new).sum::<usize>(), 20);
}
