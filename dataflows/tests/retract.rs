//! Boards on which events take away what others have counted: an exact one says what a naive recount says, a sketched one bounds
//! it; the number of workers changes nothing.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_state::spec::{Constant, Engine, Filter, JobSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::collections::HashMap;
use std::time::Duration;
use support::{Event, Feed, Running, T0, finals, live_spec, recount, spec};

/// Events of these weights take away.
const REMOVALS: [i64; 2] = [2, 5];

fn retracting(engine: Engine, by: &[&str]) -> JobSpec {
    let mut spec = spec();
    let board = &mut spec.boards[0];
    board.engine = engine;
    board.by = by.iter().map(|name| name.to_string()).collect();
    board.retract.insert("weight".into(), Filter::AnyOf(REMOVALS.map(Constant::Integer).to_vec()));
    let seconds = Duration::from_secs;
    board.windows = vec![
        WindowSpec::sliding("last_1m", seconds(60), seconds(10)),
        WindowSpec::sliding("last_10m", seconds(600), seconds(60)),
    ];
    spec
}

/// With sketches that most panes do not fit in.
fn overflowing(by: &[&str]) -> JobSpec {
    let mut spec = retracting(Engine::Sketch, by);
    (spec.sketch.rows, spec.sketch.rows_kept) = (64, 100);
    spec
}

/// Few items lead; of some, most that was counted is taken away, often in a later pane, and of others more than that.
fn partitions(seed: u64, events: usize, items: f64) -> Vec<Vec<Event>> {
    let mut random = StdRng::seed_from_u64(seed);
    let zipf = Zipf::new(items, 1.05).unwrap();
    let regions = [None, Some("IN"), Some("US"), Some("DE"), Some("FR")];
    let partition = |number: i64| {
        let mut time = T0 + number * 700;
        let event = |_| {
            time += random.random_range(0..60);
            let item = random.sample(zipf) as u64;
            let region = regions[random.random_range(0..5usize)].map(String::from);
            let is_taken_back = item.is_multiple_of(3) && time / 20_000 % 3 == 2;
            let weight = match random.random_range(0..10) {
                _ if is_taken_back => [2, 5][random.random_range(0..2usize)],
                0 => 2,
                1 => 5,
                _ => [1, 3, 4][random.random_range(0..3usize)],
            };
            Event { time: time - random.random_range(0..4000), item: format!("item:{item}"), weight, region }
        };
        (0..events).map(event).collect()
    };
    (0..4).map(partition).collect()
}

#[test]
fn what_is_exact_says_what_a_recount_says() {
    let small = 60.0;
    for (seed, engine, items, by) in [
        (1, Engine::Exact, 300.0, &[][..]),
        (2, Engine::Exact, 2000.0, &["region"]),
        (3, Engine::Sketch, small, &["region"]),
    ] {
        let (spec, partitions) = (retracting(engine, by), partitions(seed, 4000, items));
        let expected = recount::snapshots(&spec, &partitions);
        assert!(expected.iter().any(|ranking| ranking.items.len() == 10 && ranking.removed > 100));
        for workers in 1..=4 {
            let computed = finals(&spec, &partitions, workers);
            assert_eq!(computed.len(), expected.len());
            for (computed, expected) in computed.iter().zip(&expected) {
                assert_eq!(computed, expected, "seed {seed}, {workers} workers");
            }
        }
    }
}

/// What is true of each ranking: what is left of each item.
fn truths(spec: &JobSpec, partitions: &[Vec<Event>]) -> HashMap<(String, String, i64), Snapshot> {
    let mut wide = spec.clone();
    wide.boards[0].k = 100_000;
    let exact = recount::snapshots(&wide, partitions).into_iter();
    exact.map(|ranking| (key(&ranking), ranking)).collect()
}

fn key(ranking: &Snapshot) -> (String, String, i64) {
    (ranking.window.to_string(), ranking.group.to_string(), ranking.window_end)
}

/// Holds every claim of a ranking against the truth.
fn judge(ranking: &Snapshot, exact: &Snapshot, k: usize) {
    let left: HashMap<&str, u64> = exact.items.iter().map(|item| (&*item.item_id, item.count)).collect();
    let of = |id: &str| left.get(id).copied().unwrap_or(0);
    for item in &ranking.items {
        let (count, id) = (of(&item.item_id), &item.item_id);
        assert!(
            item.lower <= count && count <= item.upper,
            "{id} has {count}: {item:?} of {:?}",
            key(ranking)
        );
        assert!(item.count == item.upper && item.upper > 0, "{item:?}");
    }
    let listed = |id: &str| ranking.items.iter().any(|item| &*item.item_id == id);
    let last = ranking.items.last().filter(|_| ranking.items.len() == k).map_or(0, |item| item.upper);
    let most = ranking.error_floor.max(last);
    let missed = exact.items.iter().find(|item| item.count > most && !listed(&item.item_id));
    assert!(missed.is_none(), "missed {missed:?} in {:?}, whose floor is {most}", key(ranking));
    for item in &ranking.items[..ranking.guaranteed as usize] {
        let better = exact.items.iter().filter(|other| other.count > of(&item.item_id)).count();
        assert!(of(&item.item_id) > 0 && better < k, "{item:?} is not in the top of {:?}", key(ranking));
    }
    assert!(ranking.retracts && ranking.other().is_none());
}

