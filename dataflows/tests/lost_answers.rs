//! A commit that is made a second time leaves the state sound: the store's answer was lost, and another process has changed
//! its own part of the manifest since.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::state::{Fault, StateStore};
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::state::wait_until;
use support::{Event, Feed, Running, T0, spec};

/// The call that writes the rollups of two days, all of which expire at once but the last ones: after that of the claim
/// and that of the panes.
const ROLLUPS: usize = 2;

#[test]
fn what_a_commit_adds_may_have_expired_when_it_is_made_again() {
    let (spec, store) = (spec(), StateStore::in_memory());
    let feed = Feed::live(1);
    (0..2 * 24 * 60).for_each(|minute| feed.push(0, &Event::new(T0 + 60_000 * minute, "item")));
    let mut retention = Retention::default();
    for level in Retention::LEVELS {
        assert!(retention.set(level, Some(Duration::from_secs(60))));
    }
    let (calls, theirs, job) = (Arc::<AtomicUsize>::default(), store.clone(), spec.clone());
    let fault = move |operation: &str, _: &str| match operation {
        "replace_manifest" => match calls.fetch_add(1, Ordering::SeqCst) {
            ROLLUPS => Fault::FailAfterDoing,
            again if again == ROLLUPS + 1 => {
                let day = 0..24 * 360;
                JobState::open_backfill(theirs.clone(), &job, "feed", &retention, day, None, 2).unwrap();
                Fault::Pass
            }
            _ => Fault::Pass,
        },
        _ => Fault::Pass,
    };
    let open = |store| JobState::open(store, &spec, "feed", &retention, 1);
    let state = open(store.clone().with_faults(Arc::new(fault))).unwrap();
    let job = Running::with_state(&spec, &feed, 1, Some(Arc::new(state)));
    assert!(wait_until(|| job.view.state().is_some_and(|counts| counts.rollups > 0)));
    job.stop();
    let state = open(store).expect("it is read, whatever was made twice");
    assert!(state.resume().is_some());
}
