//! What an archive holds, as a listing of its store tells it: the blocks of each partition, in the order of their offsets.

use super::meta::{ArchiveError, Meta};
use super::name::BlockName;
use crate::source::{Origin, Partition};
use crate::state::StateStore;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// What the names of all blocks begin with.
pub(crate) const BLOCKS: &str = "blocks/";

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
        let meta =
            Meta::read(&store)?.ok_or_else(|| ArchiveError::Missing { url: store.url().to_owned() })?;
        Archive::list(store, meta)
    }

    /// What is there by now in a store that was claimed.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(crate) fn of(store: StateStore) -> Result<Archive, ArchiveError> {
        let meta =
            Meta::read(&store)?.ok_or_else(|| ArchiveError::Missing { url: store.url().to_owned() })?;
        Archive::list(store, meta)
    }

    fn list(store: StateStore, meta: Meta) -> Result<Archive, ArchiveError> {
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

    /// The end of what is kept of each partition: the offset to go on with.
    pub(crate) fn ends(&self) -> BTreeMap<Partition, i64> {
        self.partitions.iter().map(|(partition, kept)| (*partition, kept.end())).collect()
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
    let mut parts = object.strip_prefix(BLOCKS)?.split('/');
    let (topic, number, name) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some((topic, number, name))
}

/// Deletes the blocks whose records were all stamped before `since`, in milliseconds since 1970 UTC: of each partition the
/// first ones, so that no gap comes to be. A block without time stamps stays, and all that come after it; so does the last
/// one, which says where to go on. Returns how many were deleted.
///
/// # Errors
/// The store fails. Some may be gone.
pub(crate) fn delete_old(store: &StateStore, since: i64) -> Result<usize, ArchiveError> {
    let archive = Archive::of(store.clone())?;
    let mut old = Vec::new();
    for kept in archive.partitions.values() {
        let is_old = |name: &BlockName| name.times.is_some_and(|(_, newest)| newest < since);
        let all_but_last = kept.blocks.len().saturating_sub(1);
        let first = kept.blocks.iter().take(all_but_last).take_while(|(name, _)| is_old(name));
        old.extend(first.map(|(name, _)| kept.object(name)));
    }
    for some in old.chunks(100) {
        store.delete(some)?;
    }
    Ok(old.len())
}
