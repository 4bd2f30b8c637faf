//! What a seed decides before a simulation begins: the job, its events, its lives, and the faults.

use crate::boards::{Boards, Common};
use crate::log::{Arrival, Outage, Truncation};
use crest_state::spec::{JobSpec, TimeSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use std::time::Duration;

/// 2024-03-29T00:00:00Z, at which simulations begin, in milliseconds since 1970.
pub const T0: i64 = 1_711_670_400_000;

/// What has a retention is kept for so long.
pub const LEAST_KEPT: Duration = Duration::from_secs(60);
/// Until when partitions are added.
const ADDED: Duration = Duration::from_millis(3_000);
/// The first events of a partition come so long after it was added: the job has noticed it by then.
const BEFORE_EVENTS: Duration = Duration::from_millis(500);
/// The least idle timeout.
const IDLE: Duration = Duration::from_millis(1_500);

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened, in milliseconds since 1970.
    pub time: i64,
    /// What it counts for.
    pub item: String,
    /// How much it counts.
    pub weight: u32,
    /// The group that it is of, where its board has groups.
    pub region: Option<&'static str>,
    /// When the log has it: so long after the simulation began.
    pub after: Duration,
}

impl Event {
    /// The record that the log has of it.
    pub fn arrival(&self) -> Arrival {
        let mut json =
            serde_json::json!({ "item_id": self.item, "timestamp": self.time, "weight": self.weight });
        if let Some(region) = self.region {
            json["region"] = region.into();
        }
        let stamp = (T0 + self.after.as_millis() as i64).max(self.time);
        Arrival { after: self.after, stamp, json: json.to_string().into_bytes() }
    }
}

/// How a life of the job comes to its end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// It is killed in its so many-th call of the store.
    AtCall(u64),
    /// It is killed at its so many-th final ranking.
    AtFinal(u64),
    /// It is killed after so long.
    After(Duration),
    /// It is asked to stop after so long.
    Stop(Duration),
    /// One of its processes dies after so long, of this number as far as there are so many. The others go on until they
    /// notice, which takes a while, and end then.
    Process(Duration, usize),
    /// It comes to the end of its input.
    Never,
}

/// A life of the job, from its start to its end.
#[derive(Clone, Debug)]
pub struct LifePlan {
    /// Workers of each process.
    pub workers: usize,
    /// Processes of the cluster.
    pub processes: usize,
    /// How it ends.
    pub end: End,
    /// The settings that may be others in each life.
    pub settings: Settings,
    /// The boards, which may be others as well.
    pub boards: Boards,
}

/// Settings that a job may change on its state.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often provisional rankings are made.
    pub refresh: Duration,
    /// After which time without events a partition holds nothing back.
    pub idle_timeout: Duration,
    /// How long panes and rollups of a minute are kept; `None` is for as long as by default.
    pub kept: Option<Duration>,
}

/// What a live stream has besides events that come all the time, in all of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Nothing.
    Steady,
    /// All but the first partition are added while the job runs.
    Growing,
    /// The last partition is idle for a while, and wakes up.
    Waking,
}

/// How often a call of the store goes wrong, each by its probability.
#[derive(Clone, Copy, Debug)]
pub struct FaultPlan {
    /// It fails, and nothing is done.
    pub fails: f64,
    /// It is done, and fails.
    pub answer_lost: f64,
    /// It takes up to three seconds.
    pub stalls: f64,
    /// The sink takes nothing for a while.
    pub sink_fails: f64,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub const NONE: FaultPlan = FaultPlan { fails: 0.0, answer_lost: 0.0, stalls: 0.0, sink_fails: 0.0 };

    fn of(random: &mut StdRng) -> FaultPlan {
        let mut some = || if random.random_bool(0.5) { random.random_range(0.0..0.15) } else { 0.0 };
        FaultPlan { fails: some(), answer_lost: some(), stalls: some(), sink_fails: some() }
    }
}

