//! How groups leave: what is in no window any more is forgotten, and its rankings with it.
//!
//! **Always holds**: a group is retired after its last ranking, an empty one, was published, or when it was shown in an
//! open pane and got no place when that was closed. A run that goes on from a state retires what a run without a break
//! does: its windows begin with those that were published last, and what is in none of these had left before; and it is
//! told which groups of the panes that were open then got no place.

use super::board::BoardWindows;
use super::group::Group;
use crest_connectors::snapshot::Retired;
use crest_state::pane::Pane;
use crest_state::pane::PaneDigests;
use crest_state::rest::REST;
use std::collections::BTreeMap;

impl BoardWindows {
    /// Forgets the groups that are in no window any more.
    pub(super) fn forget_idle(&mut self) {
        let left = |text: &String, group: &mut Group| {
            !text.is_empty() && group.windows.iter().all(|window| !window.live)
        };
        let left: Vec<String> = self.groups.extract_if(.., left).map(|(text, _)| text).collect();
        if self.exact.is_none() {
            // The rankings of exact boards are still to come.
            left.iter().for_each(|text| self.retire(text));
        }
    }

    /// The groups, and the whole board, of open panes that are to be shown, and the newest pane of each.
    pub(super) fn shows(&self, open: &[&PaneDigests]) -> BTreeMap<String, Pane> {
        let mut shown = BTreeMap::new();
        for pane in open {
            let texts = pane.groups.keys().filter(|text| *text != REST);
            shown.extend(texts.map(|text| (text.clone(), pane.pane)));
        }
        shown
    }

    /// Notes which groups were shown; those that are shown no longer, and in no window, leave.
    pub(super) fn note_shown(&mut self, shown: BTreeMap<String, Pane>) {
        let before = std::mem::replace(&mut self.in_open, shown);
        before.keys().for_each(|text| self.retire(text));
    }

    /// Lets go of the groups that were shown in open panes only, and got no place when these were closed.
    pub(super) fn retire_closed(&mut self) {
        let passed = self.frontier.unwrap_or(Pane::MAX);
        let closed: Vec<String> =
            self.in_open.extract_if(.., |_, pane| *pane < passed).map(|(text, _)| text).collect();
        closed.iter().for_each(|text| self.retire(text));
    }

    /// Tells the sink that a group has left, unless some window holds it or it is shown in an open pane.
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
