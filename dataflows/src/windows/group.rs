//! One window of one group: the running sum over its nodes, and over what was removed in them.

use crate::ranked::Ranks;
use crest_connectors::group_key::GroupKey;
use crest_sketches::{Digest, Ranking, Removed, WindowSum};
use crest_state::calendar::Calendar;
use crest_state::levels::{Block, Levels};
use crest_state::missing::Missing;
use crest_state::pane::Pane;
use crest_state::reach::Reach;
use crest_state::rest::Rests;
use crest_state::spans::Spans;
use crest_state::spec::{Engine, SketchSpec, Sliding};
use crest_state::top::Top;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// A window's measures, in panes, and how far it has got.
pub(super) struct Span {
    pub(super) name: Arc<str>,
    /// The most panes that it has.
    pub(super) size: u64,
    pub(super) slide: u64,
    reach: Reach,
    /// The end that was asked for last, and where the window begins that ends there: of a unit of the calendar it takes some time
    /// to find, and each group asks.
    began: Cell<Option<(Pane, Pane)>>,
    /// The level of the time pyramid that the window is made of: a node is the rollup of one block of it.
    pub(super) level: usize,
    /// The width of a node, in panes.
    pub(super) node: u64,
    node_rows: usize,
    /// Whether its finals are kept as buckets, each under its own time. Only those of a board's shortest tumbling window
    /// are, since the buckets of two windows would share their names.
    pub(super) buckets: bool,
    /// Panes that were counted without the window's board, or are not kept.
    pub(super) lacking: Spans,
    /// Panes without the events of a region.
    pub(super) missing: Missing,
    /// Panes before this one are in no window that is still to be ranked.
    pub(super) from: Pane,
    /// The end of the last pane with an event, or a later pane up to the same end of the window.
    pub(super) filled_to: Pane,
    /// The next end of the window (the first pane after it); `None` before the first event.
    pub(super) next_end: Option<Pane>,
}

/// Marks the window of a board whose finals are kept as buckets, if there is one.
pub(super) fn mark_buckets(windows: &mut [Span]) {
    let tumbling = windows.iter_mut().filter(|span| span.is_fixed() && span.slide == span.size);
    if let Some(shortest) = tumbling.min_by_key(|span| span.size) {
        shortest.buckets = true;
    }
}

/// A group of a board, with its windows.
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) windows: Vec<GroupWindow>,
}

/// One window of one group.
#[derive(Default)]
pub(super) struct GroupWindow {
    pub(super) sum: WindowSum,
    /// What was removed in some of its nodes, if anything was.
    removed: Option<Box<WindowSum>>,
    /// The rests of its nodes. They say nothing of this group, since the nodes list it.
    listed: Rests,
    /// The ranks in the previous final snapshot.
    pub(super) ranks: Ranks,
    /// How often they have become others.
    pub(super) ranks_version: u64,
    /// Whether a snapshot is due at the next end, since the window holds events or did at the previous end.
    pub(super) live: bool,
}

/// What a block lists of a group.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) counted: &'a Digest,
    /// `None` where nothing was removed.
    pub(super) removed: Option<&'a Digest>,
}

/// What a provisional snapshot was made of, beside the open panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShownOf {
    /// The end of the window.
    pub(super) end: Pane,
    /// How many closed panes and rollups had come.
    pub(super) blocks: u64,
    /// How often the ranks in the final snapshots had become others.
    pub(super) ranks: u64,
    /// The version of the blocklist.
    pub(super) blocklist: u64,
}

impl Span {
    pub(super) fn new(window: Sliding<'_>, engine: Engine, levels: &Levels, sketch: &SketchSpec) -> Self {
        let reach = Reach::of(&window, levels.pane());
        let (size, slide, level) = (reach.size, reach.slide, reach.level(levels, engine));
        let node = levels.width(level);
        let node_rows = reach.node_rows(node, sketch);
        Span {
            name: window.name.clone(),
            size,
            slide,
            reach,
            began: Cell::new(None),
            level,
            node,
            node_rows,
            buckets: false,
            lacking: Spans::default(),
            missing: Missing::default(),
            from: 0,
            filled_to: 0,
            next_end: None,
        }
    }

    /// Adds a node to a sum, with as many rows as a node has.
    fn push(&self, sum: &mut WindowSum, block: Block, digest: &Digest) {
        let node = block.start / self.node;
        if digest.rows().len() > self.node_rows {
            sum.push(node, &digest.clone().cut(self.node_rows));
        } else {
            sum.push(node, digest);
        }
    }

    /// Whether the block is a node of the window, at an end that is still to be ranked.
    pub(super) fn is_made_of(&self, block: Block) -> bool {
        self.level == block.level && self.from <= block.start
    }

    /// The first pane from which on the window that ends at `end` has all events of all panes; `None` where it has all.
    pub(super) fn whole_since(&self, end: Pane) -> Option<Pane> {
        let panes = self.panes(end);
        let counted = self.lacking.end_before(end).filter(|since| *since > panes.start);
        counted.max(self.missing.whole_since(&panes))
    }

    /// The first pane of the window that ends at `end`.
    pub(super) fn start(&self, end: Pane) -> Pane {
        if let Some((_, start)) = self.began.get().filter(|(known, _)| *known == end) {
            return start;
        }
        let start = self.reach.start(end);
        self.began.set(Some((end, start)));
        start
    }

    /// The panes of the window that ends at `end`.
    pub(super) fn panes(&self, end: Pane) -> Range<Pane> {
        self.start(end)..end
    }

