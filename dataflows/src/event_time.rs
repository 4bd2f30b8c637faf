//! Event time of one partition and of one worker: panes, watermarks, lateness, and the pane up to which the
//! worker lets time pass.
//!
//! **In**: the event times of a partition in the order of its log. **Out**: each event's pane, or that it is
//! late. **Always holds**: a watermark never goes back, and whether an event is late depends only on the
//! events before it in its own partition (idle partitions aside).

use crate::spec::TimeSpec;
use crate::status::Refusal;
use crest_connectors::source::BrokerTime;
use std::time::{Duration, Instant};

/// A pane's number: event time divided by the pane's width. It is the dataflow's timestamp.
pub type Pane = u64;

/// The time arithmetic of a job, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    width: i64,
    slack: i64,
    skew: i64,
    bounded: bool,
}

impl Clock {
    /// Of the spec; in `bounded` sources an event that no broker has stamped is never too far ahead.
    pub fn new(time: &TimeSpec, bounded: bool) -> Self {
        let ms = |d: Duration| d.as_millis() as i64;
        Clock {
            width: ms(time.pane),
            slack: ms(time.out_of_orderness) + ms(time.allowed_lateness),
            skew: ms(time.max_future_skew),
            bounded,
        }
    }

    /// The pane of an event time.
    #[inline]
    pub fn pane(&self, time: i64) -> Pane {
        (time.max(0) / self.width) as Pane
    }

    /// The first millisecond of a pane.
    pub fn start(&self, pane: Pane) -> i64 {
        (pane as i64).saturating_mul(self.width)
    }

    /// How many panes a duration is (it is a whole number of them).
    pub fn panes(&self, duration: Duration) -> u64 {
        duration.as_millis() as u64 / self.width as u64
    }

    /// Whether an event is too far ahead to be true. What it is compared with is the broker's time stamp; one
    /// that the producer's clock set is itself not believed beyond `now`, since the clock that is an hour off
    /// sets both.
    pub fn too_far_ahead(&self, time: i64, broker: Option<BrokerTime>, now: i64) -> bool {
        let reference = match broker {
            Some(BrokerTime::Appended(at)) => at,
            Some(BrokerTime::Created(at)) => at.min(now),
            None if self.bounded => return false,
            None => now,
        };
        time > reference.saturating_add(self.skew)
    }
}

/// The event time of one partition.
#[derive(Clone, Debug, Default)]
pub struct PartitionTime {
    newest: Option<i64>,
    /// The first pane that is still open in this partition.
    watermark: Pane,
}

impl PartitionTime {
    /// Takes the next event of the partition: its pane, or [`Refusal::Late`] when the partition has passed
    /// that pane, or the worker has (`floor`; only after the partition was idle).
    #[inline]
    pub fn admit(&mut self, time: i64, clock: &Clock, floor: Pane) -> Result<Pane, Refusal> {
        let pane = clock.pane(time);
        if pane < self.watermark.max(floor) {
            return Err(Refusal::Late);
        }
        if self.newest.is_none_or(|newest| time > newest) {
            self.newest = Some(time);
            self.watermark = clock.pane(time - clock.slack);
        }
        Ok(pane)
    }

    /// The first pane that is still open, `None` before the first event.
    pub fn watermark(&self) -> Option<Pane> {
        self.newest.map(|_| self.watermark)
    }
}

/// Whether a partition holds the windows back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It does: it has events to come as far as is known.
    Active,
    /// Read to its end and silent for the idle timeout: it does not, until its next event.
    Idle,
    /// Read to the end for good.
    Ended,
}

/// How far a worker lets time pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Up to this pane: the least watermark of its active partitions (0 while one had no event yet).
    Pane(Pane),
    /// All its partitions ended: it holds nothing.
    Ended,
    /// It has no active partition: it goes where the others go.
    Follow,
}

/// The hold of a worker with these partitions. `bounded`: the source ends, and a worker without partitions has
/// ended; otherwise partitions may still come to it.
pub fn hold<'a>(partitions: impl Iterator<Item = (Activity, &'a PartitionTime)>, bounded: bool) -> Hold {
    let (mut least, mut ended) = (None::<Pane>, true);
    for (activity, time) in partitions {
        ended &= activity == Activity::Ended;
        if activity == Activity::Active {
            let pane = time.watermark().unwrap_or(0);
            least = Some(least.map_or(pane, |least| least.min(pane)));
        }
    }
    match least {
        Some(pane) => Hold::Pane(pane),
        None if ended && bounded => Hold::Ended,
        None => Hold::Follow,
    }
}

/// Where a worker without an active partition goes: with the slowest active worker; and when no worker has an
/// active partition, from the newest watermark of all at the pace of the wall clock, so that the windows of a
/// stream that fell silent slide on and drain.
#[derive(Debug, Default)]
pub struct Follow {
    silent_since: Option<Instant>,
}

