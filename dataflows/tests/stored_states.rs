//! States that earlier programs wrote go on, with right totals. Each fixture is a state of its own version: a version that
//! was ever released is read for good.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::state::StateStore;
use crest_state::error::StateRefusal;
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::{BoardSpec, FIRST_SEED, JobSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{Event, Feed, Running, T0, recount, spec};

const MINUTES: i64 = 10;

/// Twice the items that a pane counts exactly, some of them often.
fn events(partition: i64) -> Vec<Event> {
    let event = |second: i64| {
        let item = (second * second + 7 * partition) % 61 % (1 + second % 64);
        Event::new(T0 + 1000 * second, &format!("item:{item}"))
    };
    (0..60 * MINUTES).map(event).collect()
}

/// A state that an earlier program left: a live run over the first five minutes, which was stopped.
struct Stored {
    folder: &'static str,
    /// Of the item hash.
    seed: u64,
    /// As the job was configured, or as was usual then.
    weight_default: Option<u32>,
}

/// By commit 619f539: a manifest of version 2, made before seeds were drawn and before a weight could be required.
const FIRST: Stored = Stored { folder: "first-state", seed: FIRST_SEED, weight_default: Some(1) };
/// By commit 98d8215: a manifest of version 3, with a seed of its own.
const SECOND: Stored = Stored { folder: "second-state", seed: 104_372_262_761_598, weight_default: None };
/// By commit 97353f4: a manifest of version 4.
const THIRD: Stored = Stored { folder: "third-state", seed: 104_372_262_761_598, weight_default: None };

/// By commit ddda600: a manifest of version 5, of a job that showed that it lived.
const FOURTH: Stored = Stored { folder: "fourth-state", seed: 104_372_262_761_598, weight_default: None };

impl Stored {
    fn spec(&self) -> JobSpec {
        let mut spec = spec();
        (spec.sketch.rows, spec.sketch.rows_kept) = (32, 100);
        spec.schema.weight_default = self.weight_default;
        spec
    }

    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(self.folder)
    }
}

/// To open it where it lies would write to it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_state_of_version_2_goes_on_with_right_totals() {
    goes_on(&FIRST);
}

#[test]
fn a_state_of_version_3_goes_on_with_right_totals() {
    goes_on(&SECOND);
}

#[test]
fn a_state_of_version_4_goes_on_with_right_totals() {
    goes_on(&THIRD);
}

#[test]
fn a_state_of_version_5_goes_on_with_right_totals() {
    goes_on(&FOURTH);
}

fn goes_on(stored: &Stored) {
    let (folder, mut spec) = (tempfile::tempdir().unwrap(), stored.spec());
    copy(&stored.path(), folder.path());
    // What a new state would have is of no account.
    spec.sketch.seed = 99;
    let store = StateStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
    let state = JobState::open(store.clone(), &spec, "feed", &Retention::default(), 1).unwrap();
    assert_eq!(state.seed(), stored.seed);
    spec.sketch.seed = state.seed();
    let resume = state.resume().unwrap();
    assert!(resume.durable > 0 && resume.partitions.len() == 2, "{resume:?}");

    let partitions = [events(0), events(1)];
    let feed = Feed::bounded(&partitions).again(Some(&resume));
    let published = Running::with_state(&spec, &feed, 2, Some(Arc::new(state))).finish().finals();
    let truth: BTreeMap<_, _> = recount::snapshots(
        &JobSpec { boards: vec![BoardSpec { k: 100, ..spec.boards[0].clone() }], ..spec.clone() },
        &partitions,
    )
    .into_iter()
    .map(|snapshot| ((snapshot.window.clone(), snapshot.window_end), snapshot))
    .collect();
    assert!(
        published.iter().any(|s| &*s.window == "two_5m" && s.window_start < T0 + 240_000),
        "some of the state"
    );
    for snapshot in published {
        let truth = &truth[&(snapshot.window.clone(), snapshot.window_end)];
        assert_eq!(snapshot.total, truth.total);
        let counts: BTreeMap<_, _> =
            truth.items.iter().map(|item| (item.item_id.clone(), item.count)).collect();
        let listed: BTreeSet<_> = snapshot.items.iter().map(|item| item.item_id.clone()).collect();
        assert_eq!(listed.len(), snapshot.items.len(), "an item is listed twice");
        for item in &snapshot.items {
            assert!((item.lower..=item.upper).contains(&counts[&item.item_id]), "{item:?} of {counts:?}");
        }
    }

    spec.sketch.seed_named = true;
    assert!(
        JobState::open(store.clone(), &spec, "feed", &Retention::default(), 1).is_ok(),
        "the seed it has"
    );
    spec.sketch.seed = 123_456_789;
    let refused = JobState::open(store, &spec, "feed", &Retention::default(), 1).unwrap_err();
    assert!(matches!(refused, StateRefusal::OtherSeed { .. }), "{refused}");
    let text = format!("{refused} {refused:?} {spec:?}");
    assert!(text.contains("sketch.seed = ***") && !text.contains("123456789"), "{text}");
}
