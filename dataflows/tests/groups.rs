//! Boards with more groups than they may have: which of them are listed, and that what the others have is in the whole
//! and in the bounds, against a model that knows nothing of sketches, workers and windows' sums.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::fanout::Sinks;
use crest_connectors::memory::MemoryStore;
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::{Fault, Faults, StateStore};
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::{Engine, JobSpec, Sliding, WindowSpec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Event, Feed, Kept, Running, T0, finals, recount, spec};

const PANE: i64 = 10_000;
const LIMIT: usize = 3;

type Weights = BTreeMap<String, u64>;

/// What the model has of one pane.
#[derive(Default)]
struct Pane {
    /// By group and item: what was counted of the groups that have a place, and what an item may have beyond it.
    listed: BTreeMap<String, (Weights, u64)>,
    /// What an item of any other group may have.
    rest: u64,
}

/// The region of a group.
fn region_of(snapshot: &Snapshot) -> Option<String> {
    snapshot.group.pairs().next().map(|(_, region)| region.into_owned())
}

/// The panes of a log, one after the other, as the rule of the README says.
fn model(spec: &JobSpec, partitions: &[Vec<Event>]) -> BTreeMap<i64, Pane> {
    /// By group and item, in the order of the log, and the weight of the groups that came too late.
    type Part = (BTreeMap<String, Weights>, u64);
    let mut parts: BTreeMap<i64, Vec<Part>> = BTreeMap::new();
    for events in partitions {
        let mut panes: BTreeMap<i64, Part> = BTreeMap::new();
        for event in recount::on_time(spec, std::slice::from_ref(events)) {
            let (groups, refused) = panes.entry(event.time / PANE).or_default();
            let Some(region) = event.region else { continue };
            if groups.len() < LIMIT || groups.contains_key(&region) {
                *groups.entry(region).or_default().entry(event.item).or_default() += u64::from(event.weight);
            } else {
                *refused += u64::from(event.weight);
            }
        }
        panes.into_iter().for_each(|(pane, part)| parts.entry(pane).or_default().push(part));
    }
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    parts.into_iter().map(|(pane, parts)| (pane, close(spec, pane, &parts, &mut last))).collect()
}

fn close(
    spec: &JobSpec,
    pane: i64,
    parts: &[(BTreeMap<String, Weights>, u64)],
    last: &mut BTreeMap<String, i64>,
) -> Pane {
    let mut closed = Pane::default();
    let refused: u64 = parts.iter().map(|(_, refused)| refused).sum();
    for text in parts.iter().flat_map(|(groups, _)| groups.keys()) {
        let (items, doubt) = closed.listed.entry(text.clone()).or_default();
        if !items.is_empty() {
            continue;
        }
        for (groups, refused) in parts {
            match groups.get(text) {
                Some(part) => {
                    part.iter().for_each(|(item, count)| *items.entry(item.clone()).or_default() += count)
                }
                None => *doubt += refused,
            }
        }
    }
    // In some window that this pane is in.
    let first = |Sliding { size, slide, .. }: Sliding<'_>| {
        let panes = |time: Duration| time.as_millis() as i64 / PANE;
        (pane / panes(slide) + 1) * panes(slide) - panes(size)
    };
    let from = spec.boards[0].sliding_windows().map(first).min().unwrap_or(pane);
    last.retain(|_, seen| *seen >= from);
    let total = |items: &Weights| items.values().sum::<u64>();
    let mut new: Vec<(u64, String)> =
        closed.listed.iter().map(|(text, (items, _))| (total(items), text.clone())).collect();
    new.retain(|(_, text)| !last.contains_key(text));
    new.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let room = LIMIT.saturating_sub(last.len());
    let mut most = 0;
    for (place, (weight, text)) in new.into_iter().enumerate() {
        if place >= room {
            most = most.max(weight);
            closed.listed.remove(&text);
        }
    }
    last.extend(closed.listed.keys().map(|text| (text.clone(), pane)));
    closed.rest = refused + most;
    closed
}

