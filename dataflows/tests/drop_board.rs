//! What a state has of a board that its job has no more is removed at once, and nothing else is.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::group_key::GroupKey;
use crest_connectors::state::{Fault, StateStore};
use crest_state::drop_board::{DropError, drop_board};
use crest_state::history::{History, Interval};
use crest_state::inspect::Inspection;
use crest_state::spec::{BoardSpec, Filter, JobSpec};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::state::{open, wait_until};
use support::{Event, Feed, Running, T0, spec};

/// A board of all events, and one of those of a region, which has panes of its own and others without an event.
fn both() -> JobSpec {
    let mut spec = spec();
    spec.boards[0].filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
    let other = BoardSpec { name: "all".into(), filter: BTreeMap::new(), ..spec.boards[0].clone() };
    spec.boards.push(other);
    spec
}

/// Of a job with both boards, which goes on with the first one alone.
fn left(store: &StateStore) -> JobSpec {
    let (spec, feed) = (both(), Feed::live(1));
    let event = |n: i64| Event {
        region: (n / 100 % 2 == 0).then(|| "IN".into()),
        ..Event::new(T0 + 1000 * n, &format!("item:{}", n % 7))
    };
    (0..1500).for_each(|n| feed.push(0, &event(n)));
    for boards in [2, 1] {
        let mut spec = spec.clone();
        spec.boards.truncate(boards);
        let state = open(store.clone(), &spec);
        let job = Running::with_state(&spec, &feed.again(state.resume().as_ref()), 1, Some(state));
        let is_done = || {
            job.view.state().is_some_and(|counts| counts.commits > 0 && (boards == 1 || counts.rollups > 20))
        };
        assert!(boards == 1 || wait_until(is_done));
        job.stop();
    }
    spec.only(Some("default"))
}

fn total(store: &StateStore, board: &str) -> Option<u64> {
    let history = History::open(store.clone()).unwrap();
    let interval = Interval::Between(T0, T0 + 1_200_000);
    let past = history.rank(board, &GroupKey::WHOLE, interval, 10).ok()?;
    past.ranking.map(|ranking| ranking.total)
}

fn verified(store: &StateStore) -> (u64, u64) {
    let mut faults = Vec::new();
    let inspection = Inspection::open(store.clone()).unwrap();
    let verified = inspection.verify(|fault| faults.push(fault.to_string())).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    let report = inspection.report();
    assert_eq!(report.unnamed, [""; 0], "nothing is left behind");
    (verified.objects, verified.bytes)
}

#[test]
fn a_board_that_is_there_no_more_is_removed_and_the_others_stay() {
    let store = StateStore::in_memory();
    let spec = left(&store);
    let (before, whole) = (verified(&store), total(&store, "default"));
    assert_eq!(whole, Some(600));
    let in_use = drop_board(&store, "default", 5).unwrap_err();
    assert!(matches!(in_use, DropError::InUse { .. }), "{in_use}");

    let dropped = drop_board(&store, "all", 5).unwrap();
    let after = verified(&store);
    assert!(dropped.objects > 100 && dropped.after < dropped.before, "{dropped:?}");
    assert_eq!(before.1 - after.1, dropped.before - dropped.after);
    assert!(after.0 < before.0, "a pane with nothing else has no object");
    assert_eq!((total(&store, "default"), total(&store, "all")), (whole, Some(0)));
    assert_eq!(drop_board(&store, "all", 6).unwrap().objects, 0, "there is nothing left of it");
    // The job goes on.
    assert!(open(store, &spec).resume().is_some());
}

#[test]
fn cut_off_at_any_call_of_the_store_the_state_is_whole_and_the_same_goes_on() {
    for last in (0..).step_by(29) {
        let store = StateStore::in_memory();
        left(&store);
        let calls = Arc::<AtomicUsize>::default();
        let fault = move |_: &str, _: &str| match calls.fetch_add(1, Ordering::SeqCst) {
            call if call < last => Fault::Pass,
            // As a process that is killed, it does nothing more.
            _ => panic!("cut off"),
        };
        let faulty = store.clone().with_faults(Arc::new(fault));
        let ended = catch_unwind(AssertUnwindSafe(|| drop_board(&faulty, "all", 5).unwrap()));
        let inspection = Inspection::open(store.clone()).unwrap();
        inspection.verify(|fault| panic!("{fault}")).unwrap();
        assert_eq!(total(&store, "default"), Some(600));
        drop_board(&store, "all", 6).unwrap();
        assert_eq!((total(&store, "default"), total(&store, "all")), (Some(600), Some(0)));
        if ended.is_ok() {
            return;
        }
    }
}
