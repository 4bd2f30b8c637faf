//! Retires groups: a group that is in no window any more is forgotten, and the sink drops its rankings.
//!
//! **Always holds**: a group is retired after its last ranking, an empty one, was published, or when it was shown in an
//! open pane and got no place when that pane was closed. A run that resumes from a state retires the same groups as a run
//! without a break. Its windows begin with those that were published last, and a group in none of these was retired
//! before; and the merge reports which groups of the panes that were open at the break got no place.

use super::group::Group;
use super::set::WindowSet;
use crest_connectors::snapshot::Retired;
use crest_state::pane::{Pane, PaneDigests};
use crest_state::rest::REST;
use std::collections::BTreeMap;

impl WindowSet {
    /// Forgets the groups that are in no window any more, and returns them. They are retired after their last rankings.
    pub(super) fn forget_idle(&mut self) -> Vec<String> {
        let left = |text: &String, group: &mut Group| {
            !text.is_empty() && group.windows.iter().all(|window| !window.live)
        };
        self.groups.extract_if(.., left).map(|(text, _)| text).collect()
    }

    /// The groups of the open panes to show, with the whole board, each with the newest open pane that has it.
    pub(super) fn shows(&self, open: &[&PaneDigests]) -> BTreeMap<String, Pane> {
        let mut shown = BTreeMap::new();
        for pane in open {
            let texts = pane.groups.keys().filter(|text| *text != REST);
            shown.extend(texts.map(|text| (text.clone(), pane.pane)));
        }
        shown
    }

    /// Notes which groups are shown now. Retires those that are shown no longer and are in no window.
    pub(super) fn note_shown(&mut self, shown: BTreeMap<String, Pane>) {
        let before = std::mem::replace(&mut self.in_open, shown);
        before.keys().for_each(|text| self.retire(text));
    }

    /// Retires the groups that were shown only in open panes, and got no place when these were closed: all panes before
    /// `passed` are.
    pub(super) fn retire_closed(&mut self, passed: Pane) {
        let closed: Vec<String> =
            self.in_open.extract_if(.., |_, pane| *pane < passed).map(|(text, _)| text).collect();
        closed.iter().for_each(|text| self.retire(text));
    }

    /// Retires a group at the sink, unless some window holds it or it is shown in an open pane.
    pub(super) fn retire(&self, text: &str) {
        if text.is_empty() || self.groups.contains_key(text) || self.in_open.contains_key(text) {
            return;
        }
        self.job.sink.retire(&Retired {
            board: self.board.name.clone(),
            windows: self.board.windows.iter().map(|window| window.name.clone()).collect(),
            group: Group::new(text, 0).values,
            epoch: self.job.epoch,
        });
    }
}
