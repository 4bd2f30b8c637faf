//! Digests and unions as bytes for storage: versioned, checksummed, compact, and read back believing nothing.
//!
//! Law: what was encoded decodes to an equal sketch; equal sketches have equal bytes; and no other bytes decode to it,
//! since every number, front, width and padding has one form that is accepted. So each way is the identity. It holds
//! for sketches of a weight of at most 2^62, floor included; heavier ones are not read back.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `CrSk` |
//! | 1 | version: 1 |
//! | 1 | content: 1 digest, 2 union, 3 digest of different values, 4 union of those |
//! | 8 | seed of the item hash |
//! | varints | of a union: kind (0 ledger, 1 classic, 2 exact, 3 distinct, 4 exact distinct), rows, depth, width; of a digest of different values: kind |
//! | varints | total, floor; of a union: unseen |
//! | … | rows, as the module `rows` describes them |
//! | … | of different values: the sets, as the module `sets` describes them |
//! | … | of a union with a floor: matrix, row by row, as the module `bits` describes it |
//! | 8 | XXH3-64 without a seed of all bytes before |
//!
//! Words are little-endian, varints LEB128. There is no length of the whole: an object in a store has one.
//!
//! Bytes are refused, in this order: that are no sketch, are of another version, or are damaged; that hold another
//! content, seed or shape than asked for; that end early, go on, or have another form; and that hold what no sketch
//! does (as [`Digest::from_parts`] and [`Merged::from_parts`] check). The checksum finds accidents; whoever can compute
//! it can store a sketch that is wrong, but none whose reading panics or takes more memory than its length and the
//! shape allow. Sketches of more weight together than 64 bits hold are not added up: that panics, and never wraps.
//!
//! ```
//! use crest_sketches::{DecodeError, Digest, Merged, PaneSketch, Shape};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut pane = PaneSketch::new(&shape);
//! pane.add(b"product:1", 2);
//! pane.add(b"product:2", 3);
//! let mut union = Merged::new(&shape);
//! union.add(&pane);
//!
//! let bytes = union.encode();
//! assert_eq!(Merged::decode(&bytes, &shape).as_ref(), Ok(&union));
//! let digest = union.cut(10);
//! let bytes = digest.encode(shape.seed());
//! assert_eq!(bytes.len(), 41);
//! assert_eq!(Digest::decode(&bytes, shape.seed()).as_ref(), Ok(&digest));
//! assert_eq!(Digest::decode(&bytes, 8), Err(DecodeError::Seed));
//! assert!(matches!(Digest::decode(&bytes[1..], 7), Err(DecodeError::NotASketch { .. })));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

mod bits;
mod bytes;
mod error;
mod rows;
mod sets;

pub(crate) use bytes::{put_varint, varint_len};
pub use error::DecodeError;

use crate::count_min::NARROW;
use crate::digest::Digest;
use crate::digest::parts as digest;
use crate::merged::Merged;
use crate::merged::parts::{self as merged, check_shape, matrix_weight, shape_words};
use crate::parts::Parts;
use crate::set_columns::lengths;
use crate::shape::Shape;
use bits::{put_cells, take_cells};
use bytes::Reader;
use error::VERSION;
use rows::{Rows, put_rows};
use sets::{put_sets, take_sets};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"CrSk";
const DIGEST: u8 = 1;
const UNION: u8 = 2;
const DISTINCT_DIGEST: u8 = 3;
const DISTINCT_UNION: u8 = 4;

impl Digest {
    /// As bytes, equal for equal digests, whose items were hashed with this seed.
    pub fn encode(&self, seed: u64) -> Vec<u8> {
        let Parts { words, halves, bytes } = self.to_parts();
        let rows = self.rows().len();
        let (header, columns) = match self.kind() {
            None => words.split_at(digest::HEADER),
            Some(_) => words[1..].split_at(digest::DISTINCT_HEADER - 1),
        };
        let mut out = begin(if self.is_distinct() { DISTINCT_DIGEST } else { DIGEST }, seed);
        header.iter().for_each(|&value| put_varint(&mut out, value));
        let of_keys = self.rows().map(|row| row.key.len()).sum();
        put_rows(&mut out, seed, self.floor(), &columns[..3 * rows], &halves[..rows], &bytes[..of_keys]);
        put_sets(&mut out, &halves[rows..], &columns[3 * rows..], &bytes[of_keys..]);
        seal(out)
    }

    /// From the bytes that [`encode`](Self::encode) gave for this seed.
    ///
    /// # Errors
    /// They are no such bytes.
    pub fn decode(bytes: &[u8], seed: u64) -> Result<Digest, DecodeError> {
        Digest::decode_top(bytes, seed, usize::MAX)
    }

