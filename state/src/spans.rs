//! Sets of panes, kept as sorted runs that neither overlap nor touch.

use crate::pane::Pane;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A set of panes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<Range<Pane>>);

impl Spans {
    /// Adds a run; an empty one changes nothing.
    pub fn add(&mut self, run: Range<Pane>) {
        if run.is_empty() {
            return;
        }
        let first = self.0.partition_point(|span| span.end < run.start);
        let end = self.0.partition_point(|span| span.start <= run.end);
        let start = self.0[first..end].first().map_or(run.start, |span| span.start.min(run.start));
        let last = self.0[first..end].last().map_or(run.end, |span| span.end.max(run.end));
        self.0.splice(first..end, std::iter::once(start..last));
    }

    /// Whether the set has a pane of this run.
    pub fn touches(&self, run: &Range<Pane>) -> bool {
        !run.is_empty() && self.0.iter().any(|span| span.start < run.end && run.start < span.end)
    }

    /// Whether the set has all panes of this run.
    pub fn has_all(&self, run: Range<Pane>) -> bool {
        self.missing(run).is_empty()
    }

    /// Removes a run.
    pub fn remove(&mut self, run: &Range<Pane>) {
        let parts = |span: &Range<Pane>| {
            [span.start..span.end.min(run.start), span.start.max(run.end)..span.end]
                .into_iter()
                .filter(|part| !part.is_empty())
        };
        if !run.is_empty() {
            self.0 = self.0.iter().flat_map(parts).collect();
        }
    }

    /// The end of the last run that has a pane before `end`, though not beyond it; `None` where there is none.
    pub fn end_before(&self, end: Pane) -> Option<Pane> {
        self.0.iter().rev().find(|span| span.start < end).map(|span| span.end.min(end))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts of a run that are not in the set, in order.
    pub fn missing(&self, run: Range<Pane>) -> Vec<Range<Pane>> {
        let (mut gaps, mut at) = (Vec::new(), run.start);
        for span in self.0.iter().filter(|span| span.end > run.start && span.start < run.end) {
            gaps.extend((at < span.start).then_some(at..span.start));
            at = span.end;
        }
        gaps.extend((at < run.end).then_some(at..run.end));
        gaps
    }

    /// Keeps the runs for which `keep` returns true.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Range<Pane>) -> bool) {
        self.0.retain(keep);
    }

    /// Joins runs with the fewest panes between them, until there are at most so many.
    pub(super) fn join_to(&mut self, most: usize) {
        while self.0.len() > most.max(1) {
            let gaps = self.0.windows(2).map(|pair| pair[1].start - pair[0].end);
            let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { return };
            self.0[at].end = self.0[at + 1].end;
            self.0.remove(at + 1);
        }
    }

    /// The runs of the set, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Range<Pane>> {
        self.0.iter()
    }

    /// Whether the runs are in order, have gaps between them, and are not empty.
    pub(super) fn is_sound(&self) -> bool {
        self.0.iter().all(|span| span.start < span.end)
            && self.0.windows(2).all(|pair| pair[0].end < pair[1].start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn they_are_a_set(runs in prop::collection::vec((0u64..60, 0u64..12), 0..20), (a, len) in (0u64..60, 0u64..30)) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for (start, len) in runs {
                spans.add(start..start + len);
                set.extend(start..start + len);
                prop_assert!(spans.is_sound(), "{spans:?}");
            }
            prop_assert_eq!(spans.iter().cloned().flatten().collect::<BTreeSet<_>>(), set.clone());
            let run = a..a + len;
            prop_assert_eq!(spans.touches(&run), run.clone().any(|pane| set.contains(&pane)));
            let missing: Vec<Pane> = spans.missing(run.clone()).into_iter().flatten().collect();
            prop_assert_eq!(missing, run.clone().filter(|pane| !set.contains(pane)).collect::<Vec<_>>());
            prop_assert_eq!(spans.has_all(run.clone()), run.clone().all(|pane| set.contains(&pane)));
            let before = set.iter().filter(|pane| **pane < run.end).max().map(|pane| pane + 1);
            prop_assert_eq!(spans.end_before(run.end), before);
            spans.remove(&run);
            set.retain(|pane| !run.contains(pane));
            prop_assert!(spans.is_sound(), "{spans:?}");
            prop_assert_eq!(spans.iter().cloned().flatten().collect::<BTreeSet<_>>(), set);
        }
    }
}