/// All that is decided beforehand.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed, which decides on all that happens while it is lived, too.
    pub seed: u64,
    /// The job, but for its boards.
    pub spec: JobSpec,
    /// Whether the input ends; or else it is a live stream.
    pub bounded: bool,
    /// What a live stream is like.
    pub stream: Stream,
    /// Whether a pane may have more items than are kept, so that its counts are bounds.
    pub overflows: bool,
    /// The events of each partition, in the order of their arrival.
    pub partitions: Vec<Vec<Event>>,
    /// When each partition is added, in this order.
    pub added: Vec<Duration>,
    /// When the log does not answer.
    pub outages: Vec<Outage>,
    /// When the log deletes records that the job may not have read.
    pub truncations: Vec<Truncation>,
    /// The last one comes to the end of the input.
    pub lives: Vec<LifePlan>,
    /// What goes wrong with the store and the sink.
    pub faults: FaultPlan,
    /// The milliseconds by which the wall clock jumps at the start of each life.
    pub jumps: Vec<i64>,
    /// How many times as long a short pause takes.
    pub slowness: u32,
}

/// How much there is of everything. Most plans are small, since many small ones find more than a few large ones.
struct Size {
    /// Until when the events come, in milliseconds.
    time: u64,
    /// The most events of a partition.
    events: usize,
    /// The most workers, in all processes.
    workers: usize,
}

impl Size {
    fn of(random: &mut StdRng) -> Size {
        if random.random_bool(0.15) {
            return Size { time: 4_000, events: 120, workers: 8 };
        }
        let [time, events, workers] = [700..1_800, 12..50, 2..6].map(|range| random.random_range(range));
        Size { time, events: events as usize, workers: workers as usize }
    }
}

impl Plan {
    /// What this seed decides.
    pub fn of(seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let (bounded, overflows) = (random.random_bool(0.6), random.random_bool(0.2));
        let size = Size::of(&mut random);
        let stream = match random.random_range(0..8) {
            0 if !bounded => Stream::Growing,
            1 if !bounded => Stream::Waking,
            _ => Stream::Steady,
        };
        let mut spec = spec(&mut random, bounded, overflows);
        let common = Common { pane: spec.time.pane, overflows };
        let mut boards = Boards::first(&mut random, common);
        // Drawn apart, so that a seed of before is the simulation that it was but for this.
        match StdRng::seed_from_u64(!seed).random_range(0..4) {
            0 => boards.count_values(),
            1 => boards.retract(),
            _ => {}
        }
        if stream != Stream::Steady {
            // Whether an event of a partition that wakes up is late depends on the others, unless the disorder allowed is
            // longer than the log may be out and an event may be old.
            spec.time.out_of_orderness = spec.time.pane * 20;
        }
        let partitions = partitions(&mut random, &size, (bounded, stream), overflows);
        let added = added(&mut random, stream, partitions.len());
        let mut lives = lives(&mut random, &size, &boards);
        if random.random_bool(0.4) {
            let changed = boards.of_lives(&mut random, common, lives.len());
            lives.iter_mut().zip(changed).for_each(|(life, boards)| life.boards = boards);
        }
        let truncations = match stream {
            Stream::Steady => truncations(&mut random, size.time, &partitions),
            // Whether an event is late depends on other partitions there.
            _ => Vec::new(),
        };
        let outages = outages(&mut random, size.time, partitions.len());
        let faults = FaultPlan::of(&mut random);
        let jump = |random: &mut StdRng| match random.random_range(0..4) {
            0 => random.random_range(-3_600_000..3_600_000),
            _ => 0,
        };
        let jumps = lives.iter().map(|_| jump(&mut random)).collect();
        let slowness = if random.random_bool(0.2) { 1 } else { random.random_range(2..10) };
        Plan {
            seed,
            spec,
            bounded,
            stream,
            overflows,
            partitions,
            added,
            outages,
            truncations,
            lives,
            faults,
            jumps,
            slowness,
        }
    }

    /// Takes a partition out, and what goes wrong with it alone.
    pub fn remove_partition(&mut self, number: usize) {
        self.partitions.remove(number);
        self.added.pop();
        let after = |partition: usize| if partition > number { partition - 1 } else { partition };
        self.outages.retain(|outage| outage.partition != Some(number));
        self.outages.iter_mut().for_each(|outage| outage.partition = outage.partition.map(after));
        self.truncations.retain(|truncation| truncation.partition != number);
        self.truncations.iter_mut().for_each(|truncation| truncation.partition = after(truncation.partition));
    }

