//! How long rankings stand still when the job goes away and a standby takes over, and what a reader sees meanwhile.
//!
//! `cargo bench --bench failover` runs the real program on a local Kafka and Redis. A producer sends numbered events at a
//! steady rate; a job and a standby take turns: in each round the job is killed (SIGKILL), stands still (SIGSTOP), or is
//! stopped (SIGTERM), the standby goes on, and a new standby is started. The time is from the signal until Redis shows a
//! ranking of the next epoch. `crest serve` is asked all the while. At the end each tumbling window's total in Redis is
//! held against what was sent. `ROUNDS` (20) is how many rounds there are of each kind, `RATE` (2,000) the events a
//! second.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

#[path = "../pipeline/figures.rs"]
mod figures;
#[path = "../pipeline/servers.rs"]
mod servers;

mod job;
mod reader;
mod sender;

use job::{Job, epoch};
use reader::Reader;
use sender::Sender;
use servers::Servers;
use std::time::{Duration, Instant};

/// How a job goes away.
const KINDS: [(&str, &str); 3] = [("killed", "KILL"), ("stands still", "STOP"), ("stopped", "TERM")];
/// A job runs for so long before it goes away.
const BETWEEN: Duration = Duration::from_secs(4);

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let servers = Servers::start(dir.path());
    let sender = Sender::start(&servers, setting("RATE", 2_000));
    let start = || Job::start(&servers, dir.path());
    let mut active = start();
    active.until_it_publishes(&servers);
    let reader = Reader::start(&servers, dir.path());
    println!("{:<14} {:>7} {:>9} {:>9} {:>9}", "the job", "rounds", "p50 s", "most s", "least s");
    for (kind, signal) in KINDS {
        let mut times: Vec<f64> =
            (0..setting("ROUNDS", 20)).map(|_| replace(&mut active, &start, &servers, signal)).collect();
        times.sort_by(f64::total_cmp);
        let (median, most, least) = (times[times.len() / 2], times[times.len() - 1], times[0]);
        println!("{kind:<14} {:>7} {median:>9.2} {most:>9.2} {least:>9.2}", times.len());
        figures::note(&format!("standby, the job {kind}"), median, "s until it publishes", "10 s");
    }
    let sent = sender.stop();
    reader.stop().print();
    let (windows, wrong) = job::compare(&servers, &sent);
    println!("{windows} windows in Redis, {wrong} of them with another total than what was sent");
}

/// Has the job go away; a standby takes its place. How long Redis shows nothing of it, in seconds.
fn replace(active: &mut Job, start: &impl Fn() -> Job, servers: &Servers, signal: &str) -> f64 {
    let mut standby = start();
    standby.until_it_stands_by();
    std::thread::sleep(BETWEEN);
    let (before, went) = (epoch(servers), Instant::now());
    active.signal(signal);
    while epoch(servers) <= before {
        std::thread::sleep(Duration::from_millis(5));
    }
    let time = went.elapsed().as_secs_f64();
    if signal == "STOP" {
        active.signal("CONT");
    }
    active.wait_for_end();
    std::mem::swap(active, &mut standby);
    time
}
