//! How big a sketch is: from an error target to a table and a Count-Min matrix.

/// The geometry of a ledger and the seed of its hash; equal in all that is ever merged.
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
    /// Rows out of range.
    #[error("rows = {0}: a power of two from 32 to 16384 is needed")]
    Rows(usize),
}

impl Shape {
    /// A table of `rows` items and a tail whose estimates exceed `epsilon` of the weight with at most probability `delta`.
    pub fn new(rows: usize, epsilon: f64, delta: f64, seed: u64) -> Result<Shape, ShapeError> {
        let _ = (rows, epsilon, delta, seed);
        unimplemented!()
    }
    /// Items that a ledger holds exactly.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Rows of the Count-Min matrix.
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
