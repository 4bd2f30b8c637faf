//! What a board that retracts takes away: of each group, it is counted beside it, under the key that
//! [`GroupKey::removed`] names.
//!
//! **Always holds**: a block lists what is removed of a group only where it lists the group. Where it lists the group alone, nothing was
//! removed of it; where it does not list the group, what was counted and what was removed of it together are at most the
//! [rest](crate::rest). Where anything was removed of any group, the block lists what was removed of the whole board. So a block that
//! does not has removed nothing, and those of boards that do not retract cost one look.

use crate::digest_sum::DigestSum;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use std::collections::BTreeMap;

/// What a block has removed of its groups.
#[derive(Debug)]
pub struct RemovedIn<'a, D>(Option<&'a BTreeMap<GroupKey, D>>);

impl<'a, D> RemovedIn<'a, D> {
    /// Of the groups of a block.
    pub fn of(block: &'a BTreeMap<GroupKey, D>) -> Self {
        RemovedIn(Some(block).filter(|block| block.contains_key(&GroupKey::REMOVED_OF_WHOLE)))
    }

    /// Whether anything was removed.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// What was removed of a group that the block lists; `None` where nothing was.
    pub fn of_group(&self, group: &GroupKey) -> Option<&'a D> {
        self.0?.get(&group.removed())
    }
}

/// The sum of what blocks have of a group, and of what they have removed of it where its board retracts.
#[derive(Debug)]
pub(crate) struct LedgerSums {
    counted: DigestSum,
    removed: Option<DigestSum>,
}

impl LedgerSums {
    /// Of a group of a board that retracts, or does not.
    pub(crate) fn new(retracts: bool) -> Self {
        LedgerSums { counted: DigestSum::default(), removed: retracts.then(DigestSum::default) }
    }

    /// Whether the board retracts.
    pub(crate) fn retracts(&self) -> bool {
        self.removed.is_some()
    }

    /// Adds what was counted in a block.
    pub(crate) fn push(&mut self, counted: Digest) {
        self.counted.push(counted);
    }

    /// Adds what was removed in a block, where the board retracts.
    pub(crate) fn push_removed(&mut self, removed: Digest) {
        if let Some(sum) = &mut self.removed {
            sum.push(removed);
        }
    }

    /// Adds a block that does not list the group, which may have so much in it all the same.
    pub(crate) fn push_unseen(&mut self, weight: u64) {
        self.push(Digest::unseen(weight));
        self.push_removed(Digest::unseen(weight));
    }

    /// Adds what another state has of the group.
    pub(crate) fn add(&mut self, other: LedgerSums) {
        self.push(other.counted.whole());
        other.removed.into_iter().for_each(|removed| self.push_removed(removed.whole()));
    }

    /// What was counted, or of a board that retracts, what is left of it.
    pub(crate) fn whole(self) -> Digest {
        let counted = self.counted.whole();
        match self.removed {
            Some(removed) => counted.less(&removed.whole()),
            None => counted,
        }
    }
}
