//! Admission: which groups of a board have a place, so that all its windows together have at most `max_groups`.
//!
//! A group has a place, and keeps it, as long as some window holds it. While there is room, other groups get a place when
//! a pane is closed: those of the greatest weight in the pane first, and among equal ones the first by key. A group that
//! gets no place is dropped from the pane before the pane is stored, and its weight becomes the
//! [rest](crest_state::rest) of the pane.
//!
//! **Always holds**: which groups have a place is a function of the closed panes alone. Whether a window still holds a
//! group is decided by panes, not by the rankings made so far, so it is the same for any number of workers. It is also
//! the same for a run that resumes from a state: a window begins at a multiple of the width of its blocks, so a block has
//! panes in the window exactly if its first pane is in the window, and the stored blocks of the windows are enough to
//! decide. A board without windows, as in a backfill, decides for each pane alone.

use crate::job::Job;
use crest_connectors::group_key::GroupKey;
use crest_state::levels::Block;
use crest_state::pane::{Pane, PaneWidth};
use crest_state::reach::Reach;
use crest_state::rest::heaviest_first;
use crest_state::spec::{BoardSpec, WindowSpec};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// The places of one board.
#[derive(Clone)]
pub(crate) struct Admission {
    limit: usize,
    /// How far each window reaches; `None` of one that has every pane.
    windows: Vec<Option<Reach>>,
    /// For each group with a place, the last pane that has it, or the first pane of the last block that has it.
    last: HashMap<GroupKey, Pane>,
}

impl Admission {
    /// The places of a board before its first pane is closed.
    pub(crate) fn of(board: &BoardSpec, width: PaneWidth) -> Self {
        let reach = |window: &WindowSpec| window.sliding_window().map(|window| Reach::of(&window, width));
        let windows = board.windows.iter().map(reach);
        Admission { limit: board.max_groups, windows: windows.collect(), last: HashMap::new() }
    }

    /// Gives the groups of a closed pane their places, and returns the groups that get none. `groups` has each group's
    /// weight in the pane. Panes must come in order.
    pub(crate) fn admit<'a>(
        &mut self,
        pane: Pane,
        groups: impl Iterator<Item = (&'a GroupKey, u64)>,
    ) -> Vec<GroupKey> {
        let from = self.first_held(pane);
        self.last.retain(|_, last| *last >= from);
        let mut others = Vec::new();
        for (group, weight) in groups {
            match self.last.get_mut(group) {
                Some(last) => *last = pane,
                None => others.push((weight, group)),
            }
        }
        let room = self.limit.saturating_sub(self.last.len());
        others.sort_unstable_by(heaviest_first);
        let dropped = others.split_off(room.min(others.len()));
        self.last.extend(others.into_iter().map(|(_, group)| (group.clone(), pane)));
        dropped.into_iter().map(|(_, group)| group.clone()).collect()
    }

    /// Notes the groups of a stored block, in any order.
    fn restore<D>(&mut self, block: Block, groups: &BTreeMap<GroupKey, D>) {
        for group in groups.keys().filter(|group| group.has_values()) {
            let last = self.last.entry(group.clone()).or_insert(block.start);
            *last = block.start.max(*last);
        }
    }

    /// Whether these groups and those that have a place together are within the limit.
    fn has_room_for<'a>(&self, groups: impl Iterator<Item = &'a GroupKey>) -> bool {
        let others: HashSet<&GroupKey> = groups.filter(|group| !self.last.contains_key(*group)).collect();
        self.last.len() + others.len() <= self.limit
    }

    /// The first pane of all windows that contain this pane.
    fn first_held(&self, pane: Pane) -> Pane {
        let first = |reach: &Option<Reach>| {
            reach.as_ref().map_or(0, |reach| reach.start((pane + 1).next_multiple_of(reach.slide)))
        };
        self.windows.iter().map(first).min().unwrap_or(pane)
    }
}

/// The places of the boards that a worker aggregates. The merge gives groups their places, and the windows restore those
/// of an earlier run from its stored blocks.
#[derive(Clone, Default)]
pub(crate) struct Places {
    boards: Rc<RefCell<BTreeMap<u32, Admission>>>,
    restore: Rc<Cell<Restore>>,
}

/// Whether the stored blocks of an earlier run are in the places.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Restore {
    /// All are, or there are none.
    #[default]
    Complete,
    /// Some are still to come.
    UnderWay,
    /// Some never will, since the job stops or fails.
    BrokenOff,
}

impl Places {
    /// The places of the boards that have groups.
    pub(crate) fn new(job: &Job) -> Self {
        let width = PaneWidth::new(job.spec.time.pane);
        let grouped = job.spec.boards.iter().zip(0..).filter(|(board, _)| !board.by.is_empty());
        let boards = grouped.map(|(board, index)| (index, Admission::of(board, width))).collect();
        Places { boards: Rc::new(RefCell::new(boards)), restore: Rc::default() }
    }

    /// Sets how far the stored blocks of an earlier run are.
    pub(crate) fn set_restore(&self, restore: Restore) {
        self.restore.set(restore);
    }

    /// Whether it will never be known which groups have a place, so that no more panes may be closed.
    pub(crate) fn are_lost(&self) -> bool {
        self.restore.get() == Restore::BrokenOff
    }

    /// Whether the board's panes can be closed, since it is known which groups have a place.
    pub(crate) fn are_known(&self, board: u32) -> bool {
        self.restore.get() == Restore::Complete || !self.boards.borrow().contains_key(&board)
    }

    /// Notes the groups of a stored block of a board.
    pub(crate) fn restore<D>(&self, board: u32, block: Block, groups: &BTreeMap<GroupKey, D>) {
        if let Some(board) = self.boards.borrow_mut().get_mut(&board) {
            board.restore(block, groups);
        }
    }

    /// See [`Admission::admit`].
    pub(crate) fn admit<'a>(
        &self,
        board: u32,
        pane: Pane,
        groups: impl Iterator<Item = (&'a GroupKey, u64)>,
    ) -> Vec<GroupKey> {
        let mut boards = self.boards.borrow_mut();
        boards.get_mut(&board).map_or(Vec::new(), |board| board.admit(pane, groups))
    }

    /// A copy of a board's places, to try out which groups would get one; `None` where there is room for all of these.
    pub(crate) fn trial<'a>(
        &self,
        board: u32,
        groups: impl Iterator<Item = &'a GroupKey>,
    ) -> Option<Admission> {
        self.boards.borrow().get(&board).filter(|places| !places.has_room_for(groups)).cloned()
    }
}

#[cfg(test)]
mod tests;
