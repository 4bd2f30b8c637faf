//! What an archive holds, as a listing of its store tells it: the blocks of each partition, in the order of their offsets.
//!
//! Whoever reads lists all blocks. A job that writes looks at the newest days to know where to go on, and at the oldest to
//! delete, so that neither takes longer the more there is.

use super::meta::{ArchiveError, Meta};
use super::name::BlockName;
use crate::source::{Origin, Partition};
use crate::state::{ObjectInfo, StateStore};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// What the names of all blocks begin with.
pub(crate) const BLOCKS: &str = "blocks/";

/// Days with blocks that are looked at for the end of a partition. The clock by which they are named may have been hours off.
const NEWEST_DAYS: usize = 2;

/// An archive that is there, to be read.
#[derive(Debug)]
pub struct Archive {
    pub(super) store: StateStore,
    meta: Meta,
    pub(super) partitions: BTreeMap<Partition, Kept>,
}

/// What is kept of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Where its records come from.
    pub(crate) origin: Origin,
    /// Its name for people, which is that of the folder of its blocks.
    pub(crate) name: String,
    /// The first offset that was archived.
    begin: i64,
    /// By what they cover.
    pub(super) blocks: Vec<(BlockName, u64)>,
}

/// What is kept of a partition, for people.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionReport {
    /// Its name.
    pub partition: String,
    /// The first offset that is covered.
    pub from: i64,
    /// The offset after the last one.
    pub to: i64,
    /// Records in all blocks; overlapping blocks have some of them twice.
    pub records: u64,
    /// Blocks.
    pub blocks: usize,
    /// Their size.
    pub bytes: u64,
    /// The oldest time stamp, in milliseconds since 1970 UTC.
    pub oldest_ms: Option<i64>,
    /// The newest one.
    pub newest_ms: Option<i64>,
    /// Offsets that no block covers, between others.
    pub gaps: Vec<Range<i64>>,
}

impl Archive {
    /// Opens the archive at a URL of a store, to read it.
    ///
    /// # Errors
    /// There is none, it is of another version, or its store cannot be read.
    pub fn open(url: &str, options: &BTreeMap<String, String>) -> Result<Archive, ArchiveError> {
        let store = StateStore::open_to_read(url, options)?;
        let meta = Meta::of(&store)?;
        Archive::list(store, meta)
    }

    /// The log that the archive at a URL of a store is of, as a state names it: `kafka:orders`, or `log`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn source(url: &str, options: &BTreeMap<String, String>) -> Result<String, ArchiveError> {
        Ok(Meta::of(&StateStore::open_to_read(url, options)?)?.source)
    }

    pub(super) fn list(store: StateStore, meta: Meta) -> Result<Archive, ArchiveError> {
        let of_topics = meta.source.starts_with("kafka:");
        let known = |(name, begin): (&String, &i64)| {
            let (topic, number) = name.rsplit_once('/')?;
            let number = number.parse().ok()?;
            Some((meta.number(topic, number)?, Kept::new(of_topics, (topic, number), *begin)))
        };
        let mut partitions: BTreeMap<Partition, Kept> = meta.begins.iter().filter_map(known).collect();
        for object in store.list(BLOCKS)? {
            // What is not named as a block is somebody else's, and no trouble.
            let Some((topic, number, name)) = parts(&object.name) else { continue };
            let Some(partition) = meta.number(topic, number) else { continue };
            let new = || Kept::new(of_topics, (topic, number), name.offsets.start);
            let kept = partitions.entry(partition).or_insert_with(new);
            kept.blocks.push((name, object.bytes));
        }
        for kept in partitions.values_mut() {
            // Of blocks that begin alike the one that covers most is read.
            kept.blocks.sort_by_key(|(name, _)| (name.offsets.start, -name.offsets.end));
        }
        Ok(Archive { store, meta, partitions })
    }

    /// What the archive says of itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Where it is, without secrets.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// What is kept of each partition, for people.
    pub fn report(&self) -> Vec<PartitionReport> {
        self.partitions.values().map(Kept::report).collect()
    }
}

