//! An exact board says what a naive recount says, of final and of provisional rankings, for any number of workers,
//! whatever the partitions hold; and an audit probe receives the counts of any item.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::audit_probe::AuditProbe;
use crest_state::spec::{Engine, JobSpec, WindowSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Event, Feed, Running, T0, finals, live_spec, recount, spec};

const REGIONS: [Option<&str>; 4] = [None, Some("IN"), Some("US"), Some("a,b=c%")];

/// A board whose sketches would hold few of the items.
fn exact(spec: JobSpec) -> JobSpec {
    let mut spec = spec;
    spec.sketch.rows = 32;
    spec.boards[0].engine = Engine::Exact;
    spec.boards[0].by = vec!["region".into()];
    spec
}

fn window(name: &str, size: u64, slide: u64) -> WindowSpec {
    let seconds = Duration::from_secs;
    WindowSpec::sliding(name, seconds(size), seconds(slide))
}

/// Partitions that advance with disorder, some of it beyond what is allowed, and with gaps; of many items, most of equal
/// count.
fn partitions() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let step = prop_oneof![20 => -12_000i64..15_000, 1 => 60_000i64..400_000];
    let event = (step, 0usize..300, prop_oneof![3 => Just(1u32), 1 => 2u32..200], 0usize..4);
    let partition = (0i64..200_000, prop::collection::vec(event, 0..250));
    prop::collection::vec(partition, 1..5).prop_map(|partitions| {
        let build = |(start, events): (i64, Vec<_>)| {
            let mut time = T0 + start;
            let event = |(step, item, weight, region): (i64, usize, u32, usize)| {
                time += step;
                Event {
                    time,
                    item: format!("item:{item}"),
                    weight,
                    region: REGIONS[region].map(String::from),
                }
            };
            events.into_iter().map(event).collect()
        };
        partitions.into_iter().map(build).collect()
    })
}

