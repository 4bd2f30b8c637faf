//! A worker's reader that puts aside what it hands over.
//!
//! It may read further back than the job wants, where the archive is behind, and hand over what is archived already: each
//! goes only to whom it is new. When the store cannot keep up, nothing is read until it can.

use super::outlet::{Closed, Outlet};
use super::shared::Shared;
use crate::archive::{Day, RawRecords};
use crate::framing::Framing;
use crate::source::{Origin, Partition, Progress, ReadToEnd, Record, Source, SourceError, SourceStats};
use crate::unpack::Compression;
use crest_host::clock;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A block is complete when its records take so much.
pub(super) const BLOCK_BYTES: usize = 8 << 20;
/// One read hands over so many records at least, where there are, however large they are.
const LEAST_LIMIT: usize = 16;

/// Where reading begins for whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Begins {
    /// By partition, the first offset that the job wants.
    pub(super) job: BTreeMap<Partition, i64>,
    /// By partition, the first offset that is not archived.
    pub(super) archive: BTreeMap<Partition, i64>,
}

/// A worker's reader.
pub(super) struct TeeSource {
    inner: Box<dyn Source>,
    shared: Arc<Shared>,
    outlet: Arc<Outlet>,
    begins: Begins,
    slots: Vec<Slot>,
    /// How long a block is open at most.
    age: Duration,
    /// Bytes that open blocks may take.
    limit: usize,
    /// When it is next looked for blocks that are complete by their age.
    due: Option<Instant>,
    /// Whether nothing was read at the last attempt, since too much waits for the store.
    held_up: bool,
}

/// One partition.
struct Slot {
    name: Arc<str>,
    origin: Origin,
    /// The first offset that the job wants.
    wanted: i64,
    /// What the open block covers begins here.
    from: i64,
    /// The first offset that is neither archived nor in the open block.
    next: i64,
    raw: RawRecords,
    /// When the first record of the open block came.
    opened: Option<Instant>,
    /// The gap that was last heard of.
    gap: Option<Range<i64>>,
    /// The most bytes that a record has taken.
    largest: usize,
}

impl TeeSource {
    pub(super) fn new(
        inner: Box<dyn Source>,
        (shared, outlet): (Arc<Shared>, Arc<Outlet>),
        begins: Begins,
        age: Duration,
        limit: usize,
    ) -> Self {
        let (slots, due, held_up) = (Vec::new(), None, false);
        let mut tee = TeeSource { inner, shared, outlet, begins, slots, age, limit, due, held_up };
        tee.take_partitions();
        tee
    }

    fn take_partitions(&mut self) {
        let known = self.slots.len();
        let new = self.inner.partitions().iter().skip(known).copied().collect::<Vec<_>>();
        for (index, partition) in (known..).zip(new) {
            let (name, origin) = (Arc::<str>::from(self.inner.name(index)), self.inner.origin(index));
            let position = self.inner.position(index).unwrap_or(0);
            let archived = self.begins.archive.get(&partition).copied();
            if let Some(archived) = archived.filter(|archived| *archived < position) {
                self.miss(&name, archived..position);
            }
            let next = archived.map_or(position, |archived| archived.max(position));
            let wanted = self.begins.job.get(&partition).copied().unwrap_or(0);
            let (gap, raw) = (self.inner.gap(index), RawRecords::default());
            self.slots.push(Slot {
                name,
                origin,
                wanted,
                from: next,
                next,
                raw,
                opened: None,
                gap,
                largest: 1,
            });
        }
    }

    /// Offsets will never be in the archive.
    fn miss(&self, partition: &str, offsets: Range<i64>) {
        let lost = u64::try_from(offsets.end - offsets.start).unwrap_or(0);
        self.shared.gap(lost);
        let (from, to) = (offsets.start, offsets.end - 1);
        tracing::warn!(
            partition,
            from,
            to,
            "the archive has a gap: the log had let go of these offsets before they were archived"
        );
    }

    /// What was read in a call whose slot had `before` so many bytes and went up to `next` has come with a gap.
    fn note_gap(&mut self, index: usize, gap: Range<i64>, (before, next): (usize, i64)) {
        let slot = &mut self.slots[index];
        slot.gap = Some(gap.clone());
        if gap.end <= next {
            return; // archived before it was let go of
        }
        // Records of one call are all before the gap or all behind it.
        let behind = (slot.next > gap.end).then(|| slot.raw.split_off(before));
        let reached = slot.next;
        if behind.is_some() {
            slot.next = next;
        }
        let missing = gap.start.max(slot.next)..gap.end;
        self.close(index);
        let slot = &mut self.slots[index];
        slot.from = gap.end;
        slot.next = reached.max(gap.end);
        if let Some(raw) = behind {
            (slot.raw, slot.opened) = (raw, Some(clock::now()));
        }
        let name = slot.name.clone();
        self.miss(&name, missing);
    }

