//! Which rows of a ranking are withheld, since what they say would be of too few: the rule of a board's `min_count`.
//!
//! Laws: a row is shown only where its lower bound reaches `min_count`. All that are not shown have together either nothing
//! or at least `min_count` for certain, so that the total less the rows is of no few either; where only little would be
//! left, the last rows are withheld too. A row that is withheld has at most the floor, which is too coarse to tell what it has.

use crest_sketches::{Bounds, Ranking};

/// What is withheld of a ranking.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// Of each row, whether it is; empty where none is.
    rows: Vec<bool>,
    /// What an item that is withheld has at most.
    pub(crate) floor: u64,
}

/// What those that are shown leave of a total.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    total: u64,
    /// Those that are shown have together at least so much, …
    lower: u64,
    /// … and at most so much.
    upper: u64,
}

impl Left {
    /// What these leave.
    pub(crate) fn by(total: u64, shown: impl Iterator<Item = Bounds>) -> Self {
        shown.fold(Left { total, lower: 0, upper: 0 }, |left, bounds| Left {
            lower: left.lower.saturating_add(bounds.lower()),
            upper: left.upper.saturating_add(bounds.upper()),
            ..left
        })
    }

    /// Whether that may be something, and less than `min_count`.
    pub(crate) fn is_of_few(&self, min_count: u64) -> bool {
        self.total > self.lower && self.total.saturating_sub(self.upper) < min_count
    }
}

impl Withheld {
    /// What a board with this `min_count` withholds; nothing where that is 0.
    pub(crate) fn of<K>(ranking: &Ranking<K>, min_count: u64) -> Self {
        if min_count == 0 {
            return Withheld::default();
        }
        let bounds = || ranking.rows.iter().map(|row| row.bounds);
        let mut rows: Vec<bool> = bounds().map(|bounds| bounds.lower() < min_count).collect();
        let shown = bounds().zip(&rows).filter(|(_, withheld)| !**withheld).map(|(bounds, _)| bounds);
        let mut left = Left::by(ranking.total, shown);
        for (withheld, bounds) in rows.iter_mut().zip(bounds()).rev() {
            if !left.is_of_few(min_count) {
                break;
            }
            if !*withheld {
                *withheld = true;
                left.lower = left.lower.saturating_sub(bounds.lower());
                left.upper = left.upper.saturating_sub(bounds.upper());
            }
        }
        let hidden = bounds().zip(&rows).filter(|(_, withheld)| **withheld);
        let most = hidden.map(|(bounds, _)| bounds.hidden(min_count).upper()).max();
        Withheld { floor: most.unwrap_or(min_count - 1), rows }
    }

    /// Whether the row at this place, counted from 0, is withheld.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.rows.get(place).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Bounds, RankedRow};
    use proptest::prelude::*;

    fn ranking(total: u64, bounds: &[(u64, u64)]) -> Ranking<()> {
        let rows = bounds.iter().map(|(lower, upper)| RankedRow {
            key: (),
            bounds: Bounds::new(*lower, *upper),
            estimate: None,
        });
        Ranking { total, rows: rows.collect(), ..Ranking::default() }
    }

    fn shown(ranking: &Ranking<()>, min_count: u64) -> (Vec<usize>, u64) {
        let withheld = Withheld::of(ranking, min_count);
        ((0..ranking.rows.len()).filter(|place| !withheld.has(*place)).collect(), withheld.floor)
    }

    #[test]
    fn what_is_left_is_of_no_few_either() {
        let rows = [(50, 50), (9, 30), (20, 20), (12, 12), (3, 3)];
        assert_eq!(shown(&ranking(200, &rows), 0), (vec![0, 1, 2, 3, 4], 0));
        assert_eq!(shown(&ranking(200, &rows), 10), (vec![0, 2, 3], 30), "30 may be 9");
        let rows = [(50, 50), (20, 20), (12, 12), (3, 3)];
        assert_eq!(shown(&ranking(85, &rows), 10), (vec![0, 1], 20), "85 less 82 would be the 3 of the last");
        assert_eq!(shown(&ranking(82, &rows[..3]), 10), (vec![0, 1, 2], 9), "where there are no others");
        assert_eq!(shown(&ranking(5, &[(3, 3), (2, 2)]), 10), (vec![], 9));
    }

    proptest! {
        #[test]
        fn the_laws_hold(rows in prop::collection::vec((0u64..40, 0u64..9), 0..9), more in 0u64..60, min_count in 1u64..30) {
            let bounds: Vec<_> = rows.iter().map(|(lower, doubt)| (*lower, lower + doubt)).collect();
            let total = more + bounds.iter().map(|(lower, _)| lower).sum::<u64>();
            let (shown, floor) = shown(&ranking(total, &bounds), min_count);
            let sum = |of: &dyn Fn(usize) -> u64| shown.iter().map(|place| of(*place)).sum::<u64>();
            prop_assert!(shown.iter().all(|place| bounds[*place].0 >= min_count));
            let (least, most) = (total.saturating_sub(sum(&|at| bounds[at].1)), total - sum(&|at| bounds[at].0));
            prop_assert!(most == 0 || least >= min_count || shown.is_empty());
            let hidden = (0..bounds.len()).filter(|place| !shown.contains(place));
            prop_assert!(hidden.map(|place| bounds[place].1).all(|upper| upper <= floor));
        }
    }
}
