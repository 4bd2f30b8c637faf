//! The ledger, the classic pair, Apache DataSketches' `FrequentItemsSketch` and `CountMinSketch`, and an exact
//! `HashMap` on the same streams of string keys: what an update, a merge and a slide cost, the memory they hold, and
//! how right their top 100 is, in one run.
//!
//! `cargo bench -p crest-sketches --bench comparison [-- TOPIC…]` measures all topics, or those named: `update`,
//! `accuracy`, `merge`, `slide`, `widening`, `heads`, `distinct`. Sizes are set by the environment: `EVENTS` of a window of a minute
//! (6,000,000), `UPDATES` that are timed (2,000,000), `ROUNDS` (3), `MINUTES` of a day (1440), `PANES` of the hour of a head
//! that shifts (360), `STREAM_SEED` (1).
//! Times are processor time of the one thread; in each round all take turns, and the best round counts. It fails if
//! a bound is violated, and never for being slow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod budgets;
mod clock;
mod contenders;
mod days;
mod distinct;
mod heads;
mod heads_sketch;
mod judge;
mod merges;
mod runners;
mod streams;
mod table;
mod updates;
mod widening;
mod windows;

use contenders::{DELTA, EPSILON, SEED};
use crest_sketches::Shape;
use days::Measured;
use std::process::ExitCode;
use streams::{Draws, Law, Stream};
use updates::Updates;
use windows::Judged;

const TOPICS: [&str; 7] = ["update", "accuracy", "merge", "slide", "widening", "heads", "distinct"];
/// The least and the most events of a window: weighted ones must fit a Count-Min of four bytes a cell.
const EVENTS: std::ops::RangeInclusive<usize> = 10_000..=20_000_000;

struct Settings {
    topics: Vec<String>,
    events: usize,
    updates: usize,
    rounds: usize,
    minutes: u64,
    panes: usize,
    seed: u64,
    /// Of `FrequentItemsSketch`, around the ledger's memory.
    maps: [usize; 2],
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

impl Settings {
    fn new() -> Self {
        let named = std::env::args().skip(1).filter(|argument| argument != "--bench");
        let topics: Vec<_> = named.collect();
        let unknown = topics.iter().find(|topic| !TOPICS.contains(&topic.as_str()));
        assert!(unknown.is_none(), "no topic {unknown:?}: there are {TOPICS:?}");
        let events = setting("EVENTS", 6_000_000);
        assert!(EVENTS.contains(&events), "EVENTS = {events}: allowed are {EVENTS:?}");
        Settings {
            topics,
            events,
            updates: setting("UPDATES", 2_000_000).min(events),
            rounds: setting("ROUNDS", 3).max(1),
            minutes: setting("MINUTES", 1440).max(runners::SLIDES as usize) as u64,
            panes: setting("PANES", heads::PANES).max(1).next_multiple_of(heads::PANES_A_MINUTE),
            seed: setting("STREAM_SEED", 1) as u64,
            maps: contenders::maps_around_the_ledger(),
        }
    }

    fn asks_for(&self, topic: &str) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|named| named == topic)
    }

    fn print(&self) {
        let shape = |shape: Shape| format!("{} rows, {}x{}", shape.rows(), shape.depth(), shape.width());
        let count_min = contenders::count_min();
        println!(
            "{} events a window and {} timed updates, best of {} rounds; keys of 10 to 60 bytes, 35 in the mean; \
             stream seed {}, hash seed {SEED}; epsilon {EPSILON}, delta {DELTA}; ledger {}; classic {}; \
             CountMin {}x{}; FrequentItems maps of 2048, {} and {}, and {} for a window; {} minutes a day; \
             batches of {}.\n",
            self.events,
            self.updates,
            self.rounds,
            self.seed,
            shape(contenders::ledger_shape()),
            shape(contenders::classic_shape()),
            count_min.num_hashes(),
            count_min.num_buckets(),
            self.maps[0],
            self.maps[1],
            windows::WINDOW_MAP,
            self.minutes,
            contenders::BATCH,
        );
    }
}

