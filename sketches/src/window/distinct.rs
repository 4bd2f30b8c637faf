//! The nodes of a window of different values. Such counts cannot be taken out again, so that a ranking merges what is in
//! the window; to make that little, nodes are merged beforehand.
//!
//! A *block* is all nodes whose numbers agree but for the last 16, and a block of blocks all whose numbers agree but for the
//! last 256. It is merged once, when its last node has come, and used where the window has all of its nodes: where there
//! is a node at its first number or before it, and one at its last or beyond. So what a ranking merges follows from the nodes in the
//! window, and a window that was rebuilt from its nodes is the same as one that slid there. A day of minutes is 5 blocks of
//! blocks, and at most 30 blocks and 30 nodes.
//!
//! **Memory.** A block is cut to 4,096 rows and 1 MiB, and a node to 256 KiB, the rows of least estimate first: those of
//! 1,440 nodes and their blocks take at most 460 MB, if they are full of users; a node of 1,024 rows with ten users each has
//! 120 KB. Rows of exact shapes are never cut, and take 8 bytes for each value.

use super::part::{Part, PartRow, Values};
use crate::bounds::Bounds;
use crate::digest::Digest;
use crate::parts::sum;
use crate::ranking::{Estimated, Ranking};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How many nodes are a block, and how many blocks are one again.
const BLOCK: u64 = 16;
/// The most rows of a block.
const BLOCK_ROWS: usize = 4096;
/// The most bytes of a block and of a node.
const BLOCK_BYTES: usize = 1 << 20;
const NODE_BYTES: usize = 1 << 18;

/// Nodes by number, oldest first, and the blocks that are complete.
#[derive(Clone, Debug, Default)]
pub(crate) struct DistinctNodes {
    nodes: VecDeque<Part>,
    /// Blocks of nodes, and of blocks.
    blocks: [VecDeque<Part>; 2],
}

/// What an item has in one of the digests that are ranked.
struct Held<'a> {
    row: PartRow<'a>,
    relief: u64,
}

impl<'a> Held<'a> {
    fn of(row: PartRow<'a>, floor: u64) -> Self {
        Held { relief: floor - row.counted.doubt(), row }
    }
}

impl DistinctNodes {
    /// Adds a node that comes after all others.
    pub(crate) fn push(&mut self, number: u64, digest: &Digest) {
        let before = self.last();
        self.nodes.push_back(within(number, digest, usize::MAX, NODE_BYTES));
        // The blocks that this node completes: that of the one before, where it is in another one, and its own, if it is the last there.
        let numbers = before.into_iter().chain([number]);
        for number in numbers {
            self.complete(number, 0);
            self.complete(number, 1);
        }
    }

    /// Merges the block around a number, if all of its nodes have come, and more than one.
    fn complete(&mut self, number: u64, level: usize) {
        let width = BLOCK.pow(level as u32 + 1);
        let start = number / width * width;
        let (Some(first), Some(last)) = (self.first(), self.last()) else { return };
        let is_there = self.blocks[level].back().is_some_and(|block| block.number >= start);
        if first > start || last - start < width - 1 || is_there {
            return;
        }
        let parts: Vec<_> =
            self.parts(start, level).into_iter().filter(|part| part.number - start < width).collect();
        if parts.len() > 1 {
            let digests: Vec<_> = parts.into_iter().map(Part::digest).collect();
            let block = within(start, &Digest::merge(&digests), BLOCK_ROWS, BLOCK_BYTES);
            self.blocks[level].push_back(block);
        }
    }

    /// Takes out all nodes before the one numbered `before`.
    pub(crate) fn expire(&mut self, before: u64) {
        while self.nodes.pop_front_if(|node| node.number < before).is_some() {}
        let first = self.first().unwrap_or(u64::MAX);
        for blocks in &mut self.blocks {
            while blocks.pop_front_if(|block| block.number < first).is_some() {}
        }
    }

    /// The number of the last node.
    pub(crate) fn last(&self) -> Option<u64> {
        self.nodes.back().map(|node| node.number)
    }

