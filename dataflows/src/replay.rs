//! From which offset a partition has to be read again, for each pane that may become the durable frontier.
//!
//! It is the offset of the first record admitted to that pane or a later one. So only records of a later pane than
//! all before them matter: a *step* each.

use crest_connectors::source::SourceError;
use crest_state::pane::Pane;
use crest_state::replay::Replay;
use serde::{Deserialize, Serialize};

/// Steps told at once, at most; the oldest are told as one, which is safe: reading more again changes nothing.
const TOLD: usize = 64;

/// What a worker has read of a partition.
#[derive(Clone, Debug, Default)]
pub struct ReplayLog {
    /// See [`Replay::since`].
    since: Option<Pane>,
    /// The offset after the last record read, or the first one to read; `None` where that is not known yet.
    position: Option<i64>,
    /// Records before this offset were read by an earlier run.
    replayed: i64,
    /// No pane before this one is news.
    news: Pane,
    /// By pane and by offset, both of which rise.
    steps: Vec<Step>,
}

/// The first record admitted to a pane or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The pane.
    pub pane: Pane,
    /// Its offset.
    pub offset: i64,
    /// The pane up to which the broker's times so far let the watermark go.
    pub stamped: Pane,
}

/// What others are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaySteps {
    /// The partition.
    pub partition: u32,
    /// Its name.
    pub name: String,
    /// The first offset that no run has read.
    pub next: i64,
    /// Where to read on when the pane is the durable frontier, or a pane after that of the step before.
    pub steps: Vec<Step>,
    /// Where to read on beyond the last step.
    pub position: i64,
    /// See [`Step::stamped`], for beyond the last step.
    pub stamped: Pane,
    /// See [`Replay::since`].
    pub since: Option<Pane>,
}

impl ReplayLog {
    /// Of a partition that no run before has read, which begins at the offset `first`, where that is known; the panes
    /// before `since` are closed already.
    pub fn new(first: Option<i64>, since: Option<Pane>) -> Self {
        ReplayLog { position: first, since, ..ReplayLog::default() }
    }

    /// Of the partition of this name, which is read on from `at`.
    ///
    /// # Errors
    /// It was another one when the state was written.
    pub fn resumed(name: &str, at: &Replay) -> Result<Self, SourceError> {
        if at.name != name {
            let reason = format!("when the state was written, {} was in its place", at.name);
            return Err(SourceError::Lost { partition: name.to_owned(), offset: at.replay, reason });
        }
        let (position, replayed) = (Some(at.replay), at.next);
        Ok(ReplayLog { position, replayed, since: at.since, ..ReplayLog::default() })
    }

    /// The first pane that the partition may add events to.
    pub fn since(&self) -> Pane {
        self.since.unwrap_or(0)
    }

    /// The record at `offset` was read.
    #[inline]
    pub fn read(&mut self, offset: i64) {
        self.position = Some(offset + 1);
    }

    /// … and admitted to `pane`; `stamped` says up to which pane the broker's times so far let the watermark go.
    #[inline]
    pub fn admitted(&mut self, pane: Pane, offset: i64, stamped: impl FnOnce() -> Pane) {
        if pane >= self.news {
            self.step(Step { pane, offset, stamped: stamped() });
        }
    }

    #[cold]
    fn step(&mut self, step: Step) {
        self.steps.push(step);
        self.news = step.pane + 1;
    }

    /// Whether an earlier run has read the record at `offset`, and told of it if it was refused.
    pub fn is_replayed(&self, offset: i64) -> bool {
        offset < self.replayed
    }

    /// Forgets what only mattered while the panes before `durable` were not.
    pub fn prune(&mut self, durable: Pane) {
        let past = self.steps.partition_point(|step| step.pane < durable);
        self.steps.drain(..past);
    }

    /// What to tell when no pane after `held` can become the durable frontier before the next word of this; `None`
    /// while it is not known where the partition begins. `stamped`: up to which pane the broker's times so far let the
    /// watermark go.
    pub fn tell(&self, partition: u32, name: &str, held: Pane, stamped: Pane) -> Option<ReplaySteps> {
        let position = self.position?;
        let matter = self.steps.partition_point(|step| step.pane < held) + 1;
        let mut steps = self.steps[..matter.min(self.steps.len())].to_vec();
        if let Some(many) = steps.len().checked_sub(TOLD) {
            let least = steps[0];
            steps.drain(..many);
            steps[0] = Step { pane: steps[0].pane, ..least };
        }
        let (name, next) = (name.to_owned(), position.max(self.replayed));
        Some(ReplaySteps { partition, name, next, steps, position, stamped, since: self.since })
    }
}

impl ReplaySteps {
    /// Where to read on when all panes before `durable` are.
    pub fn at(&self, durable: Pane) -> Replay {
        let step = self.steps.iter().find(|step| step.pane >= durable);
        let (replay, stamped) =
            step.map_or((self.position, self.stamped), |step| (step.offset, step.stamped));
        let stamped = (stamped > durable).then_some(stamped);
        Replay { name: self.name.clone(), replay, next: self.next, stamped, since: self.since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_partition_is_read_on_from_the_first_record_of_a_pane_that_is_not_durable(
            panes in prop::collection::vec(prop::option::of(0u64..300), 1..400),
            durable in 0u64..300, more in 0u64..300, pruned in 0u64..300,
        ) {
            let mut log = ReplayLog::default();
            for (offset, pane) in panes.iter().enumerate() {
                log.read(offset as i64);
                pane.iter().for_each(|pane| log.admitted(*pane, offset as i64, || offset as Pane));
            }
            log.prune(pruned.min(durable));
            let told = log.tell(3, "a", durable + more, panes.len() as Pane).unwrap();
            prop_assert!(told.steps.len() <= TOLD);
            let first = panes.iter().position(|pane| pane.is_some_and(|pane| pane >= durable));
            let exact = first.unwrap_or(panes.len()) as i64;
            let at = told.at(durable);
            prop_assert_eq!(at.next, panes.len() as i64);
            prop_assert!(at.replay <= exact);
            prop_assert_eq!(at.stamped, Some(at.replay as Pane).filter(|stamped| *stamped > durable));
            if log.steps.len() <= TOLD {
                prop_assert_eq!(at.replay, exact);
            }
        }
    }

    #[test]
    fn what_an_earlier_run_has_read_stays_known_until_it_is_overtaken() {
        let at = |replay, next| Replay { name: "a".into(), replay, next, stamped: None, since: Some(4) };
        let mut log = ReplayLog::resumed("a", &at(3, 9)).unwrap();
        assert_eq!(log.tell(0, "a", 5, 4).unwrap().at(5), at(3, 9));
        log.read(4);
        log.admitted(6, 4, || 3);
        assert!(log.is_replayed(8) && !log.is_replayed(9));
        assert_eq!(log.tell(0, "a", 5, 4).unwrap().at(5), at(4, 9));
        log.read(20);
        assert_eq!(log.tell(0, "a", 7, 4).unwrap().at(7), at(21, 21));
        assert_eq!(log.since(), 4);
        assert_eq!(ReplayLog::default().tell(0, "a", 1, 0), None);
        let new = ReplayLog::new(Some(2), Some(4));
        assert_eq!(new.tell(0, "a", 5, 0).unwrap().at(5), at(2, 2), "known before anything was read of it");
        let error = ReplayLog::resumed("b", &at(3, 9)).unwrap_err().to_string();
        assert_eq!(error, "b at offset 3: when the state was written, a was in its place");
    }
}
