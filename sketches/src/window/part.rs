//! A digest of different values as a window keeps it: in one allocation, and a ranking reads only what it needs.

use crate::bounds::Bounds;
use crate::codec::put_varint;
use crate::digest::{Digest, Row};
use crate::distinct_set::DistinctSet;
use crate::keys::Keys;
use crate::packed::take_varint;
use crate::registers::{REGISTERS, Registers};

/// The digest of a node, or of a block of them.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Of the node, or the first that the block may have.
    pub(crate) number: u64,
    pub(crate) total: u64,
    pub(crate) floor: u64,
    len: u32,
    is_unlimited: bool,
    /// Each row: its hash, the pairs counted, the doubt, the length of its key, and the key; then how many hashes its set keeps
    /// and these, or 0, how many registers are listed, and these, or 0 and all registers.
    bytes: Box<[u8]>,
}

/// A row of one.
#[derive(Clone, Copy)]
pub(crate) struct PartRow<'a> {
    pub(crate) hash: u64,
    pub(crate) key: &'a [u8],
    pub(crate) counted: Bounds,
    pub(crate) values: Values<'a>,
}

/// The values of a row.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    Packed(Packed<'a>),
    Set(&'a DistinctSet),
}

#[derive(Clone, Copy)]
pub(crate) enum Packed<'a> {
    Hashes(&'a [[u8; 8]], bool),
    /// Index and rank.
    Listed(&'a [[u8; 3]]),
    All(&'a [u8]),
}

impl Part {
    pub(crate) fn new(number: u64, digest: &Digest) -> Self {
        let mut bytes = Vec::new();
        let (mut len, mut is_unlimited) = (0, true);
        for (hash, key, counted, set) in digest.counted_rows() {
            bytes.extend_from_slice(&hash.to_le_bytes());
            let numbers = [counted.lower(), counted.doubt(), key.len() as u64];
            numbers.iter().for_each(|number| put_varint(&mut bytes, *number));
            bytes.extend_from_slice(key);
            let Some(set) = set else { continue };
            put_set(&mut bytes, set);
            (len, is_unlimited) = (len + 1, is_unlimited && set.is_unlimited());
        }
        let (total, floor) = (digest.total(), digest.floor());
        Part { number, total, floor, len, is_unlimited, bytes: bytes.into() }
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The rows, by hash, then key.
    pub(crate) fn rows(&self) -> impl Iterator<Item = PartRow<'_>> {
        let mut rest = &*self.bytes;
        (0..self.len).map_while(move |_| {
            let (hash, after) = rest.split_first_chunk()?;
            rest = after;
            let [lower, doubt, len] = [(); 3].map(|()| take_varint(&mut rest));
            let (key, after) = rest.split_at_checked(len as usize)?;
            rest = after;
            let values = Values::Packed(take_set(&mut rest, self.is_unlimited)?);
            let counted = Bounds::new(lower, lower + doubt);
            Some(PartRow { hash: u64::from_le_bytes(*hash), key, counted, values })
        })
    }

    /// As the digest that it was made of.
    pub(crate) fn digest(&self) -> Digest {
        let (mut rows, mut sets, mut keys) = (Vec::new(), Vec::new(), Keys::default());
        for row in self.rows() {
            rows.push(Row { hash: row.hash, bounds: row.counted, key: keys.push(row.key) });
            sets.push(row.values.to_set());
        }
        Digest::with_sets(self.total, self.floor, rows, sets, &keys)
    }
}

fn put_set(bytes: &mut Vec<u8>, set: &DistinctSet) {
    let hashes = set.hashes().unwrap_or_default();
    put_varint(bytes, hashes.len() as u64);
    hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
    let Some(registers) = set.registers() else { return };
    if registers.is_list() {
        put_varint(bytes, registers.filled() as u64);
        for (index, rank) in registers.iter() {
            bytes.extend_from_slice(&index.to_le_bytes());
            bytes.push(rank);
        }
    } else {
        put_varint(bytes, 0);
        let start = bytes.len();
        bytes.resize(start + REGISTERS, 0);
        registers.iter().for_each(|(index, rank)| bytes[start + usize::from(index)] = rank);
    }
}

fn take_set<'a>(rest: &mut &'a [u8], is_unlimited: bool) -> Option<Packed<'a>> {
    let take = |len: usize, rest: &mut &'a [u8]| {
        let (taken, after) = rest.split_at_checked(len)?;
        *rest = after;
        Some(taken)
    };
    let size = take_varint(rest) as usize;
    if size > 0 {
        return Some(Packed::Hashes(take(8 * size, rest)?.as_chunks().0, is_unlimited));
    }
    match take_varint(rest) as usize {
        0 => Some(Packed::All(take(REGISTERS, rest)?)),
        listed => Some(Packed::Listed(take(3 * listed, rest)?.as_chunks().0)),
    }
}

impl Values<'_> {
    /// As a set.
    pub(crate) fn to_set(self) -> DistinctSet {
        match self {
            Values::Set(set) => set.clone(),
            Values::Packed(Packed::Hashes(hashes, is_unlimited)) => {
                let hashes = hashes.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
                DistinctSet::of_sorted(hashes, is_unlimited)
            }
            Values::Packed(Packed::Listed(listed)) => {
                let listed = listed.iter().map(|&[low, high, rank]| (u16::from_le_bytes([low, high]), rank));
                DistinctSet::of_registers(Registers::of(listed))
            }
            Values::Packed(Packed::All(ranks)) => {
                let all = (0..).zip(ranks.iter().copied()).filter(|(_, rank)| *rank > 0);
                DistinctSet::of_registers(Registers::of(all))
            }
        }
    }
}
