//! Boards that count different values: an exact one says what a naive recount says, a sketched one bounds it; the number of
//! workers changes nothing, and neither does a run that goes on from a state.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_formats::refusal::Refusal;
use crest_state::spec::{Count, Engine, JobSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::collections::HashMap;
use std::time::Duration;
use support::{Event, Feed, Running, T0, finals, recount, spec};

/// It counts the different weights of each item, which stand for users.
fn distinct(engine: Engine, by: &[&str]) -> JobSpec {
    let mut spec = spec();
    (spec.sketch.rows, spec.sketch.rows_kept) = (128, 100);
    let board = &mut spec.boards[0];
    (board.engine, board.count) = (engine, Count::Distinct("weight".into()));
    board.by = by.iter().map(|name| name.to_string()).collect();
    let seconds = Duration::from_secs;
    board.windows = vec![
        WindowSpec::sliding("last_1m", seconds(60), seconds(10)),
        WindowSpec::sliding("last_10m", seconds(600), seconds(60)),
    ];
    spec
}

/// Few items lead with many users, who come again and again; a bot clicks others.
fn partitions(seed: u64, events: usize, items: f64, users: u32) -> Vec<Vec<Event>> {
    let mut random = StdRng::seed_from_u64(seed);
    let zipf = Zipf::new(items, 1.05).unwrap();
    let regions = [None, Some("IN"), Some("US")];
    let partition = |number: i64| {
        let mut time = T0 + number * 700;
        let event = |at: usize| {
            time += random.random_range(0..60);
            let region = regions[random.random_range(0..3usize)].map(String::from);
            if at % 10 == 3 {
                let item = format!("clicked:{}", at % 3);
                return Event { time, item, weight: 1 + random.random_range(0..2), region };
            }
            let item = format!("item:{}", random.sample(zipf) as u64);
            let weight = random.random_range(1..=users);
            Event { time: time - random.random_range(0..4000), item, weight, region }
        };
        (0..events).map(event).collect()
    };
    (0..4).map(partition).collect()
}

/// Of different values, the total tells how many were counted in all panes, which a recount of windows does not know.
fn without_totals(snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    snapshots.into_iter().map(|snapshot| Snapshot { total: 0, ..snapshot }).collect()
}

#[test]
fn an_exact_board_says_what_a_recount_says() {
    for (seed, by) in [(1, &[][..]), (2, &["region"])] {
        let spec = distinct(Engine::Exact, by);
        let partitions = partitions(seed, 4000, 300.0, 60);
        let expected = without_totals(recount::snapshots(&spec, &partitions));
        assert!(expected.iter().any(|ranking| ranking.items[0].count > 50));
        for workers in [1, 3] {
            let computed = without_totals(finals(&spec, &partitions, workers));
            assert_eq!(computed.len(), expected.len());
            for (computed, expected) in computed.iter().zip(&expected) {
                assert_eq!(computed, expected, "seed {seed}, {workers} workers");
            }
        }
    }
}

#[test]
fn every_bound_of_a_sketched_board_holds_and_the_number_of_workers_changes_nothing() {
    let spec = distinct(Engine::Sketch, &["region"]);
    let partitions = partitions(3, 20_000, 3000.0, 2000);
    let one = finals(&spec, &partitions, 1);
    assert_eq!(one, finals(&spec, &partitions, 3), "the number of workers shows");
    let mut wide = spec.clone();
    wide.boards[0].k = 10_000;
    let exact = recount::snapshots(&wide, &partitions);
    assert_eq!(one.len(), exact.len());
    let (mut estimated, mut cut, mut found) = (0, 0, 0);
    for (sketched, exact) in one.iter().zip(&exact) {
        assert_eq!((&sketched.group, sketched.window_end), (&exact.group, exact.window_end));
        let truth: HashMap<&str, u64> = exact.items.iter().map(|item| (&*item.item_id, item.count)).collect();
        for item in &sketched.items {
            let count = truth.get(&*item.item_id).copied().unwrap_or(0);
            assert!(item.lower <= count && count <= item.upper, "{item:?} has {count}");
            assert!(item.lower <= item.count && item.count <= item.upper, "{item:?}");
            if let Some(estimate) = item.estimate {
                assert_eq!(estimate.count, item.count);
                let most = 6 * estimate.standard_error + sketched.error_floor;
                assert!(item.count.abs_diff(count) <= most, "{item:?} has {count}");
                estimated += 1;
            }
        }
        let listed = |id: &str| sketched.items.iter().any(|item| &*item.item_id == id);
        let last = sketched.items.last().map_or(0, |item| item.upper);
        let most = sketched.error_floor.max(last);
        let missed = exact.items.iter().find(|item| item.count > most && !listed(&item.item_id));
        assert!(missed.is_none(), "missed {missed:?}");
        for item in &sketched.items[..sketched.guaranteed as usize] {
            let better = exact.items.iter().filter(|other| other.count > truth[&*item.item_id]).count();
            assert!(better < spec.boards[0].k, "{item:?} is not in the top");
        }
        cut += usize::from(sketched.error_floor > 0);
        let leads = exact.items.iter().take(3).all(|item| listed(&item.item_id));
        found += usize::from(leads || exact.items.len() < 3);
        // Thousands of clicks of two users are two.
        assert!(
            sketched.items.iter().take(3).all(|item| !item.item_id.starts_with("clicked"))
                || truth.len() < 50
        );
    }
    assert!(estimated > 1000 && cut > 50, "{estimated} estimates, {cut} of {} are cut", one.len());
    assert_eq!(found, one.len(), "the first three are listed");
}

#[test]
fn an_event_without_a_value_is_refused() {
    let mut spec = distinct(Engine::Sketch, &[]);
    spec.boards[0].count = Count::Distinct("region".into());
    let event = |n: i64| Event {
        region: (n % 3 > 0).then(|| ["", "IN"][n as usize % 3 - 1].into()),
        ..Event::new(T0 + n, "a")
    };
    let job = Running::start(&spec, &Feed::bounded(&[(0..300).map(event).collect()]), 1);
    job.assert_refused(Refusal::Distinct, 200);
    let kept = job.finish();
    let ranking = &kept.finals()[0];
    assert_eq!((ranking.items[0].count, ranking.items[0].exact), (1, true));
    assert_eq!(ranking.distinct.as_deref(), Some("region"));
}
