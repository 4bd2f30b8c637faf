//! Where the items do not fit: every bound holds, the head is found, and the number of workers changes nothing.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod support;

use crest_state::spec::{SketchKind, SketchSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::collections::HashMap;
use support::{Event, T0, finals, recount, spec};

#[test]
fn every_bound_holds_and_the_number_of_workers_changes_nothing() {
    for kind in [SketchKind::Ledger, SketchKind::Classic] {
        every_bound_holds(kind);
    }
}

fn every_bound_holds(kind: SketchKind) {
    let mut spec = spec();
    spec.sketch = SketchSpec::of(kind);
    spec.sketch.rows = 128;
    spec.sketch.rows_kept = 100;
    spec.boards[0].windows.truncate(1);
    let mut random = StdRng::seed_from_u64(7);
    let zipf = Zipf::new(20_000.0, 1.1).unwrap();
    let partitions: Vec<Vec<Event>> = (0..4)
        .map(|_| {
            let mut time = T0;
            let event = |_| {
                time += random.random_range(0..4);
                Event::new(
                    time - random.random_range(0..4000),
                    &format!("item:{}", random.sample(zipf) as u64),
                )
            };
            (0..60_000).map(event).collect()
        })
        .collect();
    let one = finals(&spec, &partitions, 1);
    assert_eq!(one, finals(&spec, &partitions, 3), "the number of workers shows");
    let mut wide = spec.clone();
    wide.boards[0].k = 20_000;
    let exact = recount::snapshots(&wide, &partitions);
    assert_eq!(one.len(), exact.len());
    for (sketched, exact) in one.iter().zip(&exact) {
        assert_eq!((sketched.total, sketched.window_end), (exact.total, exact.window_end));
        assert!(sketched.error_floor > 0 || sketched.total < 1000, "128 rows cannot be exact here");
        let truth: HashMap<&str, u64> = exact.items.iter().map(|item| (&*item.item_id, item.count)).collect();
        for item in &sketched.items {
            let count = truth.get(&*item.item_id).copied().unwrap_or(0);
            assert!(item.lower <= count && count <= item.upper, "{item:?} has {count}");
        }
        let listed = |id: &str| sketched.items.iter().any(|item| &*item.item_id == id);
        let least = sketched.items.last().map_or(0, |item| item.upper);
        for item in &exact.items {
            assert!(
                listed(&item.item_id) || item.count <= least.max(sketched.error_floor),
                "missed {item:?}"
            );
        }
        for item in &sketched.items[..sketched.guaranteed as usize] {
            let better = exact.items.iter().filter(|other| other.count > truth[&*item.item_id]).count();
            assert!(better < spec.boards[0].k, "{item:?} is not in the top");
        }
    }
}