fn windows() -> impl Strategy<Value = Vec<WindowSpec>> {
    let all = [
        window("last_10s", 10, 10),
        window("last_1m", 60, 10),
        window("two_5m", 300, 120),
        window("uneven", 50, 30),
        window("each_1h", 3600, 3600),
    ];
    prop::sample::subsequence(all.to_vec(), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn finals_equal_the_recount(
        partitions in partitions(), windows in windows(), workers in 1usize..=4, k in 1usize..40,
    ) {
        let mut spec = exact(spec());
        (spec.boards[0].windows, spec.boards[0].k) = (windows, k);
        let expected = recount::snapshots(&spec, &partitions);
        let computed = finals(&spec, &partitions, workers);
        for (computed, expected) in computed.iter().zip(&expected) {
            prop_assert_eq!(computed, expected);
        }
        prop_assert_eq!(computed.len(), expected.len());
    }
}

#[test]
fn of_many_equals_those_of_the_greatest_names_lead() {
    let mut spec = exact(spec());
    spec.boards[0].windows.truncate(1);
    let event = |n: i64| Event::new(T0 + n, &format!("{:x}", n * 7919 % 30_011));
    let partitions = [(0..30_000).map(event).collect::<Vec<_>>(), (30_000..32_000).map(event).collect()];
    let expected = recount::snapshots(&spec, &partitions);
    for workers in [1, 3] {
        assert!(finals(&spec, &partitions, workers) == expected, "the finals of {workers} workers differ");
    }
}

#[test]
fn exact_and_sketched_boards_run_side_by_side() {
    let mut spec = exact(spec());
    let (mut sketched, mut other) = (spec.boards[0].clone(), spec.boards[0].clone());
    (sketched.name, sketched.engine) = ("sketched".into(), Engine::Sketch);
    (other.name, other.k) = ("other".into(), 3);
    spec.boards.extend([sketched, other]);
    let event = |n: i64| Event::new(T0 + n * 40, &format!("item:{}", n * n % 1009));
    let partitions = [(0..3000).map(event).collect::<Vec<_>>(), (0..1000).map(event).collect()];
    let computed = finals(&spec, &partitions, 3);
    for board in [0, 2] {
        let mut alone = spec.clone();
        alone.boards = vec![spec.boards[board].clone()];
        let of_board: Vec<Snapshot> =
            computed.iter().filter(|snapshot| snapshot.board == alone.boards[0].name).cloned().collect();
        assert!(of_board == recount::snapshots(&alone, &partitions), "board {board} differs");
    }
    let error = |snapshot: &&Snapshot| &*snapshot.board == "sketched" && snapshot.error_floor > 0;
    assert!(computed.iter().any(|snapshot| error(&snapshot)), "32 rows cannot be exact here");
}

#[test]
fn what_is_provisional_is_exact_and_so_is_the_final_after_it() {
    let mut spec = exact(live_spec());
    spec.boards[0].windows = vec![window("two_s", 2, 1), window("second", 1, 1)];
    // However long a step takes, time goes on by events alone.
    spec.time.idle_timeout = Duration::from_secs(3600);
    let feed = Feed::live(3);
    let mut sent: Vec<Vec<Event>> = vec![Vec::new(); 3];
    let job = Running::start(&spec, &feed, 2);
    for step in 0..12 {
        for n in 0..300i64 {
            let (partition, region) = (n as usize % 3, REGIONS[n as usize % 4].map(String::from));
            let event = Event {
                region,
                ..Event::new(T0 + step * 250 + n / 2, &format!("item:{}", (n * step) % 211))
            };
            feed.push(partition, &event);
            sent[partition].push(event);
        }
        // All that was sent, as if nothing more came: the windows of the newest pane are partly filled.
        let newest = sent.iter().flatten().map(|event| event.time).max().unwrap();
        let end = newest / 1000 * 1000 + 1000;
        for name in ["two_s", "second"] {
            let expected = recount::snapshots(&spec, &sent);
            let expected = expected.iter().filter(|s| &*s.window == name && s.window_end == end);
            for expected in expected.filter(|expected| expected.total > 0) {
                let group = expected.group.clone();
                let same = |shown: &Snapshot| {
                    let rows = |s: &Snapshot| -> Vec<_> {
                        s.items
                            .iter()
                            .map(|item| (item.rank, item.item_id.clone(), item.count, item.exact))
                            .collect()
                    };
                    (&shown.window, shown.window_end, shown.group.clone())
                        == (&expected.window, end, group.clone())
                        && (shown.total, shown.error, shown.error_floor, rows(shown))
                            == (expected.total, 0, 0, rows(expected))
                };
                job.kept.wait_for(&format!("{name} of {group:?} at step {step}"), same);
            }
        }
    }
    let kept = job.stop();
    let expected = recount::snapshots(&spec, &sent);
    for computed in kept.finals() {
        assert!(expected.contains(&computed), "{computed:?}");
    }
}

#[test]
fn groups_that_are_too_many_show_in_the_bounds() {
    let mut spec = exact(spec());
    spec.boards[0].max_groups = 2;
    spec.boards[0].windows.truncate(1);
    let event = |n: i64| Event {
        region: Some(["IN", "US", "DE"][n as usize % 3].into()),
        ..Event::new(T0 + n, &format!("item:{}", n % 7))
    };
    // What comes third in one partition comes first in the other.
    let turned: Vec<_> = (0..600).map(event).rev().collect();
    let finals = finals(&spec, &[(0..600).map(event).collect(), turned], 2);
    let of = |region: &str| {
        finals.iter().find(|s| s.group == GroupKey::from_values([("region", region)])).unwrap()
    };
    assert!(finals[0].group.is_whole() && finals[0].error == 0 && finals[0].total == 1200);
    let (settled, cut) = (of("US"), of("DE"));
    assert_eq!((settled.total, settled.error), (400, 0));
    // One partition has refused 200 events, and DE has none of it: any of its items may have them.
    assert_eq!((cut.total, cut.error, cut.error_floor), (200, 200, 200));
    let truth =
        |id: &str| (0..600).filter(|n| n % 3 == 2 && format!("item:{}", n % 7) == id).count() as u64 * 2;
    assert!(
        cut.items.iter().all(|item| item.lower <= truth(&item.item_id) && truth(&item.item_id) <= item.upper)
    );
}

/// Asks for some items of every ranking, and keeps what it is told.
#[derive(Default)]
struct Curious(Mutex<Vec<(Snapshot, Vec<u64>)>>);

const ASKED: [&str; 4] = ["item:0", "nobody", "item:30", "item:0"];

impl AuditProbe for Curious {
    fn queries(&self, _: &str, _: &str, _: &GroupKey, window_end: i64) -> Option<Vec<Arc<str>>> {
        // Now and then it has to be asked again.
        let told = self.0.lock().unwrap().len() as i64;
        let ready = window_end % 3 != 0 || told % 2 == 0 || rand::random_bool(0.2);
        ready.then(|| ASKED.map(Arc::from).to_vec())
    }

    fn observe(&self, exact: &Snapshot, counts: &[u64]) {
        self.0.lock().unwrap().push((exact.clone(), counts.to_vec()));
    }
}

#[test]
fn an_examiner_is_told_the_counts_of_any_item() {
    let mut spec = exact(spec());
    spec.boards[0].k = 2;
    let event = |n: i64| Event {
        region: REGIONS[n as usize % 4].map(String::from),
        ..Event::new(T0 + n * 300, &format!("item:{}", n * n % 101))
    };
    let partitions = [(0..2000).map(event).collect::<Vec<_>>(), (500..900).map(event).collect()];
    let mut all = spec.clone();
    all.boards[0].k = 1000;
    let truth = recount::snapshots(&all, &partitions);
    for workers in [1, 3] {
        let curious = Arc::new(Curious::default());
        let kept = Running::examined(&spec, &Feed::bounded(&partitions), workers, curious.clone()).finish();
        assert_eq!(kept.finals(), recount::snapshots(&spec, &partitions));
        let told = curious.0.lock().unwrap();
        assert_eq!(told.len(), truth.len());
        for ((exact, counts), truth) in told.iter().zip(&truth) {
            assert_eq!((exact.window_end, &exact.group), (truth.window_end, &truth.group));
            let truth: BTreeMap<&str, u64> =
                truth.items.iter().map(|item| (&*item.item_id, item.count)).collect();
            let expected = ASKED.map(|item| truth.get(item).copied().unwrap_or(0));
            assert_eq!(counts, &expected, "{exact:?}");
        }
    }
}
