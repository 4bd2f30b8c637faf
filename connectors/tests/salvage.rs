//! What is salvaged of logs that are damaged in any place: each record whose block is whole, with its offset, and none
//! that was not written there.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

use crest_connectors::append::{Batch, EventLog};
use crest_connectors::log::{Known, Salvaged, salvage, verify};
use crest_connectors::source::{Partition, Progress, Record, Source};
use crest_connectors::{Log, OnGap, Start, Until};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it fails.
const LONG: Duration = Duration::from_secs(90);
const PAGE: usize = 4096;
const BLOCKS: TableDefinition<(u32, u64), &[u8]> = TableDefinition::new("blocks");

type Records = BTreeMap<Partition, Vec<(i64, String)>>;

fn open(folder: &Path, options: &str) -> Arc<Log> {
    Log::open(&format!("log:{}{options}", folder.display()).parse().unwrap()).unwrap()
}

fn append(log: &Log, batch: Batch) {
    let (told, hear) = channel();
    log.append(batch, Box::new(move |kept| told.send(kept).unwrap()));
    hear.recv_timeout(LONG).unwrap().unwrap();
}

fn batch(number: usize) -> Batch {
    let mut batch = Batch::default();
    (0..20)
        .for_each(|event| batch.push(format!("k{event}").as_bytes(), format!("{number}:{event}").as_bytes()));
    batch
}

fn source(log: &Arc<Log>, start: Start, on_gap: OnGap) -> Box<dyn Source> {
    log.source(Some(start), BTreeMap::new(), Some(Until::Now), on_gap).unwrap().open(0, 1).unwrap()
}

fn read(log: &Arc<Log>) -> Records {
    let mut source = source(log, Start::Earliest, OnGap::Skip);
    let mut found = Records::new();
    for slot in 0..source.partitions().len() {
        let records = found.entry(slot as Partition).or_default();
        let mut each = |record: Record<'_>| {
            records
                .push((record.offset, String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap()));
        };
        while source.read(slot, 7, &mut each).unwrap() != Progress::Ended {}
    }
    found
}

/// A log with small blocks, with blocks that take several pages, and with deleted ones.
struct Original {
    bytes: Vec<u8>,
    id: String,
    records: Records,
    /// Partition, offsets, and the bytes of the block.
    blocks: Vec<(u32, Range<i64>, Vec<u8>)>,
}

impl Original {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(14);
        let log = open(folder.path(), "?partitions=2");
        (0..10).for_each(|number| append(&log, batch(number)));
        drop(log);
        std::thread::sleep(Duration::from_millis(1100));
        // Opened anew it deletes what is over.
        let log = open(folder.path(), "?keep=1s");
        let deadline = Instant::now() + LONG;
        while log.probe(&BTreeMap::new()).unwrap()[&0].low == 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        for number in 10..50 {
            append(&log, batch(number));
            if number % 8 == 7 {
                // It cannot be compressed, and takes pages of its own.
                let noise: String =
                    (0..18_000).map(|_| (b'!' + (random.next_u32() % 93) as u8) as char).collect();
                let mut large = Batch::default();
                large.push(b"large", noise.as_bytes());
                append(&log, large);
            }
        }
        let (id, records) = (log.identity(), read(&log));
        drop(log);
        assert!(records[&0][0].0 > 0, "the oldest are deleted");
        let path = folder.path().join("events.redb");
        let (database, mut blocks) = (Database::open(&path).unwrap(), Vec::new());
        for found in database.begin_read().unwrap().open_table(BLOCKS).unwrap().iter().unwrap() {
            let (key, block) = found.unwrap();
            let ((partition, base), block) = (key.value(), block.value().to_vec());
            let records = u32::from_le_bytes(block[2..6].try_into().unwrap());
            blocks.push((partition, base as i64..base as i64 + i64::from(records), block));
        }
        drop(database);
        Original { bytes: fs::read(path).unwrap(), id, records, blocks }
    }

    /// Bytes behind the last that is not 0 are of no use.
    fn used(&self) -> usize {
        self.bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
    }

    /// Whether some copy of a block lies in pages that nothing has touched.
    fn is_untouched(&self, block: &[u8], touched: &[Range<usize>]) -> bool {
        memchr::memmem::find_iter(&self.bytes, block).any(|at| {
            // Its key and its place are before it, and maybe in the page before.
            let pages = at.saturating_sub(20) / PAGE * PAGE..(at + block.len()).next_multiple_of(PAGE);
            touched.iter().all(|touched| touched.end <= pages.start || pages.end <= touched.start)
        })
    }

    /// Salvages what these bytes have, and compares it with what was there.
    fn check(&self, bytes: &[u8], touched: &[Range<usize>]) -> TestCaseResult {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("damaged"), folder.path().join("salvaged"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("events.redb"), bytes).unwrap();
        let salvaged = match salvage(&from, Some(&to), &Known::default()) {
            Ok(salvaged) => salvaged,
            Err(error) => {
                prop_assert!(error.to_string().contains("nothing to salvage"), "{error}");
                let whole = self.blocks.iter().any(|(_, _, block)| self.is_untouched(block, touched));
                prop_assert!(!whole, "nothing was found, and something is whole");
                return Ok(());
            }
        };
        prop_assert!(fs::read(from.join("events.redb")).unwrap() == bytes, "the damaged file is only read");
        let log = open(&to, "");
        let kept = read(&log);
        for (partition, records) in &kept {
            let all = &self.records[partition];
            for (offset, text) in records {
                let same = all.iter().find(|(other, _)| other == offset).map(|(_, text)| text);
                // Where nobody knows any more what was deleted, it may come back: it is what was written.
                let deleted = *offset < all[0].0;
                prop_assert!(deleted || same == Some(text), "{partition}/{offset}: {text}");
            }
        }
        for (partition, offsets, block) in &self.blocks {
            let there =
                |offset: i64| kept[&Partition::from(*partition)].iter().any(|(other, _)| *other == offset);
            let whole = self.is_untouched(block, touched);
            prop_assert!(
                !whole || offsets.clone().all(there),
                "{partition}: {offsets:?} is whole and not kept"
            );
        }
        let told = &salvaged.contents.partitions;
        let span: u64 = told.iter().map(|told| told.offsets.end - told.offsets.start).sum();
        let lost: u64 = told.iter().flat_map(|told| &told.damaged).map(|range| range.end - range.start).sum();
        prop_assert_eq!(kept.values().map(|records| records.len() as u64).sum::<u64>() + lost, span);
        drop(log);
        prop_assert_eq!(verify(&to).unwrap().damage, [""; 0]);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index),
    Cut(prop::sample::Index),
}

