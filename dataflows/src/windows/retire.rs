//! Retires groups: a group that is in no window any more is forgotten, and the sink drops its rankings.
//!
//! **Always holds**: a group is retired after its last ranking, an empty one, was published, or when it was shown in an
//! open pane and got no place when that pane was closed. A run that resumes from a state retires the same groups as a run
//! without a break. Its windows begin with those that were published last, and a group in none of these was retired
//! before; and the merge reports which groups of the panes that were open at the break got no place.

use super::in_open::InOpen;
use super::set::WindowSet;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Retired;
use crest_state::pane::{Pane, PaneDigests};
use crest_state::rest::of_group;

impl WindowSet {
    /// Forgets the groups that are in no window any more, and returns them. They are retired after their last rankings.
    pub(super) fn forget_idle(&mut self) -> Vec<GroupKey> {
        self.groups.remove(|group| !group.key.is_whole() && group.windows.iter().all(|window| !window.live))
    }

    /// Makes the groups of the open panes, with the whole board, those that are shown. Retires those that are shown no
    /// longer and are in no window.
    pub(super) fn show(&mut self, open: &[&PaneDigests]) {
        let mut keys: Vec<&GroupKey> = open.iter().flat_map(|pane| pane.groups.keys()).collect();
        // One sorted run a pane.
        keys.sort();
        keys.dedup();
        let (windows, retracts) = (self.spans.len(), self.board.retracts());
        let of = |key: &GroupKey| {
            let digests =
                open.iter().filter_map(|pane| Some((pane.pane, of_group(&pane.groups, key)?.clone())));
            digests.collect()
        };
        let in_open = |key: &GroupKey| InOpen {
            key: key.clone(),
            newest: open.iter().rfind(|pane| pane.groups.contains_key(key)).map_or(0, |pane| pane.pane),
            digests: of(key),
            removed: if retracts { of(&key.removed()) } else { Vec::new() },
            shown: vec![None; windows],
        };
        let shown = keys.into_iter().filter(|key| key.is_group()).map(in_open).collect();
        let before = std::mem::replace(&mut self.in_open, shown);
        let mut at = 0;
        for before in before {
            while self.in_open.get(at).is_some_and(|shown| shown.key < before.key) {
                at += 1;
            }
            match self.in_open.get_mut(at).filter(|shown| shown.key == before.key) {
                Some(shown) => shown.follow(before),
                None => self.retire(&before.key),
            }
        }
    }

    /// Retires the groups that were shown only in open panes, and got no place when these were closed: all panes before
    /// `passed` are.
    pub(super) fn retire_closed(&mut self, passed: Pane) {
        let closed = self.in_open.extract_if(.., |shown| shown.newest < passed);
        let closed: Vec<GroupKey> = closed.map(|shown| shown.key).collect();
        closed.iter().for_each(|key| self.retire(key));
    }

    /// Retires a group at the sink, unless some window holds it or it is shown in an open pane.
    pub(super) fn retire(&self, key: &GroupKey) {
        let is_shown = || self.in_open.binary_search_by(|shown| shown.key.cmp(key)).is_ok();
        if key.is_whole() || self.groups.contains(key) || is_shown() {
            return;
        }
        self.job.sink.retire(&Retired {
            board: self.board.name.clone(),
            windows: self.board.windows.iter().map(|window| window.name.clone()).collect(),
            group: key.clone(),
            epoch: self.job.epoch,
        });
    }
}
