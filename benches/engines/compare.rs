//! Both engines on one input and window: a row of the table.

use crate::input::{Input, PANE_SECONDS, Window};
use crate::measure::{Cost, run};
use std::process::Command;

const ENGINES: [&str; 2] = ["sketch", "exact"];

/// What each engine took; times in seconds, memory in bytes.
pub struct Compared {
    pub distinct: usize,
    events: usize,
    pub sketch: Cost,
    pub exact: Cost,
}

pub fn compare(input: &Input, window: &Window, workers: usize, rounds: usize) -> Compared {
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (engine, costs) in ENGINES.iter().zip(&mut costs) {
            costs.push(run(&mut job(input, window, workers, engine), |_| false));
        }
    }
    let [sketch, exact] = costs.map(|costs| medians(&costs));
    Compared { distinct: input.distinct(window), events: input.events, sketch, exact }
}

fn job(input: &Input, window: &Window, workers: usize, engine: &str) -> Command {
    let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
    crest.args(["--source", &input.source(), "--snapshots", "-", "--engine", engine]);
    crest.args(["-w", &workers.to_string(), "--pane", &format!("{PANE_SECONDS}s")]);
    crest.args(["--window", &format!("{}={}/{PANE_SECONDS}s", window.name, window.size)]);
    crest.env("CREST_LOG", "warn");
    crest
}

/// Of each figure by itself.
fn medians(costs: &[Cost]) -> Cost {
    let median = |of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        wall: median(|cost| cost.wall),
        cpu: median(|cost| cost.cpu),
        workers_cpu: median(|cost| cost.workers_cpu),
        peak: median(|cost| cost.peak),
    }
}

pub fn print_head() {
    println!(
        "{:>10}  {:<8} {:^30}  {:^22}  {:^22}",
        "distinct", "window", "events/s", "CPU ns an event", "peak MB"
    );
    println!(
        "{:>10}  {:<8} {:>11} {:>11} {:>6}  {:>7} {:>7} {:>6}  {:>7} {:>7} {:>6}",
        "", "", "sketch", "exact", "ratio", "sketch", "exact", "ratio", "sketch", "exact", "ratio"
    );
}

impl Compared {
    pub fn print(&self, window: &Window) {
        let ratio = |of: fn(&Cost) -> f64| of(&self.exact) / of(&self.sketch);
        let rate = |cost: &Cost| self.events as f64 / cost.wall;
        let ns = |cost: &Cost| cost.cpu * 1e9 / self.events as f64;
        let (sketch, exact) = (&self.sketch, &self.exact);
        println!(
            "{:>10}  {:<8} {:>11.0} {:>11.0} {:>6.2}  {:>7.0} {:>7.0} {:>6.2}  {:>7.0} {:>7.0} {:>6.2}",
            self.distinct,
            window.name,
            rate(sketch),
            rate(exact),
            1.0 / ratio(|cost| cost.wall),
            ns(sketch),
            ns(exact),
            ratio(|cost| cost.cpu),
            sketch.peak / 1e6,
            exact.peak / 1e6,
            self.memory_ratio(),
        );
    }

    /// Exact to sketch.
    pub fn memory_ratio(&self) -> f64 {
        self.exact.peak / self.sketch.peak
    }
}
