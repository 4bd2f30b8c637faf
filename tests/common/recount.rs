//! The exact recount: what a job must publish, counted again in the plainest way, with a map for each pane and
//! each window summed anew. It shares no code with the program.

use super::events::Event;
use super::rules::{Board, Rules, Window};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A group's dimension values by name; empty for the whole board.
pub type Group = BTreeMap<String, String>;

/// Counts by item; of one of which as much was removed as counted, or more, 0.
pub type Counts = HashMap<String, u64>;

/// What an item has in a pane.
#[derive(Clone, Default)]
struct Tally {
    weight: u64,
    removed: u64,
    /// Of the field whose different values the board counts.
    values: BTreeSet<String>,
}

/// What the items of a group have.
type Tallies = HashMap<String, Tally>;

/// What a job counts, and what it refuses by time.
pub struct Recount {
    rules: Rules,
    /// By board, in the order of the rules: by pane, by group.
    panes: Vec<BTreeMap<i64, HashMap<Group, Tallies>>>,
    /// Events that at least one board counts.
    pub counted: u64,
    /// Well-formed events that no board takes.
    pub unmatched: u64,
    /// Events of a pane that their partition had passed.
    pub late: u64,
    /// Events too far ahead of their broker time stamp.
    pub future: u64,
    /// By partition, the newest event time and the newest broker time stamp.
    times: Vec<(Option<i64>, i64)>,
}

impl Recount {
    /// Of logs, one a partition.
    pub fn new(rules: &Rules, logs: &[Vec<Event>]) -> Self {
        let mut recount = Recount::empty(rules, logs.len());
        for (partition, log) in logs.iter().enumerate() {
            log.iter().for_each(|event| recount.read(partition, event));
        }
        recount
    }

    /// Of so many partitions, of which nothing is read yet.
    pub fn empty(rules: &Rules, partitions: usize) -> Self {
        Recount {
            rules: rules.clone(),
            panes: vec![BTreeMap::new(); rules.boards.len()],
            counted: 0,
            unmatched: 0,
            late: 0,
            future: 0,
            times: vec![(None, i64::MIN); partitions],
        }
    }

    /// Takes the next event of a partition.
    pub fn read(&mut self, partition: usize, event: &Event) {
        let sent = event.sent.unwrap_or(event.time);
        let ahead = event.time - sent;
        if self.rules.max_future_skew.is_some_and(|limit| ahead > limit) {
            self.future += 1;
            return;
        }
        let pane = event.time.div_euclid(self.rules.pane);
        let late = self.passed(partition).is_some_and(|passed| pane < passed);
        let (newest, stamped) = &mut self.times[partition];
        (*newest, *stamped) = ((*newest).max(Some(event.time)), (*stamped).max(sent));
        self.count(event, pane, late);
    }

    /// The first pane that is open in a partition; `None` before its first event.
    fn passed(&self, partition: usize) -> Option<i64> {
        let (newest, stamped) = self.times[partition];
        let watermark = newest?.min(stamped) - self.rules.out_of_orderness - self.rules.allowed_lateness;
        Some(watermark.div_euclid(self.rules.pane))
    }

    /// The time before which no partition counts anything any more; `None` before each has had an event.
    pub fn watermark(&self) -> Option<i64> {
        let passed = (0..self.times.len()).map(|partition| self.passed(partition));
        Some(passed.min().flatten()? * self.rules.pane)
    }

    /// The first end of a window of a board, given by its index; `None` before the board's first event.
    pub fn first_end(&self, index: usize, window: &Window) -> Option<i64> {
        let first = self.panes[index].keys().next()?;
        Some(next_multiple((first + 1) * self.rules.pane, window.slide))
    }

    /// Forgets all events before a time.
    pub fn forget_before(&mut self, time: i64) {
        let first = time.div_euclid(self.rules.pane);
        self.panes.iter_mut().for_each(|panes| *panes = panes.split_off(&first));
    }

