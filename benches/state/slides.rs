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
        "{:<26} {:>10} {:>16} {:>24} {:>24}",
        "windows", "MB", "of a ring's MB", "ms an end, median", "most"
    );
    let held = [&day.default, &day.fine].map(|variant| slide(day, variant));
    for variant in [&day.default, &day.fine] {
        budget(
            &format!("memory, {}", variant.name),
            32.0,
            if std::ptr::eq(variant, &day.default) { held[0].0 } else { held[1].0 },
            "MB",
        );
    }
    budget("an end of all windows, last_24h among them, default", 5.0, held[0].1, "ms");
    budget("the same where last_24h slides by 10 s", 5.0, held[1].1, "ms");
    println!();
}

/// The megabytes held, and the milliseconds of an end of the day.
fn slide(day: &Day, variant: &Variant) -> (f64, f64) {
    let copy = day.copy(variant);
    let made: Vec<_> = (day.end..day.end + PANES).map(|pane| (pane, day.traffic.pane(pane))).collect();
    let watch = Arc::new(Stopwatch::default());
    let (sender, panes) = sync_channel(made.len());
    made.into_iter().for_each(|pane| sender.send(pane).unwrap());
    let job = day.start(variant, copy.path(), watch.clone(), panes);
    let end = (day.end + PANES) as i64 * PANE_MS;
    let mut bytes = 0;
    while !watch.ends.lock().unwrap().contains_key(&end) {
        std::thread::sleep(Duration::from_millis(1));
        bytes = job.view.boards().values().map(|board| board.window_bytes).sum::<u64>().max(bytes);
    }
    bytes = job.view.boards().values().map(|board| board.window_bytes).sum::<u64>().max(bytes);
    job.stop();

    let ends = watch.ends.lock().unwrap();
    // The first one is that of the pane after all that is loaded.
    let new = ends.range((day.end as i64 + 2) * PANE_MS..).map(|(_, end)| end);
    let (with_day, without): (Vec<&End>, Vec<&End>) = new.partition(|end| end.windows == 3);
    let megabytes = bytes as f64 / 1e6;
    let times = |ends: &[&End]| ends.iter().map(|end| ms(end.spent)).collect::<Vec<f64>>();
    for (ends, which) in [(&without, "last_1m, last_1h"), (&with_day, "all three")] {
        if ends.is_empty() {
            continue;
        }
        println!(
            "{:<26} {megabytes:>10.1} {:>16.3} {:>24} {:>24}",
            variant.name,
            bytes as f64 / RING,
            format!("{:.2} ({which})", median(&times(ends))),
            format!("{:.2}", most(&times(ends))),
        );
    }
    (megabytes, median(&times(&with_day)))
}

/// Notes what passes from one final snapshot to the next.
#[derive(Default)]
struct Stopwatch {
    last: Mutex<Option<Instant>>,
    ends: Mutex<BTreeMap<i64, End>>,
}

/// An end of windows.
#[derive(Default)]
struct End {
    windows: usize,
    spent: Duration,
}

impl SnapshotSink for Stopwatch {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        let now = Instant::now();
        let since = self.last.lock().unwrap().replace(now);
        if snapshot.is_final {
            let mut ends = self.ends.lock().unwrap();
            let end = ends.entry(snapshot.window_end).or_default();
            end.windows += 1;
            end.spent += since.map_or(Duration::ZERO, |since| now - since);
        }
    }

    /// Asked before the windows go on.
    fn ready(&self) -> bool {
        *self.last.lock().unwrap() = Some(Instant::now());
        true
    }

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}
