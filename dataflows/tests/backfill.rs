//! Backfills into the state of a job: whatever they are cut off by, in the end every past interval tells what was
//! counted anew in the range, and what the job had counted outside it.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::{Fault, Faults, StateStore};
use crest_dataflows::windows::buckets::PastBuckets;
use crest_state::error::StateRefusal;
use crest_state::history::{History, HistoryError, Interval};
use crest_state::inspect::{Inspection, StateReport};
use crest_state::job_state::{JobState, OpenOptions};
use crest_state::retention::Retention;
use crest_state::spec::{BoardSpec, Filter, JobSpec, Rule, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::panes::{Panes, panes, rank, sum};
use support::{Event, Feed, Running, T0, spec};

const MINUTE: i64 = 60_000;
const FIRST: u64 = (T0 / MINUTE) as u64;
const K: usize = 12;
const SOURCE: &str = "feed";

/// Panes of a minute, so that some days are a few thousand of them; a bucket each quarter of an hour.
fn by_region() -> JobSpec {
    let (mut spec, quarter) = (spec(), Duration::from_secs(900));
    spec.time.pane = Duration::from_millis(MINUTE as u64);
    spec.time.out_of_orderness = Duration::from_secs(120);
    let hour = Duration::from_secs(3600);
    let windows = [("quarter", quarter, quarter), ("hour", hour, hour), ("last_hour", hour, quarter)];
    let windows = windows.map(|(name, size, slide)| WindowSpec::sliding(name, size, slide));
    (spec.boards[0].windows, spec.boards[0].k) = (windows.to_vec(), K);
    spec.boards[0].by = vec!["region".into()];
    spec
}

/// Two days and more of sparse partitions with disorder, late events and gaps of hours.
fn partitions(random: &mut StdRng, name: &str) -> Vec<Vec<Event>> {
    let regions = [None, Some("IN"), Some("US")];
    let partition = |random: &mut StdRng| {
        let mut time = T0 + random.random_range(0..600_000);
        let mut event = |random: &mut StdRng| {
            time += match random.random_range(0..60) {
                0 => random.random_range(3_000_000..12_000_000),
                1 => -random.random_range(120_000..1_800_000),
                _ => random.random_range(-100_000..1_100_000),
            };
            let item = format!("{name}:{}", random.random_range(0..30));
            let region = regions[random.random_range(0..3usize)].map(String::from);
            Event { time, item, weight: random.random_range(1..5), region }
        };
        (0..300).map(|_| event(random)).collect()
    };
    (0..random.random_range(1..4)).map(|_| partition(random)).collect()
}

/// Nothing is let go of.
fn forever() -> Retention {
    let mut retention = Retention::default();
    Retention::LEVELS.iter().for_each(|level| assert!(retention.set(level, None)));
    retention
}

fn store(folder: &Path) -> StateStore {
    StateStore::open(folder.to_str().unwrap(), &BTreeMap::new()).unwrap()
}

/// A job's run to the end of a log, whose state is in the folder.
fn count(spec: &JobSpec, partitions: &[Vec<Event>], folder: &Path, retention: &Retention) -> Vec<Snapshot> {
    let state = Arc::new(JobState::open(store(folder), spec, SOURCE, retention, 1).unwrap());
    Running::with_state(spec, &Feed::bounded(partitions), 2, Some(state)).finish().finals()
}

/// Backfills a run of panes, of one board or of all, whose runs are cut off by a store that fails for good after some
/// operations.
fn backfill(
    board: Option<&str>,
    spec: &JobSpec,
    partitions: &[Vec<Event>],
    folder: &Path,
    retention: &Retention,
    run: &Range<u64>,
    random: &mut StdRng,
) {
    let feed = Feed::bounded(partitions).paced(Duration::from_micros(50));
    for attempt in 0.. {
        let last = if attempt == 5 { usize::MAX } else { random.random_range(1..120) };
        let (operations, lost) = (Arc::new(AtomicUsize::new(0)), random.random_bool(0.5));
        let count = operations.clone();
        let faults: Faults = Arc::new(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            now if now < last => Fault::Pass,
            now if now == last && lost => Fault::FailAfterDoing,
            _ => Fault::Fail,
        });
        let faulty = store(folder).with_faults(faults);
        let Ok(state) = JobState::open_backfill(faulty, spec, SOURCE, retention, run.clone(), board, 1)
        else {
            continue;
        };
        let (state, workers) = (Arc::new(state), random.random_range(1..4));
        let feed = feed.again(state.resume().as_ref());
        let spec = spec.only(board).without_windows();
        let job = Running::of_range(&spec, &feed, workers, Some(state.clone()), Some(run.clone()));
        let deadline = Instant::now() + Duration::from_secs(60);
        while operations.load(Ordering::SeqCst) <= last && !job.is_over() {
            assert!(Instant::now() < deadline, "neither the end nor the cut");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(job.stop().all().len(), 0, "a backfill publishes nothing");
        if state.is_over() {
            return;
        }
    }
}

/// Holds past intervals against what is in the panes: all of it, and some at random.
fn assert_past(folder: &Path, panes: &Panes, random: &mut StdRng, at_least: usize) {
    let history = History::open(store(folder)).unwrap();
    let (first, end) = (*panes.keys().next().unwrap(), panes.keys().last().unwrap() + 1);
    let mut held = 0;
    for question in 0..120 {
        let from = if question == 0 { first } else { random.random_range(first..end) };
        let longest = if question % 3 == 0 { end - from } else { (end - from).min(90) };
        let to = if question == 0 { end } else { from + random.random_range(1..=longest) };
        let interval = Interval::Between(from as i64 * MINUTE, to as i64 * MINUTE);
        for group in ["", "region=IN"] {
            let past = match history.rank("default", &group.parse().unwrap(), interval, K) {
                Err(HistoryError::Gone { .. }) => continue,
                past => past.unwrap(),
            };
            // Where panes were let go of it is of whole rollups.
            let run = (past.range.from_ms / MINUTE) as u64..(past.range.to_ms / MINUTE) as u64;
            assert!(run.start <= from && to.min(end) <= run.end, "{run:?} is not all of {from}..{to}");
            let counts = sum(panes, run.clone(), group);
            let rows = past.ranking.into_iter().flat_map(|ranking| ranking.rows);
            let rows: Vec<_> = rows
                .map(|row| {
                    assert!(row.bounds.is_exact());
                    (String::from_utf8(row.key).unwrap(), row.bounds.upper())
                })
                .collect();
            assert_eq!(rows, rank(&counts, K), "{run:?} {group:?}");
            held += 1;
        }
    }
    assert!(held >= at_least, "only {held} intervals are held");
    let (mut faults, inspection) = (Vec::new(), Inspection::open(store(folder)).unwrap());
    inspection.verify(|fault| faults.push(fault)).unwrap();
    assert_eq!(faults, []);
    assert_eq!(inspection.report().backfills, []);
}

fn plan(
    spec: &JobSpec,
    folder: &Path,
    range: Range<u64>,
    replace: bool,
) -> Result<Vec<Range<u64>>, StateRefusal> {
    JobState::plan_backfill(&store(folder), spec, SOURCE, &range, replace, None)
}

/// Where both have an event in the last hour: so far all is durable, whoever counts.
fn common_end(a: &Panes, b: &Panes) -> u64 {
    *a.keys().last().unwrap().min(b.keys().last().unwrap())
}

/// The panes that a replaced range leaves.
fn replaced(before: &Panes, now: &Panes, range: &Range<u64>) -> Panes {
    let mut panes = before.clone();
    panes.retain(|pane, _| !range.contains(pane));
    panes.extend(now.range(range.clone()).map(|(pane, groups)| (*pane, groups.clone())));
    panes
}

#[test]
fn what_was_counted_wrong_is_replaced_with_all_rollups_over_it() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let (spec, folder, all) = (by_region(), tempfile::tempdir().unwrap(), forever());
        let (wrong, right) = (partitions(&mut random, "wrong"), partitions(&mut random, "right"));
        count(&spec, &wrong, folder.path(), &all);
        let (before, now) = (panes(&spec, &wrong), panes(&spec, &right));
        let end = common_end(&before, &now);
        let start = random.random_range(FIRST + 20..end - 200);
        let range = start..random.random_range(start + 1..end);
        assert_eq!(plan(&spec, folder.path(), range.clone(), false).unwrap(), [], "all was counted");
        assert_eq!(plan(&spec, folder.path(), range.clone(), true).unwrap(), from_ref(&range));
        backfill(None, &spec, &right, folder.path(), &all, &range, &mut random);
        eprintln!("seed {seed}: {range:?}");
        assert_past(folder.path(), &replaced(&before, &now, &range), &mut random, 200);
    }
}

