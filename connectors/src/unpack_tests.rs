//! Streams as the tools pack them, whole, cut off and damaged.

use super::*;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;

fn gzip(parts: &[&[u8]]) -> Vec<u8> {
    let member = |part: &&[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    parts.iter().flat_map(member).collect()
}

/// With a checksum, as the tools write it.
fn zstd(parts: &[&[u8]]) -> Vec<u8> {
    let frame = |part: &&[u8]| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    parts.iter().flat_map(frame).collect()
}

/// Gives at most so many bytes at once.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.1);
        self.0.read(&mut into[..count])
    }
}

/// Unpacks a stream as its first bytes tell, by pieces of `step` packed bytes.
fn unpack(packed: &[u8], step: usize) -> io::Result<Vec<u8>> {
    let compression =
        Compression::Auto.decide(&packed[..packed.len().min(MAGIC_BYTES)]).unwrap_or(Compression::None);
    let mut unpacked = Vec::new();
    Unpacked::new(Slow(packed, step), compression)?.read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

proptest! {
    #[test]
    fn unpacks_all_members_and_frames(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..4), step in 1usize..500,
    ) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(unpack(&gzip(&parts), step).unwrap(), parts.concat());
        prop_assert_eq!(unpack(&zstd(&parts), step).unwrap(), parts.concat());
    }

    #[test]
    fn a_stream_that_is_cut_off_is_an_error(part in prop::collection::vec(any::<u8>(), 1..3000), cut in any::<prop::sample::Index>()) {
        for (name, packed) in [("gzip", gzip(&[&part])), ("zstd", zstd(&[&part]))] {
            let length = MAGIC_BYTES + cut.index(packed.len() - MAGIC_BYTES);
            let error = unpack(&packed[..length], 100).unwrap_err().to_string();
            prop_assert_eq!(error, format!("{}: the stream is cut off", name));
        }
    }
}

#[test]
fn a_damaged_stream_is_an_error_that_names_the_compression() {
    let part: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    for (name, mut packed) in [("gzip", gzip(&[&part])), ("zstd", zstd(&[&part]))] {
        let middle = packed.len() / 2;
        packed[middle..middle + 100].fill(0xFF);
        let error = unpack(&packed, usize::MAX).map(|found| found.len()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        packed.truncate(middle);
        packed.splice(.., [gzip(&[b"a"]), b"garbage".to_vec()].concat());
        assert!(unpack(&packed, usize::MAX).is_err(), "what follows is no member");
    }
}

#[test]
fn a_stream_without_a_byte_is_empty_whatever_its_compression() {
    for compression in [Compression::Auto, Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut unpacked = Vec::new();
        let count = Unpacked::new(&b""[..], compression).unwrap().read_to_end(&mut unpacked);
        assert_eq!(count.unwrap(), 0, "{compression}");
    }
}

#[test]
fn zeros_behind_gzip_are_ignored_and_anything_behind_them_is_an_error() {
    let two = gzip(&[b"one ", b"two"]);
    for zeros in [1, 2, 511, 3 * PACKED_BYTES] {
        let padded = [two.clone(), vec![0; zeros]].concat();
        for step in [1, 100, usize::MAX] {
            assert_eq!(unpack(&padded, step).unwrap(), b"one two", "{zeros} zeros by {step}");
        }
        for rest in [&b"x"[..], &gzip(&[b"three"])] {
            let error = unpack(&[&padded, rest].concat(), 100).unwrap_err().to_string();
            assert_eq!(error, "gzip: behind zeros after the last member there is something else");
        }
    }
    assert!(unpack(&[&two[..], b"x"].concat(), 100).is_err());
}

#[test]
fn the_first_bytes_tell_the_compression_as_soon_as_they_can() {
    let decide = |begin: &[u8]| Compression::Auto.decide(begin);
    assert_eq!(decide(b""), None);
    assert_eq!(decide(&[0x1f]), None);
    assert_eq!(decide(&[0x1f, 0x8b]), Some(Compression::Gzip));
    assert_eq!(decide(&[0x28, 0xb5, 0x2f]), None);
    assert_eq!(decide(&[0x28, 0xb5, 0x2f, 0xfd]), Some(Compression::Zstd));
    assert_eq!(decide(&[0x5e, 0x2a, 0x4d, 0x18]), Some(Compression::Zstd));
    for plain in [&b"{"[..], b"[{", b"(x", b"Pa", b"\n", b"PK", b"\xef\xbb\xbf{"] {
        assert_eq!(decide(plain), Some(Compression::None), "{plain:?}");
    }
    assert_eq!(Compression::None.decide(&[0x1f, 0x8b]), Some(Compression::None));
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd(&[b"data"])].concat();
    assert_eq!(unpack(&skippable, 3).unwrap(), b"data");
}

#[test]
fn names_are_read_as_they_are_written() {
    for compression in [Compression::Auto, Compression::None, Compression::Gzip, Compression::Zstd] {
        assert_eq!(compression.to_string().parse(), Ok(compression));
    }
    let error = "gz".parse::<Compression>().unwrap_err().to_string();
    assert_eq!(error, "must be auto, none, gzip or zstd");
}
