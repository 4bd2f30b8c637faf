//! What it costs to send a pane share and to receive it: the frame beside the encodings it could have been.
//!
//! ```sh
//! cargo bench -p crest-dataflows --bench codec
//! ```
//!
//! Encoding ends in a buffer that is used again, as timely's are, decoding with an owned `Body`. The frame and the bytemuck row verify
//! a checksum, the bincode rows do not (timely's own channels carry bincode so); what the checksum takes by
//! itself has a row too. The last lines give each cost as a ratio to the frame's.
#![allow(clippy::print_stdout)] // a bench speaks to a person

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use crest_dataflows::frame::{self, Body};
use criterion::{Criterion, Throughput};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

const ROWS: usize = 4096;
const CELLS: usize = 40_960;
const KEY_BYTES: usize = 150_000;

/// A pane share of [`ROWS`] rows (hash, count, base), [`CELLS`] of tail, and the keys.
fn share() -> Body {
    Body {
        words: (0..3 * ROWS as u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect(),
        halves: (0..CELLS as u32).map(|n| n.wrapping_mul(0x9E37_79B9) >> 12).collect(),
        bytes: (0..KEY_BYTES).map(|n| b'a' + (n % 26) as u8).collect(),
    }
}

/// One way to send a body. None answers bytes that its own `decode` refuses.
struct Codec {
    name: &'static str,
    encode: fn(&Body, &mut Vec<u8>),
    decode: fn(&[u8]) -> Option<Body>,
}

const FRAME: &str = "frame";
const CODECS: [Codec; 4] = [
    Codec { name: FRAME, encode: frame_encode, decode: |bytes| frame::decode(bytes).ok() },
    Codec { name: "bytemuck, checksum", encode: cast_encode, decode: cast_decode },
    Codec { name: "bincode, columns as byte strings", encode: strings_encode, decode: strings_decode },
    Codec { name: "bincode, integer by integer", encode: plain_encode, decode: plain_decode },
];

fn frame_encode(body: &Body, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(cast_slice(&frame::encode(body)));
}

/// A checksum and three lengths, then the columns.
fn cast_encode(body: &Body, buffer: &mut Vec<u8>) {
    let columns: [&[u8]; 3] = [cast_slice(&body.words), cast_slice(&body.halves), &body.bytes];
    buffer.extend([0; 8]);
    columns.iter().for_each(|column| buffer.extend(column.len().to_ne_bytes()));
    columns.iter().for_each(|column| buffer.extend_from_slice(column));
    let checksum = xxh3_64(&buffer[8..]);
    buffer[..8].copy_from_slice(&checksum.to_ne_bytes());
}

fn cast_decode(bytes: &[u8]) -> Option<Body> {
    let (checksum, rest) = bytes.split_first_chunk()?;
    if xxh3_64(rest) != u64::from_ne_bytes(*checksum) {
        return None;
    }
    let (lengths, rest) = rest.split_first_chunk::<24>()?;
    let [words, halves, keys] = [0, 1, 2].map(|at| usize::from_ne_bytes(lengths.as_chunks().0[at]));
    let (words, rest) = rest.split_at_checked(words)?;
    let (halves, rest) = rest.split_at_checked(halves)?;
    (rest.len() == keys).then(|| owned(words, halves, rest))
}

fn owned(words: &[u8], halves: &[u8], bytes: &[u8]) -> Body {
    Body { words: copied(words), halves: copied(halves), bytes: bytes.to_vec() }
}

/// The integers of a column, of any alignment.
fn copied<T: Pod>(column: &[u8]) -> Vec<T> {
    let mut integers = vec![T::zeroed(); column.len() / size_of::<T>()];
    cast_slice_mut(&mut integers).copy_from_slice(column);
    integers
}

/// As a derive would send it.
#[derive(Serialize, Deserialize)]
struct Plain<W, H, B> {
    words: W,
    halves: H,
    bytes: B,
}

fn plain_encode(body: &Body, buffer: &mut Vec<u8>) {
    let plain = Plain { words: &body.words, halves: &body.halves, bytes: &body.bytes };
    let sent = bincode::serialize_into(buffer, &plain);
    assert!(sent.is_ok(), "{sent:?}");
}

fn plain_decode(bytes: &[u8]) -> Option<Body> {
    let Plain { words, halves, bytes } = bincode::deserialize(bytes).ok()?;
    Some(Body { words, halves, bytes })
}

/// A column as serde's byte string, which bincode copies whole.
struct Column<'a>(&'a [u8]);

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Column<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = &'de [u8];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Borrowed).map(Column)
    }
}

