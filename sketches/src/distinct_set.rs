//! The different values that an item had: each of them while they are few, and a HyperLogLog beyond.
//!
//! A set keeps the hashes of up to 64 values, and from the 65th on the [registers](crate::registers) of a HyperLogLog
//! with 2,048 of them; of an exact shape it keeps all hashes. Which it is, and every bit of it, is a function of the
//! set of hashes alone: repetitions, order and grouping leave no trace. (Beginning exactly and going over to registers is what
//! the HLL sketches of Apache DataSketches do, with a list and a hash set.)
//!
//! Laws, certain but for a collision of 64-bit hashes: a set has at least [`lower`](DistinctSet::lower) values, which
//! are those whose hashes it keeps, or as many as registers are not zero, and more than 64. An
//! [`estimate`](DistinctSet::estimate) is exact as far, and beyond has a standard error of `1.04 / sqrt(2048)`, 2.3 %.
//!
//! ```
//! use crest_sketches::{DistinctSet, item_hash};
//! let set = |values: std::ops::Range<u32>| {
//!     let mut set = DistinctSet::new();
//!     values.for_each(|value| _ = set.insert(item_hash(&value.to_le_bytes(), 7)));
//!     set
//! };
//! let mut few = set(0..40);
//! few.union(&set(20..60));
//! assert_eq!((few.lower(), few.estimate(), few.is_exact()), (60, 60, true));
//! few.union(&set(50..1000));
//! assert!(!few.is_exact() && few.lower() > 64 && (930..1070).contains(&few.estimate()));
//! assert_eq!(few, set(0..1000));
//! ```

use crate::bounds::Bounds;
use crate::estimate::Estimate;
use crate::registers::Registers;

/// The most values of which the hashes are kept, but in sets of exact shapes.
pub(crate) const MOST_HASHES: usize = 64;

/// The different values that an item had. The default is an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinctSet {
    kept: Kept,
    /// Whether all hashes are kept, however many.
    is_unlimited: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    /// In their order.
    Hashes(Vec<u64>),
    Registers(Registers),
}

/// What a set knows of a value that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was certainly not there before.
    New,
    /// It was there before.
    Before,
    /// It may have been there before: no register rose.
    Perhaps,
}

impl Default for DistinctSet {
    fn default() -> Self {
        DistinctSet::new()
    }
}

impl DistinctSet {
    /// No values, and hashes of up to 64.
    pub fn new() -> Self {
        DistinctSet { kept: Kept::Hashes(Vec::new()), is_unlimited: false }
    }

    /// No values, and hashes of as many as there will be.
    pub fn unlimited() -> Self {
        DistinctSet { is_unlimited: true, ..DistinctSet::new() }
    }

    /// The values of these hashes, which are in order, each once.
    pub(crate) fn of_sorted(hashes: Vec<u64>, is_unlimited: bool) -> Self {
        debug_assert!(hashes.is_sorted_by(|a, b| a < b));
        let mut set = DistinctSet { kept: Kept::Hashes(hashes), is_unlimited };
        set.outgrow();
        set
    }

    /// The values of these registers.
    pub(crate) fn of_registers(registers: Registers) -> Self {
        DistinctSet { kept: Kept::Registers(registers), is_unlimited: false }
    }

    /// Adds a value by its hash.
    pub fn insert(&mut self, value: u64) -> Seen {
        match &mut self.kept {
            Kept::Hashes(hashes) => match hashes.binary_search(&value) {
                Ok(_) => Seen::Before,
                Err(at) => {
                    hashes.insert(at, value);
                    self.outgrow();
                    Seen::New
                }
            },
            Kept::Registers(registers) => {
                if registers.add(value) {
                    Seen::New
                } else {
                    Seen::Perhaps
                }
            }
        }
    }

    /// Adds the values of another set. Hashes without a limit are kept where both keep them so.
    pub fn union(&mut self, other: &DistinctSet) {
        self.is_unlimited &= other.is_unlimited;
        match (&mut self.kept, &other.kept) {
            (Kept::Hashes(ours), Kept::Hashes(theirs)) => {
                ours.extend_from_slice(theirs);
                ours.sort(); // Two runs, which a stable sort merges.
                ours.dedup();
            }
            (Kept::Registers(ours), Kept::Registers(theirs)) => ours.union(theirs),
            (Kept::Registers(ours), Kept::Hashes(theirs)) => {
                theirs.iter().for_each(|value| _ = ours.add(*value));
            }
            (Kept::Hashes(ours), Kept::Registers(theirs)) => {
                let mut all = theirs.clone();
                ours.iter().for_each(|value| _ = all.add(*value));
                self.kept = Kept::Registers(all);
            }
        }
        self.outgrow();
    }

    /// Whether it keeps the hash of every value.
    pub fn is_exact(&self) -> bool {
        matches!(self.kept, Kept::Hashes(_))
    }

    /// The hashes of its values, in their order, if it keeps them.
    pub fn hashes(&self) -> Option<&[u64]> {
        match &self.kept {
            Kept::Hashes(hashes) => Some(hashes),
            Kept::Registers(_) => None,
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.hashes().is_some_and(<[u64]>::is_empty)
    }

    /// It has at least so many values, for certain.
    pub fn lower(&self) -> u64 {
        match &self.kept {
            Kept::Hashes(hashes) => hashes.len() as u64,
            Kept::Registers(registers) => registers.filled().max(MOST_HASHES + 1) as u64,
        }
    }

    /// So many values, by estimate.
    pub fn estimate(&self) -> u64 {
        match &self.kept {
            Kept::Hashes(hashes) => hashes.len() as u64,
            Kept::Registers(registers) => registers.estimate(),
        }
    }

    /// Memory held besides itself, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.kept {
            Kept::Hashes(hashes) => hashes.capacity() * size_of::<u64>(),
            Kept::Registers(registers) => registers.bytes(),
        }
    }

    /// Whether all hashes are kept, however many.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.is_unlimited
    }

    /// The registers, where the hashes are not kept.
    pub(crate) fn registers(&self) -> Option<&Registers> {
        match &self.kept {
            Kept::Hashes(_) => None,
            Kept::Registers(registers) => Some(registers),
        }
    }

    /// How many values its item had, if `counted` says how many pairs were counted that came to this set, and by how many more
    /// other values it may have had.
    pub(crate) fn bounds(&self, counted: Bounds) -> Bounds {
        let lower = self.lower();
        let most = if self.is_exact() { lower } else { counted.lower() };
        Bounds::new(lower, most + counted.doubt())
    }

    /// How many values its item had, by estimate, but within these bounds.
    pub(crate) fn estimate_within(&self, bounds: Bounds) -> Estimate {
        let count = self.estimate().clamp(bounds.lower(), bounds.upper());
        if self.is_exact() { Estimate::exactly(count) } else { Estimate::hyper_log_log(count) }
    }

    /// Goes over to registers, once there are too many hashes.
    fn outgrow(&mut self) {
        if let Kept::Hashes(hashes) = &self.kept
            && hashes.len() > MOST_HASHES
            && !self.is_unlimited
        {
            let mut registers = Registers::new();
            hashes.iter().for_each(|value| _ = registers.add(*value));
            self.kept = Kept::Registers(registers);
        }
    }
}
