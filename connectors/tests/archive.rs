//! Archives of an embedded log: what was delivered is there once, byte for byte, whatever becomes of the process and of the
//! store; and what is damaged, missing or another log's is refused by name.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is a failed test

use crest_connectors::append::{Batch, EventLog};
use crest_connectors::archive::Archive;
use crest_connectors::source::{Partition, Progress, Record, Source, SourceFactory};
use crest_connectors::state::{Fault, StateStore};
use crest_connectors::tee::{ArchiveWriter, TeeOptions, open_archived};
use crest_connectors::{Log, OnGap, SourceOptions, Start, Until, open_source};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(90);

type Records = BTreeMap<Partition, Vec<(i64, Vec<u8>)>>;

/// A log, and the folder of an archive of it.
struct Place {
    folder: tempfile::TempDir,
    log: Arc<Log>,
}

impl Place {
    fn new(partitions: u32) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("log:{}/log?partitions={partitions}", folder.path().display());
        Place { log: Log::open(&url.parse().unwrap()).unwrap(), folder }
    }

    /// Events in batches of 100, of about so many bytes each.
    fn fill(&self, events: usize, bytes: usize) {
        for number in 0..events.div_ceil(100) {
            let mut batch = Batch::default();
            for event in 0..100 {
                let text = format!("{{\"item\":\"{number}-{event}\",\"pad\":\"{}\"}}", "x".repeat(bytes));
                batch.push(format!("{number}-{event}").as_bytes(), text.as_bytes());
            }
            let (told, hear) = channel();
            self.log.append(batch, Box::new(move |kept| told.send(kept).unwrap()));
            hear.recv_timeout(LONG).unwrap().unwrap();
        }
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn store(&self) -> StateStore {
        StateStore::open(self.archive().to_str().unwrap(), &BTreeMap::new()).unwrap()
    }

    fn options(&self, start: Option<Start>) -> SourceOptions {
        SourceOptions { log: Some(self.log.clone()), start, ..SourceOptions::default() }
    }

    /// Opens the log with its archive, from where a job goes on.
    fn tee(&self, store: StateStore, start: Option<Start>, tee: &TeeOptions) -> Tee {
        let url = "log:anywhere".parse().unwrap();
        let (factory, writer) = open_archived(&url, &self.options(start), store, tee).unwrap();
        Tee { factory, writer }
    }

    /// Archives all of the log.
    fn archive_all(&self) {
        let tee = self.tee(self.store(), None, &often());
        assert_same(&tee.read(2, usize::MAX), &self.all());
        assert!(tee.writer.finish(Instant::now() + LONG));
    }

    fn all(&self) -> Records {
        let factory = self.log.source(None, BTreeMap::new(), Some(Until::Now), OnGap::Fail).unwrap();
        read_to_end(&factory, 1)
    }

    fn archived(&self, options: &SourceOptions) -> Result<Arc<dyn SourceFactory>, String> {
        let url = format!("archive:{}", self.archive().display());
        open_source(&url.parse().unwrap(), options).map_err(|error| error.to_string())
    }

    /// The blocks of a partition, in their order.
    fn blocks(&self, partition: u32) -> Vec<PathBuf> {
        let folder = self.archive().join(format!("blocks/log/{partition}"));
        let within = |folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<PathBuf> = within(folder).flat_map(within).collect();
        all.sort();
        all
    }

    /// What is in the blocks, by a reader that knows nothing of the program's: the record of each line.
    fn lines(&self) -> Records {
        let mut records = Records::new();
        for partition in 0..self.log.partitions() {
            for block in self.blocks(partition) {
                let plain = zstd::stream::decode_all(fs::File::open(block).unwrap()).unwrap();
                for line in String::from_utf8(plain).unwrap().lines() {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    assert_eq!(line["partition"], partition);
                    assert!(line["timestamp"].is_i64() && line["timestamp_type"] == "appended");
                    let payload = serde_json::to_vec(&line["value"]).unwrap();
                    records
                        .entry(partition.into())
                        .or_default()
                        .push((line["offset"].as_i64().unwrap(), payload));
                }
            }
        }
        records
    }
}

