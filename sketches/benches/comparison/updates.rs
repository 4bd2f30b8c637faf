//! What an update costs, the hash of the key included, and what is held after the last one.

use crate::clock::timed;
use crate::contenders::Contender;
use crate::streams::{Batch, Law};
use crate::table::{Table, with_ratio};
use std::hint::black_box;

const REMARKS: &str = "Bytes asked of the allocator, keys included. What it adds to each piece is left out, which \
                       flatters FrequentItems and the HashMap: they hold a piece for each key.";

/// Each contender's nanoseconds an event, the best of all rounds, and kilobytes.
pub struct Updates {
    law: Law,
    pub costs: Vec<(Contender, f64, f64)>,
}

impl Updates {
    pub fn is_uniform(&self) -> bool {
        self.law.is_uniform()
    }
}

/// In every round each has its turn, so that whatever else the machine does hits all alike.
pub fn measure(law: Law, contenders: &[Contender], events: Batch<'_, '_>, rounds: usize) -> Updates {
    let mut costs: Vec<_> = contenders.iter().map(|contender| (contender.clone(), f64::MAX, 0.0)).collect();
    for _ in 0..rounds {
        for (contender, best, kilobytes) in &mut costs {
            let mut sketch = contender.start();
            let (took, ()) = timed(|| sketch.count_all(events));
            black_box(&sketch);
            *best = best.min(took / events.keys.len() as f64);
            *kilobytes = sketch.bytes() as f64 / 1e3;
        }
    }
    Updates { law, costs }
}

pub fn print(all: &[Updates]) {
    let streams = || all.iter().map(|updates| updates.law.name());
    let header = |what: &str| Table::new(1, [what.to_owned()].into_iter().chain(streams()));
    let (mut times, mut sizes) = (header("ns an event"), header("KB"));
    let Some(first) = all.first() else { return };
    for (row, (contender, ..)) in first.costs.iter().enumerate() {
        let cells = all.iter().map(|updates| with_ratio(updates.costs[row].1, updates.costs[0].1, 0));
        times.row([contender.name()].into_iter().chain(cells));
        if *contender != Contender::Hash {
            let cells = all.iter().map(|updates| with_ratio(updates.costs[row].2, updates.costs[0].2, 0));
            sizes.row([contender.name()].into_iter().chain(cells));
        }
    }
    times.print("Update: ns an event on one core, in brackets as a multiple of the ledger's", "");
    sizes.print("Memory of one sketch after those updates", REMARKS);
}
