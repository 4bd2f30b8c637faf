//! Stored sketches: what is written is read back, each sketch has one form, and anything else is refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use crest_sketches::{
    DecodeError, Digest, FIRST_SEED, MAX_KEY_BYTES, Merged, PaneSketch, Parts, PartsError, Shape, item_hash,
};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use support::*;
use xxhash_rust::xxh3::xxh3_64;

const SEED: u64 = 7;
/// Where a digest's total begins, after magic, version, content and seed.
const BODY: usize = 14;

/// The checksum that damaged bytes should have.
fn reseal(bytes: &mut [u8]) {
    if let Some((body, checksum)) = bytes.split_last_chunk_mut() {
        *checksum = xxh3_64(body).to_le_bytes();
    }
}

fn check_digest(digest: &Digest) -> Vec<u8> {
    let bytes = digest.encode(SEED);
    assert_eq!(Digest::decode(&bytes, SEED).as_ref(), Ok(digest));
    bytes
}

fn check_union(union: &Merged, shape: &Shape) -> Vec<u8> {
    let bytes = union.encode();
    assert_eq!(Merged::decode(&bytes, shape).as_ref(), Ok(union));
    bytes
}

/// A digest of these keys, hashes, lower bounds and doubts.
fn made_up<'a>(floor: u64, rows: impl IntoIterator<Item = (&'a [u8], u64, u64, u64)>) -> Digest {
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|row| (row.1, row.0));
    let mut words = vec![rows.iter().map(|row| row.2).sum(), floor];
    words.extend(rows.iter().map(|row| row.1));
    words.extend(rows.iter().map(|row| row.2));
    words.extend(rows.iter().map(|row| row.3));
    let halves = rows.iter().map(|row| row.0.len() as u32).collect();
    let bytes = rows.iter().flat_map(|row| row.0).copied().collect();
    Digest::from_parts(Parts { words, halves, bytes }).unwrap()
}

/// Digests of keys that share fronts of any length, some under a hash that is not theirs, some of which are shared.
fn any_digest() -> impl Strategy<Value = Digest> {
    let key = (0..600usize, prop::collection::vec(b'a'..=b'c', 0..4)).prop_map(|(front, rest)| {
        let front = front.saturating_sub(300);
        [&vec![b'x'; front][..], &rest].concat()
    });
    let stated =
        prop_oneof![3 => Just(None), 1 => (1..4u64).prop_map(Some), 1 => (1..=u64::MAX).prop_map(Some)];
    let weight = || prop_oneof![0..300u64, 0..1u64 << 50];
    let row = (key, stated, weight(), weight());
    (prop::collection::vec(row, 0..60), weight()).prop_map(|(rows, floor)| {
        let rows: BTreeMap<_, _> = rows
            .into_iter()
            .map(|(key, stated, lower, doubt)| {
                let hash = stated.unwrap_or_else(|| item_hash(&key, SEED));
                ((key, hash), (lower, doubt.min(floor)))
            })
            .collect();
        made_up(floor, rows.iter().map(|((key, hash), &(lower, doubt))| (&key[..], *hash, lower, doubt)))
    })
}

/// A change to the bytes between magic and checksum.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Header(usize, i8),
    Nudge(Index, i8),
    Swap(Index, Index),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Overlong(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (0..16usize, any::<i8>()).prop_map(|(at, by)| Damage::Header(at, by)),
        (index(), -2..=2i8).prop_map(|(at, by)| Damage::Nudge(at, by)),
        (index(), index()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        index().prop_map(Damage::Remove),
        index().prop_map(Damage::Cut),
        index().prop_map(Damage::Overlong),
    ]
}

