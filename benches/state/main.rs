//! What durable state costs and gives, over a day of panes of 100,000 active items: how fast a restart goes on, against
//! loading every pane; the bytes of panes and rollups; the memory of the windows and the cost of a slide; queries of
//! the past; and events a second with state against without.
//!
//! `cargo bench --bench state` measures all; sizes are set by the environment: `EVENTS_A_PANE` (350,000, of Zipf 1.0
//! over 1,000,000 ids: 100,000 of them), `PANES` (8,993: a day and 58 min 50 s, so that all levels have blocks that no
//! rollup holds yet), `ROUNDS` (5), `EVENTS` (10,000,000, for the rates), and `DAY`, a folder that keeps the states
//! of the day from one run to the next. Counting three billion events as text would take a quarter of an hour, so the day
//! is made of pane sketches, which go through the job from where those of the workers would come. Restarts are
//! those of the program, on files that go on where the day ends. The files of a state are in the system's cache.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod day;
mod draws;
mod feed;
#[path = "../pipeline/figures.rs"]
mod figures;
#[path = "../pipeline/measure.rs"]
mod measure;
mod panes;
mod queries;
mod rates;
mod report;
mod restore;
mod sizes;
mod slides;
#[path = "../pipeline/traffic.rs"]
mod traffic;

use day::Day;

pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

fn main() {
    let rounds = setting("ROUNDS", 5);
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("DAY").map(std::path::PathBuf::from);
    let day = Day::make(kept.as_deref().unwrap_or(temporary.path()));
    restore::measure(&day, rounds);
    sizes::measure(&day);
    slides::measure(&day);
    queries::measure(&day, rounds);
    rates::measure(rounds);
}
