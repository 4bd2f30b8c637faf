//! How far one aggregating worker goes: the uncut shares of a pane, as they come from other processes, are decoded, merged,
//! made durable, slid through the windows and ranked, by the job's own stages on one thread.
//!
//! `cargo bench --bench scale` measures all, in about three minutes. Sizes are set by the environment: `EVENTS` (10,000, a
//! pane and partition: 1,000 a second), `MANY` (100,000, the same for the busy partitions), `PARTITIONS` (1000), `ITEMS`
//! (1,000,000) and `MORE_ITEMS` (10,000,000), over which ids are Zipf 1.0, `WORKERS` (64) in `PROCESSES` (8), `PANES` (3),
//! of which medians are taken, and `PACED` (12), the panes with which the limit is tried. Counting the events of hours would
//! take hours, so a pane is counted once, and its shares are handed over again and again, as those of the next panes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod aggregator;
#[path = "../state/draws.rs"]
mod draws;
#[path = "../state/feed.rs"]
mod feed;
#[path = "../pipeline/figures.rs"]
mod figures;
mod limit;
mod shares;
mod table;
mod traffic;
mod watch;

use shares::{Cluster, Shipping};
use traffic::{Keyed, Traffic};

pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a whole number"))
}

fn main() {
    let (few, many, most) =
        (setting("EVENTS", 10_000), setting("MANY", 100_000), setting("PARTITIONS", 1000));
    let (items, more) = (setting("ITEMS", 1_000_000), setting("MORE_ITEMS", 10_000_000));
    let cluster = Cluster { workers: setting("WORKERS", 64), processes: setting("PROCESSES", 8) };
    let of = |partitions, events, items, keyed| Traffic { partitions, events, items, keyed };
    let all = [
        (of((most / 100).max(1), few, items, Keyed::ByOthers), 1),
        (of((most / 10).max(1), few, items, Keyed::ByOthers), 1),
        (of(most, few, items, Keyed::ByOthers), 1),
        (of(most, few, items, Keyed::ByOthers), 4),
        (of(most, many, items, Keyed::ByOthers), 1),
        (of(most, many, more, Keyed::ByOthers), 1),
        (of(most, many, more, Keyed::ByItem), 1),
    ];
    println!(
        "{} workers in {} processes; what one aggregating worker does for a pane",
        cluster.workers, cluster.processes
    );
    table::head();
    let mut heaviest = None;
    for (traffic, boards) in &all {
        let sketches = traffic.sketches();
        let mut rankings = Vec::new();
        for shipping in Shipping::ALL {
            let shares = shares::joined(&sketches, &cluster, shipping);
            let cost = aggregator::measure(&shares.unions, *boards, setting("PANES", 3));
            table::row(traffic, *boards, shipping, &shares, &cost);
            rankings.push(cost.rankings.clone());
            if shipping == Shipping::Worker {
                heaviest = Some((traffic, shares.unions, cost.all()));
            }
        }
        assert!(
            rankings.windows(2).all(|two| two[0] == two[1]),
            "who merges first must not show in a ranking"
        );
    }
    if let Some((traffic, unions, cost)) = heaviest {
        limit::measure(traffic, &unions, cost);
    }
}
