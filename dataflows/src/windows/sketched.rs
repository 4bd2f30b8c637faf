//! The windows of a sketched board: each group's window is a running sum over its nodes, and is ranked at once.

use super::group::Group;
use super::kind::WindowKind;
use super::set::WindowSet;
use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use crest_state::levels::Block;
use crest_state::pane::{Pane, PaneDigests};
use crest_state::rest::{Rests, of_group, rest_of};
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
}

impl WindowKind for Sketched {
    fn add(&mut self, set: &mut WindowSet, block: Block, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        let rest = rest_of(groups);
        let windows = self.rests.iter_mut().zip(&set.spans).filter(|(_, span)| span.is_made_of(block));
        windows.for_each(|(rests, _)| rests.push(block.start, rest));
        for (key, digest) in groups.iter().filter(|(key, _)| !key.is_rest()) {
            let group = set.groups.entry(key.clone());
            let group = group.or_insert_with(|| Group::new(set.spans.len()));
            let windows = group.windows.iter_mut().zip(&set.spans).filter(|(_, span)| span.is_made_of(block));
            windows.for_each(|(window, span)| window.push(block, digest, rest, span));
        }
    }

    fn rank_final(&mut self, set: &mut WindowSet, window: usize, end: Pane) {
        let span = &set.spans[window];
        self.rests[window].expire(end.saturating_sub(span.size));
        let mut groups = std::mem::take(&mut set.groups);
        let mut published = 0;
        for (key, group) in &mut groups {
            let state = &mut group.windows[window];
            if !state.live && !key.is_whole() {
                continue;
            }
            let snapshot = set.publisher(window, end).final_of(key, state, &self.rests[window]);
            if end > set.published && (state.live || !set.silent) {
                published += 1;
                set.job.sink.publish(&Arc::new(snapshot));
            }
        }
        set.job.view.update_board(&set.board.name, |counts| counts.finals += published);
        set.groups = groups;
        set.forget_idle().iter().for_each(|group| set.retire(group));
    }

    fn rank_provisional(&mut self, set: &mut WindowSet, open: &[&PaneDigests], newest: Pane, passed: Pane) {
        let (watermark, shown) = (set.clock.start(passed), set.shows(open));
        let mut published = 0;
        for window in 0..set.spans.len() {
            let span = &set.spans[window];
            let (end, level) = (span.end_from(newest + 1), span.level);
            let start = end.saturating_sub(span.size);
            for key in shown.keys() {
                let partial = set.pyramid.partial(key, level, start);
                let current = open.iter().filter(|pane| pane.pane >= start);
                let current = current.filter_map(|pane| of_group(&pane.groups, key));
                let extra: Vec<&Digest> = partial.iter().chain(current).map(Rc::as_ref).collect();
                let fresh = Group::new(set.spans.len());
                let group = set.groups.get(key).unwrap_or(&fresh);
                let (state, span, rests) = (&group.windows[window], &set.spans[window], &self.rests[window]);
                let ranking = state.rank_provisional(start, &extra, set.board.k, span, rests);
                let publisher = set.publisher(window, end);
                let snapshot = publisher.snapshot(key, ranking, &state.ranks, watermark, false);
                set.job.sink.publish(&Arc::new(snapshot));
                published += 1;
            }
        }
        set.job.view.update_board(&set.board.name, |counts| counts.provisionals += published);
        set.note_shown(shown);
    }
}
