//! Stored sketches of different values: read back as they were, in one form, and refused or harmless when damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{DecodeError, Digest, Merged, PaneSketch, Parts, PartsError, Shape};
use proptest::prelude::*;
use proptest::sample::Index;
use support::visits::*;
use support::{SEED, config, decoding, small};

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(small().distinct()), Just(small().distinct().exact())]
}

/// Sets of every form: few values, a list of registers, and all of them.
fn heavy(shape: &Shape) -> Merged {
    let mut pane = PaneSketch::new(shape);
    for (item, users) in [(1, 3), (2, 64), (3, 65), (4, 400), (5, 800), (6, 20_000u32)] {
        (0..users).for_each(|user| pane.add_distinct(&support::key(item), &user.to_le_bytes()));
    }
    union(shape, [&pane])
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn what_is_written_is_read(streams in prop::collection::vec(visits(600), 0..4), rows in 0..60usize, shape in shapes()) {
        let sketches: Vec<_> = streams.iter().map(|visits| visited(&shape, visits)).collect();
        let all = union(&shape, &sketches);
        prop_assert_eq!(Merged::decode(&all.encode(), &shape), Ok(all.clone()));
        prop_assert_eq!(Merged::from_parts(&shape, all.to_parts()), Ok(all.clone()));
        let cut = all.cut(rows);
        prop_assert_eq!(Digest::decode(&cut.encode(SEED), SEED), Ok(cut.clone()));
        prop_assert_eq!(Digest::from_parts(cut.to_parts()), Ok(cut.clone()));
        decoding::run(&all.encode());
        decoding::run(&cut.encode(SEED));
    }

    #[test]
    fn damaged_bytes_are_refused_or_usable(
        visits in visits(300), rows in 0..40usize, shape in shapes(), is_heavy in prop::bool::weighted(0.3),
        damages in prop::collection::vec((any::<Index>(), any::<u8>(), 0..4u8), 1..4),
    ) {
        let all = if is_heavy { heavy(&shape) } else { union(&shape, [&visited(&shape, &visits)]) };
        let mut bytes = if rows % 2 == 0 { all.encode() } else { all.cut(rows).encode(SEED) };
        for (at, byte, how) in damages {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] = bytes[at].wrapping_add(1),
                2 => bytes.insert(at, byte),
                _ => _ = bytes.remove(at),
            }
        }
        decoding::run(&bytes);
    }

    #[test]
    fn damaged_parts_are_refused_or_the_parts_of_what_is_read(
        visits in visits(300), shape in shapes(), is_heavy: bool,
        damages in prop::collection::vec((any::<Index>(), prop_oneof![0..100u64, any::<u64>()], 0..8u8), 1..4),
    ) {
        let all = if is_heavy { heavy(&shape) } else { union(&shape, [&visited(&shape, &visits)]) };
        for mut parts in [all.to_parts(), all.cut(20).to_parts()] {
            for &(at, value, how) in &damages {
                let Parts { words, halves, bytes } = &mut parts;
                match how {
                    0 if !words.is_empty() => *at.get_mut(words) = value,
                    1 if !words.is_empty() => { let word = at.get_mut(words); *word = word.wrapping_add(1); }
                    2 if !halves.is_empty() => *at.get_mut(halves) = value as u32,
                    3 if !bytes.is_empty() => *at.get_mut(bytes) = value as u8,
                    4 => words.push(value),
                    5 => halves.push(value as u32),
                    6 => bytes.push(value as u8),
                    _ => _ = words.pop(),
                }
            }
            if let Ok(read) = Digest::from_parts(parts.clone()) {
                prop_assert_eq!(read.to_parts(), parts.clone());
                decoding::run(&read.encode(SEED));
            }
            if let Ok(read) = Merged::from_parts(&shape, parts.clone()) {
                prop_assert_eq!(read.to_parts(), parts);
                decoding::run(&read.encode());
            }
        }
    }
}

#[test]
fn every_form_of_a_set_comes_back() {
    for shape in [small().distinct(), small().distinct().exact()] {
        let all = heavy(&shape);
        assert_eq!(Merged::decode(&all.encode(), &shape).as_ref(), Ok(&all));
        let digest = all.cut(10);
        assert_eq!(Digest::decode(&digest.encode(SEED), SEED).as_ref(), Ok(&digest));
    }
    let size = heavy(&small().distinct()).cut(10).encode(SEED).len();
    assert!(size < 8 * 67 + 3 * 65 + 3 * 400 + 2 * 1400 + 200, "{size} bytes");
}

/// What was written before is what it was, and who knows only that refuses what came after.
#[test]
fn contents_are_told_apart() {
    let shape = small().distinct();
    let all = heavy(&shape);
    let (union, digest) = (all.encode(), all.cut(3).encode(SEED));
    assert_eq!((union[5], digest[5]), (4, 3));
    assert_eq!((union[4], digest[4]), (1, 1), "the version");
    let content = |found, expected| DecodeError::Content { found, expected };
    assert_eq!(Merged::decode(&union, &small()), Err(content(4, 2)));
    assert_eq!(Merged::decode(&support::merged(&small(), []).encode(), &shape), Err(content(2, 4)));
    assert_eq!(Digest::decode(&union, SEED), Err(content(4, 1)));
    assert!(matches!(
        Merged::decode(&union, &shape.clone().exact()),
        Err(DecodeError::Parts(PartsError::Shape { .. }))
    ));
    assert_eq!(
        Merged::new(&shape).cut(3).encode(SEED),
        Digest::default().encode(SEED),
        "without rows, of either"
    );
}

