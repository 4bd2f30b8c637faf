//! From which offset a partition has to be read again, for each pane that may become the durable frontier.
//!
//! It is the offset of the first record that was admitted to that pane or a later one. So only those records matter whose
//! pane is later than the panes of all records before: each of them is a *step*. The first record of the
//! [late pane](crate::late_pane), which never becomes durable, matters to the end.

use crate::late_pane::LATE;
use crest_connectors::source::SourceError;
use crest_state::pane::Pane;
use crest_state::replay::Replay;
use serde::{Deserialize, Serialize};

/// How many steps a report has, at most. The oldest are then reported as one, which is safe: to read more records again
/// changes nothing.
const MAX_REPORTED_STEPS: usize = 64;

/// What a worker has read of a partition.
#[derive(Clone, Debug, Default)]
pub struct ReplayLog {
    /// See [`Replay::since`].
    since: Option<Pane>,
    /// The offset after the last record read, or the first one to read; `None` where that is not known yet.
    position: Option<i64>,
    /// Records before this offset were read by an earlier run.
    replayed: i64,
    /// The first pane that would make a new step.
    news: Pane,
    /// The steps, in rising order of both pane and offset.
    steps: Vec<Step>,
    /// The first record that was admitted to the late pane, from which on it is counted anew.
    late: Option<Step>,
}

/// The first record that was admitted to a pane or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The pane.
    pub pane: Pane,
    /// The record's offset.
    pub offset: i64,
    /// Of the records before it.
    pub reach: Reach,
}

/// The panes up to which the times of a partition's records let its watermark go. It goes as far as both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// By the broker's times.
    pub stamped: Pane,
    /// By the event times; only in a job with a window of the whole input, see [`Replay::newest`].
    pub newest: Option<Pane>,
}

/// What a worker reports to the others of a partition's [`ReplayLog`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaySteps {
    /// The partition.
    pub partition: u64,
    /// Its name.
    pub name: String,
    /// The first offset that no run has read.
    pub next: i64,
    /// Where to read on, for each durable frontier: the first step whose pane is at or after the frontier.
    pub steps: Vec<Step>,
    /// The first record that was admitted to the late pane.
    pub late: Option<Step>,
    /// Where to read on when the durable frontier is beyond the last step.
    pub position: i64,
    /// Of the records before `position`.
    pub reach: Reach,
    /// See [`Replay::since`].
    pub since: Option<Pane>,
}

impl ReplayLog {
    /// The log of a partition that no earlier run has read. It begins at the offset `first`, where that is known; the
    /// panes before `since` are closed already.
    pub fn new(first: Option<i64>, since: Option<Pane>) -> Self {
        ReplayLog { position: first, since, ..ReplayLog::default() }
    }

    /// The log of the partition of this name, which is read on from `at`.
    ///
    /// # Errors
    /// Another partition was in its place when the state was written.
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

    /// Notes that the record at `offset` was read.
    #[inline]
    pub fn read(&mut self, offset: i64) {
        self.position = Some(offset + 1);
    }

    /// Notes that the record at `offset` was admitted to `pane`. `reach` is that of the records before it.
    #[inline]
    pub fn admitted(&mut self, pane: Pane, offset: i64, reach: impl FnOnce() -> Reach) {
        if pane >= self.news {
            self.step(Step { pane, offset, reach: reach() });
        }
    }

    #[cold]
    fn step(&mut self, step: Step) {
        if step.pane >= LATE {
            self.late.get_or_insert(step);
            return;
        }
        self.steps.push(step);
        self.news = step.pane + 1;
    }

    /// Whether an earlier run has read the record at `offset`, and has logged it if it was refused.
    pub fn is_replayed(&self, offset: i64) -> bool {
        offset < self.replayed
    }

    /// Drops the steps of panes before `durable`, which are no longer needed.
    pub fn prune(&mut self, durable: Pane) {
        let past = self.steps.partition_point(|step| step.pane < durable);
        self.steps.drain(..past);
    }

