//! A sketch as flat columns: what travels between processes and what stores encode.
//!
//! Columns of one width stand one after the other, so that whoever encodes them sees three plain vectors. Reading
//! them back checks every claim: no length, order, range or sum in them is believed.
//!
//! ```
//! use crest_sketches::{Merged, PaneSketch, PartsError, Shape};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut pane = PaneSketch::new(&shape);
//! pane.add(b"a", 5);
//! let mut union = Merged::new(&shape);
//! union.add(&pane);
//! let parts = union.to_parts();
//! assert_eq!(Merged::from_parts(&shape, parts.clone())?, union);
//! let other = Shape::new(64, 0.001, 0.00005, 8)?;
//! assert!(matches!(Merged::from_parts(&other, parts), Err(PartsError::Seed)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::keys::{Entry, KeyRef, MAX_KEY_BYTES};

/// The columns of a [`Merged`](crate::Merged) or a [`Digest`](crate::Digest). Equal sketches have equal parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The header, then the 64-bit columns.
    pub words: Vec<u64>,
    /// The 32-bit columns.
    pub halves: Vec<u32>,
    /// The bytes of the keys, in the order of the rows.
    pub bytes: Vec<u8>,
}

/// Why parts were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// They were counted in another geometry.
    #[error("counted with kind, rows, depth and width {found:?}, but {expected:?} are in use here")]
    Shape {
        /// As stated in the header.
        found: [u64; 4],
        /// As needed.
        expected: [u64; 4],
    },
    /// Their items were hashed with another seed. Which ones these are is a secret.
    #[error("items hashed with another seed than the one in use here")]
    Seed,
    /// A column is longer or shorter than the header or another column says.
    #[error("the column of {column} has {found} entries where {expected} belong")]
    Length {
        /// Which.
        column: &'static str,
        /// Entries that there are.
        found: usize,
        /// Entries that there should be.
        expected: usize,
    },
    /// Rows are not in their order, or one comes twice.
    #[error("row {row} is out of order")]
    Order {
        /// Its number, from 0.
        row: usize,
    },
    /// A value is one that no sketch has.
    #[error("{what} is {value}, where at most {most} is possible")]
    Range {
        /// Which.
        what: &'static str,
        /// As found.
        value: u64,
        /// The greatest that could be.
        most: u64,
    },
    /// Rows and matrix do not add up to the total.
    #[error("the weights of {what} do not add up")]
    Sum {
        /// Which.
        what: &'static str,
    },
}

/// The greatest total of one sketch that is believed: a quarter of what 64 bits hold, and more than two years of a
/// million events a second of weight 65,536.
pub(crate) const MAX_TOTAL: u64 = 1 << 62;

/// The sum of weights that many sketches may have together.
///
/// # Panics
/// If it is beyond 64 bits: a bound that wrapped would be a wrong answer.
pub(crate) fn sum(ours: u64, theirs: u64) -> u64 {
    let sum = ours.checked_add(theirs);
    assert!(sum.is_some(), "the weights {ours} and {theirs} are together too great for a sketch");
    sum.unwrap_or(u64::MAX)
}

/// `value`, if it is at most `most`.
pub(crate) fn at_most(what: &'static str, value: u64, most: u64) -> Result<u64, PartsError> {
    if value <= most { Ok(value) } else { Err(PartsError::Range { what, value, most }) }
}

/// An error unless the column has the length it should have.
pub(crate) fn length(column: &'static str, found: usize, expected: usize) -> Result<(), PartsError> {
    if found == expected { Ok(()) } else { Err(PartsError::Length { column, found, expected }) }
}

/// The rows whose hashes and two other columns are `columns`, one after the other, and whose keys follow each other in
/// `bytes`, as [`check_rows`] makes them.
pub(crate) fn read_rows<R>(
    columns: &[u64],
    lens: &[u32],
    bytes: &[u8],
    by_key: bool,
    row: impl FnMut([u64; 3], KeyRef) -> Result<R, PartsError>,
) -> Result<Vec<R>, PartsError> {
    let of_keys = lens.iter().fold(0usize, |sum, &len| sum.saturating_add(len as usize));
    length("keys", bytes.len(), of_keys)?;
    let (hashes, rest) = columns.split_at(lens.len());
    let (ones, others) = rest.split_at(lens.len());
    let mut at = 0;
    let entry = |(((&hash, &one), &other), &len): (((&u64, &u64), &u64), &u32)| {
        let start = at;
        at += len as usize;
        (hash, one, other, &bytes[start..at])
    };
    check_rows(hashes.iter().zip(ones).zip(others).zip(lens).map(entry), by_key, row)
}

/// The rows of these entries, which come by hash, or by hash, then key. `row` makes a row of its hash, its two other
/// values, and its key among all of them, one after the other.
pub(crate) fn check_rows<'a, R>(
    entries: impl ExactSizeIterator<Item = Entry<'a>>,
    by_key: bool,
    mut row: impl FnMut([u64; 3], KeyRef) -> Result<R, PartsError>,
) -> Result<Vec<R>, PartsError> {
    // No hash is 0.
    let (mut rows, mut at, mut last) = (Vec::with_capacity(entries.len()), 0, (0, &[][..]));
    for (hash, one, other, key) in entries {
        at_most("key length", key.len() as u64, MAX_KEY_BYTES as u64)?;
        let this = (hash, key);
        let in_order = if by_key { hash > 0 && this > last } else { hash > last.0 };
        if !in_order {
            return Err(PartsError::Order { row: rows.len() });
        }
        rows.push(row([hash, one, other], KeyRef::new(at, key.len()))?);
        (at, last) = (at + key.len(), this);
    }
    Ok(rows)
}
