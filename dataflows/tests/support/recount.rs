//! The naive recount: which events are late is read off each partition's log, one event after the other; each counts in
//! a map of every window that it falls in.

use super::Event;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::{Item, Snapshot};
use crest_state::spec::{BoardSpec, Constant, Filter, JobSpec, Sliding};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

type Group = BTreeMap<String, String>;
/// What items have, by window (its place), end in ms, and group.
type Counts = BTreeMap<(usize, i64, Group), Tallies>;
type Tallies = BTreeMap<String, Tally>;

/// What was counted of an item, and what was removed of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub counted: u64,
    pub removed: u64,
}

impl Tally {
    fn add(&mut self, weight: u64, removes: bool) {
        *if removes { &mut self.removed } else { &mut self.counted } += weight;
    }

    /// What is left, where that is more than nothing.
    pub fn left(self) -> Option<u64> {
        self.counted.checked_sub(self.removed).filter(|left| *left > 0)
    }
}

/// Whether an event takes away: on boards that say so of weights.
pub fn removes(board: &BoardSpec, event: &Event) -> bool {
    let is_meant = |constant: &Constant| *constant == Constant::Integer(event.weight.into());
    match board.retract.get("weight") {
        Some(Filter::AnyOf(weights)) => weights.iter().any(is_meant),
        _ => false,
    }
}

/// A window that slides, in milliseconds.
struct Window {
    name: Arc<str>,
    size: i64,
    slide: i64,
}

fn windows(board: &BoardSpec) -> Vec<Window> {
    let windows = board.sliding_windows().map(|Sliding { name, size, slide, .. }| Window {
        name: name.clone(),
        size: size.as_millis() as i64,
        slide: slide.as_millis() as i64,
    });
    windows.collect()
}

/// The events that are not late in their own partition.
pub fn on_time(spec: &JobSpec, partitions: &[Vec<Event>]) -> Vec<Event> {
    let pane = spec.time.pane.as_millis() as i64;
    let slack = (spec.time.out_of_orderness + spec.time.allowed_lateness).as_millis() as i64;
    let mut kept = Vec::new();
    for events in partitions {
        let mut newest = i64::MIN / 2;
        for event in events {
            let closed_before = (newest - slack).div_euclid(pane) * pane;
            if event.time / pane * pane >= closed_before {
                kept.push(event.clone());
            }
            newest = newest.max(event.time);
        }
    }
    kept
}

/// The final snapshots up to the last window with an event, in the order of standard output: of a run that ends, unless
/// the spec says otherwise, those with events.
pub fn snapshots(spec: &JobSpec, partitions: &[Vec<Event>]) -> Vec<Snapshot> {
    let events = on_time(spec, partitions);
    let board = &spec.boards[0];
    let Some((first, last)) = span(spec, &events) else { return Vec::new() };
    let counts = count(board, &events);
    let groups: BTreeSet<Group> =
        counts.keys().map(|(_, _, group)| group.clone()).chain([Group::new()]).collect();
    let mut before: HashMap<(usize, Group), HashMap<String, u32>> = HashMap::new();
    let mut all = Vec::new();
    for (end, index) in ends(board, first, last, (!spec.empty).then_some(&counts)) {
        let mut groups: Vec<&Group> = groups.iter().collect();
        groups.sort_by_key(|group| GroupKey::from_values(*group));
        for group in groups {
            let key = (index, group.clone());
            let now = counts.get(&(index, end, group.clone()));
            // A group is published while it has events, and once more when it has none any more.
            if now.is_none() && !group.is_empty() && before.get(&key).is_none_or(HashMap::is_empty) {
                continue;
            }
            let ranks = before.entry(key).or_default();
            if now.is_none() && !spec.empty {
                ranks.clear();
                continue;
            }
            let Window { name, size, .. } = &windows(board)[index];
            let snapshot = snapshot(board, name, group, (end - size, end), now, ranks);
            *ranks = snapshot.items.iter().map(|item| (item.item_id.to_string(), item.rank)).collect();
            all.push(snapshot);
        }
    }
    all
}

/// The start of the first pane with an event and the end of the last one.
fn span(spec: &JobSpec, events: &[Event]) -> Option<(i64, i64)> {
    let pane = spec.time.pane.as_millis() as i64;
    let first = events.iter().map(|event| event.time / pane * pane).min()?;
    let last = events.iter().map(|event| event.time / pane * pane + pane).max()?;
    Some((first, last))
}

