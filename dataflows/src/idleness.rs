//! Whether a partition is idle, and whether all windows wait for it.
//!
//! **In**: the result of each read of the partition. **Out**: its [`Activity`], and for how long its watermark has
//! stood still, or been far behind those of others. **Always holds**: only an admitted event makes a partition active, however many records are read; and a
//! partition with records that are known but not read yet is never idle, however long none of them has counted.
//! **Costs**: a comparison a run.

use crate::event_time::Activity;
use crate::status::{Holding, Standing};
use crest_connectors::source::{Progress, ReadToEnd};
use crest_state::pane::Pane;
use std::time::{Duration, Instant};

/// How long a partition's watermark may stand still, beyond the length of a pane, before the partition is reported as
/// holding the windows back.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much older than those of another partition the events of one that moves may be, beyond the length of a pane, before
/// it is far behind.
const FAR_BEHIND: Duration = Duration::from_secs(60);

/// What the reads of a partition say about its activity.
#[derive(Clone, Copy, Debug)]
pub struct Idleness {
    /// When an event was last admitted; before the first one, when the partition was found.
    admitted: Instant,
    /// When its watermark last moved.
    moved: Instant,
    /// When it was last read.
    read: Instant,
    watermark: Option<Pane>,
    /// Since when it has been the last one, and far behind.
    behind: Option<Instant>,
    progress: Progress,
    end: Option<ReadToEnd>,
}

impl Idleness {
    /// The state of a partition that was found just now.
    pub fn new(now: Instant) -> Self {
        Idleness {
            admitted: now,
            moved: now,
            read: now,
            watermark: None,
            behind: None,
            progress: Progress::Waiting,
            end: None,
        }
    }

    /// Notes the result of a read: whether an event was admitted, where that left the watermark, and, where it is known,
    /// that the partition is read to its `end`.
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

    /// The activity of a partition that has not ended. It is idle when it was read to its end at some time, and by then
    /// no event had been admitted for the timeout, though its broker had answered all the while.
    pub fn activity(&self, idle_timeout: Duration) -> Activity {
        let idle = |end: &ReadToEnd| {
            let quiet = end.at.saturating_duration_since(self.admitted.max(end.answering_since));
            quiet >= idle_timeout
        };
        if self.end.as_ref().is_some_and(idle) { Activity::Idle } else { Activity::Active }
    }

    /// For how long its watermark had stood still when it was last read.
    pub fn standing(&self) -> Duration {
        self.read.saturating_duration_since(self.moved)
    }

    /// For how long it has been far behind when it was last read, if it is now.
    fn behind(&mut self, is_far: bool) -> Duration {
        let read = self.read;
        self.behind = is_far.then(|| self.behind.unwrap_or(read));
        self.behind.map_or(Duration::ZERO, |since| read.saturating_duration_since(since))
    }

    /// Why its watermark may stand still.
    pub fn why(&self) -> Standing {
        let silent = self.read.saturating_duration_since(self.admitted) >= PATIENCE;
        match (self.end, self.progress) {
            (Some(_), _) if silent => Standing::Silent,
            (Some(_), _) | (None, Progress::Read(_)) => Standing::Reading,
            (None, _) => Standing::Waiting,
        }
    }
}

/// The place of the worker's active partition that holds the windows of all back, if one does. No partition of any worker
/// is further behind (`least`), and one is ahead (`newest`); and for longer than a `pane` takes to fill, its own watermark has
/// stood still, or has been far behind the newest one. Of those far behind, others may be so by a little more.
pub fn holder<'a>(
    active: impl Iterator<Item = (usize, &'a mut Idleness)>,
    least: Pane,
    newest: Pane,
    pane: Duration,
) -> Option<(usize, Holding)> {
    let patience = PATIENCE + pane;
    let panes = |time: Duration| 1 + (time.as_nanos() / pane.as_nanos().max(1)) as Pane;
    let (far, slack) = (panes(FAR_BEHIND), panes(PATIENCE));
    let held = active.filter_map(|(place, idleness)| {
        let at = idleness.watermark.unwrap_or(0);
        let is_last = at <= least && at < newest;
        // What is known of all was so a moment ago, since when this one may have moved.
        let behind = idleness.behind(at <= least + slack && at + far <= newest);
        let standing = idleness.standing();
        let (time, why) = match is_last && standing >= patience {
            true => (standing, idleness.why()),
            false => (behind, Standing::Behind),
        };
        let holding = Holding { ms: time.as_millis() as u64, why };
        (time >= patience).then_some((place, holding))
    });
    held.max_by_key(|(_, holding)| holding.ms)
}

