//! What is known of an item's weight: certainly not below one number, certainly not above another.
//!
//! Law: bounds of disjoint parts of a stream add up to bounds of the whole. They are certain, not probable, but for
//! a collision of 64-bit hashes: then they hold for the weight of the colliding items together.
//!
//! ```
//! use crest_sketches::Bounds;
//! let (morning, evening) = (Bounds::exactly(4), Bounds::at_most(3));
//! let day = morning + evening;
//! assert_eq!((day.lower(), day.upper(), day.doubt(), day.is_exact()), (4, 7, 3, false));
//! assert!(day.contains(5) && !day.contains(8));
//! assert!(day.certainly_reach(&Bounds::at_most(4)));
//! assert_eq!(day.less(&Bounds::new(2, 5)), Bounds::at_most(5));
//! ```

use std::iter::Sum;
use std::ops::Add;

/// `lower <= true weight <= upper`. The one is not to be had without the other, so that an estimate is never mistaken
/// for a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    lower: u64,
    upper: u64,
}

impl Bounds {
    /// These bounds.
    ///
    /// # Panics
    /// If the lower one is above the upper one.
    pub fn new(lower: u64, upper: u64) -> Self {
        assert!(lower <= upper, "a lower bound of {lower} above an upper one of {upper}");
        Bounds { lower, upper }
    }

    /// A weight that is known.
    pub fn exactly(weight: u64) -> Self {
        Bounds { lower: weight, upper: weight }
    }

    /// A weight of which only this is known.
    pub fn at_most(upper: u64) -> Self {
        Bounds { lower: 0, upper }
    }

    /// It is at least this.
    pub fn lower(&self) -> u64 {
        self.lower
    }

    /// It is at most this.
    pub fn upper(&self) -> u64 {
        self.upper
    }

    /// The weight is off from either bound by at most this.
    pub fn doubt(&self) -> u64 {
        self.upper - self.lower
    }

    /// Whether the weight is known.
    pub fn is_exact(&self) -> bool {
        self.lower == self.upper
    }

    /// Whether the weight may be this.
    pub fn contains(&self, weight: u64) -> bool {
        (self.lower..=self.upper).contains(&weight)
    }

    /// What is left of the weight where another one is taken away from it; where that is nothing or less, 0.
    pub fn less(&self, removed: &Bounds) -> Bounds {
        let (lower, upper) =
            (self.lower.saturating_sub(removed.upper), self.upper.saturating_sub(removed.lower));
        Bounds { lower, upper }
    }

    /// What may be told of the weight where none below `least` is to be told: it itself where it is certainly so much, and otherwise
    /// what is told of one that is [hidden](Self::hidden).
    pub fn shown(&self, least: u64) -> Bounds {
        if self.lower >= least { *self } else { self.hidden(least) }
    }

    /// No more than that the weight is less than `least`, or at most the next multiple of it: what it lacks to another number, that is
    /// told beside it, is then as uncertain as that.
    pub fn hidden(&self, least: u64) -> Bounds {
        let least = least.max(1);
        let most =
            if self.upper < least { least - 1 } else { self.upper.div_ceil(least).saturating_mul(least) };
        Bounds::at_most(most)
    }

    /// Whether the weight is at least the other one, whatever both are within their bounds.
    pub fn certainly_reach(&self, other: &Bounds) -> bool {
        self.lower >= other.upper
    }
}

impl Add for Bounds {
    type Output = Bounds;

    fn add(self, other: Bounds) -> Bounds {
        Bounds { lower: self.lower + other.lower, upper: self.upper + other.upper }
    }
}

impl Sum for Bounds {
    fn sum<I: Iterator<Item = Bounds>>(bounds: I) -> Bounds {
        bounds.fold(Bounds::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::Bounds;

    #[test]
    #[should_panic(expected = "a lower bound of 2 above an upper one of 1")]
    fn bounds_do_not_cross() {
        Bounds::new(2, 1);
    }

    #[test]
    fn what_is_hidden_is_as_uncertain_as_the_least_that_is_told() {
        let shown = |lower, upper, least| Bounds::new(lower, upper).shown(least);
        assert_eq!(shown(20, 25, 20), Bounds::new(20, 25));
        assert_eq!((shown(0, 0, 20), shown(19, 19, 20)), (Bounds::at_most(19), Bounds::at_most(19)));
        assert_eq!(
            (shown(19, 21, 20), Bounds::exactly(97).hidden(20)),
            (Bounds::at_most(40), Bounds::at_most(100))
        );
        assert_eq!(
            (shown(3, 9, 0), Bounds::exactly(u64::MAX).hidden(20)),
            (Bounds::new(3, 9), Bounds::at_most(u64::MAX))
        );
    }

    #[test]
    fn bounds_add_up() {
        let bounds = [Bounds::new(1, 2), Bounds::exactly(5), Bounds::at_most(4)];
        assert_eq!(bounds.into_iter().sum::<Bounds>(), Bounds::new(6, 11));
        assert_eq!([].into_iter().sum::<Bounds>(), Bounds::exactly(0));
    }
}
