//! A worker's reader of its partitions of a log. When nothing is new, a read looks at one number.

use super::Log;
use super::block::{Decoded, LogPartition};
use super::database::MENDS;
use super::store::{Extent, FetchError, Fetched};
use crate::gap::Gap;
use crate::range::OnGap;
use crate::source::{
    BrokerTime, Origin, Partition, Payload, Progress, ReadToEnd, Record, Source, SourceError, SourceStats,
};
use crate::span::Span;
use crest_host::clock;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Plain bytes of blocks that one read loads, about: some milliseconds' worth.
const READ_BYTES: usize = 4 << 20;
/// How long the file may not be readable before that is believed to last.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the partitions that it was given.
pub(super) struct LogSource {
    log: Arc<Log>,
    partitions: Vec<Partition>,
    slots: Vec<Slot>,
    bounded: bool,
    on_gap: OnGap,
    retries: u64,
    gap_records: u64,
}

/// One partition.
struct Slot {
    /// The next offset to read.
    next: i64,
    /// The first one that is not read any more.
    until: Option<i64>,
    block: Decoded,
    /// Since when the file cannot be read.
    trouble: Option<Instant>,
    /// What was last skipped of it.
    gap: Option<Range<i64>>,
}

/// What becomes of a read after a look for the next block.
enum Next {
    /// There is something to hand out, or another look to take.
    GoOn,
    /// There is nothing, for this reason.
    Stop(Progress),
}

impl LogSource {
    pub(super) fn new(
        log: Arc<Log>,
        spans: Vec<(Partition, Span)>,
        bounded: bool,
        on_gap: OnGap,
    ) -> Result<Self, SourceError> {
        let (mut partitions, mut slots, mut gap_records) = (Vec::new(), Vec::new(), 0);
        for (partition, span) in spans {
            if let Some(gap) = span.gap {
                gap.tell(&Log::partition_name(partition));
                gap_records += gap.lost;
            }
            let block = Decoded::new().map_err(|error| log.file_error(error.to_string()))?;
            partitions.push(partition);
            let gap = span.gap.map(|gap| gap.offsets(None));
            slots.push(Slot { next: span.start, until: span.until, block, trouble: None, gap });
        }
        Ok(LogSource { log, partitions, slots, bounded, on_gap, retries: 0, gap_records })
    }

    /// Finds the block that holds the next record of a slot. A gap before it is skipped only where that is said: records
    /// from before and behind it are not handed over together.
    fn load(&mut self, index: usize, skips: bool) -> Result<Next, SourceError> {
        let (slot, partition) = (&mut self.slots[index], self.partitions[index]);
        if slot.next >= self.log.shared.next(partition as LogPartition) {
            return Ok(Next::Stop(self.at_end()));
        }
        let fetched =
            self.log.shared.store.fetch(partition as LogPartition, slot.next as u64, &mut slot.block);
        let lost = |offset, reason| {
            let partition = Log::partition_name(partition);
            SourceError::Lost { partition, offset, reason }
        };
        match fetched {
            Ok(Fetched::Loaded) => {
                slot.trouble = None;
                while slot.block.next_offset().is_some_and(|offset| (offset as i64) < slot.next) {
                    slot.block.next();
                }
                Ok(Next::GoOn)
            }
            Ok(Fetched::Lost(_) | Fetched::Missing(_)) if !skips => Ok(Next::Stop(Progress::Waiting)),
            Ok(Fetched::Lost(end)) => self.pass_lost(index, end as i64),
            Ok(Fetched::Missing(extent)) => self.pass_gap(index, extent),
            Err(FetchError::Damaged(error)) => {
                let path = self.log.shared.store.path().display();
                Err(lost(slot.next, format!("{path}: {error}; {MENDS}")))
            }
            Err(FetchError::Failed(reason)) => {
                self.retries += 1;
                self.log.shared.store.suspect();
                let since = *slot.trouble.get_or_insert_with(clock::now);
                if clock::since(since) >= PATIENCE {
                    return Err(lost(slot.next, reason));
                }
                Ok(Next::Stop(Progress::Waiting))
            }
        }
    }

    /// All that was committed is read. It is an end where the log is in order, too.
    fn at_end(&self) -> Progress {
        self.log.shared.health.since().map_or(Progress::Waiting, Progress::AtEnd)
    }