/// A run of a job.
struct Tee {
    factory: Arc<dyn SourceFactory>,
    writer: ArchiveWriter,
}

impl Tee {
    /// Reads by so many workers until nothing comes, or each has read so many records; what the job got.
    fn read(&self, workers: usize, most: usize) -> Records {
        let mut records = Records::new();
        for worker in 0..workers {
            let mut source = self.factory.open(worker, workers).unwrap();
            read_some(&mut *source, most, &mut records);
        }
        records
    }
}

fn read_some(source: &mut dyn Source, most: usize, records: &mut Records) {
    let (partitions, mut read, mut ended) = (source.partitions().to_vec(), 0, 0);
    while ended < partitions.len() && read < most {
        ended = 0;
        for (slot, partition) in partitions.iter().enumerate() {
            let found = records.entry(*partition).or_default();
            let mut each =
                |record: Record<'_>| found.push((record.offset, record.payload.bytes().unwrap().to_vec()));
            match source.read(slot, 100.min(most), &mut each).unwrap() {
                Progress::Read(count) => read += count,
                Progress::AtEnd(_) => ended += 1,
                Progress::Waiting => std::thread::sleep(Duration::from_millis(1)),
                Progress::Ended => panic!("a log has no end"),
            }
        }
    }
}

fn read_to_end(factory: &Arc<dyn SourceFactory>, workers: usize) -> Records {
    let mut records = Records::new();
    for worker in 0..workers {
        let mut source = factory.open(worker, workers).unwrap();
        for (slot, partition) in source.partitions().to_vec().into_iter().enumerate() {
            assert_eq!(source.name(slot), format!("log/{partition}"));
            let found = records.entry(partition).or_default();
            let mut each =
                |record: Record<'_>| found.push((record.offset, record.payload.bytes().unwrap().to_vec()));
            while source.read(slot, 70, &mut each).unwrap() != Progress::Ended {}
        }
    }
    records
}

/// Compares without showing all of both.
#[track_caller]
fn assert_same(found: &Records, expected: &Records) {
    let offsets = |records: &Records| -> BTreeMap<Partition, Vec<i64>> {
        records.iter().map(|(p, records)| (*p, records.iter().map(|(offset, _)| *offset).collect())).collect()
    };
    let (found_offsets, expected_offsets) = (offsets(found), offsets(expected));
    for (partition, expected) in &expected_offsets {
        let found = found_offsets.get(partition).cloned().unwrap_or_default();
        let differ = found.iter().zip(expected).position(|(a, b)| a != b);
        assert!(
            differ.is_none() && found.len() == expected.len(),
            "partition {partition}: {} of {}, the first that differs: {differ:?}",
            found.len(),
            expected.len()
        );
    }
    assert!(found == expected, "payloads differ");
}

/// A block closes at each read.
fn often() -> TeeOptions {
    TeeOptions { interval: Duration::ZERO, retention: None }
}

/// A block closes when it is full.
fn seldom() -> TeeOptions {
    TeeOptions { interval: LONG, retention: None }
}

#[test]
fn what_was_delivered_is_there_once_and_read_as_the_log_itself() {
    let place = Place::new(3);
    place.fill(5000, 50);
    place.archive_all();
    let all = place.all();
    assert_same(&place.lines(), &all);
    let archived = place.archived(&SourceOptions::default()).unwrap();
    assert!(archived.bounded());
    assert_eq!(archived.identity(), Some(place.log.identity()));
    for workers in [1, 2, 4] {
        assert_same(&read_to_end(&archived, workers), &all);
    }
    // A part of it, by offsets and by time.
    let (from, to) = (BTreeMap::from([(0, 100), (1, 7)]), BTreeMap::from([(0, 400), (2, 50)]));
    let options = SourceOptions {
        start: Some(Start::Offsets(from)),
        until: Some(Until::Offsets(to)),
        ..SourceOptions::default()
    };
    let part = read_to_end(&place.archived(&options).unwrap(), 1);
    assert!(part[&0] == all[&0][100..400]);
    assert!(part[&1] == all[&1][7..] && part[&2] == all[&2][..50]);
    let report = Archive::open(place.archive().to_str().unwrap(), &BTreeMap::new()).unwrap().report();
    let newest = report[0].newest_ms.unwrap();
    let timed = |time| {
        let options = SourceOptions { start: Some(Start::Time(time)), ..SourceOptions::default() };
        read_to_end(&place.archived(&options).unwrap(), 1)
    };
    assert_same(&timed(0), &all);
    assert!(timed(newest + 1).values().all(Vec::is_empty));
    let some = timed(newest).remove(&0).unwrap();
    assert!(!some.is_empty() && all[&0].ends_with(&some));
}

