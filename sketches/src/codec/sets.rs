//! The values of rows as bytes, in the order of the rows' hashes, then keys.
//!
//! | column | a row's |
//! |---|---|
//! | sizes | varint: how many hashes its set keeps, 0 where it has registers |
//! | hashes | eight bytes each, in their order; none where it has registers |
//! | registers | varint: how many are not zero; up to 512 of these each as a varint, by how much its index is above that of the one before, and a byte, its rank; more of them all as cells, as the module `bits` describes them |
//!
//! Hashes are random and do not get shorter. A list of registers takes some three bytes for each, all of them 1 to 1.3 KB.

use super::bits::{put_cells, take_cells};
use super::bytes::{Reader, put_varint};
use super::error::DecodeError;
use crate::parts::{Parts, at_most};
use crate::registers::{MAX_RANK, MOST_SPARSE, REGISTERS};
use crate::set_columns::{LISTED, LISTED_BYTES, Size};

/// Appends the sets of these columns.
pub(super) fn put_sets(out: &mut Vec<u8>, sizes: &[u32], hashes: &[u64], mut registers: &[u8]) {
    for &size in sizes {
        let kept = if let Size::Hashes(hashes) = Size::of(size) { hashes } else { 0 };
        put_varint(out, kept as u64);
    }
    hashes.iter().for_each(|hash| out.extend(hash.to_le_bytes()));
    for size in sizes.iter().map(|&size| Size::of(size)) {
        let (these, rest) = registers.split_at(size.register_bytes());
        registers = rest;
        match size {
            Size::Hashes(_) => {}
            Size::Listed(listed) => {
                put_varint(out, listed as u64);
                let mut next = 0;
                for &[low, high, rank] in these.as_chunks::<LISTED_BYTES>().0 {
                    let index = u16::from_le_bytes([low, high]);
                    put_varint(out, u64::from(index) - next);
                    out.push(rank);
                    next = u64::from(index) + 1;
                }
            }
            Size::All => {
                put_varint(out, these.iter().filter(|rank| **rank > 0).count() as u64);
                put_cells(out, &these.iter().map(|&rank| u32::from(rank)).collect::<Vec<_>>());
            }
        }
    }
}

/// Reads the sets of so many rows into the columns of parts, which have no other sets yet.
pub(super) fn take_sets(from: &mut Reader<'_>, rows: usize, parts: &mut Parts) -> Result<(), DecodeError> {
    let first = parts.halves.len();
    for size in from.varints("sizes of sets", rows)? {
        parts.halves.push(at_most("number of hashes", size, u64::from(LISTED) - 1)? as u32);
    }
    let hashes = parts.halves[first..].iter().fold(0usize, |sum, &size| sum.saturating_add(size as usize));
    let bytes = from.take("hashes of values", hashes.saturating_mul(size_of::<u64>()))?;
    parts.words.extend(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)));
    let Parts { halves, bytes, .. } = parts;
    for size in halves[first..].iter_mut().filter(|size| **size == 0) {
        *size = take_registers(from, bytes)?;
    }
    Ok(())
}

/// Reads the registers of a set, and returns its size in the columns of parts.
fn take_registers(from: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<u32, DecodeError> {
    let at = from.at();
    let filled = at_most("number of registers", from.varint("number of registers")?, REGISTERS as u64)?;
    if filled > MOST_SPARSE as u64 {
        let cells = take_cells::<u32>(from, REGISTERS)?;
        if cells.iter().filter(|cell| **cell > 0).count() as u64 != filled {
            return Err(DecodeError::Form { what: "number of registers", at });
        }
        for cell in cells {
            out.push(at_most("register", cell.into(), MAX_RANK.into())? as u8);
        }
        return Ok(0);
    }
    let mut next = 0;
    for _ in 0..filled {
        let index = from.varint("register")?.saturating_add(next);
        let index = at_most("register's index", index, REGISTERS as u64 - 1)?;
        out.extend((index as u16).to_le_bytes());
        out.push(from.byte("register")?);
        next = index + 1;
    }
    Ok(LISTED | filled as u32)
}
