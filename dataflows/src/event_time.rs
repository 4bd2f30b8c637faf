//! Event time of one partition and of one worker: panes, watermarks, lateness, and the pane up to which the
//! worker lets time pass.
//!
//! **In**: the event times of a partition in the order of its log, each with its broker's time. **Out**: each event's
//! pane, or its refusal as late. **Always holds**: a watermark never goes back, and never beyond the broker's time, so an
//! event that is ahead of the broker's time makes no other event late. Whether an event is late depends only on the
//! events before it in its own partition (idle partitions aside).

use crest_connectors::source::BrokerTime;
use crest_formats::refusal::Refusal;
use crest_state::pane::{Pane, PaneWidth};
use crest_state::spec::TimeSpec;
use std::time::{Duration, Instant};

/// The time arithmetic of a job, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    width: PaneWidth,
    slack: i64,
    skew: i64,
    /// Whether an event without a broker's time stamp is compared with the wall clock.
    guarded: bool,
}

impl Clock {
    /// The clock of a spec. In a `bounded` source an event without a broker's time stamp is never too far ahead, unless
    /// [`guards_files`](TimeSpec::guards_files) is set.
    pub fn new(time: &TimeSpec, bounded: bool) -> Self {
        let ms = |d: Duration| d.as_millis() as i64;
        Clock {
            width: PaneWidth::new(time.pane),
            slack: ms(time.out_of_orderness) + ms(time.allowed_lateness),
            skew: ms(time.max_future_skew),
            guarded: !bounded || time.guards_files,
        }
    }

    /// The pane of an event time.
    #[inline]
    pub fn pane(&self, time: i64) -> Pane {
        self.width.pane(time)
    }

    /// The first millisecond of a pane.
    pub fn start(&self, pane: Pane) -> i64 {
        self.width.start(pane)
    }

    /// The newest event time that a partition can have seen while its watermark is at this time.
    pub fn newest_at(&self, watermark: i64) -> i64 {
        watermark.saturating_add(self.slack).saturating_add(self.width.ms() - 1)
    }

    /// The number of whole panes in a duration.
    pub fn panes(&self, duration: Duration) -> u64 {
        self.width.panes(duration)
    }

    /// The broker's time of a record: its time stamp. A stamp that the producer's clock set counts only up to `now`,
    /// since a clock that is an hour off sets both the stamp and the event time. A record without a stamp has the time at
    /// which it is read, `now`, on a live source. On a bounded source, which holds the past, it has none, unless
    /// [`guards_files`](TimeSpec::guards_files) is set.
    #[inline]
    pub fn broker_time(&self, stamp: Option<BrokerTime>, now: i64) -> Option<i64> {
        match stamp {
            Some(BrokerTime::Appended(at)) => Some(at),
            Some(BrokerTime::Created(at)) => Some(at.min(now)),
            None => self.guarded.then_some(now),
        }
    }

    /// Whether an event is implausibly far ahead of its broker's time; never so where that time is unknown.
    #[inline]
    pub fn too_far_ahead(&self, time: i64, broker: Option<i64>) -> bool {
        broker.is_some_and(|broker| time > broker.saturating_add(self.skew))
    }
}

/// The event time of one partition.
#[derive(Clone, Debug)]
pub struct PartitionTime {
    times: Times,
    /// The first pane that is still open in this partition.
    watermark: Pane,
    /// The watermark moves once both times have reached this one.
    moves_at: i64,
    /// Panes before this one were closed before the partition appeared.
    since: Pane,
}

impl Default for PartitionTime {
    fn default() -> Self {
        PartitionTime::since(0)
    }
}

impl PartitionTime {
    /// A partition that may add events to the panes from `since` on.
    pub fn since(since: Pane) -> Self {
        let times = Times { newest: None, stamped: i64::MIN };
        PartitionTime { times, watermark: since, moves_at: i64::MIN, since }
    }

    /// Resumes a partition where an earlier run left off. The times of the records that do not come again let the
    /// watermark go up to these panes, as far as they are known (see [`Times::stamped`] and [`Times::newest`]).
    pub fn resumed(mut self, stamped: Option<Pane>, newest: Option<Pane>, clock: &Clock) -> Self {
        let time = |pane| clock.start(pane).saturating_add(clock.slack);
        self.times = Times { newest: newest.map(time), stamped: stamped.map_or(i64::MIN, time) };
        self.pass(clock);
        self
    }

