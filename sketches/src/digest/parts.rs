//! A digest as flat columns, and back, believing nothing.
//!
//! `words`: total, floor; the hashes; the lower bounds; by how much the upper bounds are above them. `halves`: the
//! keys' lengths, which also say how many rows there are. The seed of the hashes is not among them: whoever stores
//! digests states it once for all.

use super::{Digest, Row};
use crate::bounds::Bounds;
use crate::parts::{MAX_TOTAL, Parts, PartsError, at_most, length, read_rows};

pub(crate) const HEADER: usize = 2;

impl Digest {
    /// As flat columns, equal for equal digests.
    pub fn to_parts(&self) -> Parts {
        let mut words = Vec::with_capacity(HEADER + 3 * self.rows.len());
        words.extend([self.total, self.floor]);
        words.extend(self.rows.iter().map(|row| row.hash));
        words.extend(self.rows.iter().map(|row| row.bounds.lower()));
        words.extend(self.rows.iter().map(|row| row.bounds.doubt()));
        let halves = self.rows.iter().map(|row| row.key.len() as u32).collect();
        Parts { words, halves, bytes: self.keys.as_bytes().to_vec() }
    }

    /// From flat columns, every claim of which is checked; whether keys are text is the caller's to know.
    pub fn from_parts(parts: Parts) -> Result<Self, PartsError> {
        let Parts { words, halves: lens, bytes } = parts;
        let len = lens.len();
        length("words", words.len(), HEADER + 3 * len)?;
        let (header, columns) = words.split_at(HEADER);
        let total = at_most("total", header[0], MAX_TOTAL)?;
        let floor = at_most("floor", header[1], 2 * MAX_TOTAL)?;
        length("keys", bytes.len(), lens.iter().map(|&len| len as usize).sum())?;

        let mut left = total;
        let rows = read_rows(columns, &lens, &bytes, true, |[hash, lower, doubt], key| {
            at_most("doubt", doubt, floor)?;
            left = left.checked_sub(lower).ok_or(PartsError::Sum { what: "rows" })?;
            Ok(Row { hash, bounds: Bounds::new(lower, lower + doubt), key })
        })?;
        Ok(Digest { total, floor, rows, keys: bytes.into() })
    }
}
