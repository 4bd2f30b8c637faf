//! The windows of an exact board: they have the same ends and panes as sketched ones, and the differential graph ranks
//! them.
//!
//! **Always holds**: finals come in the order of the windows' ends, each once its round is complete. Provisional rankings
//! are exact too: they are windows of their own, made of the closed panes and of the open ones as they are now. They are
//! requested only when no other ranking is under way, and take a quarter of the time at most.

use super::group::Group;
use super::kind::WindowKind;
use super::rank_requests::RankRequests;
use super::set::WindowSet;
use crate::exact::{Ranked, View};
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::{Pane, PaneDigests};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use timely::scheduling::Activator;

impl WindowKind for RankRequests {
    fn add(&mut self, set: &mut WindowSet, block: Block, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        debug_assert_eq!(block.level, 0, "the windows of an exact board are made of panes");
        self.count_for_good(block.start, groups);
        for (window, _) in set.spans.iter().enumerate().filter(|(_, span)| span.is_made_of(block)) {
            self.ranks.enter(window, block.start);
        }
        let spans = &set.spans;
        let listed = groups.keys().filter(|key| key.is_group()).map(|key| (key, ()));
        set.groups.visit(spans.len(), listed, |group, ()| {
            let windows = group.windows.iter_mut().zip(spans).filter(|(_, span)| span.is_made_of(block));
            windows.for_each(|(window, _)| window.live = true);
        });
    }

    /// Requests the ranking, which is published once it has [come](WindowKind::settle).
    fn rank_final(&mut self, set: &mut WindowSet, window: usize, end: Pane) {
        self.ranks.open(window);
        self.ranks.block(set.board.blocklist.now());
        let span = &set.spans[window];
        let (mut groups, mut queried) = (Vec::new(), Vec::new());
        for group in set.groups.iter_mut().filter(|group| is_due(window, group)) {
            let key = &group.key;
            group.windows[window].live = self.ranks.holds(window, key);
            groups.push(key.clone());
            if let Some(probe) = &set.job.audit {
                let items = probe.queries(&set.board.name, &span.name, key, set.clock.start(end));
                queried.push(items.unwrap_or_default());
            }
        }
        let from = span.start(end + span.slide);
        self.ranks.rank_final(View { window, end, provisional: None, groups, queried }, from);
        set.forget_idle();
    }

    fn rank_provisional(&mut self, set: &mut WindowSet, open: &[&PaneDigests], newest: Pane, passed: Pane) {
        open.iter().for_each(|pane| self.count(pane.pane, &pane.groups));
        self.ranks.block(set.board.blocklist.now());
        set.show(open);
        let groups: Vec<GroupKey> = set.in_open.iter().map(|shown| shown.key.clone()).collect();
        let provisional = Some(set.clock.start(passed));
        for (window, span) in set.spans.iter().enumerate() {
            let end = span.end_from(newest + 1);
            let view = View { window, end, provisional, groups: groups.clone(), queried: Vec::new() };
            self.ranks.rank_provisional(view, span.panes(end), passed);
        }
        self.note_requested();
    }

    fn settle(&mut self, set: &mut WindowSet) {
        while let Some(ranked) = self.ranks.next_ranked() {
            publish(self, set, ranked);
        }
    }

    fn flush(&mut self) -> bool {
        self.ranks.flush();
        self.ranks.is_settled()
    }

    fn is_waiting(&self) -> bool {
        !self.ranks.is_settled()
    }

    /// It can when not too many rankings are under way and the audit, if there is one, knows what to query.
    fn may_rank(&mut self, set: &WindowSet, window: usize, end: Pane) -> bool {
        if self.ranks.is_full() {
            return false;
        }
        let Some(probe) = set.job.audit.as_ref().filter(|_| end > set.published) else { return true };
        let (name, end) = (&set.spans[window].name, set.clock.start(end));
        let is_known = |group: &GroupKey| probe.queries(&set.board.name, name, group, end).is_some();
        set.groups.iter().filter(|group| is_due(window, group)).all(|group| is_known(&group.key))
    }

    fn may_show(&self) -> bool {
        self.may_request()
    }

    fn next_end(&self) -> Option<Pane> {
        self.ranks.next_end()
    }

    fn wake(&self, activator: &dyn Fn() -> Activator) {
        self.ranks.wake(activator());
    }

    fn bytes(&self) -> usize {
        self.ranks.bytes()
    }
}

/// Publishes the rankings of a view, which have all come, and retires the groups that have left all windows since they
/// were requested.
fn publish(requests: &mut RankRequests, set: &WindowSet, ranked: Ranked) {
    let Ranked { view, rankings, held, answers } = ranked;
    let is_final = view.provisional.is_none();
    let watermark = view.provisional.unwrap_or_else(|| set.clock.start(view.end));
    let publisher = set.publisher(view.window, view.end);
    let (is_news, silent) = (!is_final || view.end > set.published, is_final && set.silent);
    let (mut published, mut answers) = (0, answers.into_iter());
    let gone = view.groups.iter().filter(|group| !set.groups.contains(group));
    let left: Vec<GroupKey> = gone.filter(|_| is_final).cloned().collect();
    for ((group, ranking), is_held) in view.groups.into_iter().zip(rankings).zip(held) {
        let (key, counts) = ((view.window, group), answers.next());
        let before = requests.before(&key);
        let snapshot = Arc::new(if is_final {
            let (snapshot, ranks) = publisher.final_snapshot(&key.1, &ranking, &before, watermark);
            requests.remember(key, ranks);
            snapshot
        } else {
            publisher.provisional_snapshot(&key.1, &ranking, &before, watermark)
        });
        if is_news && (is_held || !silent) {
            published += 1;
            set.job.sink.publish(&snapshot);
        } else if is_final {
            set.job.sink.pass_over(&snapshot);
        }
        if let (true, Some(probe), Some(counts)) = (is_news, &set.job.audit, counts) {
            probe.observe(&snapshot, &counts);
        }
    }
    requests.note_shown();
    set.job.view.update_board(&set.board.name, |counts| {
        let count = if is_final { &mut counts.finals } else { &mut counts.provisionals };
        *count += published;
    });
    left.iter().for_each(|group| set.retire(group));
}

/// Whether a group's snapshot is due at the window's next end.
fn is_due(window: usize, group: &Group) -> bool {
    group.key.is_whole() || group.windows[window].live
}
