//! The way of some panes from their close to published: when each stage had them.
//!
//! The stages note the times here, of at most one pane of a board in a second; whoever asked for it takes the passages that
//! are over. Nothing is noted where nobody asked.

use crest_host::clock;
use crest_state::pane::Pane;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between the closes of two panes of a board whose ways are noted.
const PACE: Duration = Duration::from_secs(1);
/// The most passages that are kept here; those of further panes are left out.
const MOST: usize = 1024;

/// From when to when.
pub type Span = (Instant, Instant);

/// The way of one pane of one board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The board's place in the spec.
    pub board: u32,
    /// The pane.
    pub pane: Pane,
    /// How many groups it has, the whole board among them.
    pub groups: usize,
    /// From the first share of the closed pane until those of all workers are merged.
    pub merge: Span,
    /// From when the committer was given it until it was durable; `None` where no state is kept.
    pub commit: Option<Span>,
    /// From when the windows were given it until the final rankings that it completes were with the sinks.
    pub rank: Span,
}

/// A passage that is under way.
struct Begun {
    groups: usize,
    merge: Span,
    stored: Option<Instant>,
    durable: Option<Instant>,
    ranking: Option<Instant>,
}

#[derive(Default)]
struct Noted {
    /// By board and pane.
    begun: BTreeMap<(u32, Pane), Begun>,
    over: Vec<Passage>,
    /// When the last pane was chosen, by board.
    chosen: BTreeMap<u32, Instant>,
    left_out: u64,
}

/// The passages of a job, on process 0.
#[derive(Default)]
pub struct Passages(Mutex<Noted>);

impl std::fmt::Debug for Passages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passages")
    }
}

impl Passages {
    /// Notes that a pane is merged. Whether its way is noted is decided here.
    pub(crate) fn merged(&self, board: u32, pane: Pane, began: Instant, groups: usize) {
        let (now, mut noted) = (clock::now(), self.0.lock());
        if noted.chosen.get(&board).is_some_and(|last| now.saturating_duration_since(*last) < PACE) {
            return;
        }
        if noted.begun.len() + noted.over.len() >= MOST {
            noted.left_out += 1;
            return;
        }
        noted.chosen.insert(board, now);
        let begun = Begun { groups, merge: (began, now), stored: None, durable: None, ranking: None };
        noted.begun.insert((board, pane), begun);
    }

    /// Notes that the committer was given a pane.
    pub(crate) fn stored(&self, board: u32, pane: Pane) {
        self.note(board, pane, |begun| &mut begun.stored);
    }

    /// Notes that a pane is durable.
    pub(crate) fn durable(&self, board: u32, pane: Pane) {
        self.note(board, pane, |begun| &mut begun.durable);
    }

    /// Notes that the windows were given a pane.
    pub(crate) fn ranking(&self, board: u32, pane: Pane) {
        self.note(board, pane, |begun| &mut begun.ranking);
    }

    /// Notes that the final rankings of a board that are due before `frontier` were given to the sinks; `None` says that all
    /// were.
    pub(crate) fn ranked(&self, board: u32, frontier: Option<Pane>) {
        let (now, mut noted) = (clock::now(), self.0.lock());
        let Noted { begun, over, .. } = &mut *noted;
        let panes = (board, 0)..(board, frontier.unwrap_or(Pane::MAX));
        let done = |_: &(u32, Pane), begun: &mut Begun| begun.ranking.is_some();
        for ((board, pane), begun) in begun.extract_if(panes, done) {
            let Some(ranking) = begun.ranking else { continue };
            let Begun { groups, merge, .. } = begun;
            let commit = begun.stored.zip(begun.durable);
            over.push(Passage { board, pane, groups, merge, commit, rank: (ranking, now) });
        }
    }

    /// Takes those that are over.
    pub fn take(&self) -> Vec<Passage> {
        std::mem::take(&mut self.0.lock().over)
    }

    /// How many panes were left out since too many were under way.
    pub fn left_out(&self) -> u64 {
        self.0.lock().left_out
    }

    fn note(&self, board: u32, pane: Pane, at: impl FnOnce(&mut Begun) -> &mut Option<Instant>) {
        if let Some(begun) = self.0.lock().begun.get_mut(&(board, pane)) {
            at(begun).get_or_insert_with(clock::now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_over_once_what_it_completes_is_ranked_and_its_times_are_in_order() {
        let passages = Passages::default();
        let began = clock::now();
        passages.merged(0, 7, began, 3);
        passages.stored(0, 7);
        passages.durable(0, 7);
        passages.ranked(0, Some(8));
        assert_eq!(passages.take(), [], "the windows did not have it yet");
        passages.ranking(0, 7);
        passages.ranked(0, Some(7));
        passages.ranked(1, None);
        assert_eq!(passages.take(), [], "time had not passed it, or not on this board");
        passages.ranked(0, Some(8));
        let [passage] = passages.take()[..] else { panic!("there is one") };
        assert_eq!((passage.board, passage.pane, passage.groups), (0, 7, 3));
        let commit = passage.commit.unwrap();
        let times = [passage.merge.0, passage.merge.1, commit.0, commit.1, passage.rank.0, passage.rank.1];
        assert!(times.is_sorted() && times[0] == began, "{times:?}");
        assert_eq!(passages.take(), []);
    }

    #[test]
    fn one_pane_of_a_board_is_chosen_in_a_second() {
        let passages = Passages::default();
        for (board, pane) in [(0, 1), (0, 2), (1, 1), (0, 3)] {
            passages.merged(board, pane, clock::now(), 1);
            passages.ranking(board, pane);
        }
        (0..2).for_each(|board| passages.ranked(board, None));
        let taken: Vec<_> = passages.take().iter().map(|passage| (passage.board, passage.pane)).collect();
        // A machine that took a second for this has chosen more.
        assert!(taken.starts_with(&[(0, 1)]) && taken.contains(&(1, 1)), "{taken:?}");
        assert_eq!(passages.left_out(), 0);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let passages = Passages::default();
        (0..MOST as u32 + 5).for_each(|board| passages.merged(board, 1, clock::now(), 1));
        assert_eq!(passages.left_out(), 5);
    }
}
