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

    /// Counts `weight` more of the item of this hash.
    #[inline]
    pub fn add(&mut self, hash: u64, weight: u64) {
        self.add_at(&self.places(hash), weight);
    }

    /// Counts `weight` more of the item of this hash, if that leaves its estimate below `gate`; otherwise counts
    /// nothing and says the estimate.
    #[inline]
    pub(crate) fn add_below(&mut self, hash: u64, weight: u64, gate: u64) -> Result<(), u64> {
        let places = self.places(hash);
        let estimate = self.least_at(&places);
        if estimate + weight >= gate {
            return Err(estimate);
        }
        self.add_at(&places, weight);
        Ok(())
    }

    /// The weight of the item of this hash at most.
    #[inline]
    pub fn estimate(&self, hash: u64) -> u64 {
        self.least_at(&self.places(hash))
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
            (Cells::Narrow(_), Cells::Wide(_)) => debug_assert!(false, "width is a function of the weight"),
        }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => size_of_val(&**cells),
            Cells::Wide(cells) => size_of_val(&**cells),
        }
    }

    /// The item's cell in each row.
    #[inline]
    fn places(&self, hash: u64) -> Places {
        let mut places = Places { at: [0; MAX_DEPTH], depth: self.depth };
        for (row, (at, odd)) in places.at.iter_mut().zip(ODD).take(self.depth).enumerate() {
            *at = row << self.bits | (hash.wrapping_mul(odd) >> (64 - self.bits)) as usize;
        }
        places
    }

    #[inline]
    fn least_at(&self, places: &Places) -> u64 {
        let places = places.iter();
        let least = match &self.cells {
            Cells::Narrow(cells) => places.map(|at| u64::from(cells[at])).min(),
            Cells::Wide(cells) => places.map(|at| cells[at]).min(),
        };
        least.unwrap_or(self.weight)
    }

    #[inline]
    fn add_at(&mut self, places: &Places, weight: u64) {
        self.weight += weight;
        if self.weight > NARROW {
            self.widen();
        }
        match &mut self.cells {
            Cells::Narrow(cells) => places.iter().for_each(|at| cells[at] += weight as u32),
            Cells::Wide(cells) => places.iter().for_each(|at| cells[at] += weight),
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Cells::Narrow(cells) = &self.cells {
            self.cells = Cells::Wide(cells.iter().map(|&cell| u64::from(cell)).collect());
        }
    }
}

/// Where an item's cells are.
struct Places {
    at: [usize; MAX_DEPTH],
    depth: usize,
}

impl Places {
    #[inline]
    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.at.iter().take(self.depth).copied()
    }
}

fn sum<A: Copy + std::ops::AddAssign, B: Copy>(ours: &mut [A], theirs: &[B], widen: impl Fn(B) -> A) {
    for (ours, &theirs) in ours.iter_mut().zip(theirs) {
        *ours += widen(theirs);
    }
}
