//! Windows of more items than they keep candidates for: what is cut follows from the nodes held, whatever was held
//! before, and bounds stay bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use crest_sketches::{Digest, Parts, Ranking, WindowSum};
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

/// As the window's module states them.
const CANDIDATES: usize = 32_768;
const LADDER: [usize; 15] = [usize::MAX, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1, 0];

/// A node with `rows` of the items up to `items`, some of them heavy.
fn node(seed: u64, rows: usize, items: u64) -> Digest {
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let mut lowers = BTreeMap::new();
    while lowers.len() < rows {
        let item: u64 = rng.random_range(1..=items);
        lowers.insert(item, 1_000_000 / item + rng.random_range(0..50));
    }
    let (total, floor) = (lowers.values().sum::<u64>() + 1000, rng.random_range(20..60));
    let mut words = vec![total, floor];
    words.extend(lowers.keys());
    words.extend(lowers.values());
    words.extend(lowers.keys().map(|item| item % (floor + 1)));
    let keys: Vec<_> = lowers.keys().map(u64::to_string).collect();
    let halves = keys.iter().map(|key| key.len() as u32).collect();
    Digest::from_parts(Parts { words, halves, bytes: keys.concat().into_bytes() }).unwrap()
}

/// The nodes, each cut to the longest length at which it and those after it have few enough items.
fn thinned(nodes: &[Digest]) -> Vec<Digest> {
    let mut levels = vec![None; nodes.len()];
    for length in LADDER {
        let mut items = BTreeSet::new();
        for (level, node) in levels.iter_mut().zip(nodes).rev() {
            let cut = node.clone().cut(length);
            items.extend(cut.rows().map(|row| row.hash));
            if items.len() > CANDIDATES {
                break;
            }
            level.get_or_insert(cut);
        }
    }
    levels.into_iter().map(|level| level.expect("nothing is little enough")).collect()
}

fn window(nodes: &[Digest], first: u64) -> WindowSum {
    let mut window = WindowSum::new();
    (first..).zip(nodes).for_each(|(number, node)| window.push(number, node));
    window
}

/// The window is the sum of these digests.
fn check(window: &WindowSum, nodes: &[Digest]) {
    let union = Digest::merge(nodes);
    assert_eq!((window.total(), window.floor()), (union.total(), union.floor()));
    let mut rows: Vec<_> =
        union.rows().map(|row| (row.bounds.upper(), row.key.to_vec(), row.bounds.lower())).collect();
    rows.sort_by(|a, b| b.cmp(a));
    let ranked = window.rank(usize::MAX).rows.into_iter();
    assert_eq!(ranked.map(|row| (row.bounds.upper(), row.key, row.bounds.lower())).collect::<Vec<_>>(), rows);
}

/// Nodes long and short, of alike and unlike items; the window holds 24 of them at a time.
#[test]
fn a_window_that_slid_is_the_window_that_was_rebuilt() {
    let sizes = [3000, 200, 5000, 1024, 0, 2500];
    let nodes: Vec<_> = (0..70u64)
        .map(|i| node(i, sizes[i as usize % 6], if i % 20 < 12 { 10_000_000 } else { 8_000 }))
        .collect();
    let mut slid = WindowSum::new();
    let mut cuts = 0;
    for (number, digest) in nodes.iter().enumerate() {
        slid.push(number as u64, digest);
        let first = (number + 1).saturating_sub(24);
        slid.expire(first as u64);
        if number % 7 != 0 {
            continue;
        }
        let held = &nodes[first..=number];
        let rebuilt = window(held, first as u64);
        assert_eq!(slid.rank(usize::MAX), rebuilt.rank(usize::MAX));
        let cut = thinned(held);
        check(&slid, &cut);
        cuts += usize::from(cut != held);
    }
    assert!(cuts > 3, "the window was thinned {cuts} times");
}

/// One node alone has too many items; when it is cut, the window is nearly empty, until many unlike ones come.
#[test]
fn a_window_fills_again_after_a_giant() {
    let sizes = [100, 40_000].into_iter().chain([50; 6]).chain([2048; 34]);
    let nodes: Vec<_> = (0..).zip(sizes).map(|(i, rows)| node(i, rows, u64::MAX)).collect();
    let mut slid = WindowSum::new();
    for (number, digest) in nodes.iter().enumerate() {
        slid.push(number as u64, digest);
        let first = (number + 1).saturating_sub(30);
        slid.expire(first as u64);
        if [1, 7, 20, 26, 34, 41].contains(&number) {
            check(&slid, &thinned(&nodes[first..=number]));
        }
    }
}

/// As many items as are allowed are not too many: the last 32 nodes of 40 stay whole.
#[test]
fn the_limit_is_within_the_limit() {
    let nodes: Vec<_> = (0..40).map(|i| node(i, 1024, u64::MAX)).collect();
    let cut = thinned(&nodes);
    assert!(cut[8..] == nodes[8..] && cut[7] != nodes[7]);
    check(&window(&nodes, 0), &cut);
}

/// No two nodes alike, for a whole day of minutes.
#[test]
fn a_day_without_a_head_stays_within_its_memory() {
    let mut day = WindowSum::new();
    for minute in 0..1440u64 {
        day.push(minute, &node(minute, 1024, u64::MAX));
    }
    assert!(day.rank(usize::MAX).rows.len() < 4 * CANDIDATES + 1024, "{}", day.rank(usize::MAX).rows.len());
    assert!(day.bytes() < 24 << 20, "{} bytes", day.bytes());
    day.expire(1439);
    assert_eq!(day.rank(usize::MAX).rows.len(), 1024);
    day.expire(1440);
    assert_eq!(day.rank(1), Ranking::default());
}
