//! Admission: which groups of a board have a place, so that all its windows together have at most `max_groups`.
//!
//! A group that some window still holds has a place and keeps it. While there is room, others get one when a pane is
//! closed, those of the greatest weight in the pane first, of equal ones those first by their texts. Who gets none is
//! dropped from the pane, before it is stored, and what it had becomes the [rest](crest_state::rest) of the pane.
//!
//! **Always holds**: who has a place is a function of the closed panes alone: "some window still holds it" is told by
//! panes, not by what was ranked by then, so that it is the same for any number of workers. It is also the same for a
//! run that goes on from what is stored. A window begins at a multiple of the width of the blocks that it is made of: that
//! some pane of a block is in it, the block's first pane tells. So the stored blocks of the windows say who has a place.
//! A board without windows, as a backfill has, decides for each pane alone.

use crate::event_time::Clock;
use crate::job::Job;
use crest_state::levels::Block;
use crest_state::pane::Pane;
use crest_state::rest::{heaviest_first, is_group};
use crest_state::spec::BoardSpec;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// The places of one board.
#[derive(Clone)]
pub(crate) struct Admission {
    limit: usize,
    /// Size and slide of each window, in panes.
    windows: Vec<(u64, u64)>,
    /// Of each group with a place, the last pane, or block, that has it.
    last: HashMap<String, Pane>,
}

impl Admission {
    /// Of a board that no pane was closed of.
    pub(crate) fn of(board: &BoardSpec, clock: &Clock) -> Self {
        let windows =
            board.windows.iter().map(|window| (clock.panes(window.size), clock.panes(window.slide)));
        Admission { limit: board.max_groups, windows: windows.collect(), last: HashMap::new() }
    }

    /// Gives the groups of a closed pane, with their weights, their places: those that get none. Panes come in order.
    pub(crate) fn admit<'a>(
        &mut self,
        pane: Pane,
        groups: impl Iterator<Item = (&'a str, u64)>,
    ) -> Vec<String> {
        let from = self.first_held(pane);
        self.last.retain(|_, last| *last >= from);
        let mut others = Vec::new();
        for (text, weight) in groups {
            match self.last.get_mut(text) {
                Some(last) => *last = pane,
                None => others.push((weight, text)),
            }
        }
        let room = self.limit.saturating_sub(self.last.len());
        others.sort_unstable_by(heaviest_first);
        let dropped = others.split_off(room.min(others.len()));
        self.last.extend(others.into_iter().map(|(_, text)| (text.to_owned(), pane)));
        dropped.into_iter().map(|(_, text)| text.to_owned()).collect()
    }

    /// Notes the groups of a stored block, in any order.
    fn restore<D>(&mut self, block: Block, groups: &BTreeMap<String, D>) {
        for text in groups.keys().filter(|text| is_group(text)) {
            let last = self.last.entry(text.clone()).or_insert(block.start);
            *last = block.start.max(*last);
        }
    }

    /// Whether these groups, and all that have a place, are no more than there may be.
    fn has_room_for<'a>(&self, texts: impl Iterator<Item = &'a str>) -> bool {
        let others: HashSet<&str> = texts.filter(|text| !self.last.contains_key(*text)).collect();
        self.last.len() + others.len() <= self.limit
    }

    /// The first pane of the windows that a pane is in.
    fn first_held(&self, pane: Pane) -> Pane {
        let first = |(size, slide): &(u64, u64)| (pane + 1).next_multiple_of(*slide).saturating_sub(*size);
        self.windows.iter().map(first).min().unwrap_or(pane)
    }
}

/// The places of the boards that a worker aggregates, between the merge, which gives them, and the windows, which are told
/// what an earlier run has stored.
#[derive(Clone, Default)]
pub(crate) struct Places {
    boards: Rc<RefCell<BTreeMap<u32, Admission>>>,
    /// Whether stored blocks are still to come.
    awaits: Rc<Cell<bool>>,
}

impl Places {
    /// Of the boards with groups.
    pub(crate) fn new(job: &Job) -> Self {
        let clock = Clock::new(&job.spec.time, job.source.bounded());
        let grouped = job.spec.boards.iter().zip(0..).filter(|(board, _)| !board.by.is_empty());
        let boards = grouped.map(|(board, index)| (index, Admission::of(board, &clock))).collect();
        Places { boards: Rc::new(RefCell::new(boards)), awaits: Rc::default() }
    }

    /// Stored blocks are to come, or no more of them.
    pub(crate) fn set_awaits(&self, awaits: bool) {
        self.awaits.set(awaits);
    }

    /// Whether the board's panes can be closed: it is known who has a place.
    pub(crate) fn are_known(&self, board: u32) -> bool {
        !self.awaits.get() || !self.boards.borrow().contains_key(&board)
    }

    /// Notes what is stored of a board's block.
    pub(crate) fn restore<D>(&self, board: u32, block: Block, groups: &BTreeMap<String, D>) {
        if let Some(board) = self.boards.borrow_mut().get_mut(&board) {
            board.restore(block, groups);
        }
    }

    /// See [`Admission::admit`].
    pub(crate) fn admit<'a>(
        &self,
        board: u32,
        pane: Pane,
        groups: impl Iterator<Item = (&'a str, u64)>,
    ) -> Vec<String> {
        let mut boards = self.boards.borrow_mut();
        boards.get_mut(&board).map_or(Vec::new(), |board| board.admit(pane, groups))
    }

    /// The places of a board, to try out who would get one; `None` where there is room for all these groups.
    pub(crate) fn on_trial<'a>(
        &self,
        board: u32,
        groups: impl Iterator<Item = &'a str>,
    ) -> Option<Admission> {
        self.boards.borrow().get(&board).filter(|places| !places.has_room_for(groups)).cloned()
    }
}

#[cfg(test)]
mod tests;
