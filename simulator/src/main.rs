//! `simulate`: lives many plans, and says which seeds went wrong.

use crest_simulator::plan::Plan;
use crest_simulator::world::live;
fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>().unwrap());
    let (from, count) = (args.next().unwrap(), args.next().unwrap());
    let started = std::time::Instant::now();
    let (mut bad, mut turns, mut took, mut finals) = (0, 0, 0.0, 0);
    for seed in from..from + count {
        let plan = Plan::of(seed);
        let outcome = live(&plan);
        turns += outcome.turns;
        took += outcome.took.as_secs_f64();
        finals += outcome.finals;
        if count < 5 {
            eprintln!("{seed}: {outcome:?}");
        }
        if !outcome.faults.is_empty() {
            bad += 1;
            eprintln!(
                "seed {seed}: {} {:?}\n   {:?} {:?}",
                outcome.faults.len(),
                outcome.faults.first(),
                plan.lives,
                plan.faults
            );
        }
    }
    eprintln!(
        "{count} in {:?}, {bad} bad, {turns} turns, {took:.1} s virtual, {finals} finals",
        started.elapsed()
    );
}