    /// The report for the others; `None` while it is not known where the partition begins. No pane after `held` can
    /// become the durable frontier before the next report. `reach` is that of all records so far.
    pub fn report(&self, partition: u64, name: &str, held: Pane, reach: Reach) -> Option<ReplaySteps> {
        let position = self.position?;
        let matter = self.steps.partition_point(|step| step.pane < held) + 1;
        let mut steps = self.steps[..matter.min(self.steps.len())].to_vec();
        if let Some(many) = steps.len().checked_sub(MAX_REPORTED_STEPS) {
            let least = steps[0];
            steps.drain(..many);
            steps[0] = Step { pane: steps[0].pane, ..least };
        }
        let (name, next) = (name.to_owned(), position.max(self.replayed));
        let (late, since) = (self.late, self.since);
        Some(ReplaySteps { partition, name, next, steps, late, position, reach, since })
    }
}

impl ReplaySteps {
    /// Where to read on when all panes before `durable` are durable.
    pub fn at(&self, durable: Pane) -> Replay {
        let open = self.steps.iter().find(|step| step.pane >= durable);
        let first = open.into_iter().chain(&self.late).min_by_key(|step| step.offset);
        let (replay, Reach { stamped, newest }) =
            first.map_or((self.position, self.reach), |step| (step.offset, step.reach));
        // Without `newest`, time goes on from the durable frontier.
        let stamped = Some(stamped).filter(|stamped| newest.is_some() || *stamped > durable);
        Replay { name: self.name.clone(), replay, next: self.next, stamped, newest, since: self.since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::late_pane::late;
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
                pane.iter().for_each(|pane| log.admitted(*pane, offset as i64, || reach(offset as Pane)));
            }
            log.prune(pruned.min(durable));
            let report = log.report(3, "a", durable + more, reach(panes.len() as Pane)).unwrap();
            prop_assert!(report.steps.len() <= MAX_REPORTED_STEPS);
            let first = panes.iter().position(|pane| pane.is_some_and(|pane| pane >= durable));
            let exact = first.unwrap_or(panes.len()) as i64;
            let at = report.at(durable);
            prop_assert_eq!(at.next, panes.len() as i64);
            prop_assert!(at.replay <= exact);
            prop_assert_eq!(at.stamped, Some(at.replay as Pane).filter(|stamped| *stamped > durable));
            if log.steps.len() <= MAX_REPORTED_STEPS {
                prop_assert_eq!(at.replay, exact);
            }
        }
    }

    fn reach(stamped: Pane) -> Reach {
        Reach { stamped, newest: None }
    }

    #[test]
    fn from_the_first_late_record_on_all_is_read_again() {
        let whole = |stamped| Reach { stamped, newest: Some(stamped) };
        let mut log = ReplayLog::default();
        for (offset, pane) in [(0, 5), (1, 9), (2, late(3)), (3, 10), (4, late(4))] {
            log.read(offset);
            log.admitted(pane, offset, || whole(offset as Pane));
        }
        let report = log.report(0, "a", 99, whole(9)).unwrap();
        let at = |durable| {
            let Replay { replay, stamped, newest, .. } = report.at(durable);
            assert_eq!(stamped, newest, "both are kept, however far the state is");
            (replay, newest)
        };
        assert_eq!(
            [at(5), at(6), at(10), at(Pane::MAX)],
            [(0, Some(0)), (1, Some(1)), (2, Some(2)), (2, Some(2))]
        );
    }

    #[test]
    fn what_an_earlier_run_has_read_stays_known_until_it_is_overtaken() {
        let at = |replay, next| Replay {
            name: "a".into(),
            replay,
            next,
            stamped: None,
            newest: None,
            since: Some(4),
        };
        let mut log = ReplayLog::resumed("a", &at(3, 9)).unwrap();
        assert_eq!(log.report(0, "a", 5, reach(4)).unwrap().at(5), at(3, 9));
        log.read(4);
        log.admitted(6, 4, || reach(3));
        assert!(log.is_replayed(8) && !log.is_replayed(9));
        assert_eq!(log.report(0, "a", 5, reach(4)).unwrap().at(5), at(4, 9));
        log.read(20);
        assert_eq!(log.report(0, "a", 7, reach(4)).unwrap().at(7), at(21, 21));
        assert_eq!(log.since(), 4);
        assert_eq!(ReplayLog::default().report(0, "a", 1, reach(0)), None);
        let new = ReplayLog::new(Some(2), Some(4));
        assert_eq!(
            new.report(0, "a", 5, reach(0)).unwrap().at(5),
            at(2, 2),
            "known before anything was read of it"
        );
        let error = ReplayLog::resumed("b", &at(3, 9)).unwrap_err().to_string();
        assert_eq!(error, "b at offset 3: when the state was written, a was in its place");
    }
}
