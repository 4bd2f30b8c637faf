//! The running sum of a window's nodes: an index of the candidates, and what each node adds to them.

use super::candidates::{Candidates, Sum};
use super::few::{FewNode, FewRow};
use super::ladder::{CANDIDATES, Ladder, length_at};
use crate::bounds::Bounds;
use crate::digest::Digest;
use crate::packed::{PackedRow, PackedRows};
use crate::ranking::{Candidate, Ranking, key_start};
use std::cmp::Reverse;
use std::collections::VecDeque;

/// The running sum of nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    /// By number, so that the oldest are first; their steps never rise along the way.
    nodes: VecDeque<Node>,
    /// How many nodes there were before these.
    first: u32,
    ladder: Ladder,
    candidates: Candidates,
    total: u64,
    floor: u64,
}

#[derive(Clone, Debug)]
struct Node {
    number: u64,
    total: u64,
    floor: u64,
    /// Of the ladder, that it is cut to.
    step: u8,
    /// Whether rows of equal upper bounds are in the order of their keys, too, as those that are cut must be.
    is_in_order: bool,
    rows: PackedRows,
}

/// The candidates of a window and of open panes. They are called by their slots, and by the numbers that follow.
pub(crate) struct WithOpen<'a> {
    candidates: &'a Candidates,
    /// Of all of them; those that no node has are of no one.
    pub(crate) sums: Vec<Sum>,
    /// How many slots there are.
    held: usize,
    /// Those who are in open panes only: their hashes and keys.
    new: Vec<(u64, &'a [u8])>,
}

impl<'a> WithOpen<'a> {
    /// Those that some node has, with their sums.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, &Sum)> {
        (0..).zip(&self.sums).filter(|(_, sum)| sum.nodes > 0)
    }

    pub(crate) fn key(&self, id: u32) -> &'a [u8] {
        match (id as usize).checked_sub(self.held) {
            None => self.candidates.key(id),
            Some(new) => self.new[new].1,
        }
    }

    pub(crate) fn hash(&self, id: u32) -> u64 {
        match (id as usize).checked_sub(self.held) {
            None => self.candidates.hash(id),
            Some(new) => self.new[new].0,
        }
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is_new = || self.new.binary_search(&(hash, key)).ok().map(|at| (self.held + at) as u32);
        self.candidates.find(hash, key).or_else(is_new)
    }
}

impl Running {
    /// Adds a node that comes after all others.
    pub(crate) fn push(&mut self, number: u64, digest: &Digest) {
        let rows = digest.rows().map(|row| (row.hash, row.key, row.bounds));
        self.add(number, digest.total(), digest.floor(), rows);
    }

    /// Adds a node that was among few.
    pub(crate) fn push_few(&mut self, node: &FewNode) {
        self.add(node.number, node.total, node.floor, node.rows());
    }

    fn add<'a>(
        &mut self,
        number: u64,
        total: u64,
        floor: u64,
        rows: impl Iterator<Item = (u64, &'a [u8], Bounds)>,
    ) {
        // Many rows are equal, and to compare their keys takes time. Where nothing is cut, nobody asks for that.
        let is_in_order = !self.ladder.is_empty();
        let mut slot = |(hash, key, bounds): (u64, &[u8], Bounds)| {
            let slot = self.candidates.slot(hash, key);
            self.candidates.add(slot, Sum::of(bounds, floor));
            PackedRow { slot, bounds }
        };
        let rows = if is_in_order {
            let rows = in_order(rows.map(|row| (key_start(row.1), slot(row))).collect(), &self.candidates);
            self.ladder.push(&rows.iter().map(|row| row.slot).collect::<Vec<_>>());
            rows
        } else {
            let mut rows: Vec<_> = rows.map(slot).collect();
            rows.sort_unstable_by_key(|row| Reverse(row.bounds.upper()));
            rows
        };
        let rows = PackedRows::new(rows.into_iter());
        self.nodes.push_back(Node { number, total, floor, step: 0, is_in_order, rows });
        self.total += total;
        self.floor += floor;
        if !self.ladder.is_empty() || self.candidates.len() > CANDIDATES {
            self.thin();
        }
    }

    /// Takes out all nodes before the one numbered `before`.
    pub(crate) fn expire(&mut self, before: u64) {
        while let Some(node) = self.nodes.pop_front_if(|node| node.number < before) {
            for row in node.rows.iter() {
                self.candidates.take(row.slot, Sum::of(row.bounds, node.floor));
            }
            self.total -= node.total;
            self.floor -= node.floor;
            self.first += 1;
        }
        self.ladder.expire(self.first);
        if self.candidates.len() < CANDIDATES / 2 {
            self.ladder.clear();
        }
        self.candidates.compact();
    }

    /// The number of the last node.
    pub(crate) fn last(&self) -> Option<u64> {
        self.nodes.back().map(|node| node.number)
    }

