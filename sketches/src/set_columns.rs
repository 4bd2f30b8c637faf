//! The values of rows as flat columns, and back, believing nothing.
//!
//! `halves`: how many hashes each set keeps, or 0 where it has registers. `words`: the hashes of all sets, one after the
//! other. `bytes`: the registers of all that have them, 2,048 bytes each.

use crate::distinct_set::{DistinctSet, MOST_HASHES};
use crate::parts::{Parts, PartsError, at_most, length};
use crate::registers::{MAX_RANK, REGISTERS, Registers};

/// The columns of sets.
pub(crate) struct SetColumns<'a> {
    /// Hashes kept by each.
    pub(crate) sizes: &'a [u32],
    pub(crate) hashes: &'a [u64],
    pub(crate) registers: &'a [u8],
}

/// Appends the columns of sets.
pub(crate) fn put_sets(parts: &mut Parts, sets: &[DistinctSet]) {
    for set in sets {
        let hashes = set.hashes().unwrap_or_default();
        parts.halves.push(hashes.len() as u32);
        parts.words.extend_from_slice(hashes);
        if let Some(registers) = set.registers() {
            let start = parts.bytes.len();
            parts.bytes.resize(start + REGISTERS, 0);
            registers.iter().for_each(|(index, rank)| parts.bytes[start + usize::from(index)] = rank);
        }
    }
}

/// How many hashes sets of these sizes keep, and how many bytes of registers they have.
pub(crate) fn lengths(sizes: &[u32]) -> (usize, usize) {
    let hashes = sizes.iter().fold(0usize, |sum, &size| sum.saturating_add(size as usize));
    (hashes, sizes.iter().filter(|size| **size == 0).count().saturating_mul(REGISTERS))
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
            let set = if size > 0 {
                let (these, rest) = hashes.split_at(size as usize);
                hashes = rest;
                of_hashes(these, is_unlimited, sets.len())?
            } else {
                let (these, rest) = registers.split_at(REGISTERS);
                registers = rest;
                if is_unlimited {
                    return Err(PartsError::Sum { what: "values of an exact sketch" });
                }
                of_registers(these)?
            };
            at_most("number of values", set.lower(), counted)?;
            sets.push(set);
        }
        Ok(sets)
    }
}

/// The set of these hashes, which are in order and none of which is 0.
pub(crate) fn of_hashes(hashes: &[u64], is_unlimited: bool, row: usize) -> Result<DistinctSet, PartsError> {
    if !is_unlimited {
        at_most("number of hashes", hashes.len() as u64, MOST_HASHES as u64)?;
    }
    if hashes.first() == Some(&0) || !hashes.is_sorted_by(|a, b| a < b) {
        return Err(PartsError::Order { row });
    }
    Ok(DistinctSet::of_sorted(hashes.to_vec(), is_unlimited))
}

/// The set of these registers, of which one at least is not zero.
fn of_registers(ranks: &[u8]) -> Result<DistinctSet, PartsError> {
    let mut registers = Registers::new();
    for (index, &rank) in (0..).zip(ranks).filter(|(_, rank)| **rank > 0) {
        at_most("register", rank.into(), MAX_RANK.into())?;
        registers.raise(index, rank);
    }
    if registers.filled() == 0 {
        return Err(PartsError::Sum { what: "registers" });
    }
    Ok(DistinctSet::of_registers(registers))
}
