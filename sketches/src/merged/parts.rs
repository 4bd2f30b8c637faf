//! A union as flat columns, and back, believing nothing.
//!
//! `words`: seed, rows, depth, width, total, floor, unseen, number of rows; the hashes; the counts; the reliefs; the
//! tail's cells if they are wide. `halves`: the keys' lengths; the tail's cells if they are narrow. There is a tail
//! when the rows do not make up the total, and it is narrow when the difference fits 32 bits.

use super::{Merged, Row};
use crate::keys::{KeyRef, MAX_KEY_BYTES};
use crate::parts::{MAX_TOTAL, at_most, length};
use crate::tail::{Cells, NARROW};
use crate::{CountMin, Parts, PartsError, Shape};

const HEADER: usize = 8;

impl Merged {
    /// As flat columns, equal for equal unions.
    pub fn to_parts(&self) -> Parts {
        let mut words = Vec::with_capacity(HEADER + 3 * self.rows.len());
        words.extend(shape_words(&self.shape));
        words.extend([self.total, self.floor, self.unseen, self.rows.len() as u64]);
        words.extend(self.rows.iter().map(|row| row.hash));
        words.extend(self.rows.iter().map(|row| row.count));
        words.extend(self.rows.iter().map(|row| row.relief));
        let mut halves: Vec<u32> = self.rows.iter().map(|row| row.key.len() as u32).collect();
        match self.tail.as_ref().map(CountMin::raw) {
            Some(Cells::Narrow(cells)) => halves.extend_from_slice(cells),
            Some(Cells::Wide(cells)) => words.extend_from_slice(cells),
            None => {}
        }
        Parts { words, halves, bytes: self.keys.as_bytes().to_vec() }
    }

    /// From flat columns, every claim of which is checked; whether keys are text is the caller's to know.
    pub fn from_parts(shape: &Shape, parts: Parts) -> Result<Self, PartsError> {
        let Parts { words, halves, bytes } = parts;
        let Some((header, columns)) = words.split_first_chunk::<HEADER>() else {
            return Err(PartsError::Length { column: "header", found: words.len(), expected: HEADER });
        };
        let &[seed, rows, depth, width, total, floor, unseen, len] = header;
        let (found, expected) = ([seed, rows, depth, width], shape_words(shape));
        if found != expected {
            return Err(PartsError::Shape { found, expected });
        }
        at_most("total", total, MAX_TOTAL)?;
        at_most("floor", floor, MAX_TOTAL)?;
        at_most("unseen", unseen, MAX_TOTAL)?;
        let len = at_most("number of rows", len, columns.len().min(halves.len()) as u64)? as usize;

        let (lens, narrow) = halves.split_at(len);
        let (rows, counted) = read_rows(len, columns, lens, bytes.len(), floor)?;
        let Some(weight) = total.checked_sub(counted) else {
            return Err(PartsError::Sum { what: "rows" });
        };
        let wide = columns.get(3 * len..).unwrap_or_default();
        let tail = read_tail(shape, weight, floor, narrow, wide)?;
        Ok(Merged { shape: shape.clone(), total, floor, unseen, rows, keys: bytes.into(), tail })
    }
}

fn shape_words(shape: &Shape) -> [u64; 4] {
    [shape.seed(), shape.rows() as u64, shape.depth() as u64, shape.width() as u64]
}

/// The rows, and the sum of their counts.
fn read_rows(
    len: usize,
    columns: &[u64],
    lens: &[u32],
    bytes: usize,
    floor: u64,
) -> Result<(Vec<Row>, u64), PartsError> {
    if columns.len() / 3 < len {
        return Err(PartsError::Length { column: "rows", found: columns.len(), expected: 3 * len });
    }
    let (hashes, rest) = columns.split_at(len);
    let (counts, rest) = rest.split_at(len);
    let (mut rows, mut at, mut counted, mut last) = (Vec::with_capacity(len), 0, 0u64, 0);
    for (row, (((&hash, &count), &relief), &key)) in hashes.iter().zip(counts).zip(rest).zip(lens).enumerate()
    {
        if hash <= last {
            return Err(PartsError::Order { row });
        }
        at_most("relief", relief, floor)?;
        let key = at_most("key length", key.into(), MAX_KEY_BYTES as u64)? as usize;
        counted = counted.checked_add(count).ok_or(PartsError::Sum { what: "rows" })?;
        rows.push(Row { hash, count, relief, key: KeyRef::new(at, key) });
        (at, last) = (at + key, hash);
    }
    length("keys", bytes, at)?;
    Ok((rows, counted))
}

/// The tail, which weighs `weight`: what has no row is below a floor.
fn read_tail(
    shape: &Shape,
    weight: u64,
    floor: u64,
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
    if floor == 0 {
        return Err(PartsError::Sum { what: "tail and floor" });
    }
    let sums = if weight <= NARROW {
        narrow.chunks_exact(shape.width()).all(|row| sums_to(row.iter().map(|&cell| cell.into()), weight))
    } else {
        wide.chunks_exact(shape.width()).all(|row| sums_to(row.iter().copied(), weight))
    };
    if !sums {
        return Err(PartsError::Sum { what: "cells" });
    }
    let cells = if weight <= NARROW { Cells::Narrow(narrow.into()) } else { Cells::Wide(wide.into()) };
    Ok(Some(CountMin::from_cells(shape, weight, cells)))
}

fn sums_to(mut cells: impl Iterator<Item = u64>, weight: u64) -> bool {
    cells.try_fold(0u64, u64::checked_add) == Some(weight)
}
