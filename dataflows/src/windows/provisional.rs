//! Provisional snapshots: the windows as they are now, with the panes that are still open.

use super::board::BoardWindows;
use super::group::Group;
use crest_connectors::wall_clock::wall_clock_ms;
use crest_sketches::Digest;
use crest_state::pane::Pane;
use crest_state::pane::PaneDigests;
use crest_state::rest::of_group;
use std::rc::Rc;
use std::sync::Arc;

impl BoardWindows {
    /// Publishes the provisional snapshots of the groups that the open panes hold, for each window at the end that
    /// follows the newest pane shown. Panes ahead of the [present](Self::present) are not shown. Panes that are closed but
    /// not durable yet count as open.
    pub(super) fn publish_provisionals(&mut self, panes: &[Rc<PaneDigests>]) {
        let passed = self.frontier.unwrap_or(Pane::MAX);
        let waits = |pane: &PaneDigests| self.waiting.contains_key(&pane.pane);
        let present = self.present();
        let shown = panes
            .iter()
            .map(Rc::as_ref)
            .filter(|pane| (passed..=present).contains(&pane.pane) && !waits(pane));
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

    /// The last pane that is shown. The present of a live stream is the later of this machine's clock and the time that
    /// the watermarks have reached. Events that are ahead of it count in their own panes, and a window that ends there
    /// would no longer show what is popular now.
    fn present(&self) -> Pane {
        if self.bounded {
            return Pane::MAX;
        }
        let newest = self
            .job
            .view
            .with_workers(|workers| workers.iter().flatten().filter_map(|(_, status)| status.newest).max());
        let by_events = newest.map_or(i64::MIN, |watermark| self.clock.newest_at(watermark));
        self.clock.pane(wall_clock_ms().max(by_events))
    }
}
