//! Which panes a window is made of, and the weight of its groups.

use super::panes::PaneRows;
use crest_state::pane::Pane;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// The panes of one window, either for its finals or for its provisional ranking.
#[derive(Default)]
pub(super) struct Members {
    panes: BTreeSet<Pane>,
    /// Panes before this one never enter again.
    pub(super) from: Pane,
    /// No new pane before this one has come since the window was last set.
    settled: Pane,
    weights: HashMap<u32, Weight>,
    /// The total weight that groups may have which the panes do not list.
    rest: u64,
}

/// The weight of a group in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// How many panes have the group.
    panes: u32,
    pub(super) total: u64,
    /// The most that an item may have beyond its count.
    pub(super) floor: u64,
    /// What was removed.
    pub(super) removed: u64,
    /// The most that may have been removed of an item beyond what was.
    pub(super) removed_floor: u64,
    /// The rests of the panes that have the group. They say nothing of it, since these panes list it.
    listed: u64,
}

/// What happened to a pane of a window.
pub(super) enum Moved {
    /// It is in the window now.
    Entered,
    /// It is in the window no more.
    Left,
}

impl Members {
    /// Adds a pane. Returns whether it is new to the window.
    pub(super) fn enter(&mut self, pane: Pane, rows: &PaneRows) -> bool {
        let enters = self.panes.insert(pane);
        if enters {
            self.weigh(None, Some(rows));
        }
        enters
    }

    /// Takes out the panes before `from`, and calls `left` with each of them. `held` has the rows of all panes.
    pub(super) fn expire_before(
        &mut self,
        from: Pane,
        held: &BTreeMap<Pane, PaneRows>,
        mut left: impl FnMut(Pane),
    ) {
        self.from = self.from.max(from);
        while let Some(pane) = self.first().filter(|pane| *pane < from) {
            self.panes.remove(&pane);
            self.weigh(held.get(&pane), None);
            left(pane);
        }
    }

    /// Sets the window to those panes of `range` that are held. The range never goes back, and no new panes before
    /// `settled` come after this. Calls `change` with each pane that enters or leaves.
    pub(super) fn set(
        &mut self,
        range: Range<Pane>,
        settled: Pane,
        held: &BTreeMap<Pane, PaneRows>,
        mut change: impl FnMut(Pane, Moved),
    ) {
        self.expire_before(range.start, held, |pane| change(pane, Moved::Left));
        let from = if self.panes.is_empty() { range.start } else { range.start.max(self.settled) };
        for (&pane, rows) in held.range(from.min(range.end)..range.end) {
            if self.enter(pane, rows) {
                change(pane, Moved::Entered);
            }
        }
        self.settled = self.settled.max(settled);
    }

    /// Updates the weights when the rows of a pane are replaced.
    pub(super) fn replace(&mut self, pane: Pane, before: &PaneRows, after: &PaneRows) {
        if self.has(pane) {
            self.weigh(Some(before), Some(after));
        }
    }

    /// Whether the pane is in the window.
    pub(super) fn has(&self, pane: Pane) -> bool {
        self.panes.contains(&pane)
    }

    /// The weight of a group; `None` where no pane of the window has it.
    pub(super) fn weight(&self, group: u32) -> Option<Weight> {
        let weight = self.weights.get(&group).copied()?;
        let rest = self.rest - weight.listed;
        let (floor, removed_floor) = (sum(weight.floor, rest), sum(weight.removed_floor, rest));
        Some(Weight { floor, removed_floor, ..weight })
    }

    /// The weight that a group may have which none of the panes lists.
    pub(super) fn rest(&self) -> u64 {
        self.rest
    }

    fn first(&self) -> Option<Pane> {
        self.panes.first().copied()
    }

    fn weigh(&mut self, before: Option<&PaneRows>, after: Option<&PaneRows>) {
        let listed = |pane: Option<&PaneRows>| pane.map_or(0, |pane| pane.rest);
        let (added, gone) = (listed(after), listed(before));
        self.rest = sum(self.rest, added) - gone;
        for (&group, rows) in after.into_iter().flat_map(|rows| &rows.groups) {
            let weight = self.weights.entry(group).or_default();
            weight.panes += 1;
            weight.total = sum(weight.total, rows.total);
            weight.floor = sum(weight.floor, rows.floor);
            weight.removed = sum(weight.removed, rows.removed);
            weight.removed_floor = sum(weight.removed_floor, rows.removed_floor);
            weight.listed += added;
        }
        for (group, rows) in before.into_iter().flat_map(|rows| &rows.groups) {
            let Some(weight) = self.weights.get_mut(group) else { continue };
            weight.panes -= 1;
            weight.total -= rows.total;
            weight.floor -= rows.floor;
            weight.removed -= rows.removed;
            weight.removed_floor -= rows.removed_floor;
            weight.listed -= gone;
            if weight.panes == 0 {
                self.weights.remove(group);
            }
        }
    }
}

/// The sum of two weights.
///
/// # Panics
/// If the sum exceeds what the graph's signed counts hold: a count that wrapped would be a wrong answer.
fn sum(ours: u64, theirs: u64) -> u64 {
    let sum = ours.checked_add(theirs).filter(|sum| *sum <= i64::MAX as u64);
    assert!(sum.is_some(), "the weights {ours} and {theirs} are together too great for a window");
    sum.unwrap_or(u64::MAX)
}
