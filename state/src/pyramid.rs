//! Builds the rollups of one board, each once, as panes close.
//!
//! **In**: the closed panes, in order, and the frontier. **Out**: for each block that the frontier has passed, the
//! digests of all groups with an event in it; for a block that is not complete, its digest so far.
//!
//! **Always holds**: a rollup depends only on the panes of its block and on the widths of the levels. It has at most as
//! many groups as its board may have, those of the greatest weight. A block that a window is made of lies wholly in
//! that window, so it never has more.
//!
//! **Costs**: the blocks below a rollup are kept until it is complete. With panes of 10 s these are at most 5 panes as
//! they are, and 9 rollups of 1 min, 5 of 10 min and 23 of 1 h as they are stored, at some six bytes a row: some 6 MB
//! for each group where all of them have 8,192 rows. Building a rollup decodes each block below it once. A provisional
//! ranking does so too, but only for the groups that are shown and the levels below its window's, and once a pane.

use crate::levels::{Block, Levels};
use crate::pane::{EncodedGroups, Pane, PaneDigests};
use crate::rest::of_group;
use crate::rollup::{roll_up, roll_up_groups};
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// The rollups of one board that are under way.
pub struct Pyramid {
    levels: Levels,
    rows: usize,
    /// The most groups that a rollup has.
    limit: usize,
    seed: u64,
    /// For each level below the top, from panes on: the complete blocks, in order, whose rollup is not complete.
    pending: Vec<Vec<Child>>,
    /// For each group, from level 1 up to the highest that was requested: the digest so far of the incomplete block.
    partials: HashMap<GroupKey, Vec<Option<Rc<Digest>>>>,
}

/// A complete block.
pub struct Rollup {
    /// The block.
    pub block: Block,
    /// The digest of each group.
    pub groups: BTreeMap<GroupKey, Rc<Digest>>,
    /// The same digests as they are stored; none where nothing needs them so.
    pub encoded: Option<Rc<EncodedGroups>>,
}

struct Child {
    block: Block,
    groups: Groups,
}

enum Groups {
    Pane(BTreeMap<GroupKey, Rc<Digest>>),
    Rollup(Rc<EncodedGroups>),
}

impl Pyramid {
    /// A pyramid without blocks, which builds the levels up to `top`. A rollup has at most `limit` groups of at most
    /// `rows` rows, whose items are hashed with `seed`.
    pub fn new(levels: Levels, top: usize, rows: usize, seed: u64, limit: usize) -> Self {
        let pending = (0..top).map(|_| Vec::new()).collect();
        Pyramid { levels, rows, limit, seed, pending, partials: HashMap::new() }
    }

    /// Adds a closed pane, later than all before. Blocks that end before it must have been completed.
    pub fn add(&mut self, pane: PaneDigests) {
        self.hold(Block { level: 0, start: pane.pane }, Groups::Pane(pane.groups));
    }

    /// Adds a block that an earlier run has completed, and whose rollup is not complete. The blocks of a level are
    /// added in order.
    pub fn restore(&mut self, block: Block, groups: BTreeMap<GroupKey, Rc<Digest>>) {
        let groups = match block.level {
            0 => Groups::Pane(groups),
            _ => Groups::Rollup(Rc::new(encode(&groups, self.seed))),
        };
        self.hold(block, groups);
    }

