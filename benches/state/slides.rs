//! What the windows hold, and what it costs to slide them over one pane: adding it, rolling up, taking the oldest out,
//! ranking and making the snapshots of all windows that end there.

use crate::day::{Day, PANE_MS, Variant};
use crate::report::{budget, median, most, ms};
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Panes over which the windows slide: 20 min.
const PANES: u64 = 120;
/// A slot of a ring of plain Count-Min sketches, one a pane of the day.
const RING: f64 = 108_000.0 * 8640.0;

pub fn measure(day: &Day) {
    println!(
        "{:<26} {:>6} {:>9} {:>34} {:>8} {:>8} {:>10} {:>9}",
        "windows", "MB", "of a ring", "an end of", "ms", "most ms", "of K sure", "floor %"
    );
    let slid = [&day.default, &day.fine].map(|variant| slide(day, variant));
    for (variant, slid) in [&day.default, &day.fine].into_iter().zip(&slid) {
        budget(&format!("memory of the windows, {}", variant.name), 32.0, slid.megabytes, "MB");
        budget(&format!("a slide of last_24h and its rollups, {}", variant.name), 5.0, slid.day, "ms");
    }
    println!();
}

struct Slid {
    megabytes: f64,
    /// Milliseconds that an end of all windows takes more than one without the day's; all of it where there is none.
    day: f64,
}

fn slide(day: &Day, variant: &Variant) -> Slid {
    let copy = day.copy(variant);
    let made: Vec<_> = (day.end..day.end + PANES).map(|pane| (pane, day.traffic.pane(pane))).collect();
    let watch = Arc::new(Stopwatch::default());
    let (sender, panes) = sync_channel(made.len());
    made.into_iter().for_each(|pane| sender.send(pane).unwrap());
    let job = day.start(variant, copy.path(), watch.clone(), panes);
    let end = (day.end + PANES) as i64 * PANE_MS;
    let held = || job.view.boards().values().map(|board| board.window_bytes).sum::<u64>();
    let mut bytes = 0;
    while !watch.ends.lock().unwrap().contains_key(&end) {
        std::thread::sleep(Duration::from_millis(1));
        bytes = held().max(bytes);
    }
    let megabytes = bytes as f64 / 1e6;
    job.stop();

    let ends = watch.ends.lock().unwrap();
    // The first one is that of the pane after all that is loaded.
    let new = ends.range((day.end as i64 + 2) * PANE_MS..).map(|(_, end)| end);
    let (with_day, without): (Vec<&End>, Vec<&End>) = new.partition(|end| end.windows == 3);
    let times = |ends: &[&End]| ends.iter().map(|end| ms(end.spent)).collect::<Vec<f64>>();
    let last = with_day.last().unwrap();
    let quality = [last.sure.to_string(), format!("{:.4}", 100.0 * last.floor)];
    let none = [String::new(), String::new()];
    let rows = [(&without, "last_1m, last_1h", none), (&with_day, "all three, rollups", quality)];
    for (ends, of, [sure, floor]) in rows.into_iter().filter(|(ends, ..)| !ends.is_empty()) {
        println!(
            "{:<26} {megabytes:>6.1} {:>9.3} {of:>34} {:>8.2} {:>8.2} {sure:>10} {floor:>9}",
            variant.name,
            bytes as f64 / RING,
            median(&times(ends)),
            most(&times(ends)),
        );
    }
    let others = if without.is_empty() { 0.0 } else { median(&times(&without)) };
    Slid { megabytes, day: median(&times(&with_day)) - others }
}

/// Notes what the windows take for each end, which may be more than one turn.
#[derive(Default)]
struct Stopwatch {
    turn: Mutex<Turn>,
    ends: Mutex<BTreeMap<i64, End>>,
}

/// A turn of the windows.
#[derive(Default)]
struct Turn {
    /// When it began, or the last snapshot came.
    since: Option<Instant>,
    /// Of turns before it, for an end that came in none of them.
    before: Duration,
}

/// An end of windows.
#[derive(Default)]
struct End {
    windows: usize,
    spent: Duration,
    /// Of the day's ranking: rows that are certain, and the error floor as a part of the total.
    sure: u32,
    floor: f64,
}

impl Turn {
    /// What was spent on an end so far.
    fn lap(&mut self, since: Option<Instant>) -> Duration {
        let begun = std::mem::replace(&mut self.since, since);
        std::mem::take(&mut self.before) + begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }
}

impl SnapshotSink for Stopwatch {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        let spent = self.turn.lock().unwrap().lap(Some(Instant::now()));
        let mut ends = self.ends.lock().unwrap();
        let end = ends.entry(snapshot.window_end).or_default();
        end.windows += 1;
        end.spent += spent;
        if &*snapshot.window == "last_24h" {
            end.sure = snapshot.guaranteed;
            end.floor = snapshot.error_floor as f64 / snapshot.total as f64;
        }
    }

    /// Asked before a turn.
    fn ready(&self) -> bool {
        self.turn.lock().unwrap().since = Some(Instant::now());
        true
    }

    /// Said after a turn.
    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {
        let mut turn = self.turn.lock().unwrap();
        turn.before = turn.lap(None);
    }

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}