/// Holds the final snapshots of groups against the model, and the bounds against the log.
fn check(spec: &JobSpec, partitions: &[Vec<Event>], finals: &[Snapshot]) {
    let panes = model(spec, partitions);
    let events = recount::on_time(spec, partitions);
    let mut listed: BTreeMap<(String, i64), BTreeSet<String>> = BTreeMap::new();
    for snapshot in finals {
        let within = snapshot.window_start..snapshot.window_end;
        let Some(region) = &region_of(snapshot) else {
            let total: u64 =
                events.iter().filter(|e| within.contains(&e.time)).map(|e| u64::from(e.weight)).sum();
            assert_eq!((snapshot.total, snapshot.error_floor), (total, 0), "the whole has all");
            continue;
        };
        let (mut counted, mut doubt, mut held) = (Weights::new(), 0, false);
        for (_, pane) in panes.range(within.start / PANE..within.end / PANE) {
            match pane.listed.get(region) {
                Some((items, of_partitions)) => {
                    items.iter().for_each(|(item, n)| *counted.entry(item.clone()).or_default() += n);
                    (doubt, held) = (doubt + of_partitions, true);
                }
                None => doubt += pane.rest,
            }
        }
        let mut truth = Weights::new();
        let of_group = |event: &&Event| within.contains(&event.time) && event.region.as_ref() == Some(region);
        for event in events.iter().filter(of_group) {
            *truth.entry(event.item.clone()).or_default() += u64::from(event.weight);
        }
        for item in &snapshot.items {
            let true_count = truth.remove(&*item.item_id).unwrap_or(0);
            assert!(item.lower <= true_count && true_count <= item.upper, "{true_count} in {snapshot:?}");
            assert_eq!(
                (item.lower, item.upper),
                (counted[&*item.item_id], item.lower + doubt),
                "{snapshot:?}"
            );
        }
        let (others, other) = (truth.values().sum::<u64>(), snapshot.other().unwrap());
        assert!(other.lower <= others && others <= other.upper, "{others} others in {snapshot:?}");
        let outside = truth.values().max().copied().unwrap_or(0);
        assert!(outside <= snapshot.error_floor, "an item of {outside} is missed by {snapshot:?}");
        if held {
            assert_eq!(snapshot.error_floor, doubt, "{snapshot:?}");
            listed.entry((snapshot.window.to_string(), within.end)).or_default().insert(region.clone());
        } else {
            assert_eq!((snapshot.total, snapshot.items.len()), (0, 0), "{snapshot:?}");
        }
    }
    for snapshot in finals.iter().filter(|snapshot| snapshot.group.is_whole()) {
        let range = snapshot.window_start / PANE..snapshot.window_end / PANE;
        let expected: BTreeSet<String> =
            panes.range(range).flat_map(|(_, pane)| pane.listed.keys().cloned()).collect();
        let key = (snapshot.window.to_string(), snapshot.window_end);
        assert_eq!(listed.remove(&key).unwrap_or_default(), expected, "the groups of {key:?}");
        assert!(expected.len() <= LIMIT, "{expected:?} in {key:?}");
    }
    assert_eq!(listed, BTreeMap::new(), "rankings of groups where the board has none");
}

/// Few windows, so that groups come and go, one of them made of minutes.
fn crowded(engine: Engine) -> JobSpec {
    let mut spec = spec();
    let board = &mut spec.boards[0];
    (board.by, board.max_groups, board.engine) = (vec!["region".into()], LIMIT, engine);
    board.k = 8;
    let window = |name: &str, size: u64, slide: u64| {
        WindowSpec::sliding(name, Duration::from_secs(size), Duration::from_secs(slide))
    };
    board.windows =
        vec![window("last_30s", 30, 10), window("each_40s", 40, 40), window("last_32m", 1920, 60)];
    spec
}

/// The same without its long window, so that groups leave.
fn churning(engine: Engine) -> JobSpec {
    let mut spec = crowded(engine);
    spec.boards[0].windows.pop();
    spec
}