/// The damaged bytes, under a checksum that holds.
fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let (head, body) = bytes.split_at(BODY);
    let mut body = body[..body.len() - 8].to_vec();
    for damage in damages {
        if body.is_empty() {
            break;
        }
        let len = body.len();
        match *damage {
            Damage::Flip(at, bit) => body[at.index(len)] ^= 1 << bit,
            Damage::Set(at, byte) => body[at.index(len)] = byte,
            Damage::Header(at, by) => body[at.min(len - 1)] = body[at.min(len - 1)].wrapping_add_signed(by),
            Damage::Nudge(at, by) => body[at.index(len)] = body[at.index(len)].wrapping_add_signed(by),
            Damage::Swap(a, b) => body.swap(a.index(len), b.index(len)),
            Damage::Insert(at, byte) => body.insert(at.index(len), byte),
            Damage::Remove(at) => _ = body.remove(at.index(len)),
            Damage::Cut(at) => body.truncate(at.index(len)),
            Damage::Overlong(at) => {
                let at = at.index(len);
                body[at] |= 0x80;
                body.insert(at + 1, 0);
            }
        }
    }
    let mut bytes = [head, &body, &[0; 8]].concat();
    reseal(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn digests_are_what_they_were(events in stream(600), rows in 0..100usize, shape in shape()) {
        check_digest(&digest(&shape, &events, rows));
    }

    #[test]
    fn digests_made_up_are_what_they_were(digest in any_digest(), seed in any::<u64>()) {
        check_digest(&digest);
        prop_assert_eq!(Digest::decode(&digest.encode(seed), seed), Ok(digest));
    }

    #[test]
    fn what_is_read_in_part_is_what_is_read_and_cut(
        digest in any_digest(), rows in 0..70usize, events in stream(600), shape in shape(),
    ) {
        for digest in [digest, support::digest(&shape, &events, 60)] {
            let bytes = digest.encode(SEED);
            prop_assert_eq!(Digest::decode_top(&bytes, SEED, rows), Ok(digest.cut(rows)));
        }
    }

    #[test]
    fn unions_are_what_they_were(
        streams in prop::collection::vec(stream(600), 0..4), unseen in prop_oneof![Just(0), 0..1u64 << 40],
        shape in shape(),
    ) {
        let mut union = merged(&shape, streams.iter().map(|s| &s[..]));
        union.add_unseen(unseen);
        check_union(&union, &shape);
    }
}

