//! Windows that are ranked anew from a state, against what the job that left it has published of them.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::{Item, Snapshot};
use crest_connectors::state::StateStore;
use crest_dataflows::windows::past::{PastWindows, Step};
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::{Constant, Count, Engine, Filter, JobSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Event, Feed, Running, T0, spec};

const PANE: i64 = 10_000;
const FIRST: u64 = (T0 / PANE) as u64;
const SOURCE: &str = "feed";

/// Windows of panes, of minutes and of ten minutes, sliding and tumbling.
fn windows() -> Vec<WindowSpec> {
    let window = |(name, size, slide): (&str, u64, u64)| {
        WindowSpec::sliding(name, Duration::from_secs(size), Duration::from_secs(slide))
    };
    let all = [("minute", 60, 10), ("hour", 3600, 60), ("six", 21_600, 600), ("quarter", 900, 900)];
    all.map(window).to_vec()
}

/// Panes overflow, and windows cut even more.
fn sketched() -> JobSpec {
    let mut spec = spec();
    (spec.boards[0].windows, spec.boards[0].by) = (windows(), vec!["region".into()]);
    (spec.sketch.rows, spec.sketch.rows_kept) = (32, 1);
    spec
}

/// Ten hours of partitions with disorder, late events and gaps.
fn partitions(random: &mut StdRng) -> Vec<Vec<Event>> {
    let partition = |random: &mut StdRng| {
        let mut time = T0 + random.random_range(0..600_000);
        let mut event = |random: &mut StdRng| {
            time += match random.random_range(0..150) {
                0 => random.random_range(300_000..1_200_000),
                1 => -random.random_range(10_000..300_000),
                _ => random.random_range(-4_000..20_000),
            };
            let (a, b): (u32, u32) = (random.random_range(1..200), random.random_range(1..200));
            let region = [None, Some("IN"), Some("US")][random.random_range(0..3usize)];
            let weight = random.random_range(1..5);
            Event { time, item: format!("item:{}", a.min(b)), weight, region: region.map(String::from) }
        };
        (0..4000).map(|_| event(random)).collect()
    };
    (0..2).map(|_| partition(random)).collect()
}

fn store(folder: &Path) -> StateStore {
    StateStore::open(folder.to_str().unwrap(), &BTreeMap::new()).unwrap()
}

fn count(spec: &JobSpec, log: &[Vec<Event>], folder: &Path, retention: &Retention) -> Vec<Snapshot> {
    let state = Arc::new(JobState::open(store(folder), spec, SOURCE, retention, 1).unwrap());
    Running::with_state(spec, &Feed::bounded(log), 2, Some(state)).finish().finals()
}

/// The snapshots with an event, and the windows and ends that there are none of.
fn ranked(past: &mut PastWindows) -> (Vec<Snapshot>, BTreeSet<(String, i64)>) {
    let (mut ranked, mut unheld, mut last) = (Vec::new(), BTreeSet::new(), i64::MIN);
    loop {
        let next = past.next_end();
        assert!(next.is_none_or(|next| next >= last), "in the order of their ends");
        last = next.unwrap_or(last);
        match past.step().unwrap() {
            Step::Read => {}
            Step::Ranked(end) => {
                assert!(end.snapshots.iter().all(|s| s.window == end.window && s.window_end == end.end));
                ranked.extend(end.snapshots.into_iter().map(plain).filter(has_some));
            }
            Step::Unheld(window, end) => drop(unheld.insert((window.to_string(), end))),
            Step::Over => return (ranked, unheld),
        }
    }
}

/// Without what depends on who ranks.
fn plain(snapshot: Snapshot) -> Snapshot {
    let items = snapshot.items.into_iter().map(|item| Item { change: None, ..item }).collect();
    Snapshot { computed_at: 0, bucket: false, epoch: 1, items, ..snapshot }
}

/// Whether anything was counted in it and not removed.
fn has_some(snapshot: &Snapshot) -> bool {
    snapshot.total > 0 || !snapshot.items.is_empty()
}