    /// What a live job publishes when a window of a board, given by its index, ends at `end`: each group with its counts
    /// and its final snapshot. The whole board is published at each end; a group once more when it has become empty.
    pub fn ended(&self, index: usize, window: &Window, end: i64) -> Vec<(Group, Counts, Value)> {
        let board = &self.rules.boards[index];
        let before = self.groups(index, window, end - window.slide);
        let mut groups = self.groups(index, window, end);
        groups.entry(Group::new()).or_default();
        for group in before.keys() {
            groups.entry(group.clone()).or_default();
        }
        let totals = self.totals(board.name, end - window.size, end);
        let published = groups.into_iter().map(|(group, counts)| {
            let (ranked, total) = (rank(&counts, board.k), totals.get(&group).copied().unwrap_or(0));
            let before = before.get(&group).map(|counts| rank(counts, board.k)).unwrap_or_default();
            let before: Vec<String> = before.into_iter().map(|(item, _)| item).collect();
            let snapshot = snapshot((board, window, end), &group, total, &ranked, &before);
            (group, counts, snapshot)
        });
        published.collect()
    }

    fn count(&mut self, event: &Event, pane: i64, late: bool) {
        let takers = self.rules.boards.iter().map(|board| board.takes(event)).collect::<Vec<_>>();
        match (takers.contains(&true), late) {
            (false, _) => self.unmatched += 1,
            (true, true) => self.late += 1,
            (true, false) => self.counted += 1,
        }
        for (index, board) in
            self.rules.boards.iter().enumerate().filter(|(index, _)| takers[*index] && !late)
        {
            let groups = self.panes[index].entry(pane).or_default();
            for group in std::iter::once(Group::new()).chain(board.group(event)) {
                let tally = groups.entry(group).or_default().entry(board.item(event)).or_default();
                *if board.removes(event) { &mut tally.removed } else { &mut tally.weight } +=
                    board.weight(event);
                tally.values.extend(board.value(event));
            }
        }
    }

    /// The counts of the whole board in a window that ends at `end`.
    pub fn counts(&self, board: &str, window: &str, end: i64) -> Counts {
        let index = self.rules.boards.iter().position(|b| b.name == board).expect("a board of the rules");
        let windows = &self.rules.boards[index].windows;
        let window = windows.iter().find(|w| w.name == window).expect("a window of the board");
        self.groups(index, window, end).remove(&Group::new()).unwrap_or_default()
    }

    /// Every final snapshot up to the last window with an event, in the order of standard output, without `computed_at`: of a
    /// bounded run, which has no guard, those with events.
    pub fn finals(&self) -> Vec<Value> {
        let mut placed = Vec::new();
        for (board_index, board) in self.rules.boards.iter().enumerate() {
            for (window_index, window) in board.windows.iter().enumerate() {
                let snapshots = self.window_finals(board_index, window);
                let place = |(end, text, snapshot)| ((end, board_index, window_index, text), snapshot);
                placed.extend(snapshots.into_iter().map(place));
            }
        }
        placed.sort_by(|(a, _), (b, _)| a.cmp(b));
        placed.into_iter().map(|(_, snapshot)| snapshot).collect()
    }

    /// The snapshots of one window, each with its end and its group's text.
    fn window_finals(&self, index: usize, window: &Window) -> Vec<(i64, String, Value)> {
        let panes = &self.panes[index];
        let (Some(first), Some(last)) = (panes.keys().next(), panes.keys().next_back()) else {
            return Vec::new();
        };
        let end_of = |pane: &i64| next_multiple((pane + 1) * self.rules.pane, window.slide);
        let (mut finals, mut next_end) = (Vec::new(), end_of(first));
        let bounded = self.rules.max_future_skew.is_none();
        while next_end <= end_of(last) {
            let (end, published) = (next_end, self.ended(index, window, next_end));
            next_end += window.slide;
            if bounded && published.iter().all(|(_, counts, _)| counts.is_empty()) {
                let later = panes.range(end.div_euclid(self.rules.pane)..).next();
                next_end = later.map_or(i64::MAX, |(pane, _)| end_of(pane));
                continue;
            }
            let with_events = published.into_iter().filter(|(_, counts, _)| !(bounded && counts.is_empty()));
            finals.extend(with_events.map(|(group, _, snapshot)| (end, group_text(&group), snapshot)));
        }
        finals
    }

    /// The counts of each group of a board with events between two bounds of panes.
    pub fn between(&self, board: &str, from: i64, to: i64) -> HashMap<Group, Counts> {
        let index = self.rules.boards.iter().position(|b| b.name == board).expect("a board of the rules");
        self.sums(index, from, to)
    }

