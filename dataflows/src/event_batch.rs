//! Columnar batches of events, on their way from the source to the pane sketches.
//!
//! An [`EventBatch`] holds events of one partition, grouped by the sketches that count them. A [`SketchBatch`] has the
//! events of one feed, group and pane, in the order of the log, as columns. The bytes of all keys lie in one arena.
//! Batches are reused: once they are warm, an event allocates nothing.

use crate::late_pane::{LATE, PaneSpan};
use crest_connectors::group_key::GroupBuffer;
#[cfg(doc)]
use crest_host::draw;
use crest_sketches::{Events, KeySpan, item_hash};
use crest_state::pane::Pane;
use hashbrown::HashTable;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Boards that count the same events with the same weights, in groups of the same dimensions; or that take them away.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Its number among the feeds of the job.
    pub id: u32,
    /// The boards, by their places in the spec.
    pub boards: Arc<[u32]>,
    /// Whether its events take away what others have counted.
    pub removes: bool,
}

/// The events of one batch that one sketch of each board of a feed counts, as columns.
#[derive(Clone, Debug, Default)]
pub struct SketchBatch {
    /// The boards that count them.
    pub feed: Feed,
    /// The pane of all its events.
    pub pane: Pane,
    /// The group of all its events.
    pub group: GroupBuffer,
    /// In the late pane, the panes of its events.
    pub late: Option<PaneSpan>,
    hashes: Vec<u64>,
    weights: Vec<u32>,
    keys: Vec<KeySpan>,
    /// The hashes of the values of which the boards count the different ones; empty where they count events.
    values: Vec<u64>,
}

impl SketchBatch {
    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it holds no events.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The total weight of its events.
    pub fn weight(&self) -> u64 {
        self.weights.iter().map(|w| u64::from(*w)).sum()
    }

    fn reset(&mut self, feed: &Feed, pane: Pane, group: &GroupBuffer) {
        (self.feed, self.pane) = (feed.clone(), pane);
        self.group.copy_from(group);
        self.late = None;
        self.hashes.clear();
        self.weights.clear();
        self.keys.clear();
        self.values.clear();
    }
}

/// An item whose hash and bytes are in a batch already, for any number of sketches to count.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    hash: u64,
    key: KeySpan,
}

/// What an event counts. All events of a feed count the same kind of thing.
#[derive(Clone, Copy, Debug)]
pub enum Counts {
    /// So much.
    Weight(u32),
    /// The value of this hash, once for its item.
    Value(u64),
}

/// A batch of one partition's events.
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    /// The partition of all its events.
    pub partition: u64,
    /// What the source announces by it, if it does.
    pub news: Option<News>,
    arena: Vec<u8>,
    parts: Vec<SketchBatch>,
    used: usize,
    index: HashTable<(u64, u32)>,
    key: IndexKey,
    /// The parts that took the last events of each feed as a whole, one of the even and one of the odd panes: events out of
    /// order at the border of two panes need not be looked up.
    recent: Vec<[u32; 2]>,
}

/// What a source announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The job was stopped: open panes stay incomplete and must not be closed.
    Halt,
    /// All partitions of the worker have ended, and this is the last pane in which they have an event.
    End(Pane),
}

const NONE: u32 = u32::MAX;

/// The random key of the hash of a batch's index. Senders choose the groups and times, and must not be able to bring
/// about collisions.
#[derive(Clone, Copy, Debug)]
struct IndexKey(u64);

impl Default for IndexKey {
    fn default() -> Self {
        IndexKey(crest_host::draw::random())
    }
}

impl EventBatch {
    /// A batch that announces something.
    pub fn announcing(news: News) -> Self {
        EventBatch { news: Some(news), ..EventBatch::default() }
    }

    /// The events of each feed, group and pane, in the order of their first events.
    pub fn parts(&self) -> &[SketchBatch] {
        &self.parts[..self.used]
    }

    /// The events of a part, as the sketches take them.
    pub fn events<'a>(&'a self, part: &'a SketchBatch) -> Events<'a> {
        let SketchBatch { hashes, weights, keys, values, .. } = part;
        Events { hashes, weights, keys, values, arena: &self.arena }
    }

    /// Whether it holds no events.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Copies an item's bytes into the batch. `hash` is the item's hash.
    #[inline]
    pub fn place(&mut self, hash: u64, item: &str) -> Placed {
        let key = KeySpan { offset: self.arena.len() as u32, len: item.len() as u32 };
        append(&mut self.arena, item.as_bytes());
        Placed { hash, key }
    }

    /// Adds an event for the sketches of this feed, group and pane. The pane of a late event is [`late`].
    #[inline]
    pub fn push(&mut self, feed: &Feed, group: &GroupBuffer, pane: Pane, item: Placed, counts: Counts) {
        let part = self.part(feed, group, pane.min(LATE));
        let part = &mut self.parts[part as usize];
        if pane >= LATE {
            part.late = Some(PaneSpan::of(pane - LATE).with(part.late));
        }
        part.hashes.push(item.hash);
        part.keys.push(item.key);
        match counts {
            Counts::Weight(weight) => part.weights.push(weight),
            Counts::Value(hash) => {
                part.weights.push(1);
                part.values.push(hash);
            }
        }
    }

