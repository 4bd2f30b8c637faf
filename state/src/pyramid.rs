//! The rollups of one board: digests of longer and longer blocks, built once as panes close.
//!
//! **In**: closed panes, in order, and how far time has passed. **Out**: of each block that time has passed, the digest
//! of every group that had an event in it; and of the block that is not complete, what it would be if nothing more came.
//! **Always holds**: a rollup is a function of the panes in its block alone, and of the width of the levels; it has at
//! most as many groups as its board may have: those of the greatest weight in it. (Of the blocks that windows are made of
//! these are all, since each lies in a window whole.)
//! **Costs**: a block's children are held until it is complete, at most 5 panes as they are, and 9 rollups of 1 min, 5
//! of 10 min and 23 of 1 h as they are stored, in some six bytes a row: some 6 MB where all of them have 8,192 rows, and
//! that for each group which has as many. Rolling up decodes each child once; so does a provisional ranking, but only
//! of the groups that are shown, of the levels below its window's, and once a pane.

use crate::levels::{Block, Levels};
use crate::pane::{EncodedGroups, Pane, PaneDigests};
use crate::rest::{of_group, roll_up_groups};
use crest_sketches::Digest;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// The digest of a block: that of its children, cut to as many rows as a pane keeps.
pub fn roll_up<'a>(children: impl IntoIterator<Item = &'a Digest>, rows: usize) -> Digest {
    Digest::merge(children).cut(rows)
}

/// See the module.
pub struct Pyramid {
    levels: Levels,
    rows: usize,
    /// Groups that a rollup has at most.
    limit: usize,
    seed: u64,
    /// By level, from panes to the last but one that is built: the children, in order, of the block above that is not
    /// complete.
    pending: Vec<Vec<Child>>,
    /// By group: what the blocks that are not complete would be, from level 1 on as far as was asked for.
    partials: HashMap<String, Vec<Option<Rc<Digest>>>>,
}

/// A complete block.
pub struct Rollup {
    /// Which one.
    pub block: Block,
    /// The digest of each group.
    pub groups: BTreeMap<String, Digest>,
    /// The same as they are stored.
    pub encoded: Rc<EncodedGroups>,
}

struct Child {
    block: Block,
    groups: Groups,
}

enum Groups {
    Pane(BTreeMap<String, Rc<Digest>>),
    Rollup(Rc<EncodedGroups>),
}

impl Pyramid {
    /// Of levels up to `top`, whose digests have at most so many rows, of items hashed with this seed, and of at most
    /// `limit` groups.
    pub fn new(levels: Levels, top: usize, rows: usize, seed: u64, limit: usize) -> Self {
        let pending = (0..top).map(|_| Vec::new()).collect();
        Pyramid { levels, rows, limit, seed, pending, partials: HashMap::new() }
    }

    /// Takes a closed pane, later than all before; blocks that end before it must be complete.
    pub fn add(&mut self, pane: PaneDigests) {
        self.hold(Block { level: 0, start: pane.pane }, Groups::Pane(pane.groups));
    }

    /// Takes a block that an earlier run has completed and of which the block above is not complete; those of a level
    /// in order.
    pub fn restore(&mut self, block: Block, groups: BTreeMap<String, Rc<Digest>>) {
        let groups = match block.level {
            0 => Groups::Pane(groups),
            _ => Groups::Rollup(Rc::new(encode(&groups, self.seed))),
        };
        self.hold(block, groups);
    }

    /// Completes the first block that ends at or before `to`, which time has passed; `None` when there is no such block
    /// that holds an event.
    pub fn complete_next(&mut self, to: Pane) -> Option<Rollup> {
        let parent = |child: &Child| self.levels.block(child.block.level + 1, child.block.start);
        let parents = self.pending.iter().filter_map(|children| children.first().map(parent));
        let due = parents.map(|parent| (self.levels.end(parent), parent)).filter(|(end, _)| *end <= to);
        let (_, block) = due.min()?;
        let pending = &mut self.pending[block.level - 1];
        let others =
            pending.partition_point(|child| self.levels.block(block.level, child.block.start) == block);
        let children: Vec<Child> = pending.drain(..others).collect();
        let texts: BTreeSet<&String> = children.iter().flat_map(|child| child.groups.texts()).collect();
        let child = |number: usize, text: &str| children[number].groups.get(text, self.seed);
        let groups = roll_up_groups(&texts, children.len(), child, self.rows, self.limit);
        let encoded = Rc::new(encode(&groups, self.seed));
        self.hold(block, Groups::Rollup(encoded.clone()));
        Some(Rollup { block, groups, encoded })
    }

