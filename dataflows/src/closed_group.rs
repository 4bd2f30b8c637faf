//! One group of a closed pane, as far as shares have arrived: their union, as few unions of shares.
//!
//! To add each share to the union of those before would copy the rows of the first share once for each that follows, and
//! with shares of other items, take time by the square of their number. So unions of equally many shares are merged, as a
//! binary counter carries: of n shares, no row is copied more than about log2(n) times. A union is a sum, and does not
//! depend on the tree in which it was made.

use crate::frame::FrameError;
use crate::share::Uncut;
use crest_sketches::Shape;

/// One group of a closed pane, as far as shares have arrived.
pub(crate) struct ClosedGroup {
    newest: Run,
    /// Each is of more shares than the one after it, the last one of more than `newest`.
    earlier: Vec<Run>,
    /// The part of the refused weight that came from workers which have the group: the runs account for it already.
    pub(crate) settled: u64,
}

/// A run of shares that came one after the other.
struct Run {
    shares: u32,
    uncut: Uncut,
}

impl Run {
    /// The run with the one before it.
    fn after(self, before: Run, shape: &Shape) -> Result<Run, FrameError> {
        Ok(Run { shares: before.shares + self.shares, uncut: before.uncut.and(self.uncut, shape)? })
    }
}

impl ClosedGroup {
    /// Of the first share, whose worker has refused so much.
    pub(crate) fn new(uncut: Uncut, settled: u64) -> Self {
        ClosedGroup { newest: Run { shares: 1, uncut }, earlier: Vec::new(), settled }
    }

    /// The group with one more share.
    ///
    /// # Errors
    /// They do not fit together.
    pub(crate) fn and(mut self, uncut: Uncut, settled: u64, shape: &Shape) -> Result<Self, FrameError> {
        self.earlier.push(self.newest);
        let mut newest = Run { shares: 1, uncut };
        while let Some(before) = self.earlier.pop_if(|before| before.shares <= newest.shares) {
            newest = newest.after(before, shape)?;
        }
        Ok(ClosedGroup { newest, earlier: self.earlier, settled: self.settled + settled })
    }

    /// The weight counted.
    pub(crate) fn total(&self) -> u64 {
        let runs = self.earlier.iter().chain([&self.newest]);
        runs.fold(0, |sum, run| sum.saturating_add(run.uncut.total()))
    }

    /// The union of all shares.
    ///
    /// # Errors
    /// They do not fit together.
    pub(crate) fn union(mut self, shape: &Shape) -> Result<Uncut, FrameError> {
        let mut union = self.newest;
        while let Some(before) = self.earlier.pop() {
            union = union.after(before, shape)?;
        }
        Ok(union.uncut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Merged, PaneSketch};
    use proptest::prelude::*;

    /// What a worker has counted of some items, as it ships it: few items are exact rows alone.
    fn share(shape: &Shape, items: &[(u8, u32)], is_few: bool) -> Uncut {
        let (mut sketch, mut merged) = (PaneSketch::new(shape), Merged::new(shape));
        items.iter().for_each(|(item, weight)| sketch.add(&[*item], *weight));
        merged.add(&sketch);
        if is_few && sketch.is_exact() {
            return Uncut::Few(merged.cut(usize::MAX));
        }
        Uncut::Merged(Box::new(merged))
    }

    proptest! {
        /// A table of 32 rows overflows in some of the shares, and not in others.
        #[test]
        fn a_union_is_that_of_its_shares_one_after_the_other(
            shares in prop::collection::vec((prop::collection::vec((any::<u8>(), 1..9u32), 1..60), any::<bool>()), 1..40),
        ) {
            let shape = Shape::new(32, 0.01, 0.001, 7).unwrap();
            let mut all = shares.iter().map(|(items, is_few)| share(&shape, items, *is_few));
            let first = all.next().unwrap();
            let (mut group, mut straight) = (ClosedGroup::new(first.clone(), 1), first);
            for uncut in all {
                straight = straight.and(uncut.clone(), &shape).unwrap();
                group = group.and(uncut, 1, &shape).unwrap();
                prop_assert_eq!(group.total(), straight.total());
            }
            prop_assert_eq!(group.settled, shares.len() as u64);
            prop_assert_eq!(group.earlier.len() as u32 + 1, (shares.len() as u32).count_ones());
            let digest = |uncut: Uncut| uncut.cut(1000, 3, &shape).to_parts();
            prop_assert_eq!(digest(group.union(&shape).unwrap()), digest(straight));
        }
    }
}
