//! The top of what is left of a window where another one is taken away from it: of what was counted, what was removed.
//!
//! Laws: they are those of a [difference](crate::Digest::less) of the two, as each of them knows its items. Rows are the K candidates
//! of what was counted of which most may be left; a candidate of which certainly nothing is left is no row. An item that is no
//! candidate of what was counted has at most the floor of that.
//!
//! **Costs**: a pass over the candidates of each, and for each candidate of what was removed a look for the same item among the
//! others.

use super::candidates::Sum;
use super::few::{FewRow, add_up};
use super::{Form, MIXED, Removed, WindowSum, add_few, rows_of};
use crate::bounds::Bounds;
use crate::digest::Digest;
use crate::parts::sum;
use crate::ranking::{Candidate, Ranking};

/// What some nodes and open panes have of their items, in no particular order.
struct Gathered<'a> {
    rows: Vec<FewRow<'a>>,
    total: u64,
    floor: u64,
}

impl WindowSum {
    /// The top `k` of what is left where `removed` is taken away.
    pub fn rank_less(&self, removed: &Removed<'_>, k: usize) -> Ranking {
        self.rank_less_with(0, &[], removed, k, |ranking| ranking.to_owned())
    }

    /// What `then` makes of the top `k` of what is left, as if the nodes before `expire_before` were gone on both sides, and the
    /// digests `open` had been added. Its keys are not copied for it.
    ///
    /// # Panics
    /// If different values are counted.
    pub fn rank_less_with<R>(
        &self,
        expire_before: u64,
        open: &[&Digest],
        removed: &Removed<'_>,
        k: usize,
        then: impl FnOnce(Ranking<&[u8]>) -> R,
    ) -> R {
        let (total, floor) = self.sums_from(expire_before, open);
        let floor = sum(floor, removed.unseen);
        let mut gone = removed.sum.gathered(expire_before, removed.open);
        gone.floor = sum(gone.floor, removed.unseen);
        let mut rows = rows_of(open);
        match &self.form {
            Form::Few(few) => {
                add_few(few, expire_before, &mut rows);
                let place =
                    |hash, key: &[u8]| rows.binary_search_by(|row| (row.hash, row.key).cmp(&(hash, key)));
                let find = |hash, key: &[u8]| place(hash, key).ok().map(|at| at as u32);
                let left = Left::new(floor, rows.len(), &gone, find);
                let candidates = left.candidates((0..).zip(rows.iter().map(|row| &row.sum)));
                let row = |id: u32| &rows[id as usize];
                let lower = |id| left.of(id, &row(id).sum).lower();
                then(left.shown(total, Ranking::new(total, floor, candidates, k, |id| row(id).key, lower)))
            }
            Form::Running(running) => {
                add_up(&mut rows);
                let all = running.with_open(expire_before, &rows);
                let left = Left::new(floor, all.sums.len(), &gone, |hash, key| all.find(hash, key));
                let candidates = left.candidates(all.live());
                let lower = |id: u32| left.of(id, &all.sums[id as usize]).lower();
                then(left.shown(total, Ranking::new(total, floor, candidates, k, |id| all.key(id), lower)))
            }
            Form::Distinct(_) => panic!("{MIXED}"),
        }
    }

    /// The sums of all candidates from the node numbered `from` on, with digests of open panes.
    fn gathered<'a>(&'a self, from: u64, open: &[&'a Digest]) -> Gathered<'a> {
        let (total, floor) = self.sums_from(from, open);
        let mut rows = rows_of(open);
        match &self.form {
            Form::Few(few) => add_few(few, from, &mut rows),
            Form::Running(running) => {
                add_up(&mut rows);
                let all = running.with_open(from, &rows);
                let row = |(id, sum): (u32, &Sum)| FewRow { hash: all.hash(id), key: all.key(id), sum: *sum };
                rows = all.live().map(row).collect();
            }
            Form::Distinct(_) => panic!("{MIXED}"),
        }
        Gathered { rows, total, floor }
    }
}

/// What is left of each candidate of what was counted.
struct Left<'a> {
    /// Of what was counted.
    floor: u64,
    gone: &'a Gathered<'a>,
    /// For each candidate, one more than the place of its row among what was removed; 0 where it has none.
    places: Vec<u32>,
}

impl<'a> Left<'a> {
    /// Of so many candidates, which `find` finds.
    fn new(
        floor: u64,
        candidates: usize,
        gone: &'a Gathered<'a>,
        find: impl Fn(u64, &[u8]) -> Option<u32>,
    ) -> Self {
        let mut places = vec![0; candidates];
        for (row, place) in gone.rows.iter().zip(1..) {
            if let Some(id) = find(row.hash, row.key) {
                places[id as usize] = place;
            }
        }
        Left { floor, gone, places }
    }

    /// What is left of a candidate.
    fn of(&self, id: u32, counted: &Sum) -> Bounds {
        let removed = match self.places[id as usize].checked_sub(1) {
            Some(place) => self.gone.rows[place as usize].sum.bounds(self.gone.floor),
            None => Bounds::at_most(self.gone.floor),
        };
        counted.bounds(self.floor).less(&removed)
    }

    /// Those of which something may be left.
    fn candidates<'s>(&self, all: impl Iterator<Item = (u32, &'s Sum)>) -> impl Iterator<Item = Candidate> {
        let candidates = all.map(|(id, counted)| Candidate { upper: self.of(id, counted).upper(), id });
        candidates.filter(|candidate| candidate.upper > 0)
    }

    fn shown<K>(&self, total: u64, ranking: Ranking<K>) -> Ranking<K> {
        let removed = self.gone.total;
        Ranking { total: total.saturating_sub(removed), removed, ..ranking }
    }
}