#[test]
fn what_no_sketch_has_is_refused() {
    let shape = small().distinct();
    let good = digest_of(&shape, &[(1, 1), (1, 2), (2, 1)], 9).to_parts();
    let (words, halves) = (good.words.len(), good.halves.len());
    assert_eq!(Digest::from_parts(good.clone()).map(|digest| digest.total()), Ok(3));
    let refused = |spoil: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        spoil(&mut parts);
        Digest::from_parts(parts).unwrap_err()
    };
    let largest = if good.halves[halves - 2] == 2 { words - 3 } else { words - 2 };
    assert!(matches!(refused(&|parts| parts.words.swap(largest, largest + 1)), PartsError::Order { .. }));
    assert!(matches!(refused(&|parts| parts.words[largest] = 0), PartsError::Order { .. }));
    assert!(matches!(refused(&|parts| parts.words[1] = 2), PartsError::Range { what: "kind", .. }));
    assert!(matches!(refused(&|parts| parts.words[2] = 2), PartsError::Sum { what: "rows" }));
    // A row that has counted fewer pairs than its set has values.
    let counts = 4 + 2;
    assert!(matches!(
        refused(&|parts| parts.words[counts..][..2].fill(1)),
        PartsError::Range { what: "number of values", value: 2, most: 1 }
    ));
    assert!(matches!(refused(&|parts| parts.halves[halves - 1] = 0), PartsError::Length { .. }));
    let registers = |list: &[u8]| {
        let size = (1 << 31) | (list.len() as u32 / 3);
        let bytes = [b"a", list].concat();
        Digest::from_parts(Parts { words: vec![u64::MAX, 3, 70, 0, 5, 70, 0], halves: vec![1, size], bytes })
    };
    assert_eq!(registers(&[9, 0, 54]).unwrap().rows().next().unwrap().bounds.lower(), 65);
    for rank in [0, 55] {
        let refused = Err(PartsError::Range { what: "register", value: rank.into(), most: 54 });
        assert_eq!(registers(&[9, 0, rank]), refused);
    }
    assert!(matches!(
        registers(&[0, 8, 1]),
        Err(PartsError::Range { what: "register's index", value: 2048, .. })
    ));
    assert!(matches!(registers(&[9, 0, 1, 9, 0, 2]), Err(PartsError::Order { .. })));
    assert!(matches!(registers(&[]), Err(PartsError::Order { .. })));
    // So few are listed, and not written as all of them.
    let mut all =
        Parts { words: vec![u64::MAX, 3, 70, 0, 5, 70, 0], halves: vec![1, 0], bytes: vec![b'a'; 1] };
    all.bytes.extend([1; 512].into_iter().chain([0; 2048 - 512]));
    assert_eq!(Digest::from_parts(all), Err(PartsError::Sum { what: "registers" }));
}

/// A pane in which some items have few users and one has many, and more items than rows.
fn pinned(shape: &Shape) -> Merged {
    let mut pane = PaneSketch::new(shape);
    for at in 0u32..3000 {
        let item = match at % 3 {
            0 => 0,
            1 => at % 30,
            _ => at % 211,
        };
        pane.add_distinct(format!("product:{item}").as_bytes(), &(at * 7 % 1009).to_le_bytes());
    }
    let mut union = Merged::new(shape);
    union.add(&pane);
    union
}

/// For a new version, name new fixtures and run this once with `WRITE_FIXTURES=1`.
#[test]
fn stored_sketches_of_values_stay_readable() {
    let shape = Shape::new(32, 0.07, 0.05, 7).expect("in range").distinct();
    let (union, exact) = (pinned(&shape), pinned(&shape.clone().exact()));
    let (digest, whole) = (union.cut(20), exact.cut(usize::MAX));
    assert!(digest.floor() > 0 && whole.rows().len() > 200);
    let written = [digest.encode(7), union.encode(), whole.encode(7), exact.encode()];
    let names = ["digest", "union", "exact-digest", "exact-union"];
    let stored = names.map(|name| {
        let path = format!("{}/tests/fixtures/distinct-{name}-v1.bin", env!("CARGO_MANIFEST_DIR"));
        let place = names.iter().position(|other| *other == name).unwrap_or_default();
        if std::env::var_os("WRITE_FIXTURES").is_some() {
            std::fs::write(&path, &written[place]).expect(name);
        }
        std::fs::read(&path).expect(name)
    });
    assert_eq!(Digest::decode(&stored[0], 7), Ok(digest));
    assert_eq!(Merged::decode(&stored[1], &shape), Ok(union));
    assert_eq!(Digest::decode(&stored[2], 7), Ok(whole));
    assert_eq!(Merged::decode(&stored[3], &shape.exact()), Ok(exact));
    for ((name, written), stored) in names.iter().zip(written).zip(stored) {
        assert!(
            written == stored,
            "{name} is written in another way: that needs another version and a new fixture"
        );
    }
}
