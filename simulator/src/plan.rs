//! What a seed decides before a simulation begins: the job, its events, its lives, and the faults.

use crate::log::Arrival;
use crest_state::spec::{BoardSpec, Engine, Filter, JobSpec, TimeSpec, WindowSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use std::time::Duration;

/// 2024-03-29T00:00:00Z, at which simulations begin, in milliseconds since 1970.
pub const T0: i64 = 1_711_670_400_000;

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

/// All that is decided beforehand.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed, which decides on all that happens while it is lived, too.
    pub seed: u64,
    /// The job.
    pub spec: JobSpec,
    /// Whether the input ends; or else it is a live stream.
    pub bounded: bool,
    /// Whether a pane may have more items than are kept, so that its counts are bounds.
    pub overflows: bool,
    /// The events of each partition, in the order of their arrival.
    pub partitions: Vec<Vec<Event>>,
    /// When the log does not answer, after the simulation began.
    pub outages: Vec<Range<Duration>>,
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
        let spec = spec(&mut random, bounded, overflows);
        let partitions = partitions(&mut random, &size, bounded, overflows);
        let lives = lives(&mut random, &size);
        let outage = |random: &mut StdRng| {
            let from = Duration::from_millis(random.random_range(0..size.time));
            from..from + Duration::from_millis(random.random_range(1..1_500))
        };
        let outages = (0..random.random_range(0..3)).map(|_| outage(&mut random)).collect();
        let some = |random: &mut StdRng| {
            if random.random_bool(0.5) { random.random_range(0.0..0.15) } else { 0.0 }
        };
        let faults = FaultPlan {
            fails: some(&mut random),
            answer_lost: some(&mut random),
            stalls: some(&mut random),
            sink_fails: some(&mut random),
        };
        let jump = |random: &mut StdRng| match random.random_range(0..4) {
            0 => random.random_range(-3_600_000..3_600_000),
            _ => 0,
        };
        let jumps = lives.iter().map(|_| jump(&mut random)).collect();
        let slowness = if random.random_bool(0.2) { 1 } else { random.random_range(2..10) };
        Plan { seed, spec, bounded, overflows, partitions, outages, lives, faults, jumps, slowness }
    }

    /// The same events and job in one quiet life of one worker.
    pub fn quiet(&self) -> Plan {
        let faults = FaultPlan { fails: 0.0, answer_lost: 0.0, stalls: 0.0, sink_fails: 0.0 };
        let lives = vec![LifePlan { workers: 1, processes: 1, end: End::Never }];
        Plan { lives, faults, outages: Vec::new(), jumps: vec![0], ..self.clone() }
    }
}

fn spec(random: &mut StdRng, bounded: bool, overflows: bool) -> JobSpec {
    // A live stream passes in seconds, and a log that is there already holds minutes.
    let pane = Duration::from_millis(if bounded { 10_000 } else { 200 });
    let window = |name: &str, size, slide| WindowSpec::sliding(name, size * pane, slide * pane);
    let mut windows = vec![window("short", 3, 1), window("tumbling", 6, 6), window("long", 24, 6)];
    windows.truncate(random.random_range(1..4));
    let board = BoardSpec { k: 5, windows, ..BoardSpec::default() };
    let mut spec = JobSpec {
        boards: vec![board],
        time: TimeSpec {
            pane,
            out_of_orderness: pane * 3 / 2,
            allowed_lateness: if random.random_bool(0.3) { pane } else { Duration::ZERO },
            idle_timeout: Duration::from_millis(1_500),
            refresh: Duration::from_millis(random.random_range(100..1_000)),
            ..TimeSpec::default()
        },
        ..JobSpec::default()
    };
    spec.schema.weight = vec!["weight".into()];
    if random.random_bool(0.4) {
        spec.boards[0].by = vec!["region".into()];
    }
    if random.random_bool(0.4) {
        let mut second = spec.boards[0].clone();
        (second.name, second.by) = ("second".into(), vec![]);
        second.filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
        spec.boards.push(second);
    }
    if overflows {
        (spec.sketch.rows, spec.sketch.rows_kept) = (128, 100);
    } else if random.random_bool(0.3) {
        spec.boards.iter_mut().for_each(|board| board.engine = Engine::Exact);
    }
    spec
}

fn partitions(random: &mut StdRng, size: &Size, bounded: bool, overflows: bool) -> Vec<Vec<Event>> {
    let count = random.random_range(1..5);
    let items = if overflows { 400 } else { random.random_range(2..12) };
    // Many enough that a pane has more of them than rows are kept.
    let most = if overflows { size.events.max(100) * 4 } else { size.events };
    let events = random.random_range(most / 4..most);
    (0..count).map(|_| partition(random, size, bounded, items, events)).collect()
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

fn lives(random: &mut StdRng, size: &Size) -> Vec<LifePlan> {
    let mut life = |end| {
        let processes = random.random_range(1..4.min(size.workers + 1));
        let workers = random.random_range(1..=size.workers / processes).min(random.random_range(1..9));
        (LifePlan { workers, processes, end }, random.random_range(0..5u32), random.random_range(1..100u64))
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
            _ => continue,
        };
        lives.push(LifePlan { end, ..plan });
    }
    lives.push(last);
    lives
}
