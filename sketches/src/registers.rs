//! The registers of a HyperLogLog: how many different values there were, in some two kilobytes.
//!
//! A value's hash chooses one of 2,048 registers and has a *rank*, one more than the number of zeros that its other bits
//! begin with; a register keeps the greatest rank that it was given (Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the
//! analysis of a near-optimal cardinality estimation algorithm", AofA 2007). The registers are a function of the set of
//! values, and those of a union are the greater ones of both, so that no order and no repetition leaves a trace.
//!
//! The estimate is Ertl's improved raw estimator (O. Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", 2017, arXiv:1702.01284, algorithm 6), which is good at any size and needs no table. Its sums, products and
//! square roots are rounded in the same way on every machine, as a logarithm is not.
//!
//! Few registers that are not zero are kept as a sorted list of them, as the sparse form of HyperLogLog++ does (Heule,
//! Nunkesser, Hall, "HyperLogLog in practice", EDBT 2013).

/// Bits of a hash that choose a register.
const PRECISION: u32 = 11;
/// How many registers there are.
pub(crate) const REGISTERS: usize = 1 << PRECISION;
/// The greatest rank: of a hash whose other bits are all zero.
pub(crate) const MAX_RANK: u8 = (64 - PRECISION + 1) as u8;
/// So many registers that are not zero are kept as a list: it takes as much memory as all of them would.
pub(crate) const MOST_SPARSE: usize = REGISTERS / size_of::<u32>();
/// `1 / (2 ln 2)`.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The greatest rank that each register was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registers(Form);

/// Which of them is a function of the number of registers that are not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// By index: the index above eight bits of rank.
    Sparse(Vec<u32>),
    Dense(Box<[u8; REGISTERS]>),
}

impl Registers {
    /// All of them zero.
    pub(crate) fn new() -> Self {
        Registers(Form::Sparse(Vec::new()))
    }

    /// These ranks of these indices, of which no rank is 0, and no index comes twice.
    pub(crate) fn of(ranks: impl Iterator<Item = (u16, u8)>) -> Self {
        let mut registers = Registers(Form::Sparse(Vec::with_capacity(ranks.size_hint().0)));
        ranks.for_each(|(index, rank)| _ = registers.raise(index, rank));
        registers
    }

    /// Whether few are not zero, which are kept as a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.0, Form::Sparse(_))
    }

    /// Those that are not zero, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, u8)> + '_ {
        let (sparse, dense): (&[u32], &[u8]) = match &self.0 {
            Form::Sparse(list) => (list, &[]),
            Form::Dense(all) => (&[], &**all),
        };
        let dense = (0..).zip(dense).filter(|(_, rank)| **rank > 0).map(|(index, &rank)| (index, rank));
        sparse.iter().map(|&entry| ((entry >> 8) as u16, entry as u8)).chain(dense)
    }

    /// Adds a value by its hash. Says whether a register rose, which it does for no value that was added before.
    pub(crate) fn add(&mut self, value: u64) -> bool {
        let (index, rank) = place(value);
        self.raise(index, rank)
    }

    /// Raises a register to a rank, if it is lower.
    pub(crate) fn raise(&mut self, index: u16, rank: u8) -> bool {
        match &mut self.0 {
            Form::Dense(all) => {
                let register = &mut all[usize::from(index)];
                let rises = rank > *register;
                *register = rank.max(*register);
                rises
            }
            Form::Sparse(list) => {
                let entry = u32::from(index) << 8 | u32::from(rank);
                match list.binary_search_by_key(&index, |entry| (entry >> 8) as u16) {
                    Ok(at) if list[at] >= entry => return false,
                    Ok(at) => list[at] = entry,
                    Err(at) => {
                        list.insert(at, entry);
                        self.spread();
                    }
                }
                true
            }
        }
    }

    /// Adds the values of another.
    pub(crate) fn union(&mut self, other: &Registers) {
        match (&mut self.0, &other.0) {
            (Form::Dense(ours), Form::Dense(theirs)) => {
                ours.iter_mut().zip(theirs.iter()).for_each(|(our, their)| *our = (*our).max(*their));
            }
            (Form::Sparse(_), Form::Dense(_)) => {
                let ours = std::mem::replace(self, other.clone());
                ours.iter().for_each(|(index, rank)| _ = self.raise(index, rank));
            }
            (Form::Dense(_), Form::Sparse(_)) => {
                other.iter().for_each(|(index, rank)| _ = self.raise(index, rank));
            }
            (Form::Sparse(ours), Form::Sparse(theirs)) => {
                ours.extend_from_slice(theirs);
                ours.sort(); // Two runs, which a stable sort merges.
                ours.dedup_by(|next, first| {
                    let same = *next >> 8 == *first >> 8;
                    if same {
                        *first = *next; // the greater rank comes later
                    }
                    same
                });
                self.spread();
            }
        }
    }

    /// How many are not zero.
    pub(crate) fn filled(&self) -> usize {
        match &self.0 {
            Form::Sparse(list) => list.len(),
            Form::Dense(all) => all.iter().filter(|rank| **rank > 0).count(),
        }
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Form::Sparse(list) => list.capacity() * size_of::<u32>(),
            Form::Dense(_) => REGISTERS,
        }
    }

    /// How many different values were added, by estimate.
    pub(crate) fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let mut counts = [0u32; MAX_RANK as usize + 1];
        match &self.0 {
            Form::Dense(all) => all.iter().for_each(|rank| counts[usize::from(*rank)] += 1),
            Form::Sparse(list) => {
                counts[0] = (REGISTERS - list.len()) as u32;
                list.iter().for_each(|entry| counts[(entry & 0xff) as usize] += 1);
            }
        }
        let last = usize::from(MAX_RANK);
        let mut z = m * tau(1.0 - f64::from(counts[last]) / m);
        for &count in counts[1..last].iter().rev() {
            z = 0.5 * (z + f64::from(count));
        }
        z += m * sigma(f64::from(counts[0]) / m);
        // A conversion to an integer saturates.
        (ALPHA * m * m / z).round() as u64
    }

    /// Keeps all registers, once too many are not zero.
    fn spread(&mut self) {
        if let Form::Sparse(list) = &self.0
            && list.len() > MOST_SPARSE
        {
            let mut all = Box::new([0; REGISTERS]);
            list.iter().for_each(|&entry| all[(entry >> 8) as usize] = entry as u8);
            self.0 = Form::Dense(all);
        }
    }
}

