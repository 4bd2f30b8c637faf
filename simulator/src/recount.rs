//! The oracle: which events are late is read off each partition, one event after the other, and each of the others counts in
//! every window that it falls in. It knows nothing of panes, sketches or workers.

use crate::boards::REMOVALS;
use crate::log::Gap;
use crate::plan::{Event, Plan};
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_state::spec::{BoardSpec, Constant, Filter};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

/// Which ranking: board, window, group, and the start and the end of the window in milliseconds.
pub type Key = (String, String, String, i64, i64);

/// The key of a snapshot.
pub fn key(snapshot: &Snapshot) -> Key {
    let group = snapshot.group.to_string();
    let (board, window) = (snapshot.board.to_string(), snapshot.window.to_string());
    (board, window, group, snapshot.window_start, snapshot.window_end)
}

/// A ranking by hand: what every item weighs, less what was taken away, or how many different weights its events have.
pub type Counts<'e> = HashMap<&'e str, i64>;

/// The events that count.
pub struct Events {
    on_time: Vec<Event>,
    /// The end of the last pane with one.
    end: i64,
    /// The end of the panes that were closed before records were found deleted that came after them.
    closed: i64,
}

impl Events {
    /// Those of a plan that are not late in their own partition, and were not deleted before they were read. The gaps are in
    /// the order in which they were found.
    pub fn of(plan: &Plan, gaps: &[Gap]) -> Events {
        let pane = plan.spec.time.pane.as_millis() as i64;
        let mut on_time = Vec::new();
        for (number, events) in plan.partitions.iter().enumerate() {
            let gaps: Vec<&Gap> = gaps.iter().filter(|gap| gap.partition == number).collect();
            // Panes that were durable before a gap was found have what was read before.
            for count in 0..=gaps.len() {
                let from = count.checked_sub(1).map_or(i64::MIN, |last| gaps[last].durable);
                let to = gaps.get(count).map_or(i64::MAX, |gap| gap.durable);
                let is_gone = |place| gaps[..count].iter().any(|gap| gap.records.contains(&place));
                let left = events.iter().enumerate().filter(|(place, _)| !is_gone(*place));
                let theirs = on_time_of(plan, left.map(|(_, event)| event));
                on_time
                    .extend(theirs.filter(|event| (from..to).contains(&(event.time / pane * pane))).cloned());
            }
        }
        let end = on_time.iter().map(|event| event.time / pane * pane + pane).max().unwrap_or_default();
        let closed = gaps.iter().map(|gap| gap.durable).max().unwrap_or_default();
        Events { on_time, end, closed }
    }

    /// What the items of a board's group weigh in some time. The whole board is the group without a text.
    pub fn counts(&self, board: &BoardSpec, group: &str, time: Range<i64>) -> Counts<'_> {
        let (mut counts, mut seen) = (Counts::new(), HashSet::new());
        let theirs = |event: &&Event| {
            time.contains(&event.time)
                && takes(board, event)
                && (group.is_empty() || group_of(board, event) == group)
        };
        for event in self.on_time.iter().filter(theirs) {
            let is_new = seen.insert((&event.item, event.weight));
            let counted: i64 = if board.count.is_distinct() { is_new.into() } else { event.weight.into() };
            let removes = board.retracts() && REMOVALS.contains(&event.weight);
            *counts.entry(&event.item).or_default() += if removes { -counted } else { counted };
        }
        counts
    }

    /// The first end of a window at or after the last pane in which the input has an event, whether a board takes it or
    /// not. What ends later is published only where the input goes on for as long.
    pub fn last_end(&self, slide: Duration) -> i64 {
        self.end + (-self.end).rem_euclid(slide.as_millis() as i64)
    }

    /// The last end of a window that may be published of an input that ends: that was closed by events that are deleted by
    /// now, or [the last](Self::last_end) of what is left.
    pub fn may_end(&self, slide: Duration) -> i64 {
        self.last_end(slide).max(self.closed)
    }

    /// The rankings of a window that have an event of this time or later, up to the last end.
    pub fn rankings(
        &self,
        board: &BoardSpec,
        (name, size, slide): (&str, Duration, Duration),
        since: i64,
    ) -> BTreeSet<Key> {
        let (last, size) = (self.last_end(slide), size.as_millis() as i64);
        let slide = slide.as_millis() as i64;
        let mut windows: BTreeSet<(i64, String)> = BTreeSet::new();
        for event in self.on_time.iter().filter(|event| event.time >= since && takes(board, event)) {
            let group = group_of(board, event);
            let mut end = event.time / slide * slide + slide;
            while end - size <= event.time && end <= last {
                for group in [String::new(), group.clone()] {
                    windows.insert((end, group));
                }
                end += slide;
            }
        }
        let key =
            |(end, group): (i64, String)| (board.name.to_string(), name.to_string(), group, end - size, end);
        windows.into_iter().map(key).collect()
    }
}