    #[inline]
    fn part(&mut self, feed: &Feed, group: &GroupBuffer, pane: Pane) -> u32 {
        if !group.is_whole() {
            return self.find(feed, group, pane);
        }
        let (slot, odd) = (feed.id as usize, (pane & 1) as usize);
        if slot >= self.recent.len() {
            self.recent.resize(slot + 1, [NONE; 2]);
        }
        let recent = self.recent[slot][odd];
        if self.parts.get(recent as usize).is_some_and(|part| part.pane == pane) {
            return recent;
        }
        let part = self.find(feed, group, pane);
        self.recent[slot][odd] = part;
        part
    }

    fn find(&mut self, feed: &Feed, group: &GroupBuffer, pane: Pane) -> u32 {
        let hash = item_hash(group.as_str().as_bytes(), self.key.0 ^ pane ^ (u64::from(feed.id) << 48));
        let parts = &self.parts;
        let same = |&(_, part): &(u64, u32)| {
            let part = &parts[part as usize];
            // An empty text may point nowhere, and to compare it as bytes takes some processors hundreds of cycles.
            let same_group = || if group.is_whole() { part.group.is_whole() } else { part.group == *group };
            part.pane == pane && part.feed.id == feed.id && same_group()
        };
        if let Some(&(_, part)) = self.index.find(hash, same) {
            return part;
        }
        if self.used == self.parts.len() {
            self.parts.push(SketchBatch::default());
        }
        self.parts[self.used].reset(feed, pane, group);
        let part = self.used as u32;
        self.used += 1;
        self.index.insert_unique(hash, (hash, part), |(hash, _)| *hash);
        part
    }

    fn clear(&mut self) {
        self.news = None;
        self.arena.clear();
        self.used = 0;
        self.index.clear();
        self.recent.clear();
    }
}

/// Appends bytes. Of most ids, which have from 8 to 16, as two words: that takes half the time of a copy of any length.
#[inline]
fn append(arena: &mut Vec<u8>, bytes: &[u8]) {
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) if bytes.len() <= 16 => {
            let (end, known) = (arena.len() + bytes.len(), 8 * (16 - bytes.len() as u32));
            let rest = u64::from_le_bytes(*last).checked_shr(known).unwrap_or(0);
            arena.extend_from_slice(first);
            arena.extend_from_slice(&rest.to_le_bytes());
            arena.truncate(end);
        }
        _ => arena.extend_from_slice(bytes),
    }
}

/// The batches that a worker keeps to use again.
#[derive(Clone, Debug, Default)]
pub struct BatchPool(Rc<RefCell<Vec<EventBatch>>>);

/// How many batches are kept, at most: more than a source emits in one turn.
const POOLED_BATCHES: usize = 16;
/// A batch with more parts than this (from a flood of groups or of disorder) is not kept.
const POOLED_PARTS: usize = 4096;

impl BatchPool {
    /// An empty batch for a partition.
    pub fn take(&self, partition: u64) -> EventBatch {
        let mut batch = self.0.borrow_mut().pop().unwrap_or_default();
        batch.clear();
        batch.partition = partition;
        batch
    }

    /// Returns a batch to the pool.
    pub fn give(&self, batch: EventBatch) {
        let mut pool = self.0.borrow_mut();
        if pool.len() < POOLED_BATCHES && batch.parts.len() <= POOLED_PARTS {
            pool.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::group_key::Dimension;

    #[test]
    fn bytes_of_any_length_are_appended_as_they_are() {
        let bytes: Vec<u8> = (1..=40).collect();
        for length in 0..=bytes.len() {
            let mut arena = b"before".to_vec();
            append(&mut arena, &bytes[..length]);
            assert_eq!(arena, [b"before", &bytes[..length]].concat());
        }
    }

    #[test]
    fn events_of_one_feed_group_and_pane_share_columns_in_log_order() {
        let pool = BatchPool::default();
        let feed = Feed { id: 1, boards: [1].into(), removes: false };
        for _ in 0..2 {
            let mut batch = pool.take(3);
            for (n, (item, group, pane)) in
                [("a", None, 7), ("b", None, 8), ("c", None, 7), ("a", Some("IN"), 7), ("b", Some("IN"), 7)]
                    .iter()
                    .enumerate()
            {
                let placed = batch.place(n as u64, item);
                let mut of = GroupBuffer::WHOLE;
                group.iter().for_each(|value| of.push(&Dimension::new("region"), value));
                batch.push(&feed, &of, *pane, placed, Counts::Weight(1 + n as u32));
            }
            let parts: Vec<_> = batch
                .parts()
                .iter()
                .map(|part| {
                    let events = batch.events(part);
                    let key = |k: &KeySpan| &events.arena[k.offset as usize..(k.offset + k.len) as usize];
                    (
                        part.group.as_str(),
                        part.pane,
                        events.keys.iter().flat_map(key).copied().collect::<Vec<u8>>(),
                        part.weight(),
                    )
                })
                .collect();
            assert_eq!(
                parts,
                [("", 7, b"ac".to_vec(), 4), ("", 8, b"b".to_vec(), 2), ("region=IN", 7, b"ab".to_vec(), 9)]
            );
            pool.give(batch);
        }
    }
}
