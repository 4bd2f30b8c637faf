//! Rankings of past intervals, from the state.

use crate::day::{Day, PANE_MS};
use crate::report::{median, ms};
use crest_connectors::group_key::GroupKey;
use crest_connectors::state::StateStore;
use crest_state::history::{History, Interval};
use crest_state::pane::Pane;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Instant;

const K: usize = 100;
/// In panes, of a day that is kept as panes.
const WIDTHS: [(&str, Pane); 3] = [("7 min", 42), ("3 h", 1080), ("24 h", 8640)];

pub fn measure(day: &Day, rounds: usize) {
    let store = StateStore::open_to_read(day.default.state.to_str().unwrap(), &Default::default()).unwrap();
    let mut random = StdRng::seed_from_u64(5);
    println!(
        "{:<10} {:>8} {:>12} {:>12} {:>10} {:>14}",
        "interval", "blocks", "first ms", "again ms", "of K sure", "error floor %"
    );
    for (name, width) in WIDTHS {
        let (mut first, mut again, mut blocks, mut sure, mut floor) =
            (vec![], vec![], vec![], vec![], vec![]);
        // One that begins and ends anywhere, of the last day.
        for _ in 0..rounds.max(3) {
            let history = History::open(store.clone()).unwrap();
            let end = day.end - random.random_range(0..=8640 - width);
            let interval = Interval::Between((end - width) as i64 * PANE_MS, end as i64 * PANE_MS);
            for times in [&mut first, &mut again] {
                let started = Instant::now();
                let past = history.rank("default", &GroupKey::WHOLE, interval, K).unwrap();
                times.push(ms(started.elapsed()));
                let ranking = past.ranking.unwrap();
                blocks.push(past.blocks as f64);
                sure.push(ranking.guaranteed() as f64);
                floor.push(100.0 * ranking.floor as f64 / ranking.total as f64);
            }
        }
        println!(
            "{name:<10} {:>8.0} {:>12.1} {:>12.1} {:>10.0} {:>14.4}",
            median(&blocks),
            median(&first),
            median(&again),
            median(&sure),
            median(&floor)
        );
    }
    println!();
}
