//! What each pane holds of the items that a worker counts, and what that changes in the counts of windows.
//!
//! The count of an item in a window is the sum over the window's panes. As a join of two arrangements, panes with windows,
//! this would index every row by time, merge it with all others again and again, and look it up twice for each window. But a
//! pane comes once and leaves whole. So its rows stand in a vector, and are handed out when a window takes the pane in or
//! gives it up.
//!
//! A row's key is a group and an item, or these and a value where different values are counted.
//!
//! **Always holds**: what was handed out of a pane and a window is the pane's rows, as often as the window has the pane,
//! whichever of the two changed first: a join is linear in each of its sides.

use crest_state::pane::Pane;
use differential_dataflow::consolidation::consolidate;
use std::collections::HashMap;

/// Fewer changes than this are not worth adding up.
const MANY: usize = 1024;

/// The panes that some window may have, on one worker.
pub(super) struct PaneCounts<K>(HashMap<Pane, Rows<K>>);

/// The rows of one pane, and the windows that have it.
struct Rows<K> {
    /// Changes of counts by their keys; each of those of `settled` stands once.
    counts: Vec<(K, i64)>,
    settled: usize,
    windows: Vec<u32>,
}

impl<K> Default for PaneCounts<K> {
    fn default() -> Self {
        PaneCounts(HashMap::new())
    }
}

impl<K> Default for Rows<K> {
    fn default() -> Self {
        Rows { counts: Vec::new(), settled: 0, windows: Vec::new() }
    }
}

impl<K: Copy + Ord> PaneCounts<K> {
    /// Changes a count of a pane. Calls `each` with what this changes in each window.
    pub(super) fn change(&mut self, pane: Pane, key: K, change: i64, mut each: impl FnMut(u32, K, i64)) {
        let rows = self.0.entry(pane).or_default();
        // An open pane may change at each refresh, for hours.
        if rows.counts.len() >= 2 * rows.settled.max(MANY) {
            rows.settle();
        }
        rows.counts.push((key, change));
        rows.windows.iter().for_each(|&window| each(window, key, change));
    }

    /// Notes that a window takes a pane in. Calls `each` with what this changes in the window.
    pub(super) fn enter(&mut self, pane: Pane, window: u32, each: impl FnMut(u32, K, i64)) {
        let rows = self.0.entry(pane).or_default();
        rows.windows.push(window);
        rows.hand_out(window, 1, each);
    }

    /// Notes that a window gives a pane up. Calls `each` with what this changes in the window.
    pub(super) fn leave(&mut self, pane: Pane, window: u32, each: impl FnMut(u32, K, i64)) {
        let Some(rows) = self.0.get_mut(&pane) else { return };
        let Some(at) = rows.windows.iter().position(|has| *has == window) else { return };
        rows.windows.swap_remove(at);
        rows.hand_out(window, -1, each);
    }

    /// Forgets a pane that no window has.
    pub(super) fn forget(&mut self, pane: Pane) {
        let gone = self.0.remove(&pane);
        debug_assert!(gone.is_none_or(|rows| rows.windows.is_empty()), "pane {pane} is in a window");
    }
}

impl<K: Copy + Ord> Rows<K> {
    /// Adds up the changes of each count.
    fn settle(&mut self) {
        consolidate(&mut self.counts);
        self.settled = self.counts.len();
    }

    fn hand_out(&mut self, window: u32, sign: i64, mut each: impl FnMut(u32, K, i64)) {
        if self.settled < self.counts.len() {
            self.settle();
            self.counts.shrink_to_fit();
        }
        self.counts.iter().for_each(|&(key, count)| each(window, key, sign * count));
    }
}

#[cfg(test)]
mod tests {
    use super::super::local::Counted;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Change(Pane, u32, u32, i64),
        /// Enters where the window does not have the pane, or leaves.
        Turn(Pane, u32),
        Forget(Pane),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..3u64, 0..2u32, 0..5u32, -9..9i64).prop_map(|(p, g, i, c)| Step::Change(p, g, i, c)),
            3 => (0..3u64, 0..3u32).prop_map(|(pane, window)| Step::Turn(pane, window)),
            1 => (0..3u64).prop_map(Step::Forget),
        ]
    }

    #[test]
    fn a_pane_that_changes_for_long_holds_what_it_counts() {
        let mut counts: PaneCounts<(u32, u32)> = PaneCounts::default();
        for n in 0..100_000 {
            counts.change(7, (0, n % 10), 1, |_, _, _| {});
        }
        let held = counts.0[&7].counts.capacity();
        assert!(held <= 4 * MANY, "{held} changes are held of 10 items");
        let mut found = Vec::new();
        counts.enter(7, 1, |_, (_, item), count| found.push((item, count)));
        assert_eq!(found, (0..10).map(|item| (item, 10_000)).collect::<Vec<_>>());
    }

    proptest! {
        /// Against a recount of the panes of each window, after every step.
        #[test]
        fn each_window_has_the_sum_of_its_panes(steps in proptest::collection::vec(step(), 0..80)) {
            let mut counts = PaneCounts::default();
            let mut panes: BTreeMap<Pane, BTreeMap<(u32, u32), i64>> = BTreeMap::new();
            let mut members: Vec<(Pane, u32)> = Vec::new();
            let mut found: BTreeMap<Counted, i64> = BTreeMap::new();
            for step in steps {
                let add = |window: u32, (group, item): (u32, u32), change: i64| {
                    *found.entry((window, group, item)).or_default() += change;
                };
                match step {
                    Step::Change(pane, group, item, change) => {
                        *panes.entry(pane).or_default().entry((group, item)).or_default() += change;
                        counts.change(pane, (group, item), change, add);
                    }
                    Step::Turn(pane, window) => match members.iter().position(|one| *one == (pane, window)) {
                        Some(at) => {
                            members.swap_remove(at);
                            counts.leave(pane, window, add);
                        }
                        None => {
                            members.push((pane, window));
                            counts.enter(pane, window, add);
                        }
                    },
                    Step::Forget(pane) => {
                        if members.iter().all(|(member, _)| *member != pane) {
                            panes.remove(&pane);
                            counts.forget(pane);
                        }
                    }
                }
                let mut expected: BTreeMap<Counted, i64> = BTreeMap::new();
                for (pane, window) in &members {
                    for (&(group, item), &count) in panes.get(pane).into_iter().flatten() {
                        *expected.entry((*window, group, item)).or_default() += count;
                    }
                }
                let mut held = found.clone();
                held.retain(|_, count| *count != 0);
                expected.retain(|_, count| *count != 0);
                prop_assert_eq!(held, expected);
            }
        }
    }
}