impl Harm {
    fn any() -> impl Strategy<Value = Harm> {
        prop_oneof![
            4 => (any::<prop::sample::Index>(), 1..=255_u8).prop_map(|(at, by)| Harm::Flip(at, by)),
            2 => any::<prop::sample::Index>().prop_map(Harm::Zero),
            1 => any::<prop::sample::Index>().prop_map(Harm::Cut),
        ]
    }

    /// Damages bytes of which so many are in use: where.
    fn apply(&self, bytes: &mut Vec<u8>, used: usize) -> Range<usize> {
        match self {
            Harm::Flip(at, by) => {
                let at = at.index(used);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= by;
                }
                at..at + 1
            }
            Harm::Zero(at) => {
                let page = at.index(used) / PAGE * PAGE;
                let end = bytes.len().min(page + PAGE);
                bytes[page.min(end)..end].fill(0);
                page..page + PAGE
            }
            Harm::Cut(at) => {
                let at = at.index(used);
                bytes.truncate(at);
                at..usize::MAX
            }
        }
    }
}

#[test]
fn what_is_whole_is_kept_and_nothing_else_comes() {
    let original = Original::make();
    let used = original.used();
    original.check(&original.bytes, &[]).unwrap();
    // Each page in turn, the header among them; then some of all at once.
    for page in (0..used).step_by(PAGE) {
        let mut bytes = original.bytes.clone();
        bytes[page..page + PAGE].fill(0);
        original
            .check(&bytes, std::slice::from_ref(&(page..page + PAGE)))
            .unwrap_or_else(|error| panic!("page at {page}: {error}"));
    }
    // A leaf of several blocks that says it is longer than it is hides nothing that lies behind it.
    let pairs =
        |page: usize| usize::from(u16::from_le_bytes([original.bytes[page + 2], original.bytes[page + 3]]));
    let leaves = (PAGE..used).step_by(PAGE).filter(|page| original.bytes[*page] == 1 && pairs(*page) > 1);
    for page in leaves {
        let last_end = page + 4 * pairs(page);
        let mut bytes = original.bytes.clone();
        bytes[last_end + 2] ^= 1;
        original
            .check(&bytes, std::slice::from_ref(&(last_end..last_end + 4)))
            .unwrap_or_else(|error| panic!("the length of the leaf at {page}: {error}"));
    }
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
    let harms = prop::collection::vec(Harm::any(), 1..6);
    let checked = TestRunner::new(config).run(&harms, |harms| {
        let mut bytes = original.bytes.clone();
        let touched: Vec<_> = harms.iter().map(|harm| harm.apply(&mut bytes, used)).collect();
        original.check(&bytes, &touched)
    });
    checked.unwrap();
}

