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
//! assert!(counts.bounds(item_hash(b"a", 7)).upper() >= 3);
//! assert_eq!(counts.weight(), 8);
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

use crate::bounds::Bounds;
use crate::shape::{MAX_DEPTH, Shape};

/// One odd multiplier a row: the high bits of `hash * odd` are its cell (multiply-shift hashing; Dietzfelbinger et
/// al., "A reliable randomized algorithm for the closest-pair problem", J. Algorithms 25, 1997; brought into a range
/// that is no power of two by a second multiplication: Lemire, "Fast random integer generation in an interval", TOMACS
/// 29, 2019). They are the fractions of the square roots of the first sixteen primes, even ones made odd.
const ODD: [u64; MAX_DEPTH] = [
    0x6a09_e667_f3bc_c909,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
    0xcbbb_9d5d_c105_9ed9,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa5,
];

/// A Count-Min matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMin {
    depth: usize,
    width: usize,
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
        CountMin { depth: shape.depth(), width: shape.width(), weight: 0, cells }
    }

    /// One of `shape` with these cells, in each of whose rows they sum to `weight`.
    pub(crate) fn from_cells(shape: &Shape, weight: u64, cells: Cells) -> Self {
        CountMin { depth: shape.depth(), width: shape.width(), weight, cells }
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
            8 => self.add_rows::<8>(hash, weight, gate),
            _ => self.add_deep(hash, weight, gate),
        }
    }

    /// As [`add_below`](Self::add_below), with the depth known to the compiler: it is on the path of most events.
    fn add_rows<const DEPTH: usize>(&mut self, hash: u64, weight: u64, gate: u64) -> Result<(), u64> {
        let at: [usize; DEPTH] = std::array::from_fn(|row| place(hash, row, self.width));
        self.add_at(at.iter().copied(), weight, gate)
    }

    /// As [`add_below`](Self::add_below), for the depths of the textbook.
    fn add_deep(&mut self, hash: u64, weight: u64, gate: u64) -> Result<(), u64> {
        let width = self.width;
        self.add_at((0..self.depth).map(|row| place(hash, row, width)), weight, gate)
    }

    /// As [`add_below`](Self::add_below), of the item whose cells are these.
    #[inline]
    fn add_at(&mut self, at: impl Iterator<Item = usize> + Clone, weight: u64, gate: u64) -> Result<(), u64> {
        let estimate = least(&self.cells, at.clone()).unwrap_or(0);
        if estimate + weight >= gate {
            return Err(estimate);
        }
        self.weigh(weight);
        match &mut self.cells {
            Cells::Narrow(cells) => at.for_each(|at| cells[at] += weight as u32),
            Cells::Wide(cells) => at.for_each(|at| cells[at] += weight),
        }
        Ok(())
    }

    /// What the matrix says of the item of this hash, which is never that it has anything.
    pub fn bounds(&self, hash: u64) -> Bounds {
        Bounds::at_most(self.estimate(hash))
    }

    /// The weight of the item of this hash at most.
    pub(crate) fn estimate(&self, hash: u64) -> u64 {
        least(&self.cells, (0..self.depth).map(|row| place(hash, row, self.width))).unwrap_or(0)
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
        debug_assert_eq!((self.depth, self.width), (other.depth, other.width));
        self.weigh(other.weight);
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

    /// Adds to the weight, and makes the cells as wide as it asks for.
    #[inline]
    fn weigh(&mut self, weight: u64) {
        self.weight += weight;
        if self.weight > NARROW {
            self.widen();
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Cells::Narrow(cells) = &self.cells {
            self.cells = Cells::Wide(cells.iter().map(|&cell| u64::from(cell)).collect());
        }
    }
}

/// Where the item's cell of a row is, in rows of `width` cells.
#[inline]
fn place(hash: u64, row: usize, width: usize) -> usize {
    let fraction = u128::from(hash.wrapping_mul(ODD[row]));
    row * width + ((fraction * width as u128) >> 64) as usize
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
