//! The log over a disk that fills up, fails, stalls and forgets, and under a clock that is set.

mod damage;
mod disk;
mod retention;

use super::Log;
use crate::append::{AppendError, Batch, EventLog, MAX_WAITING_BYTES};
use crate::range::{OnGap, Until};
use crate::source::{Partition, Progress, SourceError};
use crate::start::Start;
use disk::{Disk, Fault};
use proptest::prelude::*;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(60);
/// Events of a batch.
const EVENTS: usize = 20;

type Outcome = Result<(), AppendError>;

fn open(disk: &Arc<Disk>, url: &str) -> Result<Arc<Log>, SourceError> {
    open_at(disk, url, Arc::new(AtomicI64::new(1)))
}

fn open_at(disk: &Arc<Disk>, url: &str, clock: Arc<AtomicI64>) -> Result<Arc<Log>, SourceError> {
    let opener = disk.opener();
    let now = Box::new(move || clock.load(Ordering::SeqCst));
    Log::open_with(&url.parse()?, Path::new("disk/events.redb"), opener, now)
}

/// A batch whose events say which it is, spread over the partitions.
fn batch(number: usize) -> Batch {
    let mut batch = Batch::default();
    for event in 0..EVENTS {
        batch.push(format!("key-{event}").as_bytes(), format!("{number}:{event}").as_bytes());
    }
    batch
}

fn append(log: &Log, batch: Batch) -> Receiver<Outcome> {
    let (told, hear) = channel();
    log.append(batch, Box::new(move |outcome| told.send(outcome).unwrap()));
    hear
}

fn append_and_wait(log: &Log, batch: Batch) -> Outcome {
    append(log, batch).recv_timeout(LONG).unwrap()
}

fn read(log: &Arc<Log>, start: Start, on_gap: OnGap) -> BTreeMap<Partition, Vec<(i64, String)>> {
    let factory = log.source(Some(start), BTreeMap::new(), Some(Until::Now), on_gap).unwrap();
    let mut source = factory.open(0, 1).unwrap();
    let mut found = BTreeMap::new();
    for slot in 0..source.partitions().len() {
        let records: &mut Vec<(i64, String)> = found.entry(slot as Partition).or_default();
        let mut each = |record: crate::source::Record<'_>| {
            records
                .push((record.offset, String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap()));
        };
        while source.read(slot, 7, &mut each).unwrap() != Progress::Ended {}
    }
    found
}

/// The numbers of the batches that are there, each of which must be whole and there once.
fn batches(log: &Arc<Log>) -> BTreeSet<usize> {
    let mut events: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for records in read(log, Start::Earliest, OnGap::Fail).values() {
        for (at, (offset, text)) in records.iter().enumerate() {
            assert_eq!(*offset, at as i64);
            let (number, event) = text.split_once(':').unwrap();
            let new = events.entry(number.parse().unwrap()).or_default().insert(event.parse().unwrap());
            assert!(new, "{text} is there twice");
        }
    }
    assert!(events.values().all(|events| events.len() == EVENTS), "no batch is there by half: {events:?}");
    events.into_keys().collect()
}

/// Appends one batch after the other, with a fault at each step of a commit in turn, and checks what is there.
fn survives(fault: Fault, transient: bool) {
    let disk = Arc::new(Disk::default());
    let log = open(&disk, "log:disk").unwrap();
    let (mut kept, mut refused, mut unknown) = (BTreeSet::new(), 0, 0);
    let mut number = 0;
    for step in 0..12 {
        disk.fail_after(step, fault, transient);
        let outcome = append_and_wait(&log, batch(number));
        match outcome {
            Ok(()) => assert!(kept.insert(number)),
            Err(AppendError::Unavailable(reason)) => {
                assert!(reason.contains("asked for"), "{reason}");
                assert!(log.stats().unavailable);
                refused += 1;
            }
            Err(AppendError::Partly { kept: 0, of: EVENTS, .. }) if !transient => {
                unknown += 1;
            }
            other => panic!("{other:?}"),
        }
        disk.heal();
        number += 1;
        assert_eq!(append_and_wait(&log, batch(number)), Ok(()), "after {step} steps");
        assert!(!log.stats().unavailable);
        kept.insert(number);
        number += 1;
        // What was kept stays so when the power goes at this instant.
        let after = Arc::new(disk.after_power_cut(|_| false));
        let there = batches(&open(&after, "log:disk").unwrap());
        assert!(kept.is_subset(&there), "after {step} steps: {:?}", kept.difference(&there));
    }
    let there = batches(&log);
    assert!(kept.is_subset(&there));
    assert!(there.len() <= kept.len() + unknown, "nothing is there that was refused for certain");
    // Where the file cannot be opened again, nobody knows how far the commit came.
    assert!(if transient { refused > 0 } else { unknown > 0 }, "the fault was met");
}

#[test]
fn a_write_that_fails_keeps_nothing_and_the_next_is_taken() {
    survives(Fault::Write, true);
    survives(Fault::Write, false);
}

#[test]
fn a_sync_that_fails_is_no_promise_even_where_the_pages_are_forgotten() {
    survives(Fault::Sync, true);
    survives(Fault::Sync, false);
}

