//! The oracle: which events are late is read off each partition, one event after the other, and each of the others counts in
//! a map of every window that it falls in. It knows nothing of panes, sketches or workers.

use crate::plan::{Event, Plan};
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_state::spec::BoardSpec;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which ranking: board, window, group, and the end of the window in milliseconds.
pub type Key = (String, String, String, i64);

/// The key of a snapshot.
pub fn key(snapshot: &Snapshot) -> Key {
    let group = snapshot.group.to_string();
    (snapshot.board.to_string(), snapshot.window.to_string(), group, snapshot.window_end)
}

/// A ranking by hand: what every item weighs.
pub type Counts = HashMap<String, u64>;

/// What is to be published.
pub struct Expected {
    /// Every final ranking with events.
    pub rankings: BTreeMap<Key, Counts>,
    /// Those that must be published: of the windows up to the end of the input. Of an input that ends no others are.
    pub required: BTreeSet<Key>,
}

/// What is to be published of a plan.
pub fn expected(plan: &Plan) -> Expected {
    let events = on_time(plan);
    let mut rankings = BTreeMap::new();
    for board in &plan.spec.boards {
        count(board, &events, &mut rankings);
    }
    let last_ends = last_ends(plan, &events);
    let is_required = |(_, window, _, end): &&Key| last_ends.get(window).is_some_and(|last| end <= last);
    let required = rankings.keys().filter(is_required).cloned().collect();
    Expected { rankings, required }
}

/// For each window its first end at or after the last pane in which the input has an event, whether a board takes it or
/// not. What ends later is published only where the input goes on for as long. All boards have the same windows.
fn last_ends(plan: &Plan, events: &[Event]) -> HashMap<String, i64> {
    let pane = plan.spec.time.pane.as_millis() as i64;
    let last = events.iter().map(|event| event.time / pane * pane + pane).max().unwrap_or_default();
    let windows = plan.spec.boards.iter().flat_map(BoardSpec::sliding_windows).map(|(name, _, slide)| {
        let slide = slide.as_millis() as i64;
        (name.to_string(), last + (-last).rem_euclid(slide))
    });
    windows.collect()
}

fn takes(board: &BoardSpec, event: &Event) -> bool {
    board.filter.is_empty() || event.region == Some("IN")
}

/// The events that are not late in their own partition.
fn on_time(plan: &Plan) -> Vec<Event> {
    let time = &plan.spec.time;
    let pane = time.pane.as_millis() as i64;
    let slack = (time.out_of_orderness + time.allowed_lateness).as_millis() as i64;
    let mut kept = Vec::new();
    for events in &plan.partitions {
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

fn count(board: &BoardSpec, events: &[Event], rankings: &mut BTreeMap<Key, Counts>) {
    for (name, size, slide) in board.sliding_windows() {
        let (size, slide) = (size.as_millis() as i64, slide.as_millis() as i64);
        let mut windows: HashMap<(Option<&str>, i64), Counts> = HashMap::new();
        for event in events.iter().filter(|event| takes(board, event)) {
            let group = event.region.filter(|_| !board.by.is_empty());
            let mut end = event.time / slide * slide + slide;
            while end - size <= event.time {
                for group in [None].into_iter().chain(group.map(Some)) {
                    let items = windows.entry((group, end)).or_default();
                    match items.get_mut(&event.item) {
                        Some(count) => *count += u64::from(event.weight),
                        None => drop(items.insert(event.item.clone(), event.weight.into())),
                    }
                }
                end += slide;
            }
        }
        let text = |region: &str| GroupKey::from_values([("region", region)]).to_string();
        rankings.extend(windows.into_iter().map(|((group, end), counts)| {
            let key = (board.name.to_string(), name.to_string(), group.map_or(String::new(), text), end);
            (key, counts)
        }));
    }
}

/// Holds a final snapshot against the counts of its window.
///
/// # Errors
/// What is not so.
pub fn check(snapshot: &Snapshot, counts: Option<&Counts>, overflows: bool) -> Result<(), String> {
    let none = Counts::new();
    let counts = counts.unwrap_or(&none);
    let total: u64 = counts.values().sum();
    if snapshot.total != total {
        return Err(format!("its total is {}, and {total} were counted by hand", snapshot.total));
    }
    for item in &snapshot.items {
        let count = counts.get(&*item.item_id).copied().unwrap_or(0);
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
    let mut expected: Vec<(u64, &str)> = counts.iter().map(|(item, count)| (*count, item.as_str())).collect();
    expected.sort_by(|a, b| b.cmp(a));
    expected.truncate(snapshot.k as usize);
    let found: Vec<(u64, &str)> = snapshot.items.iter().map(|item| (item.count, &*item.item_id)).collect();
    if found != expected {
        return Err(format!("it has {found:?}, and by hand it is {expected:?}"));
    }
    Ok(())
}
