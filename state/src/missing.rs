//! Which panes some regions are missing from, where a job merges the panes of several states: a region that was silent for
//! too long, had not come in yet, or keeps its panes no more.

use crate::pane::Pane;
use crate::spans::Spans;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// How many runs of panes of one region are told apart. Of more, those with the fewest panes between them become one, so that
/// a region that comes and goes for years takes little room: what it lacks is then said of too many panes, not of too few.
const MOST_RUNS: usize = 256;

/// For each region, by name, the panes of a board without its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Missing(BTreeMap<Arc<str>, Spans>);

impl Missing {
    /// Notes that a region is missing from a run of panes.
    pub fn add(&mut self, region: &Arc<str>, run: Range<Pane>) {
        if run.is_empty() {
            return;
        }
        let spans = self.0.entry(region.clone()).or_default();
        spans.add(run);
        spans.join_to(MOST_RUNS);
    }

    /// Notes that no region is missing from a run of panes.
    pub fn remove(&mut self, run: &Range<Pane>) {
        self.0.values_mut().for_each(|spans| spans.remove(run));
        self.0.retain(|_, spans| !spans.is_empty());
    }

    /// The regions that are missing from some of these panes, in the order of their names.
    pub fn names_in(&self, run: &Range<Pane>) -> Vec<Arc<str>> {
        let touching = self.0.iter().filter(|(_, spans)| spans.touches(run));
        touching.map(|(region, _)| region.clone()).collect()
    }

    /// The first pane from which on all regions are in these panes; `None` where they are in all of them.
    pub fn whole_since(&self, run: &Range<Pane>) -> Option<Pane> {
        let ends = self.0.values().filter_map(|spans| spans.end_before(run.end));
        ends.filter(|end| *end > run.start).max()
    }

    /// The parts of these panes that some region is missing from.
    pub(super) fn within(&self, run: &Range<Pane>) -> Vec<Range<Pane>> {
        let all = self.0.values().flat_map(Spans::iter);
        let parts = all.map(|span| span.start.max(run.start)..span.end.min(run.end));
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// Whether no region is missing from any pane.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is as [`add`](Self::add) makes it.
    pub(super) fn is_sound(&self) -> bool {
        self.0.values().all(|spans| spans.is_sound() && !spans.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_names_the_regions_that_are_missing_from_it_and_since_when_none_is() {
        let (mut missing, eu, us) = (Missing::default(), "eu".into(), "us".into());
        missing.add(&us, 4..6);
        missing.add(&eu, 8..9);
        missing.add(&eu, 20..20);
        let of = |run: Range<Pane>| {
            let names: Vec<String> = missing.names_in(&run).iter().map(ToString::to_string).collect();
            (names.join(","), missing.whole_since(&run))
        };
        assert_eq!(of(0..4), (String::new(), None));
        assert_eq!(of(0..5), ("us".into(), Some(5)));
        assert_eq!(of(5..12), ("eu,us".into(), Some(9)));
        assert_eq!(of(6..8), (String::new(), None));
        assert_eq!(of(9..30), (String::new(), None));
        missing.remove(&(8..9));
        assert_eq!(missing.names_in(&(0..100)), [us]);
    }

    #[test]
    fn a_region_that_comes_and_goes_for_years_takes_little_room_and_is_never_said_to_be_there() {
        let (mut missing, eu) = (Missing::default(), "eu".into());
        for hour in 0..10_000 {
            missing.add(&eu, 360 * hour..360 * hour + 7 + hour % 300);
        }
        let text = serde_json::to_string(&missing).unwrap();
        assert!(text.len() < 12_000, "{} bytes", text.len());
        assert!((0..10_000).all(|hour| !missing.names_in(&(360 * hour..360 * hour + 1)).is_empty()));
        assert!(missing.is_sound());
    }
}
