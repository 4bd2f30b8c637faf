//! Runs that are cut off at any instant and resumed by other numbers of workers publish, together, what one
//! undisturbed run does, and nothing twice with another content.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::{Fault, Faults};
use crest_formats::refusal::Refusal;
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::retention::Retention;
use crest_state::spec::{Constant, Count, Engine, Filter, JobSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::state::{Folder, open, run, some_state, store, wait_until};
use support::{Event, Feed, Running, T0, finals, recount, spec};

type Key = (String, String, String, i64);

/// Partitions with disorder, late events, groups, weights and a gap now and then.
fn partitions(random: &mut StdRng, items: u64) -> Vec<Vec<Event>> {
    let regions = [None, Some("IN"), Some("US")];
    let partition = |random: &mut StdRng| {
        let mut time = T0 + random.random_range(0..60_000);
        let mut event = |random: &mut StdRng| {
            time += match random.random_range(0..60) {
                0 => random.random_range(10_000..40_000),
                1 => -random.random_range(5_000..20_000),
                _ => random.random_range(-900..1_800),
            };
            let item = format!("item:{}", (random.random_range(0..items) * random.random_range(1..9)) / 8);
            let region = regions[random.random_range(0..3usize)].map(String::from);
            Event { time, item, weight: random.random_range(1..5), region }
        };
        (0..random.random_range(200..500)).map(|_| event(random)).collect()
    };
    (0..random.random_range(1..5)).map(|_| partition(random)).collect()
}

fn grouped() -> JobSpec {
    let mut spec = spec();
    spec.boards[0].by = vec!["region".into()];
    let minute = Duration::from_secs(60);
    spec.boards[0].windows.push(WindowSpec::sliding("each_1m", minute, minute));
    let mut second = spec.boards[0].clone();
    (second.name, second.by) = ("sparse".into(), vec![]);
    second.filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
    spec.boards.push(second);
    spec
}

fn overflowing() -> JobSpec {
    let mut spec = grouped();
    (spec.sketch.rows, spec.sketch.rows_kept) = (128, 100);
    spec
}

fn exact() -> JobSpec {
    let mut spec = overflowing();
    spec.sketch.rows = 32;
    spec.boards.iter_mut().for_each(|board| board.engine = Engine::Exact);
    spec
}

/// The weights stand for users, of which the different ones are counted.
fn distinct(mut spec: JobSpec) -> JobSpec {
    spec.boards.iter_mut().for_each(|board| board.count = Count::Distinct("weight".into()));
    spec
}

/// Events of some weights take away what others have counted.
fn retracting(mut spec: JobSpec) -> JobSpec {
    let removed = Filter::AnyOf(vec![Constant::Integer(2), Constant::Integer(3)]);
    spec.boards.iter_mut().for_each(|board| drop(board.retract.insert("weight".into(), removed.clone())));
    spec
}

/// With a window of the whole input as well.
fn with_whole(mut spec: JobSpec) -> JobSpec {
    spec.boards.iter_mut().for_each(|board| board.windows.push(WindowSpec::whole("all")));
    spec
}

/// Adds what a run has published; what was published before must be the same.
fn add(all: &mut BTreeMap<Key, Snapshot>, published: Vec<Snapshot>, seed: u64) {
    for snapshot in published {
        let group = snapshot.group.to_string();
        let key = (snapshot.board.to_string(), snapshot.window.to_string(), group, snapshot.window_end);
        if let Some(before) = all.insert(key, snapshot.clone()) {
            assert_eq!(before, snapshot, "published with two contents, seed {seed}");
        }
    }
}

/// The events of partitions in records that hold none or several of them, as `{"events": […]}`.
fn batched(random: &mut StdRng, partitions: &[Vec<Event>]) -> Feed {
    let mut records = |events: &[Event]| {
        let (mut records, mut rest) = (Vec::new(), events);
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(random.random_range(0..rest.len().min(6) + 1));
            let elements: Vec<_> =
                batch.iter().map(|event| String::from_utf8(event.json()).unwrap()).collect();
            records.push(format!("{{\"events\":[{}]}}", elements.join(",")).into_bytes());
            rest = after;
        }
        records
    };
    Feed::raw(&partitions.iter().map(|events| records(events)).collect::<Vec<_>>())
}