/// Those of a partition's events that are not late.
fn on_time_of<'e>(plan: &Plan, events: impl Iterator<Item = &'e Event>) -> impl Iterator<Item = &'e Event> {
    let time = &plan.spec.time;
    let pane = time.pane.as_millis() as i64;
    let slack = (time.out_of_orderness + time.allowed_lateness).as_millis() as i64;
    let mut newest = i64::MIN / 2;
    events.filter(move |event| {
        let closed_before = (newest - slack).div_euclid(pane) * pane;
        newest = newest.max(event.time);
        event.time / pane * pane >= closed_before
    })
}

/// Whether a board takes an event.
fn takes(board: &BoardSpec, event: &Event) -> bool {
    board.filter.get("region").is_none_or(|filter| {
        let region = event.region.map(Constant::from);
        region.is_some_and(|region| *filter == Filter::AnyOf(vec![region]))
    })
}

/// The group of an event; no text where it has none.
fn group_of(board: &BoardSpec, event: &Event) -> String {
    let group = event.region.filter(|_| !board.by.is_empty());
    group.map_or(String::new(), |region| GroupKey::from_values([("region", region)]).to_string())
}

/// Holds a final snapshot against the counts of its window.
///
/// # Errors
/// What is not so.
pub fn check(snapshot: &Snapshot, counts: &Counts<'_>, overflows: bool) -> Result<(), String> {
    let left = |count: i64| count.max(0) as u64;
    let total = left(counts.values().sum());
    // Of different values, the total is of all panes.
    if snapshot.total != total && snapshot.distinct.is_none() {
        return Err(format!("its total is {}, and {total} were counted by hand", snapshot.total));
    }
    for item in &snapshot.items {
        let count = left(counts.get(&*item.item_id).copied().unwrap_or(0));
        if !(item.lower..=item.upper).contains(&count) {
            return Err(format!(
                "{} is said to have {} to {}, and has {count}",
                item.item_id, item.lower, item.upper
            ));
        }
    }
    if overflows {
        return Ok(());
    }
    let some = counts.iter().filter(|(_, count)| **count > 0);
    let mut expected: Vec<(u64, &str)> = some.map(|(item, count)| (left(*count), *item)).collect();
    expected.sort_by(|a, b| b.cmp(a));
    expected.truncate(snapshot.k as usize);
    let found: Vec<(u64, &str)> = snapshot.items.iter().map(|item| (item.count, &*item.item_id)).collect();
    if found != expected {
        return Err(format!("it has {found:?}, and by hand it is {expected:?}"));
    }
    Ok(())
}

/// Whether two deliveries of one ranking say different things. Where its configuration was another one, the shorter list
/// must be the beginning of the longer one, and ranks may have changed since another ranking.
pub fn contradict(one: &Snapshot, other: &Snapshot, same_configuration: bool) -> bool {
    if same_configuration {
        return one != other;
    }
    let bare = |snapshot: &Snapshot| {
        let item = |item: &crest_connectors::snapshot::Item| {
            (item.item_id.clone(), item.count, item.lower, item.upper)
        };
        snapshot.items.iter().map(item).collect::<Vec<_>>()
    };
    let (these, those) = (bare(one), bare(other));
    let shared = one.k.min(other.k) as usize;
    let beginning = |items: &[(crest_connectors::snapshot::ItemId, u64, u64, u64)]| {
        items.iter().take(shared).cloned().collect::<Vec<_>>()
    };
    one.total != other.total || beginning(&these) != beginning(&those)
}