    /// Takes the next event of the partition, with its `broker`'s time, and returns its pane. An event without a broker's
    /// time counts as stamped with its own time. `open_from` is the first pane that the worker has not passed; it is beyond
    /// the partition's watermark only after the partition was idle.
    ///
    /// # Errors
    /// [`Refusal::Late`] when the partition or the worker has passed that pane, and [`Refusal::BeforePartition`] when the
    /// pane was closed before the partition appeared.
    #[inline(always)] // Left to the compiler, some builds inline it and some do not.
    pub fn admit(
        &mut self,
        time: i64,
        broker: Option<i64>,
        clock: &Clock,
        open_from: Pane,
    ) -> Result<Pane, Refusal> {
        let pane = clock.pane(time);
        let late = pane < self.watermark.max(open_from);
        if !late {
            self.times.newest = self.times.newest.max(Some(time));
        }
        self.stamp(time, broker, clock);
        if late { Err(self.refusal(pane)) } else { Ok(pane) }
    }

    /// Takes the next event of the partition, in a run over the whole of a bounded input, and says where it counts. All
    /// panes before `durable` were counted by an earlier run.
    #[inline]
    pub fn place(&mut self, time: i64, broker: Option<i64>, clock: &Clock, durable: Pane) -> Place {
        let pane = clock.pane(time);
        let late = pane < self.watermark;
        if !late {
            self.times.newest = self.times.newest.max(Some(time));
        }
        self.stamp(time, broker, clock);
        match late {
            true => Place::Late(pane, self.refusal(pane)),
            false if pane < durable => Place::Durable,
            false => Place::Open(pane),
        }
    }

    /// Why an event of this pane, which has passed, is refused.
    fn refusal(&self, pane: Pane) -> Refusal {
        if pane < self.since { Refusal::BeforePartition } else { Refusal::Late }
    }

    /// Notes the broker's time of an event; an event without one counts as stamped with its own `time`.
    #[inline]
    pub fn stamp(&mut self, time: i64, broker: Option<i64>, clock: &Clock) {
        self.times.stamped = self.times.stamped.max(broker.unwrap_or(time));
        self.pass(clock);
    }

    /// Moves the watermark as far as the times let it go.
    #[inline]
    fn pass(&mut self, clock: &Clock) {
        let Times { newest, stamped } = self.times;
        if let Some(newest) = newest
            && newest.min(stamped) >= self.moves_at
        {
            let passed = clock.pane(newest.min(stamped).saturating_sub(clock.slack));
            self.watermark = passed.max(self.since);
            self.moves_at = clock.start(self.watermark + 1).saturating_add(clock.slack);
        }
    }

    /// The first pane that is still open; `None` before the first event.
    pub fn watermark(&self) -> Option<Pane> {
        self.times.newest.map(|_| self.watermark)
    }

    /// The last pane with an admitted event, as far as it is known.
    pub fn newest(&self, clock: &Clock) -> Option<Pane> {
        self.times.newest.map(|newest| clock.pane(newest))
    }

    /// The times so far that move the watermark.
    #[inline]
    pub fn times(&self) -> Times {
        self.times
    }
}

/// The times that move a partition's watermark. It goes as far as both let it.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The newest time of an admitted event.
    newest: Option<i64>,
    /// The newest broker's time.
    stamped: i64,
}

impl Times {
    /// The pane up to which the broker's times let the watermark go.
    pub fn stamped(&self, clock: &Clock) -> Pane {
        clock.pane(self.stamped.saturating_sub(clock.slack))
    }

    /// The pane up to which the event times let the watermark go; `None` before the first event.
    pub fn newest(&self, clock: &Clock) -> Option<Pane> {
        self.newest.map(|newest| clock.pane(newest.saturating_sub(clock.slack)))
    }
}

/// Where an event counts, in a run over the whole of a bounded input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this pane.
    Open(Pane),
    /// Its pane was counted by an earlier run.
    Durable,
    /// Its own partition has passed this pane. Where no window of the whole input takes it, it is refused so.
    Late(Pane, Refusal),
}

impl Place {
    /// The pane, if it is still open.
    pub fn open(self) -> Option<Pane> {
        match self {
            Place::Open(pane) => Some(pane),
            Place::Durable | Place::Late(..) => None,
        }
    }
}

