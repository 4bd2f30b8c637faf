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
use crate::set_columns::lengths;

/// Appends the sets of these columns.
pub(super) fn put_sets(out: &mut Vec<u8>, sizes: &[u32], hashes: &[u64], registers: &[u8]) {
    sizes.iter().for_each(|&size| put_varint(out, size.into()));
    hashes.iter().for_each(|hash| out.extend(hash.to_le_bytes()));
    for ranks in registers.chunks_exact(REGISTERS) {
        let filled = ranks.iter().filter(|rank| **rank > 0).count();
        put_varint(out, filled as u64);
        if filled > MOST_SPARSE {
            put_cells(out, &ranks.iter().map(|&rank| u32::from(rank)).collect::<Vec<_>>());
            continue;
        }
        let mut next = 0;
        for (index, &rank) in (0..).zip(ranks).filter(|(_, rank)| **rank > 0) {
            put_varint(out, index - next);
            out.push(rank);
            next = index + 1;
        }
    }
}

/// Reads the sets of so many rows into the columns of parts, which have no other sets yet.
pub(super) fn take_sets(
    from: &mut Reader<'_>,
    rows: usize,
    is_unlimited: bool,
    parts: &mut Parts,
) -> Result<(), DecodeError> {
    let sizes = from.varints("sizes of sets", rows)?;
    for size in &sizes {
        let size = at_most("number of hashes", *size, u32::MAX.into())?;
        if is_unlimited {
            // No set of an exact sketch has registers.
            at_most("sets without hashes", u64::from(size == 0), 0)?;
        }
        parts.halves.push(size as u32);
    }
    let first = parts.halves.len() - rows;
    let (hashes, registers) = lengths(&parts.halves[first..]);
    let bytes = from.take("hashes of values", hashes.saturating_mul(8))?;
    let (words, _) = bytes.as_chunks();
    parts.words.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
    for _ in 0..registers / REGISTERS {
        take_registers(from, &mut parts.bytes)?;
    }
    Ok(())
}

fn take_registers(from: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let at = from.at();
    let filled = at_most("number of registers", from.varint("number of registers")?, REGISTERS as u64)?;
    let start = out.len();
    if filled > MOST_SPARSE as u64 {
        let cells = take_cells::<u32>(from, REGISTERS)?;
        if cells.iter().filter(|cell| **cell > 0).count() as u64 != filled {
            return Err(DecodeError::Form { what: "number of registers", at });
        }
        for cell in cells {
            out.push(at_most("register", cell.into(), MAX_RANK.into())? as u8);
        }
        return Ok(());
    }
    out.resize(start + REGISTERS, 0);
    let mut next = 0;
    for _ in 0..filled {
        let at = from.at();
        let index = from.varint("register")?.saturating_add(next);
        let index = at_most("register's index", index, REGISTERS as u64 - 1)?;
        let rank = from.byte("register")?;
        if rank == 0 {
            return Err(DecodeError::Form { what: "register", at });
        }
        out[start + index as usize] = at_most("register", rank.into(), MAX_RANK.into())? as u8;
        next = index + 1;
    }
    Ok(())
}
