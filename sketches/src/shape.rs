//! How big a sketch is: users give an error target, this gives a geometry.
//!
//! Law: a Count-Min matrix of `depth` rows of `width` cells never underestimates, and overestimates by more than
//! `epsilon * N` with probability at most `(1 / (width * epsilon))^depth`, for a stream of weight `N` and an item
//! fixed before the hash's seed was chosen (Markov's inequality in each row; Cormode & Muthukrishnan, "An improved
//! data stream summary: the count-min sketch and its applications", J. Algorithms 55, 2005). The textbook takes
//! `width = e / epsilon` and as many rows as that costs; the same memory spent on width gives smaller errors and
//! fewer cells to touch, so here `width` is at least `5 / epsilon` and a power of two.
//!
//! It fails for items chosen by someone who knows the seed; the bounds of a [`Ledger`](crate::Ledger) do not,
//! they only widen.
//!
//! ```
//! use crest_sketches::Shape;
//! let shape = Shape::new(4096, 0.001, 0.00005, 7)?;
//! assert_eq!((shape.depth(), shape.width()), (5, 8192));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

/// The fewest and the most items that a ledger can hold exactly.
const ROWS: (usize, usize) = (32, 16_384);
/// The narrowest and the widest row of the Count-Min matrix, in cells.
const WIDTH: (usize, usize) = (64, 1 << 20);
/// The most rows of the Count-Min matrix.
pub(crate) const MAX_DEPTH: usize = 8;

/// The geometry of a sketch and the seed of its hash: equal in all that is ever merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
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
    #[error("epsilon = {0}: allowed is from {min} to {max}", min = 5.0 / WIDTH.1 as f64, max = 5.0 / 33.0)]
    Epsilon(f64),
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
}

impl Shape {
    /// A table of `rows` items, and a tail whose estimates are more than `epsilon` of the stream's weight too high
    /// with probability at most `delta`.
    pub fn new(rows: usize, epsilon: f64, delta: f64, seed: u64) -> Result<Shape, ShapeError> {
        if !rows.is_power_of_two() || rows < ROWS.0 || rows > ROWS.1 {
            return Err(ShapeError::Rows(rows));
        }
        let cells = (5.0 / epsilon).ceil();
        if !(epsilon > 0.0 && cells > (WIDTH.0 / 2) as f64 && cells <= WIDTH.1 as f64) {
            return Err(ShapeError::Epsilon(epsilon));
        }
        let width = (cells as usize).next_power_of_two();
        let depth = depth_for(1.0 / (width as f64 * epsilon), epsilon, delta)?;
        Ok(Shape { rows, depth, width, seed })
    }

    /// Items that a ledger holds exactly.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the Count-Min matrix: 1 to 8.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Cells in each of them: a power of two.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Of the item hash.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// The fewest rows that err together with probability at most `delta`, each erring with probability `row`.
/// Multiplied out, since a logarithm may differ from one machine to the next.
fn depth_for(row: f64, epsilon: f64, delta: f64) -> Result<usize, ShapeError> {
    let mut error = 1.0;
    for depth in 1..=MAX_DEPTH {
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
    }

    #[test]
    fn impossible_values_are_named() {
        for rows in [0, 16, 33, 100, 32_768, usize::MAX] {
            assert_eq!(Shape::new(rows, 0.001, 0.001, 0), Err(ShapeError::Rows(rows)));
        }
        for epsilon in [0.0, -1.0, 0.16, 1.0, 1e-9, f64::INFINITY] {
            assert_eq!(Shape::new(64, epsilon, 0.001, 0), Err(ShapeError::Epsilon(epsilon)));
        }
        assert!(matches!(Shape::new(64, f64::NAN, 0.001, 0), Err(ShapeError::Epsilon(_))));
        for delta in [0.0, -1.0, 1.0, 1e-9, f64::NAN] {
            let refused = Shape::new(64, 0.001, delta, 0).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("delta = {delta}: with epsilon = 0.001, allowed is from ")));
        }
        let refused = Shape::new(100, 0.001, 0.001, 0).unwrap_err().to_string();
        assert_eq!(refused, "rows = 100: allowed are the powers of two from 32 to 16384");
    }
}