/// Every end of every window, in order; or only those with something counted, and the first one after each.
fn ends(board: &BoardSpec, first: i64, last: i64, counts: Option<&Counts>) -> Vec<(i64, usize)> {
    let mut ends = Vec::new();
    if let Some(counts) = counts {
        let windows = windows(board);
        let slide = |index: usize| windows[index].slide;
        let filled = counts.keys().map(|(index, end, _)| (*end, *index));
        let ends: BTreeSet<_> =
            filled.flat_map(|(end, index)| [(end, index), (end + slide(index), index)]).collect();
        let last_end = |index| last + (-last).rem_euclid(slide(index));
        return ends.into_iter().filter(|(end, index)| *end <= last_end(*index)).collect();
    }
    for (index, Window { slide, .. }) in windows(board).into_iter().enumerate() {
        let mut end = first / slide * slide + slide;
        loop {
            ends.push((end, index));
            if end >= last {
                break;
            }
            end += slide;
        }
    }
    ends.sort();
    ends
}

/// The final snapshots of the windows of the whole input, of all events, late or not.
pub fn whole(spec: &JobSpec, partitions: &[Vec<Event>]) -> Vec<Snapshot> {
    let (board, events) = (&spec.boards[0], partitions.concat());
    let Some(times) = span(spec, &events) else { return Vec::new() };
    let mut counts: BTreeMap<GroupKey, (Group, Tallies)> = BTreeMap::new();
    for event in &events {
        for group in groups_of(board, event) {
            let (_, items) = counts.entry(GroupKey::from_values(&group)).or_insert((group, BTreeMap::new()));
            items.entry(event.item.clone()).or_default().add(event.weight.into(), removes(board, event));
        }
    }
    let of = |name: &Arc<str>| -> Vec<Snapshot> {
        let groups = counts.values();
        groups
            .map(|(group, items)| snapshot(board, name, group, times, Some(items), &HashMap::new()))
            .collect()
    };
    board.whole_windows().flat_map(of).collect()
}

fn groups_of(board: &BoardSpec, event: &Event) -> Vec<Group> {
    let mut groups = vec![Group::new()];
    if let (true, Some(region)) = (board.by == ["region"], &event.region) {
        groups.push(Group::from([("region".to_string(), region.clone())]));
    }
    groups
}

/// Each event goes to every window that it falls in. Where different values are counted, they are those of the weights.
fn count(board: &BoardSpec, events: &[Event]) -> Counts {
    let (mut counts, windows) = (Counts::new(), windows(board));
    let mut seen = BTreeSet::new();
    for event in events {
        for (index, Window { size, slide, .. }) in windows.iter().enumerate() {
            let mut end = event.time / slide * slide + slide;
            while end - size <= event.time {
                for group in groups_of(board, event) {
                    let is_new: bool =
                        seen.insert((index, end, group.clone(), event.item.clone(), event.weight));
                    let items = counts.entry((index, end, group)).or_default();
                    let weight: u64 =
                        if board.count.is_distinct() { is_new.into() } else { event.weight.into() };
                    items.entry(event.item.clone()).or_default().add(weight, removes(board, event));
                }
                end += slide;
            }
        }
    }
    counts
}

fn snapshot(
    board: &BoardSpec,
    window: &Arc<str>,
    group: &Group,
    (start, end): (i64, i64),
    counts: Option<&Tallies>,
    before: &HashMap<String, u32>,
) -> Snapshot {
    let tallies = || counts.into_iter().flatten();
    let mut rows: Vec<(u64, &String)> =
        tallies().filter_map(|(item, tally)| Some((tally.left()?, item))).collect();
    rows.sort_by(|a, b| b.cmp(a));
    rows.truncate(board.k);
    let removed = tallies().map(|(_, tally)| tally.removed).sum();
    let items = rows.iter().enumerate().map(|(index, (count, item))| {
        let rank = index as u32 + 1;
        let change = before.get(*item).map(|before| *before as i32 - rank as i32);
        Item {
            rank,
            item_id: item.as_str().into(),
            count: *count,
            lower: *count,
            upper: *count,
            exact: true,
            estimate: None,
            change,
        }
    });
    Snapshot {
        board: board.name.clone(),
        window: window.clone(),
        group: GroupKey::from_values(group),
        window_start: start,
        window_end: end,
        computed_at: 0,
        watermark: end,
        is_final: true,
        total: tallies().map(|(_, tally)| tally.counted).sum::<u64>().saturating_sub(removed),
        error: 0,
        error_floor: 0,
        guaranteed: rows.len() as u32,
        partial: false,
        since: None,
        missing: Vec::new(),
        distinct: board.count.distinct(),
        retracts: board.retracts(),
        removed,
        items: items.collect(),
        k: board.k as u32,
        rising: None,
        unit: None,
        lacking: 0,
        epoch: 1,
        bucket: false,
        counters: false,
    }
}
