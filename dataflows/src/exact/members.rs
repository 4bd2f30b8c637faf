//! Which panes a window is made of, and what its groups weigh.

use super::panes::PaneRows;
use crest_state::pane::Pane;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// The panes of one window, as its finals have them or as its provisional ranking has.
#[derive(Default)]
pub(super) struct Members {
    panes: BTreeSet<Pane>,
    /// Earlier panes never enter again.
    pub(super) from: Pane,
    /// All panes before it were there when the window was last set.
    settled: Pane,
    weights: HashMap<u32, Weight>,
    /// What groups may have that the panes do not list, in all.
    rest: u64,
}

/// What a group weighs in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Panes that have the group.
    panes: u32,
    pub(super) total: u64,
    /// What its items may have beyond their counts.
    pub(super) floor: u64,
    /// The rests of the panes that have it, which are no matter to it.
    listed: u64,
}

impl Members {
    /// Adds a pane. Whether it was none of the window's.
    pub(super) fn enter(&mut self, pane: Pane, rows: &PaneRows) -> bool {
        let enters = self.panes.insert(pane);
        if enters {
            self.weigh(None, Some(rows));
        }
        enters
    }

    /// Takes the panes before `from` out, and tells of each.
    pub(super) fn leave_before(
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

    /// Makes the window that of the panes of `range` among those held, no earlier one than before; none before `settled`
    /// will come any more. Tells of each pane that enters (1) or leaves (-1).
    pub(super) fn set(
        &mut self,
        range: Range<Pane>,
        settled: Pane,
        held: &BTreeMap<Pane, PaneRows>,
        mut change: impl FnMut(Pane, i64),
    ) {
        self.leave_before(range.start, held, |pane| change(pane, -1));
        let from = if self.panes.is_empty() { range.start } else { range.start.max(self.settled) };
        for (&pane, rows) in held.range(from.min(range.end)..range.end) {
            if self.enter(pane, rows) {
                change(pane, 1);
            }
        }
        self.settled = self.settled.max(settled);
    }

    /// The pane's rows become others.
    pub(super) fn replace(&mut self, pane: Pane, before: &PaneRows, after: &PaneRows) {
        if self.has(pane) {
            self.weigh(Some(before), Some(after));
        }
    }

    /// Whether the pane is one of them.
    pub(super) fn has(&self, pane: Pane) -> bool {
        self.panes.contains(&pane)
    }

    /// What a group weighs; `None` where no pane of the window has it.
    pub(super) fn weight(&self, group: u32) -> Option<Weight> {
        let weight = self.weights.get(&group).copied()?;
        Some(Weight { floor: sum(weight.floor, self.rest - weight.listed), ..weight })
    }

    /// What a group may have that none of the panes lists.
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
            weight.listed += added;
        }
        for (group, rows) in before.into_iter().flat_map(|rows| &rows.groups) {
            let Some(weight) = self.weights.get_mut(group) else { continue };
            weight.panes -= 1;
            weight.total -= rows.total;
            weight.floor -= rows.floor;
            weight.listed -= gone;
            if weight.panes == 0 {
                self.weights.remove(group);
            }
        }
    }
}

/// # Panics
/// If it is beyond what the graph's signed counts hold: a count that wrapped would be a wrong answer.
fn sum(ours: u64, theirs: u64) -> u64 {
    let sum = ours.checked_add(theirs).filter(|sum| *sum <= i64::MAX as u64);
    assert!(sum.is_some(), "the weights {ours} and {theirs} are together too great for a window");
    sum.unwrap_or(u64::MAX)
}