/// Damages every copy of a block.
fn without(original: &Original, block: &[u8]) -> Vec<u8> {
    let mut bytes = original.bytes.clone();
    for at in memchr::memmem::find_iter(&original.bytes, block) {
        bytes[at + block.len() / 2] ^= 1;
    }
    bytes
}

#[test]
fn the_salvaged_log_takes_the_place_of_the_damaged_one_and_a_reader_goes_on() {
    let original = Original::make();
    let (partition, offsets, block) = &original.blocks[original.blocks.len() / 2];
    let (slot, folder) = (*partition as usize, tempfile::tempdir().unwrap());
    let (folder, path) = (folder.path(), folder.path().join("events.redb"));
    let damaged = without(&original, block);
    fs::write(&path, &damaged).unwrap();
    let refused = Log::open(&format!("log:{}", folder.display()).parse().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("crest log salvage"), "{refused}");
    let lost = offsets.start as u64..offsets.end as u64;
    let contents = verify(folder).unwrap();
    assert_eq!(contents.partitions[slot].damaged, std::slice::from_ref(&lost));
    assert!(contents.damage.iter().any(|damage| damage.contains(&format!(
        "offsets {} to {}",
        lost.start,
        lost.end - 1
    ))));

    let Salvaged { log, aside, doubts, .. } = salvage(folder, None, &Known::default()).unwrap();
    assert_eq!((log, doubts), (Some(path.clone()), vec![]));
    assert_eq!(fs::read(aside.unwrap()).unwrap(), damaged, "the damaged file stays as it was");
    let log = open(folder, "");
    assert_eq!(log.identity(), original.id);
    let start = || Start::Offsets(BTreeMap::from([((*partition).into(), offsets.start)]));
    let error = source(&log, start(), OnGap::Fail).read(slot, 100, &mut |_| ()).unwrap_err().to_string();
    let said = format!(
        "log/{partition} at offset {0}: offsets {0} to {1} were lost when {2} was damaged; --on-gap skip goes on",
        offsets.start,
        offsets.end - 1,
        path.display()
    );
    assert!(error.starts_with(&said), "{error}");
    let (mut skipping, mut first) = (source(&log, start(), OnGap::Skip), None);
    skipping.read(slot, 1, &mut |record| first = Some(record.offset)).unwrap();
    assert_eq!(first, Some(offsets.end));
    assert_eq!(skipping.stats().gap_records, (offsets.end - offsets.start) as u64);
    drop(skipping);
    let held = verify(folder).unwrap_err().to_string();
    assert!(held.contains("held by another process"), "{held}");
    append(&log, batch(99));
    drop(log);
    // What was lost stays lost, and is no damage; so there is nothing left to do.
    let again = salvage(folder, None, &Known::default()).unwrap();
    assert_eq!((again.contents.damage, again.log, again.aside), (vec![], None, None));
    assert_eq!(again.contents.partitions[slot].lost, [lost]);
}

#[test]
fn what_the_file_does_not_say_any_more_its_reader_knows() {
    let original = Original::make();
    let folder = tempfile::tempdir().unwrap();
    // Neither the id nor how far it was written is left.
    let mut bytes = original.bytes.clone();
    let id = u128::from_str_radix(&original.id, 16).unwrap();
    for at in memchr::memmem::find_iter(&original.bytes, &id.to_le_bytes()) {
        bytes[at] ^= 1;
    }
    fs::write(folder.path().join("events.redb"), &bytes).unwrap();
    let doubtful = salvage(folder.path(), Some(&folder.path().join("a")), &Known::default()).unwrap();
    assert!(doubtful.doubts.iter().any(|doubt| doubt.contains("id")), "{doubtful:?}");
    let next = original.records[&1].last().unwrap().0 as u64 + 1;
    let known = Known { id: Some(id), reached: BTreeMap::from([(1, next + 1000)]) };
    let salvaged = salvage(folder.path(), Some(&folder.path().join("b")), &known).unwrap();
    let unknown = next..next + 1000;
    assert_eq!(salvaged.contents.partitions[1].damaged, [unknown]);
    let log = open(&folder.path().join("b"), "");
    assert_eq!(log.identity(), original.id);
    assert_eq!(log.probe(&BTreeMap::new()).unwrap()[&1].high as u64, next + 1000);
    drop(log);
    // Another log is not taken for it.
    fs::write(folder.path().join("events.redb"), &original.bytes).unwrap();
    let known = Known { id: Some(7), ..Known::default() };
    let refused = salvage(folder.path(), None, &known).unwrap_err().to_string();
    assert!(refused.contains(&original.id), "{refused}");
}
