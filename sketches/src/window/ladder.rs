//! How long each node of a window may be.
//!
//! The ladder's steps are lengths, each about half of the one before. A node *fits* a step if it and all nodes after
//! it have, cut to the step's length, at most [`CANDIDATES`] items between them. It is cut to the first step that it
//! fits, which depends on it and those after it alone, never on what has expired: a window that was rebuilt from its
//! nodes is the same as one that slid there.
//!
//! Whether nodes fit is kept up to date as they come: for each step, in which node an item is last, and for each node,
//! of how many items it is the last. A new node takes a look at each of its rows on each step that is in use, instead
//! of one at all rows of the window.

use std::collections::VecDeque;
use std::ops::Range;

/// The most items that a node and those after it have between them before it is cut.
pub(crate) const CANDIDATES: usize = 1 << 15;

/// The length of a step; the first cuts nothing.
pub(crate) fn length_at(step: usize) -> usize {
    if step == 0 { usize::MAX } else { 8192usize.checked_shr(step as u32).unwrap_or(0) }
}

/// The steps that are in use: none while all nodes fit the first. Nodes are counted from the first that there ever
/// was, items are called by their slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    length: usize,
    /// The nodes that fit, to the latest.
    nodes: Range<u32>,
    /// Items that they have between them.
    distinct: usize,
    /// For each slot, one more than the last node to have its item; of no meaning if that is none of `nodes`.
    last: Vec<u32>,
    /// For each of `nodes`, of how many items it is the last.
    fresh: VecDeque<u32>,
}

impl Ladder {
    /// Whether no step is in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many steps are in use.
    pub(crate) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Stops using any step: all nodes fit the first one, by far.
    pub(crate) fn clear(&mut self) {
        self.steps = Vec::new();
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |step: &Step| step.last.capacity() + step.fresh.capacity();
        size_of::<u32>() * self.steps.iter().map(bytes).sum::<usize>()
    }

    /// Takes note of the latest node, whose items are in these slots, by rank.
    pub(crate) fn push(&mut self, slots: &[u32]) {
        for step in &mut self.steps {
            step.push(slots);
            step.fit();
        }
    }

    /// Takes note that the nodes before `first` are gone.
    pub(crate) fn expire(&mut self, first: u32) {
        for step in &mut self.steps {
            while step.nodes.start < first.min(step.nodes.end) {
                step.drop_first();
            }
        }
    }

    /// Takes another step, since not all nodes fit those in use. `nodes` are the latest ones, latest first, that were
    /// never cut to a later step: the number of each, and its slots by rank.
    pub(crate) fn extend<I: Iterator<Item = u32>>(&mut self, end: u32, nodes: impl Iterator<Item = I>) {
        let length = length_at(self.steps.len());
        let mut step =
            Step { length, nodes: end..end, distinct: 0, last: Vec::new(), fresh: VecDeque::new() };
        for slots in nodes {
            step.push_oldest(slots);
            if step.distinct > CANDIDATES {
                break;
            }
        }
        step.fit();
        self.steps.push(step);
    }

    /// The first node that fits a step in use.
    pub(crate) fn first_that_fits(&self) -> Option<u32> {
        self.steps.last().map(|step| step.nodes.start)
    }

    /// The first step in use that the node fits.
    pub(crate) fn step_of(&self, node: u32) -> usize {
        self.steps.partition_point(|step| step.nodes.start > node)
    }
}

impl Step {
    /// Adds a node after all others.
    fn push(&mut self, slots: &[u32]) {
        let node = self.nodes.end;
        let mut fresh = 0;
        for &slot in slots.iter().take(self.length) {
            match self.last_of(slot) {
                Some(before) => self.fresh[before] -= 1,
                None => self.distinct += 1,
            }
            self.last[slot as usize] = node + 1;
            fresh += 1;
        }
        self.fresh.push_back(fresh);
        self.nodes.end += 1;
    }

    /// Adds a node before all others.
    fn push_oldest(&mut self, slots: impl Iterator<Item = u32>) {
        let node = self.nodes.start - 1;
        let mut fresh = 0;
        for slot in slots.take(self.length) {
            if self.last_of(slot).is_none() {
                self.last[slot as usize] = node + 1;
                fresh += 1;
            }
        }
        self.fresh.push_front(fresh);
        self.distinct += fresh as usize;
        self.nodes.start = node;
    }

    /// Drops the oldest nodes until the others fit.
    fn fit(&mut self) {
        while self.distinct > CANDIDATES {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        self.distinct -= self.fresh.pop_front().map_or(0, |fresh| fresh as usize);
        self.nodes.start += 1;
    }

    /// Which of the nodes is the last to have the item of a slot.
    fn last_of(&mut self, slot: u32) -> Option<usize> {
        let slot = slot as usize;
        if slot >= self.last.len() {
            self.last.resize(slot + 1, 0);
        }
        let last = self.last[slot];
        (last > self.nodes.start).then(|| (last - self.nodes.start - 1) as usize)
    }
}
