//! The program: lives the plans of many seeds, and shows the first that goes wrong, made smaller.

use clap::Parser;
use crest_simulator::core;
use crest_simulator::plan::{LifePlan, Plan};
use crest_simulator::shrink::shrink;
use crest_simulator::world::{Outcome, live};
use parking_lot::Mutex;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it says how far it is.
const NEWS: Duration = Duration::from_secs(10);

/// Simulates whole jobs: each seed decides on one, with its events, faults and kills, and its rankings are held against a
/// recount.
#[derive(Parser)]
#[command(name = "simulate")]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to try.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Stop after so many minutes, however many seeds are left.
    #[arg(long)]
    minutes: Option<u64>,
    /// Go on after a seed that went wrong.
    #[arg(long)]
    keep_going: bool,
    /// How many simulations run at a time [default: one on each processor].
    #[arg(long)]
    jobs: Option<usize>,
}

/// What all simulations came to.
#[derive(Default)]
struct Sum {
    simulations: u64,
    wrong: u64,
    finals: usize,
    turns: u64,
    time: Duration,
    told: Option<Instant>,
}

/// What went wrong first.
type Wrong = (u64, Plan, Outcome);

fn main() -> ExitCode {
    let args = Args::parse();
    let run = Run {
        began: Instant::now(),
        sum: Mutex::default(),
        wrong: Mutex::default(),
        next: AtomicU64::new(args.seed),
        args,
    };
    let cores = core::available();
    std::thread::scope(|scope| {
        for number in 0..run.args.jobs.unwrap_or(cores.len()).max(1) {
            let (run, cores) = (&run, &cores);
            scope.spawn(move || {
                core::keep_to(cores, number);
                run.try_seeds();
            });
        }
    });
    let Run { sum, wrong, began, .. } = run;
    sum.into_inner().tell(began.elapsed());
    match wrong.into_inner() {
        None => ExitCode::SUCCESS,
        Some(wrong) => {
            core::keep_to(&cores, 0);
            show(wrong);
            ExitCode::FAILURE
        }
    }
}

/// What the threads share.
struct Run {
    args: Args,
    began: Instant,
    next: AtomicU64,
    sum: Mutex<Sum>,
    wrong: Mutex<Option<Wrong>>,
}

impl Run {
    fn try_seeds(&self) {
        let Args { seed, count, minutes, keep_going, .. } = self.args;
        let in_time =
            || minutes.is_none_or(|minutes| self.began.elapsed() < Duration::from_secs(60 * minutes));
        while in_time() && (keep_going || self.wrong.lock().is_none()) {
            let seed_tried = self.next.fetch_add(1, Ordering::SeqCst);
            if seed_tried - seed >= count {
                return;
            }
            self.try_seed(seed_tried);
        }
    }

    fn try_seed(&self, seed: u64) {
        let plan = Plan::of(seed);
        let outcome = live(&plan);
        {
            let mut sum = self.sum.lock();
            sum.add(&outcome);
            if sum.told.is_none_or(|told| told.elapsed() >= NEWS) {
                sum.told = Some(Instant::now());
                sum.tell(self.began.elapsed());
            }
        }
        if !outcome.faults.is_empty() {
            eprintln!("seed {seed}: {}", outcome.faults.join("; "));
            self.wrong.lock().get_or_insert((seed, plan, outcome));
        }
    }
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.simulations += 1;
        self.wrong += u64::from(!outcome.faults.is_empty());
        self.finals += outcome.finals;
        self.turns += outcome.turns;
        self.time += outcome.took;
    }

    fn tell(&self, took: Duration) {
        let a_minute = self.simulations as f64 * 60.0 / took.as_secs_f64();
        eprintln!(
            "{} simulations, {} wrong; {} final rankings, {} turns, {} s of simulated time; {a_minute:.0} a minute, {} MB at most",
            self.simulations,
            self.wrong,
            self.finals,
            self.turns,
            self.time.as_secs(),
            most_memory() / 1000,
        );
    }
}

/// The most memory that the process has had, in kB; 0 where the system does not say.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Shows what went wrong, in the smallest plan that is found.
fn show((seed, plan, outcome): Wrong) {
    eprintln!("seed {seed} went wrong:");
    outcome.faults.iter().for_each(|fault| eprintln!("  {fault}"));
    eprintln!("run it again with --seed {seed} --count 1; made smaller, it goes wrong so:");
    let (plan, outcome) = shrink(plan, outcome);
    outcome.faults.iter().for_each(|fault| eprintln!("  {fault}"));
    for (life, boards) in plan.lives.iter().map(|life| (life, &life.boards)) {
        let LifePlan { workers, processes, end, settings, .. } = life;
        eprintln!("  life: {workers} workers, {processes} processes, {end:?}, {settings:?}");
        eprintln!("    reset: {:?}", boards.reset);
        boards.specs.iter().for_each(|board| eprintln!("    board: {board:?}"));
    }
    eprintln!("  faults: {:?}, outages: {:?}, jumps: {:?}", plan.faults, plan.outages, plan.jumps);
    eprintln!("  truncations: {:?}", plan.truncations);
    eprintln!("  time: {:?}", plan.spec.time);
    for (partition, events) in plan.partitions.iter().enumerate() {
        eprintln!("  partition {partition}, {} events:", events.len());
        events.iter().take(20).for_each(|event| eprintln!("    {event:?}"));
    }
}
