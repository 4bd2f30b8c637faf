//! The windows of an exact board: the same ends and panes, ranked by the differential graph.
//!
//! **Always holds**: finals come in the order of the windows' ends, each once its round is complete. Provisional rankings
//! are exact too: they are windows of their own, of the closed panes and the open ones as they are. They take a quarter
//! of the time at most, and are asked for when no other ranking is awaited.

use super::awaited::Awaited;
use super::board::BoardWindows;
use super::group::Group;
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

    /// Whether nothing can be done before rankings come, or the examiner knows more.
    pub(super) fn is_waiting(&self) -> bool {
        let waits = |exact: &Awaited| !exact.ranks.is_settled();
        self.exact.as_ref().is_some_and(waits) || self.job.examiner.is_some()
    }

    /// Whether all rankings that were asked for have come; asks for those that were not sent off yet.
    pub(super) fn is_settled(&mut self) -> bool {
        self.exact.as_mut().is_none_or(|exact| {
            exact.ranks.flush();
            exact.ranks.is_settled()
        })
    }

    /// Whether there are open panes to be shown now.
    pub(super) fn may_show(&self) -> bool {
        self.shown.is_some() && self.exact.as_ref().is_none_or(Awaited::may_show)
    }

    /// Whether there are some to be shown later.
    pub(super) fn shows_later(&self) -> bool {
        self.shown.is_some() && !self.finished
    }

    /// Whether a window of an exact board can be ranked at an end: not too many rankings are awaited, and the examiner,
    /// if there is one, knows what to ask.
    pub(super) fn may_rank(&mut self, window: usize, end: Pane) -> bool {
        let Some(exact) = &mut self.exact else { return true };
        if exact.ranks.is_full() {
            return false;
        }
        let (Some(examiner), false) = (&self.job.examiner, end <= self.earlier.published) else {
            return true;
        };
        let (name, end) = (&self.windows[window].spec.name, self.clock.start(end));
        let asks = |text: &String| examiner.asks(&self.board.name, name, text, end).is_some();
        self.groups.iter().filter(|due| is_due(window, due)).all(|(text, _)| asks(text))
    }

    /// Takes a closed pane in.
    pub(super) fn count_exactly(&mut self, pane: &PaneDigests) {
        let Some(exact) = &mut self.exact else { return };
        exact.count_for_good(pane);
        for (window, span) in self.windows.iter().enumerate().filter(|(_, span)| span.from <= pane.pane) {
            debug_assert_eq!(span.level, 0);
            exact.ranks.enter(window, pane.pane);
        }
    }

    /// Asks for the ranking of a window at an end.
    pub(super) fn rank_exactly(&mut self, window: usize, end: Pane) {
        let Some(exact) = &mut self.exact else { return };
        exact.ranks.open(window);
        let span = &self.windows[window];
        let (mut groups, mut asked) = (Vec::new(), Vec::new());
        for (text, group) in self.groups.iter_mut().filter(|(text, group)| is_due(window, &(*text, group))) {
            group.windows[window].live = exact.ranks.holds(window, text);
            groups.push((text.clone(), group.values.clone()));
            if let Some(examiner) = &self.job.examiner {
                let asks = examiner.asks(&self.board.name, &span.spec.name, text, self.clock.start(end));
                asked.push(asks.unwrap_or_default());
            }
        }
        let from = (end + span.slide).saturating_sub(span.size);
        exact.ranks.rank_final(View { window, end, provisional: None, groups, asked }, from);
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
        let (is_news, silent) = (!is_final || view.end > self.earlier.published, is_final && self.silent);
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
            if let (true, Some(examiner), Some(counts)) = (is_news, &self.job.examiner, counts) {
                examiner.answer(&snapshot, &counts);
            }
        }
        exact.note_shown();
        self.exact = Some(exact);
        self.job.view.update_board(&self.board.name, |counts| match is_final {
            true => counts.finals += published,
            false => counts.provisionals += published,
        });
        left.iter().for_each(|text| self.retire(text));
    }

    /// Asks for the provisional rankings of the groups that the open panes hold, of each window the one that the newest
    /// falls in.
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
            let view = View { window, end, provisional, groups: groups.clone(), asked: Vec::new() };
            exact.ranks.rank_provisional(view, end.saturating_sub(span.size)..end, passed);
        }
        exact.note_asked();
        self.note_shown(shown);
    }
}

/// Whether a group's snapshot is due at the window's next end.
fn is_due(window: usize, (text, group): &(&String, &Group)) -> bool {
    text.is_empty() || group.windows[window].live
}
