//! The windows of an exact board: they have the same ends and panes as sketched ones, and the differential graph ranks
//! them.
//!
//! **Always holds**: finals come in the order of the windows' ends, each once its round is complete. Provisional rankings
//! are exact too: they are windows of their own, made of the closed panes and of the open ones as they are now. They are
//! requested only when no other ranking is under way, and take a quarter of the time at most.

use super::board::BoardWindows;
use super::group::Group;
use super::rank_requests::RankRequests;
use crate::exact::{Ranked, View};
use crest_state::pane::Pane;
use crest_state::pane::PaneDigests;
use std::sync::Arc;
use timely::scheduling::Activator;

impl BoardWindows {
    /// Makes the windows' operator run when rankings come.
    pub(super) fn wake(&self, activator: &impl Fn() -> Activator) {
        self.exact.iter().for_each(|exact| exact.ranks.wake(activator()));
    }

    /// Whether the board can only wait, for rankings or for the audit's queries.
    pub(super) fn is_waiting(&self) -> bool {
        let waits = |exact: &RankRequests| !exact.ranks.is_settled();
        self.exact.as_ref().is_some_and(waits) || self.job.audit.is_some()
    }

    /// Sends off the requests that are not under way yet. Returns whether all requested rankings have come.
    pub(super) fn is_settled(&mut self) -> bool {
        self.exact.as_mut().is_none_or(|exact| {
            exact.ranks.flush();
            exact.ranks.is_settled()
        })
    }

    /// Whether there are open panes to be shown now.
    pub(super) fn may_show(&self) -> bool {
        self.shown.is_some() && self.exact.as_ref().is_none_or(RankRequests::may_show)
    }

    /// Whether there are open panes to be shown later.
    pub(super) fn shows_later(&self) -> bool {
        self.shown.is_some() && !self.finished
    }

    /// Whether the window can be ranked at this end. On an exact board that is so when not too many rankings are under
    /// way, and the audit, if there is one, knows what to query. On a sketched board it is always so.
    pub(super) fn may_rank(&mut self, window: usize, end: Pane) -> bool {
        let Some(exact) = &mut self.exact else { return true };
        if exact.ranks.is_full() {
            return false;
        }
        let (Some(probe), false) = (&self.job.audit, end <= self.resume_point.published) else {
            return true;
        };
        let (name, end) = (&self.windows[window].spec.name, self.clock.start(end));
        let is_known = |text: &String| probe.queries(&self.board.name, name, text, end).is_some();
        self.groups.iter().filter(|due| is_due(window, due)).all(|(text, _)| is_known(text))
    }

    /// Counts a closed pane in the graph.
    pub(super) fn count_exactly(&mut self, pane: &PaneDigests) {
        let Some(exact) = &mut self.exact else { return };
        exact.count_for_good(pane);
        for (window, span) in self.windows.iter().enumerate().filter(|(_, span)| span.from <= pane.pane) {
            debug_assert_eq!(span.level, 0);
            exact.ranks.enter(window, pane.pane);
        }
    }

    /// Requests the final ranking of a window at an end.
    pub(super) fn rank_exactly(&mut self, window: usize, end: Pane) {
        let Some(exact) = &mut self.exact else { return };
        exact.ranks.open(window);
        let span = &self.windows[window];
        let (mut groups, mut queried) = (Vec::new(), Vec::new());
        for (text, group) in self.groups.iter_mut().filter(|(text, group)| is_due(window, &(*text, group))) {
            group.windows[window].live = exact.ranks.holds(window, text);
            groups.push((text.clone(), group.values.clone()));
            if let Some(probe) = &self.job.audit {
                let items = probe.queries(&self.board.name, &span.spec.name, text, self.clock.start(end));
                queried.push(items.unwrap_or_default());
            }
        }
        let from = (end + span.slide).saturating_sub(span.size);
        exact.ranks.rank_final(View { window, end, provisional: None, groups, queried }, from);
        self.forget_idle();
    }

    /// Publishes the rankings that have come.
    pub(super) fn settle(&mut self) {
        while let Some(ranked) = self.exact.as_mut().and_then(|exact| exact.ranks.next_ranked()) {
            self.publish_ranked(ranked);
        }
    }

    fn publish_ranked(&mut self, ranked: Ranked) {
        let Ranked { view, rankings, answers } = ranked;
        let Some(mut exact) = self.exact.take() else { return };
        let is_final = view.provisional.is_none();
        let watermark = view.provisional.unwrap_or_else(|| self.clock.start(view.end));
        let publisher = self.publisher(&self.windows[view.window], view.end);
        let (is_news, silent) =
            (!is_final || view.end > self.resume_point.published, is_final && self.silent);
        let (mut published, mut answers) = (0, answers.into_iter());
        let texts = view.groups.iter().map(|(text, _)| text).filter(|text| !self.groups.contains_key(*text));
        let left: Vec<String> = texts.filter(|_| is_final).cloned().collect();
        for ((text, values), ranking) in view.groups.into_iter().zip(rankings) {
            let (key, counts) = ((view.window, text), answers.next());
            let (before, is_empty) = (exact.before(&key), ranking.total == 0);
            let snapshot = Arc::new(publisher.snapshot(&values, ranking, &before, watermark, is_final));
            if is_final {
                exact.remember(key, &snapshot.items);
            }
            if is_news && !(is_empty && silent) {
                published += 1;
                self.job.sink.publish(&snapshot);
            }
            if let (true, Some(probe), Some(counts)) = (is_news, &self.job.audit, counts) {
                probe.observe(&snapshot, &counts);
            }
        }
        exact.note_shown();
        self.exact = Some(exact);
        self.job.view.update_board(&self.board.name, |counts| {
            let count = if is_final { &mut counts.finals } else { &mut counts.provisionals };
            *count += published;
        });
        left.iter().for_each(|text| self.retire(text));
    }

    /// Requests the provisional rankings of the groups that the open panes hold, for each window at the end that follows
    /// the newest pane. All panes before `passed` are closed.
    pub(super) fn show_exactly(&mut self, open: &[PaneDigests], newest: Pane, passed: Pane) {
        let shown = self.shows(&open.iter().collect::<Vec<_>>());
        let Some(exact) = &mut self.exact else { return };
        open.iter().for_each(|pane| exact.count(pane));
        let values = |text: &String| match self.groups.get(text) {
            Some(group) => group.values.clone(),
            None => Group::new(text, 0).values,
        };
        let groups: Vec<_> = shown.keys().map(|text| (text.clone(), values(text))).collect();
        let provisional = Some(self.clock.start(passed));
        for (window, span) in self.windows.iter().enumerate() {
            let end = span.end_from(newest + 1);
            let view = View { window, end, provisional, groups: groups.clone(), queried: Vec::new() };
            exact.ranks.rank_provisional(view, end.saturating_sub(span.size)..end, passed);
        }
        exact.note_requested();
        self.note_shown(shown);
    }
}

/// Whether a group's snapshot is due at the window's next end.
fn is_due(window: usize, (text, group): &(&String, &Group)) -> bool {
    text.is_empty() || group.windows[window].live
}
