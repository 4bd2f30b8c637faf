//! Makes a plan that goes wrong smaller, as long as it goes wrong.

use crate::plan::{FaultPlan, LifePlan, Plan};
use crate::world::{Outcome, live};

/// How many smaller plans are tried.
const TRIES: usize = 300;

/// The smallest plan that was found to go wrong as well, and what came of it. A smaller plan takes other turns, so that not
/// every step is one towards the fault; what does not go wrong is given up.
pub fn shrink(plan: Plan, outcome: Outcome) -> (Plan, Outcome) {
    let (mut best, mut tries) = ((plan, outcome), 0);
    'again: loop {
        for smaller in smaller(&best.0) {
            if tries == TRIES {
                return best;
            }
            tries += 1;
            let outcome = live(&smaller);
            if !outcome.faults.is_empty() {
                best = (smaller, outcome);
                continue 'again;
            }
        }
        return best;
    }
}

/// Plans that are a bit smaller, the smallest first.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut add = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        plans.push(smaller);
    };
    for life in 0..plan.lives.len() - 1 {
        add(&|plan| {
            plan.lives.remove(life);
            plan.jumps.remove(life);
        });
    }
    for (is, without) in [
        (plan.faults.fails, FaultPlan { fails: 0.0, ..plan.faults }),
        (plan.faults.answer_lost, FaultPlan { answer_lost: 0.0, ..plan.faults }),
        (plan.faults.stalls, FaultPlan { stalls: 0.0, ..plan.faults }),
        (plan.faults.sink_fails, FaultPlan { sink_fails: 0.0, ..plan.faults }),
    ] {
        if is > 0.0 {
            add(&|plan| plan.faults = without);
        }
    }
    if plan.faults.fails + plan.faults.answer_lost + plan.faults.stalls + plan.faults.sink_fails > 0.0 {
        add(&|plan| plan.faults = FaultPlan::NONE);
    }
    if !plan.outages.is_empty() {
        add(&|plan| plan.outages.clear());
    }
    for truncation in 0..plan.truncations.len() {
        add(&|plan| {
            plan.truncations.remove(truncation);
        });
    }
    if plan.jumps.iter().any(|jump| *jump != 0) {
        add(&|plan| plan.jumps.fill(0));
    }
    with_fewer_boards(plan, &mut add);
    for life in 0..plan.lives.len() {
        let shape = &plan.lives[life];
        if shape.processes > 1 {
            add(&|plan| plan.lives[life].processes = 1);
        }
        if shape.workers > 1 {
            add(&|plan| plan.lives[life].workers = 1);
        }
        if shape.settings.kept.is_some() {
            add(&|plan| plan.lives[life].settings.kept = None);
        }
    }
    for partition in 0..plan.partitions.len() {
        if plan.partitions.len() > 1 {
            add(&|plan| plan.remove_partition(partition));
        }
        let events = plan.partitions[partition].len();
        for part in [events / 2, events / 8, 1] {
            if (1..events).contains(&part) {
                add(&|plan| plan.remove_events(partition, events - part..events));
                add(&|plan| plan.remove_events(partition, 0..part));
            }
        }
    }
    plans
}

/// Gives plans whose lives have fewer boards, or change them less.
fn with_fewer_boards(plan: &Plan, add: &mut impl FnMut(&dyn Fn(&mut Plan))) {
    if plan.changes() {
        add(&|plan| {
            let boards = plan.lives[0].boards.clone();
            plan.lives.iter_mut().for_each(|life| life.boards = boards.clone());
        });
    }
    for life in 1..plan.lives.len() {
        if plan.lives[life].boards.specs != plan.lives[life - 1].boards.specs {
            add(&|plan| plan.lives[life].boards = plan.lives[life - 1].boards.clone());
        }
    }
    for board in ["default", "second", "third"] {
        let left = |life: &LifePlan| life.boards.specs.iter().any(|other| &*other.name != board);
        if plan.lives.iter().all(left) && plan.lives.iter().any(|life| life.boards.has(board)) {
            add(&|plan| plan.lives.iter_mut().for_each(|life| life.boards.remove(board)));
        }
    }
}
