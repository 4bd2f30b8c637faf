//! How big a sketch is: users give an error target or the memory they have, this gives a geometry.
//!
//! Law: a Count-Min matrix of `depth` rows of `width` cells never underestimates, and overestimates by more than
//! `epsilon * N` with probability at most `(1 / (width * epsilon))^depth`, for a stream of weight `N` and an item
//! fixed before the hash's seed was chosen (Markov's inequality in each row; Cormode & Muthukrishnan, "An improved
//! data stream summary: the count-min sketch and its applications", J. Algorithms 55, 2005). The textbook takes
//! `width = e / epsilon` and `depth = ln(1 / delta)`, and so does [`Shape::classic`]. The same memory spent on width
//! gives smaller errors and fewer cells to touch, so [`Shape::new`] takes a power of two of at least `5 / epsilon`.
//!
//! It fails for items chosen by someone who knows the seed; the bounds of a sketch do not, they only widen.
//!
//! ```
//! use crest_sketches::{Kind, Shape};
//! let shape = Shape::new(4096, 0.001, 0.00005, 7)?;
//! assert_eq!((shape.kind(), shape.depth(), shape.width()), (Kind::Ledger, 5, 8192));
//! assert!(shape.epsilon(0.00005) < 0.001);
//! let classic = Shape::classic(1024, 0.001, 0.00005, 7)?;
//! assert_eq!((classic.kind(), classic.depth(), classic.width()), (Kind::Classic, 10, 2719));
//! let within = Shape::within(1 << 20, 40, 7)?;
//! assert!(within.bytes(40) <= 1 << 20 && within.rows() == 4096);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::distinct_set::DistinctSet;
use crate::pair_cache::PairCache;
use crate::registers::REGISTERS;
use crate::table;
use std::f64::consts::E;

/// The fewest and the most items that have a row of their own.
const ROWS: (usize, usize) = (32, 16_384);
/// The narrowest and the widest row of the Count-Min matrix, in cells.
const WIDTH: (usize, usize) = (64, 1 << 20);
/// The most rows of a ledger's matrix: each of them costs every event that has no row of its own.
const LEDGER_DEPTH: usize = 8;
/// The most rows of any Count-Min matrix.
pub(crate) const MAX_DEPTH: usize = 16;
/// The depth of [`Shape::within`], and how many cells of a row there are to a row of the table.
const WITHIN: (usize, usize) = (5, 2);

/// How a pane is counted. What is stored states it by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An exact table in front of a Count-Min tail.
    Ledger = 0,
    /// A Count-Min matrix beside Space-Saving's counters, to be compared with.
    Classic = 1,
    /// An exact table of all items.
    Exact = 2,
    /// A ledger of how many different values each item had.
    Distinct = 3,
    /// An exact table of all items, with every value that they had.
    ExactDistinct = 4,
}

/// The geometry of a sketch and the seed of its hash: equal in all that is ever merged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    kind: Kind,
    rows: usize,
    depth: usize,
    width: usize,
    seed: u64,
}

/// Why a shape was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ShapeError {
    /// The table's size is not one that there is.
    #[error("rows = {0}: allowed are the powers of two from {min} to {max}", min = ROWS.0, max = ROWS.1)]
    Rows(usize),
    /// The error target is out of reach of the widths that there are.
    #[error("epsilon = {epsilon}: allowed is from {least:e} to {most}")]
    Epsilon {
        /// As given.
        epsilon: f64,
        /// What the greatest width achieves.
        least: f64,
        /// What the least width achieves.
        most: f64,
    },
    /// The error probability is none, or out of reach of the depths that there are.
    #[error("delta = {delta}: with epsilon = {epsilon}, allowed is from {least:e} to below 1")]
    Delta {
        /// As given.
        delta: f64,
        /// As given.
        epsilon: f64,
        /// What the greatest depth achieves.
        least: f64,
    },
    /// Not even the smallest sketch fits.
    #[error("memory = {memory}: the smallest ledger takes {least} bytes")]
    Memory {
        /// As given, in bytes.
        memory: usize,
        /// Of the smallest ledger.
        least: usize,
    },
}

/// The seed, which may be a secret, is left out.
impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape { kind, rows, depth, width, seed: _ } = self;
        let mut shape = f.debug_struct("Shape");
        shape.field("kind", kind).field("rows", rows).field("depth", depth).field("width", width);
        shape.finish_non_exhaustive()
    }
}