    /// The weight of each group with events between two bounds of panes, less what was removed, at least 0.
    pub fn totals(&self, board: &str, from: i64, to: i64) -> HashMap<Group, u64> {
        let index = self.rules.boards.iter().position(|b| b.name == board).expect("a board of the rules");
        let total = |(group, tallies): (Group, HashMap<String, Tally>)| {
            let sum = |of: fn(&Tally) -> u64| tallies.values().map(of).sum::<u64>();
            (group, sum(|tally| tally.weight).saturating_sub(sum(|tally| tally.removed)))
        };
        self.tallies(index, from, to).into_iter().map(total).collect()
    }

    /// The counts of each group with events in a window that ends at `end`.
    fn groups(&self, board: usize, window: &Window, end: i64) -> HashMap<Group, Counts> {
        self.sums(board, end - window.size, end)
    }

    fn sums(&self, board: usize, from: i64, to: i64) -> HashMap<Group, Counts> {
        let is_distinct = self.rules.boards[board].distinct.is_some();
        let count = |(item, tally): (String, Tally)| {
            let left = tally.weight.saturating_sub(tally.removed);
            (item, if is_distinct { tally.values.len() as u64 } else { left })
        };
        let sums = self.tallies(board, from, to).into_iter();
        sums.map(|(group, tallies)| (group, tallies.into_iter().map(count).collect())).collect()
    }

    fn tallies(&self, board: usize, from: i64, to: i64) -> HashMap<Group, HashMap<String, Tally>> {
        let pane = |time: i64| time.div_euclid(self.rules.pane);
        let mut sums: HashMap<Group, Tallies> = HashMap::new();
        for (group, counts) in self.panes[board].range(pane(from)..pane(to)).flat_map(|(_, g)| g) {
            let sum = sums.entry(group.clone()).or_default();
            for (item, tally) in counts {
                let sum = sum.entry(item.clone()).or_default();
                sum.weight += tally.weight;
                sum.removed += tally.removed;
                sum.values.extend(tally.values.iter().cloned());
            }
        }
        sums
    }
}

impl Board {
    fn takes(&self, event: &Event) -> bool {
        meets(event, &self.filter)
    }

    fn removes(&self, event: &Event) -> bool {
        !self.retract.is_empty() && meets(event, &self.retract)
    }

    fn item(&self, event: &Event) -> String {
        self.item.map_or(event.item.as_str(), |name| field(event, name).expect("the board's item")).to_owned()
    }

    fn weight(&self, event: &Event) -> u64 {
        let factor = self.weights.iter().find(|(name, _)| event.event_type.as_deref() == Some(name));
        u64::from(event.weight.unwrap_or(1)) * factor.map_or(1, |(_, factor)| *factor)
    }

    /// The value of which it counts the different ones.
    fn value(&self, event: &Event) -> Option<String> {
        self.distinct.map(|name| field(event, name).expect("the board's value").to_owned())
    }

    /// The group of an event that has all the board's dimensions.
    fn group(&self, event: &Event) -> Option<Group> {
        let value = |name: &&str| Some(((*name).to_owned(), field(event, name)?.to_owned()));
        let group: Group = self.by.iter().map(value).collect::<Option<_>>()?;
        (!group.is_empty()).then_some(group)
    }
}

fn meets(event: &Event, conditions: &[(&'static str, Vec<&'static str>)]) -> bool {
    conditions.iter().all(|(name, values)| {
        let value = if *name == "event_type" { event.event_type.as_deref() } else { field(event, name) };
        value.is_some_and(|value| values.contains(&value))
    })
}

fn field<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The first multiple of `step` at or after `time`.
fn next_multiple(time: i64, step: i64) -> i64 {
    time + (-time).rem_euclid(step)
}

/// The top K: by count, ties by item id, both descending.
pub fn rank(counts: &Counts, k: usize) -> Vec<(String, u64)> {
    let some = counts.iter().filter(|(_, count)| **count > 0);
    let mut rows: Vec<_> = some.map(|(item, count)| (item.clone(), *count)).collect();
    rows.sort_by(|(a, n), (b, m)| (m, b).cmp(&(n, a)));
    rows.truncate(k);
    rows
}

