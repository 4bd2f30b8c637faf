//! Boards that select alike share what they count: each publishes what it would publish alone.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_state::spec::{BoardSpec, Constant, Count, Engine, Filter, JobSpec, WindowSpec};
use proptest::prelude::*;
use std::time::Duration;
use support::{Event, T0, finals, spec};

/// A few partitions of some minutes, some of whose events are late or have no region.
fn partitions() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let region = prop_oneof![Just(None), Just(Some("IN")), Just(Some("US"))];
    let event = (0..240_000i64, 0..200u32, 1..9u32, region);
    let events = prop::collection::vec(event, 1..400).prop_map(|mut events| {
        events.sort_by_key(|(time, ..)| time / 30_000);
        let event = |(time, item, weight, region): (i64, u32, u32, Option<&str>)| Event {
            time: T0 + time,
            item: format!("item:{item}"),
            weight,
            region: region.map(String::from),
        };
        events.into_iter().map(event).collect()
    });
    prop::collection::vec(events, 1..4)
}

/// Boards of all kinds that take the same items of the same events, in an order that matters to who counts for whom.
fn boards() -> Vec<BoardSpec> {
    let alike = spec().boards.remove(0);
    let named = |name: &str, change: fn(&mut BoardSpec)| {
        let mut board = BoardSpec { name: name.into(), ..alike.clone() };
        change(&mut board);
        board
    };
    vec![
        named("plain", |_| {}),
        named("whole_input", |board| board.windows.push(WindowSpec::whole("all"))),
        named("exact", |board| board.engine = Engine::Exact),
        named("by_region", |board| board.by = vec!["region".into()]),
        named("short", |board| {
            let minute = Duration::from_secs(60);
            (board.k, board.windows) = (3, vec![WindowSpec::sliding("each_1m", minute, minute)]);
        }),
        named("retracting", |board| {
            board.retract.insert("weight".into(), Filter::AnyOf(vec![Constant::Integer(3)]));
        }),
        named("distinct", |board| board.count = Count::Distinct("weight".into())),
        named("exact_too", |board| board.engine = Engine::Exact),
        named("whole_input_too", |board| board.windows.push(WindowSpec::whole("all"))),
        named("few_groups", |board| (board.by, board.max_groups) = (vec!["region".into()], 1)),
        named("distinct_too", |board| board.count = Count::Distinct("weight".into())),
    ]
}

fn job(boards: Vec<BoardSpec>) -> JobSpec {
    let mut job = JobSpec { boards, ..spec() };
    // So few rows that the sketches are not exact, and so depend on the order of the events.
    (job.sketch.rows, job.sketch.rows_kept) = (32, 100);
    job
}

/// In an order that does not depend on the boards beside.
fn sorted(mut snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    snapshots.sort_by_key(|s| (s.window.clone(), s.window_end, s.group.to_string()));
    snapshots
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn each_board_publishes_what_it_would_alone(partitions in partitions(), workers in 1usize..4) {
        let together = finals(&job(boards()), &partitions, workers);
        for board in boards() {
            let name = board.name.clone();
            let alone = finals(&job(vec![board]), &partitions, workers);
            let beside: Vec<_> = together.iter().filter(|s| s.board == name).cloned().collect();
            prop_assert_eq!(sorted(beside), sorted(alone), "{}", name);
        }
    }
}
