//! Seeds that must not go wrong, in two parts for two cores; and the same seed is the same run.

use crest_simulator::boards::counts_alike;
use crest_simulator::core;
use crest_simulator::plan::{End, LifePlan, Plan, Stream};
use crest_simulator::world::{Outcome, live};
use crest_state::spec::{BoardSpec, WindowSpec};
use std::ops::Range;

/// How many seeds a part tries.
const PART: u64 = 5_000;

fn none_goes_wrong(seeds: Range<u64>) {
    core::keep_to(&core::available(), (seeds.start / PART) as usize);
    let wrong = |seed: &u64| !live(&Plan::of(*seed)).faults.is_empty();
    let wrong: Vec<u64> = seeds.filter(wrong).collect();
    assert!(wrong.is_empty(), "run scripts/simulate --count 1 with one of --seed {wrong:?}");
}

#[test]
fn no_seed_of_the_first_part_goes_wrong() {
    none_goes_wrong(0..PART);
}

#[test]
fn no_seed_of_the_second_part_goes_wrong() {
    none_goes_wrong(PART..2 * PART);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let [one, other] = [live(&Plan::of(seed)), live(&Plan::of(seed))];
        let shown = |outcome: &Outcome| (outcome.digest, outcome.turns, outcome.finals, outcome.took);
        assert_eq!(shown(&one), shown(&other), "seed {seed}");
    }
}

/// The simulations are of many kinds, and do something.
#[test]
fn seeds_differ() {
    let plans: Vec<Plan> = (0..200).map(Plan::of).collect();
    let all = |holds: &dyn Fn(&Plan) -> bool| plans.iter().all(holds);
    let some = |holds: &dyn Fn(&Plan) -> bool| plans.iter().any(holds);
    let is_some = |holds: &dyn Fn(&Plan) -> bool| some(holds) && !all(holds);
    assert!(is_some(&|plan| plan.bounded) && is_some(&|plan| plan.overflows));
    assert!(is_some(&|plan| plan.lives.len() > 2) && is_some(&|plan| plan.lives.len() > 4));
    assert!(is_some(&|plan| plan.lives.iter().any(|life| life.workers * life.processes == 8)));
    assert!(is_some(&|plan| plan.faults.fails > 0.0) && is_some(&|plan| plan.faults.answer_lost > 0.0));
    assert!(is_some(&|plan| plan.jumps.iter().any(|jump| jump.abs() > 1_000_000)));
    assert!(is_some(&|plan| plan.lives[0].boards.specs.len() > 1));
    assert!(
        is_some(&|plan| plan.stream == Stream::Growing) && is_some(&|plan| plan.stream == Stream::Waking)
    );
    assert!(is_some(&|plan| plan.outages.iter().any(|outage| outage.partition.is_some())));
    let dies = |life: &LifePlan| life.processes > 1 && matches!(life.end, End::Process(..));
    assert!(is_some(&|plan| plan.lives.iter().any(dies)));
    assert!(is_some(&|plan| plan.lives.iter().any(|life| life.settings.kept.is_some())));
    assert!(is_some(&|plan| !plan.truncations.is_empty()));
}

/// Configurations change in each way that may be.
#[test]
fn boards_change_in_all_ways() {
    let plans: Vec<Plan> = (0..400).map(Plan::of).collect();
    let is_some = |holds: &dyn Fn(&[BoardSpec], &[BoardSpec]) -> bool| {
        let mut pairs = plans.iter().flat_map(|plan| plan.lives.windows(2));
        pairs.any(|pair| holds(&pair[0].boards.specs, &pair[1].boards.specs))
    };
    let named = |boards: &[BoardSpec], name: &str| boards.iter().find(|board| &*board.name == name).cloned();
    let lost = |before: &[BoardSpec], now: &[BoardSpec]| {
        before.iter().any(|board| named(now, &board.name).is_none())
    };
    assert!(is_some(&lost) && is_some(&|before, now| lost(now, before)));
    let kept = |holds: &dyn Fn(&BoardSpec, &BoardSpec) -> bool| {
        is_some(&|before, now| {
            let kept = before.iter().filter_map(|board| Some((board, named(now, &board.name)?)));
            kept.into_iter().any(|(before, now)| holds(before, &now))
        })
    };
    assert!(kept(&|before, now| !counts_alike(before, now)) && kept(&|before, now| before.k != now.k));
    assert!(kept(&|before, now| before.windows.len() < now.windows.len()));
    assert!(kept(&|before, now| before.windows.len() > now.windows.len()));
    let resized = |before: &BoardSpec, now: &BoardSpec| {
        let other =
            |window: &WindowSpec| now.windows.iter().any(|now| now.name == window.name && now != window);
        before.windows.iter().any(other)
    };
    assert!(kept(&resized));
    let came_back = |plan: &Plan| {
        let mut there = plan.lives.iter().map(|life| life.boards.has("default"));
        there.by_ref().any(|there| !there) && there.any(|there| there)
    };
    assert!(plans.iter().any(came_back));
}
