//! One closed pane of all boards and groups, as it is stored: written once, read back believing nothing.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `CRSP` |
//! | 1 | version: 1 |
//! | 8 | the pane |
//! | 8 | fingerprint of the job |
//! | 8 | length of the body |
//! | … | body, compressed with zstd |
//! | 8 | XXH3-64 of all before it |
//!
//! The body is a count of boards; of each its name and a count of groups; of each the text and the digest, as
//! [`Digest::encode`] gave it. Counts and lengths have four bytes; all numbers are little-endian.

use crate::event_time::Pane;
use crest_sketches::{DecodeError, Digest};
use std::collections::BTreeMap;
use std::io::Read;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 4] = b"CRSP";
const VERSION: u8 = 1;
const HEADER: usize = 4 + 1 + 8 + 8 + 8;
const LEVEL: i32 = 1;
/// The longest body: 256 boards of a thousand groups of a few KiB.
const MAX_BODY: u64 = 4 << 30;

/// Where objects of panes are.
pub(super) const PREFIX: &str = "panes/";

/// The name of a pane's object, which a run wrote. Names sort as panes do.
pub(super) fn object_name(pane: Pane, epoch: u64) -> String {
    format!("{PREFIX}{pane:020}-{epoch}")
}

/// The epoch of the run that wrote the object of this name.
pub(super) fn epoch_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.split_once('-')?.1.parse().ok()
}

/// The digests of a pane by board and group.
pub(super) type Boards<D> = BTreeMap<String, BTreeMap<String, D>>;

