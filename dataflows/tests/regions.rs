//! A job that merges the closed panes of several states ranks what one job over all their logs would.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use crest_state::history::{History, Interval};
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::region::Region;
use crest_state::region_feed::Regions;
use crest_state::retention::Retention;
use crest_state::spec::{BoardSpec, Constant, Engine, Filter, JobSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use support::regions::{Live, elsewhere, final_at, said, seconds};
use support::state::{open, run, wait_until};
use support::{Event, Feed, Running, T0, finals, recount, spec};

/// The board by region, whose groups are some of the same in all states and some of one alone.
fn grouped() -> JobSpec {
    let mut spec = spec();
    spec.boards[0].by = vec!["region".into()];
    spec
}

/// Events of a weight of 2 take away.
fn retracting(mut spec: JobSpec) -> JobSpec {
    spec.boards[0].retract.insert("weight".into(), Filter::AnyOf(vec![Constant::Integer(2)]));
    spec
}

/// The regions whose logs have these partitions, each counted to its end by a job of its own.
fn counted(spec: &JobSpec, logs: &[Vec<Vec<Event>>]) -> Vec<Region> {
    let count = |(place, partitions): (usize, &Vec<Vec<Event>>)| {
        let store = StateStore::in_memory();
        let spec = elsewhere(spec, 100 + place as u64);
        run(&spec, &Feed::bounded(partitions), 1 + place % 3, store.clone()).finish();
        Region::new(&format!("r{place}"), store)
    };
    logs.iter().enumerate().map(count).collect()
}

/// What is merged in one run, which ends.
fn merged(spec: &JobSpec, regions: &[Region], workers: usize, state: bool) -> Vec<Snapshot> {
    let spec = elsewhere(spec, 7);
    let state = state.then(|| open(StateStore::in_memory(), &spec));
    Running::of_regions(&spec, regions.to_vec(), workers, state, None).finish().finals()
}

/// Without what a run gives its snapshots.
fn alike(mut snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    snapshots.iter_mut().for_each(|snapshot| snapshot.epoch = 0);
    snapshots.sort_by(|a, b| {
        let order = |s: &Snapshot| (s.window_end, s.window.clone(), s.group.clone());
        order(a).cmp(&order(b))
    });
    snapshots
}

fn log() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let event = (0i64..400_000, 0u32..12, 1u32..5, prop::option::of(0u32..4)).prop_map(
        |(at, item, weight, group)| {
            let region = group.map(|group| format!("g{group}"));
            Event { weight, region, ..Event::new(T0 + at, &format!("item:{item}")) }
        },
    );
    let partition = prop::collection::vec(event, 0..60).prop_map(|mut events| {
        events.sort_by_key(|event| event.time);
        events
    });
    prop::collection::vec(partition, 1..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn where_panes_are_exact_the_rankings_are_those_of_one_job_over_all_logs(
        logs in prop::collection::vec(log(), 1..4),
        workers in 1usize..4,
        exact: bool,
        retracts: bool,
        state: bool,
    ) {
        let mut spec = grouped();
        if retracts {
            spec = retracting(spec);
        }
        if exact {
            spec.boards[0].engine = Engine::Exact;
        }
        let expected = finals(&spec, &logs.concat(), 1);
        prop_assume!(logs.iter().flatten().any(|partition| !partition.is_empty()));
        let found = merged(&spec, &counted(&spec, &logs), workers, state);
        prop_assert_eq!(alike(found), alike(expected));
    }
}

#[test]
fn where_panes_were_cut_and_some_is_taken_away_the_bounds_hold() {
    let mut spec = retracting(grouped());
    (spec.boards[0].k, spec.sketch.rows, spec.sketch.rows_kept) = (5, 32, 50);
    spec.boards[0].max_groups = 2;
    let item = |n: i64| (n * n + n / 7) % (1 + n % 900);
    let log = |shift: i64| -> Vec<Vec<Event>> {
        let event = |n: i64| Event {
            weight: if (n + shift) % 3 == 0 { 2 } else { 1 },
            region: Some(format!("g{}", (n + shift) % 5)),
            ..Event::new(T0 + 40 * n, &format!("item:{}", item(n + shift)))
        };
        vec![(0..5000).map(event).collect()]
    };
    let logs = [log(0), log(300), log(7)];
    let found = merged(&spec, &counted(&spec, &logs), 2, true);
    let mut wide = spec.clone();
    wide.boards[0].k = 10_000;
    let truths = recount::snapshots(&wide, &logs.concat());
    assert!(found.iter().any(|snapshot| snapshot.error_floor > 0), "some panes are cut");
    for snapshot in &found {
        let of = |s: &&Snapshot| (s.window_end, s.window.clone(), s.group.clone());
        let truth = truths.iter().find(|truth| of(truth) == of(&snapshot)).unwrap();
        let mut counts: BTreeMap<&str, u64> =
            truth.items.iter().map(|item| (&*item.item_id, item.count)).collect();
        for item in &snapshot.items {
            let truth = counts.remove(&*item.item_id).unwrap_or(0);
            assert!(item.lower <= truth && truth <= item.upper, "{item:?} has {truth}");
        }
        let last = snapshot.items.last().map_or(0, |item| item.count);
        let missed = counts.values().copied().max().unwrap_or(0);
        assert!(missed <= last.max(snapshot.error_floor), "{missed} is not in {snapshot:?}");
    }
}

#[test]
fn where_panes_were_cut_the_bounds_hold() {
    let mut spec = spec();
    (spec.boards[0].k, spec.sketch.rows, spec.sketch.rows_kept) = (5, 32, 50);
    let item = |n: i64| (n * n + n / 7) % (1 + n % 900);
    let log = |shift: i64| -> Vec<Vec<Event>> {
        let event = |n: i64| Event::new(T0 + 40 * n, &format!("item:{}", item(n + shift)));
        vec![(0..5000).map(event).collect()]
    };
    let logs = [log(0), log(300), log(7)];
    let found = merged(&spec, &counted(&spec, &logs), 2, true);
    let events = recount::on_time(&spec, &logs.concat());
    assert!(found.iter().any(|snapshot| snapshot.error_floor > 0), "some panes are cut");
    for snapshot in &found {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let inside = |event: &&Event| (snapshot.window_start..snapshot.window_end).contains(&event.time);
        events.iter().filter(inside).for_each(|event| *counts.entry(&event.item).or_default() += 1);
        assert_eq!(snapshot.total, counts.values().sum::<u64>());
        for item in &snapshot.items {
            let truth = counts.remove(&*item.item_id).unwrap_or(0);
            assert!(item.lower <= truth && truth <= item.upper, "{item:?} has {truth}");
        }
        let last = snapshot.items.last().map_or(0, |item| item.count);
        let missed = counts.values().copied().max().unwrap_or(0);
        assert!(missed <= last.max(snapshot.error_floor), "{missed} is not in {snapshot:?}");
    }
}

#[test]
fn a_region_is_missing_from_the_panes_that_it_keeps_no_more() {
    let event = |n: i64| Event::new(T0 + 1000 * n, &format!("item:{}", n % 7));
    let log: Vec<Event> = (0..3600).map(event).collect();
    let (forgets, spec) = (StateStore::in_memory(), elsewhere(&spec(), 7));
    let mut regions = counted(&spec, &[vec![log.clone()]]);
    let mut retention = Retention::default();
    assert!(retention.set("pane", Some(Duration::from_secs(600))));
    let (theirs, feed) = (elsewhere(&spec, 9), Feed::bounded(&[log]));
    let state = JobState::open(forgets.clone(), &theirs, "feed", &retention, 1).unwrap();
    Running::with_state(&theirs, &feed, 1, Some(state.into())).finish();
    regions.push(Region::new("forgets", forgets));
    for workers in [1, 3] {
        let found = merged(&spec, &regions, workers, true);
        let minutes = |found: &[Snapshot]| {
            found.iter().filter(|s| &*s.window == "last_1m").cloned().collect::<Vec<_>>()
        };
        let (partial, whole): (Vec<_>, Vec<_>) = minutes(&found).into_iter().skip(6).partition(|s| s.partial);
        assert!(partial.iter().all(|s| s.missing.iter().map(|name| &**name).eq(["forgets"])
            && s.total < 120
            && s.since.is_some()));
        assert!(
            whole
                .iter()
                .filter(|s| s.window_end <= T0 + 3_600_000)
                .all(|s| s.total == 120 && s.missing.is_empty())
        );
        assert!(partial.len() > 200 && whole.len() > 50, "{} and {}", partial.len(), whole.len());
    }
}

#[test]
fn who_is_missing_is_named_while_it_is_and_what_was_published_never_changes() {
    // Between two writes no region is idle, however slow the machine: time would go on, and what is written next be late.
    let never_idle = |spec: &mut JobSpec| spec.time.idle_timeout = Duration::from_secs(60);
    let (mut eu, us) = (Live::start_with(1, never_idle), Live::start_with(2, never_idle));
    let (spec, store) = (elsewhere(&seconds(), 3), StateStore::in_memory());
    let start = |eu: &Live, us: &Live| {
        let regions = vec![eu.region("eu"), us.region("us")];
        Running::of_regions(&spec, regions, 2, Some(open(store.clone(), &spec)), None)
    };
    let job = start(&eu, &us);
    eu.write(0..4, "a");
    us.write(0..4, "a");
    assert_eq!(said(&final_at(&job, "second", 3)), (10, vec![], None));

    // One of them stops, and the other one goes on.
    eu.stop();
    us.write(4..9, "a");
    let without = final_at(&job, "second", 8);
    assert_eq!(said(&without), (5, vec!["eu"], Some(40)));
    assert_eq!(said(&final_at(&job, "three", 8)), (15, vec!["eu"], Some(40)));
    // It is known where it was: of the panes before, nothing is missing.
    assert_eq!(said(&final_at(&job, "second", 3)).1, Vec::<&str>::new());

    // A run that resumes says the same, and nothing again.
    let before = job.stop().finals();
    let job = start(&eu, &us);
    eu.go_on();
    eu.write(4..14, "b");
    us.write(9..14, "a");
    assert_eq!(said(&final_at(&job, "second", 13)), (10, vec![], None));
    let across = before
        .iter()
        .chain(&job.kept.finals())
        .find(|s| &*s.window == "three" && s.window_end == T0 + 10_000)
        .cloned();
    assert!(said(&across.unwrap()).1 == ["eu"]);
    let all = [before, job.stop().finals()].concat();
    let mut known = BTreeMap::new();
    for snapshot in alike(all) {
        let key = (snapshot.window.clone(), snapshot.window_end);
        let before = known.entry(key).or_insert_with(|| snapshot.clone());
        assert_eq!(*before, snapshot, "what was published never changes");
    }
    let ends = |window: &str| {
        known
            .keys()
            .filter(|(name, _)| **name == *window)
            .map(|(_, end)| (end - T0) / 1000)
            .collect::<Vec<_>>()
    };
    assert_eq!(ends("second"), (1..=13).collect::<Vec<_>>());

    // What came too late can be counted again, and is then missing no more.
    let panes = |seconds: i64| ((T0 + 1000 * seconds) / 200) as Pane;
    let range = panes(0)..panes(10);
    let past = |store: &StateStore| {
        let interval = Interval::Between(T0, T0 + 10_000);
        History::open(store.clone()).unwrap().rank("default", &GroupKey::WHOLE, interval, 5).unwrap()
    };
    let found = past(&store);
    assert_eq!(found.missing.map(|(names, _)| names), Some(vec!["eu".into()]));
    let backfill =
        JobState::open_backfill(store.clone(), &spec, "feed", &Retention::default(), range.clone(), None, 9);
    let regions = vec![eu.region("eu"), us.region("us")];
    let counted = backfill.unwrap();
    let job = Running::of_regions(&spec.without_windows(), regions, 1, Some(counted.into()), Some(range));
    job.finish();
    let found = past(&store);
    assert_eq!((found.missing, found.ranking.unwrap().total), (None, 100));
}

#[test]
fn a_region_that_does_not_fit_is_refused_by_name() {
    let (eu, us) = (Live::start(1), Live::start(2));
    let mut spec = elsewhere(&seconds(), 3);
    eu.write(0..9, "a");
    us.write(0..9, "a");
    let durable = |live: &Live| live.job.as_ref().unwrap().view.state().map_or(0, |counts| counts.durable);
    assert!(wait_until(|| durable(&eu) >= T0 + 8000 && durable(&us) >= T0 + 8000));
    // A board that only one of them has is refused by name, and so is another one of that name.
    let refused = |spec: &JobSpec, regions: Vec<Region>| {
        Regions::open(regions, spec, None, false).unwrap_err().to_string()
    };
    let both = || vec![eu.region("eu"), us.region("us")];
    spec.boards.push(BoardSpec { name: "sales".into(), ..BoardSpec::default() });
    assert_eq!(refused(&spec, both()), "region eu: the state memory has no board \"sales\"; it has default");
    spec.boards.pop();
    spec.boards[0].item = Some("video_id".into());
    let text = refused(&spec, both());
    assert!(
        text.starts_with(
            "region eu: the state memory counts another board \"default\": boards[default].item is"
        ),
        "{text}"
    );
    spec.boards[0].item = None;
    spec.time.pane = Duration::from_secs(1);
    assert_eq!(
        refused(&spec, both()),
        "region eu: the state memory has panes of 200ms, and time.pane is 1s here: they must be the same"
    );
    spec.time.pane = Duration::from_millis(200);
    assert!(
        refused(&spec, vec![eu.region("eu"), eu.region("us")])
            .starts_with("region us: the state memory is that of region eu, too")
    );
    let nowhere = Region::new("asia", StateStore::in_memory());
    assert!(
        refused(&spec, vec![eu.region("eu"), nowhere])
            .starts_with("region asia: state memory: there is no manifest")
    );
    let counted = Regions::open(both(), &spec, None, false).unwrap().identity();
    let swapped = vec![us.region("eu"), eu.region("us")];
    let error = Regions::open(swapped, &spec, counted.as_deref(), false).unwrap_err().to_string();
    assert!(
        error.starts_with("region eu: the state memory is another one than the one that was counted"),
        "{error}"
    );
    // Windows, K and how it is sketched are the job's own.
    (spec.boards[0].k, spec.sketch.rows, spec.sketch.rows_kept) = (3, 64, 100);
    assert!(Regions::open(both(), &spec, None, false).is_ok());
    let range = (T0 / 200) as Pane..((T0 + 60_000) / 200) as Pane;
    let error = Regions::open(both(), &spec, None, false)
        .unwrap()
        .check_range(&spec, &range)
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not have all panes of the range: some are still open"), "{error}");
}