#[test]
fn where_there_is_nothing_any_more_rollups_are_gone_too() {
    let (mut random, spec, folder) = (StdRng::seed_from_u64(7), by_region(), tempfile::tempdir().unwrap());
    let event = |minute: i64| Event::new(T0 + minute * MINUTE, "a");
    let wrong = [(0..300).filter(|minute| *minute < 3 || (65..68).contains(minute) || *minute > 290)];
    let wrong = wrong.map(|minutes| minutes.map(event).collect::<Vec<_>>());
    count(&spec, &wrong, folder.path(), &forever());
    // The hour in which it lies, and its ten minutes, have nothing else.
    let range = FIRST + 64..FIRST + 69;
    let before = panes(&spec, &wrong);
    let nothing = vec![vec![event(0), event(299)]];
    backfill(None, &spec, &nothing, folder.path(), &forever(), &range, &mut random);
    assert_past(folder.path(), &replaced(&before, &Panes::new(), &range), &mut random, 200);
}

#[test]
fn what_was_never_counted_is_filled_and_no_more() {
    for seed in 20..22 {
        let mut random = StdRng::seed_from_u64(seed);
        let (spec, folder, all) = (by_region(), tempfile::tempdir().unwrap(), forever());
        let whole = partitions(&mut random, "item");
        // The job began in the midst of the log, and all that it has counted is of another item.
        let begin = T0 + random.random_range(400..1500) * MINUTE;
        let renamed = |event: &Event| Event { item: format!("job's {}", event.item), ..event.clone() };
        let late = |log: &Vec<Event>| log.iter().filter(|e| e.time >= begin).map(renamed).collect::<Vec<_>>();
        let job: Vec<Vec<Event>> = whole.iter().map(late).collect();
        count(&spec, &job, folder.path(), &all);
        let (theirs, ours) = (panes(&spec, &job), panes(&spec, &whole));
        let first = *theirs.keys().next().unwrap();
        let half = FIRST + (first - FIRST) / 2;
        for missing in [half..first, FIRST..half] {
            let runs = plan(&spec, folder.path(), missing.start..first + 100, false).unwrap();
            assert_eq!(runs, from_ref(&missing));
            backfill(None, &spec, &whole, folder.path(), &all, &missing, &mut random);
        }
        assert_eq!(plan(&spec, folder.path(), FIRST..first + 100, false).unwrap(), []);
        let panes = replaced(&theirs, &ours, &(FIRST..first));
        assert_past(folder.path(), &panes, &mut random, 200);
    }
}

