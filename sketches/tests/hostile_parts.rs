//! Parts that were damaged or made up are refused or harmless: nothing panics, and nothing is reserved on the word
//! of a length.

mod support;

use crest_sketches::{Digest, Merged, Parts, PartsError, WindowSum};
use proptest::prelude::*;
use proptest::sample::Index;
use support::*;

/// A change to one column.
#[derive(Clone, Debug)]
enum Damage {
    Header(usize, u64),
    Word(Index, u64),
    Nudge(Index, i8),
    Swap(Index, Index),
    Half(Index, u32),
    Byte(Index, u8),
    Words(i8),
    Halves(i8),
    Bytes(i8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    let word = || prop_oneof![any::<u64>(), Just(u64::MAX), Just(1 << 62), Just(1 << 32), 0..100u64];
    prop_oneof![
        (0..10usize, word()).prop_map(|(at, word)| Damage::Header(at, word)),
        (index(), word()).prop_map(|(at, word)| Damage::Word(at, word)),
        (index(), any::<i8>()).prop_map(|(at, by)| Damage::Nudge(at, by)),
        (index(), index()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (index(), any::<u32>()).prop_map(|(at, half)| Damage::Half(at, half)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        any::<i8>().prop_map(Damage::Words),
        any::<i8>().prop_map(Damage::Halves),
        any::<i8>().prop_map(Damage::Bytes),
    ]
}

fn apply(parts: &mut Parts, damage: &Damage) {
    fn resize<T: Clone>(column: &mut Vec<T>, by: i8, with: T) {
        column.resize(column.len().saturating_add_signed(by.into()), with);
    }
    fn at<T>(column: &mut [T], index: Index) -> Option<&mut T> {
        (!column.is_empty()).then(|| index.get_mut(column))
    }
    match *damage {
        Damage::Header(index, word) => parts.words.get_mut(index).into_iter().for_each(|w| *w = word),
        Damage::Word(index, word) => at(&mut parts.words, index).into_iter().for_each(|w| *w = word),
        Damage::Nudge(index, by) => {
            at(&mut parts.words, index).into_iter().for_each(|w| *w = w.wrapping_add_signed(by.into()));
        }
        Damage::Swap(a, b) if !parts.words.is_empty() => {
            let len = parts.words.len();
            parts.words.swap(a.index(len), b.index(len));
        }
        Damage::Swap(..) => {}
        Damage::Half(index, half) => at(&mut parts.halves, index).into_iter().for_each(|h| *h = half),
        Damage::Byte(index, byte) => at(&mut parts.bytes, index).into_iter().for_each(|b| *b = byte),
        Damage::Words(by) => resize(&mut parts.words, by, 1),
        Damage::Halves(by) => resize(&mut parts.halves, by, 1),
        Damage::Bytes(by) => resize(&mut parts.bytes, by, b'x'),
    }
}

/// Uses a digest in every way there is.
fn exercise(digest: Digest) {
    assert_eq!(Digest::from_parts(digest.to_parts()).as_ref(), Ok(&digest));
    let mut window = WindowSum::new();
    window.push(1, &digest);
    assert_eq!(window.rank(3), window.rank_provisional(2, &[&digest], 3));
    window.expire(2);
    assert_eq!(window.total(), 0);
    Digest::merge([&digest, &digest]).cut(2);
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn parts_come_back_as_they_were(
        streams in prop::collection::vec(stream(600), 0..4), rows in 0..100usize, shape in shape(),
    ) {
        let union = merged(&shape, streams.iter().map(|s| &s[..]));
        let digest = union.cut(rows);
        prop_assert_eq!(Merged::from_parts(&shape, union.to_parts()), Ok(union));
        prop_assert_eq!(Digest::from_parts(digest.to_parts()), Ok(digest));
    }

    #[test]
    fn damaged_unions_never_panic(
        streams in prop::collection::vec(stream(300), 0..3), damages in prop::collection::vec(damage(), 0..4),
        shape in shape(),
    ) {
        let union = merged(&shape, streams.iter().map(|s| &s[..]));
        let mut parts = union.to_parts();
        damages.iter().for_each(|damage| apply(&mut parts, damage));
        if let Ok(mut read) = Merged::from_parts(&shape, parts.clone()) {
            prop_assert_eq!(&read.to_parts(), &parts);
            exercise(read.cut(5));
            let twin = read.clone();
            prop_assert_eq!(read.merge(&twin), Ok(()));
            read.cut(5);
        }
    }

    #[test]
    fn damaged_digests_never_panic(
        events in stream(300), rows in 0..50usize, damages in prop::collection::vec(damage(), 0..4),
    ) {
        let mut parts = digest(&small(), &events, rows).to_parts();
        damages.iter().for_each(|damage| apply(&mut parts, damage));
        if let Ok(read) = Digest::from_parts(parts.clone()) {
            prop_assert_eq!(&read.to_parts(), &parts);
            exercise(read);
        }
    }

    #[test]
    fn parts_made_up_never_panic(
        words in prop::collection::vec(prop_oneof![0..10u64, any::<u64>()], 0..40),
        halves in prop::collection::vec(prop_oneof![0..4u32, any::<u32>()], 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let parts = Parts { words, halves, bytes };
        let _ = Digest::from_parts(parts.clone()).map(exercise);
        let mut shaped = parts.clone();
        shaped.words.splice(0..0, [0, 7, 32, 2, 128]);
        for parts in [parts, shaped] {
            let _ = Merged::from_parts(&small(), parts).map(|union| exercise(union.cut(3)));
        }
    }
}

#[test]
fn refusals_say_what_was_wrong() {
    let events: Vec<_> = (0..900).map(|i| if i % 3 == 0 { (i, 1) } else { (i % 3, 1) }).collect();
    let good = merged(&small(), [&events[..]]).to_parts();
    let refusal = |change: fn(&mut Parts)| {
        let mut parts = good.clone();
        change(&mut parts);
        Merged::from_parts(&small(), parts).map(|_| ()).unwrap_err()
    };
    let header = |found| PartsError::Length { column: "header", found, expected: 9 };
    assert_eq!(refusal(|parts| parts.words.truncate(8)), header(8));
    assert!(matches!(refusal(|parts| parts.words[1] = 8), PartsError::Seed));
    assert_eq!(refusal(|parts| parts.words[5] += 1), PartsError::Sum { what: "cells" });
    assert_eq!(refusal(|parts| parts.words[5] = 0), PartsError::Sum { what: "rows" });
    assert!(matches!(refusal(|parts| parts.words[6] = 0), PartsError::Range { what: "relief", most: 0, .. }));
    assert!(matches!(
        refusal(|parts| parts.words[8] = u64::MAX),
        PartsError::Range { what: "number of rows", .. }
    ));
    assert_eq!(refusal(|parts| parts.words[10] = 0), PartsError::Order { row: 1 });
    assert_eq!(refusal(|parts| parts.words[10] = parts.words[9]), PartsError::Order { row: 1 });
    assert!(matches!(refusal(|parts| parts.bytes.push(0)), PartsError::Length { column: "keys", .. }));
    assert_eq!(refusal(|parts| parts.words[1] = 8), PartsError::Seed);
    let other = refusal(|parts| parts.words[3] = 3).to_string();
    let text =
        "counted with kind, rows, depth and width [0, 32, 3, 128], but [0, 32, 2, 128] are in use here";
    assert_eq!(other, text);
}

/// What has no row is below some floor, so that weight in the tail and a floor of 0 cannot both be.
#[test]
fn a_tail_without_a_floor_is_refused() {
    let events: Vec<_> = (0..33).map(|item| (item, 1)).collect();
    let mut parts = merged(&small(), [&events[..]]).to_parts();
    assert_eq!(
        parts.words[8], 0,
        "a flat stream leaves no rows, and so no relief that would be refused first"
    );
    parts.words[6] = 0;
    assert_eq!(Merged::from_parts(&small(), parts), Err(PartsError::Sum { what: "rows and floor" }));
}

#[test]
fn a_digest_has_each_row_once() {
    let parts = Parts { words: vec![9, 0, 5, 5, 3, 3, 0, 0], halves: vec![1, 1], bytes: b"aa".to_vec() };
    assert_eq!(Digest::from_parts(parts), Err(PartsError::Order { row: 1 }));
}
