//! What an exact board holds follows its windows, not how long it has run.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_state::spec::{Engine, WindowSpec};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Event, Feed, Running, T0, spec};

const SLIDES: i64 = 10_000;
/// In each slide, all of them items that never come again.
const EVENTS: i64 = 60;

/// Notes, as windows end, how much of the machine's memory the process has.
#[derive(Default)]
struct Weighed(Mutex<Vec<(i64, u64)>>);

impl SnapshotSink for Weighed {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        let slide = (snapshot.window_end - T0) / 1000;
        if snapshot.is_final && snapshot.group.is_whole() && slide % 100 == 0 {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
            self.0.lock().unwrap().push((slide, resident * 4096));
        }
    }

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn ten_thousand_slides_hold_no_more_than_a_thousand() {
    let mut spec = spec();
    let second = Duration::from_secs(1);
    spec.time.pane = second;
    spec.boards[0].engine = Engine::Exact;
    spec.boards[0].by = vec!["region".into()];
    spec.boards[0].windows = vec![WindowSpec::sliding("last_1m", 60 * second, second)];
    let event = |n: i64| Event {
        region: Some(format!("r{}", n / EVENTS / 100)),
        ..Event::new(T0 + n * 1000 / EVENTS, &format!("{n:020}"))
    };
    let partitions: Vec<Vec<Event>> =
        (0..2).map(|p| (0..SLIDES * EVENTS).filter(|n| n % 2 == p).map(event).collect()).collect();
    let feed = Feed::bounded(&partitions);
    drop(partitions);
    let weighed = Arc::new(Weighed::default());
    Running::into_sink(&spec, &feed, 2, weighed.clone()).finish();
    let weighed = weighed.0.lock().unwrap();
    let most = |from: i64, to: i64| {
        weighed.iter().filter(|(slide, _)| (from..to).contains(slide)).map(|(_, bytes)| *bytes).max().unwrap()
    };
    let (early, late) = (most(500, 1500), most(SLIDES - 1000, SLIDES + 1));
    // Each of the nine thousand slides between has 60 new items, in two groups: one kept by mistake, in 24 bytes only,
    // would be 26 MB.
    println!("{early} bytes after a thousand slides, {late} after ten thousand");
    assert!(late < early + (12 << 20), "{early} bytes after a thousand slides, {late} after ten thousand");
}
