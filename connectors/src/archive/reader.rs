//! An archive as a source that ends: its partitions have the numbers, names and offsets of the log, and its records what the
//! log delivered.
//!
//! Always holds: each offset is handed over once, however blocks overlap; nothing is handed over of a block that is damaged;
//! and what a worker has unpacked takes at most [`MAX_UNPACKED_BYTES`] (or what one block needs).

use super::block::decode;
use super::catalog::{Archive, Kept};
use super::line::{Line, LineRecord};
use super::meta::ArchiveError;
use super::name::BlockName;
use crate::gap::Gap;
use crate::range::{OnGap, Probed, Until};
use crate::source::{
    BrokerTime, Origin, Partition, Progress, Record, Source, SourceError, SourceFactory, SourceStats,
};
use crate::span::{Asked, Span};
use crate::start::Start;
use crate::state::{StateError, StateStore};
use crest_host::clock;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What blocks that are being read may take in memory, in each worker.
const MAX_UNPACKED_BYTES: usize = 256 << 20;
/// How long the store may fail before that is believed to last.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads an archive.
pub struct ArchiveFactory {
    archive: Arc<Archive>,
    spans: BTreeMap<Partition, Span>,
    on_gap: OnGap,
}

impl From<ArchiveError> for SourceError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Store(StateError::Invalid { url, reason }) => SourceError::Invalid { url, reason },
            error => SourceError::Archive(error.to_string()),
        }
    }
}

impl ArchiveFactory {
    /// Settles what is read: from `start`, or else from the first record that is kept, up to `until`, or else to the end.
    /// `reached`: up to where an earlier reader came, exclusive.
    ///
    /// # Errors
    /// [`SourceError::Lost`] where an offset is asked for that is not kept, or offsets between others are missing and may
    /// not be skipped; what the store may meet.
    pub fn new(
        archive: Archive,
        start: Option<Start>,
        reached: &BTreeMap<Partition, i64>,
        until: Option<Until>,
        on_gap: OnGap,
    ) -> Result<Self, SourceError> {
        let (start, until) = (start.unwrap_or_default(), until.unwrap_or(Until::Now));
        let asked = Asked { start: &start, reached, until: Some(&until), on_gap };
        let mut spans = BTreeMap::new();
        for (partition, kept) in &archive.partitions {
            let (low, high) = (kept.start(), kept.end());
            let timed = match start {
                Start::Time(time) => archive.offset_at(kept, time)?,
                _ => None,
            };
            let span = Span::settle(&asked, (*partition, &kept.name), timed, (low, high))?;
            spans.insert(*partition, span);
            check_gaps(kept, &span, on_gap)?;
        }
        Ok(ArchiveFactory { archive: Arc::new(archive), spans, on_gap })
    }
}

/// The parts of a span that no block covers: they are told, or refused.
fn check_gaps(kept: &Kept, span: &Span, on_gap: OnGap) -> Result<(), SourceError> {
    let end = span.until.unwrap_or(i64::MAX);
    let missing = kept.gaps().into_iter().map(|gap| gap.start.max(span.start)..gap.end.min(end));
    for gap in missing.filter(|gap| !gap.is_empty()) {
        if on_gap == OnGap::Fail {
            let reason = format!(
                "the archive lacks offsets {} to {}, which the log had let go of before they were archived; \
                 --on-gap skip goes on without them",
                gap.start,
                gap.end - 1
            );
            return Err(SourceError::Lost { partition: kept.name.clone(), offset: gap.start, reason });
        }
    }
    Ok(())
}

