//! An exact table, its unions and its digests say what a recount says, also of items whose hashes collide.

mod support;

use crest_sketches::{Bounds, Kind, Merged, PaneSketch, Parts, PartsError};
use proptest::prelude::*;
use proptest::sample::Index;
use support::laws::Hash;
use support::*;

/// Of many items few hashes; all of them are numbers that a sketch takes as they are.
fn colliding(key: &[u8]) -> u64 {
    1 + hash(key) % 5
}

fn exact() -> crest_sketches::Shape {
    shapes::small().exact()
}

fn tables(streams: &[Vec<Event>], hash: Hash) -> Vec<PaneSketch> {
    let table = |events: &Vec<Event>| {
        let mut table = PaneSketch::new(&exact());
        count_as(&mut table, events, hash);
        table
    };
    streams.iter().map(table).collect()
}

fn union<'a>(tables: impl IntoIterator<Item = &'a PaneSketch>) -> Merged {
    let mut union = Merged::new(&exact());
    tables.into_iter().for_each(|table| union.add(table));
    union
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn every_item_has_its_weight(
        streams in prop::collection::vec(stream(800), 1..4), collide: bool, unseen in 0..3u64, at: Index,
    ) {
        let hash: Hash = if collide { colliding } else { hash };
        let tables = tables(&streams, hash);
        for (table, events) in tables.iter().zip(&streams) {
            let truth = recount(events);
            prop_assert_eq!(table.total(), truth.values().sum::<u64>());
            prop_assert!(table.rows() == truth.len() && table.is_exact());
            for key in truth.keys() {
                let of_hash = truth.iter().filter(|(other, _)| hash(other) == hash(key));
                prop_assert_eq!(table.bounds(hash(key)), Bounds::exactly(of_hash.map(|(_, weight)| weight).sum()));
            }
            prop_assert_eq!(table.bounds(u64::MAX), Bounds::default());
        }
        let mut all = union(&tables);
        let at = at.index(tables.len());
        let mut tree = union(&tables[at..]);
        tree.merge(&union(tables[..at].iter().rev())).unwrap();
        prop_assert_eq!(&all, &tree, "the order of merging shows");

        all.add_unseen(unseen);
        let truth = recount(streams.iter().flatten());
        let digest = all.cut(usize::MAX);
        prop_assert_eq!((digest.total(), digest.floor()), (truth.values().sum::<u64>(), unseen));
        let rows: Vec<_> = digest.rows().map(|row| (row.key.to_vec(), row.bounds)).collect();
        prop_assert_eq!(rows.len(), truth.len());
        for (key, bounds) in rows {
            prop_assert_eq!(bounds, Bounds::new(truth[&key], truth[&key] + unseen));
        }
        prop_assert_eq!(Merged::from_parts(&exact(), all.to_parts()), Ok(all.clone()));
        if !collide {
            prop_assert_eq!(Merged::decode(&all.encode(), &exact()), Ok(all.clone()));
            prop_assert!(all.count_min().cells().eq(twin::NaiveMatrix::of(&exact(), &truth, hash).cells().iter().copied()));
        }
    }

    #[test]
    fn batches_leave_no_trace(events in stream(800), cut: Index) {
        let cut = cut.index(events.len() + 1);
        let mut split = PaneSketch::new(&exact());
        [&events[..cut], &events[cut..]].iter().for_each(|part| count(&mut split, shapes::SEED, part));
        prop_assert_eq!(union([&split]), union([&sketch(&exact(), &events)]));
    }
}

#[test]
fn what_no_table_holds_is_refused() {
    let good = union(&tables(&[vec![(1, 1), (2, 5)]], |_| 9)).to_parts();
    let header = good.words.len() - 3 * 2;
    let refused = |spoil: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        spoil(&mut parts);
        Merged::from_parts(&exact(), parts).unwrap_err()
    };
    assert!(matches!(refused(&|parts| parts.bytes.reverse()), PartsError::Order { .. }));
    assert!(matches!(refused(&|parts| parts.words[header..][..2].fill(0)), PartsError::Order { row: 0 }));
    // A floor, as if something had no row.
    assert!(matches!(refused(&|parts| parts.words[6] = 1), PartsError::Range { .. }));
    assert!(matches!(refused(&|parts| parts.words[5] += 1), PartsError::Sum { .. }));
    let other = Merged::from_parts(&shapes::small(), good).unwrap_err();
    assert!(matches!(other, PartsError::Shape { .. }) && exact().kind() == Kind::Exact);
}

#[test]
fn a_table_grows_with_its_items() {
    let of = |items: u32| sketch(&exact(), &(0..items).map(|item| (item, 1)).collect::<Vec<_>>());
    let (few, many) = (of(1000), of(100_000));
    assert!(few.bytes() < 100 * 1000 && many.bytes() < 100 * 100_000, "{} {}", few.bytes(), many.bytes());
}