    fn first(&self) -> Option<u64> {
        self.nodes.front().map(|node| node.number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Total and floor.
    pub(crate) fn sums(&self) -> (u64, u64) {
        sums(&self.parts(0, 2))
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |parts: &VecDeque<Part>| {
            parts.capacity() * size_of::<Part>() + parts.iter().map(Part::bytes).sum::<usize>()
        };
        of(&self.nodes) + self.blocks.iter().map(of).sum::<usize>()
    }

    /// What `then` makes of the top `k` of the nodes from the one numbered `from` on, and of more digests.
    pub(crate) fn rank_with<R>(
        &self,
        from: u64,
        open: &[&Digest],
        k: usize,
        then: impl FnOnce(Ranking<&[u8]>) -> R,
    ) -> R {
        let parts = self.parts(from, 2);
        let (mut total, mut floor) = sums(&parts);
        for digest in open {
            (total, floor) = (sum(total, digest.total()), sum(floor, digest.floor()));
        }
        sum(total, floor);
        let rows = parts.iter().map(|part| part.len()).chain(open.iter().map(|digest| digest.rows().len()));
        let mut held = Vec::with_capacity(rows.sum());
        for part in &parts {
            held.extend(part.rows().map(|row| Held::of(row, part.floor)));
        }
        for digest in open {
            let row = |(hash, key, counted, set): (_, _, _, Option<_>)| {
                set.map(|set| PartRow { hash, key, counted, values: Values::Set(set) })
            };
            held.extend(digest.counted_rows().filter_map(row).map(|row| Held::of(row, digest.floor())));
        }
        then(rank(held, (total, floor), k))
    }

    /// What there is from the node numbered `from` on: blocks of levels below this one, as great as possible, and nodes.
    fn parts(&self, from: u64, levels: usize) -> Vec<&Part> {
        let nodes = self.nodes.partition_point(|node| node.number < from);
        let Some(first) = self.nodes.get(nodes).map(|node| node.number) else { return Vec::new() };
        let blocks = &self.blocks[..levels];
        let mut parts = Vec::new();
        // Whether a block beyond the first `level` levels has what begins at this number.
        let is_within = |number: u64, level: usize| {
            (level..levels).any(|level| {
                let width = BLOCK.pow(level as u32 + 1);
                let start = number / width * width;
                start >= first && blocks[level].binary_search_by_key(&start, |block| block.number).is_ok()
            })
        };
        for (level, blocks) in blocks.iter().enumerate().rev() {
            let of_window = blocks.range(blocks.partition_point(|block| block.number < first)..);
            parts.extend(of_window.filter(|block| !is_within(block.number, level + 1)));
        }
        parts.extend(self.nodes.range(nodes..).filter(|node| !is_within(node.number, 0)));
        parts
    }
}

fn sums(parts: &[&Part]) -> (u64, u64) {
    parts.iter().fold((0, 0), |(total, floor), part| (sum(total, part.total), sum(floor, part.floor)))
}

/// The digest cut to so many rows, and fewer if it is greater than so many bytes.
fn within(number: u64, digest: &Digest, mut rows: usize, bytes: usize) -> Part {
    if digest.is_exact_kind() {
        return Part::new(number, digest);
    }
    let mut part = Part::new(number, digest);
    let mut kept = digest.rows().len();
    while kept > rows || part.bytes() > bytes {
        // Those of greatest estimate have the most bytes, so that fewer rows take a greater share than theirs.
        let fit = (kept as u128 * bytes as u128 / (part.bytes().max(1)) as u128) as usize;
        kept = rows.min(fit).min(kept - 1);
        rows = kept;
        part = Part::new(number, &digest.clone().cut(kept));
    }
    part
}

/// The top `k` of items that have these rows. Of an item that cannot be among them, nor be the greatest of the others, the
/// values are not looked at.
fn rank<'a>(mut held: Vec<Held<'a>>, (total, floor): (u64, u64), k: usize) -> Ranking<&'a [u8]> {
    // One sorted run a digest, which a stable sort merges.
    held.sort_by(|a, b| a.row.hash.cmp(&b.row.hash).then_with(|| a.row.key.cmp(b.row.key)));
    let same = |a: &Held<'_>, b: &Held<'_>| a.row.hash == b.row.hash && a.row.key == b.row.key;
    let mut items: Vec<_> = held.chunk_by(same).map(|rows| (counted(rows, floor), rows)).collect();
    items.sort_unstable_by_key(|(counted, _)| Reverse(counted.upper()));

    let mut top: BinaryHeap<Reverse<(u64, &[u8], usize)>> = BinaryHeap::new();
    let mut outside = floor;
    let mut leading: Vec<Option<Estimated<'a>>> = Vec::new();
    for (counted, rows) in items {
        let least = top.peek().filter(|_| top.len() == k).map(|Reverse((estimate, ..))| *estimate);
        let may_rank = k > 0 && least.is_none_or(|least| counted.upper() >= least);
        if !may_rank && counted.upper() <= outside {
            break;
        }
        let (first, others) = (&rows[0].row, &rows[1..]);
        let mut values = first.values.to_set();
        others.iter().for_each(|other| values.union(&other.row.values.to_set()));
        let bounds = values.bounds(counted);
        let estimate = values.estimate_within(bounds);
        top.push(Reverse((estimate.count, first.key, leading.len())));
        leading.push(Some(Estimated { key: first.key, bounds, estimate }));
        if top.len() > k
            && let Some(Reverse((.., last))) = top.pop()
            && let Some(last) = leading[last].take()
        {
            outside = outside.max(last.bounds.upper());
        }
    }
    let ranking = Ranking::by_estimate(total, floor, leading.into_iter().flatten().collect(), k);
    Ranking { outside, ..ranking }
}

/// The pairs counted of an item with these rows, where the floors of all digests sum to `floor`.
fn counted(rows: &[Held<'_>], floor: u64) -> Bounds {
    let lower = rows.iter().map(|held| held.row.counted.lower()).sum::<u64>();
    let relief = rows.iter().map(|held| held.relief).sum::<u64>();
    Bounds::new(lower, lower + floor - relief)
}
