//! The one oracle of a chaos run: what the job publishes, held against a recount of what the broker has.

use super::common::events::Event;
use super::common::program::{parse_finals, without_computed_at};
use super::common::recount::{Recount, assert_same, judge_claims};
use super::common::rules::Rules;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// For so long events are kept after they were held against what was published, in ms.
const KEPT: i64 = 60_000;

/// A broker of which nothing comes for so long does not answer: a machine may be too busy.
const SERVED: Duration = Duration::from_secs(5);

/// What a final snapshot is of: its end, board, window and group.
type Name = (i64, String, String, String);

/// What was published and what must be.
pub struct Oracle {
    rules: Rules,
    /// The boards whose panes may have more items than rows.
    overflowing: &'static [&'static str],
    log: Receiver<(usize, Event)>,
    published: Receiver<String>,
    recount: Recount,
    /// The next end of each window of each board.
    next_ends: Vec<Vec<Option<i64>>>,
    /// Published, and not yet held against the recount.
    pending: BTreeMap<Name, String>,
    /// Of all that was ever published.
    digests: HashMap<Name, u64>,
    /// The last whole rankings of each board and window that were judged.
    newest: HashMap<(String, String), Value>,
    /// When the last event came.
    heard: Instant,
    /// Whether no more events are sent.
    pub is_over: bool,
    pub events: u64,
    pub judged: u64,
    /// How many of these were bounds and not counts.
    pub bounds: u64,
    /// How many were published again.
    pub again: u64,
}

impl Oracle {
    pub fn new(
        rules: &Rules,
        overflowing: &'static [&'static str],
        partitions: usize,
        log: Receiver<(usize, Event)>,
        published: Receiver<String>,
    ) -> Oracle {
        Oracle {
            rules: rules.clone(),
            overflowing,
            log,
            published,
            recount: Recount::empty(rules, partitions),
            next_ends: rules.boards.iter().map(|board| vec![None; board.windows.len()]).collect(),
            pending: BTreeMap::new(),
            digests: HashMap::new(),
            newest: HashMap::new(),
            heard: Instant::now(),
            is_over: false,
            events: 0,
            judged: 0,
            bounds: 0,
            again: 0,
        }
    }

    /// Takes what has come from the broker and from the job.
    pub fn take(&mut self) {
        while let Ok((partition, event)) = self.log.try_recv() {
            self.recount.read(partition, &event);
            self.events += 1;
            self.heard = Instant::now();
        }
        while let Ok(line) = self.published.try_recv() {
            self.take_line(&line);
        }
    }

    fn take_line(&mut self, line: &str) {
        let name = name(&parse_finals(&[line])[0]);
        let text = without_computed_at(line);
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let digest = hasher.finish();
        match self.digests.get(&name) {
            Some(before) => {
                assert_eq!(*before, digest, "{name:?} was published with two contents, now with {text}");
                self.again += 1;
            }
            None => {
                self.digests.insert(name.clone(), digest);
                self.pending.insert(name, line.to_owned());
            }
        }
    }

    /// How many final snapshots have come, each counted once.
    pub fn published(&mut self) -> usize {
        self.take();
        self.digests.len()
    }

    /// How many late events there were.
    pub fn late(&self) -> u64 {
        self.recount.late
    }

    /// How far it is.
    pub fn stand(&mut self) -> String {
        self.take();
        let (events, watermark) = (self.events, self.recount.watermark());
        let newest = self.digests.keys().map(|(end, ..)| *end).max();
        format!(
            "{events} events of the topic, whose watermark is {watermark:?}; the last ranking is of {newest:?}"
        )
    }

    /// Whether the broker answers this reader: where it does not, the job need not go on either.
    fn is_served(&self) -> bool {
        self.is_over || self.heard.elapsed() < SERVED
    }

    /// Waits until the broker has so much that all windows until `time` have ended, and until the job has published these;
    /// judges them all.
    pub fn settle(&mut self, time: i64, limit: Duration) {
        let mut patience = Patience::new(3 * limit);
        let until = loop {
            self.take();
            match self.recount.watermark().filter(|watermark| *watermark >= time) {
                Some(watermark) => break watermark,
                None => patience.wait(true, || "the broker gives no newer events".into()),
            }
        };
        let mut patience = Patience::new(limit);
        for board in 0..self.rules.boards.len() {
            for window in 0..self.rules.boards[board].windows.len() {
                self.settle_window(board, window, until, &mut patience);
            }
        }
        let first = self.pending.first_key_value();
        if let Some((name, line)) = first.filter(|((end, ..), _)| *end <= until) {
            panic!("{name:?} should not be there: {line}");
        }
        self.recount.forget_before(until - KEPT);
    }

    fn settle_window(&mut self, board: usize, index: usize, until: i64, patience: &mut Patience) {
        let window = self.rules.boards[board].windows[index].clone();
        let first = || self.recount.first_end(board, &window);
        let Some(mut end) = self.next_ends[board][index].or_else(first) else { return };
        while end <= until {
            for (_, counts, expected) in self.recount.ended(board, &window, end) {
                let name = name(&expected);
                let line = loop {
                    self.take();
                    match self.pending.remove(&name) {
                        Some(line) => break line,
                        None => patience.wait(self.is_served(), || {
                            format!("STALLED: {name:?} is not published: {expected}")
                        }),
                    }
                };
                let actual = parse_finals(&[line]).remove(0);
                self.judged += 1;
                if actual != expected {
                    let board = &self.rules.boards[board];
                    if !self.overflowing.contains(&board.name) {
                        assert_same(&[actual], &[expected]);
                        continue;
                    }
                    judge_claims(&actual, &counts, board.k);
                    self.bounds += 1;
                }
                if name.3 == "{}" {
                    self.newest.insert((name.1, name.2), actual);
                }
            }
            end += window.slide;
        }
        self.next_ends[board][index] = Some(end);
    }

    /// The last ranking of a whole board in a window that was judged.
    pub fn newest(&self, board: &str, window: &str) -> Option<&Value> {
        self.newest.get(&(board.to_owned(), window.to_owned()))
    }
}

/// How long to wait.
struct Patience {
    left: Duration,
    looked: Instant,
}

impl Patience {
    fn new(left: Duration) -> Patience {
        Patience { left, looked: Instant::now() }
    }

    /// Waits a little; panics when there was enough of it. What does not count is no waiting.
    fn wait(&mut self, counts: bool, what: impl FnOnce() -> String) {
        std::thread::sleep(Duration::from_millis(20));
        let waited = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        if counts {
            self.left = self.left.checked_sub(waited).unwrap_or_else(|| panic!("{}", what()));
        }
    }
}

fn name(snapshot: &Value) -> Name {
    let text = |field: &str| snapshot[field].as_str().map_or(snapshot[field].to_string(), str::to_owned);
    (snapshot["window_end"].as_i64().unwrap(), text("board"), text("window"), text("group"))
}