fn strings_encode(body: &Body, buffer: &mut Vec<u8>) {
    let strings = (Column(cast_slice(&body.words)), Column(cast_slice(&body.halves)), Column(&body.bytes));
    let sent = bincode::serialize_into(buffer, &strings);
    assert!(sent.is_ok(), "{sent:?}");
}

fn strings_decode(bytes: &[u8]) -> Option<Body> {
    let (words, halves, bytes): (Column<'_>, Column<'_>, Column<'_>) = bincode::deserialize(bytes).ok()?;
    Some(owned(words.0, halves.0, bytes.0))
}

/// The median time of one call, by what was measured.
#[derive(Default)]
struct Medians(RefCell<BTreeMap<(&'static str, &'static str), Vec<Duration>>>);

impl Medians {
    /// Times `call` as criterion asks, and remembers what it took.
    fn time<T>(
        &self,
        key: (&'static str, &'static str),
        calls: u64,
        mut call: impl FnMut() -> T,
    ) -> Duration {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        let took = start.elapsed();
        self.0.borrow_mut().entry(key).or_default().push(took / calls.max(1) as u32);
        took
    }

    fn of(&self, verb: &'static str, name: &'static str) -> Duration {
        let mut times = self.0.borrow().get(&(verb, name)).cloned().unwrap_or_default();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

fn measure(criterion: &mut Criterion, medians: &Medians, body: &Body) {
    let sent = CODECS.map(|codec| {
        let mut buffer = Vec::new();
        (codec.encode)(body, &mut buffer);
        buffer
    });
    for (codec, sent) in CODECS.iter().zip(&sent) {
        assert_eq!((codec.decode)(sent).as_ref(), Some(body), "{} does not give back the body", codec.name);
    }
    let mut group = criterion.benchmark_group("pane share");
    group.throughput(Throughput::Bytes(sent[0].len() as u64));
    for (codec, sent) in CODECS.iter().zip(&sent) {
        group.bench_function(format!("encode/{}", codec.name), |bencher| {
            let mut buffer = Vec::with_capacity(2 * sent.len());
            let mut call = || {
                buffer.clear();
                (codec.encode)(body, &mut buffer);
            };
            bencher.iter_custom(|calls| medians.time(("encode", codec.name), calls, &mut call));
        });
        group.bench_function(format!("decode/{}", codec.name), |bencher| {
            bencher.iter_custom(|calls| medians.time(("decode", codec.name), calls, || (codec.decode)(sent)));
        });
    }
    group.bench_function("checksum alone", |bencher| {
        bencher.iter_custom(|calls| medians.time(("either", "checksum alone"), calls, || xxh3_64(&sent[0])));
    });
    group.finish();
}

fn main() {
    // A process that lives long has freed large blocks before, and its allocator keeps what is freed since
    // then; a new one would give every block back to the system, and measure page faults.
    drop(black_box(vec![1u8; 24 << 20]));
    let (body, medians) = (share(), Medians::default());
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, &medians, &body);
    criterion.final_summary();
    for codec in &CODECS {
        let [encode, decode] = ["encode", "decode"].map(|verb| {
            let (took, frame) = (medians.of(verb, codec.name), medians.of(verb, FRAME));
            let ratio = took.as_secs_f64() / frame.as_secs_f64();
            format!("{verb} {:6.1} us, {ratio:5.2} of the frame's", took.as_secs_f64() * 1e6)
        });
        println!("{:34} {encode}; {decode}", codec.name);
    }
    println!("of which the checksum {:6.1} us", medians.of("either", "checksum alone").as_secs_f64() * 1e6);
}
