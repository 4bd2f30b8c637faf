//! How far the messages of all boards are delivered, where they are delivered in the order in which they came.

use std::collections::VecDeque;
use std::sync::Arc;

/// Counts the messages, and remembers up to which of them each end of a board is complete.
pub(super) struct Progress {
    taken: u64,
    done: u64,
    boards: Vec<Board>,
}

/// How far one board is.
struct Board {
    name: Arc<str>,
    /// After so many messages of all boards, this one was complete up to an end. Both grow.
    marks: VecDeque<(u64, i64)>,
    /// All of its messages up to this end are done with.
    delivered: i64,
}

impl Progress {
    /// Of these boards, of which nothing is complete yet.
    pub(super) fn new(boards: &[Arc<str>]) -> Self {
        let board =
            |name: &Arc<str>| Board { name: name.clone(), marks: VecDeque::new(), delivered: i64::MIN };
        Progress { taken: 0, done: 0, boards: boards.iter().map(board).collect() }
    }

    /// Notes one more message.
    pub(super) fn take(&mut self) {
        self.taken += 1;
    }

    /// Notes that the next so many messages are done with.
    pub(super) fn settle(&mut self, messages: u64) {
        self.done += messages;
        self.boards.iter_mut().for_each(|board| board.pass(self.done));
    }

    /// Notes that the messages taken so far have all that there is of a board up to an end (ms).
    pub(super) fn complete(&mut self, board: &str, end: i64) {
        let Some(board) = self.boards.iter_mut().find(|known| *known.name == *board) else { return };
        let last = board.marks.back().map_or(board.delivered, |(_, end)| *end);
        if end <= last {
            return;
        }
        match board.marks.back_mut().filter(|(messages, _)| *messages == self.taken) {
            Some((_, known)) => *known = end,
            None => board.marks.push_back((self.taken, end)),
        }
        board.pass(self.done);
    }

    /// The end (ms) up to which all messages of all boards are done with.
    pub(super) fn delivered(&self) -> i64 {
        self.boards.iter().map(|board| board.delivered).min().unwrap_or(i64::MAX)
    }
}

impl Board {
    /// Passes the marks before which so many messages are done with.
    fn pass(&mut self, done: u64) {
        while let Some((_, end)) = self.marks.pop_front_if(|(messages, _)| *messages <= done) {
            self.delivered = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_delivered_once_all_before_it_and_of_all_boards_is() {
        let mut progress = Progress::new(&["a".into(), "b".into()]);
        assert_eq!(progress.delivered(), i64::MIN);
        (0..3).for_each(|_| progress.take());
        progress.complete("a", 10);
        progress.complete("b", 10);
        assert_eq!(progress.delivered(), i64::MIN);
        progress.settle(2);
        assert_eq!(progress.delivered(), i64::MIN);
        progress.take();
        progress.complete("a", 20);
        progress.settle(1);
        assert_eq!(progress.delivered(), 10);
        progress.complete("b", 20);
        assert_eq!(progress.delivered(), 10, "the fourth message is on its way");
        progress.settle(1);
        assert_eq!(progress.delivered(), 20);
        progress.complete("a", 15);
        progress.complete("b", 30);
        assert_eq!(progress.delivered(), 20, "the other board is not complete");
    }

    #[test]
    fn marks_do_not_grow_while_nothing_is_taken() {
        let mut progress = Progress::new(&["a".into()]);
        progress.take();
        (0..1000).for_each(|end| progress.complete("a", end));
        assert_eq!(progress.boards[0].marks.len(), 1);
        progress.settle(1);
        (1000..2000).for_each(|end| progress.complete("a", end));
        assert_eq!((progress.boards[0].marks.len(), progress.delivered()), (0, 1999));
    }
}