#[test]
fn killed_runs_leave_each_record_in_the_archive_once_whatever_the_store_does() {
    let place = Place::new(3);
    place.fill(6000, 30);
    let all = place.all();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut job: BTreeMap<Partition, i64> = (0..3).map(|partition| (partition, 0)).collect();
    for _ in 0..30 {
        // After so many puts the process is dead; the last of them may be done all the same.
        let (left, last) = (AtomicU32::new(random.random_range(0..12)), random.random_bool(0.5));
        let dying = move |operation: &str, name: &str| match operation {
            "put" if name.starts_with("blocks/") => match left.load(Ordering::Relaxed) {
                0 => Fault::Fail,
                n => {
                    left.store(n - 1, Ordering::Relaxed);
                    if n == 1 && last { Fault::FailAfterDoing } else { Fault::Pass }
                }
            },
            _ => Fault::Pass,
        };
        let store = place.store().with_faults(Arc::new(dying));
        let options = if random.random_bool(0.5) { often() } else { seldom() };
        let tee = place.tee(store, Some(Start::Offsets(job.clone())), &options);
        let workers = random.random_range(1..4);
        let shown = tee.read(workers, random.random_range(1..1500));
        tee.writer.finish(Instant::now() + Duration::from_millis(random.random_range(0..30)));
        // Nothing of a dead process comes later.
        tee.writer.finish(Instant::now() + LONG);
        for (partition, records) in shown {
            let from = job[&partition] as usize;
            assert!(
                records == all[&partition][from..from + records.len()],
                "the job gets what it wants, once"
            );
            // The state is somewhere in what the job has read, or behind.
            job.insert(partition, random.random_range(from..=from + records.len()) as i64);
        }
    }
    let tee = place.tee(place.store(), Some(Start::Offsets(job)), &seldom());
    tee.read(2, usize::MAX);
    assert!(tee.writer.finish(Instant::now() + LONG));
    assert_same(&place.lines(), &all);
    assert_same(&read_to_end(&place.archived(&SourceOptions::default()).unwrap(), 2), &all);
}

#[test]
fn what_was_read_before_the_first_block_is_archived_by_the_next_run() {
    let place = Place::new(2);
    place.fill(500, 30);
    let dead = |operation: &str, name: &str| match operation {
        "put" if name.starts_with("blocks/") => Fault::Fail,
        _ => Fault::Pass,
    };
    let begin: BTreeMap<Partition, i64> = [(0, 20), (1, 0)].into();
    let tee = place.tee(place.store().with_faults(Arc::new(dead)), Some(Start::Offsets(begin)), &often());
    tee.read(1, 100);
    tee.writer.finish(Instant::now());
    // The job goes on behind what it has read, of which nothing is archived.
    let tee = place.tee(place.store(), Some(Start::Offsets([(0, 60), (1, 40)].into())), &often());
    let shown = tee.read(1, usize::MAX);
    assert!(tee.writer.finish(Instant::now() + LONG));
    let all = place.all();
    assert!(shown[&0] == all[&0][60..] && shown[&1] == all[&1][40..]);
    let lines = place.lines();
    assert!(lines[&0] == all[&0][20..] && lines[&1] == all[&1][..]);
}

