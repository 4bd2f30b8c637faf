//! A job with state on the real Kafka, killed at any instant and started again with other numbers of workers and
//! processes: all runs together publish every final snapshot, each with the one content that an uninterrupted run
//! gives it, while events flow that are out of order and some of them late.
//!
//! The seed is printed; `CREST_TEST_SEED=…` gives the same events and kills again (as far as time repeats itself).

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::events::{Event, Traffic};
use common::program::Cluster;
use common::rules::Rules;
use common::seed;
use common::trial::{Place, Trial};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SECOND: i64 = 1000;
const PARTITIONS: usize = 4;
/// Of each kind of panes.
const KILLS: usize = 14;
const PLACES: [Place; 5] = [(1, 1), (3, 1), (1, 2), (2, 1), (2, 2)];
/// Sketches that overflow.
const SMALL: &str = "\n[sketch]\nrows = 32\n";
/// The others of a cluster end within seconds of one that is killed.
const PEERS_PATIENCE: Duration = Duration::from_secs(40);

fn traffic(seed: u64, items: u64) -> Vec<Vec<Event>> {
    Traffic::mixed(seed, 120_000, items, 120 * SECOND).logs(PARTITIONS)
}

/// Lets a run go on until the instant of its kill: any since its start, so that recoveries are killed too, or one
/// soon after it has published, when it is in the midst of making the next panes durable.
fn let_run(job: &Cluster, random: &mut StdRng) {
    if random.random_bool(0.4) {
        return sleep(Duration::from_millis(random.random_range(0..1200)));
    }
    let (lines, enough) = (random.random_range(1..150), Instant::now() + Duration::from_secs(3));
    while job.processes[0].stdout().len() < lines && Instant::now() < enough {
        sleep(Duration::from_millis(3));
    }
    sleep(Duration::from_millis(random.random_range(0..60)));
}

/// SIGKILL to one process. The others of a cluster end by themselves, or are killed as well.
fn kill(job: &mut Cluster, random: &mut StdRng) {
    for crest in &mut job.processes {
        assert!(crest.running(), "it ended by itself: {}", crest.describe());
    }
    let began = !job.processes[0].stdout().is_empty();
    let first = random.random_range(0..job.processes.len());
    job.processes[first].kill();
    let alone = began && random.random_bool(0.5);
    for crest in &mut job.processes {
        if alone {
            assert!(!crest.wait(PEERS_PATIENCE).success(), "it is no success: {}", crest.describe());
        } else {
            crest.kill();
        }
    }
}

fn survives_kills(topic: &'static str, engine: &'static str, sketch: &str, items: u64, exact: bool) {
    survives_kills_reading(topic, topic, engine, sketch, items, exact);
}

/// The same of topics that are read by another name.
fn survives_kills_reading(
    topic: &'static str,
    reads: &'static str,
    engine: &'static str,
    sketch: &str,
    items: u64,
    exact: bool,
) {
    let seed = seed(topic);
    let mut random = StdRng::seed_from_u64(seed);
    let mut trial =
        Trial::new(topic, &Rules::live_with_groups(engine), sketch, traffic(seed, items)).reading(reads);
    for round in 0..KILLS {
        let sending = trial.send(1.0 / KILLS as f64);
        let place = PLACES[(round + random.random_range(0..2)) % PLACES.len()];
        let mut job = trial.start(place, &[]);
        let_run(&job, &mut random);
        kill(&mut job, &mut random);
        let lines = job.processes[0].stdout();
        eprintln!("{topic}: killed {place:?} after {} lines", lines.len());
        trial.published.take(&lines);
        sending.join().unwrap();
    }
    trial.send_rest();
    trial.finish(&mut trial.start((2, 1), &[]));
    eprintln!("{topic}: {} final snapshots were published again", trial.published.again);
    trial.assert_exactly_once(exact);
}

#[test]
fn kills_lose_and_double_nothing_where_panes_are_exact() {
    survives_kills("killed-exact", "sketch", "", 300, true);
}

#[test]
fn kills_lose_and_double_nothing_where_panes_overflow() {
    survives_kills("killed-sketched", "sketch", SMALL, 3000, false);
}

#[test]
fn kills_lose_and_double_nothing_where_all_is_counted_exactly() {
    survives_kills("killed-counted", "exact", SMALL, 3000, true);
}

#[test]
fn kills_lose_and_double_nothing_of_several_topics() {
    survives_kills("killed-one,killed-two", "sketch", SMALL, 3000, false);
}

#[test]
fn kills_lose_and_double_nothing_of_topics_that_match_a_pattern() {
    let (topics, pattern) = ("match.one,match.two", r"^match\..*");
    survives_kills_reading(topics, pattern, "sketch", "", 300, true);
}

#[test]
fn a_stop_and_a_start_with_other_workers_go_on() {
    let mut trial = Trial::new("stopped", &Rules::live_with_groups("sketch"), "", traffic(5, 300));
    for (place, resumed) in [((1, 1), false), ((3, 1), true), ((2, 2), true)] {
        let sending = trial.send(0.3);
        let mut job = trial.start(place, &[]);
        let some = |crest: &common::program::Crest| (crest.stdout().len() > 20).then_some(());
        job.processes[0].until("some windows", some);
        sending.join().unwrap();
        trial.stop(&mut job);
        let told = job.processes[0].stderr().iter().any(|line| line.contains("reading on from offsets"));
        assert_eq!(told, resumed, "{}", job.processes[0].describe());
    }
    trial.send_rest();
    trial.finish(&mut trial.start((1, 1), &[]));
    trial.assert_exactly_once(true);
}