fn snapshot(
    (board, window, end): (&Board, &Window, i64),
    group: &Group,
    total: u64,
    ranked: &[(String, u64)],
    before: &[String],
) -> Value {
    let item = |(index, (item, count)): (usize, &(String, u64))| {
        let change = before.iter().position(|known| known == item).map(|known| known as i64 - index as i64);
        json!({
            "rank": index + 1, "item_id": item, "count": count, "lower": count, "upper": count, "exact": true,
            "change": change,
        })
    };
    if let Some(field) = board.distinct {
        // The total is of all panes, and of all partitions.
        return json!({
            "board": board.name, "window": window.name, "group": group,
            "window_start": end - window.size, "window_end": end, "watermark": end, "final": true,
            "error": 0, "error_floor": 0, "guaranteed": ranked.len(), "distinct": field,
            "items": ranked.iter().enumerate().map(item).collect::<Vec<_>>(),
        });
    }
    if !board.retract.is_empty() {
        // What the others have is not known where some of them have less than nothing.
        return json!({
            "board": board.name, "window": window.name, "group": group,
            "window_start": end - window.size, "window_end": end, "watermark": end, "final": true,
            "total": total, "error": 0, "error_floor": 0, "guaranteed": ranked.len(), "retracts": true,
            "items": ranked.iter().enumerate().map(item).collect::<Vec<_>>(),
        });
    }
    let other = total - ranked.iter().map(|(_, count)| count).sum::<u64>();
    json!({
        "board": board.name, "window": window.name, "group": group,
        "window_start": end - window.size, "window_end": end, "watermark": end, "final": true,
        "total": total, "error": 0, "error_floor": 0, "guaranteed": ranked.len(),
        "other": { "count": other, "lower": other, "upper": other, "exact": true },
        "items": ranked.iter().enumerate().map(item).collect::<Vec<_>>(),
    })
}

/// `region=IN,tier=a%2Cb`.
fn group_text(group: &Group) -> String {
    let escape = |part: &str| part.replace('%', "%25").replace(',', "%2C").replace('=', "%3D");
    let pairs: Vec<_> =
        group.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join(",")
}

/// Fails at the first snapshot that is not as expected, and shows it.
pub fn assert_same(actual: &[Value], expected: &[Value]) {
    let name = |snapshot: &Value| {
        let part = |name: &str| snapshot[name].to_string();
        format!("{} {} {} until {}", part("board"), part("window"), part("group"), part("window_end"))
    };
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(name(actual), name(expected), "which snapshot is number {index}");
        for (key, value) in expected.as_object().unwrap() {
            if key != "items" {
                assert_eq!((key, &actual[key]), (key, value), "{}", name(expected));
            }
        }
        let rows = |snapshot: &Value| snapshot["items"].as_array().unwrap().clone();
        for (actual, expected) in rows(actual).iter().zip(&rows(expected)) {
            assert_eq!(actual, expected, "{}", name(expected));
        }
        let mut actual = actual.clone();
        if expected["total"].is_null() {
            actual.as_object_mut().unwrap().remove("total");
        }
        assert_eq!(&actual, expected);
    }
    assert_eq!(actual.len(), expected.len(), "how many snapshots");
}

/// As [`assert_same`] for a live run, which goes on after the last event: what it publishes of a window after the
/// expected ones is left aside.
pub fn assert_begins_with(actual: &[Value], expected: &[Value]) {
    let last = |window: &Value| {
        let ends = expected.iter().filter(|snapshot| snapshot["window"] == *window);
        ends.map(|snapshot| snapshot["window_end"].as_i64().unwrap()).max()
    };
    let expected_by_now = |snapshot: &&Value| {
        last(&snapshot["window"]).is_some_and(|end| snapshot["window_end"].as_i64().unwrap() <= end)
    };
    let begin: Vec<Value> = actual.iter().filter(expected_by_now).cloned().collect();
    assert_same(&begin, expected);
}

/// Holds a snapshot, sketched or exact, against the true counts: every promise that it makes must be true, and it must be
/// as long as it can be. Returns how many of its first ten are truly among the first ten.
pub fn judge(snapshot: &Value, truth: &Counts, k: usize) -> usize {
    let listed = snapshot["items"].as_array().unwrap().len();
    assert_eq!(listed, truth.len().min(k), "how many are listed");
    judge_claims(snapshot, truth, k)
}