    /// Hands on the open block of a slot, if it has one.
    fn close(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.opened = None;
        // Who has filled a block will fill the next one, too. Others begin without memory.
        let next = if slot.raw.bytes() >= BLOCK_BYTES { self.outlet.spare() } else { RawRecords::default() };
        let raw = std::mem::replace(&mut slot.raw, next);
        if raw.bytes() > 0 {
            let (name, origin) = (slot.name.clone(), slot.origin.clone());
            let day = Day::of(clock::wall_clock_ms());
            self.outlet.push(Closed { name, origin, day, offsets: slot.from..slot.next, raw });
            slot.from = slot.next;
        }
    }

    /// Closes the blocks that are complete: the slot's by its size, others by their age, and the largest where all take too
    /// much.
    fn close_complete(&mut self, index: usize, now: Instant) {
        if self.slots[index].raw.bytes() >= BLOCK_BYTES {
            self.close(index);
        }
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            for index in 0..self.slots.len() {
                match self.slots[index].opened.map(|opened| opened + self.age) {
                    Some(due) if now >= due => self.close(index),
                    Some(due) => self.due = Some(self.due.map_or(due, |first| first.min(due))),
                    None => {}
                }
            }
        }
        let bytes = |slot: &Slot| slot.raw.bytes();
        while self.slots.iter().map(bytes).sum::<usize>() > self.limit {
            let largest = (0..self.slots.len()).max_by_key(|index| bytes(&self.slots[*index]));
            let Some(largest) = largest else { return };
            self.close(largest);
        }
    }
}

impl Source for TeeSource {
    fn partitions(&mut self) -> &[Partition] {
        if self.inner.partitions().len() > self.slots.len() {
            self.take_partitions();
        }
        self.inner.partitions()
    }

    fn name(&self, slot: usize) -> String {
        self.inner.name(slot)
    }

    fn origin(&self, slot: usize) -> Origin {
        self.inner.origin(slot)
    }

    fn header(&self, slot: usize) -> Option<&[u8]> {
        self.inner.header(slot)
    }

    fn form(&self, slot: usize) -> Option<(Framing, Compression)> {
        self.inner.form(slot)
    }

    fn read(
        &mut self,
        index: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let now = clock::now();
        let held_up = !self.outlet.accepts();
        if held_up != std::mem::replace(&mut self.held_up, held_up) {
            self.shared.holds_up(held_up);
        }
        if held_up {
            return Ok(Progress::Waiting);
        }
        let slot = &mut self.slots[index];
        let (before, next) = (slot.raw.bytes(), slot.next);
        let limit = limit.min((BLOCK_BYTES / slot.largest).max(LEAST_LIMIT));
        let progress = self.inner.read(index, limit, &mut |record| {
            if record.offset >= slot.next {
                let bytes = slot.raw.bytes();
                slot.raw.push(&record);
                slot.next = record.offset + 1;
                slot.largest = slot.largest.max(slot.raw.bytes() - bytes);
            }
            if record.offset >= slot.wanted {
                each(record);
            }
        })?;
        let taken = slot.raw.bytes() - before;
        if taken > 0 {
            self.shared.hold(taken);
            if slot.opened.is_none() {
                slot.opened = Some(now);
                self.due.get_or_insert(now + self.age);
            }
        }
        if let Some(gap) = self.inner.gap(index).filter(|gap| slot.gap.as_ref() != Some(gap)) {
            self.note_gap(index, gap, (before, next));
        }
        self.close_complete(index, now);
        Ok(progress)
    }

    fn bounded(&self) -> bool {
        self.inner.bounded()
    }

    fn read_to_end(&self, slot: usize) -> Option<ReadToEnd> {
        // Who is held up knows nothing of the end.
        if self.held_up { None } else { self.inner.read_to_end(slot) }
    }

    fn lag(&self, slot: usize) -> u64 {
        self.inner.lag(slot)
    }

    fn position(&self, slot: usize) -> Option<i64> {
        self.inner.position(slot).map(|position| position.max(self.slots[slot].wanted))
    }

    fn gap(&self, slot: usize) -> Option<Range<i64>> {
        self.inner.gap(slot)
    }

    fn open_transaction(&self, slot: usize) -> Option<i64> {
        self.inner.open_transaction(slot)
    }

    fn stats(&self) -> SourceStats {
        self.inner.stats()
    }
}

impl Drop for TeeSource {
    /// Hands on what is open.
    fn drop(&mut self) {
        for index in 0..self.slots.len() {
            self.close(index);
        }
        self.outlet.close();
    }
}
