//! A block: records of one partition that are stored, read and deleted together.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | codec: 0 plain, 1 zstd, 2 lost |
//! | 4 | records |
//! | 8 | when they were appended, in milliseconds since 1970 UTC |
//! | 4 | bytes of the body once it is plain |
//! | … | body: the payloads, each behind its length in 4 bytes |
//! | 8 | XXH3 of the block's key and of all above |
//!
//! Numbers are little-endian. The key (partition and first offset) is not stored but is in the checksum, so that a
//! block in another one's place is found out as well. A *lost* block has no body: it says that so many records were here,
//! and that nobody has them any more (see [`super::salvage`]).

use crate::source::MAX_RECORD_BYTES;
use std::io;
use xxhash_rust::xxh3::Xxh3;
use zstd::bulk::{Compressor, Decompressor};

/// A partition's number, as a log's file stores it.
pub(super) type LogPartition = u32;

/// Partition, and the offset of the first record.
pub(super) type Key = (LogPartition, u64);

/// A block ends before its plain body exceeds this, unless a single record does. A little under a power of two, which
/// is what a large value takes in the file.
pub(super) const BLOCK_BYTES: usize = (1 << 20) - 4096;

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const LOST: u8 = 2;
/// Speed before size: the log may be asked for half a million records a second.
const ZSTD_LEVEL: i32 = 1;
const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = 18;
const CHECKSUM_BYTES: usize = 8;
/// No body that was ever written is larger.
const MAX_BODY_BYTES: usize = MAX_RECORD_BYTES + LENGTH_BYTES;

/// A block that is being filled.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) records: u32,
    body: Vec<u8>,
}

impl Draft {
    /// Whether another payload of so many bytes belongs into the next block.
    pub(super) fn is_full_for(&self, payload: usize) -> bool {
        self.records > 0 && self.body.len() + LENGTH_BYTES + payload > BLOCK_BYTES
    }

    /// Adds a payload of [`MAX_RECORD_BYTES`] at most.
    pub(super) fn push(&mut self, payload: &[u8]) {
        self.body.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.body.extend_from_slice(payload);
        self.records += 1;
    }
}

/// Makes blocks of drafts.
pub(super) struct Encoder {
    zstd: Compressor<'static>,
    packed: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Encoder { zstd: Compressor::new(ZSTD_LEVEL)?, packed: Vec::new() })
    }

    /// The block as it is stored under `key`.
    pub(super) fn encode(&mut self, draft: &Draft, key: Key, appended: i64) -> Vec<u8> {
        let plain = &draft.body;
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        let packed = self.zstd.compress_to_buffer(plain, &mut self.packed);
        let (codec, body) = match packed {
            Ok(bytes) if bytes < plain.len() => (ZSTD, &self.packed),
            _ => (PLAIN, plain),
        };
        let mut out = Vec::with_capacity(HEAD_BYTES + body.len() + CHECKSUM_BYTES);
        out.extend_from_slice(&[VERSION, codec]);
        out.extend_from_slice(&draft.records.to_le_bytes());
        out.extend_from_slice(&appended.to_le_bytes());
        out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(&checksum(key, &out).to_le_bytes());
        out
    }
}

/// The block of records that are lost, as it is stored under `key`.
pub(super) fn lost(key: Key, records: u32, appended: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + CHECKSUM_BYTES);
    out.extend_from_slice(&[VERSION, LOST]);
    out.extend_from_slice(&records.to_le_bytes());
    out.extend_from_slice(&appended.to_le_bytes());
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&checksum(key, &out).to_le_bytes());
    out
}

/// The head of a block of lost records, if it is one.
///
/// # Errors
/// Where it says so and is damaged.
pub(super) fn read_lost(key: Key, block: &[u8]) -> Result<Option<Head>, BlockError> {
    let head = Head::read(block)?;
    if head.codec != LOST {
        return Ok(None);
    }
    unseal(key, block)?;
    Ok(Some(head))
}

/// A block without its checksum, which is right.
fn unseal(key: Key, block: &[u8]) -> Result<&[u8], BlockError> {
    let (sealed, sum) =
        block.split_last_chunk::<CHECKSUM_BYTES>().ok_or(BlockError::Damaged("it is too short"))?;
    let whole = checksum(key, sealed) == u64::from_le_bytes(*sum);
    whole.then_some(sealed).ok_or(BlockError::Damaged("its checksum is another one"))
}