/// Partitions in which groups come and go: of a few that stay, and of many that are new each time.
fn partitions() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let step = prop_oneof![30 => 0i64..1500, 3 => 5_000i64..30_000, 1 => 100_000i64..3_000_000];
    let region =
        prop_oneof![3 => (0u64..3).prop_map(Some), 3 => (100u64..130).prop_map(Some), 1 => Just(None)];
    let event = (step, region, 0u64..6, 1u32..6);
    let partition = (0i64..20_000, prop::collection::vec(event, 1..120)).prop_map(|(mut time, events)| {
        time += T0;
        let event = |(step, region, item, weight): (i64, Option<u64>, u64, u32)| {
            time += step;
            let region = region.map(|region| {
                if region < 3 {
                    format!("r{region}")
                } else {
                    format!("n{}", region + time as u64 / 60_000 % 5)
                }
            });
            Event { time, item: format!("item:{item}"), weight, region }
        };
        events.into_iter().map(event).collect()
    });
    prop::collection::vec(partition, 1..4)
}

/// Window, group and end.
type Key = (String, String, i64);

fn by_key(snapshots: Vec<Snapshot>) -> BTreeMap<Key, Snapshot> {
    let key =
        |snapshot: &Snapshot| (snapshot.window.to_string(), snapshot.group.to_string(), snapshot.window_end);
    snapshots.into_iter().map(|snapshot| (key(&snapshot), snapshot)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_those_of_the_model_for_any_workers(
        partitions in partitions(), workers in 1usize..5, exact: bool, long: bool,
    ) {
        let engine = if exact { Engine::Exact } else { Engine::Sketch };
        let spec = if long { crowded(engine) } else { churning(engine) };
        check(&spec, &partitions, &finals(&spec, &partitions, workers));
    }

    #[test]
    fn what_is_in_no_window_is_held_no_more(partitions in partitions(), workers in 1usize..5, exact: bool) {
        let spec = churning(if exact { Engine::Exact } else { Engine::Sketch });
        // That a window has become empty is published, too.
        let spec = JobSpec { empty: true, ..spec };
        let (kept, store) = (Arc::new(Kept::default()), Arc::new(MemoryStore::new()));
        let sinks = Arc::new(Sinks(vec![kept.clone(), store.clone()]));
        Running::into_sink(&spec, &Feed::bounded(&partitions), workers, sinks).finish();
        let mut last: BTreeMap<(Arc<str>, String), u64> = BTreeMap::new();
        for snapshot in kept.finals() {
            last.insert((snapshot.window.clone(), snapshot.group.to_string()), snapshot.total);
        }
        let groups = |held: Vec<String>| held.into_iter().filter(|text| !text.is_empty()).collect::<BTreeSet<_>>();
        let in_windows = last.into_iter().filter(|(_, total)| *total > 0).map(|((_, text), _)| text);
        let held = store.list().into_iter().map(|known| known.group.to_string());
        prop_assert_eq!(groups(held.collect()), groups(in_windows.collect()));
    }
}

#[test]
fn what_a_group_had_in_a_pane_that_does_not_list_it_is_in_its_bounds() {
    for engine in [Engine::Sketch, Engine::Exact] {
        let event =
            |n: i64, region: &str| Event { region: Some(region.into()), ..Event::new(T0 + n, "item") };
        let first = ["a", "b", "c"].iter().zip(0..).map(|(region, n)| event(n, region));
        // In the next pane as many others come first.
        let then = ["x", "y", "z", "a", "a"].iter().zip(PANE..).map(|(region, n)| event(n, region));
        let finals = finals(&churning(engine), &[first.chain(then).collect()], 2);
        let is_of_both = |s: &&Snapshot| s.window_end == T0 + 2 * PANE && s.group.as_str() == "region=a";
        let a = finals.iter().find(|s| is_of_both(s) && &*s.window == "last_30s").unwrap();
        let item = &a.items[0];
        assert!(item.lower <= 3 && 3 <= item.upper && !item.exact, "a has 3, and is said to have {item:?}");
        assert_eq!(
            (item.lower, item.upper, a.error_floor),
            (1, 4, 3),
            "2 were refused, 1 had each of the others"
        );
    }
}

/// Cuts runs off, by a store that does nothing more after some operation, until one comes to its end.
fn cut_off_and_resumed(spec: &JobSpec, partitions: &[Vec<Event>], cuts: &[usize]) -> BTreeMap<Key, Snapshot> {
    let folder = tempfile::tempdir().unwrap();
    let store = || StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
    let open = |store| JobState::open(store, spec, "feed", &Retention::default(), 1);
    let feed = Feed::bounded(partitions).paced(Duration::from_micros(300));
    let mut published = BTreeMap::new();
    for (attempt, last) in cuts.iter().copied().chain([usize::MAX]).enumerate() {
        let operations = Arc::new(AtomicUsize::new(0));
        let count = operations.clone();
        let faults: Faults = Arc::new(move |_, _| match count.fetch_add(1, Ordering::SeqCst) < last {
            true => Fault::Pass,
            false => Fault::Fail,
        });
        let resume = open(store()).unwrap().resume();
        let Ok(state) = open(store().with_faults(faults)) else { continue };
        let feed = feed.again(resume.as_ref());
        let job = Running::with_state(spec, &feed, 1 + attempt % 4, Some(Arc::new(state)));
        let deadline = Instant::now() + Duration::from_secs(60);
        while operations.load(Ordering::SeqCst) <= last && !job.is_over() {
            assert!(Instant::now() < deadline, "neither the end nor the cut");
            std::thread::sleep(Duration::from_millis(1));
        }
        for (key, snapshot) in by_key(job.stop().finals()) {
            if let Some(before) = published.insert(key, snapshot.clone()) {
                assert_eq!(before, snapshot, "published with two contents");
            }
        }
    }
    published
}

/// The partitions are read to their end while nothing of the state can be read, so that no source announces the stop.
#[test]
fn a_run_that_is_stopped_before_it_knows_its_groups_ends() {
    let spec = churning(Engine::Sketch);
    let folder = tempfile::tempdir().unwrap();
    let store = || StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
    let open = |store| JobState::open(store, &spec, "feed", &Retention::default(), 1).unwrap();
    let event = |n: i64| Event { region: Some(format!("r{}", n % 5)), ..Event::new(T0 + n * PANE, "item") };
    let first = Feed::live(1);
    (0..12).for_each(|n| first.push(0, &event(n)));
    let job = Running::with_state(&spec, &first, 1, Some(Arc::new(open(store()))));
    job.kept.wait_for("some panes are durable", |s| s.is_final && s.window_end >= T0 + 8 * PANE);
    job.stop();

    let faults: Faults = Arc::new(|call, _| if call == "get" { Fault::Fail } else { Fault::Pass });
    let state = open(store().with_faults(faults));
    let rest = Feed::bounded(&[(0..20).map(event).collect()]).again(state.resume().as_ref());
    let job = Running::with_state(&spec, &rest, 1, Some(Arc::new(state)));
    let deadline = Instant::now() + Duration::from_secs(60);
    let ended = || job.view.with_workers(|workers| workers.iter().flatten().any(|(_, worker)| worker.ended));
    while !ended() {
        assert!(Instant::now() < deadline, "the partitions are not read");
        std::thread::sleep(Duration::from_millis(5));
    }
    job.view.request_stop();
    while !job.is_over() {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(job.stop().finals().len(), 0, "nothing is known of what it would publish");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn runs_that_were_cut_off_list_the_groups_that_one_run_does(
        partitions in partitions(), cuts in prop::collection::vec(2usize..40, 1..5), exact: bool, long: bool,
    ) {
        let engine = if exact { Engine::Exact } else { Engine::Sketch };
        let spec = if long { crowded(engine) } else { churning(engine) };
        let expected = by_key(finals(&spec, &partitions, 2));
        prop_assert_eq!(cut_off_and_resumed(&spec, &partitions, &cuts), expected);
    }
}
