//! The main job against its baselines, in one run: events a second, processor time an event and peak memory,
//! from files and from a local broker, for one worker and two; what groups and boards cost; the memory that
//! long ids take; and how fresh Redis is at a steady rate.
//!
//! `cargo bench --bench pipeline` measures all, and `cargo bench --bench pipeline -- kafka fresh` these parts (`files`,
//! `groups`, `boards`, `ids`, `kafka`, `fresh`). Sizes are set by the environment: `EVENTS` (5,000,000), `ITEMS`
//! (1,000,000), `ROUNDS` (3), `LONG_IDS` (10,000,000), `FRESH_SECONDS` (30), `RATE` (100,000). `OTHER_CREST` is the
//! path of another build of Crest, which is then measured beside this one. What is measured runs as a process of its own, and rounds take turns, since machines are
//! shared; medians are printed, and ratios to the baseline of the same run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod baseline;
mod boards;
mod figures;
mod files;
mod fresh;
mod groups;
#[path = "../formats/ids.rs"]
mod ids;
mod kafka;
#[path = "../formats/lines.rs"]
mod lines;
mod long_ids;
mod measure;
#[path = "../formats/panes.rs"]
mod panes;
mod program;
mod servers;
mod traffic;
#[path = "../formats/windows.rs"]
mod windows;

/// The parts that can be measured alone.
const PARTS: [&str; 6] = ["files", "groups", "boards", "ids", "kafka", "fresh"];

pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["baseline", files] => baseline::count(files, &windows::WINDOWS),
        ["drain", url, events] => kafka::drain(url, events.parse().unwrap()),
        ["poll", url, events] => kafka::poll(url, events.parse().unwrap()),
        ["long-ids", ids] => long_ids::write(ids.parse().unwrap()),
        [] => measure(&PARTS),
        parts if parts.iter().all(|part| PARTS.contains(part)) => measure(parts),
        other => panic!("unknown arguments {other:?}; the parts are {PARTS:?}"),
    }
}

fn measure(parts: &[&str]) {
    let (events, items, rounds) =
        (setting("EVENTS", 5_000_000), setting("ITEMS", 1_000_000), setting("ROUNDS", 3));
    let dir = tempfile::tempdir().unwrap();
    println!("{events} events, Zipf 1.0 over {items} items, medians of {rounds} rounds\n");
    traffic::write(dir.path(), events, items, 4);
    if parts.contains(&"files") {
        files::measure(dir.path(), events, rounds);
    }
    if parts.contains(&"groups") {
        groups::measure(dir.path(), events, items, rounds);
    }
    if parts.contains(&"boards") {
        boards::measure(dir.path(), events, rounds);
    }
    if parts.contains(&"ids") {
        long_ids::measure(setting("LONG_IDS", 10_000_000));
    }
    if parts.contains(&"kafka") || parts.contains(&"fresh") {
        let broker = servers::Servers::start(dir.path());
        if parts.contains(&"kafka") {
            kafka::measure(&broker, dir.path(), events, rounds);
        }
        if parts.contains(&"fresh") {
            fresh::measure(&broker, setting("RATE", 100_000), setting("FRESH_SECONDS", 30), rounds);
        }
    }
}
