//! G1 to G3: bounds hold for every item, nothing above the floor is missed, and what fits is exact.

mod support;

use crest_sketches::{Shape, WindowSum, item_hash};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_distr::{Distribution, Zipf};
use support::*;

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn bounds_hold_for_every_item(
        streams in prop::collection::vec(stream(1500), 1..5),
        rows in prop_oneof![Just(usize::MAX), 0..200usize],
        shape in shape(),
    ) {
        let merged = merged(&shape, streams.iter().map(|s| &s[..]));
        let digest = merged.cut(rows);
        check_bounds(&digest, &recount(streams.iter().flatten()));
        prop_assert!(digest.rows().len() <= rows);
    }

    #[test]
    fn a_sketch_of_one_pane_knows_every_item_within_its_bounds(events in stream(1500), shape in shape()) {
        let sketch = sketch(&shape, &events);
        for (key, count) in recount(&events) {
            let bounds = sketch.bounds(item_hash(&key, shape.seed()));
            prop_assert!(bounds.contains(count), "{:?} has {}, said {:?}", key, count, bounds);
        }
        prop_assert_eq!(sketch.bounds(item_hash(b"never seen", shape.seed())).lower(), 0);
    }

    #[test]
    fn what_fits_is_exact(streams in prop::collection::vec(stream(300), 0..5), classic: bool) {
        let shape = if classic { Shape::classic } else { Shape::new }(512, 0.03, 0.05, 7).unwrap();
        let merged = merged(&shape, streams.iter().map(|s| &s[..]));
        let truth = recount(streams.iter().flatten());
        let digest = merged.cut(truth.len());
        prop_assert!(digest.is_exact());
        prop_assert_eq!(digest.floor(), 0);
        let rows = digest.rows().map(|row| (row.key.to_vec(), row.bounds.lower())).collect();
        prop_assert_eq!(truth, rows);
        prop_assert!(digest.rows().all(|row| row.bounds.is_exact()));
    }

    #[test]
    fn unseen_weight_may_be_any_items(
        seen in stream(800), unseen in stream(100), rows in 0..60usize, shape in shape(),
    ) {
        let mut merged = merged(&shape, [&seen[..]]);
        let digest_of_seen = merged.cut(rows);
        merged.add_unseen(unseen.iter().map(|&(_, weight)| u64::from(weight)).sum());
        let digest = merged.cut(rows);
        prop_assert_eq!(digest.total(), digest_of_seen.total());
        let truth = recount(seen.iter().chain(&unseen));
        for (key, count) in truth {
            let row = digest.rows().find(|row| row.key == key);
            prop_assert!(count <= row.map_or(digest.floor(), |row| row.bounds.upper()));
        }
    }
}

#[test]
fn totals_of_the_greatest_weights_do_not_wrap() {
    let events: Vec<_> = (0..5000).map(|i| (i % 300, u32::MAX - i)).collect();
    for shape in [small(), small_classic()] {
        check_bounds(&digest(&shape, &events, 1024), &recount(&events));
    }
}

/// The accuracy that the study measured, in small: four partitions at Zipf 1.0 and 0.8.
#[test]
fn heads_of_zipf_streams_are_found() {
    let shape = Shape::new(4096, 0.001, 0.00005, 7).unwrap();
    for (exponent, recall_of_100, error) in [(1.0, 100, 0.0001), (0.8, 99, 0.005)] {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let zipf = Zipf::new(200_000.0, exponent).unwrap();
        let mut streams = vec![Vec::new(); 4];
        for i in 0..800_000 {
            streams[i % 4].push((zipf.sample(&mut rng) as u32, 1));
        }
        let truth = recount(streams.iter().flatten());
        let digest = merged(&shape, streams.iter().map(|s| &s[..])).cut(1024);
        check_bounds(&digest, &truth);
        let mut window = WindowSum::new();
        window.push(0, &digest);
        let top = window.rank(100).rows;
        let mut counts: Vec<_> = truth.values().copied().collect();
        counts.sort_by(|a, b| b.cmp(a));
        let found = |k: usize| top[..k].iter().filter(|row| truth[&row.key] >= counts[k - 1]).count();
        assert_eq!(found(10), 10);
        assert!(found(100) >= recall_of_100, "{} of 100 at Zipf {exponent}", found(100));
        let errors =
            top.iter().map(|row| (row.bounds.upper() - truth[&row.key]) as f64 / truth[&row.key] as f64);
        let mean = errors.sum::<f64>() / 100.0;
        assert!(mean <= error, "mean error {mean} at Zipf {exponent}");
    }
}
