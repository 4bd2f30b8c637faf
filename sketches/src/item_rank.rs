//! What is known of one item among all the others: its weight, and the ranks that it can have.
//!
//! An item's rank is one more than the number of items that rank before it: those of greater weight, and of equal weight
//! those of greater key. With `lower` and `upper` of its weight:
//!
//! - those rank before it for certain whose lower bound is above `upper`, so that it cannot rank better than behind them;
//! - those may rank before it whose upper bound is above `lower`, so that it cannot rank worse than behind them all.
//!
//! Of the items without a row, each has at most the floor, and all together at most what the rows do not certainly have.
//! Those that may rank before it have at least `lower` each, which bounds how many they are. Both ranks are as certain as
//! the bounds are.
//!
//! ```
//! use crest_sketches::{Bounds, ItemRank, RankRange, Unlisted};
//! let rows = [(&b"a"[..], Bounds::new(90, 95)), (b"b", Bounds::new(50, 70)), (b"c", Bounds::new(40, 60))];
//! let of = |key: &[u8]| ItemRank::among(rows.iter().copied(), Unlisted { each: 20, total: 60 }, key);
//! assert_eq!(of(b"c").range, Some(RankRange { best: 2, worst: 3 }));
//! // An item that has no row has at most 20: all rows are before it, and up to 60 others of weight 1.
//! assert_eq!(of(b"x").range, Some(RankRange { best: 4, worst: 64 }));
//! assert_eq!((of(b"x").bounds, of(b"x").listed), (Bounds::at_most(20), false));
//! ```

use crate::bounds::Bounds;
use crate::digest::Digest;

/// What is known of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRank {
    /// Of its weight.
    pub bounds: Bounds,
    /// Whether it has a row. Otherwise nothing is known of it but what is known of all that have none.
    pub listed: bool,
    /// The ranks that it can have; `None` where it certainly has no weight, and so no rank.
    pub range: Option<RankRange>,
}

/// The ranks that an item can have, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankRange {
    /// It ranks no better.
    pub best: u64,
    /// It ranks no worse.
    pub worst: u64,
}

/// What is known of the items without a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Each has at most this weight.
    pub each: u64,
    /// All together have at most this weight.
    pub total: u64,
}

impl ItemRank {
    /// Of the item `key`, among these rows and those that have none.
    pub fn among<'a>(
        rows: impl Iterator<Item = (&'a [u8], Bounds)> + Clone,
        unlisted: Unlisted,
        key: &[u8],
    ) -> ItemRank {
        let row = rows.clone().find(|(other, _)| *other == key);
        let bounds = row.map_or(Bounds::at_most(unlisted.each), |(_, bounds)| bounds);
        let (lower, upper) = (bounds.lower(), bounds.upper());
        let (mut before, mut perhaps_before) = (0, 0);
        for (other, theirs) in rows.filter(|(other, _)| *other != key) {
            // Of two of equal weight, the greater key ranks first. What has no weight has no rank.
            let ranks_first = |theirs: u64, ours: u64| theirs > ours || (theirs == ours && other > key);
            before += u64::from(theirs.lower() > 0 && ranks_first(theirs.lower(), upper));
            perhaps_before += u64::from(theirs.upper() > 0 && ranks_first(theirs.upper(), lower));
        }
        let least = lower.max(1);
        let others = if unlisted.each >= least { unlisted.total / least } else { 0 };
        let worst = 1 + perhaps_before + others;
        let range = (upper > 0).then_some(RankRange { best: 1 + before, worst });
        ItemRank { bounds, listed: row.is_some(), range }
    }
}

impl Digest {
    /// What is known of the item `key` among all that were counted.
    pub fn item_rank(&self, key: &[u8]) -> ItemRank {
        let rows = self.bounded_rows().map(|(_, key, bounds)| (key, bounds));
        // Of different values, the pairs counted: others have no more values than pairs.
        let certain = self.counted_rows().fold(0, |sum: u64, row| sum.saturating_add(row.2.lower()));
        ItemRank::among(rows, self.unlisted(certain), key)
    }
}