    /// The same, [cut](Self::cut) to so many rows, at less cost: those that are not kept are read no further than it takes to
    /// check them. A digest of different values stays whole.
    ///
    /// # Errors
    /// They are no such bytes.
    pub fn decode_top(bytes: &[u8], seed: u64, most: usize) -> Result<Digest, DecodeError> {
        let (content, mut from) = open(bytes, [DIGEST, DISTINCT_DIGEST], seed)?;
        let kind = if content == DISTINCT_DIGEST { Some(from.varint("kind")?) } else { None };
        let (total, floor) = (from.varint("total")?, from.varint("floor")?);
        let most = if kind.is_some() { usize::MAX } else { most };
        let rows = Rows::take(&mut from, seed, floor, most)?;
        let Some(kind) = kind else {
            from.finish()?;
            return Ok(Digest::of_entries(total, floor, rows.key_bytes(), rows.iter(), rows.dropped())?);
        };
        let len = rows.len();
        let mut parts = rows.into_parts(&[digest::DISTINCT, kind, total, floor]);
        take_sets(&mut from, len, &mut parts)?;
        from.finish()?;
        Ok(Digest::from_parts(parts)?)
    }
}

impl Merged {
    /// As bytes, equal for equal unions.
    pub fn encode(&self) -> Vec<u8> {
        let Parts { words, halves, bytes } = self.to_parts();
        let (header, columns) = words.split_at(merged::HEADER);
        let &[kind, seed, rows, depth, width, total, floor, unseen, len] = header else {
            unreachable!("the header has its length")
        };
        let (lens, narrow) = halves.split_at(len as usize);
        let (columns, wide) = columns.split_at(3 * lens.len());
        let (sizes, narrow) = narrow.split_at(if self.shape().is_distinct() { lens.len() } else { 0 });
        let (hashes, wide) = wide.split_at(lengths(sizes).0);
        let (keys, registers) = bytes.split_at(lens.iter().map(|&len| len as usize).sum());

        let mut out = begin(union_content(self.shape()), seed);
        for value in [kind, rows, depth, width, total, floor, unseen] {
            put_varint(&mut out, value);
        }
        put_rows(&mut out, seed, floor, columns, lens, keys);
        put_sets(&mut out, sizes, hashes, registers);
        put_cells(&mut out, narrow);
        put_cells(&mut out, wide);
        seal(out)
    }

    /// From the bytes that [`encode`](Self::encode) gave for a union of this shape.
    ///
    /// # Errors
    /// They are no such bytes.
    pub fn decode(bytes: &[u8], shape: &Shape) -> Result<Merged, DecodeError> {
        let seed = shape.seed();
        let (_, mut from) = open(bytes, [union_content(shape)], seed)?;
        let mut next = |what| from.varint(what);
        let found = [next("kind")?, seed, next("rows of the shape")?, next("depth")?, next("width")?];
        let expected = shape_words(shape);
        check_shape(found, expected)?;
        let (total, floor, unseen) = (next("total")?, next("floor")?, next("unseen")?);
        let mut header = expected.to_vec();
        header.extend([total, floor, unseen]);
        let rows = Rows::take(&mut from, seed, floor, usize::MAX)?;
        let len = rows.len();
        header.push(len as u64);
        let mut parts = rows.into_parts(&header);
        let counts = &parts.words[merged::HEADER + len..][..len];
        let counted = counts.iter().fold(0, |sum: u64, &count| sum.saturating_add(count));
        if shape.is_distinct() {
            take_sets(&mut from, len, &mut parts)?;
        }
        let cells = shape.depth() * shape.width();
        match matrix_weight(shape, total, floor, counted)? {
            0 => {}
            1..=NARROW => parts.halves.extend(take_cells::<u32>(&mut from, cells)?),
            _ => parts.words.extend(take_cells::<u64>(&mut from, cells)?),
        }
        from.finish()?;
        Ok(Merged::from_parts(shape, parts)?)
    }
}

/// What a union of this shape is, as stored.
fn union_content(shape: &Shape) -> u8 {
    if shape.is_distinct() { DISTINCT_UNION } else { UNION }
}

fn begin(content: u8, seed: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend([VERSION, content]);
    out.extend(seed.to_le_bytes());
    out
}

fn seal(mut out: Vec<u8>) -> Vec<u8> {
    let checksum = xxh3_64(&out);
    out.extend(checksum.to_le_bytes());
    out
}

/// The content, and what is between seed and checksum, if the bytes are whole and of one of these contents and this seed.
fn open<const N: usize>(bytes: &[u8], contents: [u8; N], seed: u64) -> Result<(u8, Reader<'_>), DecodeError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(DecodeError::NotASketch { found: bytes[..bytes.len().min(MAGIC.len())].to_vec() });
    };
    match rest.first() {
        Some(&VERSION) => {}
        Some(&found) => return Err(DecodeError::Version { found }),
        None => return Err(DecodeError::Truncated { what: "version", at: MAGIC.len() }),
    }
    let Some((body, stated)) = bytes.split_last_chunk() else {
        return Err(DecodeError::Truncated { what: "checksum", at: bytes.len() });
    };
    let (stated, computed) = (u64::from_le_bytes(*stated), xxh3_64(body));
    if stated != computed {
        return Err(DecodeError::Checksum { len: bytes.len(), stated, computed });
    }
    let mut from = Reader::new(body, MAGIC.len() + 1);
    let found = from.byte("content")?;
    if !contents.contains(&found) {
        return Err(DecodeError::Content { found, expected: contents[0] });
    }
    if from.word("seed")? != seed {
        return Err(DecodeError::Seed);
    }
    Ok((found, from))
}