/// The register of a value, and its rank there. The hash is mixed first, so that these bits have nothing to do with how else
/// it is used (the finalizer of SplitMix64; Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn place(value: u64) -> (u16, u8) {
    let mixed = mix(value.wrapping_add(0x9e37_79b9_7f4a_7c15));
    // The bit after the last one ends the zeros.
    let rest = mixed << PRECISION | 1 << (PRECISION - 1);
    ((mixed >> (64 - PRECISION)) as u16, rest.leading_zeros() as u8 + 1)
}

/// A permutation of the words that leaves no pattern.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// `x + x^2 + 2 x^4 + 4 x^8 + …`, to the last bit.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// `(1 - x - (1 - x^(1/2))^2 / 2 - (1 - x^(1/4))^2 / 4 - …) / 3`, to the last bit.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As computed apart from this, from the definition of SplitMix64. If one changes, nothing that was stored can be merged.
    #[test]
    fn places_are_what_they_were() {
        assert_eq!([1, 2, 3, u64::MAX].map(place), [(1160, 2), (1210, 1), (232, 2), (1830, 1)]);
        let ranks: Vec<_> = (0..1 << 16).map(|value| place(value).1).collect();
        let of = |rank| ranks.iter().filter(|other| **other == rank).count();
        assert!(
            (32_000..33_500).contains(&of(1)) && (15_800..17_000).contains(&of(2)),
            "{} {}",
            of(1),
            of(2)
        );
    }

    #[test]
    fn the_series_are_what_they_say() {
        let x = 0.7f64;
        let terms = (1..12).map(|k| f64::from(1 << (k - 1)) * x.powi(1 << k));
        assert!((sigma(x) - (x + terms.sum::<f64>())).abs() < 1e-12);
        let terms = (1..60).map(|k| (1.0 - x.powf(0.5f64.powi(k))).powi(2) * 0.5f64.powi(k));
        assert!((tau(x) - (1.0 - x - terms.sum::<f64>()) / 3.0).abs() < 1e-12);
        assert_eq!((sigma(0.0), tau(0.0), tau(1.0), sigma(1.0)), (0.0, 0.0, 0.0, f64::INFINITY));
    }

    #[test]
    fn both_forms_say_the_same() {
        let mut one = Registers::new();
        let mut all = [0u8; REGISTERS];
        for value in 0..5000u64 {
            let (index, rank) = place(value);
            let register = &mut all[usize::from(index)];
            assert_eq!(one.add(value), rank > *register);
            *register = rank.max(*register);
            let filled = all.iter().filter(|rank| **rank > 0).count();
            assert_eq!((one.filled(), matches!(one.0, Form::Dense(_))), (filled, filled > MOST_SPARSE));
            assert!(!one.add(value), "a repetition raises nothing");
        }
        let kept: Vec<_> = (0..).zip(all).filter(|(_, rank)| *rank > 0).collect();
        assert_eq!(one.iter().collect::<Vec<_>>(), kept);
    }
}