impl Archive {
    /// The first offset of a partition whose record is stamped at or after a time.
    fn offset_at(&self, kept: &Kept, time: i64) -> Result<Option<i64>, SourceError> {
        let has = |name: &BlockName| name.times.is_none_or(|(_, newest)| newest >= time);
        for (name, _) in kept.blocks.iter().filter(|(name, _)| has(name)) {
            let is_late = |record: &LineRecord<'_>| record.record().time.is_none_or(|at| at.ms() >= time);
            let found = self.find(kept, name, is_late)?;
            if let Some((offset, _)) = found {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The offset and the time stamp of the first record of a block for which something holds.
    fn find(
        &self,
        kept: &Kept,
        name: &BlockName,
        holds: impl Fn(&LineRecord<'_>) -> bool,
    ) -> Result<Option<(i64, Option<i64>)>, SourceError> {
        let lost = |reason: String| lost(&self.store, kept, name, name.offsets.start, &reason);
        let lines = load(&self.store, kept, name).map_err(|error| lost(error.to_string()))?;
        for text in lines.split_inclusive(|byte| *byte == b'\n') {
            let record = Line::read(text).and_then(Line::record).map_err(lost)?;
            if holds(&record) {
                let record = record.record();
                return Ok(Some((record.offset, record.time.map(BrokerTime::ms))));
            }
        }
        Ok(None)
    }

    /// The offsets that are kept of each partition, and, for one that `offsets` names, the time stamp of the first record at
    /// or after that offset.
    ///
    /// # Errors
    /// A block cannot be read.
    pub(crate) fn probe(
        &self,
        offsets: &BTreeMap<Partition, i64>,
    ) -> Result<BTreeMap<Partition, Probed>, SourceError> {
        let mut probed = BTreeMap::new();
        for (partition, kept) in &self.partitions {
            let (low, high) = (kept.start(), kept.end());
            let mut time = None;
            if let Some(wanted) = offsets.get(partition) {
                for (name, _) in kept.blocks.iter().filter(|(name, _)| name.offsets.end > *wanted) {
                    let found = self.find(kept, name, |record| record.record().offset >= *wanted)?;
                    if let Some((_, at)) = found {
                        time = at;
                        break;
                    }
                }
            }
            probed.insert(*partition, Probed { name: kept.name.clone(), low, high, time });
        }
        Ok(probed)
    }
}

#[cfg(test)]
impl Archive {
    /// The one in a store.
    pub(crate) fn in_store(store: StateStore) -> Result<Archive, ArchiveError> {
        let meta = super::meta::Meta::of(&store)?;
        Archive::list(store, meta)
    }

    /// The offsets of all lines of a partition, in the order of its blocks.
    pub(crate) fn offsets(&self, partition: Partition) -> Result<Vec<i64>, String> {
        let (kept, mut offsets) = (&self.partitions[&partition], Vec::new());
        for (name, _) in &kept.blocks {
            let lines = load(&self.store, kept, name).map_err(|error| error.to_string())?;
            for text in lines.split_inclusive(|byte| *byte == b'\n') {
                offsets.push(Line::read(text)?.offset);
            }
        }
        Ok(offsets)
    }

    /// What its blocks cover.
    pub(crate) fn covered(&self, partition: Partition) -> Vec<Range<i64>> {
        self.partitions[&partition].blocks.iter().map(|(name, _)| name.offsets.clone()).collect()
    }
}

impl SourceFactory for ArchiveFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let mine = self.spans.iter().skip(worker).step_by(workers);
        let (mut partitions, mut slots, mut gap_records) = (Vec::new(), Vec::new(), 0);
        for (partition, span) in mine {
            let Some(kept) = self.archive.partitions.get(partition) else { continue };
            if let Some(gap) = span.gap {
                gap.tell(&kept.name);
                gap_records += gap.lost;
            }
            partitions.push(*partition);
            slots.push(Slot::new(kept.clone(), span));
        }
        let store = self.archive.store.clone();
        Ok(Box::new(ArchiveSource { store, partitions, slots, on_gap: self.on_gap, gap_records, retries: 0 }))
    }

    fn bounded(&self) -> bool {
        true
    }

    fn identity(&self) -> Option<String> {
        self.archive.meta().log.clone()
    }

    fn starts(&self) -> BTreeMap<Partition, i64> {
        self.spans.iter().map(|(partition, span)| (*partition, span.start)).collect()
    }

    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        self.spans.iter().filter_map(|(partition, span)| Some((*partition, span.range()?))).collect()
    }
}

/// A worker's reader of its partitions of an archive.
struct ArchiveSource {
    store: StateStore,
    partitions: Vec<Partition>,
    slots: Vec<Slot>,
    on_gap: OnGap,
    gap_records: u64,
    retries: u64,
}

/// One partition.
struct Slot {
    kept: Kept,
    /// The block that is read, or the next one.
    block: usize,
    /// The next offset to hand over.
    next: i64,
    until: i64,
    /// The lines of the block, and how many bytes of them were read.
    unpacked: Option<(Vec<u8>, usize)>,
    read: Instant,
    /// Since when the store fails.
    trouble: Option<Instant>,
    gap: Option<Range<i64>>,
}

/// Why a block is not there to be read.
#[derive(Debug, thiserror::Error)]
enum BlockError {
    #[error(transparent)]
    Store(#[from] StateError),
    #[error("it is not there any more")]
    Missing,
    #[error("{0}")]
    Damaged(String),
}

fn load(store: &StateStore, kept: &Kept, name: &BlockName) -> Result<Vec<u8>, BlockError> {
    let bytes = store.get(&kept.object(name))?.ok_or(BlockError::Missing)?;
    decode(name, &bytes).map_err(BlockError::Damaged)
}

fn lost(store: &StateStore, kept: &Kept, name: &BlockName, offset: i64, reason: &str) -> SourceError {
    let reason = format!("block {}/{} of the archive: {reason}", store.url(), kept.object(name));
    SourceError::Lost { partition: kept.name.clone(), offset, reason }
}

impl Slot {
    fn new(kept: Kept, span: &Span) -> Self {
        let until = span.until.unwrap_or(i64::MAX);
        let gap = span.gap.map(|gap| gap.offsets(None));
        let read = clock::now();
        Slot { kept, block: 0, next: span.start, until, unpacked: None, read, trouble: None, gap }
    }

