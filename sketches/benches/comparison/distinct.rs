//! Counting different values: what an event costs and what is held, beside exact hash sets, and a day of minutes.

use crate::clock::{median, timed};
use crate::contenders::{BATCH, SEED, ledger_shape};
use crate::streams::{Draws, Law};
use crate::table::{Table, with_ratio};
use crest_sketches::{Digest, Events, KeySpan, Merged, PaneSketch, Shape, WindowSum, item_hash};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::{HashMap, HashSet};

const LAW: Law = Law { exponent: 1.0, items: 100_000, weighted: false };
const USERS: u32 = 1_000_000;
/// Events and rows of a minute of the day.
const MINUTE: (usize, usize) = (20_000, 1024);

/// Events as columns, whose keys are the items' numbers.
struct Visits {
    hashes: Vec<u64>,
    keys: Vec<KeySpan>,
    arena: Vec<u8>,
    values: Vec<u64>,
}

/// What was measured.
#[derive(Default)]
pub struct Distinct {
    /// Name, nanoseconds an event, bytes, and the mean error of the estimates of the true top 100.
    costs: Vec<(String, f64, usize, f64)>,
    /// Of a day: bytes, milliseconds of a push that completes no block, of the longest push, and of a ranking.
    day: Option<(u64, usize, f64, f64, f64)>,
    pub violations: usize,
}

impl Visits {
    fn draw(items: &mut Draws, users: &mut StdRng, events: usize) -> Visits {
        let mut visits = Visits { hashes: vec![], keys: vec![], arena: vec![], values: vec![] };
        for _ in 0..events {
            let key = format!("product:{:08}", items.item());
            visits.hashes.push(item_hash(key.as_bytes(), SEED));
            visits.keys.push(KeySpan { offset: visits.arena.len() as u32, len: key.len() as u32 });
            visits.arena.extend(key.as_bytes());
            visits.values.push(item_hash(&users.random_range(0..USERS).to_le_bytes(), SEED));
        }
        visits
    }

    fn count(&self, shape: &Shape) -> PaneSketch {
        let mut sketch = PaneSketch::new(shape);
        let columns = self.hashes.chunks(BATCH).zip(self.keys.chunks(BATCH)).zip(self.values.chunks(BATCH));
        for ((hashes, keys), values) in columns {
            let values = if shape.is_distinct() { values } else { &[] };
            let weights = &[1; BATCH][..hashes.len()];
            sketch.update(Events { hashes, weights, keys, arena: &self.arena, values });
        }
        sketch
    }

    fn sets(&self) -> HashMap<u64, HashSet<u64>> {
        let mut sets: HashMap<_, HashSet<_>> = HashMap::new();
        self.hashes
            .iter()
            .zip(&self.values)
            .for_each(|(hash, value)| _ = sets.entry(*hash).or_default().insert(*value));
        sets
    }

    fn digest(&self, shape: &Shape, rows: usize) -> Digest {
        let mut union = Merged::new(shape);
        union.add(&self.count(shape));
        union.cut(rows)
    }
}

/// What the sets take, where a table of one byte and an entry a slot is at most seven eighths full.
fn bytes(sets: &HashMap<u64, HashSet<u64>>) -> usize {
    let table = |capacity: usize, entry: usize| (capacity * 8 / 7).next_power_of_two() * (entry + 1);
    let own = table(sets.capacity(), size_of::<(u64, HashSet<u64>)>());
    own + sets.values().map(|set| table(set.capacity(), size_of::<u64>())).sum::<usize>()
}