/// Why an object is not the pane that was asked for. Every one names the object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaneObjectError {
    /// Something else.
    #[error("{name} is no pane: it begins with {found:?}")]
    Foreign {
        /// The object.
        name: String,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// Of another version.
    #[error("{name} is of version {found}, and this program reads version {VERSION}")]
    Version {
        /// The object.
        name: String,
        /// Its version.
        found: u8,
    },
    /// Cut short, or changed since it was written.
    #[error("{name} is damaged: {what}")]
    Damaged {
        /// The object.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A pane, but not this one, or of another job.
    #[error("{name} holds pane {pane} of the job {job:016x}")]
    Other {
        /// The object.
        name: String,
        /// The pane that it says it is.
        pane: Pane,
        /// The fingerprint of the job that wrote it.
        job: u64,
    },
    /// One of its digests is none.
    #[error("{name}: {error}")]
    Digest {
        /// The object.
        name: String,
        /// What is wrong.
        error: DecodeError,
    },
}

/// The object of a pane. The digests are encoded already.
pub(super) fn encode(pane: Pane, job: u64, boards: &Boards<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    put_count(&mut body, boards.len());
    for (board, groups) in boards {
        put_bytes(&mut body, board.as_bytes());
        put_count(&mut body, groups.len());
        for (group, digest) in groups {
            put_bytes(&mut body, group.as_bytes());
            put_bytes(&mut body, digest);
        }
    }
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    for word in [pane, job, body.len() as u64] {
        out.extend(word.to_le_bytes());
    }
    out.extend(zstd::bulk::compress(&body, LEVEL)?);
    let checksum = xxh3_64(&out);
    out.extend(checksum.to_le_bytes());
    Ok(out)
}

/// The digests of the pane that the object `name` holds.
pub(super) fn decode(
    name: &str,
    bytes: &[u8],
    pane: Pane,
    job: u64,
    seed: u64,
) -> Result<Boards<Digest>, PaneObjectError> {
    let body = open(name, bytes, pane, job)?;
    let mut from = Reader { name, rest: &body };
    let mut boards = Boards::new();
    for _ in 0..from.count()? {
        let board = from.text()?;
        let mut groups = BTreeMap::new();
        for _ in 0..from.count()? {
            let group = from.text()?;
            let digest = Digest::decode(from.bytes()?, seed)
                .map_err(|error| PaneObjectError::Digest { name: name.to_owned(), error })?;
            groups.insert(group, digest);
        }
        boards.insert(board, groups);
    }
    match from.rest.is_empty() {
        true => Ok(boards),
        false => Err(from.damaged("it goes on after its end")),
    }
}

/// What is between header and checksum, decompressed, if the object is whole and the one asked for.
fn open(name: &str, bytes: &[u8], pane: Pane, job: u64) -> Result<Vec<u8>, PaneObjectError> {
    let damaged = |what: &str| PaneObjectError::Damaged { name: name.to_owned(), what: what.to_owned() };
    if !bytes.starts_with(MAGIC) {
        let found = bytes[..bytes.len().min(MAGIC.len())].to_vec();
        return Err(PaneObjectError::Foreign { name: name.to_owned(), found });
    }
    if bytes.len() < HEADER + 8 {
        return Err(damaged("it is cut short"));
    }
    if bytes[4] != VERSION {
        return Err(PaneObjectError::Version { name: name.to_owned(), found: bytes[4] });
    }
    let Some((sealed, stated)) = bytes.split_last_chunk() else { return Err(damaged("it is cut short")) };
    if xxh3_64(sealed) != u64::from_le_bytes(*stated) {
        return Err(damaged("its checksum is another"));
    }
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let (found, of, len) = (word(5), word(13), word(21));
    if (found, of) != (pane, job) {
        return Err(PaneObjectError::Other { name: name.to_owned(), pane: found, job: of });
    }
    if len > MAX_BODY {
        return Err(damaged("it says that it is longer than any"));
    }
    // Grows with what is there, so that a length that was made up reserves nothing.
    let mut body = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(&sealed[HEADER..]);
    let read = decoder.and_then(|decoder| decoder.take(len + 1).read_to_end(&mut body));
    match read {
        Ok(read) if read as u64 == len => Ok(body),
        Ok(_) => Err(damaged("its body has another length than it says")),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend(bytes);
}

struct Reader<'a> {
    name: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn damaged(&self, what: &str) -> PaneObjectError {
        PaneObjectError::Damaged { name: self.name.to_owned(), what: what.to_owned() }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], PaneObjectError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.damaged("its body ends early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, PaneObjectError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |count, byte| count << 8 | usize::from(*byte)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], PaneObjectError> {
        let len = self.count()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String, PaneObjectError> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.damaged("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Merged, PaneSketch, Shape};

    const SEED: u64 = 7;

    fn digest(items: u64) -> Digest {
        let shape = Shape::new(64, 0.001, 0.00005, SEED).unwrap();
        let mut sketch = PaneSketch::new(&shape);
        (0..items).for_each(|n| sketch.add(format!("item:{n}").as_bytes(), 1 + n as u32));
        let mut merged = Merged::new(&shape);
        merged.add(&sketch);
        merged.cut(100)
    }

    fn pane() -> Boards<Digest> {
        let groups = |items: &[(&str, u64)]| {
            items.iter().map(|(group, items)| (group.to_string(), digest(*items))).collect()
        };
        Boards::from([
            ("sales".into(), groups(&[("", 40)])),
            ("videos".into(), groups(&[("", 3), ("region=IN", 2), ("region=é", 0)])),
        ])
    }

    fn encoded(pane: &Boards<Digest>) -> Vec<u8> {
        let group = |(text, digest): (&String, &Digest)| (text.clone(), digest.encode(SEED));
        let board = |(name, groups): (&String, &BTreeMap<String, Digest>)| {
            (name.clone(), groups.iter().map(group).collect())
        };
        encode(17, 99, &pane.iter().map(board).collect()).unwrap()
    }

    #[test]
    fn a_pane_is_read_back_as_it_was_written() {
        assert_eq!(decode("panes/17", &encoded(&pane()), 17, 99, SEED).unwrap(), pane());
    }

    #[test]
    fn the_form_stays_as_it_is() {
        // The body, which no version of zstd changes: stored objects must stay readable.
        let bytes = encoded(&Boards::from([("b".into(), BTreeMap::from([(String::new(), digest(1))]))]));
        assert_eq!(&bytes[..5], b"CRSP\x01");
        assert_eq!(bytes[5..21], [17, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]);
        let body = open("x", &bytes, 17, 99).unwrap();
        let mut expected = vec![1, 0, 0, 0, 1, 0, 0, 0, b'b', 1, 0, 0, 0, 0, 0, 0, 0];
        put_bytes(&mut expected, &digest(1).encode(SEED));
        assert_eq!(body, expected);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused_by_name() {
        let bytes = encoded(&pane());
        let refused = |bytes: &[u8]| {
            let error = decode("panes/17-5", bytes, 17, 99, SEED).unwrap_err().to_string();
            assert!(error.contains("panes/17-5"), "{error}");
        };
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                refused(&damaged);
            }
            refused(&bytes[..at]);
        }
    }

    #[test]
    fn another_pane_another_job_and_something_else_are_refused() {
        let bytes = encoded(&pane());
        let other = |pane, job| decode("x", &bytes, pane, job, SEED).unwrap_err();
        let told = PaneObjectError::Other { name: "x".into(), pane: 17, job: 99 };
        assert_eq!((other(18, 99), other(17, 98)), (told.clone(), told));
        assert!(matches!(decode("x", b"PNG", 1, 1, 1), Err(PaneObjectError::Foreign { .. })));
        assert!(matches!(decode("x", &bytes, 17, 99, 8), Err(PaneObjectError::Digest { .. })));
    }

    #[test]
    fn a_checksum_that_fits_lies_does_not_make_it_reserve_memory_or_panic() {
        let mut bytes = encoded(&pane());
        bytes.truncate(HEADER);
        bytes[21..29].copy_from_slice(&(MAX_BODY - 1).to_le_bytes());
        // Boards without end, in a body of four bytes.
        bytes.extend(zstd::bulk::compress(&[255; 4], 1).unwrap());
        let sum = xxh3_64(&bytes);
        bytes.extend(sum.to_le_bytes());
        assert!(matches!(decode("x", &bytes, 17, 99, SEED), Err(PaneObjectError::Damaged { .. })));
    }

    #[test]
    fn names_sort_as_panes_do_and_tell_the_run() {
        assert!(object_name(9, 17) < object_name(10, 5));
        assert_eq!(epoch_of(&object_name(9, 17)), Some(17));
        assert_eq!(epoch_of("panes/x"), None);
    }
}