#[test]
fn while_the_store_fails_a_bounded_part_is_held_and_nothing_more_is_read() {
    let place = Place::new(1);
    place.fill(40_000, 1000);
    let healed = Arc::new(OnceLock::<()>::new());
    let theirs = healed.clone();
    let failing = move |operation: &str, name: &str| match operation {
        "put" if name.starts_with("blocks/") && theirs.get().is_none() => Fault::Fail,
        _ => Fault::Pass,
    };
    let tee = place.tee(place.store().with_faults(Arc::new(failing)), None, &seldom());
    // One of so many workers may hold 8 MiB that are open, and as much that waits.
    let mut source = tee.factory.open(0, 64).unwrap();
    let (mut read, mut waited, deadline) = (0, 0, Instant::now() + LONG);
    while waited < 20 || tee.writer.status().waiting.is_none() {
        assert!(Instant::now() < deadline, "{read} records were read");
        match source.read(0, 4096, &mut |_| read += 1).unwrap() {
            Progress::Waiting => {
                waited += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            Progress::Read(_) => {}
            other => panic!("{other:?} after {read} records"),
        }
    }
    assert!(read < 30_000, "{read} were read");
    assert!(source.read_to_end(0).is_none(), "it is not known to be read to its end");
    let status = tee.writer.status();
    assert!(status.held_bytes < 32 << 20, "{status:?}");
    let (since, reason) = status.waiting.expect("it is told");
    assert!(
        since > 1_700_000_000_000 && reason.starts_with("archive ") && reason.contains("fault"),
        "{reason}"
    );
    healed.set(()).unwrap();
    let mut rest = Records::new();
    read_some(&mut *source, usize::MAX, &mut rest);
    assert_eq!(read + rest[&0].len(), 40_000);
    drop(source);
    assert!(tee.writer.finish(Instant::now() + LONG));
    assert_eq!((tee.writer.status().waiting, tee.writer.status().held_bytes), (None, 0));
    assert_eq!(place.lines()[&0].len(), 40_000);
}

#[test]
fn overlapping_blocks_of_two_jobs_are_read_once() {
    let (place, other) = (Place::new(2), tempfile::tempdir().unwrap());
    place.fill(3000, 30);
    place.archive_all();
    let theirs = StateStore::open(other.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
    let tee = place.tee(theirs, None, &TeeOptions { interval: Duration::from_millis(1), retention: None });
    tee.read(1, 999);
    assert!(tee.writer.finish(Instant::now() + LONG));
    for partition in 0..2 {
        let folder = format!("blocks/log/{partition}");
        for day in fs::read_dir(other.path().join(&folder)).unwrap() {
            let day = day.unwrap();
            let ours = place.archive().join(&folder).join(day.file_name());
            fs::create_dir_all(&ours).unwrap();
            for block in fs::read_dir(day.path()).unwrap() {
                let block = block.unwrap();
                fs::copy(block.path(), ours.join(block.file_name())).unwrap();
            }
        }
    }
    assert!(place.lines()[&0].len() > place.all()[&0].len(), "some are there twice");
    assert_same(&read_to_end(&place.archived(&SourceOptions::default()).unwrap(), 1), &place.all());
}

/// Reads the only partition until it fails: what was handed over, and why it failed.
fn read_until_it_fails(place: &Place) -> (usize, String) {
    let mut source = place.archived(&SourceOptions::default()).unwrap().open(0, 1).unwrap();
    let mut read = 0;
    loop {
        match source.read(0, 70, &mut |_| read += 1) {
            Ok(Progress::Ended) => panic!("it was read to its end"),
            Ok(_) => {}
            Err(error) => return (read, error.to_string()),
        }
    }
}

#[test]
fn a_damaged_block_is_refused_by_its_name_and_nothing_of_it_is_counted() {
    let place = Place::new(1);
    place.fill(2000, 50);
    place.archive_all();
    let blocks = place.blocks(0);
    let third = &blocks[2];
    let name = third.file_name().unwrap().to_str().unwrap();
    let first = name[..20].parse::<usize>().unwrap();
    let whole = fs::read(third).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    let another = fs::read(&blocks[3]).unwrap();
    let shorter = zstd::stream::encode_all(&b"{\"partition\":0,\"offset\":1}\n"[..], 3).unwrap();
    for damaged in [flipped, whole[..whole.len() - 5].to_vec(), Vec::new(), another, shorter] {
        fs::write(third, damaged).unwrap();
        let (read, error) = read_until_it_fails(&place);
        assert_eq!(read, first, "{error}");
        assert!(error.contains(name) && error.contains(&format!("log/0 at offset {first}")), "{error}");
    }
    fs::write(third, whole).unwrap();
    assert_same(&read_to_end(&place.archived(&SourceOptions::default()).unwrap(), 1), &place.all());
}

#[test]
fn offsets_that_are_missing_are_refused_or_skipped_and_counted() {
    let place = Place::new(1);
    place.fill(2000, 50);
    place.archive_all();
    let blocks = place.blocks(0);
    let bounds = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name[..20].parse::<usize>().unwrap(), name[21..41].parse::<usize>().unwrap())
    };
    let (from, to) = bounds(&blocks[1]);
    fs::remove_file(&blocks[1]).unwrap();
    let error = place.archived(&SourceOptions::default()).err().unwrap();
    assert!(error.contains(&format!("lacks offsets {from} to {}", to - 1)), "{error}");
    let options = SourceOptions { on_gap: OnGap::Skip, ..SourceOptions::default() };
    let archived = place.archived(&options).unwrap();
    let (all, mut source) = (place.all(), archived.open(0, 1).unwrap());
    let mut read = Vec::new();
    while source.read(0, 70, &mut |record| read.push(record.offset)).unwrap() != Progress::Ended {}
    assert_eq!(read.len(), all[&0].len() - (to - from));
    assert_eq!(source.stats().gap_records, (to - from) as u64);
    let report = Archive::open(place.archive().to_str().unwrap(), &BTreeMap::new()).unwrap().report();
    let gap = from as i64..to as i64;
    assert_eq!(report[0].gaps, std::slice::from_ref(&gap));
    // What is behind the gap needs none of it.
    let options =
        SourceOptions { start: Some(Start::Offsets([(0, to as i64)].into())), ..SourceOptions::default() };
    assert!(read_to_end(&place.archived(&options).unwrap(), 1)[&0] == all[&0][to..]);
}