/// Cuts runs off, by a store that does nothing more after some operation, until one comes to its end.
fn cut_off_and_resumed(spec: &JobSpec, items: u64, seed: u64) {
    let feed = Feed::bounded(&partitions(&mut StdRng::seed_from_u64(seed), items));
    feed_cut_off_and_resumed(spec, feed, seed);
}

fn feed_cut_off_and_resumed(spec: &JobSpec, feed: Feed, seed: u64) {
    let expected = Running::start(spec, &feed.again(None), 2).finish().finals();
    cut_off_and_resumed_as(expected, spec, feed, seed);
}

/// The same, where it is known what is to be published.
fn cut_off_and_resumed_as(finals: Vec<Snapshot>, spec: &JobSpec, feed: Feed, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut expected = BTreeMap::new();
    add(&mut expected, finals, seed);
    let feed = feed.paced(Duration::from_micros(300));
    let (folder, mut published) = (tempfile::tempdir().unwrap(), BTreeMap::new());
    for attempt in 0.. {
        let last = if attempt == 6 { usize::MAX } else { random.random_range(1..60) };
        let (operations, lost) = (Arc::new(AtomicUsize::new(0)), random.random_bool(0.5));
        let count = operations.clone();
        let faults: Faults = Arc::new(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            now if now < last => Fault::Pass,
            now if now == last && lost => Fault::FailAfterDoing,
            _ => Fault::Fail,
        });
        // The claim is let through.
        let state = open(store(folder.path()), spec);
        let resume = state.resume();
        drop(state);
        let faulty = store(folder.path()).with_faults(faults);
        let Ok(state) = JobState::open(faulty, spec, "feed", &Retention::default(), 1) else { continue };
        let workers = random.random_range(1..5);
        let job = Running::with_state(spec, &feed.again(resume.as_ref()), workers, Some(Arc::new(state)));
        let died = wait_until(|| operations.load(Ordering::SeqCst) > last || job.is_over());
        assert!(died, "neither the end nor the cut, seed {seed}");
        add(&mut published, job.stop().finals(), seed);
        if operations.load(Ordering::SeqCst) <= last {
            break;
        }
    }
    assert_eq!(published.len(), expected.len(), "seed {seed}");
    for (key, snapshot) in &expected {
        assert_eq!(published.get(key), Some(snapshot), "seed {seed}");
    }
    assert_eq!(run(spec, &feed, 2, store(folder.path())).finish().finals(), [], "all was published");
}

#[test]
fn a_first_run_that_is_cut_off_at_any_operation_leaves_what_the_next_one_takes() {
    let (spec, partitions) = (spec(), partitions(&mut StdRng::seed_from_u64(7), 40));
    let feed = Feed::bounded(&partitions);
    for (last, lost) in (0..12).flat_map(|last| [(last, false), (last, true)]) {
        let (folder, operations) = (Folder::new().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = operations.clone();
        let faults: Faults = Arc::new(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            now if now < last => Fault::Pass,
            now if now == last && lost => Fault::FailAfterDoing,
            _ => Fault::Fail,
        });
        let faulty = store(folder.path()).with_faults(faults);
        if let Ok(state) = JobState::open(faulty, &spec, "feed", &Retention::default(), 1) {
            let job = Running::with_state(&spec, &feed.again(None), 2, Some(Arc::new(state)));
            assert!(wait_until(|| operations.load(Ordering::SeqCst) > last || job.is_over()));
            job.stop();
        }
        let next = JobState::open(store(folder.path()), &spec, "feed", &Retention::default(), 1);
        assert!(next.is_ok(), "cut off at {last}: {}", next.unwrap_err());
    }
}

#[test]
fn runs_that_were_cut_off_publish_together_what_one_run_does() {
    (0..6).for_each(|seed| cut_off_and_resumed(&grouped(), 40, seed));
}