impl Kept {
    fn new(of_topics: bool, (topic, number): (&str, u32), begin: i64) -> Self {
        let origin =
            Origin { topic: of_topics.then(|| topic.to_owned()), partition: Some(number), file: None };
        Kept { origin, name: format!("{topic}/{number}"), begin, blocks: Vec::new() }
    }

    /// The first offset that is covered.
    pub(super) fn start(&self) -> i64 {
        self.blocks.first().map_or(self.begin, |(name, _)| name.offsets.start)
    }

    /// The offset after the last one that is covered.
    pub(super) fn end(&self) -> i64 {
        self.blocks.iter().map(|(name, _)| name.offsets.end).max().unwrap_or(self.begin)
    }

    /// The offsets that no block covers, between others.
    pub(super) fn gaps(&self) -> Vec<Range<i64>> {
        let (mut gaps, mut next) = (Vec::new(), None);
        for (name, _) in &self.blocks {
            if let Some(next) = next.filter(|next| *next < name.offsets.start) {
                gaps.push(next..name.offsets.start);
            }
            next = next.max(Some(name.offsets.end));
        }
        gaps
    }

    /// The name of a block's object.
    pub(super) fn object(&self, name: &BlockName) -> String {
        object(&self.name, name)
    }

    fn report(&self) -> PartitionReport {
        let times = || self.blocks.iter().filter_map(|(name, _)| name.times);
        PartitionReport {
            partition: self.name.clone(),
            from: self.start(),
            to: self.end(),
            records: self.blocks.iter().map(|(name, _)| name.records).sum(),
            blocks: self.blocks.len(),
            bytes: self.blocks.iter().map(|(_, bytes)| bytes).sum(),
            oldest_ms: times().map(|(oldest, _)| oldest).min(),
            newest_ms: times().map(|(_, newest)| newest).max(),
            gaps: self.gaps(),
        }
    }
}

/// The name of the object of a partition's block.
pub(crate) fn object(partition: &str, name: &BlockName) -> String {
    format!("{BLOCKS}{partition}/{name}")
}

