//! The program: lives the plans of many seeds, and shows the first that goes wrong, made smaller.

use clap::Parser;
use crest_simulator::plan::Plan;
use crest_simulator::shrink::shrink;
use crest_simulator::world::{Outcome, live};
use std::process::ExitCode;
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
    /// How many seeds to try, one after the other.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Stop after so many minutes, however many seeds are left.
    #[arg(long)]
    minutes: Option<u64>,
    /// Go on after a seed that went wrong, and show only how.
    #[arg(long)]
    keep_going: bool,
}

/// What all simulations came to.
#[derive(Default)]
struct Sum {
    simulations: u64,
    wrong: u64,
    finals: usize,
    turns: u64,
    time: Duration,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (began, mut told, mut sum) = (Instant::now(), Instant::now(), Sum::default());
    let in_time = || args.minutes.is_none_or(|minutes| began.elapsed() < Duration::from_secs(60 * minutes));
    for seed in args.seed..args.seed.saturating_add(args.count) {
        if !in_time() {
            break;
        }
        let plan = Plan::of(seed);
        let outcome = live(&plan);
        sum.add(&outcome);
        if !outcome.faults.is_empty() {
            if !args.keep_going {
                show(seed, plan, outcome);
                return ExitCode::FAILURE;
            }
            eprintln!("seed {seed}: {}", outcome.faults.join("; "));
        }
        if told.elapsed() >= NEWS {
            told = Instant::now();
            sum.tell(began.elapsed());
        }
    }
    sum.tell(began.elapsed());
    if sum.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
            "{} simulations, {} wrong; {} final rankings, {} turns, {} s of simulated time; {a_minute:.0} a minute",
            self.simulations,
            self.wrong,
            self.finals,
            self.turns,
            self.time.as_secs(),
        );
    }
}

/// Shows what went wrong, in the smallest plan that is found.
fn show(seed: u64, plan: Plan, outcome: Outcome) {
    eprintln!("seed {seed} went wrong:");
    outcome.faults.iter().for_each(|fault| eprintln!("  {fault}"));
    eprintln!("run it again with --seed {seed} --count 1; made smaller, it goes wrong so:");
    let (plan, outcome) = shrink(plan, outcome);
    outcome.faults.iter().for_each(|fault| eprintln!("  {fault}"));
    eprintln!("  lives: {:?}", plan.lives);
    eprintln!("  faults: {:?}, outages: {:?}, jumps: {:?}", plan.faults, plan.outages, plan.jumps);
    eprintln!("  time: {:?}", plan.spec.time);
    plan.spec.boards.iter().for_each(|board| eprintln!("  board: {board:?}"));
    for (partition, events) in plan.partitions.iter().enumerate() {
        eprintln!("  partition {partition}, {} events:", events.len());
        events.iter().take(20).for_each(|event| eprintln!("    {event:?}"));
    }
}
