//! Retires groups: a group that is in no window any more is forgotten, and the sink drops its rankings.
//!
//! **Always holds**: a group is retired after its last ranking, an empty one, was published, or when it was shown in an
//! open pane and got no place when that pane was closed. A run that resumes from a state retires the same groups as a run
//! without a break. Its windows begin with those that were published last, and a group in none of these was retired
//! before; and the merge reports which groups of the panes that were open at the break got no place.

use super::group::Group;
use super::set::WindowSet;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Retired;
use crest_state::pane::{Pane, PaneDigests};
use std::collections::BTreeMap;

impl WindowSet {
    /// Forgets the groups that are in no window any more, and returns them. They are retired after their last rankings.
    pub(super) fn forget_idle(&mut self) -> Vec<GroupKey> {
        let left = |key: &GroupKey, group: &mut Group| {
            !key.is_whole() && group.windows.iter().all(|window| !window.live)
        };
        self.groups.extract_if(.., left).map(|(key, _)| key).collect()
    }

    /// The groups of the open panes to show, with the whole board, each with the newest open pane that has it.
    pub(super) fn shows(&self, open: &[&PaneDigests]) -> BTreeMap<GroupKey, Pane> {
        let mut shown = BTreeMap::new();
        for pane in open {
            let groups = pane.groups.keys().filter(|group| !group.is_rest());
            shown.extend(groups.map(|group| (group.clone(), pane.pane)));
        }
        shown
    }

    /// Notes which groups are shown now. Retires those that are shown no longer and are in no window.
    pub(super) fn note_shown(&mut self, shown: BTreeMap<GroupKey, Pane>) {
        let before = std::mem::replace(&mut self.in_open, shown);
        before.keys().for_each(|group| self.retire(group));
    }

    /// Retires the groups that were shown only in open panes, and got no place when these were closed: all panes before
    /// `passed` are.
    pub(super) fn retire_closed(&mut self, passed: Pane) {
        let closed: Vec<GroupKey> =
            self.in_open.extract_if(.., |_, pane| *pane < passed).map(|(group, _)| group).collect();
        closed.iter().for_each(|group| self.retire(group));
    }

    /// Retires a group at the sink, unless some window holds it or it is shown in an open pane.
    pub(super) fn retire(&self, group: &GroupKey) {
        if group.is_whole() || self.groups.contains_key(group) || self.in_open.contains_key(group) {
            return;
        }
        self.job.sink.retire(&Retired {
            board: self.board.name.clone(),
            windows: self.board.windows.iter().map(|window| window.name.clone()).collect(),
            group: group.clone(),
            epoch: self.job.epoch,
        });
    }
}