pub fn measure(events: usize, rounds: usize, minutes: u64, seed: u64) -> Distinct {
    let (mut items, mut users) = (Draws::new(LAW, seed), StdRng::seed_from_u64(seed));
    let visits = Visits::draw(&mut items, &mut users, events);
    let truth = visits.sets();
    let mut all = Distinct::default();
    let shapes = [
        ("weights, ledger of 4096", ledger_shape()),
        ("distinct, ledger of 4096", ledger_shape().distinct()),
        ("distinct, exact", ledger_shape().exact().distinct()),
    ];
    let (mut times, mut sets) = ([f64::MAX; 4], HashMap::new());
    let mut sketches = Vec::new();
    for _ in 0..rounds {
        sketches.clear();
        for ((_, shape), time) in shapes.iter().zip(&mut times) {
            let (took, sketch) = timed(|| visits.count(shape));
            *time = time.min(took / events as f64);
            sketches.push(sketch);
        }
        let (took, exact) = timed(|| visits.sets());
        times[3] = times[3].min(took / events as f64);
        sets = exact;
    }
    for (((name, shape), time), sketch) in shapes.iter().zip(times).zip(&sketches) {
        let error = if shape.is_distinct() { all.judge(shape, sketch, &truth) } else { f64::NAN };
        all.costs.push(((*name).to_owned(), time, sketch.bytes(), error));
    }
    all.costs.push(("HashMap of HashSets".to_owned(), times[3], bytes(&sets), 0.0));
    all.day = Some(day(minutes, &mut items, &mut users));
    all
}

impl Distinct {
    /// Counts the items that are not within their bounds, and returns the mean error of the true top 100.
    fn judge(&mut self, shape: &Shape, sketch: &PaneSketch, truth: &HashMap<u64, HashSet<u64>>) -> f64 {
        let outside =
            |(hash, users): &(&u64, &HashSet<u64>)| !sketch.bounds(**hash).contains(users.len() as u64);
        self.violations += truth.iter().filter(outside).count();
        let mut union = Merged::new(shape);
        union.add(sketch);
        let digest = union.cut(usize::MAX);
        let estimates: HashMap<_, _> =
            digest.rows().map(|row| (row.hash, row.estimate.map_or(0, |estimate| estimate.count))).collect();
        let mut top: Vec<_> = truth.iter().map(|(hash, users)| (users.len(), *hash)).collect();
        top.sort_unstable_by(|a, b| b.cmp(a));
        let error = |&(users, hash): &(usize, u64)| {
            let estimate = estimates.get(&hash).copied().unwrap_or(0);
            estimate.abs_diff(users as u64) as f64 / users as f64
        };
        top.iter().take(100).map(error).sum::<f64>() / 100.0
    }
}

fn day(minutes: u64, items: &mut Draws, users: &mut StdRng) -> (u64, usize, f64, f64, f64) {
    let shape = ledger_shape().distinct();
    let (mut window, mut pushes) = (WindowSum::new(), Vec::new());
    for minute in 0..minutes {
        let digest = Visits::draw(items, users, MINUTE.0).digest(&shape, MINUTE.1);
        pushes.push(timed(|| window.push(minute, &digest)).0 / 1e6);
    }
    // A window that begins within a block has the most to merge.
    window.expire(minutes / 24);
    let longest = pushes.iter().copied().fold(0.0, f64::max);
    let rankings = (0..5).map(|_| timed(|| window.rank(100)).0 / 1e6).collect();
    (minutes, window.bytes(), median(pushes), longest, median(rankings))
}

pub fn print(distinct: &Distinct) {
    let mut table = Table::new(
        1,
        ["1M users of 100,000 items, Zipf 1.0", "ns an event", "KB", "mean error of the top 100, %"],
    );
    let first = distinct.costs.first().map_or(f64::NAN, |cost| cost.1);
    for (name, time, bytes, error) in &distinct.costs {
        let error = if error.is_nan() { "-".to_owned() } else { format!("{:.2}", 100.0 * error) };
        table.row([name.clone(), with_ratio(*time, first, 0), format!("{:.0}", *bytes as f64 / 1e3), error]);
    }
    table.print(
        "Different values: ns an event with its item hashed before, and what is held after the last one",
        "",
    );
    let Some((minutes, bytes, push, longest, ranking)) = distinct.day else { return };
    let names = ["nodes", "MB", "push, ms", "longest push, ms", "top 100, ms"];
    let mut table = Table::new(0, names);
    let cells = [bytes as f64 / 1e6, push, longest, ranking].map(|value| format!("{value:.2}"));
    table.row([minutes.to_string()].into_iter().chain(cells));
    let events = format!("Nodes of {} events, cut to {} rows.", MINUTE.0, MINUTE.1);
    table.print("Different values: a window of a day", &events);
}
