//! What a board that retracts takes away: of each group, it is counted beside it, under the key that
//! [`GroupKey::removed`] names.
//!
//! **Always holds**: a block lists what is removed of a group only where it lists the group. Where it lists the group alone, nothing was
//! removed of it; where it does not list the group, what was counted and what was removed of it together are at most the
//! [rest](crate::rest). Where anything was removed of any group, the block lists what was removed of the whole board. So a block that
//! does not has removed nothing, and those of boards that do not retract cost one look.

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

/// The union of digests of a group, less that of what was removed of it; of a board that retracts nothing, the union alone.
pub fn left_of(counted: &[Digest], removed: Option<&[Digest]>) -> Digest {
    let counted = Digest::merge(counted);
    match removed {
        Some(removed) => counted.less(&Digest::merge(removed)),
        None => counted,
    }
}