#[test]
fn every_bound_of_a_sketched_board_holds_and_the_number_of_workers_changes_nothing() {
    let (mut spec, partitions) = (overflowing(&["region"]), partitions(4, 20_000, 3000.0));
    (spec.sketch.rows, spec.sketch.rows_kept) = (32, 48);
    let one = finals(&spec, &partitions, 1);
    (2..=3).for_each(|workers| assert!(one == finals(&spec, &partitions, workers), "{workers} workers show"));
    let truths = truths(&spec, &partitions);
    assert_eq!(one.len(), truths.len());
    let (mut cut, mut certain, mut in_doubt, mut perhaps_none) = (0, 0, 0, 0);
    for ranking in &one {
        let exact = &truths[&key(ranking)];
        judge(ranking, exact, spec.boards[0].k);
        assert_eq!((ranking.total, ranking.removed), (exact.total, exact.removed));
        cut += usize::from(ranking.error_floor > 0);
        certain += ranking.guaranteed;
        in_doubt += ranking.items.iter().filter(|item| item.lower < item.upper).count();
        perhaps_none += ranking.items.iter().filter(|item| item.lower == 0).count();
    }
    let seen = (one.len(), cut, certain, in_doubt, perhaps_none);
    assert!(cut > 60 && certain > 500 && in_doubt > 100 && perhaps_none > 0, "{seen:?}");
}

#[test]
fn bounds_hold_where_a_board_has_more_groups_than_it_may() {
    for (seed, engine) in [(5, Engine::Sketch), (6, Engine::Exact)] {
        let (mut spec, partitions) = (overflowing(&["region"]), partitions(seed, 6000, 500.0));
        (spec.boards[0].engine, spec.boards[0].max_groups) = (engine, 2);
        let one = finals(&spec, &partitions, 1);
        assert!(one == finals(&spec, &partitions, 3), "the number of workers shows");
        let truths = truths(&spec, &partitions);
        let mut unseen = 0;
        for ranking in &one {
            judge(ranking, &truths[&key(ranking)], spec.boards[0].k);
            unseen += usize::from(!ranking.group.is_whole() && ranking.error_floor > 0);
        }
        assert!(unseen > 20, "{unseen} groups may have had some of what was refused");
    }
}

#[test]
fn windows_of_the_whole_input_count_and_take_away_late_events_too() {
    for engine in [Engine::Sketch, Engine::Exact] {
        let (mut spec, mut partitions) = (retracting(engine, &["region"]), partitions(7, 3000, 60.0));
        spec.boards[0].windows.push(WindowSpec::whole("all"));
        let late = partitions[0][5].time;
        partitions.iter_mut().for_each(|events| {
            let last = events.len() - 50;
            events[last..].iter_mut().for_each(|event| event.time = late);
        });
        let expected = recount::whole(&spec, &partitions);
        for workers in [1, 3] {
            let mut computed = finals(&spec, &partitions, workers);
            computed.retain(|ranking| &*ranking.window == "all");
            assert_eq!(computed, expected);
        }
    }
    let (mut spec, partitions) = (overflowing(&[]), partitions(8, 20_000, 9000.0));
    (spec.sketch.rows, spec.sketch.rows_kept) = (32, 100);
    spec.boards[0].windows = vec![WindowSpec::whole("all")];
    let mut wide = spec.clone();
    wide.boards[0].k = 100_000;
    let exact = recount::whole(&wide, &partitions);
    for workers in [1, 2] {
        let computed = finals(&spec, &partitions, workers);
        assert_eq!(computed.len(), 1);
        judge(&computed[0], &exact[0], spec.boards[0].k);
    }
}

/// What is shown before a pane is closed: two likes are taken back, and those of an item that had none before.
#[test]
fn provisional_rankings_are_of_what_is_left_so_far() {
    for engine in [Engine::Sketch, Engine::Exact] {
        let mut spec = live_spec();
        let second = Duration::from_secs(1);
        let board = &mut spec.boards[0];
        board.engine = engine;
        board.by = vec!["region".into()];
        board.windows = vec![WindowSpec::sliding("tens", 10 * second, second)];
        board.retract.insert("weight".into(), Filter::AnyOf(vec![Constant::Integer(2)]));
        let feed = Feed::live(2);
        let job = Running::start(&spec, &feed, 2);
        let event = |at: i64, item: &str, weight| Event {
            weight,
            region: Some("IN".into()),
            ..Event::new(T0 + at, item)
        };
        for at in 0..4 {
            feed.push(0, &event(at, "a", 3));
            feed.push(1, &event(at, "b", 1));
        }
        feed.push(1, &event(5, "a", 2));
        feed.push(0, &event(6, "b", 2));
        feed.push(0, &event(7, "c", 2));
        let is_left = |snapshot: &Snapshot, group: &str| {
            let rows = snapshot.items.iter().map(|item| (&*item.item_id, item.lower, item.upper));
            !snapshot.is_final
                && snapshot.group.as_str() == group
                && rows.eq([("a", 10, 10), ("b", 2, 2)])
                && (snapshot.total, snapshot.removed) == (10, 6)
        };
        for group in ["", "region=IN"] {
            job.kept.wait_for("what is left", |snapshot| is_left(snapshot, group));
        }
        // Later panes take away from those that have closed.
        feed.push(0, &event(2500, "a", 2));
        feed.push(1, &event(2500, "b", 2));
        feed.push(1, &event(2501, "b", 2));
        let taken = |snapshot: &Snapshot| {
            let rows = snapshot.items.iter().map(|item| (&*item.item_id, item.lower, item.upper));
            let sums = (snapshot.total, snapshot.removed, snapshot.guaranteed);
            !snapshot.is_final
                && snapshot.group.as_str() == "region=IN"
                && rows.eq([("a", 8, 8)])
                && sums == (4, 12, 1)
        };
        job.kept.wait_for("what is left of closed panes", taken);
        let all = job.stop().all();
        assert!(all.iter().all(|snapshot| snapshot.group.is_group()), "what is removed is no group");
    }
}
