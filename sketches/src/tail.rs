//! Count-Min: the weight of every item at most, in a fixed matrix.
//!
//! Each row hashes an item to one cell and adds the weight there; the least of an item's cells is at least its
//! weight. Law: never too low; too high by more than `epsilon * N` with the probability that
//! [`Shape`] states. Matrices of one shape add cell by cell, in any order, into the matrix of the joined stream.
//! Updates are plain, not conservative: conservative ones err less but do not add up to one matrix of the whole
//! stream, which is what the tests of a ledger are checked against.
//!
//! ```
//! use crest_sketches::{CountMin, Shape, item_hash};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut counts = CountMin::new(&shape);
//! counts.add(item_hash(b"a", 7), 3);
//! counts.add(item_hash(b"b", 7), 5);
//! assert!(counts.estimate(item_hash(b"a", 7)) >= 3);
//! assert_eq!(counts.weight(), 8);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::Shape;
use crate::shape::MAX_DEPTH;

/// One odd multiplier a row: the high bits of `hash * odd` are its cell (multiply-shift hashing; Dietzfelbinger et
/// al., "A reliable randomized algorithm for the closest-pair problem", J. Algorithms 25, 1997). They are the
/// fractions of the square roots of the first eight primes, the first of them made odd.
const ODD: [u64; MAX_DEPTH] = [
    0x6a09_e667_f3bc_c909,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// A Count-Min matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMin {
    depth: usize,
    /// The logarithm of the width.
    bits: u32,
    weight: u64,
    cells: Cells,
}

/// Four bytes a cell while the whole weight fits four bytes, so that no cell can wrap; then eight. Which of them
/// is a function of the weight alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    Narrow(Box<[u32]>),
    Wide(Box<[u64]>),
}

/// The most weight that narrow cells hold.
pub(crate) const NARROW: u64 = u32::MAX as u64;

impl CountMin {
    /// The matrix of an empty stream.
    pub fn new(shape: &Shape) -> Self {
        let cells = Cells::Narrow(vec![0; shape.depth() * shape.width()].into());
        CountMin { depth: shape.depth(), bits: shape.width().trailing_zeros(), weight: 0, cells }
    }

    /// One of `shape` with these cells, in each of whose rows they sum to `weight`.
    pub(crate) fn from_cells(shape: &Shape, weight: u64, cells: Cells) -> Self {
        CountMin { depth: shape.depth(), bits: shape.width().trailing_zeros(), weight, cells }
    }

    /// Counts `weight` more of the item of this hash. All weights together must be less than 2^63.
    #[inline]
    pub fn add(&mut self, hash: u64, weight: u64) {
        let added = self.add_below(hash, weight, u64::MAX);
        debug_assert_eq!(added, Ok(()), "nothing reaches the greatest gate");
    }

    /// Counts `weight` more of the item of this hash, if that leaves its estimate below `gate`; otherwise counts
    /// nothing and says the estimate.
    #[inline]
    pub(crate) fn add_below(&mut self, hash: u64, weight: u64, gate: u64) -> Result<(), u64> {
        match self.depth {
            1 => self.add_rows::<1>(hash, weight, gate),
            2 => self.add_rows::<2>(hash, weight, gate),
            3 => self.add_rows::<3>(hash, weight, gate),
            4 => self.add_rows::<4>(hash, weight, gate),
            5 => self.add_rows::<5>(hash, weight, gate),
            6 => self.add_rows::<6>(hash, weight, gate),
            7 => self.add_rows::<7>(hash, weight, gate),
            _ => self.add_rows::<8>(hash, weight, gate),
        }
    }

    /// As [`add_below`](Self::add_below), with the depth known to the compiler: it is on the path of most events.
    fn add_rows<const DEPTH: usize>(&mut self, hash: u64, weight: u64, gate: u64) -> Result<(), u64> {
        let at: [usize; DEPTH] = std::array::from_fn(|row| place(hash, row, self.bits));
        let estimate = least(&self.cells, at.into_iter()).unwrap_or(0);
        if estimate + weight >= gate {
            return Err(estimate);
        }
        self.weight += weight;
        if self.weight > NARROW {
            self.widen();
        }
        match &mut self.cells {
            Cells::Narrow(cells) => at.into_iter().for_each(|at| cells[at] += weight as u32),
            Cells::Wide(cells) => at.into_iter().for_each(|at| cells[at] += weight),
        }
        Ok(())
    }

    /// The weight of the item of this hash at most.
    pub fn estimate(&self, hash: u64) -> u64 {
        least(&self.cells, (0..self.depth).map(|row| place(hash, row, self.bits))).unwrap_or(0)
    }

    /// The weight counted: the sum of each row of the matrix.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// The matrix, row by row.
    pub fn cells(&self) -> impl Iterator<Item = u64> + '_ {
        let (narrow, wide): (&[u32], &[u64]) = match &self.cells {
            Cells::Narrow(cells) => (cells, &[]),
            Cells::Wide(cells) => (&[], cells),
        };
        narrow.iter().map(|&cell| u64::from(cell)).chain(wide.iter().copied())
    }

    pub(crate) fn raw(&self) -> &Cells {
        &self.cells
    }

    /// Counts another stream's matrix, of the same shape, as well.
    pub(crate) fn absorb(&mut self, other: &CountMin) {
        debug_assert_eq!((self.depth, self.bits), (other.depth, other.bits));
        if self.weight + other.weight > NARROW {
            self.widen();
        }
        self.weight += other.weight;
        match (&mut self.cells, &other.cells) {
            (Cells::Narrow(ours), Cells::Narrow(theirs)) => sum(ours, theirs, |cell| cell),
            (Cells::Wide(ours), Cells::Wide(theirs)) => sum(ours, theirs, |cell| cell),
            (Cells::Wide(ours), Cells::Narrow(theirs)) => sum(ours, theirs, u64::from),
            // Wide cells weigh more than narrow ones hold, so ours were widened.
            (Cells::Narrow(_), Cells::Wide(_)) => unreachable!("narrow cells beside weightier wide ones"),
        }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => size_of_val(&**cells),
            Cells::Wide(cells) => size_of_val(&**cells),
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Cells::Narrow(cells) = &self.cells {
            self.cells = Cells::Wide(cells.iter().map(|&cell| u64::from(cell)).collect());
        }
    }
}

/// Where the item's cell of a row is, in rows of `1 << bits` cells.
#[inline]
fn place(hash: u64, row: usize, bits: u32) -> usize {
    row << bits | (hash.wrapping_mul(ODD[row]) >> (64 - bits)) as usize
}

#[inline]
fn least(cells: &Cells, at: impl Iterator<Item = usize>) -> Option<u64> {
    match cells {
        Cells::Narrow(cells) => at.map(|at| u64::from(cells[at])).min(),
        Cells::Wide(cells) => at.map(|at| cells[at]).min(),
    }
}

fn sum<A: Copy + std::ops::AddAssign, B: Copy>(ours: &mut [A], theirs: &[B], widen: impl Fn(B) -> A) {
    for (ours, &theirs) in ours.iter_mut().zip(theirs) {
        *ours += widen(theirs);
    }
}
