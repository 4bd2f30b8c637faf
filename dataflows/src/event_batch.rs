//! Columnar batches of events, on their way from the source to the pane sketches.
//!
//! An [`EventBatch`] holds events of one partition. A [`SketchBatch`] has those of one feed and pane, in the order of the log,
//! as columns. Of a board with groups, one of the columns names the group of each event: a batch has about as many groups
//! as events where a board has thousands, and columns for each would be touched once each. The bytes of all keys lie in
//! one arena. Batches are reused: once they are warm, an event allocates nothing.

use crate::batch_groups::BatchGroups;
use crate::group_names::NameKey;
use crate::late_pane::{LATE, PaneSpan};
use crest_connectors::group_key::{GroupBuffer, GroupText};
use crest_sketches::{Events, KeySpan};
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

/// The events of one batch that each board of a feed counts in one pane, as columns.
#[derive(Clone, Debug, Default)]
pub struct SketchBatch {
    /// The boards that count them.
    pub feed: Feed,
    /// The pane of all its events.
    pub pane: Pane,
    /// The group of each event, by its number in the batch; empty where they are of the whole board.
    groups: Vec<u32>,
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

    /// The group of each event, by its number in the batch; `None` where they are of the whole board.
    pub fn groups(&self) -> Option<&[u32]> {
        (!self.groups.is_empty()).then_some(&self.groups)
    }

    fn reset(&mut self, feed: &Feed, pane: Pane) {
        (self.feed, self.pane) = (feed.clone(), pane);
        self.groups.clear();
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
    groups: BatchGroups,
    key: NameKey,
    /// The parts that took the last events of each feed, one of the even and one of the odd panes: events out of order at the
    /// border of two panes need not be looked up.
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

impl EventBatch {
    fn new(key: NameKey) -> Self {
        EventBatch { key, groups: BatchGroups::new(key), ..EventBatch::default() }
    }

    /// A batch that announces something.
    pub fn announcing(news: News) -> Self {
        EventBatch { news: Some(news), ..EventBatch::default() }
    }

    /// The events of each feed and pane, in the order of their first events.
    pub fn parts(&self) -> &[SketchBatch] {
        &self.parts[..self.used]
    }

    /// The events of a part, as the sketches take them.
    pub fn events<'a>(&'a self, part: &'a SketchBatch) -> Events<'a> {
        let SketchBatch { hashes, weights, keys, values, .. } = part;
        Events { hashes, weights, keys, values, arena: &self.arena }
    }

    /// The bytes of all keys.
    pub(crate) fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// How many groups its events have.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The group of this number, and its hash by the key of the batch's [pool](BatchPool::key).
    pub(crate) fn group(&self, number: u32) -> (u64, GroupText<'_>) {
        self.groups.get(number)
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

    /// Adds an event of a group for the boards of this feed. All events of a feed are of the whole board, or none is. The pane of a
    /// late event is [`late`](crate::late_pane::late).
    #[inline]
    pub fn push(&mut self, feed: &Feed, group: &GroupBuffer, pane: Pane, item: Placed, counts: Counts) {
        let part = self.part(feed, pane.min(LATE));
        let part = &mut self.parts[part as usize];
        debug_assert!(part.is_empty() || part.groups.is_empty() == group.is_whole());
        if !group.is_whole() {
            part.groups.push(self.groups.number(group));
        }
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
    fn part(&mut self, feed: &Feed, pane: Pane) -> u32 {
        let (slot, odd) = (feed.id as usize, (pane & 1) as usize);
        if slot >= self.recent.len() {
            self.recent.resize(slot + 1, [NONE; 2]);
        }
        let recent = self.recent[slot][odd];
        if self.parts.get(recent as usize).is_some_and(|part| part.pane == pane) {
            return recent;
        }
        let part = self.find(feed, pane);
        self.recent[slot][odd] = part;
        part
    }

    fn find(&mut self, feed: &Feed, pane: Pane) -> u32 {
        let hash = self.key.hash_of_pane(pane, feed.id);
        let parts = &self.parts;
        let same = |&(_, part): &(u64, u32)| {
            let part = &parts[part as usize];
            part.pane == pane && part.feed.id == feed.id
        };
        if let Some(&(_, part)) = self.index.find(hash, same) {
            return part;
        }
        if self.used == self.parts.len() {
            self.parts.push(SketchBatch::default());
        }
        self.parts[self.used].reset(feed, pane);
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
        self.groups.clear();
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
pub struct BatchPool {
    batches: Rc<RefCell<Vec<EventBatch>>>,
    key: NameKey,
}

/// How many batches are kept, at most: more than a source emits in one turn.
const POOLED_BATCHES: usize = 16;
/// A batch with more parts than this (from a flood of disorder) is not kept.
const POOLED_PARTS: usize = 4096;

impl BatchPool {
    /// An empty batch for a partition.
    pub fn take(&self, partition: u64) -> EventBatch {
        let pooled = self.batches.borrow_mut().pop();
        let mut batch = pooled.unwrap_or_else(|| EventBatch::new(self.key));
        batch.clear();
        batch.partition = partition;
        batch
    }

    /// The key by which the groups of its batches are hashed.
    pub(crate) fn key(&self) -> NameKey {
        self.key
    }

    /// Returns a batch to the pool.
    pub fn give(&self, batch: EventBatch) {
        let mut pool = self.batches.borrow_mut();
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
    fn events_of_one_feed_and_pane_share_columns_in_log_order() {
        let pool = BatchPool::default();
        let feed = |id| Feed { id, boards: [1].into(), removes: false };
        let (whole, grouped) = (feed(1), feed(2));
        for _ in 0..2 {
            let mut batch = pool.take(3);
            let events = [
                ("a", None, 7),
                ("b", None, 8),
                ("c", None, 7),
                ("a", Some("IN"), 7),
                ("b", Some("US"), 7),
                ("c", Some("IN"), 7),
                ("d", Some("US"), 8),
            ];
            for (n, (item, group, pane)) in events.iter().enumerate() {
                let placed = batch.place(n as u64, item);
                let mut of = GroupBuffer::WHOLE;
                group.iter().for_each(|value| of.push(&Dimension::new("region"), value));
                let feed = if group.is_some() { &grouped } else { &whole };
                batch.push(feed, &of, *pane, placed, Counts::Weight(1 + n as u32));
            }
            let part = |part: &SketchBatch| {
                let events = batch.events(part);
                let key = |k: &KeySpan| &events.arena[k.offset as usize..(k.offset + k.len) as usize];
                let keys: Vec<u8> = events.keys.iter().flat_map(key).copied().collect();
                let groups = part.groups().unwrap_or_default().iter();
                let groups: Vec<_> = groups.map(|group| batch.group(*group).1.as_str()).collect();
                (part.pane, String::from_utf8(keys).unwrap(), events.weights.to_vec(), groups.join(" "))
            };
            let parts: Vec<_> = batch.parts().iter().map(part).collect();
            let expected = [
                (7, "ac", vec![1, 3], ""),
                (8, "b", vec![2], ""),
                (7, "abc", vec![4, 5, 6], "region=IN region=US region=IN"),
                (8, "d", vec![7], "region=US"),
            ];
            assert_eq!(
                parts,
                expected.map(|(pane, keys, weights, groups)| (pane, keys.into(), weights, groups.into()))
            );
            assert_eq!(batch.group_count(), 2);
            pool.give(batch);
        }
    }
}