/// Why stored bytes are no block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockError {
    /// Not what was written there.
    #[error("the block is damaged: {0}")]
    Damaged(&'static str),
    /// A later program wrote it.
    #[error("the block is of version {0}, and this program reads version {VERSION}")]
    Version(u8),
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) records: u32,
    /// In milliseconds since 1970 UTC.
    pub(super) appended: i64,
    codec: u8,
    body_bytes: u32,
}

impl Head {
    /// Reads the head alone, without the checksum of the whole.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub(super) fn read(block: &[u8]) -> Result<Self, BlockError> {
        let short = BlockError::Damaged("it is too short");
        let (head, _) = block.split_first_chunk::<HEAD_BYTES>().ok_or(short)?;
        let [version, codec, r0, r1, r2, r3, t0, t1, t2, t3, t4, t5, t6, t7, b0, b1, b2, b3] = *head;
        if version != VERSION {
            return Err(BlockError::Version(version));
        }
        Ok(Head {
            codec,
            records: u32::from_le_bytes([r0, r1, r2, r3]),
            appended: i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            body_bytes: u32::from_le_bytes([b0, b1, b2, b3]),
        })
    }
}

/// A block that is being read.
pub(super) struct Decoded {
    zstd: Decompressor<'static>,
    body: Vec<u8>,
    appended: i64,
    /// The offset of the next record, and that behind the last one.
    next: u64,
    end: u64,
    /// Where in the body the next record begins.
    at: usize,
}

impl Decoded {
    /// An empty one.
    pub(super) fn new() -> io::Result<Self> {
        let zstd = Decompressor::new()?;
        Ok(Decoded { zstd, body: Vec::new(), appended: 0, next: 0, end: 0, at: 0 })
    }

    /// Takes the block that is stored under `key`, in place of the last one.
    ///
    /// # Errors
    /// Where it is damaged; then this is empty.
    pub(super) fn load(&mut self, key: Key, block: &[u8]) -> Result<(), BlockError> {
        (self.next, self.end, self.at) = (0, 0, 0);
        let head = Head::read(block)?;
        let sealed = unseal(key, block)?;
        self.unpack(&head, sealed.get(HEAD_BYTES..).unwrap_or_default())?;
        if count(&self.body) != Some(head.records) {
            return Err(BlockError::Damaged("its records are not as many as it says"));
        }
        let end = key.1.checked_add(head.records.into());
        (self.next, self.end) = (key.1, end.ok_or(BlockError::Damaged("its offsets have no end"))?);
        self.appended = head.appended;
        Ok(())
    }

    fn unpack(&mut self, head: &Head, body: &[u8]) -> Result<(), BlockError> {
        let plain = head.body_bytes as usize;
        if plain > MAX_BODY_BYTES {
            return Err(BlockError::Damaged("it says that it is larger than any"));
        }
        self.body.clear();
        match head.codec {
            PLAIN => self.body.extend_from_slice(body),
            ZSTD => {
                self.body.reserve(plain);
                let unpacked = self.zstd.decompress_to_buffer(body, &mut self.body);
                unpacked.map_err(|_| BlockError::Damaged("it cannot be decompressed"))?;
            }
            _ => return Err(BlockError::Damaged("its codec is unknown")),
        }
        let whole = self.body.len() == plain;
        whole.then_some(()).ok_or(BlockError::Damaged("its body is not as long as it says"))
    }

    /// When its records were appended, in milliseconds since 1970 UTC.
    pub(super) fn appended(&self) -> i64 {
        self.appended
    }

    /// How many records are left in it; all of them when it was loaded just now.
    pub(super) fn records(&self) -> u32 {
        (self.end - self.next) as u32
    }

    /// How large its body is.
    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The offset of the next record, if there is one.
    pub(super) fn next_offset(&self) -> Option<u64> {
        (self.next < self.end).then_some(self.next)
    }

    /// The next record's offset and payload.
    pub(super) fn next(&mut self) -> Option<(u64, &[u8])> {
        let offset = self.next_offset()?;
        let (payload, behind) = split(&self.body, self.at)?;
        self.next += 1;
        self.at = behind;
        Some((offset, payload))
    }
}