/// Logs which partition holds the windows of all back. It keeps the name that was logged last.
#[derive(Debug, Default)]
pub struct HolderLog(Option<String>);

impl HolderLog {
    /// Logs once which partition it is and why, and once when it is no longer. Waiting for `idle_timeout` is normal
    /// operation and is not logged.
    pub fn report(&mut self, holder: Option<(&str, Holding)>) {
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
        idleness: Idleness,
    }

    impl Reads {
        fn new() -> Self {
            let began = Instant::now();
            Reads { began, idleness: Idleness::new(began) }
        }

        fn at(&self, second: u32) -> Instant {
            self.began + second * SECOND
        }

        fn idle(&mut self, second: u32, progress: Progress, admitted: bool, end: Option<(u32, u32)>) -> bool {
            let end = end.map(|(at, since)| ReadToEnd { at: self.at(at), answering_since: self.at(since) });
            self.idleness.note(progress, admitted, None, end, self.at(second));
            self.idleness.activity(TIMEOUT) == Activity::Idle
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
            let mut idleness = Idleness::new(now);
            idleness.note(Progress::Read(1), true, Some(watermark), None, now + moved * SECOND);
            idleness.note(Progress::Waiting, false, Some(watermark), None, now + read * SECOND);
            idleness
        };
        let found = |slots: &mut [Idleness], least, newest| {
            holder(slots.iter_mut().enumerate(), least, newest, pane).map(|(place, held)| (place, held.ms))
        };
        assert_eq!(found(&mut [read(7, 25, 30), read(5, 1, 30)], 5, 7), Some((1, 29_000)));
        assert_eq!(found(&mut [read(7, 25, 30), read(5, 11, 30)], 5, 7), None, "a pane takes so long");
        assert_eq!(found(&mut [read(5, 1, 30)], 4, 7), None, "another worker's is further behind");
        assert_eq!(found(&mut [read(5, 1, 30)], 5, 5), None, "nobody is ahead of it");
        assert_eq!(found(&mut [read(5, 1, 15)], 5, 7), None, "it is not read");
        assert_eq!(found(&mut [Idleness::new(now)], 0, 7), None);
    }

    #[test]
    fn a_partition_that_moves_far_behind_the_others_holds_the_windows() {
        let (now, pane) = (Instant::now(), 10 * SECOND);
        let mut slow = [Idleness::new(now)];
        // It moves by a pane each 10 s, as the newest does, which is `ahead` of it.
        let mut at = |second: u32, ahead: Pane| {
            let watermark = 100 + Pane::from(second) / 10;
            let end = Some(ReadToEnd { at: now + second * SECOND, answering_since: now });
            slow[0].note(Progress::Read(1), true, Some(watermark), end, now + second * SECOND);
            // That of all is known a moment later.
            holder(slow.iter_mut().enumerate(), watermark - 1, watermark + ahead, pane).map(|(_, held)| held)
        };
        assert_eq!((at(5, 60), at(24, 60)), (None, None), "it may be about to catch up");
        assert_eq!(at(25, 60), Some(Holding { ms: 20_000, why: Standing::Behind }));
        assert_eq!((at(30, 6), at(49, 60), at(68, 60)), (None, None, None), "it was nearer by then");
        assert_eq!(at(69, 7), Some(Holding { ms: 20_000, why: Standing::Behind }));
    }
}
