//! Chaos with real parts: a real cluster, broker and Redis, whose processes, links, disk, descriptors and clocks fail as a
//! seed decides, while one oracle holds everything that is published against a recount of the topic.
//!
//! `cargo test` runs two minutes of it; `scripts/chaos` runs it for hours.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is a failed test

mod common;

#[path = "chaos/cut_off.rs"]
mod cut_off;
#[path = "chaos/faults.rs"]
mod faults;
#[path = "chaos/gauges.rs"]
mod gauges;
#[path = "chaos/job.rs"]
mod job;
#[path = "chaos/namespaces.rs"]
mod namespaces;
#[path = "chaos/net.rs"]
mod net;
#[path = "chaos/oracle.rs"]
mod oracle;
#[path = "chaos/oracle_tests.rs"]
mod oracle_tests;
#[path = "../connectors/tests/support/s3_server.rs"]
mod s3_server;
#[path = "chaos/stream.rs"]
mod stream;
#[path = "chaos/world.rs"]
mod world;

use common::{seed, skip};
use faults::Fault;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};
use world::World;

const TEST: &str = "faults_of_real_parts_lose_and_double_nothing";

/// What is asked for, by variables of the environment, which `scripts/chaos` sets.
struct Wanted {
    seed: u64,
    minutes: u64,
    /// Only kills, so many.
    kills: Option<usize>,
    faults: Vec<Fault>,
    /// Events a second.
    rate: usize,
}

impl Wanted {
    fn new() -> Wanted {
        let number = |name: &str| {
            let text = std::env::var(format!("CREST_CHAOS_{name}")).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("CREST_CHAOS_{name}={text}: not a number")))
        };
        let named = std::env::var("CREST_CHAOS_FAULTS").unwrap_or_default();
        let named: Vec<Fault> = named.split_whitespace().map(Fault::named).collect();
        Wanted {
            seed: seed(TEST),
            minutes: number("MINUTES").unwrap_or(2),
            kills: number("KILLS").map(|kills| kills as usize),
            faults: if named.is_empty() { Fault::ALL.map(|(_, fault)| fault).into() } else { named },
            rate: number("RATE").unwrap_or(1500) as usize,
        }
    }

    /// How the same is asked for again.
    fn command(&self) -> String {
        let faults: String = Fault::ALL
            .iter()
            .filter(|(_, fault)| {
                self.kills.is_none() && self.faults.len() < Fault::ALL.len() && self.faults.contains(fault)
            })
            .map(|(name, _)| format!(" --fault {name}"))
            .collect();
        let length = match self.kills {
            Some(kills) => format!("--kills {kills}"),
            None => format!("--minutes {}", self.minutes),
        };
        format!("scripts/chaos --seed {} {length}{faults}", self.seed)
    }

    /// Leaves out what this machine cannot do, and says so.
    fn leave_out(&mut self) {
        let mut leave = |what: &str, why: &str, is_left: &dyn Fn(Fault) -> bool| {
            let before = self.faults.len();
            self.faults.retain(|fault| !is_left(*fault));
            if self.faults.len() < before && self.kills.is_none() {
                skip(what, why);
            }
        };
        if job::faketime().is_none() {
            leave("chaos of clocks", "libfaketime is not installed", &|fault| fault == Fault::Clock);
        }
        if !namespaces::inside() {
            let why = "no namespaces of network and mounts can be made";
            leave("chaos of links and disks", why, &|fault| fault.is_of_links() || fault == Fault::DiskFull);
        }
    }
}

#[test]
fn faults_of_real_parts_lose_and_double_nothing() {
    if !namespaces::inside() {
        match namespaces::lacking() {
            None => return namespaces::run_inside(TEST),
            Some(why) => eprintln!("no namespaces: {why}"),
        }
    }
    let mut wanted = Wanted::new();
    wanted.leave_out();
    let mut round = 0;
    let run = catch_unwind(AssertUnwindSafe(|| run(&wanted, &mut round)));
    if let Err(panic) = run {
        eprintln!(
            "\nchaos: seed {} went wrong in round {round}; run it again: {}",
            wanted.seed,
            wanted.command()
        );
        resume_unwind(panic);
    }
}

fn run(wanted: &Wanted, round: &mut usize) {
    let began = Instant::now();
    let mut world = World::start(wanted.seed, wanted.rate, wanted.faults.clone());
    eprintln!("chaos: in {}; {}", world.dir.display(), wanted.command());
    let (mut samples, mut ways_back) = (Vec::new(), Vec::new());
    let over = |world: &World| match wanted.kills {
        Some(kills) => world.kills >= kills,
        None => began.elapsed() >= Duration::from_secs(60 * wanted.minutes),
    };
    while !over(&world) {
        *round += 1;
        let told = match wanted.kills {
            Some(kills) => world.round_of_kills(kills - world.kills),
            None => world.round_of_faults(),
        };
        // Told before it is judged, so that what went wrong is known.
        eprintln!("round {round}, {} s: {told}", began.elapsed().as_secs());
        let (took, sample) = world.settle();
        ways_back.push(took.as_secs_f64());
        samples.push(sample);
        let oracle = &world.oracle;
        eprintln!(
            "  right after {:.1} s; {} finals of {} events so far, {} again; {sample}",
            took.as_secs_f64(),
            oracle.judged,
            oracle.events,
            oracle.again,
        );
    }
    world.finish();
    let oracle = &world.oracle;
    let (figures, grown) = gauges::judge(&samples);
    ways_back.sort_by(f64::total_cmp);
    eprintln!(
        "chaos: {round} rounds and {} kills in {} minutes: 0 lost, 0 doubled, 0 stalled\n  \
         {} final rankings ({} of them bounds) of {} events ({} late), {} published again; \
         the way back took {:.1} s (median), {:.1} s at \
         most\n{figures}",
        world.kills,
        began.elapsed().as_secs() / 60,
        oracle.judged,
        oracle.bounds,
        oracle.events,
        oracle.late(),
        oracle.again,
        ways_back.get(ways_back.len() / 2).unwrap_or(&0.0),
        ways_back.last().unwrap_or(&0.0),
    );
    assert!(grown.is_empty(), "{grown:?}");
    let dir = world.dir.clone();
    drop(world);
    let _ = std::fs::remove_dir_all(dir);
}