proptest! {
    #![proptest_config(config(4000))]

    /// The checksum hides what is behind it from damage by chance, so this damage has one that holds.
    #[test]
    fn a_damaged_digest_is_refused_or_another(
        digest in any_digest(), damages in prop::collection::vec(damage(), 1..3), rows in 0..70usize,
    ) {
        let bytes = damaged(&digest.encode(SEED), &damages);
        let read = Digest::decode(&bytes, SEED);
        let top = Digest::decode_top(&bytes, SEED, rows);
        prop_assert_eq!(top.ok(), read.clone().ok().map(|digest| digest.cut(rows)));
        if let Ok(read) = read {
            prop_assert_eq!(read.encode(SEED), bytes);
        }
    }

    #[test]
    fn a_damaged_union_is_refused_or_another(
        events in stream(120), damages in prop::collection::vec(damage(), 1..3), shape in shape(),
    ) {
        let bytes = damaged(&merged(&shape, [&events[..]]).encode(), &damages);
        if let Ok(read) = Merged::decode(&bytes, &shape) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn bytes_made_up_are_refused_or_a_sketch(body in prop::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..60)) {
        let digest = damaged(&Digest::default().encode(SEED), &[]);
        let mut bytes = [&digest[..BODY], &body, &[0; 8]].concat();
        reseal(&mut bytes);
        if let Ok(read) = Digest::decode(&bytes, SEED) {
            prop_assert_eq!(read.encode(SEED), bytes);
        }
        let union = Merged::new(&small()).encode();
        let mut bytes = [&union[..BODY + 5], &body, &[0; 8]].concat();
        reseal(&mut bytes);
        if let Ok(read) = Merged::decode(&bytes, &small()) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn the_least_sketches_are_what_they_were() {
    assert_eq!(check_digest(&Digest::default()).len(), BODY + 3 + 8);
    assert_eq!(check_digest(&digest(&small(), &[(1, 1)], 1)).len(), BODY + 3 + 2 + 6 + 1 + 8);
    for shape in [small(), small_classic()] {
        check_union(&Merged::new(&shape), &shape);
        check_union(&merged(&shape, [&[(1, 1)][..]]), &shape);
        let distinct: Vec<_> = (0..5000).map(|item| (item, 1)).collect();
        check_union(&merged(&shape, [&distinct[..]]), &shape);
    }
}

#[test]
fn cells_of_more_than_32_bits_are_what_they_were() {
    let events: Vec<_> = (0..2000).map(|item| (item % 700, u32::MAX - item)).collect();
    for shape in [small(), small_classic()] {
        let union = merged(&shape, [&events[..], &events[..900]]);
        assert!(union.to_parts().words.iter().filter(|&&word| word > u64::from(u32::MAX)).count() > 256);
        check_union(&union, &shape);
    }
}

/// Keys of all lengths that there are; two that are too long have one front, which is all that is kept of them, so that
/// their hashes have to be stated.
#[test]
fn keys_of_any_length_are_what_they_were() {
    let of = |len: usize, last: u8| {
        let mut key = vec![b'k'; len];
        key.extend([last]);
        key
    };
    let keys = [
        vec![],
        of(0, 0xff),
        of(254, 1),
        of(254, 2),
        of(255, 1),
        of(255, 2),
        of(256, 1),
        of(256, 0xff),
        of(MAX_KEY_BYTES - 1, 1),
        of(MAX_KEY_BYTES, 1),
        of(MAX_KEY_BYTES, 2),
        of(MAX_KEY_BYTES + 10, 3),
    ];
    let mut pane = PaneSketch::new(&small());
    keys.iter().for_each(|key| pane.add(key, 3));
    let mut union = Merged::new(&small());
    union.add(&pane);
    let bytes = check_union(&union, &small());
    assert!(bytes.len() > 4 * (MAX_KEY_BYTES - 255), "fronts are not too long");
    check_digest(&union.cut(usize::MAX));
}

#[test]
fn keys_that_share_a_hash_are_what_they_were() {
    let digest = made_up(2, [(&b"a"[..], 5, 9, 0), (b"ab", 5, 8, 1), (b"b", 5, 7, 2), (b"a", 6, 7, 2)]);
    check_digest(&digest);
    let one = made_up(2, [(&b"a"[..], item_hash(b"a", SEED), 9, 0)]);
    assert_eq!(digest.encode(SEED).len() - one.encode(SEED).len(), 3 * 4 + 4 * 8 + 2);
}

/// A digest and a union of everything there is: fronts, doubts, a matrix.
fn samples() -> (Vec<u8>, Vec<u8>) {
    let events: Vec<_> = (0..400u32).map(|i| (i * i % 199, 1 + i % 5)).collect();
    (digest(&small(), &events, 20).encode(SEED), merged(&small(), [&events[..]]).encode())
}

#[test]
fn accidents_are_errors() {
    let (digest, union) = samples();
    let refused =
        |bytes: &[u8]| Digest::decode(bytes, SEED).is_err() && Merged::decode(bytes, &small()).is_err();
    assert!(Digest::decode(&digest, SEED).is_ok() && Merged::decode(&union, &small()).is_ok());
    for good in [digest, union] {
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(&bytes), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(refused(&good[..len]), "the first {len} bytes");
        }
        for byte in 0..=u8::MAX {
            let mut bytes = good.clone();
            bytes.push(byte);
            assert!(refused(&bytes), "another byte {byte}");
            // Also under a checksum that holds, where each byte more or less has to be found by what it means.
            reseal(&mut bytes);
            assert!(refused(&bytes), "another byte before the checksum");
        }
        for len in BODY..good.len() - 8 {
            let mut bytes = [&good[..len], &[0; 8]].concat();
            reseal(&mut bytes);
            assert!(refused(&bytes), "a body that ends at byte {len}");
        }
    }
}

/// A digest that says this after its seed.
fn stating(body: &[u8]) -> Vec<u8> {
    let mut bytes = [b"CrSk\x01\x01", &SEED.to_le_bytes()[..], body, &[0; 8]].concat();
    reseal(&mut bytes);
    bytes
}

#[test]
fn a_digest_is_written_as_documented() {
    let digest = made_up(1, [(&b"a"[..], item_hash(b"a", SEED), 300, 0), (b"ab", 5, 2, 1)]);
    let body = b"\xae\x02\x01\x02\0\x01\x02\x03ab\x05\0\0\0\0\0\0\0\xac\x02\x02\0\x01";
    assert_eq!(check_digest(&digest), stating(body));
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    let refusal = |bytes: &[u8]| Digest::decode(bytes, SEED).unwrap_err().to_string();
    let of = |body: &[u8]| refusal(&stating(body));
    let good = stating(b"\x05\x01\x02\0\x01\x02\x02ab\x03\x02\0\x01");
    assert!(Digest::decode(&good, SEED).is_ok());

    assert_eq!(refusal(b"{\"a\":1}"), "not a sketch: the first bytes are [7b, 22, 61, 22]");
    assert_eq!(refusal(b"Cr"), "not a sketch: the first bytes are [43, 72]");
    assert_eq!(refusal(b"CrSk"), "the bytes end within the version that begins at byte 4");
    assert_eq!(refusal(b"CrSk\x01\0"), "the bytes end within the checksum that begins at byte 6");
    assert_eq!(
        refusal(b"CrSk\x02"),
        "version 2 of the encoding of sketches, of which this release knows only version 1"
    );
    let damaged = refusal(&good[..good.len() - 1]);
    assert!(damaged.starts_with("damaged or cut off: the 34 bytes have the checksum "), "{damaged}");
    let union = Merged::new(&small()).encode();
    assert_eq!(
        refusal(&union),
        "content 2 where 1 belongs (1 is a digest, 2 a union, 3 a digest of different values, 4 a union of those)"
    );
    let seed = Digest::decode(&good, 8).unwrap_err().to_string();
    assert_eq!(seed, "items hashed with another seed than the one in use here");

    assert_eq!(of(b"\x05"), "the bytes end within the floor that begins at byte 15");
    assert_eq!(of(b"\x05\x81"), "the bytes end within the floor that begins at byte 15");
    assert_eq!(of(b"\x05\x81\0\0"), "the floor at byte 15 is not written as version 1 writes it");
    assert_eq!(of(b"\0\0\0\0\0"), "2 bytes follow the end of the sketch at byte 17");
    assert_eq!(of(b"\x05\x01\x7f\0\0\0"), "number of rows is 127, where at most 1 is possible");
    let keys = "the bytes end within the keys that begins at byte 19";
    assert_eq!(of(b"\x05\x01\x01\0\x20abc"), keys);
    let hash = "the bytes end within the hash that begins at byte 20";
    assert_eq!(of(b"\x05\x01\x01\0\x03abc"), hash);

    let long = [&b"\x05\x01\x01\0\x80\x80\x08"[..], &[b'k'; 1 << 16], b"\x05\x01"].concat();
    assert_eq!(of(&long), "key length is 65536, where at most 65535 is possible");

    let follows = "key 1 does not follow from the key before it";
    let falling = of(b"\x05\x01\x02\0\0\x02\x02ba\x03\x02\0\x01");
    let twice = of(b"\x05\x01\x02\0\x01\x02\0a\x03\x02\0\x01");
    let front_too_short = of(b"\x05\x01\x02\0\0\x02\x04aab\x03\x02\0\x01");
    let front_too_long = of(b"\x05\x01\x02\0\x02\x02\x02ab\x03\x02\0\x01");
    assert_eq!([falling, twice, front_too_short, front_too_long], [follows; 4]);
    let own = item_hash(b"a", SEED).to_le_bytes();
    let stated = [b"\x05\x01\x01\0\x03a", &own[..], b"\x05\x01"].concat();
    assert_eq!(of(&stated), "key 0 states the hash that it has");
    assert_eq!(of(b"\x05\x01\x02\0\x01\x02\x02ab\x03\x03\0\x01"), "the weights of rows do not add up");
    assert_eq!(of(b"\x05\x01\x02\0\x01\x02\x02ab\x03\x02\0\x02"), "doubt is 2, where at most 1 is possible");
}

#[test]
fn refusals_of_unions_say_what_is_wrong() {
    let (digest, union) = samples();
    let refusal = |bytes: &[u8], shape: &Shape| Merged::decode(bytes, shape).unwrap_err();
    assert_eq!(refusal(&digest, &small()), DecodeError::Content { found: 1, expected: 2 });
    let seeded = Shape::new(32, 0.07, 0.05, 8).unwrap();
    assert_eq!(refusal(&union, &seeded), DecodeError::Seed);
    assert_eq!(
        refusal(&union, &small_classic()).to_string(),
        "counted with kind, rows, depth and width [0, 32, 2, 128], but [1, 32, 3, 91] are in use here"
    );
    // The last cell of the matrix, one less or more: no longer what its block's width says, or not what its row sums to.
    let mut bytes = union.clone();
    let last = union.len() - 9;
    bytes[last] ^= 1;
    reseal(&mut bytes);
    assert_eq!(refusal(&bytes, &small()), DecodeError::Parts(PartsError::Sum { what: "cells" }));
}

/// What was stored once is read for ever, and written no other way. A digest with fronts, doubts and a stated hash; a
/// ledger's union with a tail and weight unseen; a classic one of cells that are wide.
fn pinned([ledger, classic]: &[Shape; 2]) -> (Digest, Merged, Merged) {
    let events: Vec<_> = (0..3000u32).map(|i| (i * i % 391, 1 + i % 7)).collect();
    let stated = made_up(3, [(&b"item-1"[..], 5, 1 << 40, 3)]);
    let mut union = merged(ledger, [&events[..], &events[..500]]);
    union.add_unseen(129);
    let heavy: Vec<_> = events.iter().map(|&(item, weight)| (item, weight << 28)).collect();
    let classic = merged(classic, [&heavy[..]]);
    (Digest::merge([&union.cut(20), &stated]), union, classic)
}

/// Those of the first edition, whose seed was one for all; and of a seed of its own.
const FIXTURES: [(u64, [&str; 3]); 2] = [
    (FIRST_SEED, ["digest-v1.bin", "union-v1.bin", "classic-v1.bin"]),
    (SEED, ["digest-v1-keyed.bin", "union-v1-keyed.bin", "classic-v1-keyed.bin"]),
];

fn fixture(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// For a new version, name new fixtures and run this once with `WRITE_FIXTURES=1`.
#[test]
fn stored_sketches_stay_readable() {
    for (seed, names) in FIXTURES {
        let shapes = [
            Shape::new(32, 0.07, 0.05, seed).expect("in range"),
            Shape::classic(32, 0.03, 0.05, seed).expect("in range"),
        ];
        let (digest, union, classic) = pinned(&shapes);
        let written = [digest.encode(seed), union.encode(), classic.encode()];
        if std::env::var_os("WRITE_FIXTURES").is_some() {
            let each = names.iter().zip(&written);
            each.for_each(|(name, bytes)| std::fs::write(fixture(name), bytes).expect(name));
        }
        let stored = names.map(|name| std::fs::read(fixture(name)).expect(name));
        assert_eq!(Digest::decode(&stored[0], seed), Ok(digest), "old digests are no longer read");
        assert_eq!(Merged::decode(&stored[1], &shapes[0]), Ok(union), "old unions are no longer read");
        assert_eq!(Merged::decode(&stored[2], &shapes[1]), Ok(classic), "nor are classic ones");
        for ((name, written), stored) in names.iter().zip(written).zip(stored) {
            assert!(
                written == stored,
                "{name} is written in another way: that needs another version and a new fixture"
            );
        }
    }
}
