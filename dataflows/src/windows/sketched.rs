//! The windows of a sketched board: each group's window is a running sum over its nodes, and is ranked at once.
//!
//! A provisional ranking is made only of what may differ from the one shown before: a group's ranking follows from the end
//! of its window, the blocks in it, the group's digests in the open panes, and its ranks in the final one before.

use super::group::{Group, Listed, ShownOf};
use super::in_open::InOpen;
use super::kind::WindowKind;
use super::set::WindowSet;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::{Pane, PaneDigests};
use crest_state::removed::RemovedIn;
use crest_state::rest::{Rests, rest_of};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What the windows of a sketched board keep beside the sums of their groups.
pub(super) struct Sketched {
    /// For each window, the weight that groups may have beyond what its nodes list.
    rests: Vec<Rests>,
}

impl Sketched {
    pub(super) fn new(windows: usize) -> Self {
        Sketched { rests: vec![Rests::default(); windows] }
    }

    /// The provisional snapshot of a group in a window at an end. `shown` has its digests in the open panes.
    fn provisional(
        &self,
        set: &mut WindowSet,
        (window, end, watermark): (usize, Pane, i64),
        group: &Group,
        shown: &InOpen,
    ) -> Snapshot {
        let span = &set.spans[window];
        let (start, level) = (span.start(end), span.level);
        let partial = set.pyramid.partial(&group.key, level, start);
        let partly_removed =
            set.board.retracts().then(|| set.pyramid.partial(&group.key.removed(), level, start));
        let current = |open: &'_ [(Pane, Rc<Digest>)]| {
            open.iter()
                .filter(|(pane, _)| *pane >= start)
                .map(|(_, digest)| digest.clone())
                .collect::<Vec<_>>()
        };
        let (counted, removed) = (current(&shown.digests), current(&shown.removed));
        let extra: Vec<&Digest> = partial.iter().chain(&counted).map(Rc::as_ref).collect();
        let removed: Option<Vec<&Digest>> =
            partly_removed.as_ref().map(|partial| partial.iter().chain(&removed).map(Rc::as_ref).collect());
        let (state, publisher) = (&group.windows[window], set.publisher(window, end));
        let of = (&publisher.top, &set.spans[window], &self.rests[window]);
        state.rank_provisional(start, (&extra, removed.as_deref()), of, |ranking| {
            publisher.provisional_snapshot(&group.key, &ranking, &state.ranks, watermark)
        })
    }
}

impl WindowKind for Sketched {
    fn add(&mut self, set: &mut WindowSet, block: Block, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        let rest = rest_of(groups);
        let windows = self.rests.iter_mut().zip(&set.spans).filter(|(_, span)| span.is_made_of(block));
        windows.for_each(|(rests, _)| rests.push(block.start, rest));
        let (spans, removed) = (&set.spans, RemovedIn::of(groups));
        let listed = groups.iter().filter(|(key, _)| key.is_group());
        set.groups.visit(spans.len(), listed, |group, digest| {
            let removed = removed.of_group(&group.key).map(Rc::as_ref);
            let listed = Listed { counted: digest, removed };
            let windows = group.windows.iter_mut().zip(spans).filter(|(_, span)| span.is_made_of(block));
            windows.for_each(|(window, span)| window.push(block, listed, rest, span));
        });
    }

    fn rank_final(&mut self, set: &mut WindowSet, window: usize, end: Pane) {
        let span = &set.spans[window];
        self.rests[window].expire(span.start(end));
        let (published_before, silent, sink) = (set.published, set.silent, set.job.sink.clone());
        let (publisher, groups) = set.publisher_and_groups(window, end);
        let mut published = 0;
        for group in groups.iter_mut() {
            let state = &mut group.windows[window];
            if !state.live && !group.key.is_whole() {
                continue;
            }
            let snapshot = Arc::new(publisher.final_of(&group.key, state, &self.rests[window]));
            if end > published_before && (state.live || !silent) {
                published += 1;
                sink.publish(&snapshot);
            } else {
                sink.pass_over(&snapshot);
            }
        }
        set.job.view.update_board(&set.board.name, |counts| counts.finals += published);
        set.forget_idle().iter().for_each(|key| set.retire(key));
    }

    fn rank_provisional(&mut self, set: &mut WindowSet, open: &[&PaneDigests], newest: Pane, passed: Pane) {
        let watermark = set.clock.start(passed);
        let ends: Vec<Pane> = set.spans.iter().map(|span| span.end_from(newest + 1)).collect();
        set.show(open);
        let (mut in_open, groups) = (std::mem::take(&mut set.in_open), std::mem::take(&mut set.groups));
        let (mut published, blocklist) = (0, set.board.blocklist.version());
        for shown in &mut in_open {
            let fresh;
            let group = match groups.get(&shown.key) {
                Some(group) => group,
                None => {
                    fresh = Group::new(&shown.key, ends.len());
                    &fresh
                }
            };
            for (window, end) in ends.iter().copied().enumerate() {
                let ranks = group.windows[window].ranks_version;
                let now = ShownOf { end, blocks: set.blocks, ranks, blocklist };
                if shown.shown[window].replace(now) != Some(now) {
                    let of = (window, end, watermark);
                    let snapshot = self.provisional(set, of, group, shown);
                    set.job.sink.publish(&Arc::new(snapshot));
                    published += 1;
                }
            }
        }
        (set.in_open, set.groups) = (in_open, groups);
        set.job.view.update_board(&set.board.name, |counts| counts.provisionals += published);
    }
}
