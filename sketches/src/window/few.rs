//! The nodes of a window with few rows: each as it came, in one allocation, and a ranking merges them anew.
//!
//! Most groups of a board with thousands of them have a handful of rows in a pane. A running sum would keep an index, a
//! list of slots and an arena of keys for each; here a row takes its hash, its key and some three bytes.

use super::candidates::Sum;
use crate::bounds::Bounds;
use crate::codec::{put_varint, varint_len};
use crate::digest::{Digest, DigestRow};
use crate::packed::take_varint;

/// The most rows that the nodes have between them: a ranking sorts them all.
pub(crate) const MOST_ROWS: usize = 192;

/// Nodes by number, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct FewNodes {
    nodes: Vec<FewNode>,
    rows: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct FewNode {
    pub(crate) number: u64,
    pub(crate) total: u64,
    pub(crate) floor: u64,
    len: u32,
    /// Each row: its hash, its lower bound, its doubt, the length of its key, and the key.
    bytes: Box<[u8]>,
}

/// A row on its way into a ranking.
#[derive(Clone, Copy)]
pub(crate) struct FewRow<'a> {
    pub(crate) hash: u64,
    pub(crate) key: &'a [u8],
    pub(crate) sum: Sum,
}

impl FewNodes {
    /// Whether a digest fits beside the nodes.
    pub(crate) fn fits(&self, digest: &Digest) -> bool {
        self.rows + digest.rows().len() <= MOST_ROWS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.nodes.last().map(|node| node.number)
    }

    pub(crate) fn push(&mut self, number: u64, digest: &Digest) {
        let rows = digest.rows();
        let (total, floor, len) = (digest.total(), digest.floor(), rows.len());
        let numbers = |row: &DigestRow<'_>| [row.bounds.lower(), row.bounds.doubt(), row.key.len() as u64];
        let size =
            |row: DigestRow<'_>| 8 + numbers(&row).map(varint_len).iter().sum::<usize>() + row.key.len();
        let mut bytes = Vec::with_capacity(rows.clone().map(size).sum());
        for row in rows {
            bytes.extend_from_slice(&row.hash.to_le_bytes());
            numbers(&row).iter().for_each(|number| put_varint(&mut bytes, *number));
            bytes.extend_from_slice(row.key);
        }
        self.rows += len;
        self.nodes.push(FewNode { number, total, floor, len: len as u32, bytes: bytes.into() });
    }

    /// Takes out the nodes before the one numbered `before`, and returns their total and their floor.
    pub(crate) fn expire(&mut self, before: u64) -> (u64, u64) {
        let gone = self.nodes.partition_point(|node| node.number < before);
        let (mut total, mut floor) = (0, 0);
        for node in self.nodes.drain(..gone) {
            (total, floor) = (total + node.total, floor + node.floor);
            self.rows -= node.len as usize;
        }
        if self.nodes.is_empty() {
            self.nodes = Vec::new();
        }
        (total, floor)
    }

    /// The nodes from the one numbered `from` on.
    pub(crate) fn from(&self, from: u64) -> &[FewNode] {
        &self.nodes[self.nodes.partition_point(|node| node.number < from)..]
    }

    /// The total and the floor of the nodes before the one numbered `before`.
    pub(crate) fn before(&self, before: u64) -> (u64, u64) {
        let nodes = self.nodes.iter().take_while(|node| node.number < before);
        nodes.fold((0, 0), |(total, floor), node| (total + node.total, floor + node.floor))
    }

    /// Takes all nodes out.
    pub(crate) fn take(&mut self) -> Vec<FewNode> {
        std::mem::take(self).nodes
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let nodes = self.nodes.capacity() * size_of::<FewNode>();
        nodes + self.nodes.iter().map(|node| node.bytes.len()).sum::<usize>()
    }
}

impl FewNode {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The rows, by hash, then key.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u64, &[u8], Bounds)> {
        let mut rest = &*self.bytes;
        (0..self.len).map_while(move |_| {
            let (hash, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            let [lower, doubt, len] = [(); 3].map(|()| take_varint(&mut rest));
            let (key, after) = rest.split_at_checked(len as usize)?;
            rest = after;
            Some((u64::from_le_bytes(*hash), key, Bounds::new(lower, lower + doubt)))
        })
    }
}

impl<'a> FewRow<'a> {
    /// The row of a node of this floor.
    pub(crate) fn of(hash: u64, key: &'a [u8], bounds: Bounds, floor: u64) -> Self {
        FewRow { hash, key, sum: Sum::of(bounds, floor) }
    }
}

/// The sums over all rows of each item. The rows come as one sorted run after the other.
pub(crate) fn add_up(rows: &mut Vec<FewRow<'_>>) {
    // A stable sort merges the runs.
    rows.sort_by(|a, b| a.hash.cmp(&b.hash).then_with(|| a.key.cmp(b.key)));
    rows.dedup_by(|next, first| {
        let same = next.hash == first.hash && next.key == first.key;
        if same {
            first.sum += next.sum;
        }
        same
    });
}
