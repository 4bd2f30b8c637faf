//! What is damaged, missing or of another job in a state is refused by name, or built again.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_state::error::StateRefusal;
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::WindowSpec;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use support::state::{run, some_state, store, wait_until};
use support::{Event, T0, spec};

fn objects(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("panes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn panes_without_a_manifest_are_refused_by_name() {
    let spec = spec();
    let (folder, _) = some_state(&spec);
    std::fs::remove_file(folder.path().join("manifest.json")).unwrap();
    let error = JobState::open(store(folder.path()), &spec, "feed", &Retention::default(), 1).unwrap_err();
    assert!(matches!(error, StateRefusal::Orphaned { objects, .. } if objects > 0), "{error}");
    let told = error.to_string();
    assert!(told.contains("such as panes/000") && told.contains("no manifest.json"), "{told}");
}

/// What is told of it, and what is done to an object; the other is another one.
type Harm = (&'static str, fn(&Path, &Path));

#[test]
fn a_damaged_truncated_foreign_or_missing_object_is_named() {
    let spec = spec();
    let harms: [Harm; 4] = [
        ("damaged", |path, _| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(path, bytes).unwrap();
        }),
        ("damaged", |path, _| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() - 3]).unwrap();
        }),
        ("holds 1 panes", |path, other| std::fs::write(path, std::fs::read(other).unwrap()).unwrap()),
        ("missing", |path, _| std::fs::remove_file(path).unwrap()),
    ];
    for (told, harm) in harms {
        let (folder, feed) = some_state(&spec);
        let objects = objects(folder.path());
        let (path, other) = (&objects[objects.len() - 1], &objects[objects.len() - 2]);
        harm(path, other);
        let failure = run(&spec, &feed, 1, store(folder.path())).failure();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(failure.contains(told) && failure.contains(name), "{failure}");
    }
}

#[test]
fn a_missing_rollup_is_built_again_from_its_panes() {
    let mut spec = spec();
    let hour = Duration::from_secs(3600);
    // A window that is made of minutes.
    spec.boards[0].windows.push(WindowSpec::sliding("hour", hour, hour / 60));
    let (folder, feed) = some_state(&spec);
    let job = run(&spec, &feed, 1, store(folder.path()));
    // The folder is there before the first of them.
    let is_stored =
        || std::fs::read_dir(folder.path().join("1m")).is_ok_and(|mut stored| stored.next().is_some());
    assert!(wait_until(is_stored), "no rollup was stored");
    job.stop();
    let minutes = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(folder.join("1m")).unwrap().map(|entry| entry.unwrap());
        let start = |name: &str| name.split('-').next().unwrap().to_owned();
        entries.map(|e| (start(e.file_name().to_str().unwrap()), std::fs::read(e.path()).unwrap())).collect()
    };
    let before = minutes(folder.path());
    assert!(!before.is_empty());
    std::fs::remove_dir_all(folder.path().join("1m")).unwrap();
    (200..400).for_each(|n| feed.push(0, &Event::new(T0 + 1000 * n, &format!("item:{}", n % 5))));
    let job = run(&spec, &feed, 2, store(folder.path()));
    let end = T0 + 300_000;
    let window =
        job.kept.wait_for("a later hour", |s| s.is_final && &*s.window == "hour" && s.window_end == end);
    assert_eq!(window.total, 300);
    job.stop();
    let after = minutes(folder.path());
    assert!(
        before.iter().all(|(start, bytes)| after.get(start) == Some(bytes)),
        "they are the same as before"
    );
}

#[test]
fn a_damaged_manifest_and_another_job_are_refused() {
    let spec = spec();
    let (folder, _) = some_state(&spec);
    let mut other = spec.clone();
    other.time.pane = Duration::from_secs(20);
    let error = JobState::open(store(folder.path()), &other, "feed", &Retention::default(), 1).unwrap_err();
    assert!(error.to_string().contains("time.pane was \"10s\" and is now \"20s\""), "{error}");
    let error = JobState::open(store(folder.path()), &spec, "another", &Retention::default(), 1).unwrap_err();
    assert!(error.to_string().contains("source"), "{error}");
    let path = folder.path().join("manifest.json");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = JobState::open(store(folder.path()), &spec, "feed", &Retention::default(), 1).unwrap_err();
    assert!(matches!(error, StateRefusal::Manifest { .. }) && error.to_string().contains("manifest.json"));
}
