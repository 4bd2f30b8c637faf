//! A job that cannot write its manifest for a while publishes no final ranking: another run may have taken its state over
//! by then. It goes on once it knows that none has, and ends once it knows that one has.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::state::{Fault, StateStore};
use crest_state::job_state::{JobState, OpenOptions};
use crest_state::retention::Retention;
use crest_state::spec::JobSpec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::state::wait_until;
use support::{Event, Feed, Running, T0, live_spec};

const LIVES: OpenOptions<'static> = OpenOptions { reset: &[], bounded: false, heartbeat: true, seen: None };

fn open(store: &StateStore, spec: &JobSpec) -> Arc<JobState> {
    Arc::new(JobState::open_with(store.clone(), spec, "feed", &Retention::default(), 1, &LIVES).unwrap())
}

/// A job that is cut off from its store when a final ranking is durable and waits for a sink that takes nothing, until its
/// lease has passed; then the sink takes all.
fn cut_off(store: &StateStore) -> (Running, Arc<AtomicBool>) {
    let (spec, feed, cut) = (live_spec(), Feed::live(1), Arc::<AtomicBool>::default());
    let theirs = cut.clone();
    let fault = move |_: &str, _: &str| if theirs.load(Ordering::SeqCst) { Fault::Fail } else { Fault::Pass };
    let state = open(&store.clone().with_faults(Arc::new(fault)), &spec);
    let job = Running::with_state(&spec, &feed, 1, Some(state.clone()));
    job.kept.stall();
    (0..40).for_each(|n| feed.push(0, &Event::new(T0 + 100 * n, "a")));
    let durable = || job.view.state().is_some_and(|counts| counts.durable >= T0 + 2000);
    assert!(wait_until(durable), "a window's panes are durable");
    cut.store(true, Ordering::SeqCst);
    assert!(state.may_publish(), "the lease has not passed yet");
    assert!(wait_until(|| !state.may_publish()), "the lease passes");
    job.kept.go_on();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(job.kept.finals(), [], "somebody else may publish by now");
    (job, cut)
}

#[test]
fn finals_wait_until_it_is_known_that_nobody_has_taken_over() {
    let (job, cut) = cut_off(&StateStore::in_memory());
    cut.store(false, Ordering::SeqCst);
    job.wait_for_second(2);
    job.stop();
}

#[test]
fn a_job_that_was_taken_over_meanwhile_ends_and_has_published_nothing() {
    let store = StateStore::in_memory();
    let (job, cut) = cut_off(&store);
    let next = open(&store, &live_spec());
    let kept = job.kept.clone();
    cut.store(false, Ordering::SeqCst);
    let failure = job.failure();
    assert!(failure.contains(&next.epoch().to_string()), "{failure}");
    assert_eq!(kept.finals(), []);
}

#[test]
fn a_run_shows_that_it_lives_before_its_job_starts_and_no_longer_than_it_is_there() {
    let store = StateStore::in_memory();
    let manifest = || store.manifest().unwrap().unwrap().bytes;
    let state = open(&store, &live_spec());
    let claimed = manifest();
    state.show_life().unwrap();
    state.show_life().unwrap();
    assert!(wait_until(|| manifest() != claimed), "it has a heartbeat");
    drop(state);
    // A beat may have been on its way.
    std::thread::sleep(Duration::from_millis(500));
    let last = manifest();
    std::thread::sleep(Duration::from_millis(4500));
    assert!(manifest() == last, "nobody is there");
}

#[test]
fn a_job_that_has_nothing_to_commit_lives_on() {
    let store = StateStore::in_memory();
    let state = open(&store, &live_spec());
    let job = Running::with_state(&live_spec(), &Feed::live(1), 1, Some(state.clone()));
    let first = store.manifest().unwrap().unwrap().bytes;
    assert!(wait_until(|| store.manifest().unwrap().unwrap().bytes != first), "it has a heartbeat");
    job.stop();
    let beats = |store: &StateStore| {
        let manifest: serde_json::Value =
            serde_json::from_slice(&store.manifest().unwrap().unwrap().bytes).unwrap();
        manifest["heartbeat"].clone()
    };
    state.release(Duration::from_secs(30));
    assert_eq!(beats(&store)["released"], true);
    let next = open(&store, &live_spec());
    assert_eq!(beats(&store)["released"], false, "it is taken again");
    drop(next);
}
