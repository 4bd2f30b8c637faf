//! The values of rows as flat columns, and back, believing nothing.
//!
//! `halves`, one for each set: how many hashes it keeps; or, above the highest bit, how many registers it lists; or 0, where it has
//! all registers. `words`: the hashes of all sets, one after the other. `bytes`: the registers of all sets that have any, three
//! bytes for each that is listed, its index and its rank, or 2,048 bytes of ranks. So no column is longer than what it says.

use crate::distinct_set::{DistinctSet, MOST_HASHES};
use crate::parts::{Parts, PartsError, at_most, length};
use crate::registers::{MAX_RANK, MOST_SPARSE, REGISTERS, Registers};

/// Marks how many registers are listed.
pub(crate) const LISTED: u32 = 1 << 31;
/// Bytes of a listed register.
pub(crate) const LISTED_BYTES: usize = 3;

/// The columns of sets.
pub(crate) struct SetColumns<'a> {
    /// What each keeps.
    pub(crate) sizes: &'a [u32],
    pub(crate) hashes: &'a [u64],
    pub(crate) registers: &'a [u8],
}

/// What a set keeps, by its size.
pub(crate) enum Size {
    Hashes(usize),
    Listed(usize),
    All,
}

impl Size {
    pub(crate) fn of(size: u32) -> Self {
        match size {
            0 => Size::All,
            _ if size & LISTED > 0 => Size::Listed((size ^ LISTED) as usize),
            _ => Size::Hashes(size as usize),
        }
    }

    /// Bytes of its registers.
    pub(crate) fn register_bytes(&self) -> usize {
        match self {
            Size::Hashes(_) => 0,
            Size::Listed(listed) => listed.saturating_mul(LISTED_BYTES),
            Size::All => REGISTERS,
        }
    }
}

/// Appends the columns of sets.
pub(crate) fn put_sets(parts: &mut Parts, sets: &[DistinctSet]) {
    for set in sets {
        let hashes = set.hashes().unwrap_or_default();
        parts.words.extend_from_slice(hashes);
        match set.registers() {
            None => parts.halves.push(hashes.len() as u32),
            Some(registers) if registers.is_list() => {
                parts.halves.push(LISTED | registers.filled() as u32);
                for (index, rank) in registers.iter() {
                    parts.bytes.extend(index.to_le_bytes());
                    parts.bytes.push(rank);
                }
            }
            Some(registers) => {
                parts.halves.push(0);
                let start = parts.bytes.len();
                parts.bytes.resize(start + REGISTERS, 0);
                registers.iter().for_each(|(index, rank)| parts.bytes[start + usize::from(index)] = rank);
            }
        }
    }
}

/// How many hashes sets of these sizes keep, and how many bytes of registers they have.
pub(crate) fn lengths(sizes: &[u32]) -> (usize, usize) {
    sizes.iter().fold((0, 0), |(hashes, bytes): (usize, usize), &size| match Size::of(size) {
        Size::Hashes(these) => (hashes.saturating_add(these), bytes),
        registers => (hashes, bytes.saturating_add(registers.register_bytes())),
    })
}

impl SetColumns<'_> {
    /// The sets, of which one has counted as many pairs as `counted` says.
    pub(crate) fn read(
        &self,
        is_unlimited: bool,
        counted: impl Iterator<Item = u64>,
    ) -> Result<Vec<DistinctSet>, PartsError> {
        let (hashes, registers) = lengths(self.sizes);
        length("hashes of values", self.hashes.len(), hashes)?;
        length("registers", self.registers.len(), registers)?;
        let (mut hashes, mut registers) = (self.hashes, self.registers);
        let mut sets = Vec::with_capacity(self.sizes.len());
        for (&size, counted) in self.sizes.iter().zip(counted) {
            let size = Size::of(size);
            let (bytes, rest) = registers.split_at(size.register_bytes());
            registers = rest;
            let set = match size {
                Size::Hashes(size) => {
                    let (these, rest) = hashes.split_at(size);
                    hashes = rest;
                    of_hashes(these, is_unlimited, sets.len())?
                }
                _ if is_unlimited => return Err(PartsError::Sum { what: "values of an exact sketch" }),
                Size::Listed(_) => of_list(bytes, sets.len())?,
                Size::All => of_all(bytes)?,
            };
            at_most("number of values", set.lower(), counted)?;
            sets.push(set);
        }
        Ok(sets)
    }
}

/// The set of these hashes, which are in order and none of which is 0.
fn of_hashes(hashes: &[u64], is_unlimited: bool, row: usize) -> Result<DistinctSet, PartsError> {
    if !is_unlimited {
        at_most("number of hashes", hashes.len() as u64, MOST_HASHES as u64)?;
    }
    if hashes.first() == Some(&0) || !hashes.is_sorted_by(|a, b| a < b) {
        return Err(PartsError::Order { row });
    }
    Ok(DistinctSet::of_sorted(hashes.to_vec(), is_unlimited))
}

/// The set of the registers of a list, which are in order, and one at least.
fn of_list(bytes: &[u8], row: usize) -> Result<DistinctSet, PartsError> {
    let listed = bytes.as_chunks::<LISTED_BYTES>().0;
    let listed = listed.iter().map(|&[low, high, rank]| (u16::from_le_bytes([low, high]), rank));
    at_most("number of listed registers", listed.len() as u64, MOST_SPARSE as u64)?;
    if listed.len() == 0 || !listed.clone().is_sorted_by(|a, b| a.0 < b.0) {
        return Err(PartsError::Order { row });
    }
    for (index, rank) in listed.clone() {
        at_most("register's index", index.into(), REGISTERS as u64 - 1)?;
        rank_of(rank)?;
    }
    Ok(DistinctSet::of_registers(Registers::of(listed)))
}

/// The set of all these registers, of which more are not zero than would be listed.
fn of_all(ranks: &[u8]) -> Result<DistinctSet, PartsError> {
    let filled = (0..).zip(ranks.iter().copied()).filter(|(_, rank)| *rank > 0);
    for (_, rank) in filled.clone() {
        rank_of(rank)?;
    }
    let registers = Registers::of(filled);
    if registers.is_list() {
        return Err(PartsError::Sum { what: "registers" });
    }
    Ok(DistinctSet::of_registers(registers))
}

fn rank_of(rank: u8) -> Result<(), PartsError> {
    let is_one = (1..=MAX_RANK).contains(&rank);
    if is_one {
        Ok(())
    } else {
        Err(PartsError::Range { what: "register", value: rank.into(), most: MAX_RANK.into() })
    }
}