    /// Takes some of a partition's events out.
    pub fn remove_events(&mut self, number: usize, events: Range<usize>) {
        let left = |at: usize| at - at.min(events.end).saturating_sub(events.start);
        for truncation in self.truncations.iter_mut().filter(|truncation| truncation.partition == number) {
            truncation.first = left(truncation.first);
        }
        self.partitions[number].drain(events);
    }

    /// Whether what it counts depends on how it is lived.
    pub fn depends(&self) -> bool {
        self.changes() || !self.truncations.is_empty()
    }

    /// Whether some life has other boards than the first.
    pub fn changes(&self) -> bool {
        self.lives.iter().any(|life| life.boards.specs != self.lives[0].boards.specs)
    }

    /// The same events and job in one quiet life of one worker.
    pub fn quiet(&self) -> Plan {
        let settings = Settings {
            refresh: self.spec.time.refresh,
            idle_timeout: self.spec.time.idle_timeout,
            kept: None,
        };
        let boards = self.lives[0].boards.clone();
        let lives = vec![LifePlan { workers: 1, processes: 1, end: End::Never, settings, boards }];
        Plan { lives, faults: FaultPlan::NONE, outages: Vec::new(), jumps: vec![0], ..self.clone() }
    }
}

fn spec(random: &mut StdRng, bounded: bool, overflows: bool) -> JobSpec {
    // A live stream passes in seconds, and a log that is there already holds minutes.
    let pane = Duration::from_millis(if bounded { 10_000 } else { 200 });
    let mut spec = JobSpec {
        boards: Vec::new(),
        time: TimeSpec {
            pane,
            out_of_orderness: pane * 3 / 2,
            allowed_lateness: if random.random_bool(0.3) { pane } else { Duration::ZERO },
            idle_timeout: IDLE,
            refresh: Duration::from_millis(random.random_range(100..1_000)),
            ..TimeSpec::default()
        },
        ..JobSpec::default()
    };
    spec.schema.weight = vec!["weight".into()];
    if overflows {
        (spec.sketch.rows, spec.sketch.rows_kept) = (128, 100);
    }
    spec
}

fn partitions(
    random: &mut StdRng,
    size: &Size,
    (bounded, stream): (bool, Stream),
    overflows: bool,
) -> Vec<Vec<Event>> {
    let count = random.random_range(1..5);
    let items = if overflows { 400 } else { random.random_range(2..12) };
    // Many enough that a pane has more of them than rows are kept.
    let most = if overflows { size.events.max(100) * 4 } else { size.events };
    let events = random.random_range(most / 4..most);
    let mut partition = |number| {
        let mut events = partition(random, size, bounded, items, events);
        let (from, pause) = match stream {
            Stream::Growing if number > 0 => (Duration::ZERO, ADDED + BEFORE_EVENTS),
            Stream::Waking if number + 1 == count => (Duration::from_millis(size.time / 3), 2 * IDLE),
            _ => return events,
        };
        // What comes later than this comes later still.
        let moved = events.iter_mut().filter(|event| event.after >= from);
        moved.for_each(|event| {
            event.after += pause;
            event.time += pause.as_millis() as i64;
        });
        events
    };
    let mut all: Vec<_> = (0..count).map(&mut partition).collect();
    if stream != Stream::Steady {
        // The others go on for as long.
        let last = all.iter().flatten().map(|event| event.after).max().unwrap_or_default();
        all.iter_mut().for_each(|events| prolong(events, last));
    }
    all
}

/// Lets events that end sooner come again until this time, each a while later than the one before.
fn prolong(events: &mut Vec<Event>, until: Duration) {
    let Some(last) = events.last().cloned() else { return };
    let step = Duration::from_millis(150);
    let mut later = step;
    while last.after + later < until {
        let time = last.time + later.as_millis() as i64;
        events.push(Event { after: last.after + later, time, ..last.clone() });
        later += step;
    }
}