    /// The next records were lost in damage, up to an offset.
    fn pass_lost(&mut self, index: usize, end: i64) -> Result<Next, SourceError> {
        let (slot, name) = (&mut self.slots[index], Log::partition_name(self.partitions[index]));
        let end = slot.until.map_or(end, |until| until.min(end));
        if self.on_gap == OnGap::Fail {
            let (path, last) = (self.log.shared.store.path().display(), end - 1);
            let reason = format!(
                "offsets {} to {last} were lost when {path} was damaged; --on-gap skip goes on without them",
                slot.next
            );
            return Err(SourceError::Lost { partition: name, offset: slot.next, reason });
        }
        let gap = Gap { wanted: slot.next, first: end, lost: u64::try_from(end - slot.next).unwrap_or(0) };
        gap.tell(&name);
        self.gap_records += gap.lost;
        slot.gap = Some(gap.offsets(slot.gap.as_ref()));
        slot.next = end;
        slot.trouble = None;
        Ok(Next::GoOn)
    }

    /// The next record is not there: it was deleted, or the file is damaged.
    fn pass_gap(&mut self, index: usize, extent: Extent) -> Result<Next, SourceError> {
        let (slot, name) = (&mut self.slots[index], Log::partition_name(self.partitions[index]));
        let kept = (extent.first as i64, extent.next as i64);
        match Gap::find(self.on_gap, &name, slot.next, slot.until, kept)? {
            Some(gap) => {
                gap.tell(&name);
                self.gap_records += gap.lost;
                slot.gap = Some(gap.offsets(slot.gap.as_ref()));
                slot.next = slot.until.map_or(gap.first, |until| until.min(gap.first));
                Ok(Next::GoOn)
            }
            None => {
                let path = self.log.shared.store.path().display();
                let reason = format!("{path} is damaged: it lacks the block of this record; {MENDS}");
                Err(SourceError::Lost { partition: name, offset: slot.next, reason })
            }
        }
    }
}

impl Slot {
    fn ended(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }

    /// Hands out what the loaded block has, `limit` records at most; how many.
    fn hand_out(&mut self, limit: usize, each: &mut dyn FnMut(Record<'_>)) -> usize {
        let time = Some(BrokerTime::Appended(self.block.appended()));
        let mut records = 0;
        while records < limit && !self.ended() {
            let Some((offset, payload)) = self.block.next() else { break };
            let offset = offset as i64;
            self.next = offset + 1;
            each(Record { time, ..Record::new(offset, Payload::Bytes(payload)) });
            records += 1;
        }
        records
    }
}

impl Source for LogSource {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        Log::partition_name(self.partitions[slot])
    }

    fn origin(&self, slot: usize) -> Origin {
        Origin { partition: Some(self.partitions[slot] as LogPartition), ..Origin::default() }
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let (mut records, mut loaded) = (0, 0);
        loop {
            records += self.slots[slot].hand_out(limit - records, each);
            if records == limit || (records > 0 && loaded >= READ_BYTES) {
                return Ok(Progress::Read(records));
            }
            let next = match self.slots[slot].ended() {
                true => Ok(Next::Stop(Progress::Ended)),
                false => self.load(slot, records == 0),
            };
            match next {
                Ok(Next::GoOn) => loaded += self.slots[slot].block.bytes(),
                // An error comes back at the next read.
                Ok(Next::Stop(_)) | Err(_) if records > 0 => return Ok(Progress::Read(records)),
                Ok(Next::Stop(progress)) => return Ok(progress),
                Err(error) => return Err(error),
            }
        }
    }

    fn bounded(&self) -> bool {
        self.bounded
    }

    fn read_to_end(&self, slot: usize) -> Option<ReadToEnd> {
        let at = clock::now();
        let read = self.slots[slot].next >= self.log.shared.next(self.partitions[slot] as LogPartition);
        let answering_since = self.log.shared.health.since().filter(|_| read)?;
        Some(ReadToEnd { at, answering_since })
    }

    fn lag(&self, slot: usize) -> u64 {
        let high = self.log.shared.next(self.partitions[slot] as LogPartition);
        let slot = &self.slots[slot];
        let end = slot.until.map_or(high, |until| until.min(high));
        u64::try_from(end - slot.next).unwrap_or(0)
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
            disconnected: !self.log.shared.store.is_open(),
            lag: (0..self.slots.len()).map(|slot| self.lag(slot)).sum(),
            gap_records: self.gap_records,
        }
    }
}