/// Whether a partition holds the windows back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It holds the windows back, since more events may come.
    Active,
    /// It does not hold them back until its next event: it is read to its end, and no event of it was admitted for the
    /// idle timeout.
    Idle,
    /// It never holds them back again: it is read to its end for good.
    Ended,
}

/// How far a worker lets time pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Up to this pane: the least watermark of its active partitions (0 while one of them has had no event).
    Pane(Pane),
    /// To the end: all its partitions have ended.
    Ended,
    /// As far as the other workers: it has no active partition.
    Follow,
}

/// How far a worker with these partitions lets time pass. On a `bounded` source a worker without partitions has ended;
/// on a live one, partitions may still be assigned to it.
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

/// How far a worker without an active partition lets time pass. It follows the slowest active worker. When no worker has
/// an active partition, time goes on from the newest watermark of all at the pace of the wall clock, so that the windows
/// of a silent stream slide on and drain.
#[derive(Debug, Default)]
pub struct Follow {
    silent_since: Option<Instant>,
}

impl Follow {
    /// The event time up to which time may pass, in milliseconds since 1970 UTC. `others` says for each worker of the
    /// cluster whether it holds the windows back, its least active watermark and its newest watermark. It is `None` for a
    /// worker that has not reported yet; the result is then `None`, since all wait for that worker.
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
    use proptest::prelude::*;

    fn clock(bounded: bool) -> Clock {
        Clock::new(&TimeSpec::default(), bounded)
    }

    const T: i64 = 1_711_670_400_000;

    #[test]
    fn a_pane_closes_when_an_event_comes_that_is_newer_by_the_disorder_allowed() {
        let (clock, mut partition) = (clock(true), PartitionTime::default());
        let pane = clock.pane(T);
        let mut admit = |time| (partition.admit(time, None, &clock, 0), partition.watermark());
        assert_eq!(admit(T), (Ok(pane), Some(pane - 1)));
        assert_eq!(admit(T + 14_999), (Ok(pane + 1), Some(pane)));
        assert_eq!(admit(T + 1), (Ok(pane), Some(pane)), "5 s of disorder keep the pane open");
        assert_eq!(admit(T + 15_000), (Ok(pane + 1), Some(pane + 1)));
        assert_eq!(admit(T + 9_999), (Err(Refusal::Late), Some(pane + 1)));
    }

    #[test]
    fn an_event_ahead_of_its_brokers_time_counts_in_its_pane_and_makes_nobody_late() {
        let (clock, mut partition) = (clock(false), PartitionTime::default());
        let pane = clock.pane(T);
        let ahead = T + 59_000;
        assert!(!clock.too_far_ahead(ahead, Some(T)));
        assert_eq!(partition.admit(ahead, Some(T), &clock, 0), Ok(pane + 5));
        assert_eq!(partition.watermark(), Some(pane - 1), "as the broker's time says");
        assert_eq!(partition.admit(T - 5_000, Some(T), &clock, 0), Ok(pane - 1));
        assert_eq!(
            partition.admit(T, Some(T + 15_000), &clock, 0),
            Ok(pane),
            "it came late, and was in time"
        );
        assert_eq!(partition.watermark(), Some(pane + 1));
        assert_eq!(partition.admit(T, Some(T + 15_000), &clock, 0), Err(Refusal::Late));
    }

    #[test]
    fn a_partition_adds_to_no_pane_that_was_closed_before_it_came_in() {
        let clock = clock(false);
        let since = clock.pane(T);
        let mut partition = PartitionTime::since(since);
        assert_eq!(partition.admit(T - 1, None, &clock, 0), Err(Refusal::BeforePartition));
        assert_eq!(partition.admit(T, None, &clock, since + 1), Err(Refusal::Late));
        assert_eq!(partition.watermark(), None, "it has added nothing, and holds the windows");
        assert_eq!(partition.admit(T, None, &clock, 0), Ok(since));
        assert_eq!(partition.watermark(), Some(since), "the disorder reaches back no further");
    }

    #[test]
    fn an_event_is_too_far_ahead_of_the_broker_not_of_the_wall_clock() {
        let clock = clock(false);
        let ahead = |time, stamp, now| clock.too_far_ahead(time, clock.broker_time(stamp, now));
        let replayed = Some(BrokerTime::Appended(T));
        assert!(!ahead(T + 60_000, replayed, T + 1_000_000_000));
        assert!(ahead(T + 60_001, replayed, T + 1_000_000_000));
        assert!(ahead(T + 60_001, None, T));
    }