impl Follow {
    /// The event time (ms) up to which time may pass. `others`: of each worker of the cluster whether it
    /// holds, its least active watermark and its newest one; `None` for a worker not heard of yet, for whom
    /// all wait.
    pub fn target(
        &mut self,
        others: impl Iterator<Item = Option<(bool, Option<i64>, Option<i64>)>>,
        now: Instant,
    ) -> Option<i64> {
        let (mut holding, mut slowest, mut newest) = (false, i64::MAX, None);
        for other in others {
            let (holds, active, latest) = other?;
            if holds {
                holding = true;
                slowest = slowest.min(active.unwrap_or(0));
            }
            newest = newest.max(latest);
        }
        if holding {
            self.silent_since = None;
            return Some(slowest);
        }
        let since = *self.silent_since.get_or_insert(now);
        newest.map(|newest: i64| newest + now.duration_since(since).as_millis() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(bounded: bool) -> Clock {
        Clock::new(&TimeSpec::default(), bounded)
    }

    const T: i64 = 1_711_670_400_000;

    #[test]
    fn a_pane_closes_when_an_event_comes_that_is_newer_by_the_disorder_allowed() {
        let (clock, mut partition) = (clock(true), PartitionTime::default());
        let pane = clock.pane(T);
        assert_eq!(partition.admit(T, &clock, 0), Ok(pane));
        assert_eq!(partition.watermark(), Some(pane - 1));
        assert_eq!(partition.admit(T + 14_999, &clock, 0), Ok(pane + 1));
        assert_eq!(partition.admit(T + 1, &clock, 0), Ok(pane), "5 s of disorder keep the pane open");
        assert_eq!(partition.admit(T + 15_000, &clock, 0), Ok(pane + 1));
        assert_eq!(partition.admit(T + 9_999, &clock, 0), Err(Refusal::Late));
        assert_eq!(partition.watermark(), Some(pane + 1));
    }

    #[test]
    fn an_event_is_too_far_ahead_of_the_broker_not_of_the_wall_clock() {
        let clock = clock(false);
        let replayed = Some(BrokerTime::Appended(T));
        assert!(!clock.too_far_ahead(T + 60_000, replayed, T + 1_000_000_000));
        assert!(clock.too_far_ahead(T + 60_001, replayed, T + 1_000_000_000));
        assert!(clock.too_far_ahead(T + 60_001, None, T));
    }

    #[test]
    fn a_producer_whose_clock_is_an_hour_ahead_cannot_vouch_for_itself() {
        let hour = 3_600_000;
        let stamped = Some(BrokerTime::Created(T + hour));
        assert!(clock(false).too_far_ahead(T + hour, stamped, T));
        assert!(clock(true).too_far_ahead(T + hour, stamped, T), "also where a topic is read up to an end");
        assert!(!clock(true).too_far_ahead(T + hour, None, T), "nobody vouches for what a file says");
    }

    #[test]
    fn a_worker_waits_for_its_slowest_active_partition() {
        let clock = clock(true);
        let at = |time| {
            let mut partition = PartitionTime::default();
            partition.admit(time, &clock, 0).unwrap();
            partition
        };
        let (slow, fast, silent) = (at(T), at(T + 100_000), PartitionTime::default());
        let hold_of = |list: &[(Activity, &PartitionTime)]| hold(list.iter().copied(), false);
        use Activity::{Active, Ended, Idle};
        assert_eq!(hold_of(&[(Active, &slow), (Active, &fast)]), Hold::Pane(slow.watermark));
        assert_eq!(hold_of(&[(Idle, &slow), (Active, &fast)]), Hold::Pane(fast.watermark));
        assert_eq!(hold_of(&[(Active, &silent), (Active, &fast)]), Hold::Pane(0));
        assert_eq!(hold_of(&[(Idle, &silent), (Ended, &fast)]), Hold::Follow);
        assert_eq!(hold_of(&[]), Hold::Follow);
        assert_eq!(hold([(Ended, &fast)].into_iter(), true), Hold::Ended);
    }

    #[test]
    fn without_active_partitions_time_goes_with_the_others_or_with_the_wall_clock() {
        let (mut follow, now) = (Follow::default(), Instant::now());
        let busy = [Some((true, Some(T), Some(T + 5))), Some((false, None, Some(T + 9)))];
        assert_eq!(follow.target(busy.into_iter(), now), Some(T));
        let silent = [Some((false, None, Some(T))), Some((false, None, None))];
        assert_eq!(follow.target(silent.into_iter(), now), Some(T));
        assert_eq!(follow.target(silent.into_iter(), now + Duration::from_secs(7)), Some(T + 7000));
        assert_eq!(follow.target([Some((false, None, None)), None].into_iter(), now), None);
        assert_eq!(
            follow.target([Some((false, None, None))].into_iter(), now),
            None,
            "no event yet, anywhere"
        );
    }
}