    /// Whether it holds no node.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The weight in the window.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// An item that is no candidate has at most this weight.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let nodes = self.nodes.capacity() * size_of::<Node>();
        nodes
            + self.ladder.bytes()
            + self.nodes.iter().map(|node| node.rows.bytes()).sum::<usize>()
            + self.candidates.bytes()
    }

    /// The top `k`.
    pub(crate) fn rank(&self, k: usize) -> Ranking<&[u8]> {
        let candidates =
            self.candidates.iter().map(|(id, sum)| Candidate { upper: sum.upper(self.floor), id });
        let key = |slot| self.candidates.key(slot);
        Ranking::new(self.total, self.floor, candidates, k, key, |slot| self.candidates.sum(slot).lower)
    }

    /// The total and the floor of the nodes before the one numbered `before`.
    pub(crate) fn before(&self, before: u64) -> (u64, u64) {
        let nodes = self.nodes.iter().take_while(|node| node.number < before);
        nodes.fold((0, 0), |(total, floor), node| (total + node.total, floor + node.floor))
    }

    /// The top `k` without the nodes before the one numbered `from`, and with rows of open panes, each of another item.
    /// All together have this total and this floor.
    pub(crate) fn rank_provisional<'a>(
        &'a self,
        from: u64,
        open: &[FewRow<'a>],
        (total, floor): (u64, u64),
        k: usize,
    ) -> Ranking<&'a [u8]> {
        let all = self.with_open(from, open);
        let candidates = all.live().map(|(id, sum)| Candidate { upper: sum.upper(floor), id });
        Ranking::new(total, floor, candidates, k, |id| all.key(id), |id| all.sums[id as usize].lower)
    }

    /// The candidates without the nodes before the one numbered `from`, and with rows of open panes, each of another item.
    pub(crate) fn with_open<'a>(&'a self, from: u64, open: &[FewRow<'a>]) -> WithOpen<'a> {
        let mut sums = self.candidates.sums();
        for node in self.nodes.iter().take_while(|node| node.number < from) {
            for row in node.rows.iter() {
                sums[row.slot as usize] -= Sum::of(row.bounds, node.floor);
            }
        }
        let (held, mut new) = (sums.len(), Vec::new());
        for row in open {
            match self.candidates.find(row.hash, row.key) {
                Some(slot) => sums[slot as usize] += row.sum,
                None => {
                    sums.push(row.sum);
                    new.push((row.hash, row.key));
                }
            }
        }
        WithOpen { candidates: &self.candidates, sums, held, new }
    }

    /// Cuts every node to the first step of the ladder that it fits.
    fn thin(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.is_in_order) {
            let started = node.rows.iter().map(|row| (key_start(self.candidates.key(row.slot)), row));
            let rows = in_order(started.collect(), &self.candidates);
            (node.rows, node.is_in_order) = (PackedRows::new(rows.into_iter()), true);
        }
        let end = self.first + self.nodes.len() as u32;
        while self.ladder.first_that_fits().is_none_or(|fits| fits > self.first) {
            // Who was cut to a later step did not fit this one, and never will.
            let step = self.ladder.steps() as u8;
            let whole = self.nodes.iter().rev().take_while(|node| node.step <= step);
            self.ladder.extend(end, whole.map(|node| node.rows.iter().map(|row| row.slot)));
        }
        for index in 0..self.nodes.len() {
            let step = self.ladder.step_of(self.first + index as u32) as u8;
            if step == 0 {
                break;
            }
            if step > self.nodes[index].step {
                self.cut(index, step);
            }
        }
        self.candidates.compact();
    }

    /// Cuts a node to a step of the ladder.
    fn cut(&mut self, index: usize, step: u8) {
        let node = &mut self.nodes[index];
        node.step = step;
        let length = length_at(step.into());
        let Some(dropped) = node.rows.iter().nth(length) else { return };
        let floor = node.floor.max(dropped.bounds.upper());
        for (place, row) in node.rows.iter().enumerate() {
            if place < length {
                self.candidates.add(row.slot, Sum::of(row.bounds, floor));
            }
            self.candidates.take(row.slot, Sum::of(row.bounds, node.floor));
        }
        self.floor += floor - node.floor;
        node.floor = floor;
        let kept: Vec<_> = node.rows.iter().take(length).collect();
        node.rows = PackedRows::new(kept.into_iter());
    }
}

/// These rows by upper bound, and by key where these are equal, greatest first. Each has the start of its key with it.
fn in_order(mut rows: Vec<(u128, PackedRow)>, candidates: &Candidates) -> Vec<PackedRow> {
    rows.sort_unstable_by(|(a_start, a), (b_start, b)| {
        let by_start = (b.bounds.upper(), b_start).cmp(&(a.bounds.upper(), a_start));
        by_start.then_with(|| candidates.key(b.slot).cmp(candidates.key(a.slot)))
    });
    rows.into_iter().map(|(_, row)| row).collect()
}
