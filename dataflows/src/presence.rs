//! Whether a partition is idle, and whether all windows wait for it.
//!
//! **In**: what each read of the partition has found. **Out**: its [`Activity`], and for how long its watermark has
//! stood still. **Always holds**: nothing but an admitted event makes a partition active, however much is read of it;
//! and one of which more is known to be there than was read is not idle, however long nothing of it has counted.
//! **Costs**: a comparison a run.

use crate::event_time::Activity;
use crate::status::{Holding, Standing};
use crest_connectors::source::{Progress, ReadToEnd};
use crest_state::pane::Pane;
use std::time::{Duration, Instant};

/// A pane later than the windows could go on without it, a partition holds them back for so long before that is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a partition by its reads.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    /// When an event of it was last admitted; before the first one, when it was met.
    admitted: Instant,
    /// When its watermark last moved.
    moved: Instant,
    /// When it was last read.
    read: Instant,
    watermark: Option<Pane>,
    progress: Progress,
    end: Option<ReadToEnd>,
}

impl Presence {
    /// Of a partition that was met just now.
    pub fn new(now: Instant) -> Self {
        Presence {
            admitted: now,
            moved: now,
            read: now,
            watermark: None,
            progress: Progress::Waiting,
            end: None,
        }
    }

    /// Takes in what a read has found: whether an event was admitted, where that left the watermark, and that the
    /// partition was read to its end, where that is known.
    pub fn note(
        &mut self,
        progress: Progress,
        admitted: bool,
        watermark: Option<Pane>,
        end: Option<ReadToEnd>,
        now: Instant,
    ) {
        (self.progress, self.end, self.read) = (progress, end, now);
        if admitted {
            self.admitted = now;
        }
        if watermark != self.watermark {
            (self.watermark, self.moved) = (watermark, now);
        }
    }

    /// Of a partition that goes on: it is idle when all that it held at some time was read, and by then no event had
    /// been admitted for the timeout, though its broker had answered all the while.
    pub fn activity(&self, idle_timeout: Duration) -> Activity {
        let idle = |end: &ReadToEnd| {
            let quiet = end.at.saturating_duration_since(self.admitted.max(end.answering_since));
            quiet >= idle_timeout
        };
        if self.end.as_ref().is_some_and(idle) { Activity::Idle } else { Activity::Active }
    }

    /// For how long its watermark has stood still while it was read.
    pub fn standing(&self) -> Duration {
        self.read.saturating_duration_since(self.moved)
    }

    /// Why it may stand still.
    pub fn why(&self) -> Standing {
        let silent = self.read.saturating_duration_since(self.admitted) >= PATIENCE;
        match (self.end, self.progress) {
            (Some(_), _) if silent => Standing::Silent,
            (Some(_), _) | (None, Progress::Read(_)) => Standing::Reading,
            (None, _) => Standing::Waiting,
        }
    }
}

/// Which of a worker's active partitions holds the windows of all back, with its place: none of the others is further
/// behind, one is ahead (`newest`), and its own watermark has stood still for longer than a pane takes that fills.
pub fn holder<'a>(
    active: impl Iterator<Item = (usize, &'a Presence)>,
    least: Pane,
    newest: Pane,
    pane: Duration,
) -> Option<(usize, Holding)> {
    let stands = |(_, presence): &(usize, &Presence)| {
        let at = presence.watermark.unwrap_or(0);
        at <= least && at < newest && presence.standing() >= PATIENCE + pane
    };
    let (place, presence) = active.filter(stands).max_by_key(|(_, presence)| presence.standing())?;
    Some((place, Holding { ms: presence.standing().as_millis() as u64, why: presence.why() }))
}

/// The partition that holds the windows of all back, as the log says.
#[derive(Debug, Default)]
pub struct ToldHolder(Option<String>);