/// A window that takes fewer rows of each node than the 800 that may be stored.
fn of_few_rows(size: u64, slide: u64) -> JobSpec {
    let mut spec = spec();
    (spec.sketch.rows, spec.sketch.rows_kept) = (1024, 100);
    let (size, slide) = (Duration::from_secs(size), Duration::from_secs(slide));
    spec.boards[0].windows = vec![WindowSpec::sliding("long", size, slide)];
    spec
}

/// Events of which every pane has more items than that.
fn of_many_items(random: &mut StdRng) -> Vec<Event> {
    let event = |n: i64| Event {
        time: T0 + 20 * n,
        item: format!("item:{}", random.random_range(0..3000)),
        weight: random.random_range(1..9),
        region: None,
    };
    (0..4000).map(event).collect()
}

#[test]
fn so_they_do_where_a_window_takes_only_the_first_rows_of_what_is_stored() {
    for seed in 40..44 {
        let events = of_many_items(&mut StdRng::seed_from_u64(seed));
        feed_cut_off_and_resumed(&of_few_rows(86_400, 10), Feed::bounded(&[events]), seed);
    }
}

#[test]
fn a_rollup_that_is_gone_is_built_of_all_rows_below_it() {
    let (spec, folder) = (of_few_rows(10 * 86_400, 60), Folder::new().unwrap());
    let mut events = of_many_items(&mut StdRng::seed_from_u64(50));
    events.iter_mut().for_each(|event| event.time = T0 + 4 * (event.time - T0));
    let feed = Feed::bounded(&[events]);
    let (mut all, mut expected) = (BTreeMap::new(), BTreeMap::new());
    add(&mut expected, Running::start(&spec, &feed.again(None), 2).finish().finals(), 50);

    let first = feed.again(None);
    first.set_ended(false);
    let job = run(&spec, &first, 2, store(folder.path()));
    job.kept.wait_for("the last but one", |s| s.is_final && s.window_end == T0 + 240_000);
    let rollups = folder.path().join("1m");
    let stored = || std::fs::read_dir(&rollups).is_ok_and(|stored| stored.count() >= 3);
    assert!(wait_until(stored), "the rollups");
    add(&mut all, job.stop().finals(), 50);
    std::fs::remove_dir_all(rollups).unwrap();
    let state = open(store(folder.path()), &spec);
    let again = feed.again(state.resume().as_ref());
    add(&mut all, Running::with_state(&spec, &again, 2, Some(state)).finish().finals(), 50);
    assert_eq!(all, expected);
}

#[test]
fn so_they_do_where_the_brokers_time_goes_back_and_events_are_ahead_of_it() {
    for seed in 200..206 {
        let mut random = StdRng::seed_from_u64(seed);
        let partitions = partitions(&mut random, 40);
        // Some events are as far ahead as they may be, and some were stamped long after they happened.
        let feed = Feed::stamped(&partitions, |event| match random.random_range(0..20) {
            0 => event.time + random.random_range(0..300_000),
            _ => event.time - random.random_range(0..60_000),
        });
        feed_cut_off_and_resumed(&grouped(), feed, seed);
    }
}

#[test]
fn so_do_exact_ones() {
    (10..16).for_each(|seed| cut_off_and_resumed(&exact(), 2000, seed));
}

#[test]
fn so_do_those_of_the_whole_input_whose_late_events_are_counted_anew() {
    (20..24).for_each(|seed| cut_off_and_resumed(&with_whole(grouped()), 40, seed));
    (24..26).for_each(|seed| cut_off_and_resumed(&with_whole(overflowing()), 5_000, seed));
    (26..28).for_each(|seed| cut_off_and_resumed(&with_whole(exact()), 2_000, seed));
    let mut alone = grouped();
    alone.boards.iter_mut().for_each(|board| board.windows.clear());
    (28..30).for_each(|seed| cut_off_and_resumed(&with_whole(alone.clone()), 40, seed));
    for seed in 30..34 {
        let mut random = StdRng::seed_from_u64(seed);
        let partitions = partitions(&mut random, 40);
        let feed = Feed::stamped(&partitions, |event| match random.random_range(0..20) {
            0 => event.time + random.random_range(0..300_000),
            _ => event.time - random.random_range(0..60_000),
        });
        feed_cut_off_and_resumed(&with_whole(grouped()), feed, seed);
    }
}

