//! Partitions that come in while a job runs, or while it is down: what they have of panes that are open is counted, what
//! they have of closed ones is told, and a resumed run decides as the run before did.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use crest_formats::refusal::Refusal;
use crest_state::job_state::JobState;
use crest_state::retention::Retention;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Event, Feed, Running, T0, live_spec, recount};

/// Windows of a second in panes of 200 ms, in which no partition is ever idle.
fn spec() -> JobSpec {
    let mut spec = live_spec();
    spec.time.idle_timeout = Duration::from_secs(600);
    spec
}

/// An event every 10 ms of event time.
fn traffic(from_ms: i64, to_ms: i64) -> Vec<Event> {
    let event = |ms: i64| Event::new(T0 + ms, &format!("item:{}", ms % 7));
    (from_ms..to_ms).step_by(10).map(event).collect()
}

fn push(feed: &Feed, partition: usize, events: &[Event]) {
    events.iter().for_each(|event| feed.push(partition, event));
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn open(spec: &JobSpec, folder: &Path) -> JobState {
    let store = StateStore::open(folder.to_str().unwrap(), &BTreeMap::new()).unwrap();
    JobState::open(store, spec, "feed", &Retention::default(), 1).unwrap()
}

fn resume(spec: &JobSpec, feed: &Feed, workers: usize, folder: &Path) -> (Running, Feed) {
    let state = Arc::new(open(spec, folder));
    let feed = feed.again(state.resume().as_ref());
    (Running::with_state(spec, &feed, workers, Some(state)), feed)
}

/// The final snapshots of one run after another; what is published again must be the same.
fn joined(runs: Vec<Vec<Snapshot>>) -> Vec<Snapshot> {
    let mut all = BTreeMap::new();
    for snapshot in runs.into_iter().flatten() {
        let before = all.insert(snapshot.window_end, snapshot.clone());
        assert!(before.is_none_or(|before| before == snapshot), "published with two contents");
    }
    all.into_values().collect()
}

#[test]
fn one_that_is_found_holds_the_windows_and_loses_only_what_is_of_closed_panes() {
    for workers in [1, 2, 3] {
        let feed = Feed::live(2);
        feed.show(1);
        push(&feed, 0, &traffic(0, 3000));
        let job = Running::start(&spec(), &feed, workers);
        job.wait_for_second(2);
        wait_until("the panes before 2,800 ms are closed", || {
            job.view.boards().values().any(|board| board.frontier == Some(T0 + 2800))
        });
        push(&feed, 1, &[traffic(2000, 2800), traffic(2800, 3500)].concat());
        feed.show(2);
        job.wait_for_records(450);
        push(&feed, 0, &traffic(3000, 6300));
        job.wait_for_records(780);
        let third = job.wait_for_second(3);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(job.kept.finals().len(), 3, "the fourth waits for the partition that is read only so far");
        push(&feed, 1, &traffic(3500, 6300));
        job.wait_for_second(6);
        job.assert_refused(Refusal::Late, 0);
        job.assert_refused(Refusal::BeforePartition, 80);
        assert_eq!((third.total, job.stop().counted()), (200 - 80, 1000 - 80));
    }
}

#[test]
fn a_resumed_run_decides_as_the_one_before_did() {
    let spec = spec();
    // The first and the last one are of one worker, which is far ahead of the other.
    let early = [traffic(5500, 9000), vec![Event::new(T0 + 9810, "a")], vec![Event::new(T0 + 9790, "b"); 5]];
    let logs = [traffic(0, 12_300), traffic(0, 12_300), [early.concat(), traffic(9820, 12_300)].concat()];
    let counted = |event: &&Event| event.time >= T0 + 9800;
    let last = logs[2].iter().filter(counted).cloned().collect();
    let expected = recount::snapshots(&spec, &[logs[0].clone(), logs[1].clone(), last]);
    for interrupted in [false, true] {
        let (folder, feed) = (tempfile::tempdir().unwrap(), Feed::live(3));
        feed.show(2);
        push(&feed, 0, &logs[0][..1000]);
        push(&feed, 1, &logs[1][..500]);
        push(&feed, 2, &logs[2][..460]);
        let (job, mut feed) = resume(&spec, &feed, 2, folder.path());
        job.wait_for_records(1500);
        job.wait_for_second(4);
        feed.show(3);
        job.assert_refused(Refusal::BeforePartition, 355);
        push(&feed, 1, &logs[1][500..650]);
        job.wait_for_second(6);
        let (mut runs, mut jobs) = (Vec::new(), vec![job]);
        for workers in if interrupted { &[1, 3][..] } else { &[] } {
            runs.push(jobs.pop().unwrap().stop().finals());
            let (job, resumed) = resume(&spec, &feed, *workers, folder.path());
            feed = resumed;
            jobs.push(job);
        }
        let job = jobs.pop().unwrap();
        push(&feed, 0, &logs[0][1000..]);
        push(&feed, 1, &logs[1][650..]);
        push(&feed, 2, &logs[2][460..]);
        job.wait_for_second(12);
        runs.push(job.stop().finals());
        let finals = joined(runs);
        assert_eq!(finals[..12], expected[..12], "interrupted: {interrupted}");
    }
}

#[test]
fn one_that_is_added_while_the_job_is_down_is_read_from_its_beginning() {
    let (spec, folder, feed) = (spec(), tempfile::tempdir().unwrap(), Feed::live(4));
    let mut quick = spec.clone();
    quick.time.idle_timeout = Duration::from_millis(300);
    feed.show(2);
    // Nothing is in the second one, which is idle, and known all the same.
    push(&feed, 0, &traffic(0, 3300));
    let (job, feed) = resume(&quick, &feed, 2, folder.path());
    job.wait_for_second(3);
    job.stop();
    let known = open(&spec, folder.path()).resume().unwrap().partitions;
    assert_eq!(known.into_keys().collect::<Vec<_>>(), [0, 1]);
    // By now time has gone on by itself.
    push(&feed, 2, &[traffic(1000, 2000), traffic(60_000, 63_300)].concat());
    push(&feed, 1, &traffic(60_000, 63_300));
    push(&feed, 0, &traffic(60_000, 63_300));
    feed.show(3);
    let (job, _) = resume(&spec, &feed, 2, folder.path());
    job.wait_for_second(63);
    job.assert_refused(Refusal::BeforePartition, 100);
    job.assert_refused(Refusal::Late, 0);
    let expected = recount::snapshots(&spec, &vec![traffic(60_000, 63_300); 3]);
    let finals = job.stop().finals();
    assert_eq!(finals[finals.len() - 3..], expected[..3]);
}