/// When each partition is added.
fn added(random: &mut StdRng, stream: Stream, partitions: usize) -> Vec<Duration> {
    let latest = if stream == Stream::Growing { ADDED.as_millis() as u64 } else { 0 };
    let mut added: Vec<_> =
        (1..partitions).map(|_| Duration::from_millis(random.random_range(0..=latest))).collect();
    added.push(Duration::ZERO);
    added.sort();
    added
}

/// Events in the order of their arrival; those of a live stream come until the same time in all partitions, and without
/// a pause that is long enough for the partition to be idle.
fn partition(random: &mut StdRng, size: &Size, bounded: bool, items: u64, events: usize) -> Vec<Event> {
    let mut clock = if bounded { T0 + random.random_range(0..60_000) } else { T0 };
    let mut after = Duration::ZERO;
    let step = size.time / events as u64;
    let event = |_| {
        after += Duration::from_millis(random.random_range(0..=2 * step));
        let time = if bounded {
            clock += match random.random_range(0..60) {
                0 => random.random_range(10_000..60_000),
                1 => -random.random_range(5_000..40_000),
                _ => random.random_range(-2_000..6_000),
            };
            clock
        } else {
            let now = T0 + after.as_millis() as i64;
            now - if random.random_bool(0.05) {
                random.random_range(0..1_500)
            } else {
                random.random_range(0..300)
            }
        };
        let skewed = random.random_range(0..items) * random.random_range(1..9) / 8;
        let region = [None, Some("IN"), Some("US")][random.random_range(0..3)];
        Event { time, item: format!("item:{skewed}"), weight: random.random_range(1..5), region, after }
    };
    (0..events).map(event).collect()
}

/// When the log does not answer.
fn outages(random: &mut StdRng, time: u64, partitions: usize) -> Vec<Outage> {
    let outage = |random: &mut StdRng| {
        let from = Duration::from_millis(random.random_range(0..time));
        let when = from..from + Duration::from_millis(random.random_range(1..1_500));
        Outage { partition: random.random_bool(0.4).then(|| random.random_range(0..partitions)), when }
    };
    (0..random.random_range(0..3)).map(|_| outage(random)).collect()
}

/// When the log deletes records: some of those that have come by then.
fn truncations(random: &mut StdRng, time: u64, partitions: &[Vec<Event>]) -> Vec<Truncation> {
    let count = if random.random_bool(0.2) { random.random_range(1..4) } else { 0 };
    let truncation = |_| {
        let partition = random.random_range(0..partitions.len());
        let at = Duration::from_millis(random.random_range(0..2 * time));
        let there = partitions[partition].iter().filter(|event| event.after <= at).count();
        Truncation { partition, at, first: random.random_range(0..=there) }
    };
    (0..count).map(truncation).collect()
}

fn lives(random: &mut StdRng, size: &Size, boards: &Boards) -> Vec<LifePlan> {
    let expiring = [0.0, 0.5, 1.0][random.random_range(0..3)];
    let mut life = |end| {
        let processes = random.random_range(1..4.min(size.workers + 1));
        let workers = random.random_range(1..=size.workers / processes).min(random.random_range(1..9));
        let settings = Settings {
            refresh: Duration::from_millis(random.random_range(100..1_000)),
            idle_timeout: IDLE + Duration::from_millis(random.random_range(0..500)),
            kept: random.random_bool(expiring).then_some(LEAST_KEPT),
        };
        let life = LifePlan { workers, processes, end, settings, boards: boards.clone() };
        (life, random.random_range(0..6u32), random.random_range(1..100u64))
    };
    let (last, ..) = life(End::Never);
    let mut lives = Vec::new();
    for _ in 0..4 {
        let (plan, kind, number) = life(End::Never);
        let end = match kind {
            0 => End::AtCall(number),
            1 => End::AtFinal(1 + number / 4),
            2 => End::After(Duration::from_millis(number * size.time / 100)),
            3 => End::Stop(Duration::from_millis(number * size.time / 100)),
            4 => End::Process(Duration::from_millis(number * size.time / 100), number as usize % 3),
            _ => continue,
        };
        lives.push(LifePlan { end, ..plan });
    }
    lives.push(last);
    lives
}
