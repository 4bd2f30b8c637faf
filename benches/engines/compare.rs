//! Both engines and the sum on one input and window: a row of the table.

use crate::figures::note;
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
    sum: Cost,
}

pub fn compare(input: &Input, window: &Window, workers: usize, rounds: usize) -> Compared {
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (engine, costs) in ENGINES.iter().zip(&mut costs) {
            costs.push(run(&mut job(input, window, workers, engine), |_| false));
        }
        let mut sum = Command::new(std::env::current_exe().unwrap());
        costs[2].push(run(sum.args(["sum", &input.files(), window.name]), |_| false));
    }
    let [sketch, exact, sum] = costs.map(|costs| medians(&costs));
    Compared { distinct: input.distinct(window), events: input.events, sketch, exact, sum }
}

fn job(input: &Input, window: &Window, workers: usize, engine: &str) -> Command {
    let mut crest = Command::new(env!("CARGO_BIN_EXE_crest"));
    crest.args(["--source", &format!("file:{}", input.files()), "--snapshots", "-", "--engine", engine]);
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
        "{:>10}  {:<8} {:^23}  {:^39}  {:^39}",
        "distinct", "window", "events/s", "CPU ns an event", "peak MB"
    );
    let of = ["sketch", "exact", "ratio", "sum", "to sum"];
    println!(
        "{:>10}  {:<8} {:>11} {:>11}  {:>7} {:>7} {:>7} {:>7} {:>7}  {:>7} {:>7} {:>7} {:>7} {:>7}",
        "", "", of[0], of[1], of[0], of[1], of[2], of[3], of[4], of[0], of[1], of[2], of[3], of[4]
    );
}

impl Compared {
    pub fn print(&self, window: &Window) {
        let (sketch, exact, sum) = (&self.sketch, &self.exact, &self.sum);
        let rate = |cost: &Cost| self.events as f64 / cost.wall;
        print!("{:>10}  {:<8} {:>11.0} {:>11.0}", self.distinct, window.name, rate(sketch), rate(exact));
        for (of, unit) in [
            ((|cost: &Cost| cost.cpu) as fn(&Cost) -> f64, 1e9 / self.events as f64),
            (|cost: &Cost| cost.peak, 1e-6),
        ] {
            let [sketch, exact, sum] = [sketch, exact, sum].map(|cost| of(cost) * unit);
            print!("  {sketch:>7.0} {exact:>7.0} {:>7.2} {sum:>7.0} {:>7.2}", exact / sketch, exact / sum);
        }
        println!();
    }

    /// Notes how the exact engine compares with the sum.
    pub fn note(&self, items: &str, window: &Window) {
        let what = format!("exact engine, {} {items} items in {}", self.distinct, window.name);
        note(&what, self.exact.cpu / self.sum.cpu, "of the sliding sum's CPU", "1.2");
        note(&what, self.exact.peak / self.sum.peak, "of the sliding sum's memory", "1.2");
    }

    /// Exact to sketch.
    pub fn memory_ratio(&self) -> f64 {
        self.exact.peak / self.sketch.peak
    }
}
