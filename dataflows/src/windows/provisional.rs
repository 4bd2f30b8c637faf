//! Provisional snapshots: what the windows are now, with the panes that are still counting.

use super::board::BoardWindows;
use super::group::Group;
use crate::event_time::Pane;
use crate::merge::PaneDigests;
use crate::rest::of_group;
use crest_sketches::Digest;
use std::rc::Rc;
use std::sync::Arc;

impl BoardWindows {
    /// Publishes, of each window, the one that the newest open pane falls in, for the groups that the open
    /// panes hold. Panes that are closed and not durable yet are as good as open.
    pub(super) fn publish_provisionals(&mut self, panes: &[Rc<PaneDigests>]) {
        let passed = self.frontier.unwrap_or(Pane::MAX);
        let waits = |pane: &PaneDigests| self.waiting.contains_key(&pane.pane);
        let shown = panes.iter().map(Rc::as_ref).filter(|pane| pane.pane >= passed && !waits(pane));
        let mut open: Vec<&PaneDigests> = self.waiting.values().chain(shown).collect();
        open.sort_by_key(|pane| pane.pane);
        let Some(newest) = open.last().map(|pane| pane.pane) else { return };
        if self.exact.is_some() {
            let open: Vec<PaneDigests> = open.into_iter().cloned().collect();
            return self.show_exactly(&open, newest, passed);
        }
        let watermark = self.clock.start(passed);
        let groups = self.shows(&open);
        let mut published = 0;
        for (index, span) in self.windows.iter().enumerate() {
            let end = span.end_from(newest + 1);
            let start = end.saturating_sub(span.size);
            for text in groups.keys() {
                let fresh = Group::new(text, self.windows.len());
                let group = self.groups.get(text).unwrap_or(&fresh);
                let state = &group.windows[index];
                let partial = self.pyramid.partial(text, span.level, start);
                let current = open.iter().filter(|pane| pane.pane >= start);
                let current = current.filter_map(|pane| of_group(&pane.groups, text));
                let extra: Vec<&Digest> = partial.iter().chain(current).map(Rc::as_ref).collect();
                let rests = &self.rests[index];
                let ranking = state.rank_provisional(start, &extra, self.board.k, span, rests);
                let snapshot = self.publisher(span, end).snapshot(
                    &group.values,
                    ranking,
                    &state.ranks,
                    watermark,
                    false,
                );
                self.job.sink.publish(&Arc::new(snapshot));
                published += 1;
            }
        }
        self.job.view.update_board(&self.board.name, |counts| counts.provisionals += published);
        self.note_shown(groups);
    }
}