#[test]
fn a_full_disk_refuses_and_takes_again_once_there_is_room() {
    let disk = Arc::new(Disk::default());
    let log = open(&disk, "log:disk").unwrap();
    assert_eq!(append_and_wait(&log, batch(0)), Ok(()));
    disk.limit(disk.len() + (1 << 20));
    let mut noise = vec![0; 900_000];
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let (mut kept, mut refusal) = (0, None);
    while refusal.is_none() {
        random.fill_bytes(&mut noise);
        let mut large = Batch::default();
        large.push(b"k", &noise);
        match append_and_wait(&log, large) {
            Ok(()) => kept += 1,
            Err(error) => refusal = Some(error),
        }
        assert!(kept < 20);
    }
    let AppendError::Unavailable(reason) = refusal.unwrap() else { panic!("it is known not to be kept") };
    assert!(reason.contains("no space left"), "{reason}");
    // It can be read as before, while the end is no end.
    let factory = log.source(None, BTreeMap::new(), None, OnGap::Fail).unwrap();
    let mut source = factory.open(0, 1).unwrap();
    let mut found = 0;
    for slot in 0..4 {
        while let Progress::Read(_) = source.read(slot, 100, &mut |_| found += 1).unwrap() {}
        assert_eq!(source.read(slot, 1, &mut |_| ()).unwrap(), Progress::Waiting);
    }
    assert_eq!(found, EVENTS + kept);
    disk.limit(u64::MAX);
    assert_eq!(append_and_wait(&log, batch(1)), Ok(()));
    let healthy = Instant::now();
    while source.read(0, 100, &mut |_| ()).unwrap() == Progress::Read(5) {}
    let progress = loop {
        match source.read(0, 100, &mut |_| ()).unwrap() {
            Progress::Read(_) => {}
            other => break other,
        }
    };
    let Progress::AtEnd(since) = progress else { panic!("{progress:?}") };
    assert!(since <= Instant::now() && since + LONG > healthy);
}

#[test]
fn what_waits_is_bounded_and_a_batch_over_it_is_refused_whole() {
    let disk = Arc::new(Disk::default());
    let log = open(&disk, "log:disk").unwrap();
    disk.block(true);
    let mebibyte = || {
        let mut batch = Batch::default();
        batch.push(b"k", &vec![b'x'; 1 << 20]);
        batch
    };
    let mut waiting: Vec<Receiver<Outcome>> = Vec::new();
    loop {
        let hear = append(&log, mebibyte());
        match hear.try_recv() {
            Ok(outcome) => break assert_eq!(outcome, Err(AppendError::Full)),
            Err(_) => waiting.push(hear),
        }
        assert!(waiting.len() * (1 << 20) <= MAX_WAITING_BYTES);
    }
    assert_eq!(waiting.len(), 63, "the keys, and 16 bytes an event, count as well");
    let stats = log.stats();
    assert_eq!((stats.full, stats.waiting_bytes), (1, 63 * ((1 << 20) + 1)));
    assert!(!log.flush(Instant::now()));
    disk.block(false);
    assert!(log.flush(Instant::now() + LONG));
    assert!(
        waiting.iter().all(|hear| hear.try_recv().unwrap().is_ok()),
        "all have heard before it is flushed"
    );
    let stats = log.stats();
    assert_eq!((stats.events, stats.batches, stats.waiting_bytes, stats.failed), (63, 63, 0, 0));
}

#[test]
fn a_payload_that_no_reader_would_be_given_is_refused() {
    let log = open(&Arc::new(Disk::default()), "log:disk").unwrap();
    let mut large = Batch::default();
    large.push(b"", &vec![b'x'; 1 << 20]);
    assert_eq!(append_and_wait(&log, large.clone()), Ok(()));
    large.push(b"", &vec![b'x'; (1 << 20) + 1]);
    let Err(AppendError::Refused { index: 1, reason }) = append_and_wait(&log, large) else { panic!() };
    assert!(reason.contains("1048577") && reason.contains("1048576"), "{reason}");
    assert_eq!(append_and_wait(&log, Batch::default()), Ok(()));
    assert_eq!(log.stats().events, 1);
}

#[test]
fn a_log_is_held_by_one() {
    let disk = Arc::new(Disk::default());
    let log = open(&disk, "log:disk").unwrap();
    let error = open(&disk, "log:disk").err().unwrap().to_string();
    assert_eq!(error, "disk/events.redb: is held by another process");
    drop(log);
    open(&disk, "log:disk").unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_power_cut_at_any_instant_leaves_all_that_was_kept(seed in any::<u64>(), step in 0..120_u64) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let disk = Arc::new(Disk::default());
        let log = open(&disk, "log:disk").unwrap();
        disk.fail_after(step, Fault::Stop, false);
        let mut kept = BTreeSet::new();
        for number in 0.. {
            match append_and_wait(&log, batch(number)) {
                Ok(()) => { kept.insert(number); }
                Err(_) => break,
            }
        }
        // Of what was written and not synced, any part may be there.
        let after = Arc::new(disk.after_power_cut(|_| random.random()));
        let log = open(&after, "log:disk").unwrap();
        let there = batches(&log);
        prop_assert!(kept.is_subset(&there) && there.len() <= kept.len() + 1, "{:?} {:?}", kept, there);
        prop_assert_eq!(append_and_wait(&log, batch(1_000_000)), Ok(()));
        prop_assert_eq!(batches(&log).len(), there.len() + 1);
    }
}