    /// The first pane with an event that is in no block of this level yet, since none that holds it is complete.
    pub fn first_pending(&self, level: usize) -> Option<Pane> {
        let below = self.pending.iter().take(level);
        below.filter_map(|children| children.first()).map(|child| child.block.start).min()
    }

    /// What the rollup of a group over the block of this level that is not complete would be if nothing more came;
    /// `None` where there is nothing of the group, nor a rest, or the block begins before `from`.
    pub fn partial(&mut self, group: &str, level: usize, from: Pane) -> Option<Rc<Digest>> {
        let first = self.pending[..level].iter().flatten().next()?;
        if self.levels.block(level, first.block.start).start < from {
            return None;
        }
        let mut known = self.partials.remove(group).unwrap_or_default();
        while known.len() < level {
            let below = known.last().cloned().flatten();
            let children =
                self.pending[known.len()].iter().filter_map(|child| child.groups.of_group(group, self.seed));
            let children: Vec<_> = children.chain(below).collect();
            known.push(match &children[..] {
                [] => None,
                // No digest has more rows than a rollup.
                [only] => Some(only.clone()),
                _ => Some(Rc::new(roll_up(children.iter().map(Rc::as_ref), self.rows))),
            });
        }
        let partial = known[level - 1].clone();
        self.partials.insert(group.to_owned(), known);
        partial
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let pending = self.pending.iter().flatten().map(|child| child.groups.bytes());
        let partials = self.partials.values().flatten().flatten().map(|digest| digest.bytes());
        pending.chain(partials).sum()
    }

    fn hold(&mut self, block: Block, groups: Groups) {
        // What the blocks would be has changed.
        self.partials.clear();
        if let Some(pending) = self.pending.get_mut(block.level) {
            pending.push(Child { block, groups });
        }
    }
}

impl Groups {
    fn texts(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match self {
            Groups::Pane(groups) => Box::new(groups.keys()),
            Groups::Rollup(groups) => Box::new(groups.keys()),
        }
    }

    fn get(&self, text: &str, seed: u64) -> Option<Rc<Digest>> {
        match self {
            Groups::Pane(groups) => groups.get(text).cloned(),
            Groups::Rollup(groups) => groups.get(text).map(|bytes| decode(bytes, seed)),
        }
    }

    /// The group's, or else the rest.
    fn of_group(&self, text: &str, seed: u64) -> Option<Rc<Digest>> {
        match self {
            Groups::Pane(groups) => of_group(groups, text).cloned(),
            Groups::Rollup(groups) => of_group(groups, text).map(|bytes| decode(bytes, seed)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Groups::Pane(groups) => groups.iter().map(|(text, digest)| text.len() + digest.bytes()).sum(),
            Groups::Rollup(groups) => groups.iter().map(|(text, bytes)| text.len() + bytes.capacity()).sum(),
        }
    }
}

fn decode(bytes: &[u8], seed: u64) -> Rc<Digest> {
    let Ok(digest) = Digest::decode(bytes, seed) else {
        unreachable!("a digest that was encoded in this process, with the same seed")
    };
    Rc::new(digest)
}

fn encode<D: Borrow<Digest>>(groups: &BTreeMap<String, D>, seed: u64) -> EncodedGroups {
    let encode = |digest: &D| {
        let mut bytes = digest.borrow().encode(seed);
        bytes.shrink_to_fit();
        bytes
    };
    groups.iter().map(|(text, digest)| (text.clone(), encode(digest))).collect()
}

#[cfg(test)]
mod tests;
