//! Nexmark query 5, hot items: the auctions with the most bids in the last 10 s, every 2 s; by the exact engine and by
//! the sketch, on one worker and two, each held against a plain recount.
//!
//! `cargo run --release --example nexmark` counts 2,000,000 events of the benchmark's own generator; it ends with a
//! non-zero status when any answer is wrong. `-- --rate 50000` is busier than the sketch can count exactly: the
//! benchmark's hot auctions are within a few bids of each other, so that the sketch then names all that may be first, and
//! is certain of few answers. That is a case for the exact engine.
//!
//! It is also a short way to see how the crates are used as a library: `job.rs` is a board and how to run it,
//! `memory.rs` is a source; everything else is the benchmark.
#![allow(clippy::print_stdout)] // what an example has found out, it prints

pub(crate) mod auctions;
pub(crate) mod job;
pub(crate) mod judge;
pub(crate) mod memory;
pub(crate) mod naive;

use auctions::Auctions;
use clap::Parser;
use crest_state::spec::Engine;
use job::Run;
use judge::is_certain;
use naive::Recount;
use std::error::Error;
use std::process::ExitCode;

/// Nexmark query 5 (hot items) on Crest's two engines, checked.
#[derive(Parser)]
pub(crate) struct Args {
    /// Events in all: of 50, 46 are bids, 3 are auctions and 1 is a person
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(50..))]
    pub events: u32,
    /// Events a second of event time; from about 40,000 on, a pane has more auctions than the sketch has rows
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
}

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nexmark: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs both engines on one worker and two, and prints a line for each.
///
/// # Errors
/// A job has failed, or an answer differs.
pub(crate) fn compare(args: &Args) -> Result<(), Box<dyn Error>> {
    let auctions = Auctions::generate(args.events as usize, args.rate as usize);
    let truth = Recount::of(&auctions.bids);
    println!(
        "Nexmark query 5: {} events, {} of them bids, {} s of event time in {} partitions.\n\
         They are made and written as JSON before the clock starts; parsing, counting and ranking are timed.\n",
        args.events,
        auctions.bids.len(),
        args.events.div_ceil(args.rate),
        auctions.partitions.len(),
    );
    println!("engine  workers    events/s  rankings  certain  widest bounds  against the recount");
    let mut all_agree = true;
    for engine in [Engine::Exact, Engine::Sketch] {
        let one = job::run(engine, &auctions.partitions, 1)?;
        let two = job::run(engine, &auctions.partitions, 2)?;
        let same = judge::same(&one.rankings, &two.rankings);
        let verdicts = [
            judge::judge(engine, &one.rankings, &truth),
            judge::judge(engine, &two.rankings, &truth).and(same),
        ];
        all_agree &= verdicts.iter().all(Result::is_ok);
        for ((run, workers), verdict) in [one, two].iter().zip([1, 2]).zip(verdicts) {
            show(engine, workers, f64::from(args.events) / run.seconds, run, verdict);
        }
    }
    if !all_agree {
        return Err("not all answers agree".into());
    }
    show_last(&truth);
    Ok(())
}

fn show(engine: Engine, workers: usize, rate: f64, run: &Run, verdict: Result<(), String>) {
    let verdict = match (engine, verdict) {
        (Engine::Exact, Ok(())) => "all rows are equal".into(),
        (Engine::Sketch, Ok(())) => "every answer has the hot items, all bounds hold".into(),
        (_, Err(difference)) => format!("FAILED: {difference}"),
    };
    let name = format!("{engine:?}").to_lowercase();
    let (rankings, certain) = (run.rankings.len(), run.rankings.iter().filter(|r| is_certain(r)).count());
    let widest = run.rankings.iter().map(|ranking| ranking.error).max().unwrap_or(0);
    println!("{name:<6} {workers:>8} {rate:>11.0} {rankings:>9} {certain:>8} {widest:>14}  {verdict}");
}

fn show_last(truth: &Recount) {
    if let Some(window) = truth.0.values().next_back() {
        let bids = window.ranking.first().map_or(0, |(count, _)| *count);
        println!("\nAll agree. The last answer, by {bids} bids: auction {}", window.hot_items().join(", "));
    }
}