#[test]
fn so_they_do_where_panes_overflow() {
    (100..103).for_each(|seed| cut_off_and_resumed(&overflowing(), 5_000, seed));
}

#[test]
fn so_do_those_that_count_different_values() {
    (110..113).for_each(|seed| cut_off_and_resumed(&distinct(overflowing()), 5_000, seed));
    (113..116).for_each(|seed| cut_off_and_resumed(&distinct(exact()), 2_000, seed));
    (116..118).for_each(|seed| cut_off_and_resumed(&with_whole(distinct(overflowing())), 5_000, seed));
    (118..120).for_each(|seed| cut_off_and_resumed(&with_whole(distinct(exact())), 2_000, seed));
}

#[test]
fn so_do_those_that_take_away_what_they_have_counted() {
    (120..123).for_each(|seed| cut_off_and_resumed(&retracting(grouped()), 40, seed));
    (123..126).for_each(|seed| cut_off_and_resumed(&retracting(overflowing()), 5_000, seed));
    (126..129).for_each(|seed| cut_off_and_resumed(&retracting(exact()), 2_000, seed));
    (129..131).for_each(|seed| cut_off_and_resumed(&with_whole(retracting(overflowing())), 5_000, seed));
    (131..133).for_each(|seed| cut_off_and_resumed(&with_whole(retracting(exact())), 2_000, seed));
    let mut crowded = retracting(overflowing());
    crowded.boards.iter_mut().for_each(|board| board.max_groups = 1);
    (133..135).for_each(|seed| cut_off_and_resumed(&crowded, 5_000, seed));
}

#[test]
fn the_first_run_equals_the_recount_too() {
    let partitions = partitions(&mut StdRng::seed_from_u64(5), 40);
    let (mut spec, folder) = (spec(), Folder::new().unwrap());
    spec.boards[0].by = vec!["region".into()];
    let job = run(&spec, &Feed::bounded(&partitions), 2, store(folder.path()));
    assert_eq!(job.finish().finals(), recount::snapshots(&spec, &partitions));
}

#[test]
fn a_store_that_fails_and_stalls_is_waited_for() {
    let (spec, folder) = (grouped(), Folder::new().unwrap());
    let partitions = partitions(&mut StdRng::seed_from_u64(9), 40);
    let count = AtomicUsize::new(0);
    let fault = |call: usize| match call % 7 {
        2 => Fault::Fail,
        4 => Fault::Stall(Duration::from_millis(30)),
        5 => Fault::FailAfterDoing,
        _ => Fault::Pass,
    };
    let faults: Faults = Arc::new(move |operation, _| match operation {
        // A new state is looked through once, at the start, which waits for nobody.
        "list" => Fault::Pass,
        _ => fault(count.fetch_add(1, Ordering::SeqCst)),
    });
    let job = run(&spec, &Feed::bounded(&partitions), 3, store(folder.path()).with_faults(faults));
    let view = job.view.clone();
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    add(&mut ours, job.finish().finals(), 9);
    add(&mut theirs, finals(&spec, &partitions, 1), 9);
    assert_eq!(ours, theirs);
    let counts = view.state().unwrap();
    assert!(counts.retries > 0 && counts.commits > 0 && counts.waiting.is_none(), "{counts:?}");
}

/// A run whose panes are all durable, to the end of its log, and whose sink takes nothing; with its folder, spec and log.
fn all_durable_and_not_published() -> (Folder, JobSpec, Feed, Running) {
    let (folder, spec) = (tempfile::tempdir().unwrap(), spec());
    let feed = Feed::bounded(&partitions(&mut StdRng::seed_from_u64(3), 10));
    let state = open(store(folder.path()), &spec);
    let job = Running::with_state(&spec, &feed, 2, Some(state.clone()));
    job.kept.stall();
    assert!(wait_until(|| state.queue().durable().is_none()), "all is durable, to the end of the log");
    (folder, spec, feed, job)
}