    /// The unit of the calendar of which the window that ends at `end` has all, if it is of one.
    pub(super) fn full_unit(&self, end: Pane) -> Option<Calendar> {
        self.reach.calendar().filter(|_| self.reach.is_full_unit(end))
    }

    /// Its first end of which the window has no pane before `from`.
    pub(super) fn first_whole(&self, from: Pane) -> Pane {
        match self.reach.calendar() {
            None => self.end_from(from + self.size),
            Some(_) => {
                let is_whole = |end: &Pane| self.reach.start(*end) >= from;
                let ends = (1..).map(|end: u64| self.end_from(from) + end * self.slide);
                ends.take_while(|end| *end <= from + self.size + self.slide)
                    .find(is_whole)
                    .unwrap_or(from + self.size)
            }
        }
    }

    /// Whether it always has as many panes.
    pub(super) fn is_fixed(&self) -> bool {
        self.reach.calendar().is_none()
    }

    /// The first end of the window at or after `pane`.
    pub(super) fn end_from(&self, pane: Pane) -> Pane {
        pane.next_multiple_of(self.slide)
    }
}

impl GroupWindow {
    /// Adds a node, later than all before. `rest` is the weight that groups may have which the node does not list.
    pub(super) fn push(&mut self, block: Block, listed: Listed<'_>, rest: u64, span: &Span) {
        self.listed.push(block.start, rest);
        span.push(&mut self.sum, block, listed.counted);
        if let Some(removed) = listed.removed {
            span.push(self.removed.get_or_insert_default(), block, removed);
        }
        self.live = true;
    }

    /// Slides to the window that ends at `end`.
    pub(super) fn slide_to(&mut self, end: Pane, span: &Span) {
        let start = span.start(end);
        self.expire(start / span.node);
        self.listed.expire(start);
    }

    fn expire(&mut self, before: u64) {
        self.sum.expire(before);
        if let Some(removed) = &mut self.removed {
            removed.expire(before);
            self.removed.take_if(|removed| removed.is_empty());
        }
    }

    /// What `then` makes of the top of the group; of a board that retracts, of what is left. `rests` are those of the window.
    pub(super) fn rank<R>(
        &self,
        (top, retracts): (&Top, bool),
        rests: &Rests,
        then: impl Fn(Ranking<&[u8]>) -> R,
    ) -> R {
        let unseen = self.unseen(rests);
        if retracts {
            return self.rank_left((0, &[]), (&[], unseen), top, then);
        }
        let then = |ranking: Ranking<&[u8]>, rows| Ok(then(top.cut(ranking, rows)?.add_unseen(unseen)));
        top.ask(|rows| self.sum.rank_with(rows, |ranking| then(ranking, rows)))
    }

    /// The weight that the group may have beyond what its nodes list. `rests` are those of the window.
    pub(super) fn unseen(&self, rests: &Rests) -> u64 {
        rests.sum() - self.listed.sum()
    }

    /// What `then` makes of the top as if the panes before `start` were gone and `open` had been added; of a board that retracts,
    /// `removed` is what was removed in open panes.
    pub(super) fn rank_provisional<R>(
        &self,
        start: Pane,
        (open, removed): (&[&Digest], Option<&[&Digest]>),
        (top, span, rests): (&Top, &Span, &Rests),
        then: impl Fn(Ranking<&[u8]>) -> R,
    ) -> R {
        let unseen = rests.sum_from(start) - self.listed.sum_from(start);
        let from = start / span.node;
        if let Some(removed) = removed {
            return self.rank_left((from, open), (removed, unseen), top, then);
        }
        let then = |ranking: Ranking<&[u8]>, rows| Ok(then(top.cut(ranking, rows)?.add_unseen(unseen)));
        top.ask(|rows| self.sum.rank_provisional_with(from, open, rows, |ranking| then(ranking, rows)))
    }

    /// What `then` makes of the top of what is left of the nodes from one on and of open panes. What is unseen of any item may have
    /// been counted or removed.
    fn rank_left<R>(
        &self,
        (from, open): (u64, &[&Digest]),
        (removed, unseen): (&[&Digest], u64),
        top: &Top,
        then: impl Fn(Ranking<&[u8]>) -> R,
    ) -> R {
        let nothing = WindowSum::new();
        let removed = Removed { sum: self.removed.as_deref().unwrap_or(&nothing), open: removed, unseen };
        let then = |ranking: Ranking<&[u8]>, rows| Ok(then(top.cut(ranking, rows)?));
        top.ask(|rows| self.sum.rank_less_with(from, open, &removed, rows, |ranking| then(ranking, rows)))
    }

    /// Notes the ranks in a final snapshot, from which changes are told from now on.
    pub(super) fn note_ranks(&mut self, ranks: Ranks) {
        if self.ranks != ranks {
            self.ranks = ranks;
            self.ranks_version += 1;
        }
    }

    /// Takes out all nodes, so that the nodes that follow may have other numbers.
    pub(super) fn clear(&mut self) {
        self.expire(Pane::MAX);
        self.listed.expire(Pane::MAX);
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let removed = self.removed.as_ref().map_or(0, |removed| size_of::<WindowSum>() + removed.bytes());
        self.sum.bytes() + removed + self.listed.bytes() + self.ranks.bytes()
    }
}

impl Group {
    pub(super) fn new(key: &GroupKey, windows: usize) -> Self {
        Group { key: key.clone(), windows: (0..windows).map(|_| GroupWindow::default()).collect() }
    }
}
