//! The top K of those who are not blocked.
//!
//! Law: the answer is a function of what is ranked, of K and of the list. It takes the rows that a ranking without the list
//! would have, as many as it needs: until there is one more than K who are not blocked, or no candidate is left. `outside`
//! is then of that one, so that what is guaranteed is of the others alone.
//!
//! **Costs**: nothing without a list; with one, a ranking of K rows and some more, and of four times as many again while
//! those who lead it are blocked.

use crate::blocklist::Blocked;
use crate::spec::BoardSpec;
use crest_sketches::Ranking;
use std::sync::Arc;

/// More rows than K that are asked for at once, at most, as one of the list may be among them.
const MORE: usize = 64;

/// How many rows are wanted, and whose are not.
#[derive(Clone, Debug)]
pub struct Top {
    k: usize,
    blocked: Option<Arc<Blocked>>,
}

impl From<usize> for Top {
    /// The first `k` of all.
    fn from(k: usize) -> Self {
        Top { k, blocked: None }
    }
}

impl Top {
    /// As many rows as the board has, by its list as it is now.
    pub fn of(board: &BoardSpec) -> Self {
        Top::first(board.k, board)
    }

    /// The first `k` rows of a board, by its list as it is now.
    pub fn first(k: usize, board: &BoardSpec) -> Self {
        Top { k, blocked: board.blocklist.now().filter(|blocked| !blocked.is_empty()) }
    }

    /// How many rows are wanted.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Whether an item is left out.
    pub fn blocks(&self, id: &[u8]) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| blocked.has(id))
    }

    /// Who is left out; `None` where nobody is.
    pub fn blocked(&self) -> Option<&Arc<Blocked>> {
        self.blocked.as_ref()
    }

    /// Asks for so many rows as it takes. `ask` ranks the number of rows that it is given, and [cuts](Self::cut) them.
    pub fn ask<R>(&self, mut ask: impl FnMut(usize) -> Result<R, usize>) -> R {
        let more = self.blocked.as_ref().map_or(0, |blocked| 1 + blocked.len().min(MORE));
        let mut rows = self.k.saturating_add(more);
        loop {
            match ask(rows) {
                Ok(answer) => return answer,
                Err(more) => rows = more,
            }
        }
    }

    /// Takes those who are blocked out of a ranking of so many rows, and keeps K.
    ///
    /// # Errors
    /// Too many of them are blocked: as many rows are needed as it says.
    pub fn cut<K: AsRef<[u8]>>(&self, mut ranking: Ranking<K>, rows: usize) -> Result<Ranking<K>, usize> {
        let Some(blocked) = &self.blocked else { return Ok(ranking) };
        let is_all = ranking.rows.len() < rows;
        ranking.rows.retain(|row| !blocked.has(row.key.as_ref()));
        let others = ranking.rows.get(self.k..).unwrap_or_default();
        if others.is_empty() && !is_all {
            return Err(rows.saturating_mul(4));
        }
        let most = others.iter().map(|row| row.bounds.upper()).max().unwrap_or(0);
        // Where counts are estimates, an item that comes later can have a greater upper bound.
        ranking.outside = if others.is_empty() { ranking.floor } else { most.max(ranking.outside) };
        ranking.rows.truncate(self.k);
        Ok(ranking)
    }

    /// The top of what `rank` ranks.
    pub fn rank<K: AsRef<[u8]>>(&self, rank: impl Fn(usize) -> Ranking<K>) -> Ranking<K> {
        self.ask(|rows| self.cut(rank(rows), rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::{Bounds, RankedRow};
    use proptest::prelude::*;

    fn ranked(rows: &[(String, u64)], k: usize) -> Ranking<String> {
        let row = |(key, count): &(String, u64)| RankedRow {
            key: key.clone(),
            bounds: Bounds::new(*count, *count),
            estimate: None,
        };
        let outside = rows.get(k).map_or(0, |(_, count)| *count).max(3);
        let rows = rows.iter().take(k).map(row).collect();
        Ranking { total: 1000, floor: 3, outside, rows, ..Ranking::default() }
    }

    proptest! {
        #[test]
        fn it_is_the_ranking_without_those_who_are_blocked(
            counts in prop::collection::vec((0u64..500, any::<bool>()), 0..600),
            k in 0usize..40,
        ) {
            let mut rows: Vec<(String, u64, bool)> =
                counts.iter().enumerate().map(|(at, (count, blocked))| (at.to_string(), *count, *blocked)).collect();
            rows.sort_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
            // Those who lead are blocked.
            rows.iter_mut().take(counts.len() / 2).for_each(|row| row.2 = true);
            let ids = rows.iter().filter(|row| row.2).map(|row| row.0.as_bytes().into()).collect();
            let top = Top { k, blocked: Some(Arc::new(Blocked::of(ids))) };
            let all: Vec<_> = rows.iter().map(|row| (row.0.clone(), row.1)).collect();
            let others: Vec<_> = rows.iter().filter(|row| !row.2).map(|row| (row.0.clone(), row.1)).collect();
            prop_assert_eq!(top.rank(|rows| ranked(&all, rows)), ranked(&others, k));
        }
    }
}