/// An estimate is near the truth, but for what the item had before it got its row, and within what is certain.
fn judge_estimate(row: &Value, count: u64, floor: u64) {
    let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("no {name}: {row}"));
    assert!((number("lower")..=number("upper")).contains(&number("count")), "{row}");
    match row["estimate"]["standard_error"].as_u64() {
        // Known one by one, but for those of before it had a row.
        None => assert_eq!(number("count"), number("lower"), "{row}"),
        Some(error) => assert!(number("count").abs_diff(count) <= 6 * error + floor, "{count}: {row}"),
    }
}

/// What is said of all items that are not listed.
fn judge_other(snapshot: &Value, truth: &Counts, listed: &[&str]) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value}: not a count"));
    let rows = snapshot["items"].as_array().unwrap();
    let (whole, other) = (snapshot["group"] == json!({}), &snapshot["other"]);
    let others =
        truth.iter().filter(|(item, _)| !listed.contains(&item.as_str())).map(|(_, count)| count).sum();
    assert!(
        (number(&other["lower"])..=number(&other["upper"])).contains(&others),
        "{others} is not in {other}"
    );
    assert_eq!(
        (&other["count"], &other["exact"]),
        (&other["upper"], &json!(other["lower"] == other["upper"]))
    );
    let certain: u64 = rows.iter().map(|row| number(&row["lower"])).sum();
    assert!(!whole || certain + number(&other["upper"]) == number(&snapshot["total"]), "the shares add up");
}

/// The same of one that may be shorter, since its sketches have few rows.
pub fn judge_claims(snapshot: &Value, truth: &Counts, k: usize) -> usize {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value}: not a count"));
    let rows = snapshot["items"].as_array().unwrap();
    let true_rows = rank(truth, k);
    let true_top: Vec<&str> = true_rows.iter().map(|(item, _)| item.as_str()).collect();
    let listed: Vec<&str> = rows.iter().map(|row| row["item_id"].as_str().unwrap()).collect();
    let (is_distinct, retracts) = (!snapshot["distinct"].is_null(), !snapshot["retracts"].is_null());
    // Of some of those that are listed, nothing may be left.
    let most = if retracts { k } else { true_top.len() };
    assert!(listed.len() <= most, "how many are listed");
    assert!(is_distinct || retracts || number(&snapshot["total"]) == truth.values().sum::<u64>());
    for (row, item) in rows.iter().zip(&listed) {
        let count = truth.get(*item).copied().unwrap_or(0);
        let (lower, upper) = (number(&row["lower"]), number(&row["upper"]));
        assert!((lower..=upper).contains(&count), "{item} was counted {count} times, not {lower} to {upper}");
        if is_distinct {
            judge_estimate(row, count, number(&snapshot["error_floor"]));
        } else {
            assert_eq!(number(&row["count"]), upper);
        }
        assert_eq!(row["exact"], lower == upper);
        assert!(upper - lower <= number(&snapshot["error"]));
    }
    match is_distinct || retracts {
        true => assert!(snapshot["other"].is_null(), "{snapshot}"),
        false => judge_other(snapshot, truth, &listed),
    }
    let order: Vec<_> =
        rows.iter().zip(&listed).map(|(row, item)| Reverse((number(&row["count"]), *item))).collect();
    assert!(order.is_sorted(), "{listed:?} is not in order");
    // Whatever has more than the floor was a candidate: it is listed, or something with a greater count is.
    let full = rows.len() == most;
    let least = rows.last().filter(|_| full).map_or(0, |row| number(&row["upper"]));
    let floor = number(&snapshot["error_floor"]);
    for (item, count) in truth.iter().filter(|(_, count)| **count > floor.max(least)) {
        assert!(listed.contains(&item.as_str()), "{item}, counted {count} times, was missed");
    }
    for item in &listed[..number(&snapshot["guaranteed"]) as usize] {
        let beaten_by = true_rows.last().filter(|_| true_rows.len() == k).map_or(1, |(_, count)| *count);
        assert!(
            truth.get(*item).is_some_and(|count| *count >= beaten_by),
            "{item} is not in the true top {k}"
        );
    }
    listed.iter().take(10).filter(|item| true_top.iter().take(10).any(|top| top == *item)).count()
}
