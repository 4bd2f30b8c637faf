//! Regions that are slow, away, gone, new or at their end: who is missing from a ranking is named, nobody stands still, and a
//! region takes part again once it can be read.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::endpoint::StatesUrl;
use crest_connectors::group_key::GroupKey;
use crest_connectors::state::{Fault, StateStore};
use crest_state::history::{History, Interval};
use crest_state::job_state::JobState;
use crest_state::pane::Pane;
use crest_state::region::Region;
use crest_state::region_feed::Regions;
use crest_state::retention::Retention;
use crest_state::spec::JobSpec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;
use support::regions::{Live, elsewhere, ended, final_at, said, seconds};
use support::state::{run, wait_until};
use support::{Event, Feed, Running, T0, spec};

/// How long a store that is far away takes for an object.
const PACE: Duration = Duration::from_millis(100);

/// The job over regions, with a state.
fn global(regions: Vec<Region>, store: &StateStore) -> Running {
    let spec = elsewhere(&seconds(), 3);
    let state = JobState::open(store.clone(), &spec, StatesUrl::IDENTITY, &Retention::default(), 1).unwrap();
    Running::of_regions(&spec, regions, 2, Some(state.into()), None)
}

/// Writes events of all regions at the pace of the clock until it is dropped: five a second in each.
struct Writing(Arc<AtomicBool>, Arc<AtomicI64>);