/// Takes the name of a block's object apart.
fn parts(object: &str) -> Option<(&str, u32, BlockName)> {
    let mut parts = object.strip_prefix(BLOCKS)?.splitn(3, '/');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The folders of blocks: the topic and the number of each partition.
fn folders(store: &StateStore) -> Result<Vec<(String, u32)>, ArchiveError> {
    let mut found = Vec::new();
    for topic in store.folders(BLOCKS)? {
        let numbers = store.folders(&format!("{BLOCKS}{topic}/"))?;
        found.extend(numbers.iter().filter_map(|number| Some((topic.clone(), number.parse().ok()?))));
    }
    Ok(found)
}

/// The blocks of a day of a partition's folder, in the order of their offsets.
fn of_day(store: &StateStore, folder: &str, day: &str) -> Result<Vec<BlockName>, ArchiveError> {
    let objects = store.list(&format!("{folder}{day}/"))?;
    let name = |object: ObjectInfo| object.name.strip_prefix(folder)?.parse().ok();
    let mut blocks: Vec<BlockName> = objects.into_iter().filter_map(name).collect();
    blocks.sort_by_key(|name| name.offsets.start);
    Ok(blocks)
}

/// The end of what is kept of each partition: the offset to go on with.
///
/// # Errors
/// There is no archive, or it cannot be listed.
pub(crate) fn ends(store: &StateStore) -> Result<BTreeMap<Partition, i64>, ArchiveError> {
    let meta = Meta::of(store)?;
    let begin = |(name, begin): (&String, &i64)| {
        let (topic, number) = name.rsplit_once('/')?;
        Some((meta.number(topic, number.parse().ok()?)?, *begin))
    };
    let mut ends: BTreeMap<Partition, i64> = meta.begins.iter().filter_map(begin).collect();
    for (topic, number) in folders(store)? {
        let Some(partition) = meta.number(&topic, number) else { continue };
        let folder = format!("{BLOCKS}{topic}/{number}/");
        let mut days = 0;
        for day in store.folders(&folder)?.iter().rev() {
            let newest = of_day(store, &folder, day)?.into_iter().map(|name| name.offsets.end).max();
            days += usize::from(newest.is_some());
            if let Some(newest) = newest {
                ends.entry(partition).and_modify(|end| *end = newest.max(*end)).or_insert(newest);
            }
            if days == NEWEST_DAYS {
                break;
            }
        }
    }
    Ok(ends)
}

/// Deletes the blocks whose records were all stamped before `since`, in milliseconds since 1970 UTC: of each partition the
/// first ones, so that no gap comes to be. A block without time stamps stays, and all that come after it; so does the last
/// one, which says where to go on. Returns how many were deleted.
///
/// # Errors
/// The store fails. Some may be gone.
pub(crate) fn delete_old(store: &StateStore, since: i64) -> Result<usize, ArchiveError> {
    let is_old = |name: &BlockName| name.times.is_some_and(|(_, newest)| newest < since);
    let mut deleted = 0;
    for (topic, number) in folders(store)? {
        let folder = format!("{BLOCKS}{topic}/{number}/");
        let days = store.folders(&folder)?;
        for (place, day) in days.iter().enumerate() {
            let mut blocks = of_day(store, &folder, day)?;
            if place + 1 == days.len() {
                blocks.pop();
            }
            let old: Vec<String> =
                blocks.iter().take_while(|name| is_old(name)).map(|name| format!("{folder}{name}")).collect();
            for some in old.chunks(100) {
                store.delete(some)?;
                deleted += some.len();
            }
            if old.len() < blocks.len() {
                break;
            }
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::super::meta::Begin;
    use super::super::name::Day;
    use super::*;
    use crate::state::Fault;
    use parking_lot::Mutex;
    use std::sync::Arc;

    const DAY_MS: i64 = 86_400_000;

    /// An archive of an embedded log with a block of ten offsets for each of these days, in the order of the offsets.
    fn archive(days: &[i64]) -> StateStore {
        let store = StateStore::in_memory();
        let begins = [("log/0".to_owned(), Begin { new: 3, known: 3 })].into();
        Meta::claim(&store, "log", None, begins).unwrap();
        for (from, day) in (0..).step_by(10).zip(days) {
            let times = Some((day * DAY_MS, day * DAY_MS + 1));
            let name = BlockName { day: Day::of(day * DAY_MS), offsets: from..from + 10, records: 10, times };
            store.put(&object("log/0", &name), Vec::new()).unwrap();
        }
        store
    }

    fn left(store: &StateStore) -> Vec<i64> {
        let archive = Archive::in_store(store.clone()).unwrap();
        archive.partitions[&0].blocks.iter().map(|(name, _)| name.offsets.start).collect()
    }

    #[test]
    fn the_end_is_found_among_the_newest_days_alone() {
        let days: Vec<i64> = (0..3000).map(|n| n / 10).collect();
        let listed = Arc::new(Mutex::new(Vec::new()));
        let seen = listed.clone();
        let note = move |operation: &str, name: &str| {
            if operation == "list" {
                seen.lock().push(name.to_owned());
            }
            Fault::Pass
        };
        let store = archive(&days).with_faults(Arc::new(note));
        assert_eq!(ends(&store).unwrap(), [(0, 30_000)].into());
        assert_eq!(*listed.lock(), ["blocks/log/0/1970-10-27/", "blocks/log/0/1970-10-26/"]);
        assert_eq!(ends(&archive(&[])).unwrap(), [(0, 3)].into(), "nothing was written yet");
    }

    #[test]
    fn a_clock_that_was_a_day_ahead_hides_no_end() {
        assert_eq!(ends(&archive(&[7, 8, 9, 8, 8])).unwrap(), [(0, 50)].into());
    }

    #[test]
    fn the_oldest_days_are_deleted_up_to_the_first_block_that_is_not_old() {
        let store = archive(&[1, 1, 2, 2, 2, 3]);
        assert_eq!(delete_old(&store, 2 * DAY_MS).unwrap(), 2);
        assert_eq!(left(&store), [20, 30, 40, 50]);
        assert_eq!(delete_old(&store, 9 * DAY_MS).unwrap(), 3);
        assert_eq!(left(&store), [50], "the last one says where to go on");
        assert_eq!(ends(&store).unwrap(), [(0, 60)].into());
    }
}
