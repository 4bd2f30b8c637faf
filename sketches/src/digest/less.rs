//! What is left of a digest where another one is taken away from it: of what was counted, what was removed.
//!
//! Laws, as certain as the bounds of both are. With `[L, U]` of what was counted of an item and `[L', U']` of what was removed of it,
//! - what is left is in `[L - U', U - L']`, where less than nothing is 0; each item that was counted keeps its row, also one of
//!   which nothing is left;
//! - an item without a row was counted at most `floor` times, and no more is left of it;
//! - what is left of all items without a row is together at most what was counted of them.
//!
//! The doubt of a row may be greater than the floor, and what is left of all items, those with less than nothing among them, is not
//! what is left of those that have some. So the answer is no digest that could be merged or stored.
//!
//! **Costs**: for each row, one search among the rows of what was removed.

use super::{Difference, Digest, Row};
use crate::item_rank::Unlisted;
use crate::ranking::{Candidate, Ranking};

impl Digest {
    /// What is left of it where `removed` is taken away, whose items are hashed alike.
    ///
    /// ```
    /// use crest_sketches::{Bounds, Digest, Merged, PaneSketch, Shape, item_hash};
    /// let shape = Shape::new(64, 0.001, 0.00005, 7)?;
    /// let digest = |counts: &[(&[u8], u32)]| {
    ///     let mut pane = PaneSketch::new(&shape);
    ///     counts.iter().for_each(|(key, count)| pane.add(key, *count));
    ///     let mut merged = Merged::new(&shape);
    ///     merged.add(&pane);
    ///     merged.cut(10)
    /// };
    /// let (likes, unlikes) = (digest(&[(b"a", 9), (b"b", 7), (b"c", 2)]), digest(&[(b"a", 4), (b"c", 3)]));
    /// let left = likes.less(&unlikes);
    /// let top = left.rank(10);
    /// let rows: Vec<_> = top.rows.iter().map(|row| (&*row.key, row.bounds)).collect();
    /// assert_eq!(rows, [(&b"b"[..], Bounds::exactly(7)), (b"a", Bounds::exactly(5))]);
    /// assert_eq!((top.total, top.removed), (11, 7));
    /// assert_eq!(left.bounds(item_hash(b"c", 7), b"c"), Bounds::exactly(0));
    /// # Ok::<(), crest_sketches::ShapeError>(())
    /// ```
    ///
    /// # Panics
    /// If different values were counted in one of them, or one is such a difference itself.
    pub fn less(&self, removed: &Digest) -> Digest {
        for digest in [self, removed] {
            digest.assert_counted();
            assert!(!digest.is_distinct(), "of different values none are taken away");
        }
        let certain = self.rows.iter().fold(0, |sum: u64, row| sum.saturating_add(row.bounds.lower()));
        let left = |row: &Row| {
            let removed = removed.bounds(row.hash, self.keys.get(row.key));
            Row { bounds: row.bounds.less(&removed), ..row.clone() }
        };
        let difference = Difference { removed: removed.total, others: self.uncertain(certain) };
        Digest {
            total: self.total.saturating_sub(removed.total),
            floor: self.floor,
            rows: self.rows.iter().map(left).collect(),
            keys: self.keys.clone(),
            sets: Vec::new(),
            difference: Some(Box::new(difference)),
        }
    }

    /// The weight that was taken away; 0 where none was.
    pub fn removed(&self) -> u64 {
        self.difference.as_ref().map_or(0, |difference| difference.removed)
    }

    /// What is known of the items that are not among some, which have together at least the weight `certain`.
    pub fn unlisted(&self, certain: u64) -> Unlisted {
        let total = self.difference.as_ref().map_or_else(|| self.uncertain(certain), |it| it.others);
        Unlisted { each: self.floor, total }
    }

    /// What was counted and is not certainly of some, with what was not counted at all, which is within the floor.
    fn uncertain(&self, certain: u64) -> u64 {
        self.total.saturating_add(self.floor).saturating_sub(certain)
    }

    /// The top `k` of the items of which something may be left.
    pub(super) fn rank_left(&self, difference: &Difference, k: usize) -> Ranking {
        let row = |id| &self.rows[id as usize];
        let ids = (0..).take(self.rows.len());
        let candidates = ids.map(|id| Candidate { upper: row(id).bounds.upper(), id });
        let candidates = candidates.filter(|candidate| candidate.upper > 0);
        let (key, lower) = (|id| self.keys.get(row(id).key), |id| row(id).bounds.lower());
        let ranking = Ranking::new(self.total, self.floor, candidates, k, key, lower);
        Ranking { removed: difference.removed, ..ranking.to_owned() }
    }

    /// Whether it is of what was counted. A digest less another one is not to be added up.
    pub(super) fn assert_counted(&self) {
        assert!(self.difference.is_none(), "a difference is no digest of what was counted");
    }
}
