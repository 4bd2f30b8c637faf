//! The windows of a whole bounded input: for each group the running sum of all its panes, which is ranked once, when the
//! input has ended.
//!
//! **In**: the closed panes in order, and at the end the [late pane](crate::late_pane). **Out**: one final ranking for each
//! group. **Always holds**: the sum is a function of the panes, so a run that resumes has the same. **Costs**: a sketched
//! board keeps [`ROWS`] rows of the whole board and as many of each group as a pane does, and as many again that wait to be
//! added; an exact board keeps every item.

use super::publish::{Times, snapshot};
use super::set::WindowSet;
use crate::late_pane::PaneSpan;
use crate::ranked::{Ranks, shown_rows};
use crest_connectors::group_key::GroupKey;
use crest_host::clock;
use crest_sketches::{Digest, item_hash};
use crest_state::pane::{Pane, PaneDigests};
use crest_state::removed::RemovedIn;
use crest_state::rest::rest_of;
use crest_state::spec::{BoardSpec, SketchSpec};
use crest_state::top::Top;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// The rows of a sketched board's sum, at least, the groups aside. A pane keeps fewer.
const ROWS: usize = 1 << 15;
/// Rows that wait before they are added, at least.
const WAITING_ROWS: usize = 1 << 12;

/// The windows of the whole input of one board. They differ in their names only.
pub(super) struct WholeWindows {
    names: Vec<Arc<str>>,
    /// The most rows of the whole board's sum, and of each group's.
    rows: (usize, usize),
    sums: BTreeMap<GroupKey, Sums>,
    /// The weight that a group may have which no pane lists.
    rest: u64,
    /// The panes with an event.
    span: Option<PaneSpan>,
    late: Option<PaneDigests>,
    /// The rankings that are still to be published, by window and group, once all panes have come.
    due: Option<VecDeque<(Arc<str>, GroupKey)>>,
}

/// The running sums of one group.
#[derive(Default)]
struct Sums {
    counted: Sum,
    /// What was removed, if anything was.
    removed: Option<Box<Sum>>,
    /// The rests of the panes that list the group. They say nothing of it.
    listed: u64,
}

/// A running sum.
#[derive(Default)]
struct Sum {
    digest: Digest,
    /// What is not in the digest yet, so that many panes are added at once.
    waiting: Vec<Rc<Digest>>,
    waiting_rows: usize,
}

impl WholeWindows {
    pub(super) fn new(board: &BoardSpec, sketch: &SketchSpec) -> Self {
        let rows = match board.engine.is_sketch() {
            true => (sketch.pane_rows().max(ROWS), sketch.pane_rows()),
            false => (usize::MAX, usize::MAX),
        };
        let names = board.whole_windows().cloned().collect();
        WholeWindows { names, rows, sums: BTreeMap::new(), rest: 0, span: None, late: None, due: None }
    }

    /// Whether the board has such a window.
    pub(super) fn exist(&self) -> bool {
        !self.names.is_empty()
    }

    /// Adds a closed pane, later than all before.
    pub(super) fn push(&mut self, pane: Pane, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        if self.exist() {
            self.span = Some(PaneSpan::of(pane).with(self.span));
            self.add(groups);
        }
    }

    /// Takes the late pane, whose events are of the panes of `span`.
    pub(super) fn take_late(&mut self, pane: PaneDigests, span: Option<PaneSpan>) {
        self.span = span.map(|span| span.with(self.span)).or(self.span);
        self.late = Some(pane);
    }

    fn add(&mut self, groups: &BTreeMap<GroupKey, Rc<Digest>>) {
        let rest = rest_of(groups);
        self.rest += rest;
        let removed = RemovedIn::of(groups);
        for (group, digest) in groups.iter().filter(|(group, _)| group.is_group()) {
            let rows = self.rows_of(group);
            let sum = self.sums.entry(group.clone()).or_default();
            sum.listed += rest;
            sum.counted.push(digest.clone(), rows);
            if let Some(removed) = removed.of_group(group) {
                sum.removed.get_or_insert_default().push(removed.clone(), rows);
            }
        }
    }