#[test]
fn old_panes_are_counted_into_their_rollups_where_these_are_whole() {
    let mut too_short = 0;
    for seed in 30..33 {
        let mut random = StdRng::seed_from_u64(seed);
        let (spec, folder, mut short) = (by_region(), tempfile::tempdir().unwrap(), forever());
        assert!(short.set("pane", Some(Duration::from_secs(7200))));
        let (wrong, right) = (partitions(&mut random, "wrong"), partitions(&mut random, "right"));
        count(&spec, &wrong, folder.path(), &short);
        let (before, now) = (panes(&spec, &wrong), panes(&spec, &right));
        let start = FIRST + 10 * random.random_range(2..40);
        let range = start..start + 10 * random.random_range(1..60);
        // The job lets go of panes with some later commit, so at its end they may still be there.
        if let Err(refused) = plan(&spec, folder.path(), start + 3..range.end - 2, true) {
            let StateRefusal::Edges { from_ms, to_ms, .. } = refused else { panic!("{refused}") };
            assert_eq!((from_ms, to_ms), (start as i64 * MINUTE, range.end as i64 * MINUTE));
            too_short += 1;
        }
        backfill(None, &spec, &right, folder.path(), &short, &range, &mut random);
        assert_past(folder.path(), &replaced(&before, &now, &range), &mut random, 100);
    }
    assert!(too_short > 0, "no panes were let go of");
}