/// What was measured.
#[derive(Default)]
struct Results {
    updates: Vec<Updates>,
    judged: Vec<Judged>,
    merges: Vec<merges::Merges>,
    widenings: Vec<widening::Widening>,
    days: Vec<Measured>,
    heads: Vec<heads::Shifted>,
    distinct: distinct::Distinct,
}

impl Results {
    fn measure(settings: &Settings) -> Self {
        let mut results = Results::default();
        let weighted = Law { exponent: 1.0, items: 1_000_000, weighted: true };
        for law in streams::laws().into_iter().chain([weighted]) {
            results.measure_stream(settings, law);
        }
        if settings.asks_for("slide") {
            let contenders = contenders::answering(settings.maps);
            results.days = days::measure(&contenders, settings.maps[0], settings.minutes, settings.seed);
        }
        if settings.asks_for("heads") {
            results.heads = heads::measure(settings.panes, settings.seed);
        }
        if settings.asks_for("distinct") {
            let Settings { updates, rounds, minutes, seed, .. } = *settings;
            results.distinct = distinct::measure(updates, rounds, minutes, seed);
        }
        results
    }

    /// The topics that one stream is enough for.
    fn measure_stream(&mut self, settings: &Settings, law: Law) {
        let Settings { maps, events, updates, rounds, .. } = *settings;
        // The head of one law and the flatness of another show the rest.
        let is_typical = law.name() == "Zipf 1.0, 1M" || law.name() == "uniform, 10M";
        let asks = |topic: &str| settings.asks_for(topic);
        let topics =
            [("update", !law.weighted), ("accuracy", true), ("merge", is_typical), ("widening", is_typical)]
                .map(|(topic, fits)| fits && asks(topic));
        if topics == [false; 4] {
            return;
        }
        eprintln!("{}", law.name());
        let stream: Stream = Draws::new(law, settings.seed).stream(events);
        let answering = contenders::answering(maps);
        let [update, accuracy, merge, widen] = topics;
        if update {
            let timed = stream.all().first(updates);
            self.updates.push(updates::measure(law, &contenders::everyone(maps), timed, rounds));
        }
        if accuracy {
            self.judged.extend(windows::measure(law, &answering, &stream));
        }
        if merge {
            self.merges.push(merges::measure(&law.name(), &answering, &stream, events / windows::PANES));
        }
        if widen {
            let shape = contenders::ledger_shape();
            self.widenings.push(widening::measure(&law.name(), &shape, &stream, updates, rounds));
        }
    }

    fn print(&self, settings: &Settings) {
        if settings.asks_for("update") {
            updates::print(&self.updates);
        }
        if settings.asks_for("accuracy") {
            windows::print(&self.judged);
        }
        if settings.asks_for("merge") {
            merges::print(&self.merges);
        }
        if settings.asks_for("slide") {
            days::print(&self.days, settings.minutes);
        }
        if settings.asks_for("widening") {
            widening::print(&self.widenings);
        }
        if settings.asks_for("heads") {
            heads::print(&self.heads);
        }
        if settings.asks_for("distinct") {
            distinct::print(&self.distinct);
        }
        budgets::print(&self.updates, &self.judged, &self.days, &self.heads);
    }

    /// Of bounds, by anyone.
    fn violations(&self) -> usize {
        let of_windows = self.judged.iter().map(|judged| &judged.verdict);
        let of_days = self.days.iter().flat_map(|day| &day.verdicts).map(|(.., verdict)| verdict);
        let of_heads = self.heads.iter().flat_map(|shifted| &shifted.verdicts);
        of_windows.chain(of_days).chain(of_heads).map(|verdict| verdict.violations).sum::<usize>()
            + self.distinct.violations
    }
}

fn main() -> ExitCode {
    let settings = Settings::new();
    settings.print();
    let results = Results::measure(&settings);
    results.print(&settings);
    match results.violations() {
        0 => ExitCode::SUCCESS,
        violations => {
            eprintln!("{violations} items are not within their bounds");
            ExitCode::FAILURE
        }
    }
}