    /// Passes the blocks that have nothing more to hand over, and finds the one that is read next. Returns what is missing
    /// before it.
    fn settle(&mut self) -> Option<Gap> {
        let passed = |(name, _): &&(BlockName, u64)| name.offsets.end <= self.next;
        let pass = self.kept.blocks[self.block..].iter().take_while(passed).count();
        if pass > 0 {
            (self.block, self.unpacked) = (self.block + pass, None);
        }
        let (name, _) = self.kept.blocks.get(self.block)?;
        let (wanted, first) = (self.next, name.offsets.start);
        let lost = u64::try_from(first.min(self.until) - wanted).unwrap_or(0);
        if lost == 0 {
            return None;
        }
        (self.next, self.gap) = (first, Some(wanted..first));
        Some(Gap { wanted, first, lost })
    }

    fn ended(&self) -> bool {
        self.next >= self.until || self.block >= self.kept.blocks.len()
    }

    /// Hands over what the unpacked block has, `limit` records at most; how many.
    ///
    /// # Errors
    /// Why a line cannot be read, or what it says is not what the block's name says.
    fn hand_out(&mut self, limit: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, String> {
        let Some((lines, at)) = &mut self.unpacked else { return Ok(0) };
        let (name, _) = &self.kept.blocks[self.block];
        let mut records = 0;
        while records < limit && self.next < self.until {
            let Some(end) = memchr::memchr(b'\n', &lines[*at..]) else {
                self.next = name.offsets.end;
                break;
            };
            let line = Line::read(&lines[*at..*at + end])?;
            *at += end + 1;
            if line.offset < self.next {
                continue;
            }
            let origin = (line.topic.as_deref(), Some(line.partition));
            if line.offset >= name.offsets.end
                || origin != (self.kept.origin.topic.as_deref(), self.kept.origin.partition)
            {
                return Err(format!("it has a record of offset {} that is not its own", line.offset));
            }
            let record = line.record()?;
            if record.record().offset >= self.until {
                self.next = self.until;
                break;
            }
            self.next = record.record().offset + 1;
            each(record.record());
            records += 1;
        }
        Ok(records)
    }
}

impl ArchiveSource {
    /// Unpacks the block that a slot reads next. Returns false where the store fails, and may be asked again.
    fn unpack(&mut self, index: usize) -> Result<bool, SourceError> {
        self.make_room(index);
        let slot = &mut self.slots[index];
        let (name, _) = &slot.kept.blocks[slot.block];
        let lost = |reason: String| lost(&self.store, &slot.kept, name, slot.next, &reason);
        match load(&self.store, &slot.kept, name) {
            Ok(lines) => {
                (slot.unpacked, slot.trouble) = (Some((lines, 0)), None);
                Ok(true)
            }
            Err(BlockError::Store(error)) => {
                self.retries += 1;
                let since = *slot.trouble.get_or_insert_with(clock::now);
                if clock::since(since) < PATIENCE { Ok(false) } else { Err(lost(error.to_string())) }
            }
            Err(error) => Err(lost(error.to_string())),
        }
    }

