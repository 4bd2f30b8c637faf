//! Runs whose configuration changes from one to the next, on one state: boards come and go, and windows and lengths of
//! rankings change. Each final ranking is that of a recount of what its board was entitled to count.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_state::error::StateRefusal;
use crest_state::job_state::{JobState, OpenOptions};
use crest_state::retention::Retention;
use crest_state::spec::{BoardSpec, Engine, Filter, JobSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::state::{Folder, open, some_state, store, wait_until};
use support::{Event, Feed, Running, T0, recount, spec};

const PANE_MS: i64 = 10_000;

/// Partitions with some disorder and late events, over half an hour.
fn partitions(random: &mut StdRng) -> Vec<Vec<Event>> {
    let regions = [None, Some("IN"), Some("US")];
    let partition = |random: &mut StdRng| {
        let mut time = T0;
        let mut event = |random: &mut StdRng| {
            time += random.random_range(-700..2_600);
            let item = format!("item:{}", random.random_range(0..20));
            let region = regions[random.random_range(0..3usize)].map(String::from);
            Event { time, item, weight: random.random_range(1..5), region }
        };
        (0..1800).map(|_| event(random)).collect()
    };
    (0..random.random_range(1..4)).map(|_| partition(random)).collect()
}

/// Some of four boards, with some windows each.
fn some_boards(random: &mut StdRng, engine: Engine) -> Vec<BoardSpec> {
    let windows = [(60, 10), (120, 60), (300, 120), (600, 10), (960, 60), (60, 60)];
    let mut boards = Vec::new();
    for (name, region) in [("all", None), ("in", Some("IN")), ("us", Some("US")), ("again", None)] {
        if !random.random_bool(0.6) {
            continue;
        }
        let mut board =
            BoardSpec { name: name.into(), engine, k: random.random_range(3..12), ..BoardSpec::default() };
        board.windows = windows
            .sample(random, 3)
            .map(|(size, slide)| {
                let (size_secs, slide_secs) = (Duration::from_secs(*size), Duration::from_secs(*slide));
                WindowSpec::sliding(&format!("{size}_{slide}"), size_secs, slide_secs)
            })
            .collect();
        if let Some(region) = region {
            board.filter.insert("region".into(), Filter::AnyOf(vec![region.into()]));
        }
        boards.push(board);
    }
    if boards.is_empty() { some_boards(random, engine) } else { boards }
}

/// Whether a board takes an event.
fn takes(board: &BoardSpec, event: &Event) -> bool {
    board.filter.get("region").is_none_or(|filter| {
        let region = event.region.clone().unwrap_or_default();
        *filter == Filter::AnyOf(vec![region.as_str().into()])
    })
}

/// Holds a final ranking against a recount of the events from `since` on.
fn check(snapshot: &Snapshot, board: &BoardSpec, since: i64, events: &[Event], context: &str) {
    let (start, end) = (snapshot.window_start.max(since), snapshot.window_end);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events.iter().filter(|event| (start..end).contains(&event.time) && takes(board, event)) {
        *counts.entry(&event.item).or_default() += u64::from(event.weight);
    }
    let mut rows: Vec<(u64, &str)> = counts.iter().map(|(item, count)| (*count, *item)).collect();
    rows.sort_by(|a, b| b.cmp(a));
    rows.truncate(board.k);
    let ranked: Vec<(u64, &str)> = snapshot.items.iter().map(|item| (item.count, &*item.item_id)).collect();
    assert_eq!(ranked, rows, "{context}: {snapshot:?}");
    assert_eq!(snapshot.total, counts.values().sum::<u64>(), "{context}");
    assert!(snapshot.items.iter().all(|item| item.exact), "{context}");
    let partial = (snapshot.window_start < since).then_some(since.min(end));
    assert_eq!((snapshot.partial, snapshot.since), (partial.is_some(), partial), "{context}: {snapshot:?}");
}

/// Returns how many rankings were partial.
fn changed_again_and_again(engine: Engine, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let partitions = partitions(&mut random);
    let feed = Feed::bounded(&partitions).paced(Duration::from_millis(1));
    let (folder, mut since) = (Folder::new().unwrap(), BTreeMap::<String, i64>::new());
    let mut last_ends: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut partial = 0;
    for attempt in 0..12 {
        let mut spec = JobSpec { boards: some_boards(&mut random, engine), ..spec() };
        spec.empty = true;
        spec.time.refresh = Duration::from_millis([100, 1000][random.random_range(0..2usize)]);
        let events = recount::on_time(&spec, &partitions);
        let state = open(store(folder.path()), &spec);
        let resume = state.resume();
        let durable = resume.as_ref().map_or(0, |resume| resume.durable as i64 * PANE_MS);
        let names: Vec<String> = spec.boards.iter().map(|board| board.name.to_string()).collect();
        since.retain(|name, _| names.contains(name));
        for name in &names {
            since.entry(name.clone()).or_insert(durable);
        }
        let job =
            Running::with_state(&spec, &feed.again(resume.as_ref()), random.random_range(1..4), Some(state));
        let wanted = if attempt == 11 { usize::MAX } else { random.random_range(5..60) };
        let stopped =
            wait_until(|| job.kept.all().iter().filter(|s| s.is_final).count() >= wanted || job.is_over());
        assert!(stopped, "neither the end nor enough finals, seed {seed}");
        let mut first_ends = BTreeMap::new();
        for snapshot in job.stop().finals() {
            let board = spec.boards.iter().find(|board| board.name == snapshot.board).unwrap();
            let context = format!("seed {seed}, attempt {attempt}");
            check(&snapshot, board, since[&*board.name], &events, &context);
            partial += usize::from(snapshot.partial);
            let key = (snapshot.board.to_string(), snapshot.window.to_string());
            let (_, slide) =
                board.windows.iter().find(|w| w.name == snapshot.window).unwrap().size_and_slide().unwrap();
            let (slide, end) = (slide.as_millis() as i64, snapshot.window_end);
            first_ends.entry(key.clone()).or_insert(end);
            if let Some(before) = last_ends.insert(key, end) {
                assert!(end <= before + slide, "{context}: an end before {end} is missing: {snapshot:?}");
            }
        }
        // What is not there in the next run is not expected to go on.
        last_ends.retain(|(board, window), _| {
            spec.boards.iter().any(|b| *b.name == **board && b.windows.iter().any(|w| *w.name == **window))
        });
    }
    partial
}

#[test]
fn rankings_are_of_what_each_configuration_was_entitled_to_count() {
    let partial: usize = (0..8).map(|seed| changed_again_and_again(Engine::Sketch, seed)).sum();
    assert!(partial > 100, "few boards came in while jobs ran: {partial} partial rankings");
}

#[test]
fn so_are_exact_ones() {
    let partial: usize = (10..13).map(|seed| changed_again_and_again(Engine::Exact, seed)).sum();
    assert!(partial > 10, "few boards came in while jobs ran: {partial} partial rankings");
}

#[test]
fn a_board_that_was_reset_counts_anew_and_only_once() {
    let spec = spec();
    let (folder, feed) = some_state(&spec);
    let mut changed = spec.clone();
    changed.boards[0].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
    let refused =
        JobState::open(store(folder.path()), &changed, "feed", &Retention::default(), 1).unwrap_err();
    assert!(matches!(&refused, StateRefusal::OtherBoard { board, .. } if board == "default"), "{refused}");
    assert!(refused.to_string().contains("--reset-board default"), "{refused}");
    let open = |spec: &JobSpec| {
        let changes =
            OpenOptions { reset: &["default".to_owned()], bounded: false, ..OpenOptions::default() };
        JobState::open_with(store(folder.path()), spec, "feed", &Retention::default(), 1, &changes).unwrap()
    };
    let state = open(&changed);
    let durable = state.resume().unwrap().durable as i64 * PANE_MS;
    let since = T0 + 300_000;
    for n in 200..400 {
        let event = Event::new(T0 + 1000 * n, &format!("item:{}", n % 7));
        feed.push(0, &Event { region: Some(["IN", "US"][n as usize % 2].into()), ..event });
    }
    let job = Running::with_state(&changed, &feed.again(state.resume().as_ref()), 1, Some(Arc::new(state)));
    let first =
        job.kept.wait_for("a window", |s| s.is_final && s.window_end == since && *s.window == *"last_1m");
    assert_eq!((first.partial, first.total), (false, 30));
    let whole = job
        .kept
        .wait_for("a long window", |s| s.is_final && s.window_end == T0 + 360_000 && *s.window == *"two_5m");
    assert_eq!((whole.partial, whole.since), (true, Some(durable)));
    assert!(wait_until(|| job.view.state().is_some_and(|counts| counts.commits > 0)));
    job.stop();
    // The flag may stay on the command line: the board is as the state has it now.
    let state = open(&changed);
    assert!(state.resume().unwrap().durable as i64 * PANE_MS > durable);
    let restored = state.restored().unwrap();
    assert_eq!(
        restored.uncounted[0].iter().map(|span| span.end as i64 * PANE_MS).collect::<Vec<_>>(),
        [durable]
    );
}

/// Nothing was counted yet, and yet there was something that the new board lacks.
#[test]
fn a_board_that_comes_in_before_any_event_was_taken_says_what_it_lacks() {
    let mut spec = spec();
    spec.boards[0].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
    let (folder, feed) = (Folder::new().unwrap(), Feed::live(1));
    let push = |n: i64| {
        let event = Event::new(T0 + 1000 * n, &format!("item:{}", n % 7));
        feed.push(0, &Event { region: Some("US".into()), ..event });
    };
    (0..200).for_each(push);
    let job = Running::with_state(&spec, &feed, 1, Some(open(store(folder.path()), &spec)));
    assert!(wait_until(|| job.view.state().is_some_and(|counts| counts.durable >= T0 + 150_000)));
    job.stop();
    spec.boards.push(BoardSpec { name: "all".into(), ..support::spec().boards[0].clone() });
    let state = open(store(folder.path()), &spec);
    let durable = state.resume().unwrap().durable as i64 * PANE_MS;
    (200..400).for_each(push);
    let job = Running::with_state(&spec, &feed.again(state.resume().as_ref()), 1, Some(state));
    let long = job
        .kept
        .wait_for("a long window", |s| s.is_final && *s.window == *"two_5m" && s.window_end > durable);
    job.stop();
    assert!(long.window_start < durable && long.total < 300, "{long:?}");
    assert_eq!((long.partial, long.since), (true, Some(durable)));
}

/// Its first rollup begins before the first event, and was built for what the board was before.
#[test]
fn a_board_that_was_reset_has_nothing_of_what_it_was_before_in_windows_of_rollups() {
    let mut spec = spec();
    let (size, slide) = (Duration::from_secs(1920), Duration::from_secs(60));
    spec.boards[0].windows.push(WindowSpec::sliding("half_hour", size, slide));
    let (folder, feed) = (Folder::new().unwrap(), Feed::live(1));
    let push = |n: i64, region: &str| {
        let event = Event::new(T0 + 1000 * n, &format!("item:{}", n % 7));
        feed.push(0, &Event { region: Some(region.into()), ..event });
    };
    (30..400).for_each(|n| push(n, "US"));
    let job = Running::with_state(&spec, &feed, 1, Some(open(store(folder.path()), &spec)));
    let stored =
        || job.view.state().is_some_and(|counts| counts.rollups > 0 && counts.durable > T0 + 300_000);
    assert!(wait_until(stored));
    job.stop();
    spec.boards[0].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
    let changes = OpenOptions { reset: &["default".to_owned()], ..OpenOptions::default() };
    let state =
        JobState::open_with(store(folder.path()), &spec, "feed", &Retention::default(), 1, &changes).unwrap();
    (400..700).for_each(|n| push(n, "IN"));
    let job = Running::with_state(&spec, &feed.again(state.resume().as_ref()), 1, Some(Arc::new(state)));
    let long = job.kept.wait_for("half an hour", |s| {
        s.is_final && *s.window == *"half_hour" && s.window_end == T0 + 600_000
    });
    job.stop();
    assert_eq!((long.total, long.partial), (200, true), "{long:?}");
}
