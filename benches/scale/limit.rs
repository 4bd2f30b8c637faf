//! Where one aggregating worker no longer keeps up: the same panes come faster and faster, until each waits for those before
//! it. Where the worker got less than all of a core meanwhile and fell behind, it is the machine that was too busy.

use crate::aggregator::{Aggregator, FIRST, middle};
use crate::setting;
use crate::shares::messages;
use crate::table::ms;
use crate::traffic::Traffic;
use crate::watch::Passed;
use crest_sketches::Merged;
use crest_state::pane::Pane;
use std::time::{Duration, Instant};

/// How far apart panes come, in times of what one costs.
const PACES: [f64; 4] = [2.0, 1.3, 1.1, 0.8];

/// `cost` is the processor time of a pane.
pub fn measure(traffic: &Traffic, unions: &[Merged], cost: Duration) {
    let partitions = traffic.partitions;
    println!(
        "\n{partitions} partitions, {} shares a pane, one board; the same panes come faster:",
        unions.len()
    );
    println!(
        "{:>18} {:>10} {:>26} {:>16} {:>16} {:>8} {:>9}",
        "ms between panes",
        "shares/s",
        "of 10 s panes, partitions",
        "first delays ms",
        "last delays ms",
        "core",
        "keeps up"
    );
    for pace in PACES {
        let apart = cost.mul_f64(pace);
        let (delays, core) = paced(unions, apart, setting("PACED", 12));
        let few = delays.len().div_ceil(3);
        let (first, last) = (middle(delays[..few].to_vec()), middle(delays[delays.len() - few..].to_vec()));
        println!(
            "{:>18.0} {:>10.0} {:>26.0} {:>16.0} {:>16.0} {:>7.0}% {:>9}",
            ms(apart),
            unions.len() as f64 / apart.as_secs_f64(),
            partitions as f64 * 10.0 / apart.as_secs_f64(),
            ms(first),
            ms(last),
            100.0 * core,
            if last < first + cost { "yes" } else { "NO" },
        );
    }
}

/// From when each pane was due to when it was ranked, and how much of a core the worker had.
fn paced(unions: &[Merged], apart: Duration, panes: usize) -> (Vec<Duration>, f64) {
    let aggregator = Aggregator::start(1);
    let panes: Vec<Pane> = (FIRST..FIRST + panes as Pane).collect();
    let all: Vec<_> = panes.iter().map(|pane| messages(unions, 1, *pane).0).collect();
    let started = Instant::now();
    for ((number, pane), messages) in (0..).zip(&panes).zip(all) {
        std::thread::sleep((apart * number).saturating_sub(started.elapsed()));
        aggregator.hand_over(*pane, messages);
    }
    let passed: Vec<_> = panes.iter().map(|pane| aggregator.wait(*pane)).collect();
    aggregator.stop();
    let ranked = |passed: &Passed| passed.ranked.unwrap();
    let delays =
        (0..).zip(&passed).map(|(number, passed)| ranked(passed).at - started - apart * number).collect();
    let (first, last) = (passed[0].first.unwrap(), ranked(&passed[passed.len() - 1]));
    (delays, (last.cpu - first.cpu).div_duration_f64(last.at - first.at))
}