#[test]
fn past_buckets_are_what_a_job_over_the_same_panes_has_published() {
    let quarter = 15;
    for seed in 40..43 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut spec, folder) = (by_region(), tempfile::tempdir().unwrap());
        // A past bucket without an event takes the place of one that was wrong.
        spec.empty = true;
        if seed == 42 {
            // Panes overflow, and buckets even more.
            (spec.sketch.rows, spec.sketch.rows_kept) = (32, 2);
        }
        let log = partitions(&mut random, "item");
        let mut finals = count(&spec, &log, folder.path(), &forever());
        let end = *panes(&spec, &log).keys().last().unwrap();
        let start = FIRST + random.random_range(0..600);
        let range = start..random.random_range(start + 1000..end);
        finals.retain(|snapshot| {
            let run = (snapshot.window_start / MINUTE) as u64..(snapshot.window_end / MINUTE) as u64;
            &*snapshot.window == "quarter" && range.start <= run.start && run.end <= range.end
        });
        let mut buckets = PastBuckets::open(store(folder.path()), &spec, SOURCE, None, &range, 1).unwrap();
        assert_eq!(buckets.boards().collect::<Vec<_>>(), [Arc::<str>::from("default")]);
        let mut found = Vec::new();
        while let Some(bucket) = buckets.next_bucket().unwrap() {
            assert!(bucket.snapshots.iter().all(|snapshot| snapshot.bucket && snapshot.epoch >= 1));
            let plain = |s: Snapshot| Snapshot { computed_at: 0, bucket: false, epoch: 1, ..s };
            found.extend(bucket.snapshots.into_iter().map(plain));
        }
        // Where the job has begun only in the range, no bucket is before its first.
        assert!(found.len() > 40 && (range.end - range.start) / quarter > 60);
        for (found, expected) in found.iter().zip(&finals) {
            assert_eq!(found, expected, "seed {seed}");
        }
        assert_eq!(found.len(), finals.len(), "seed {seed}");
        assert_eq!(buckets.unheld(), 0);
    }
}

/// Holds past intervals of the board `us`, whatever is there of it, against the panes of the group `region=US`.
fn assert_us(folder: &Path, panes: &Panes, random: &mut StdRng, at_least: usize) {
    let history = History::open(store(folder)).unwrap();
    let (first, end) = (*panes.keys().next().unwrap(), panes.keys().last().unwrap() + 1);
    let mut held = 0;
    for _ in 0..120 {
        let from = random.random_range(first..end);
        let to = random.random_range(from..(from + 300).min(end)) + 1;
        let past = match history.rank(
            "us",
            &GroupKey::WHOLE,
            Interval::Between(from as i64 * MINUTE, to as i64 * MINUTE),
            K,
        ) {
            Err(HistoryError::Gone { .. }) => continue,
            past => past.unwrap(),
        };
        let run = (past.range.from_ms / MINUTE) as u64..(past.range.to_ms / MINUTE) as u64;
        let rows = past.ranking.into_iter().flat_map(|ranking| ranking.rows);
        let rows: Vec<_> =
            rows.map(|row| (String::from_utf8(row.key).unwrap(), row.bounds.upper())).collect();
        assert_eq!(rows, rank(&sum(panes, run.clone(), "region=US"), K), "{run:?}");
        held += 1;
    }
    assert!(held >= at_least, "only {held} intervals are held");
}

#[test]
fn a_board_that_came_in_later_is_backfilled_alone_and_the_others_stay_as_they_are() {
    for (seed, pane_hours) in [(60, None), (62, Some(2))] {
        let mut random = StdRng::seed_from_u64(seed);
        let (spec, folder, mut retention) = (by_region(), tempfile::tempdir().unwrap(), forever());
        if let Some(hours) = pane_hours {
            assert!(retention.set("pane", Some(Duration::from_secs(3600 * hours))));
        }
        let log = partitions(&mut random, "item");
        // What the job has counted under this name is another board's.
        let mut before = spec.clone();
        before.boards.push(BoardSpec { name: "us".into(), ..spec.boards[0].clone() });
        count(&before, &log, folder.path(), &retention);
        let mut now = before.clone();
        (now.boards[1].by, now.boards[1].k) = (Vec::new(), K);
        now.boards[1].filter.insert("region".into(), Filter::AnyOf(vec!["US".into()]));
        let changes = OpenOptions { reset: &["us".to_owned()], bounded: true, ..OpenOptions::default() };
        drop(JobState::open_with(store(folder.path()), &now, SOURCE, &retention, 1, &changes).unwrap());
        let panes = panes(&spec, &log);
        // Where panes are let go of, a range must begin with a whole day.
        let first = if pane_hours.is_some() { FIRST } else { *panes.keys().next().unwrap() };
        let end = panes.keys().last().unwrap() + 1;
        let planned = |board| {
            let store = store(folder.path());
            JobState::plan_backfill(&store, &now, SOURCE, &(first..end), false, board).unwrap()
        };
        let runs = planned(Some("us"));
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert!(pane_hours.is_some() || planned(Some("default")).is_empty());
        let history = History::open(store(folder.path())).unwrap();
        let whole = Interval::Between(first as i64 * MINUTE, end as i64 * MINUTE);
        assert!(matches!(
            history.rank("us", &GroupKey::WHOLE, whole, K),
            Err(HistoryError::Nothing | HistoryError::Gone { .. })
        ));
        // First a part of it, which the job's panes that are let go of must allow.
        let half = (first + (end - first) / 2) / 1440 * 1440;
        for run in [runs[0].start..half, half..runs[0].end] {
            backfill(Some("us"), &now, &log, folder.path(), &retention, &run, &mut random);
            assert_past(folder.path(), &panes, &mut random, 60);
        }
        eprintln!("seed {seed}: runs {runs:?}, half {half}, end {end}");
        assert_us(folder.path(), &panes, &mut random, 60);
        assert_eq!(planned(Some("us")), []);
        assert!(!history.since().unwrap().contains_key("us"));
    }
}

