//! What is shown of the open panes: each group, and what its rankings were made of.

use super::group::ShownOf;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use crest_state::pane::Pane;
use std::rc::Rc;

/// A group that is shown in open panes.
pub(super) struct InOpen {
    pub(super) key: GroupKey,
    /// The newest pane that lists it.
    pub(super) newest: Pane,
    /// Its digest in each of the panes, or the rest of one that does not list it.
    pub(super) digests: Vec<(Pane, Rc<Digest>)>,
    /// The same of what was removed of it.
    pub(super) removed: Vec<(Pane, Rc<Digest>)>,
    /// For each window, what its ranking was made of beside the digests; nothing while it is not ranked.
    pub(super) shown: Vec<Option<ShownOf>>,
}

impl InOpen {
    /// Takes over what the group's rankings were made of, if they would be made of the same digests now.
    pub(super) fn follow(&mut self, before: InOpen) {
        if are_same(&self.digests, &before.digests) && are_same(&self.removed, &before.removed) {
            self.shown = before.shown;
        }
    }
}

fn are_same(ours: &[(Pane, Rc<Digest>)], theirs: &[(Pane, Rc<Digest>)]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs))
}

/// Whether it is the digest that was there before. A rest is made anew each time.
fn is_same((pane, digest): &(Pane, Rc<Digest>), (before, digest_before): &(Pane, Rc<Digest>)) -> bool {
    let is_rest = digest.rows().len() == 0;
    pane == before && (Rc::ptr_eq(digest, digest_before) || (is_rest && digest == digest_before))
}