    /// Ranks and publishes, when all panes have come. Returns false when more is to be published but the time `until` has
    /// come or the sink takes nothing, or while the audit does not know what to query.
    pub(super) fn publish(&mut self, set: &WindowSet, until: Instant) -> bool {
        if let Some(late) = self.late.take() {
            self.add(&late.groups);
        }
        let Some(span) = self.span else { return true };
        let times = Times { start: set.clock.start(span.first), end: set.clock.start(span.last + 1) };
        let mut due = self.due.take().unwrap_or_else(|| self.all());
        let before = due.len();
        while let Some((name, group)) = due.front() {
            // One is published whatever the time, so that each call comes nearer to the end.
            if !set.job.may_publish() || (due.len() < before && clock::now() >= until) {
                break;
            }
            let query =
                set.job.audit.as_ref().map(|probe| probe.queries(&set.board.name, name, group, times.end));
            let queries = match query {
                Some(None) => break,
                known => known.flatten(),
            };
            self.publish_one(set, name, group, times, queries);
            due.pop_front();
        }
        let (finals, done) = ((before - due.len()) as u64, due.is_empty());
        self.due = Some(due);
        set.job.view.update_board(&set.board.name, |counts| counts.finals += finals);
        done
    }

    /// All rankings: of each window and group.
    fn all(&self) -> VecDeque<(Arc<str>, GroupKey)> {
        let rankings = self.names.iter().flat_map(|name| self.sums.keys().map(move |group| (name, group)));
        rankings.map(|(name, group)| (name.clone(), group.clone())).collect()
    }

    fn publish_one(
        &mut self,
        set: &WindowSet,
        name: &Arc<str>,
        group: &GroupKey,
        times: Times,
        queries: Option<Vec<Arc<str>>>,
    ) {
        let rows = self.rows_of(group);
        let Some(sums) = self.sums.get_mut(group) else { return };
        let (top, unseen) = (Top::of(&set.board), self.rest - sums.listed);
        sums.counted.add_waiting(rows);
        let ranking = if set.board.retracts() {
            let left = sums.left(rows, unseen);
            top.rank(|k| left.rank(k))
        } else {
            top.rank(|k| sums.counted.digest.rank(k)).add_unseen(unseen)
        };
        let seed = set.job.spec.sketch.seed;
        let rows = (ranking.total, shown_rows(&set.board, &ranking, &Ranks::default(), seed));
        let of = (set.board.as_ref(), set.job.epoch, name);
        let snapshot = Arc::new(snapshot(of, group, times, rows, times.end, true));
        set.job.sink.publish(&snapshot);
        if let (Some(probe), Some(queried)) = (&set.job.audit, queries) {
            probe.observe(&snapshot, &sums.counts(&queried, seed));
        }
    }

    /// The most rows of the sum of a group.
    fn rows_of(&self, group: &GroupKey) -> usize {
        if group.is_whole() { self.rows.0 } else { self.rows.1 }
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let removed = |sums: &Sums| sums.removed.as_ref().map_or(0, |removed| removed.bytes());
        self.sums.values().map(|sums| sums.counted.bytes() + removed(sums)).sum()
    }
}

impl Sums {
    /// What is left of what was added, where any item may have so much besides, or lack it.
    fn left(&mut self, rows: usize, unseen: u64) -> Digest {
        let unseen = Digest::unseen(unseen);
        let counted = Digest::merge([&self.counted.digest, &unseen]);
        let mut removed = unseen;
        if let Some(sum) = &mut self.removed {
            sum.add_waiting(rows);
            removed = Digest::merge([&sum.digest, &removed]);
        }
        counted.less(&removed)
    }

    /// The counts of items. They are exact where the sums are.
    fn counts(&self, items: &[Arc<str>], seed: u64) -> Vec<u64> {
        let of = |sum: &Sum, item: &str| {
            sum.digest.bounds(item_hash(item.as_bytes(), seed), item.as_bytes()).lower()
        };
        let removed = |item: &str| self.removed.as_ref().map_or(0, |sum| of(sum, item));
        items.iter().map(|item| of(&self.counted, item).saturating_sub(removed(item))).collect()
    }
}

impl Sum {
    fn push(&mut self, digest: Rc<Digest>, rows: usize) {
        // A digest takes some memory even without rows.
        self.waiting_rows += digest.rows().len() + 1;
        self.waiting.push(digest);
        if self.waiting_rows > self.digest.rows().len().max(WAITING_ROWS.min(rows)) {
            self.add_waiting(rows);
        }
    }

    fn add_waiting(&mut self, rows: usize) {
        let waiting = self.waiting.iter().map(Rc::as_ref);
        self.digest = Digest::merge(std::iter::once(&self.digest).chain(waiting)).cut(rows);
        self.waiting.clear();
        self.waiting_rows = 0;
    }

    fn bytes(&self) -> usize {
        self.digest.bytes() + self.waiting.iter().map(|digest| digest.bytes()).sum::<usize>()
    }
}