#[test]
fn a_backfill_needs_the_state_of_this_job_and_panes_that_it_has_passed() {
    let (spec, folder, all) = (by_region(), tempfile::tempdir().unwrap(), forever());
    let refused = plan(&spec, folder.path(), 1..2, false).unwrap_err();
    assert!(matches!(refused, StateRefusal::NoManifest { .. }), "{refused}");
    count(&spec, &[vec![Event::new(T0, "a"), Event::new(T0 + 3 * MINUTE, "a")]], folder.path(), &all);
    let refused = plan(&spec, folder.path(), FIRST..FIRST + 5, true).unwrap_err();
    assert!(
        matches!(&refused, StateRefusal::NotDurable { durable_ms, to_ms, .. }
        if (*durable_ms, *to_ms) == (T0 + 4 * MINUTE, T0 + 5 * MINUTE)),
        "{refused}"
    );
    let mut other = spec.clone();
    other.boards[0].normalize.push(Rule::Lowercase);
    let refused =
        JobState::open_backfill(store(folder.path()), &other, SOURCE, &all, FIRST..FIRST + 1, None, 1);
    assert!(refused.unwrap_err().to_string().contains("boards[default].normalize"));
}

#[test]
fn a_day_that_is_not_over_is_recounted_beside_the_live_job_and_its_rollups_hold_that() {
    let (mut random, spec, folder) = (StdRng::seed_from_u64(50), by_region(), tempfile::tempdir().unwrap());
    let minutes = |name: &str, minutes: Range<i64>| -> Vec<Event> {
        minutes.map(|minute| Event::new(T0 + minute * MINUTE, &format!("{name}:{}", minute % 7))).collect()
    };
    let (wrong, right) = (minutes("wrong", 0..1600), minutes("right", 0..1600));
    let feed = Feed::live(1);
    wrong[..1000].iter().for_each(|event| feed.push(0, event));
    let state = Arc::new(JobState::open(store(folder.path()), &spec, SOURCE, &forever(), 1).unwrap());
    let job = Running::with_state(&spec, &feed, 2, Some(state));
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "still waiting for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let durable = |minute: i64| job.view.state().is_some_and(|state| state.durable >= T0 + minute * MINUTE);
    until("the first part", &|| durable(990));
    // One in an hour that is over, and one in an hour that is not.
    let ranges = [FIRST + 100..FIRST + 203, FIRST + 965..FIRST + 973];
    let mut expected = panes(&spec, std::slice::from_ref(&wrong));
    let now = panes(&spec, std::slice::from_ref(&right));
    for range in &ranges {
        backfill(None, &spec, std::slice::from_ref(&right), folder.path(), &forever(), range, &mut random);
        expected = replaced(&expected, &now, range);
    }
    wrong[1000..].iter().for_each(|event| feed.push(0, event));
    until("the rest", &|| durable(1590));
    let day =
        |report: StateReport| report.levels.iter().any(|level| level.level == "1d" && level.blocks == 1);
    until("the day's rollup", &|| day(Inspection::open(store(folder.path())).unwrap().report()));
    expected.retain(|pane, _| *pane < FIRST + 1590);
    assert_past(folder.path(), &expected, &mut random, 200);
    job.stop();
    assert_past(folder.path(), &expected, &mut random, 200);
}