impl ToldHolder {
    /// Says once who it is and why, and when it is no longer. One that is only waited for as `idle_timeout` says is as
    /// it should be.
    pub fn tell(&mut self, holder: Option<(&str, Holding)>) {
        let holder = holder.filter(|(_, holding)| holding.why != Standing::Silent);
        if holder.map(|(name, _)| name) == self.0.as_deref() {
            return;
        }
        if let Some(name) = self.0.take() {
            tracing::info!("{name} holds the windows back no longer");
        }
        if let Some((name, holding)) = holder {
            let (seconds, why) = (holding.ms / 1000, holding.why.describe());
            tracing::warn!("{name} has held the windows back for {seconds} s: {why}");
            self.0 = Some(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_secs(10);

    /// Reads of a partition, by seconds after the first.
    struct Reads {
        began: Instant,
        presence: Presence,
    }

    impl Reads {
        fn new() -> Self {
            let began = Instant::now();
            Reads { began, presence: Presence::new(began) }
        }

        fn at(&self, second: u32) -> Instant {
            self.began + second * SECOND
        }

        fn idle(&mut self, second: u32, progress: Progress, admitted: bool, end: Option<(u32, u32)>) -> bool {
            let end = end.map(|(at, since)| ReadToEnd { at: self.at(at), answering_since: self.at(since) });
            self.presence.note(progress, admitted, None, end, self.at(second));
            self.presence.activity(TIMEOUT) == Activity::Idle
        }
    }

    #[test]
    fn only_an_admitted_event_is_activity() {
        let mut reads = Reads::new();
        assert!(!reads.idle(9, Progress::Waiting, false, Some((9, 0))), "it never held an event");
        assert!(reads.idle(10, Progress::Waiting, false, Some((10, 0))));
        assert!(reads.idle(18, Progress::Read(3), false, Some((18, 0))), "of nothing that counts");
        assert!(!reads.idle(20, Progress::Read(3), true, Some((20, 0))));
        assert!(!reads.idle(29, Progress::Read(3), false, Some((29, 0))));
        assert!(reads.idle(30, Progress::Read(3), false, Some((30, 0))));
    }

    #[test]
    fn what_is_not_read_to_its_end_is_not_idle() {
        let mut reads = Reads::new();
        assert!(!reads.idle(100, Progress::Read(4096), false, None), "a backlog of nothing that counts");
        assert!(!reads.idle(100, Progress::Waiting, false, None), "an outage");
        assert!(!reads.idle(100, Progress::Waiting, false, Some((100, 91))), "the broker has come back");
        assert!(!reads.idle(100, Progress::Read(1), false, Some((9, 0))), "by then it had not been silent");
        assert!(reads.idle(101, Progress::Waiting, false, Some((101, 91))));
    }

    #[test]
    fn the_partition_that_is_furthest_behind_and_stands_still_holds_the_windows() {
        let (now, pane) = (Instant::now(), 10 * SECOND);
        let read = |watermark: Pane, moved: u32, read: u32| {
            let mut presence = Presence::new(now);
            presence.note(Progress::Read(1), true, Some(watermark), None, now + moved * SECOND);
            presence.note(Progress::Waiting, false, Some(watermark), None, now + read * SECOND);
            presence
        };
        let found = |slots: &[Presence], least, newest| {
            holder(slots.iter().enumerate(), least, newest, pane).map(|(place, held)| (place, held.ms))
        };
        assert_eq!(found(&[read(7, 25, 30), read(5, 1, 30)], 5, 7), Some((1, 29_000)));
        assert_eq!(found(&[read(7, 25, 30), read(5, 11, 30)], 5, 7), None, "a pane takes so long");
        assert_eq!(found(&[read(5, 1, 30)], 4, 7), None, "another worker's is further behind");
        assert_eq!(found(&[read(5, 1, 30)], 5, 5), None, "nobody is ahead of it");
        assert_eq!(found(&[read(5, 1, 15)], 5, 7), None, "it is not read");
        assert_eq!(found(&[Presence::new(now)], 0, 7), None);
    }
}