/// What the sink did not take is left to the next run, so that no slow reader holds up a stop.
#[test]
fn a_run_that_is_stopped_while_the_sink_takes_nothing_ends_and_the_next_one_publishes_the_rest() {
    let (folder, spec, feed, job) = all_durable_and_not_published();
    job.view.request_stop();
    assert!(wait_until(|| job.is_over()), "the sink holds it up");
    let (mut all, mut expected) = (BTreeMap::new(), BTreeMap::new());
    add(&mut expected, Running::start(&spec, &feed.again(None), 2).finish().finals(), 3);
    add(&mut all, job.finish().finals(), 3);
    assert!(all.len() < expected.len(), "there was something to publish yet");
    add(&mut all, run(&spec, &feed, 1, store(folder.path())).finish().finals(), 3);
    assert_eq!(all, expected);
}

#[test]
fn a_run_that_resumes_behind_the_last_pane_publishes_the_last_windows_when_it_finds_the_end() {
    let (folder, spec, feed, job) = all_durable_and_not_published();
    let (mut all, mut expected) = (BTreeMap::new(), BTreeMap::new());
    add(&mut all, job.stop().finals(), 3);
    add(&mut expected, Running::start(&spec, &feed.again(None), 2).finish().finals(), 3);
    let state = open(store(folder.path()), &spec);
    let again = feed.again(state.resume().as_ref());
    again.set_ended(false);
    let job = Running::with_state(&spec, &again, 1, Some(state));
    // Its source has reported, and has held nothing back but the end.
    let holds = |held| {
        job.view.with_workers(|all| {
            all.iter().all(|worker| worker.as_ref().is_some_and(|(_, status)| status.held == held))
        })
    };
    assert!(wait_until(|| holds(Some(Pane::MAX))));
    std::thread::sleep(Duration::from_millis(100));
    again.set_ended(true);
    add(&mut all, job.finish().finals(), 3);
    assert_eq!(all, expected);
}

#[test]
fn so_does_one_without_a_state_end() {
    let (spec, feed) = (spec(), Feed::bounded(&partitions(&mut StdRng::seed_from_u64(3), 10)));
    let job = Running::start(&spec, &feed.again(None).paced(Duration::from_micros(300)), 2);
    job.kept.stall();
    let ended = || job.view.with_workers(|all| all.iter().all(|w| w.as_ref().is_some_and(|(_, w)| w.ended)));
    assert!(wait_until(ended), "the log is read to its end");
    job.view.request_stop();
    assert!(wait_until(|| job.is_over()), "the sink holds it up");
    let expected = Running::start(&spec, &feed, 2).finish().finals();
    assert!(job.finish().finals().len() < expected.len(), "there was something to publish yet");
}

#[test]
fn an_older_job_on_the_same_state_is_fenced_off() {
    let (spec, folder) = (grouped(), Folder::new().unwrap());
    let partitions = partitions(&mut StdRng::seed_from_u64(3), 40);
    let feed = Feed::bounded(&partitions).paced(Duration::from_millis(10));
    let older = run(&spec, &feed, 2, store(folder.path()));
    assert!(wait_until(|| older.view.state().is_some_and(|counts| counts.commits > 0)));
    let newer = open(store(folder.path()), &spec);
    let (kept, epoch) = (older.kept.clone(), newer.epoch());
    let failure = older.failure();
    assert!(failure.contains(&format!("epoch {epoch}")) && failure.contains(&format!("epoch {}", epoch - 1)));
    // Whatever it has published is durable, and known to the newer one.
    let durable = newer.resume().map_or(0, |resume| resume.durable) as i64 * 10_000;
    let ends: Vec<i64> = kept.finals().iter().map(|snapshot| snapshot.window_end).collect();
    assert!(ends.iter().all(|end| *end <= durable), "{ends:?} beyond {durable}");
}

