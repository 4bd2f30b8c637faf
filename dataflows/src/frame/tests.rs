//! Tests that a frame preserves every body, and that everything else is an error, even bytes made to deceive. They run
//! unoptimised, so that the library's own checks of unsafe preconditions are on.

use proptest::prelude::*;

use super::codec::*;
use super::*;

/// 8-aligned, as encode leaves it.
fn wire(body: &Body) -> Vec<u8> {
    bytemuck::cast_slice(&encode(body)).to_vec()
}

fn small() -> Body {
    Body { words: vec![1, u64::MAX, 3], halves: vec![4, 5, 6], bytes: b"seven".to_vec() }
}

/// A frame with some words changed, and its checksum made to fit.
fn forge(body: &Body, changes: &[(usize, u64)]) -> Vec<u64> {
    let mut frame = encode(body);
    for &(at, word) in changes {
        frame[at] = word;
    }
    reseal(frame)
}

fn reseal(mut frame: Vec<u64>) -> Vec<u64> {
    frame[CHECKSUM_AT] = checksum(&mut frame);
    frame
}

fn decode_words(frame: &[u64]) -> Result<Body, FrameError> {
    decode(bytemuck::cast_slice(frame))
}

fn body() -> impl Strategy<Value = Body> {
    (
        prop::collection::vec(any::<u64>(), 0..200),
        prop::collection::vec(any::<u32>(), 0..200),
        prop::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(words, halves, bytes)| Body { words, halves, bytes })
}

proptest! {
    #[test]
    fn every_body_comes_back_the_same_from_any_alignment(body in body(), offset in 0usize..9) {
        let mut shifted = vec![0xA5; offset];
        shifted.extend(wire(&body));
        prop_assert_eq!(decode(&shifted[offset..]), Ok(body));
    }

    #[test]
    fn a_frame_is_a_function_of_its_body(body in body()) {
        // A clone has other pointers and capacities: neither may show.
        let mut other = body.clone();
        other.words.reserve(1000);
        prop_assert_eq!(encode(&other), encode(&body));
    }

    #[test]
    fn noise_is_an_error(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode(&noise).is_err());
    }

    /// The strongest a stranger can do: a whole header that is consistent as far as it likes, over noise.
    #[test]
    fn forged_counts_never_give_more_than_was_sent(
        image in prop::collection::vec(any::<u64>(), 0..60),
        length in prop_oneof![0u64..600, any::<u64>()],
        words in prop_oneof![0u64..60, any::<u64>(), (0u64..60).prop_map(|n| n + (1 << 61))],
        halves in prop_oneof![0u64..60, any::<u64>(), (0u64..60).prop_map(|n| n + (1 << 62))],
        bytes in prop_oneof![0u64..600, any::<u64>()],
    ) {
        let mut frame = vec![MAGIC | u64::from(VERSION), build_id(), length, 0, words, halves, bytes];
        frame.extend(&image);
        if let Ok(body) = decode_words(&reseal(frame)) {
            let columns = body.words.len() * 8 + body.halves.len() * 4 + body.bytes.len();
            prop_assert_eq!((size_of::<Body>() + columns) as u64, length);
            prop_assert_eq!((size_of::<Body>() + columns).div_ceil(8), image.len());
        }
    }

    /// As above, but the counts always fill the image, so that abomonation is always reached.
    #[test]
    fn whatever_stands_in_the_head_is_overwritten_unread(body in body(), head in any::<[u64; 9]>()) {
        let changes: Vec<_> = (HEADER_WORDS..).zip(head).collect();
        prop_assert_eq!(decode_words(&forge(&body, &changes)), Ok(body));
    }
}

#[test]
fn empty_columns_come_back_empty() {
    for columns in 0..8 {
        let mut body = small();
        for (column, empty) in [columns & 1, columns & 2, columns & 4].iter().map(|bit| *bit == 0).enumerate()
        {
            match column {
                _ if !empty => {}
                0 => body.words = Vec::new(),
                1 => body.halves = Vec::new(),
                _ => body.bytes = Vec::new(),
            }
        }
        assert_eq!(decode(&wire(&body)), Ok(body));
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let good = wire(&small());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_and_every_addition_is_an_error() {
    let good = wire(&small());
    for length in 0..good.len() {
        assert!(decode(&good[..length]).is_err(), "cut to {length} of {}", good.len());
    }
    for extra in 1..20 {
        let mut long = good.clone();
        long.resize(good.len() + extra, 0);
        let wanted = good.len() as u64;
        assert_eq!(decode(&long), Err(FrameError::Length { got: long.len(), wanted }));
    }
}

#[test]
fn each_error_says_what_is_wrong() {
    let body = small();
    assert_eq!(decode(&[0; 55]), Err(FrameError::Short { got: 55 }));
    assert_eq!(decode(&[0; 56]), Err(FrameError::Magic { found: 0 }));
    let version = forge(&body, &[(MAGIC_AT, MAGIC | 2)]);
    assert_eq!(decode_words(&version), Err(FrameError::Version { found: 2 }));
    let (found, ours) = (build_id() ^ 1, build_id());
    assert_eq!(decode_words(&forge(&body, &[(BUILD_AT, found)])), Err(FrameError::Build { found, ours }));
    let mut damaged = encode(&body);
    damaged[HEADER_WORDS + 9] += 1;
    assert!(matches!(decode_words(&damaged), Err(FrameError::Checksum { .. })));
    for declared in [MAX_IMAGE_BYTES + 1, u64::MAX, u64::MAX - 6] {
        let frame = forge(&body, &[(LENGTH_AT, declared)]);
        assert_eq!(decode_words(&frame), Err(FrameError::TooLong { declared }));
    }
}

/// The lengths by which abomonation 0.7.3 can be brought to read out of bounds: `len * size_of::<T>()` wraps to
/// what is there.
#[test]
fn wrapping_counts_are_refused() {
    let body = small();
    let length = encode(&body)[LENGTH_AT];
    let wraps = [
        [3 + (1 << 61), 3, 5],
        [3, 3 + (1 << 62), 5],
        [3, 3, u64::MAX],
        [u64::MAX, u64::MAX, u64::MAX],
        [1 << 61, 1 << 62, length - size_of::<Body>() as u64],
        [3, 5, u64::MAX - 2],
        [4, 3, u64::MAX - 2],
    ];
    for [words, halves, bytes] in wraps {
        let frame = forge(&body, &[(COUNTS_AT, words), (COUNTS_AT + 1, halves), (COUNTS_AT + 2, bytes)]);
        assert_eq!(decode_words(&frame), Err(FrameError::Shape { words, halves, bytes, length }));
    }
}

/// An image of less than a head, its counts all zero, must not reach abomonation either.
#[test]
fn an_image_too_short_for_a_head_is_refused() {
    for words in 0..9 {
        let length = words * 8;
        let mut frame = vec![MAGIC | u64::from(VERSION), build_id(), length, 0, 0, 0, 0];
        frame.resize(HEADER_WORDS + words as usize, 0);
        let shape = FrameError::Shape { words: 0, halves: 0, bytes: 0, length };
        assert_eq!(decode_words(&reseal(frame)), Err(shape));
    }
}
