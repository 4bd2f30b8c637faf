//! The embedded log: events appended a second, and read back, beside a plain file that is appended to and synced.
//!
//! `cargo bench -p crest-connectors --bench log [-- EVENTS]` prints, for batches of 1,000 events of about 100 bytes:
//! events a second, CPU time an event over all threads, the ratio to the plain file of the same run, and how much the
//! log takes on disk. A sender waits until its batch is kept before it sends the next, as an HTTP client does; the
//! plain file is synced after each batch, or after as many as there are senders.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use crest_connectors::append::{Batch, EventLog};
use crest_connectors::source::Progress;
use crest_connectors::{Log, OnGap, Until};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

const BATCH_EVENTS: usize = 1000;
const DEFAULT_EVENTS: usize = 1_000_000;
const ROUNDS: usize = 3;
/// Ticks of `/proc/self/stat` a second, on every Linux.
const TICKS: f64 = 100.0;

fn main() {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let count = given.unwrap_or(DEFAULT_EVENTS).div_ceil(BATCH_EVENTS);
    let batches: Vec<Batch> = (0..count as u64).map(batch).collect();
    let payload: usize =
        batches.iter().flat_map(|batch| batch.iter().map(|(_, payload)| payload.len())).sum();
    let events = count * BATCH_EVENTS;
    println!("{events} events of {} bytes, best of {ROUNDS}", payload / events);
    for senders in [1, 8, 64] {
        let plain = best(|| plain_file(&batches, senders));
        let log = best(|| appended(&batches, senders));
        report(&format!("plain file, a sync every {senders} batches"), events, &plain, &plain);
        report(&format!("log, {senders} senders"), events, &log, &plain);
    }
    read_back(&batches, events);
}

/// Wall and CPU time of a run.
struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn best(run: impl Fn() -> Cost) -> Cost {
    (0..ROUNDS).map(|_| run()).min_by_key(|cost| cost.wall).unwrap()
}

fn report(what: &str, events: usize, cost: &Cost, plain: &Cost) {
    let rate = events as f64 / cost.wall.as_secs_f64();
    let cpu = cost.cpu.as_secs_f64() * 1e9 / events as f64;
    let ratio = plain.wall.as_secs_f64() / cost.wall.as_secs_f64();
    println!(
        "{what:38} {rate:>12.0} events/s {cpu:>7.0} ns CPU an event {ratio:>7.2} of the plain file's rate"
    );
}

fn measured(work: impl FnOnce()) -> Cost {
    let (began, cpu) = (Instant::now(), cpu_time());
    work();
    Cost { wall: began.elapsed(), cpu: cpu_time() - cpu }
}

/// Of this process, all threads.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks: f64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum();
    Duration::from_secs_f64(ticks / TICKS)
}

fn batch(number: u64) -> Batch {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(number);
    let mut batch = Batch::with_capacity(BATCH_EVENTS * 128);
    for event in 0..BATCH_EVENTS as u64 {
        // Some items are wanted more than others.
        let item = (random.random::<f64>().powi(3) * 100_000.0) as u64;
        let key = format!("product:{item}");
        let time = 1_711_670_400_000 + number * 1000 + event;
        let session: u32 = random.random();
        let payload = format!(
            r#"{{"item_id":"{key}","event_type":"view","timestamp":{time},"region":"IN","s":"{session:08x}"}}"#
        );
        batch.push(key.as_bytes(), payload.as_bytes());
    }
    batch
}

fn plain_file(batches: &[Batch], batches_a_sync: usize) -> Cost {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = File::create(folder.path().join("plain")).expect("a file");
    measured(|| {
        let mut bytes = Vec::new();
        for batches in batches.chunks(batches_a_sync) {
            bytes.clear();
            for (_, payload) in batches.iter().flat_map(Batch::iter) {
                bytes.extend_from_slice(payload);
                bytes.push(b'\n');
            }
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
        }
    })
}

fn appended(batches: &[Batch], senders: usize) -> Cost {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    measured(|| send(&log, batches, senders))
}

fn open(folder: &Path) -> Arc<Log> {
    Log::open(&format!("log:{}", folder.display()).parse().unwrap()).unwrap()
}

fn send(log: &Log, batches: &[Batch], senders: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..senders {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (told, hear) = channel();
                    log.append(batch.clone(), Box::new(move |kept| told.send(kept).unwrap()));
                    hear.recv().unwrap().unwrap();
                }
            });
        }
    });
}

fn read_back(batches: &[Batch], events: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    send(&log, batches, 64);
    let plain = best(|| {
        let path = folder.path().join("plain");
        let bytes: Vec<u8> = batches.iter().flat_map(Batch::iter).flat_map(|(_, p)| p.to_vec()).collect();
        fs::write(&path, bytes).unwrap();
        measured(|| assert!(!fs::read(&path).unwrap().is_empty()))
    });
    report("a plain file read whole", events, &plain, &plain);
    let cost = best(|| measured(|| assert_eq!(read(&log), events)));
    report("log, read back by one worker", events, &cost, &plain);
    let kept: u64 = fs::metadata(folder.path().join("events.redb")).unwrap().len();
    println!("the file has {:.0} bytes an event", kept as f64 / events as f64);
}

fn read(log: &Arc<Log>) -> usize {
    let factory = log.source(None, BTreeMap::new(), Some(Until::Now), OnGap::Fail).unwrap();
    let mut source = factory.open(0, 1).unwrap();
    let mut found = 0;
    for slot in 0..source.partitions().len() {
        while source.read(slot, 512, &mut |_| found += 1).unwrap() != Progress::Ended {}
    }
    found
}