#[test]
fn what_is_read_again_is_neither_late_nor_rejected_again() {
    // With elements, a record that is read again counts once.
    for (each, replayed) in [(None, 6), (Some("events"), 2)] {
        let (mut spec, folder, feed) = (spec(), Folder::new().unwrap(), Feed::live(1));
        spec.schema.each = each.map(str::to_owned);
        let push = |seconds: &[i64]| {
            let events = seconds.iter().map(|second| Event::new(T0 + 1000 * second, "a").json());
            let events: Vec<String> = events.map(|event| String::from_utf8(event).unwrap()).collect();
            let records =
                if each.is_some() { vec![format!("{{\"events\":[{}]}}", events.join(","))] } else { events };
            records.into_iter().for_each(|record| feed.push_raw(0, record.into_bytes(), None));
        };
        // The replay begins with the first event of the pane of 130, and what is refused follows it.
        (0..131).for_each(|second| push(&[second]));
        push(&[3; 5]);
        feed.push_raw(0, b"nonsense".to_vec(), None);
        push(&[137]);
        let job = run(&spec, &feed, 1, store(folder.path()));
        job.assert_refused(Refusal::Late, 5);
        job.assert_refused(Refusal::Malformed, 1);
        job.kept.wait_for("the last closed pane", |s| s.is_final && s.window_end == T0 + 130_000);
        job.stop();
        push(&[0]);
        let job = run(&spec, &feed, 2, store(folder.path()));
        job.assert_refused(Refusal::Late, 1);
        job.assert_refused(Refusal::Malformed, 0);
        assert_eq!(job.replayed(), replayed);
        job.stop();
    }
}

#[test]
fn a_live_stream_goes_on_where_it_was_stopped() {
    let spec = spec();
    let (folder, feed) = some_state(&spec);
    (200..400).for_each(|n| feed.push(0, &Event::new(T0 + 1000 * n, &format!("item:{}", n % 5))));
    let job = run(&spec, &feed, 2, store(folder.path()));
    let window = job.kept.wait_for("a later window", |s| s.is_final && s.window_end == T0 + 360_000);
    assert_eq!(window.total, 60);
    let long =
        job.kept.wait_for("one over both runs", |s| &*s.window == "two_5m" && s.is_final && s.total == 240);
    assert_eq!(long.window_end, T0 + 240_000);
    job.stop();
}

#[test]
fn events_of_one_record_count_as_if_each_had_its_own_through_cuts() {
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        let partitions = partitions(&mut random, 40);
        let mut spec = if seed % 2 == 0 { grouped() } else { exact() };
        let alone: Vec<Vec<_>> =
            partitions.iter().map(|events| events.iter().map(Event::json).collect()).collect();
        let expected = Running::start(&spec, &Feed::raw(&alone), 3).finish().finals();
        spec.schema.each = Some("events".into());
        cut_off_and_resumed_as(expected, &spec, batched(&mut random, &partitions), seed);
    }
}

/// It has nothing more to commit, after which others do it.
#[test]
fn a_run_of_a_job_that_has_ended_removes_what_killed_runs_have_left() {
    let (folder, spec) = (Folder::new().unwrap(), spec());
    let feed = Feed::bounded(&partitions(&mut StdRng::seed_from_u64(1), 5));
    run(&spec, &feed, 1, store(folder.path())).finish();
    let left = "panes/00000000000171167040-1";
    store(folder.path()).put(left, b"not named".to_vec()).unwrap();
    let state = JobState::open(store(folder.path()), &spec, "feed", &Retention::default(), 5).unwrap();
    assert!(state.epoch() > 1);
    Running::with_state(&spec, &feed.again(state.resume().as_ref()), 1, Some(Arc::new(state))).finish();
    assert_eq!(store(folder.path()).get(left).unwrap(), None);
    assert!(!store(folder.path()).list("panes/").unwrap().is_empty());
}