    /// Completes and returns the first rollup that ends at or before the frontier `to`; `None` when no such block with
    /// an event is left.
    pub fn complete_next(&mut self, to: Pane) -> Option<Rollup> {
        let parent = |child: &Child| self.levels.block(child.block.level + 1, child.block.start);
        let parents = self.pending.iter().filter_map(|children| children.first().map(parent));
        let due = parents.map(|parent| (self.levels.end(parent), parent)).filter(|(end, _)| *end <= to);
        let (_, block) = due.min()?;
        let pending = &mut self.pending[block.level - 1];
        let others =
            pending.partition_point(|child| self.levels.block(block.level, child.block.start) == block);
        let children: Vec<Child> = pending.drain(..others).collect();
        let keys: BTreeSet<&GroupKey> = children.iter().flat_map(|child| child.groups.keys()).collect();
        let child = |number: usize, group: &GroupKey| children[number].groups.get(group, self.seed);
        let groups = roll_up_groups(&keys, children.len(), child, self.rows, self.limit);
        // Only a run with a state builds all levels, and stores what it builds.
        let is_stored = self.pending.len() + 1 == self.levels.count();
        let is_needed = is_stored || block.level < self.pending.len();
        let encoded = is_needed.then(|| Rc::new(encode(&groups, self.seed)));
        match &encoded {
            Some(encoded) => self.hold(block, Groups::Rollup(encoded.clone())),
            None => self.partials.clear(),
        }
        let groups = groups.into_iter().map(|(group, digest)| (group, Rc::new(digest))).collect();
        Some(Rollup { block, groups, encoded })
    }

    /// The first pane with an event whose block of this level is not complete.
    pub fn first_pending(&self, level: usize) -> Option<Pane> {
        let below = self.pending.iter().take(level);
        below.filter_map(|children| children.first()).map(|child| child.block.start).min()
    }

    /// The digest of a group over the incomplete block of this level, as if no more panes came; `None` where the block
    /// has neither the group nor a rest, or begins before `from`.
    pub fn partial(&mut self, group: &GroupKey, level: usize, from: Pane) -> Option<Rc<Digest>> {
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
                // A single digest needs no cut, since none has more rows than a rollup.
                [only] => Some(only.clone()),
                _ => Some(Rc::new(roll_up(children.iter().map(Rc::as_ref), self.rows))),
            });
        }
        let partial = known[level - 1].clone();
        self.partials.insert(group.clone(), known);
        partial
    }

    /// The memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let pending = self.pending.iter().flatten().map(|child| child.groups.bytes());
        let partials = self.partials.values().flatten().flatten().map(|digest| digest.bytes());
        pending.chain(partials).sum()
    }

    fn hold(&mut self, block: Block, groups: Groups) {
        // The digests of incomplete blocks have changed.
        self.partials.clear();
        if let Some(pending) = self.pending.get_mut(block.level) {
            pending.push(Child { block, groups });
        }
    }
}

impl Groups {
    fn keys(&self) -> Box<dyn Iterator<Item = &GroupKey> + '_> {
        match self {
            Groups::Pane(groups) => Box::new(groups.keys()),
            Groups::Rollup(groups) => Box::new(groups.keys()),
        }
    }

    fn get(&self, group: &GroupKey, seed: u64) -> Option<Rc<Digest>> {
        match self {
            Groups::Pane(groups) => groups.get(group).cloned(),
            Groups::Rollup(groups) => groups.get(group).map(|bytes| decode(bytes, seed)),
        }
    }

    /// The digest of a group, or else that of the rest.
    fn of_group(&self, group: &GroupKey, seed: u64) -> Option<Rc<Digest>> {
        match self {
            Groups::Pane(groups) => of_group(groups, group).cloned(),
            Groups::Rollup(groups) => of_group(groups, group).map(|bytes| decode(bytes, seed)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Groups::Pane(groups) => {
                groups.iter().map(|(group, digest)| group.as_str().len() + digest.bytes()).sum()
            }
            Groups::Rollup(groups) => {
                groups.iter().map(|(group, bytes)| group.as_str().len() + bytes.capacity()).sum()
            }
        }
    }
}

fn decode(bytes: &[u8], seed: u64) -> Rc<Digest> {
    let Ok(digest) = Digest::decode(bytes, seed) else {
        unreachable!("a digest that was encoded in this process, with the same seed")
    };
    Rc::new(digest)
}

fn encode<D: Borrow<Digest>>(groups: &BTreeMap<GroupKey, D>, seed: u64) -> EncodedGroups {
    let encode = |digest: &D| {
        let mut bytes = digest.borrow().encode(seed);
        bytes.shrink_to_fit();
        bytes
    };
    groups.iter().map(|(group, digest)| (group.clone(), encode(digest))).collect()
}

#[cfg(test)]
mod tests;