impl Writing {
    fn begin(feeds: Vec<Feed>) -> Self {
        let (over, second) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default());
        let (theirs, seconds) = (over.clone(), second.clone());
        std::thread::spawn(move || {
            for n in 0.. {
                if theirs.load(Ordering::SeqCst) {
                    return;
                }
                feeds.iter().for_each(|feed| feed.push(0, &Event::new(T0 + 200 * n, "a")));
                seconds.store(n / 5, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Writing(over, second)
    }

    fn second(&self) -> i64 {
        self.1.load(Ordering::SeqCst)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_region_that_is_always_behind_takes_part_again_after_an_outage() {
    let eu = Live::start(1);
    let us = Live::start_with(2, |spec| spec.time.out_of_orderness = Duration::from_millis(1100));
    let away = Arc::<AtomicBool>::default();
    let theirs = away.clone();
    let fault = move |_: &str, _: &str| if theirs.load(Ordering::SeqCst) { Fault::Fail } else { Fault::Pass };
    let far = Region::new("us", us.store.clone().with_faults(Arc::new(fault)));
    let job = global(vec![eu.region("eu"), far], &StateStore::in_memory());
    let writing = Writing::begin(vec![eu.feed.clone(), us.feed.clone()]);
    assert_eq!(said(&final_at(&job, "second", 3)).0, 10);
    away.store(true, Ordering::SeqCst);
    job.kept.wait_for("a window without it", |s| s.is_final && said(s).1 == ["us"]);
    away.store(false, Ordering::SeqCst);
    let back = writing.second() + 2;
    let whole = |end: i64| {
        job.kept.wait_for("a window with all", move |s| {
            s.is_final
                && &*s.window == "second"
                && s.window_end > T0 + 1000 * end
                && said(s) == (10, vec![], None)
        })
    };
    whole(back);
}

#[test]
fn a_region_that_is_slow_and_delivers_is_not_missing() {
    let (near, far) = (ended(1, 100), ended(2, 100));
    // All its panes take far longer than a region may be silent, but each comes soon after the one before.
    let slow = |call: &str, _: &str| if call == "get" { Fault::Stall(PACE) } else { Fault::Pass };
    let regions = vec![Region::new("near", near), Region::new("far", far.with_faults(Arc::new(slow)))];
    let mut spec = elsewhere(&seconds(), 3);
    spec.time.idle_timeout = Duration::from_millis(1500);
    let state = JobState::open(StateStore::in_memory(), &spec, StatesUrl::IDENTITY, &Retention::default(), 1);
    let job = Running::of_regions(&spec, regions, 2, Some(state.unwrap().into()), None);
    let finals = job.finish().finals();
    let missing = finals.iter().filter(|snapshot| snapshot.partial).map(said).collect::<Vec<_>>();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(finals.iter().filter(|snapshot| snapshot.total > 0).map(|s| s.total).max(), Some(30));
}

#[test]
fn a_region_whose_state_is_gone_is_missing_and_does_not_end_the_job() {
    let (eu, us) = (Live::start(1), Live::start(2));
    let folder = tempfile::tempdir().unwrap();
    // The state of us is copied to where the job reads it.
    let place = folder.path().join("us");
    let untried = || StateStore::untried(place.to_str().unwrap(), &Default::default()).unwrap();
    let copied = StateStore::open(place.to_str().unwrap(), &Default::default()).unwrap();
    let mirror = || {
        // It names no object that is written after it.
        let manifest = us.store.manifest().unwrap().unwrap().bytes;
        for object in us.store.list("").unwrap() {
            copied.put(&object.name, us.store.get(&object.name).unwrap().unwrap()).unwrap();
        }
        let before = copied.manifest().unwrap().map(|found| found.version);
        copied.replace_manifest(manifest, before.as_ref()).unwrap();
    };
    eu.write(0..4, "a");
    us.write(0..4, "a");
    let durable = |live: &Live, second: i64| {
        let counts = || live.job.as_ref().unwrap().view.state().map_or(0, |counts| counts.durable);
        assert!(wait_until(|| counts() >= T0 + 1000 * second));
    };
    durable(&us, 3);
    mirror();
    let store = StateStore::in_memory();
    let start = || global(vec![eu.region("eu"), Region::new("us", untried())], &store);
    let job = start();
    assert_eq!(said(&final_at(&job, "second", 3)), (10, vec![], None));
    let away = folder.path().join("away");
    std::fs::rename(&place, &away).unwrap();
    eu.write(4..9, "a");
    assert_eq!(said(&final_at(&job, "second", 8)).1, ["us"]);
    // A run that starts meanwhile knows it from before.
    job.stop();
    let job = start();
    eu.write(9..12, "a");
    assert_eq!(said(&final_at(&job, "second", 11)).1, ["us"]);
    std::fs::rename(&away, &place).unwrap();
    us.write(4..18, "a");
    durable(&us, 17);
    mirror();
    assert!(wait_until(|| closed_by(&job, "us").is_some_and(|time| time >= T0 + 17_000)));
    eu.write(12..18, "a");
    assert_eq!(said(&final_at(&job, "second", 17)), (10, vec![], None));
}

#[test]
fn who_is_missing_from_a_region_is_missing_from_what_is_made_of_it() {
    let (eu, mut us) = (Live::start(1), Live::start(2));
    let merged = StateStore::in_memory();
    let job = global(vec![eu.region("eu"), us.region("us")], &merged);
    let above = global(vec![Region::new("eu-and-us", merged.clone())], &StateStore::in_memory());
    eu.write(0..4, "a");
    us.write(0..4, "a");
    final_at(&job, "second", 3);
    us.stop();
    eu.write(4..9, "a");
    assert_eq!(said(&final_at(&job, "second", 8)), (5, vec!["us"], Some(40)));
    assert_eq!(said(&final_at(&above, "second", 8)), (5, vec!["eu-and-us"], Some(40)));
    assert_eq!(said(&final_at(&above, "second", 2)), (10, vec![], None));
}

#[test]
fn a_region_that_has_ended_does_not_wait_for_one_that_is_gone() {
    let store = ended(9, 150);
    let mut gone = Live::start(1);
    gone.write(0..5, "a");
    let durable = || gone.job.as_ref().unwrap().view.state().map_or(0, |counts| counts.durable);
    assert!(wait_until(|| durable() >= T0 + 4000));
    gone.stop();
    let job = global(vec![Region::new("ended", store), gone.region("gone")], &StateStore::in_memory());
    assert_eq!(said(&final_at(&job, "second", 3)), (10, vec![], None));
    assert_eq!(said(&final_at(&job, "second", 20)), (5, vec!["gone"], Some(100)));
}

#[test]
fn what_a_region_had_before_it_came_in_is_missing() {
    let (eu, us, store) = (Live::start(1), Live::start(2), StateStore::in_memory());
    let job = global(vec![eu.region("eu")], &store);
    eu.write(0..6, "a");
    us.write(0..6, "a");
    assert_eq!(said(&final_at(&job, "second", 5)), (5, vec![], None));
    job.stop();
    let job = global(vec![eu.region("eu"), us.region("us")], &store);
    eu.write(6..12, "a");
    us.write(6..12, "a");
    let three = said(&final_at(&job, "three", 7)).1.join("");
    assert_eq!(three, "us", "the last seconds before it came in");
    assert_eq!(said(&final_at(&job, "three", 11)), (30, vec![], None));
}

#[test]
fn states_are_told_apart_and_none_comes_in_after_the_end() {
    let counted = |spec: &JobSpec| {
        let (store, log) =
            (StateStore::in_memory(), (0..99).map(|n| Event::new(T0 + 1000 * n, "a")).collect());
        run(spec, &Feed::bounded(&[log]), 1, store.clone()).finish();
        store
    };
    // Jobs over files have one seed.
    let (spec, stores) = (spec(), [counted(&spec()), counted(&spec())]);
    let regions = |stores: &[StateStore]| {
        let named = ["a", "b"].into_iter().zip(stores);
        named.map(|(name, store)| Region::new(name, store.clone())).collect::<Vec<_>>()
    };
    let both = Regions::open(regions(&stores), &spec, None, false).unwrap();
    let anew = [counted(&spec), stores[1].clone()];
    let error = Regions::open(regions(&anew), &spec, both.identity().as_deref(), false).unwrap_err();
    assert!(error.to_string().starts_with("region a: the state memory is another one"), "{error}");
    let first = Regions::open(regions(&stores[..1]), &spec, None, false).unwrap();
    // A state knows a new one once something has come of it.
    let later = Regions::open(regions(&stores), &spec, first.identity().as_deref(), false).unwrap();
    assert_eq!(later.identity(), first.identity());
    later.hear("b");
    assert_eq!(later.identity(), both.identity());
    let error = Regions::open(regions(&stores), &spec, first.identity().as_deref(), true).unwrap_err();
    assert!(error.to_string().starts_with("region b: the state memory came in after all others"), "{error}");
}

#[test]
fn a_region_is_missing_from_a_pane_that_is_damaged_and_from_no_other() {
    let (eu, us) = (ended(1, 100), ended(2, 100));
    let damaged = us.list("panes/").unwrap().remove(52).name;
    us.put(&damaged, b"CRSP and nothing that a run has written".to_vec()).unwrap();
    let regions = vec![Region::new("eu", eu), Region::new("us", us)];
    let found = global(regions, &StateStore::in_memory()).finish().finals();
    let seconds = found.iter().filter(|s| &*s.window == "second" && s.window_end <= T0 + 20_000);
    let (partial, whole): (Vec<_>, Vec<_>) = seconds.partition(|s| s.partial);
    assert_eq!(partial.iter().map(|s| said(s)).collect::<Vec<_>>(), [(9, vec!["us"], Some(53))]);
    assert!(whole.len() == 19 && whole.iter().all(|s| s.total == 10));
}

/// Also where the region closes no more panes: rankings would wait for it until it is taken for silent.
#[test]
fn a_region_whose_last_pane_is_damaged_has_closed_it() {
    let (eu, mut us) = (Live::start(1), Live::start(2));
    eu.write(0..9, "a");
    us.write(0..5, "a");
    let durable = || us.job.as_ref().unwrap().view.state().map_or(0, |counts| counts.durable);
    assert!(wait_until(|| durable() >= T0 + 4_000));
    us.stop();
    let mut panes = us.store.list("panes/").unwrap();
    let end = T0 + 200 * panes.len() as i64;
    us.store.put(&panes.pop().unwrap().name, b"CRSP and nothing that a run has written".to_vec()).unwrap();
    let job = global(vec![eu.region("eu"), us.region("us")], &StateStore::in_memory());
    assert!(wait_until(|| closed_by(&job, "us") == Some(end)), "{:?} of {end}", closed_by(&job, "us"));
    let last = job.kept.wait_for("the window with the damaged pane", |s| {
        s.is_final && &*s.window == "second" && s.window_end >= end
    });
    assert_eq!(said(&last).1, ["us"]);
}

/// Up to where a region has closed its panes, as the job says.
fn closed_by(job: &Running, region: &str) -> Option<i64> {
    let told = job.view.workers().into_iter().flatten();
    told.filter_map(|(_, status)| status.partitions.get(region)?.watermark).max()
}

#[test]
fn a_backfill_waits_for_a_slow_region_and_says_who_it_was_without() {
    let panes = |seconds: i64| ((T0 + 1000 * seconds) / 200) as Pane;
    let (spec, store) = (elsewhere(&seconds(), 3), StateStore::in_memory());
    let (eu, us) = (ended(1, 200), ended(2, 200));
    let regions = |us: StateStore| vec![Region::new("eu", eu.clone()), Region::new("us", us)];
    global(regions(us.clone()), &store).finish();
    let range = panes(0)..panes(40);
    let backfill = |regions: Vec<Region>| {
        let claimed = JobState::open_backfill(
            store.clone(),
            &spec,
            StatesUrl::IDENTITY,
            &Retention::default(),
            range.clone(),
            None,
            9,
        );
        let job = spec.without_windows();
        Running::of_regions(&job, regions, 1, Some(claimed.unwrap().into()), Some(range.clone())).finish();
        let interval = Interval::Between(T0, T0 + 40_000);
        let past =
            History::open(store.clone()).unwrap().rank("default", &GroupKey::WHOLE, interval, 5).unwrap();
        (past.ranking.unwrap().total, past.missing.map(|(names, _)| names.concat()))
    };
    let gets = Arc::<AtomicUsize>::default();
    let slow = move |call: &str, _: &str| match call {
        "get" if gets.fetch_add(1, Ordering::SeqCst) == 70 => Fault::Stall(Duration::from_secs(2)),
        _ => Fault::Pass,
    };
    assert_eq!(backfill(regions(us.clone().with_faults(Arc::new(slow)))), (400, None));
    assert_eq!(backfill(vec![Region::new("eu", eu.clone())]), (200, Some("us".to_owned())));
    assert_eq!(backfill(regions(us)), (400, None));
}