impl Shape {
    /// A ledger of `rows` items, and a tail whose estimates are more than `epsilon` of the stream's weight too high
    /// with probability at most `delta`.
    ///
    /// # Errors
    /// A size out of range, which it names.
    pub fn new(rows: usize, epsilon: f64, delta: f64, seed: u64) -> Result<Shape, ShapeError> {
        let cells = cells(5.0, epsilon, 33)?;
        check_rows(rows)?;
        let width = cells.next_power_of_two();
        let depth = depth_for(1.0 / (width as f64 * epsilon), LEDGER_DEPTH, epsilon, delta)?;
        Ok(Shape { kind: Kind::Ledger, rows, depth, width, seed })
    }

    /// The textbook's pair: Space-Saving with `rows` counters beside a Count-Min matrix of `ln(1 / delta)` rows of
    /// `e / epsilon` cells.
    ///
    /// # Errors
    /// A size out of range, which it names.
    pub fn classic(rows: usize, epsilon: f64, delta: f64, seed: u64) -> Result<Shape, ShapeError> {
        let width = cells(E, epsilon, WIDTH.0)?;
        check_rows(rows)?;
        let depth = depth_for(1.0 / E, MAX_DEPTH, epsilon, delta)?;
        Ok(Shape { kind: Kind::Classic, rows, depth, width, seed })
    }

    /// The greatest ledger that holds at most `memory` bytes when it is full of keys of `key_bytes` in the mean:
    /// first the rows, with five times two cells to each; then, if it fits, a tail of twice the width.
    ///
    /// # Errors
    /// Not even the smallest one does.
    pub fn within(memory: usize, key_bytes: usize, seed: u64) -> Result<Shape, ShapeError> {
        let of = |rows: usize, width| Shape { kind: Kind::Ledger, rows, depth: WITHIN.0, width, seed };
        let sizes =
            std::iter::successors(Some(ROWS.0), |rows| Some(2 * rows)).take_while(|&rows| rows <= ROWS.1);
        let shapes = sizes.flat_map(|rows| [of(rows, WITHIN.1 * rows), of(rows, 2 * WITHIN.1 * rows)]);
        let fits = |shape: &Shape| shape.bytes(key_bytes) <= memory;
        let least = of(ROWS.0, WITHIN.1 * ROWS.0).bytes(key_bytes);
        shapes.filter(fits).last().ok_or(ShapeError::Memory { memory, least })
    }

    /// The same, but for all items having a row: only the plain Count-Min matrix of a union keeps the geometry.
    pub fn exact(self) -> Shape {
        let kind = if self.is_distinct() { Kind::ExactDistinct } else { Kind::Exact };
        Shape { kind, ..self }
    }

    /// The same, but for counting how many different values each item had, in place of its weight. A classic shape becomes
    /// that of a ledger with its matrix.
    pub fn distinct(self) -> Shape {
        let kind = if self.is_exact_kind() { Kind::ExactDistinct } else { Kind::Distinct };
        Shape { kind, ..self }
    }

    /// Whether different values are counted, and not weights.
    pub fn is_distinct(&self) -> bool {
        matches!(self.kind, Kind::Distinct | Kind::ExactDistinct)
    }

    /// Whether every item has a row, which is told apart from those of its hash by its key.
    pub(crate) fn is_exact_kind(&self) -> bool {
        matches!(self.kind, Kind::Exact | Kind::ExactDistinct)
    }

    /// How a pane is counted.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the matrix of a sketch counts what has a row as well.
    pub(crate) fn matrix_has_rows(&self) -> bool {
        self.kind == Kind::Classic
    }

    /// Items that have a row of their own: a pane of no more distinct ones is exact, and of an exact shape any is.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the Count-Min matrix: 1 to 16.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Cells in each of them; a power of two in a ledger.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Of the item hash.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The share of the weight in the matrix by which an estimate from it is too high with probability at most
    /// `delta`.
    pub fn epsilon(&self, delta: f64) -> f64 {
        delta.powf(-1.0 / self.depth as f64) / self.width as f64
    }

    /// What a sketch of one pane holds at most, in bytes, when it is full of keys of `key_bytes` in the mean, weighs
    /// less than 2^32 and has been given one: tables and matrix, and twice the keys, since they lie in memory that
    /// grows by doubling. An exact one of as many items holds as much without a matrix; where it counts different values,
    /// that is with one for each item. Of other items' values are up to two kilobytes a row.
    pub fn bytes(&self, key_bytes: usize) -> usize {
        let row = match self.kind {
            Kind::Ledger => table::ROW_BYTES,
            Kind::Classic => crate::space_saving::ROW_BYTES,
            Kind::Distinct => {
                let set = 2 * size_of::<DistinctSet>() + size_of::<u32>() + REGISTERS;
                table::DISTINCT_ROW_BYTES + set + PairCache::bytes_for(1)
            }
            Kind::Exact => return self.rows * (crate::exact::ROW_BYTES + 2 * key_bytes),
            Kind::ExactDistinct => {
                let row = crate::exact::ROW_BYTES + crate::exact_distinct::ROW_BYTES;
                return self.rows * (row + 2 * key_bytes);
            }
        };
        self.rows * (row + 2 * key_bytes) + self.depth * self.width * size_of::<u32>()
    }
}