/// The payload at a place of the body, and the place behind it.
fn split(body: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (length, rest) = body.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let length = u32::from_le_bytes(*length) as usize;
    Some((rest.get(..length)?, at + LENGTH_BYTES + length))
}

/// How many payloads a body is made of; `None` where it is not made of payloads.
fn count(body: &[u8]) -> Option<u32> {
    let (mut records, mut at) = (0, 0);
    while at < body.len() {
        (_, at) = split(body, at)?;
        records += 1;
    }
    Some(records)
}

fn checksum((partition, base): Key, bytes: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&partition.to_le_bytes());
    hash.update(&base.to_le_bytes());
    hash.update(bytes);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(payloads: &[Vec<u8>], key: Key) -> Vec<u8> {
        let mut draft = Draft::default();
        payloads.iter().for_each(|payload| draft.push(payload));
        Encoder::new().unwrap().encode(&draft, key, 77)
    }

    fn all(decoded: &mut Decoded) -> Vec<(u64, Vec<u8>)> {
        std::iter::from_fn(|| decoded.next().map(|(offset, payload)| (offset, payload.to_vec()))).collect()
    }

    #[test]
    fn a_draft_is_full_before_it_exceeds_a_block_but_takes_any_record_alone() {
        let mut draft = Draft::default();
        assert!(!draft.is_full_for(MAX_RECORD_BYTES));
        draft.push(&[0; 100]);
        assert!(!draft.is_full_for(BLOCK_BYTES - 108) && draft.is_full_for(BLOCK_BYTES - 107));
        let mut large = Draft::default();
        large.push(&vec![b'x'; MAX_RECORD_BYTES]);
        let block = Encoder::new().unwrap().encode(&large, (0, 9), 1);
        assert!(block.len() < 1000, "it is compressed: {}", block.len());
        let mut decoded = Decoded::new().unwrap();
        decoded.load((0, 9), &block).unwrap();
        assert_eq!(decoded.next().unwrap().1.len(), MAX_RECORD_BYTES);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..50),
            repeat in 1..20_usize,
            key in any::<(u32, u32)>(),
        ) {
            let payloads: Vec<Vec<u8>> = std::iter::repeat_n(payloads, repeat).flatten().collect();
            let key = (key.0, u64::from(key.1));
            let mut decoded = Decoded::new().unwrap();
            decoded.load(key, &block(&payloads, key)).unwrap();
            prop_assert_eq!(decoded.appended(), 77);
            prop_assert_eq!(all(&mut decoded), (key.1..).zip(payloads).collect::<Vec<_>>());
            prop_assert_eq!(decoded.next_offset(), None);
        }

        #[test]
        fn any_damage_is_an_error(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20),
            place in any::<prop::sample::Index>(),
            bit in 0..8_u8,
            cut in any::<prop::sample::Index>(),
        ) {
            let good = block(&payloads, (1, 5));
            let mut decoded = Decoded::new().unwrap();
            prop_assert!(decoded.load((1, 6), &good).is_err() && decoded.load((2, 5), &good).is_err());
            prop_assert!(decoded.load((1, 5), &good[..cut.index(good.len())]).is_err());
            let mut bad = good;
            let place = place.index(bad.len());
            bad[place] ^= 1 << bit;
            prop_assert!(decoded.load((1, 5), &bad).is_err());
            prop_assert_eq!(decoded.next_offset(), None);
        }

        #[test]
        fn any_bytes_with_a_right_checksum_are_read_or_refused(
            body in prop::collection::vec(any::<u8>(), 0..100), records in 0..4_u32, codec in 0..3_u8,
        ) {
            let mut bytes = vec![VERSION, codec];
            bytes.extend_from_slice(&records.to_le_bytes());
            bytes.extend_from_slice(&0_i64.to_le_bytes());
            bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(&checksum((0, 0), &bytes).to_le_bytes());
            let mut decoded = Decoded::new().unwrap();
            if decoded.load((0, 0), &bytes).is_ok() {
                prop_assert_eq!(all(&mut decoded).len(), records as usize);
            }
        }
    }
}