#[test]
fn another_log_and_a_later_version_are_refused_by_name() {
    let (place, other) = (Place::new(1), Place::new(1));
    place.fill(100, 10);
    place.archive_all();
    let url = "log:anywhere".parse().unwrap();
    let open = |log: &Place| {
        let opened = open_archived(&url, &log.options(None), place.store(), &often());
        opened.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let error = open(&other);
    assert!(error.contains(&place.log.identity()) && error.contains(&other.log.identity()), "{error}");
    assert!(error.contains("give another --archive"), "{error}");
    assert_eq!(open(&place), "");
    let description = place.archive().join("archive.json");
    let text = fs::read_to_string(&description).unwrap();
    fs::write(&description, text.replace("\"version\": 1", "\"version\": 2, \"new\": []")).unwrap();
    let errors = [open(&place), place.archived(&SourceOptions::default()).err().unwrap()];
    for error in errors {
        assert!(error.contains("it is of version 2, and this build of crest reads version 1"), "{error}");
    }
    fs::remove_file(description).unwrap();
    let error = place.archived(&SourceOptions::default()).err().unwrap();
    assert!(error.contains("there is no archive.json"), "{error}");
}

#[test]
fn blocks_that_are_too_old_are_deleted_from_the_first_on_and_the_last_stays() {
    let place = Place::new(2);
    place.fill(1000, 20);
    place.archive_all();
    let ends = [0, 1].map(|partition| place.blocks(partition).pop().unwrap());
    let tee =
        place.tee(place.store(), None, &TeeOptions { retention: Some(Duration::from_millis(1)), ..seldom() });
    let deadline = Instant::now() + LONG;
    while (0..2).any(|partition| place.blocks(partition).len() > 1) {
        assert!(Instant::now() < deadline, "they stay");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!([0, 1].map(|partition| place.blocks(partition)), ends.map(|end| vec![end]));
    drop(tee);
}
