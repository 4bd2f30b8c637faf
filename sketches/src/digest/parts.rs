//! A digest as flat columns, and back, believing nothing.
//!
//! `words`: total, floor; the hashes; the lower bounds; by how much the upper bounds are above them. `halves`: the
//! keys' lengths, which also say how many rows there are. The seed of the hashes is not among them: whoever stores
//! digests states it once for all.
//!
//! A digest of different values has four words in the place of two: `u64::MAX`, which is no total, and the kind, then total
//! and floor. Its bounds are those of the pairs counted. Its columns end with those of the [sets](crate::set_columns).

use super::{Digest, Row};
use crate::bounds::Bounds;
use crate::distinct_set::DistinctSet;
use crate::keys::{Entry, KeyRef, Keys};
use crate::parts::{MAX_TOTAL, Parts, PartsError, at_most, check_rows, length, read_rows};
use crate::set_columns::{SetColumns, lengths, put_sets};
use crate::shape::Kind;

pub(crate) const HEADER: usize = 2;
/// Of a digest of different values.
pub(crate) const DISTINCT_HEADER: usize = 4;
/// What such a one begins with.
pub(crate) const DISTINCT: u64 = u64::MAX;

impl Digest {
    /// As flat columns, equal for equal digests.
    ///
    /// # Panics
    /// If it is a digest [less](Self::less) another.
    pub fn to_parts(&self) -> Parts {
        self.assert_counted();
        let mut words = Vec::with_capacity(DISTINCT_HEADER + 3 * self.rows.len());
        if let Some(kind) = self.kind() {
            words.extend([DISTINCT, kind as u64]);
        }
        words.extend([self.total, self.floor]);
        words.extend(self.rows.iter().map(|row| row.hash));
        words.extend(self.rows.iter().map(|row| row.bounds.lower()));
        words.extend(self.rows.iter().map(|row| row.bounds.doubt()));
        let halves = self.rows.iter().map(|row| row.key.len() as u32).collect();
        let mut parts = Parts { words, halves, bytes: self.keys.as_bytes().to_vec() };
        put_sets(&mut parts, &self.sets);
        parts
    }

    /// From flat columns, every claim of which is checked; whether keys are text is the caller's to know.
    pub fn from_parts(parts: Parts) -> Result<Self, PartsError> {
        let Parts { words, halves, mut bytes } = parts;
        let is_distinct = words.first() == Some(&DISTINCT);
        let (header, rows) = if is_distinct {
            if halves.is_empty() || halves.len() % 2 == 1 {
                let found = halves.len();
                return Err(PartsError::Length {
                    column: "sizes of sets",
                    found,
                    expected: 2 * found.div_ceil(2).max(1),
                });
            }
            (DISTINCT_HEADER, halves.len() / 2)
        } else {
            (HEADER, halves.len())
        };
        let (lens, sizes) = halves.split_at(rows);
        let (of_hashes, of_registers) = lengths(sizes);
        let expected = (header + 3 * rows).saturating_add(of_hashes);
        length("words", words.len(), expected)?;
        let (header, columns) = words.split_at(header);
        let (columns, hashes) = columns.split_at(3 * rows);
        let &[.., total, floor] = header else {
            return Err(PartsError::Length { column: "header", found: header.len(), expected: HEADER });
        };
        let mut check = Check::new(total, floor)?;
        let of_keys: usize = lens.iter().map(|&len| len as usize).sum();
        length("keys", bytes.len(), of_keys.saturating_add(of_registers))?;
        let registers = bytes.split_off(of_keys);

        let rows = read_rows(columns, lens, &bytes, true, |columns, key| check.row(columns, key))?;
        let mut sets = Vec::new();
        if is_distinct {
            let is_unlimited = is_exact(header[1])?;
            let counted = rows.iter().map(|row| row.bounds.lower());
            sets = SetColumns { sizes, hashes, registers: &registers }.read(is_unlimited, counted)?;
        }
        Ok(Digest { total, floor, rows, keys: bytes.into(), sets, difference: None })
    }

    /// Of entries by hash, then key, whose keys have so many bytes. Each has a hash, a lower bound and a doubt, all of which are
    /// checked, as are the bounds and doubts of those that were dropped.
    pub(crate) fn of_entries<'a>(
        total: u64,
        floor: u64,
        key_bytes: usize,
        entries: impl ExactSizeIterator<Item = Entry<'a>>,
        dropped: impl Iterator<Item = (u64, u64)>,
    ) -> Result<Self, PartsError> {
        let (mut check, mut keys) = (Check::new(total, floor)?, Keys::with_capacity(key_bytes));
        let mut raised = floor;
        for (lower, doubt) in dropped {
            raised = raised.max(check.bounds(lower, doubt)?.upper());
        }
        let entries = entries.inspect(|(.., key)| {
            keys.push(key);
        });
        let rows = check_rows(entries, true, |columns, key| check.row(columns, key))?;
        Ok(Digest { total, floor: raised, rows, keys, ..Digest::default() })
    }

    /// Of which kind it is, if of different values.
    pub(crate) fn kind(&self) -> Option<Kind> {
        let is_exact = self.sets.iter().all(DistinctSet::is_unlimited);
        self.is_distinct().then_some(if is_exact { Kind::ExactDistinct } else { Kind::Distinct })
    }
}

/// What is left to check of the numbers of a digest.
struct Check {
    floor: u64,
    /// The part of the total that no row has had yet.
    left: u64,
}

impl Check {
    fn new(total: u64, floor: u64) -> Result<Self, PartsError> {
        let left = at_most("total", total, MAX_TOTAL)?;
        Ok(Check { floor: at_most("floor", floor, 2 * MAX_TOTAL)?, left })
    }

    fn row(&mut self, [hash, lower, doubt]: [u64; 3], key: KeyRef) -> Result<Row, PartsError> {
        Ok(Row { hash, bounds: self.bounds(lower, doubt)?, key })
    }

    fn bounds(&mut self, lower: u64, doubt: u64) -> Result<Bounds, PartsError> {
        at_most("doubt", doubt, self.floor)?;
        self.left = self.left.checked_sub(lower).ok_or(PartsError::Sum { what: "rows" })?;
        Ok(Bounds::new(lower, lower + doubt))
    }
}

/// Whether a kind of digests of different values is the exact one.
fn is_exact(kind: u64) -> Result<bool, PartsError> {
    match kind {
        _ if kind == Kind::Distinct as u64 => Ok(false),
        _ if kind == Kind::ExactDistinct as u64 => Ok(true),
        _ => Err(PartsError::Range { what: "kind", value: kind, most: Kind::ExactDistinct as u64 }),
    }
}