    /// Lets go of the blocks that were not read for the longest, which are unpacked again at their turn.
    fn make_room(&mut self, wanted: usize) {
        let size = |slot: &Slot| slot.unpacked.as_ref().map_or(0, |(lines, _)| lines.len());
        let mut held: usize = self.slots.iter().map(size).sum();
        while held > MAX_UNPACKED_BYTES {
            let others = self.slots.iter_mut().enumerate();
            let held_ones = others.filter(|(index, slot)| *index != wanted && slot.unpacked.is_some());
            let Some((_, oldest)) = held_ones.min_by_key(|(_, slot)| slot.read) else { return };
            held -= size(oldest);
            oldest.unpacked = None;
        }
    }
}

impl Source for ArchiveSource {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        self.slots[slot].kept.name.clone()
    }

    fn origin(&self, slot: usize) -> Origin {
        self.slots[slot].kept.origin.clone()
    }

    fn read(
        &mut self,
        index: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let slot = &mut self.slots[index];
        slot.read = clock::now();
        if let Some(gap) = slot.settle() {
            // It was not there when all was settled, or may be skipped.
            if self.on_gap == OnGap::Fail {
                return Err(crate::gap::not_kept(&slot.kept.name, gap.wanted, (gap.first, gap.first)));
            }
            gap.tell(&slot.kept.name);
            self.gap_records += gap.lost;
        }
        if self.slots[index].ended() {
            self.slots[index].unpacked = None;
            return Ok(Progress::Ended);
        }
        if self.slots[index].unpacked.is_none() && !self.unpack(index)? {
            return Ok(Progress::Waiting);
        }
        let slot = &mut self.slots[index];
        let records = slot.hand_out(limit, each).map_err(|reason| {
            lost(&self.store, &slot.kept, &slot.kept.blocks[slot.block].0, slot.next, &reason)
        })?;
        Ok(Progress::Read(records))
    }

    fn bounded(&self) -> bool {
        true
    }

    fn lag(&self, slot: usize) -> u64 {
        let Slot { next, until, kept, .. } = &self.slots[slot];
        u64::try_from(kept.end().min(*until) - next).unwrap_or(0)
    }

    fn position(&self, slot: usize) -> Option<i64> {
        Some(self.slots[slot].next)
    }

    fn gap(&self, slot: usize) -> Option<Range<i64>> {
        self.slots[slot].gap.clone()
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            retries: self.retries,
            disconnected: self.slots.iter().any(|slot| slot.trouble.is_some()),
            lag: (0..self.slots.len()).map(|slot| self.lag(slot)).sum(),
            gap_records: self.gap_records,
        }
    }
}
