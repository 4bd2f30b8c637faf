//! An exact recount of what is in each pane of a board without a filter, in the plainest way.

use super::Event;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;

/// Counts by item.
pub type Counts = BTreeMap<String, u64>;

/// By pane, by group (the whole board under the empty text), where there is any event.
pub type Panes = BTreeMap<u64, BTreeMap<String, Counts>>;

/// Of partitions, whose late events are left out: grouped by region where the first board is.
pub fn panes(spec: &JobSpec, partitions: &[Vec<Event>]) -> Panes {
    let ms = |duration: std::time::Duration| duration.as_millis() as i64;
    let (width, slack) =
        (ms(spec.time.pane), ms(spec.time.out_of_orderness) + ms(spec.time.allowed_lateness));
    let (mut panes, grouped) = (Panes::new(), !spec.boards[0].by.is_empty());
    for partition in partitions {
        let mut newest = None;
        for event in partition {
            let pane = event.time / width;
            let late = newest.is_some_and(|newest: i64| pane < (newest - slack) / width);
            newest = newest.max(Some(event.time));
            if late {
                continue;
            }
            let groups = panes.entry(pane as u64).or_default();
            let region = event.region.as_ref().filter(|_| grouped).map(|region| format!("region={region}"));
            for group in std::iter::once(String::new()).chain(region) {
                *groups.entry(group).or_default().entry(event.item.clone()).or_default() +=
                    u64::from(event.weight);
            }
        }
    }
    panes
}

/// Of a group in a run of panes.
pub fn sum(panes: &Panes, run: std::ops::Range<u64>, group: &str) -> Counts {
    let mut sum = Counts::new();
    for (item, count) in panes.range(run).filter_map(|(_, groups)| groups.get(group)).flatten() {
        *sum.entry(item.clone()).or_default() += count;
    }
    sum
}

/// The top `k`: by count, ties by item, both descending.
pub fn rank(counts: &Counts, k: usize) -> Vec<(String, u64)> {
    let mut rows: Vec<_> = counts.iter().map(|(item, count)| (item.clone(), *count)).collect();
    rows.sort_by(|(a, n), (b, m)| (m, b).cmp(&(n, a)));
    rows.truncate(k);
    rows
}
