//! What one partition has counted of one board in one pane: the whole board, its groups, and what was taken away of them.

use crate::event_batch::{EventBatch, SketchBatch};
use crate::group_names::GroupNames;
use crate::late_pane::PaneSpan;
use crate::removed_counts::RemovedCounts;
use crest_sketches::{Events, GroupCounts, PaneGroups, PaneSketch, Shape};

/// One board's sketches of one pane of one partition.
pub(crate) struct BoardPane {
    pub(crate) whole: Option<PaneSketch>,
    /// What was taken away, where anything was.
    pub(crate) removed: Option<Box<RemovedCounts>>,
    /// The names of the groups, by their numbers in `groups`.
    pub(crate) names: GroupNames,
    pub(crate) groups: PaneGroups,
    /// The groups that have counted an event since the last extract, and for each group whether it is among them.
    changed: Vec<u32>,
    has_changed: Vec<bool>,
    /// Weight of the events of groups beyond the board's `max_groups`. The groups that come first in the log are kept,
    /// since any other choice would depend on other partitions.
    pub(crate) refused: u64,
    /// What that was at the last extract.
    pub(crate) told_refused: u64,
    /// In the late pane, the panes of its events.
    pub(crate) late: Option<PaneSpan>,
}

/// What partitions have counted of a group, and what those that lack it have refused.
pub(crate) fn of_group<'a>(parts: &[&'a BoardPane], name: &str) -> (Vec<GroupCounts<'a>>, u64) {
    let (mut counts, mut unseen) = (Vec::new(), 0);
    for part in parts {
        match part.names.number(name) {
            Some(number) => counts.push(part.groups.counts(number)),
            None => unseen += part.refused,
        }
    }
    (counts, unseen)
}

/// What partitions have taken away of a group, and what those that lack it have refused.
pub(crate) fn removed_of_group<'a>(parts: &[&'a BoardPane], name: &str) -> (Vec<GroupCounts<'a>>, u64) {
    let (mut counts, mut unseen) = (Vec::new(), 0);
    for part in parts {
        match part.names.number(name) {
            Some(number) => counts.extend(part.removed.as_ref().and_then(|removed| removed.of(number))),
            None => unseen += part.refused,
        }
    }
    (counts, unseen)
}

/// By how much a batch has made the sketches of a board's pane grow.
pub(crate) struct Grown {
    pub(crate) bytes: u64,
    pub(crate) is_new: bool,
}

impl BoardPane {
    pub(crate) fn new(shape: &Shape) -> Self {
        BoardPane {
            whole: None,
            removed: None,
            names: GroupNames::default(),
            groups: PaneGroups::new(shape),
            changed: Vec::new(),
            has_changed: Vec::new(),
            refused: 0,
            told_refused: 0,
            late: None,
        }
    }

    /// Counts events of one group. `None` when their group is one too many; their weight is then added to `refused`.
    pub(crate) fn count(
        &mut self,
        batch: &EventBatch,
        part: &SketchBatch,
        shape: &Shape,
        limit: usize,
    ) -> Option<Grown> {
        let events = batch.events(part);
        if part.feed.removes {
            return self.take_away(events, part, shape, limit);
        }
        if part.group.is_whole() {
            let (is_new, before) = (self.whole.is_none(), self.whole.as_ref().map_or(0, PaneSketch::bytes));
            let whole = self.whole.get_or_insert_with(|| PaneSketch::new(shape));
            whole.update(events);
            return Some(Grown { bytes: whole.bytes().saturating_sub(before) as u64, is_new });
        }
        let Some(number) = self.names.number_or_add(&part.group, limit) else {
            self.refused += part.weight();
            return None;
        };
        let (is_new, before) = (number == self.groups.len(), self.bytes());
        self.groups.update(number, events);
        self.note_change(number, is_new);
        Some(Grown { bytes: self.bytes().saturating_sub(before) as u64, is_new })
    }

    /// Counts events that take away from one group. It has its place in the pane by them, too, whether anything is counted of it
    /// or not.
    #[cold]
    fn take_away(
        &mut self,
        events: Events<'_>,
        part: &SketchBatch,
        shape: &Shape,
        limit: usize,
    ) -> Option<Grown> {
        let bytes = |pane: &BoardPane| {
            let whole = pane.whole.as_ref().map_or(0, PaneSketch::bytes);
            whole + pane.bytes() + pane.removed.as_ref().map_or(0, |removed| removed.bytes())
        };
        let before = bytes(self);
        let is_new = if part.group.is_whole() {
            let is_new = self.whole.is_none();
            self.whole.get_or_insert_with(|| PaneSketch::new(shape));
            self.removed(shape).count_whole(events);
            is_new
        } else {
            let Some(number) = self.names.number_or_add(&part.group, limit) else {
                self.refused += part.weight();
                return None;
            };
            let is_new = number == self.groups.len();
            if is_new {
                self.groups.update(number, Events::NONE);
            }
            self.removed(shape).count(number, events);
            self.note_change(number, is_new);
            is_new
        };
        Some(Grown { bytes: bytes(self).saturating_sub(before) as u64, is_new })
    }

    fn removed(&mut self, shape: &Shape) -> &mut RemovedCounts {
        self.removed.get_or_insert_with(|| Box::new(RemovedCounts::new(shape)))
    }

    fn note_change(&mut self, number: u32, is_new: bool) {
        if is_new {
            self.has_changed.push(false);
        }
        if !std::mem::replace(&mut self.has_changed[number as usize], true) {
            self.changed.push(number);
        }
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.names.bytes()
    }

    /// The groups that have changed since the last extract, or all of them. None of them has changed from now on.
    pub(crate) fn take_changed(&mut self, all: bool) -> Vec<u32> {
        self.told_refused = self.refused;
        self.has_changed.fill(false);
        let changed = std::mem::take(&mut self.changed);
        if all { (0..self.groups.len()).collect() } else { changed }
    }
}