fn check_rows(rows: usize) -> Result<(), ShapeError> {
    let known = rows.is_power_of_two() && (ROWS.0..=ROWS.1).contains(&rows);
    if known { Ok(()) } else { Err(ShapeError::Rows(rows)) }
}

/// `factor / epsilon` cells, from `fewest` on.
fn cells(factor: f64, epsilon: f64, fewest: usize) -> Result<usize, ShapeError> {
    let cells = (factor / epsilon).ceil();
    if epsilon > 0.0 && cells >= fewest as f64 && cells <= WIDTH.1 as f64 {
        return Ok(cells as usize);
    }
    Err(ShapeError::Epsilon { epsilon, least: factor / WIDTH.1 as f64, most: factor / fewest as f64 })
}

/// The fewest rows that err together with probability at most `delta`, each erring with probability `row`.
/// Multiplied out, since a logarithm may differ from one machine to the next.
fn depth_for(row: f64, most: usize, epsilon: f64, delta: f64) -> Result<usize, ShapeError> {
    let mut error = 1.0;
    for depth in 1..=most {
        error *= row;
        if error <= delta && delta < 1.0 {
            return Ok(depth);
        }
    }
    Err(ShapeError::Delta { delta, epsilon, least: error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_give_geometries() {
        let geometry = |epsilon, delta| Shape::new(64, epsilon, delta, 0).map(|s| (s.depth(), s.width()));
        assert_eq!(geometry(0.001, 0.00005), Ok((5, 8192)));
        assert_eq!(geometry(0.01, 0.01), Ok((3, 512)));
        assert_eq!(geometry(5.0 / 64.0, 0.5), Ok((1, 64)));
        assert_eq!(geometry(5.0 / (1 << 20) as f64, 0.5), Ok((1, 1 << 20)));
        let classic = |epsilon, delta| Shape::classic(64, epsilon, delta, 0).map(|s| (s.depth(), s.width()));
        assert_eq!(classic(0.001, 0.00005), Ok((10, 2719)));
        assert_eq!(classic(0.01, 0.01), Ok((5, 272)));
        assert_eq!(classic(0.04, 0.0000002), Ok((16, 68)));
    }

    #[test]
    fn memory_gives_geometries() {
        let geometry = |memory| Shape::within(memory, 35, 0).map(|s| (s.rows(), s.depth(), s.width()));
        assert_eq!(geometry(8_000), Ok((32, 5, 128)));
        assert_eq!(geometry(1 << 20), Ok((4096, 5, 16_384)));
        assert_eq!(geometry(usize::MAX), Ok((16_384, 5, 65_536)));
        for memory in [8_000, 50_000, 1 << 20, 1 << 22] {
            assert!(Shape::within(memory, 35, 0).unwrap().bytes(35) <= memory);
        }
        let refused = Shape::within(1000, 35, 0).unwrap_err().to_string();
        assert_eq!(refused, "memory = 1000: the smallest ledger takes 5568 bytes");
    }

    #[test]
    fn impossible_values_are_named() {
        for rows in [0, 16, 33, 100, 32_768, usize::MAX] {
            assert_eq!(Shape::new(rows, 0.001, 0.001, 0), Err(ShapeError::Rows(rows)));
            assert_eq!(Shape::classic(rows, 0.001, 0.001, 0), Err(ShapeError::Rows(rows)));
        }
        for epsilon in [0.0, -1.0, 0.16, 1.0, 1e-9, f64::INFINITY, f64::NAN] {
            for refused in [Shape::new(64, epsilon, 0.001, 0), Shape::classic(64, epsilon, 0.001, 0)] {
                assert!(
                    refused
                        .unwrap_err()
                        .to_string()
                        .starts_with(&format!("epsilon = {epsilon}: allowed is from "))
                );
            }
        }
        for delta in [0.0, -1.0, 1.0, 1e-9, f64::NAN] {
            for refused in [Shape::new(64, 0.001, delta, 0), Shape::classic(64, 0.001, delta, 0)] {
                let refused = refused.unwrap_err().to_string();
                assert!(
                    refused.starts_with(&format!("delta = {delta}: with epsilon = 0.001, allowed is from "))
                );
            }
        }
        let refused = Shape::new(100, 0.001, 0.001, 0).unwrap_err().to_string();
        assert_eq!(refused, "rows = 100: allowed are the powers of two from 32 to 16384");
    }
}