    #[test]
    fn a_producer_whose_clock_is_an_hour_ahead_cannot_vouch_for_itself() {
        let hour = 3_600_000;
        let ahead = |bounded, stamp| {
            let clock = clock(bounded);
            clock.too_far_ahead(T + hour, clock.broker_time(stamp, T))
        };
        let stamped = Some(BrokerTime::Created(T + hour));
        assert!(ahead(false, stamped));
        assert!(ahead(true, stamped), "also where a topic is read up to an end");
        assert!(!ahead(true, None), "nobody vouches for what a file says");
        let guarded = Clock::new(&TimeSpec { guards_files: true, ..TimeSpec::default() }, true);
        assert!(guarded.too_far_ahead(T + hour, guarded.broker_time(None, T)), "unless that is wanted");
    }

    /// Times of events after `T`, each with its stamp, if it has one.
    fn logs() -> impl Strategy<Value = Vec<(i64, Option<i64>)>> {
        let after = || 0i64..90_000;
        let event = (after(), prop::option::of(after()));
        prop::collection::vec(event.prop_map(|(time, stamp)| (T + time, stamp.map(|at| T + at))), 1..80)
    }

    proptest! {
        #[test]
        fn the_watermark_is_the_least_of_the_newest_event_and_the_newest_stamp(log in logs(), open_from in 0u64..3) {
            let (clock, mut partition) = (clock(true), PartitionTime::default());
            let open_from = clock.pane(T) + open_from;
            let (mut events, mut stamps) = (Vec::<i64>::new(), Vec::<i64>::new());
            for (time, stamp) in log {
                let newest = events.iter().max().zip(stamps.iter().max());
                let passed = newest.map(|(event, stamp)| ((event.min(stamp) - 5_000) / 10_000) as u64);
                prop_assert_eq!(partition.watermark(), passed);
                let pane = (time / 10_000) as u64;
                let late = pane < passed.unwrap_or(0).max(open_from);
                let admitted = partition.admit(time, stamp, &clock, open_from);
                prop_assert_eq!(admitted, if late { Err(Refusal::Late) } else { Ok(pane) });
                if !late {
                    events.push(time);
                }
                stamps.push(stamp.unwrap_or(time));
            }
        }

        #[test]
        fn a_run_that_goes_on_decides_as_the_first_one_did(log in logs(), durable in 0u64..10) {
            let clock = clock(true);
            let durable = clock.pane(T) + durable;
            let mut first = PartitionTime::default();
            let mut again: Option<PartitionTime> = None;
            for (time, stamp) in log {
                // It is read on from the first event that is admitted to a pane that is not durable.
                let stamped = first.times().stamped(&clock);
                let decided = first.admit(time, stamp, &clock, 0);
                if again.is_none() && decided.is_ok_and(|pane| pane >= durable) {
                    again = Some(PartitionTime::default().resumed(Some(stamped), None, &clock));
                }
                if let Some(again) = &mut again {
                    let open = decided.ok().filter(|pane| *pane >= durable);
                    prop_assert_eq!(again.admit(time, stamp, &clock, durable).ok(), open);
                }
            }
        }

        #[test]
        fn so_does_one_over_the_whole_input_from_any_event_on(
            log in logs(), durable in 0u64..10, from in 0usize..40,
        ) {
            let clock = clock(true);
            let durable = clock.pane(T) + durable;
            let mut first = PartitionTime::default();
            let mut again: Option<PartitionTime> = None;
            for (index, (time, stamp)) in log.into_iter().enumerate() {
                let times = first.times();
                let placed = first.place(time, stamp, &clock, 0);
                if index == from {
                    let (stamped, newest) = (times.stamped(&clock), times.newest(&clock));
                    again = Some(PartitionTime::default().resumed(Some(stamped), newest, &clock));
                }
                if let Some(again) = &mut again {
                    let expected = match placed {
                        Place::Open(pane) if pane < durable => Place::Durable,
                        placed => placed,
                    };
                    prop_assert_eq!(again.place(time, stamp, &clock, durable), expected);
                }
            }
        }
    }

    #[test]
    fn a_worker_waits_for_its_slowest_active_partition() {
        let clock = clock(true);
        let at = |time| {
            let mut partition = PartitionTime::default();
            partition.admit(time, None, &clock, 0).unwrap();
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
