//! What one partition has counted of one board in one pane: the whole board, its groups, and what was taken away of them.

use crate::event_batch::{EventBatch, SketchBatch};
use crate::group_names::{GroupNames, NameKey};
use crate::group_runs::GroupRuns;
use crate::late_pane::PaneSpan;
use crate::removed_counts::RemovedCounts;
use crest_sketches::{Events, GroupCounts, PaneGroups, PaneSketch, Shape};

/// One board's sketches of one pane of one partition.
pub(crate) struct BoardPane {
    /// The sketch of the whole board, unless it is another board's.
    whole: Option<PaneSketch>,
    /// The board whose sketch of the whole board is this one's, too, since it counts the same events.
    shares: Option<usize>,
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

/// The sketch of the whole of a board, its own or the one that it shares, if anything was counted. `boards` are all boards of a
/// partition's pane.
pub(crate) fn whole_of(boards: &[BoardPane], board: usize) -> Option<&PaneSketch> {
    let pane = boards.get(board)?;
    pane.shares.map_or(Some(pane), |other| boards.get(other))?.whole.as_ref()
}

/// By so many bytes these boards would hold more, if none shared the sketch of another.
pub(crate) fn shared_bytes(boards: &[BoardPane]) -> u64 {
    let sharing = (0..boards.len()).filter(|board| boards[*board].shares.is_some());
    sharing.filter_map(|board| whole_of(boards, board)).map(|whole| whole.bytes() as u64).sum()
}

/// What a batch has made of a board's pane.
#[derive(Default)]
pub(crate) struct Grown {
    /// By so much it has grown.
    pub(crate) bytes: u64,
    /// How many sketches are new.
    pub(crate) sketches: u64,
    /// How many events were not counted, since their groups were too many.
    pub(crate) refused: u64,
}

impl BoardPane {
    /// Without events; the groups of those that come were hashed by `key`.
    pub(crate) fn new(shape: &Shape, key: NameKey) -> Self {
        BoardPane {
            whole: None,
            shares: None,
            removed: None,
            names: GroupNames::new(key),
            groups: PaneGroups::new(shape),
            changed: Vec::new(),
            has_changed: Vec::new(),
            refused: 0,
            told_refused: 0,
            late: None,
        }
    }

    /// Notes that another board has counted events of the whole of this one.
    pub(crate) fn share(&mut self, other: usize) {
        self.shares = Some(other);
    }

    /// Counts events of a batch, or takes them away. The weight of those whose groups are beyond the `limit` is added to
    /// `refused`. Of a part with groups, `runs` has the events by their groups.
    pub(crate) fn count(
        &mut self,
        (batch, part): (&EventBatch, &SketchBatch),
        shape: &Shape,
        limit: usize,
        runs: &GroupRuns,
    ) -> Grown {
        let (removes, mut grown) = (part.feed.removes, Grown::default());
        let before = self.bytes();
        if part.groups().is_none() {
            grown.sketches += u64::from(self.count_whole(batch.events(part), removes, shape));
        } else {
            for (group, events) in runs.iter(batch) {
                let (hash, name) = batch.group(group);
                match self.names.number_or_add(hash, name, limit) {
                    None => {
                        grown.refused += events.hashes.len() as u64;
                        self.refused += events.weights.iter().map(|weight| u64::from(*weight)).sum::<u64>();
                    }
                    Some(number) if removes => {
                        grown.sketches += u64::from(self.take_away(number, events, shape));
                    }
                    Some(number) => grown.sketches += u64::from(self.count_in(number, events)),
                }
            }
        }
        grown.bytes = self.bytes().saturating_sub(before) as u64;
        grown
    }

    /// Counts events of the whole board, or takes them away. Returns whether they are the first ones.
    fn count_whole(&mut self, events: Events<'_>, removes: bool, shape: &Shape) -> bool {
        let is_new = self.whole.is_none();
        let whole = self.whole.get_or_insert_with(|| PaneSketch::new(shape));
        if removes {
            self.removed(shape).count_whole(events);
        } else {
            whole.update(events);
        }
        is_new
    }

    /// Counts events of a group. Returns whether it is new.
    #[inline]
    fn count_in(&mut self, number: u32, events: Events<'_>) -> bool {
        let is_new = number == self.groups.len();
        self.groups.update(number, events);
        self.note_change(number, is_new);
        is_new
    }

    /// Counts events that take away from a group. It has its place in the pane by them, too, whether anything is counted of it or
    /// not. Returns whether it is new.
    #[cold]
    fn take_away(&mut self, number: u32, events: Events<'_>, shape: &Shape) -> bool {
        let is_new = number == self.groups.len();
        if is_new {
            self.groups.update(number, Events::NONE);
        }
        self.removed(shape).count(number, events);
        self.note_change(number, is_new);
        is_new
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
        let whole = self.whole.as_ref().map_or(0, PaneSketch::bytes);
        let removed = self.removed.as_ref().map_or(0, |removed| removed.bytes());
        whole + removed + self.groups.bytes() + self.names.bytes()
    }

    /// The groups that have changed since the last extract, or all of them. None of them has changed from now on.
    pub(crate) fn take_changed(&mut self, all: bool) -> Vec<u32> {
        self.told_refused = self.refused;
        self.has_changed.fill(false);
        let changed = std::mem::take(&mut self.changed);
        if all { (0..self.groups.len()).collect() } else { changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_batch::BatchPool;

    #[test]
    fn a_board_that_shares_holds_in_effect_what_the_other_one_does() {
        let shape = Shape::new(64, 0.001, 0.00005, 7).unwrap().exact();
        let key = BatchPool::default().key();
        let mut boards: Vec<_> = (0..3).map(|_| BoardPane::new(&shape, key)).collect();
        boards[0].whole.insert(PaneSketch::new(&shape)).add(b"a", 1);
        assert_eq!(shared_bytes(&boards), 0);
        boards[1].share(0);
        boards[2].share(0);
        let counted = boards[0].whole.as_ref().map_or(0, PaneSketch::bytes) as u64;
        assert!(counted > 0);
        assert_eq!(shared_bytes(&boards), 2 * counted);
    }
}