fn lies_in(snapshot: &Snapshot, panes: &std::ops::Range<u64>) -> bool {
    panes.start <= (snapshot.window_start / PANE) as u64 && (snapshot.window_end / PANE) as u64 <= panes.end
}

#[test]
fn past_windows_are_what_the_job_has_published() {
    let users = || Count::Distinct("weight".into());
    for (seed, engine, count_of, retracts) in [
        (1, Engine::Sketch, Count::Events, false),
        (2, Engine::Sketch, Count::Events, false),
        (3, Engine::Exact, Count::Events, false),
        (5, Engine::Sketch, users(), false),
        (6, Engine::Exact, users(), false),
        (7, Engine::Sketch, Count::Events, true),
        (8, Engine::Exact, Count::Events, true),
    ] {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut spec, folder) = (sketched(), tempfile::tempdir().unwrap());
        (spec.boards[0].engine, spec.boards[0].count) = (engine, count_of);
        if retracts {
            let removed = Filter::AnyOf(vec![Constant::Integer(2)]);
            spec.boards[0].retract.insert("weight".into(), removed);
        }
        let log = partitions(&mut random);
        let finals = count(&spec, &log, folder.path(), &Retention::default());
        let start = FIRST + random.random_range(0..200);
        let range = if seed == 1 { 0..u64::MAX } else { start..start + random.random_range(2600..2800) };
        let mut past = PastWindows::open(store(folder.path()), &spec, SOURCE, 0, &range).unwrap();
        let panes = past.panes();
        let expected = finals.into_iter().filter(|s| has_some(s) && lies_in(s, &panes)).map(plain);
        let (mut expected, (mut found, unheld)) = (expected.collect::<Vec<_>>(), ranked(&mut past));
        let place = |s: &Snapshot| (s.window_end, s.window.clone(), s.group.clone());
        expected.sort_by_key(place);
        found.sort_by_key(place);
        let names: BTreeSet<_> = found.iter().map(|s| (s.window.to_string(), s.group.clone())).collect();
        assert_eq!((names.len(), unheld.len()), (12, 0), "seed {seed}: {names:?}");
        assert!(found.len() > 5000, "seed {seed}: only {}", found.len());
        let in_doubt = found.iter().filter(|s| s.error > 0).count();
        match engine {
            Engine::Sketch => assert!(in_doubt > 500, "seed {seed}: {in_doubt}"),
            Engine::Exact => assert_eq!(in_doubt, 0, "seed {seed}"),
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "seed {seed}");
        }
        assert_eq!(found.len(), expected.len(), "seed {seed}");
    }
}

#[test]
fn what_was_let_go_of_is_told_and_not_ranked() {
    let (mut random, mut spec) = (StdRng::seed_from_u64(4), sketched());
    spec.boards[0].windows = windows()[..2].to_vec();
    let (folder, mut retention) = (tempfile::tempdir().unwrap(), Retention::default());
    assert!(retention.set("pane", Some(Duration::from_secs(7200))));
    let log = partitions(&mut random);
    count(&spec, &log, folder.path(), &retention);
    // What is let go of at the end of a job goes when the next one has begun.
    let finals = count(&spec, &log, tempfile::tempdir().unwrap().path(), &Retention::default());
    let mut past = PastWindows::open(store(folder.path()), &spec, SOURCE, 0, &(0..u64::MAX)).unwrap();
    let panes = past.panes();
    let (found, unheld) = ranked(&mut past);
    let of = |name: &str| unheld.iter().filter(|(window, _)| window == name).count();
    assert!(of("minute") > 100 && of("hour") == 0, "{} and {}", of("minute"), of("hour"));
    let expected = finals.into_iter().filter(|s| s.total > 0 && lies_in(s, &panes)).map(plain);
    let expected = expected.filter(|s| !unheld.contains(&(s.window.to_string(), s.window_end)));
    let key = |s: &Snapshot| (s.window.to_string(), s.window_end, s.group.clone());
    let by_key = |list: Vec<Snapshot>| list.into_iter().map(|s| (key(&s), s)).collect::<BTreeMap<_, _>>();
    assert_eq!(by_key(found), by_key(expected.collect()));
}
