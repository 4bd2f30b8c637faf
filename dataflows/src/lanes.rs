//! Events on their way from the source to the pane sketches: column by column, in lanes.
//!
//! A **lane** is a run of one partition's events that go to one sketch: the same board, group and pane, in the
//! order of the log. The bytes of all keys lie in one arena. Batches are reused: once warm, an event allocates
//! nothing.

use crest_sketches::{Events, KeySpan, item_hash};
use crest_state::pane::Pane;
use hashbrown::HashTable;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;

/// The events of one sketch, column by column.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// The board's place in the spec.
    pub board: u32,
    /// The pane.
    pub pane: Pane,
    /// The group's text; empty for the whole board.
    pub group: String,
    hashes: Vec<u64>,
    weights: Vec<u32>,
    keys: Vec<KeySpan>,
}

impl Lane {
    /// Events in the lane.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The weight of all its events.
    pub fn weight(&self) -> u64 {
        self.weights.iter().map(|w| u64::from(*w)).sum()
    }

    fn reset(&mut self, board: u32, pane: Pane, group: &str) {
        (self.board, self.pane) = (board, pane);
        self.group.clear();
        self.group.push_str(group);
        self.hashes.clear();
        self.weights.clear();
        self.keys.clear();
    }
}

/// An item that was hashed and copied once, and may go to several lanes.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    hash: u64,
    key: KeySpan,
}

/// A batch of one partition's events.
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    /// The partition that all its events are of.
    pub partition: u32,
    /// The job is stopped: no pane is complete, none may be closed any more.
    pub halt: bool,
    arena: Vec<u8>,
    lanes: Vec<Lane>,
    used: usize,
    index: HashTable<(u64, u32)>,
    key: IndexKey,
    /// The lane that took the last event of each board's whole.
    recent: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// Of the hash of a batch's index. It is drawn, since whoever sends events chooses groups and times.
#[derive(Clone, Copy, Debug)]
struct IndexKey(u64);

impl Default for IndexKey {
    fn default() -> Self {
        IndexKey(RandomState::new().build_hasher().finish())
    }
}

impl EventBatch {
    /// Says that the job is stopped.
    pub fn halt() -> Self {
        EventBatch { halt: true, ..EventBatch::default() }
    }

    /// The lanes that hold events, in the order of their first events.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes[..self.used]
    }

    /// A lane's events as the sketches take them.
    pub fn events<'a>(&'a self, lane: &'a Lane) -> Events<'a> {
        Events { hashes: &lane.hashes, weights: &lane.weights, keys: &lane.keys, arena: &self.arena }
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes an item's bytes.
    #[inline]
    pub fn place(&mut self, hash: u64, item: &str) -> Placed {
        let key = KeySpan { offset: self.arena.len() as u32, len: item.len() as u32 };
        self.arena.extend_from_slice(item.as_bytes());
        Placed { hash, key }
    }

    /// Adds an event to a lane.
    #[inline]
    pub fn push(&mut self, board: u32, group: &str, pane: Pane, item: Placed, weight: u32) {
        let lane = self.lane(board, group, pane);
        let lane = &mut self.lanes[lane as usize];
        lane.hashes.push(item.hash);
        lane.weights.push(weight);
        lane.keys.push(item.key);
    }

    #[inline]
    fn lane(&mut self, board: u32, group: &str, pane: Pane) -> u32 {
        if !group.is_empty() {
            return self.find(board, group, pane);
        }
        let slot = board as usize;
        if slot >= self.recent.len() {
            self.recent.resize(slot + 1, NONE);
        }
        let recent = self.recent[slot];
        if recent != NONE && self.lanes[recent as usize].pane == pane {
            return recent;
        }
        let lane = self.find(board, group, pane);
        self.recent[slot] = lane;
        lane
    }

    fn find(&mut self, board: u32, group: &str, pane: Pane) -> u32 {
        let hash = item_hash(group.as_bytes(), self.key.0 ^ pane ^ (u64::from(board) << 48));
        let lanes = &self.lanes;
        let same = |&(_, lane): &(u64, u32)| {
            let lane = &lanes[lane as usize];
            lane.pane == pane && lane.board == board && lane.group == group
        };
        if let Some(&(_, lane)) = self.index.find(hash, same) {
            return lane;
        }
        if self.used == self.lanes.len() {
            self.lanes.push(Lane::default());
        }
        self.lanes[self.used].reset(board, pane, group);
        let lane = self.used as u32;
        self.used += 1;
        self.index.insert_unique(hash, (hash, lane), |(hash, _)| *hash);
        lane
    }

    fn clear(&mut self) {
        self.halt = false;
        self.arena.clear();
        self.used = 0;
        self.index.clear();
        self.recent.clear();
    }
}

/// The batches of a worker that wait to be used again.
#[derive(Clone, Debug, Default)]
pub struct BatchPool(Rc<RefCell<Vec<EventBatch>>>);

/// More than a source emits in one turn.
const POOLED_BATCHES: usize = 16;
/// A batch that had more lanes than this (a flood of groups or of disorder) is not kept.
const POOLED_LANES: usize = 4096;

impl BatchPool {
    /// An empty batch for a partition.
    pub fn take(&self, partition: u32) -> EventBatch {
        let mut batch = self.0.borrow_mut().pop().unwrap_or_default();
        batch.clear();
        batch.partition = partition;
        batch
    }

    /// Gives a batch back.
    pub fn give(&self, batch: EventBatch) {
        let mut pool = self.0.borrow_mut();
        if pool.len() < POOLED_BATCHES && batch.lanes.len() <= POOLED_LANES {
            pool.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_board_group_and_pane_share_a_lane_in_log_order() {
        let pool = BatchPool::default();
        for _ in 0..2 {
            let mut batch = pool.take(3);
            for (n, (item, group, pane)) in
                [("a", "", 7), ("b", "", 8), ("c", "", 7), ("a", "region=IN", 7), ("b", "region=IN", 7)]
                    .iter()
                    .enumerate()
            {
                let placed = batch.place(n as u64, item);
                batch.push(1, group, *pane, placed, 1 + n as u32);
            }
            let lanes: Vec<_> = batch
                .lanes()
                .iter()
                .map(|lane| {
                    let events = batch.events(lane);
                    let key = |k: &KeySpan| &events.arena[k.offset as usize..(k.offset + k.len) as usize];
                    (
                        lane.group.as_str(),
                        lane.pane,
                        events.keys.iter().flat_map(key).copied().collect::<Vec<u8>>(),
                        lane.weight(),
                    )
                })
                .collect();
            assert_eq!(
                lanes,
                [("", 7, b"ac".to_vec(), 4), ("", 8, b"b".to_vec(), 2), ("region=IN", 7, b"ab".to_vec(), 9)]
            );
            pool.give(batch);
        }
    }
}
