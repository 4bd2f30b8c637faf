//! A union as flat columns, and back, believing nothing.
//!
//! `words`: kind, seed, rows, depth, width, total, floor, unseen, number of rows; the hashes; the counts; the reliefs;
//! the matrix's cells if they are wide. `halves`: the keys' lengths; the matrix's cells if they are narrow. There is
//! a matrix when there is a floor, and it is narrow when its weight fits 32 bits.
//!
//! Of different values, the columns of the [sets](crate::set_columns) come before the matrix, and after the keys.

use super::{Merged, Row};
use crate::count_min::{Cells, CountMin, NARROW};
use crate::parts::{MAX_TOTAL, Parts, PartsError, at_most, length, read_rows};
use crate::set_columns::{SetColumns, lengths, put_sets};
use crate::shape::{Kind, Shape};

pub(crate) const HEADER: usize = 9;

impl Merged {
    /// As flat columns, equal for equal unions.
    pub fn to_parts(&self) -> Parts {
        let mut words = Vec::with_capacity(HEADER + 3 * self.rows.len());
        words.extend(shape_words(&self.shape));
        words.extend([self.total, self.floor, self.unseen, self.rows.len() as u64]);
        words.extend(self.rows.iter().map(|row| row.hash));
        words.extend(self.rows.iter().map(|row| row.count));
        words.extend(self.rows.iter().map(|row| row.relief));
        let halves: Vec<u32> = self.rows.iter().map(|row| row.key.len() as u32).collect();
        let mut parts = Parts { words, halves, bytes: self.keys.as_bytes().to_vec() };
        put_sets(&mut parts, &self.sets);
        let Parts { words, halves, .. } = &mut parts;
        match self.matrix.as_ref().map(CountMin::raw) {
            Some(Cells::Narrow(cells)) => halves.extend_from_slice(cells),
            Some(Cells::Wide(cells)) => words.extend_from_slice(cells),
            None => {}
        }
        parts
    }

    /// From flat columns, every claim of which is checked; whether keys are text is the caller's to know.
    pub fn from_parts(shape: &Shape, parts: Parts) -> Result<Self, PartsError> {
        let Parts { words, halves, mut bytes } = parts;
        let Some((header, columns)) = words.split_first_chunk::<HEADER>() else {
            return Err(PartsError::Length { column: "header", found: words.len(), expected: HEADER });
        };
        let &[kind, seed, rows, depth, width, total, floor, unseen, len] = header;
        check_shape([kind, seed, rows, depth, width], shape_words(shape))?;
        at_most("total", total, MAX_TOTAL)?;
        at_most("floor", floor, MAX_TOTAL)?;
        at_most("unseen", unseen, MAX_TOTAL)?;
        let len = at_most("number of rows", len, columns.len().min(halves.len()) as u64)? as usize;

        let (lens, narrow) = halves.split_at(len);
        if columns.len() / 3 < len {
            return Err(PartsError::Length { column: "rows", found: columns.len(), expected: 3 * len });
        }
        let (columns, rest) = columns.split_at(3 * len);
        let of_sets = if shape.is_distinct() { len } else { 0 };
        let Some((sizes, narrow)) = narrow.split_at_checked(of_sets) else {
            return Err(PartsError::Length { column: "sizes of sets", found: narrow.len(), expected: len });
        };
        let (of_hashes, of_registers) = lengths(sizes);
        let Some((hashes, wide)) = rest.split_at_checked(of_hashes) else {
            return Err(PartsError::Length { column: "hashes", found: rest.len(), expected: of_hashes });
        };
        let registers = bytes.split_off(bytes.len().saturating_sub(of_registers));
        let (by_key, mut counted) = (shape.is_exact_kind(), 0u64);
        let rows = read_rows(columns, lens, &bytes, by_key, |[hash, count, relief], key| {
            at_most("relief", relief, floor)?;
            counted = counted.checked_add(count).ok_or(PartsError::Sum { what: "rows" })?;
            Ok(Row { hash, count, relief, key })
        })?;
        let set_columns = SetColumns { sizes, hashes, registers: &registers };
        let sets = set_columns.read(shape.is_exact_kind(), rows.iter().map(|row| row.count))?;
        let weight = matrix_weight(shape, total, floor, counted)?;
        let matrix = read_matrix(shape, weight, narrow, wide)?;
        Ok(Merged { shape: shape.clone(), total, floor, unseen, rows, keys: bytes.into(), matrix, sets })
    }
}

pub(crate) fn shape_words(shape: &Shape) -> [u64; 5] {
    [shape.kind() as u64, shape.seed(), shape.rows() as u64, shape.depth() as u64, shape.width() as u64]
}

/// An error unless a header states what is needed.
pub(crate) fn check_shape(stated: [u64; 5], needed: [u64; 5]) -> Result<(), PartsError> {
    let split = |[kind, seed, rows, depth, width]: [u64; 5]| (seed, [kind, rows, depth, width]);
    let ((found_seed, found), (seed, expected)) = (split(stated), split(needed));
    if found != expected {
        return Err(PartsError::Shape { found, expected });
    }
    if found_seed == seed { Ok(()) } else { Err(PartsError::Seed) }
}

/// The weight of the matrix that a union has beside rows of the weight `counted`: 0 if it has none.
pub(crate) fn matrix_weight(shape: &Shape, total: u64, floor: u64, counted: u64) -> Result<u64, PartsError> {
    let Some(uncounted) = total.checked_sub(counted) else {
        return Err(PartsError::Sum { what: "rows" });
    };
    let weight = match shape.kind() {
        _ if floor == 0 => 0,
        Kind::Exact | Kind::ExactDistinct => {
            return Err(PartsError::Range { what: "floor", value: floor, most: 0 });
        }
        _ if shape.matrix_has_rows() => total,
        _ => uncounted,
    };
    // What has no row is below a floor, and what has a floor has weight below it.
    if (floor == 0) != (weight == 0) || (floor == 0 && uncounted > 0) {
        return Err(PartsError::Sum { what: "rows and floor" });
    }
    Ok(weight)
}

/// The matrix of `weight`, none if that is nothing.
fn read_matrix(
    shape: &Shape,
    weight: u64,
    narrow: &[u32],
    wide: &[u64],
) -> Result<Option<CountMin>, PartsError> {
    let cells = shape.depth() * shape.width();
    let expected = match weight {
        0 => (0, 0),
        1..=NARROW => (cells, 0),
        _ => (0, cells),
    };
    length("narrow cells", narrow.len(), expected.0)?;
    length("wide cells", wide.len(), expected.1)?;
    if weight == 0 {
        return Ok(None);
    }
    let sums = if weight <= NARROW {
        // No row has so many cells that 64 bits could not hold their sum.
        let sum = |row: &[u32]| row.iter().map(|&cell| u64::from(cell)).sum::<u64>();
        narrow.chunks_exact(shape.width()).all(|row| sum(row) == weight)
    } else {
        let sum = |row: &[u64]| row.iter().try_fold(0u64, |sum, &cell| sum.checked_add(cell));
        wide.chunks_exact(shape.width()).all(|row| sum(row) == Some(weight))
    };
    if !sums {
        return Err(PartsError::Sum { what: "cells" });
    }
    let cells = if weight <= NARROW { Cells::Narrow(narrow.into()) } else { Cells::Wide(wide.into()) };
    Ok(Some(CountMin::from_cells(shape, weight, cells)))
}
