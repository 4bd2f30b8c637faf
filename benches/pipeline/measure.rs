//! A process, measured from outside: wall time, processor time in all and of its workers, peak memory.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What one run took. Times in seconds, memory in bytes.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
    pub workers_cpu: f64,
    pub peak: f64,
}

/// The clock ticks of Linux's /proc, a second.
const TICKS: f64 = 100.0;

/// Runs until `done` says so, or until the process ends; then it is killed.
pub fn run(command: &mut Command, done: impl FnMut(f64) -> bool) -> Cost {
    run_from(Stdio::null(), command, done)
}

/// The same, with something to read.
pub fn run_from(stdin: Stdio, command: &mut Command, mut done: impl FnMut(f64) -> bool) -> Cost {
    let (started, cpu_before) = (Instant::now(), cpu_of_children());
    let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut cost = Cost::default();
    loop {
        std::thread::sleep(Duration::from_millis(5));
        look(&child, &mut cost);
        let ended = child.try_wait().unwrap();
        let wall = started.elapsed().as_secs_f64();
        if ended.is_some() || done(wall) {
            cost.wall = wall;
            assert!(ended.is_none_or(|status| status.success()), "{command:?} failed");
            end(&mut child);
            cost.cpu = cpu_of_children() - cpu_before;
            return cost;
        }
    }
}

/// User and system time of all children that have ended, in seconds: to the microsecond, where `/proc` counts ticks.
fn cpu_of_children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn look(child: &Child, cost: &mut Cost) {
    let proc = format!("/proc/{}", child.id());
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    for line in read(format!("{proc}/status")).lines() {
        if let Some(peak) = line.strip_prefix("VmHWM:") {
            let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
            cost.peak = cost.peak.max(kib * 1024.0);
        }
    }
    let tasks = std::fs::read_dir(format!("{proc}/task")).into_iter().flatten().flatten();
    let stats = tasks.map(|task| read(format!("{}/stat", task.path().display())));
    let workers: f64 = stats.filter(|stat| stat.contains("(timely:work")).map(|stat| ticks(&stat)).sum();
    cost.workers_cpu = cost.workers_cpu.max(workers);
}

/// User and system time of a `stat` line, in seconds.
fn ticks(stat: &str) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let field =
        |n: usize| after_name.split_whitespace().nth(n).and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
    (field(11) + field(12)) / TICKS
}

/// The rows of one table, measured in turns.
pub struct Table {
    events: f64,
    rows: Vec<(String, Vec<Cost>)>,
}

impl Table {
    pub fn new(events: usize, names: &[impl ToString]) -> Self {
        Table {
            events: events as f64,
            rows: names.iter().map(|name| (name.to_string(), Vec::new())).collect(),
        }
    }

    pub fn add(&mut self, row: usize, cost: Cost) {
        self.rows[row].1.push(cost);
    }

    /// The middle one of the rounds of a row.
    pub fn median(&self, row: usize, of: fn(&Cost) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rows[row].1.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// Prints medians; ratios are of events a second and of processor time, to the first row.
    pub fn print(&self, title: &str) {
        println!(
            "{title:<34} {:>12} {:>8} {:>12} {:>9} {:>15} {:>9}",
            "events/s", "ratio", "CPU ns/event", "CPU ratio", "worker ns/event", "peak MB"
        );
        let base = self.events / self.median(0, |cost| cost.wall);
        let base_cpu = self.median(0, |cost| cost.cpu);
        for (row, (name, _)) in self.rows.iter().enumerate() {
            let rate = self.events / self.median(row, |cost| cost.wall);
            let ns = |of| self.median(row, of) * 1e9 / self.events;
            println!(
                "{name:<34} {rate:>12.0} {:>8.2} {:>12.0} {:>9.2} {:>15.0} {:>9.0}",
                rate / base,
                ns(|cost| cost.cpu),
                self.median(row, |cost| cost.cpu) / base_cpu,
                ns(|cost| cost.workers_cpu),
                self.median(row, |cost| cost.peak) / 1e6
            );
        }
        println!();
    }
}

/// How many times the events a second of one row another one has.
#[allow(dead_code)] // some benches have tables of their own
pub fn speed_up(table: &Table, from: usize, to: usize) -> f64 {
    table.median(from, |cost| cost.wall) / table.median(to, |cost| cost.wall)
}
