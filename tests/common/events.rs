//! Events of tests: made up from a seed, written as the lines that the program reads.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// 2024-03-28T22:20:00Z, in ms: a multiple of ten minutes.
pub const START: i64 = 1_711_664_400_000;

/// An event before it is JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub item: String,
    /// In ms since 1970.
    pub time: i64,
    pub event_type: Option<String>,
    pub weight: Option<u32>,
    /// Other fields by name.
    pub fields: Vec<(String, String)>,
    /// The broker's time stamp, in ms; as `time` where there is none.
    pub sent: Option<i64>,
}

impl Event {
    /// A plain event.
    pub fn new(item: &str, time: i64) -> Self {
        Event { item: item.into(), time, event_type: None, weight: None, fields: Vec::new(), sent: None }
    }

    /// With another field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// With a weight.
    pub fn weighing(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// The line that the program reads, without its end.
    pub fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("item_id".into(), json!(self.item));
        object.insert("timestamp".into(), json!(self.time));
        object.extend(self.event_type.iter().map(|name| ("event_type".into(), json!(name))));
        object.extend(self.weight.iter().map(|weight| ("weight".into(), json!(weight))));
        object.extend(self.fields.iter().map(|(name, value)| (name.clone(), json!(value))));
        Value::Object(object).to_string()
    }
}

/// An event every 10 ms from one time to another, in ms after [`START`]: seven items take turns.
pub fn every_10_ms(from: i64, to: i64) -> Vec<Event> {
    (from..to).step_by(10).map(|ms| Event::new(&format!("item-{}", ms / 10 % 7), START + ms)).collect()
}

/// The wall clock, in ms since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A stream of made-up events: Zipf over items, out of order within bounds.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub seed: u64,
    pub events: usize,
    pub items: u64,
    /// Zipf's exponent.
    pub skew: f64,
    /// The time of the first event, in ms since 1970.
    pub start: i64,
    /// From the first event to the last, in ms.
    pub span: i64,
    /// How far an event may be behind its place in the order, in ms.
    pub disorder: i64,
    /// Weights from 1 to this; none where it is 0.
    pub heaviest: u32,
    /// Event types to choose from; none where empty.
    pub types: Vec<&'static str>,
    /// Values of the field `region` to choose from, the first being the most common; none where empty.
    pub regions: Vec<&'static str>,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic {
            seed: 1,
            events: 20_000,
            items: 500,
            skew: 1.0,
            start: START,
            span: 5 * 60_000,
            disorder: 4_000,
            heaviest: 0,
            types: Vec::new(),
            regions: Vec::new(),
        }
    }
}

impl Traffic {
    /// Of three types and in three regions, within so many ms.
    pub fn mixed(seed: u64, events: usize, items: u64, span: i64) -> Traffic {
        let (types, regions) = (vec!["view", "buy", "other"], vec!["IN", "US", "DE"]);
        Traffic { seed, events, items, span, disorder: 3_000, types, regions, ..Traffic::default() }
    }

    /// The events in the order of a log; the same for the same settings.
    pub fn log(&self) -> Vec<Event> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let zipf = Zipf::new(self.items as f64, self.skew).expect("items and a skew that make sense");
        (0..self.events).map(|place| self.event(place as i64, &zipf, &mut random)).collect()
    }

    /// The events of [`log`](Self::log), each in one of so many logs.
    pub fn logs(&self, partitions: usize) -> Vec<Vec<Event>> {
        let mut random = StdRng::seed_from_u64(!self.seed);
        let mut logs = vec![Vec::new(); partitions];
        for event in self.log() {
            logs[random.random_range(0..partitions)].push(event);
        }
        logs
    }

    fn event(&self, place: i64, zipf: &Zipf<f64>, random: &mut StdRng) -> Event {
        let rank = zipf.sample(random) as u64;
        let in_order = self.start + place * self.span / (self.events as i64 - 1).max(1);
        let behind = if self.disorder > 0 { random.random_range(0..=self.disorder) } else { 0 };
        let mut event = Event::new(&format!("item-{rank}"), in_order - behind);
        if self.heaviest > 0 {
            event.weight = Some(random.random_range(1..=self.heaviest));
        }
        if !self.types.is_empty() {
            event.event_type = Some(self.types[random.random_range(0..self.types.len())].into());
        }
        if !self.regions.is_empty() {
            let last = self.regions.len() - 1;
            let region = random.random_range(0..=last).min(random.random_range(0..=last));
            event = event.with("region", self.regions[region]);
        }
        event
    }
}

/// Writes each log to a file of its own, in the order of their names, and returns the URL of them all.
pub fn write_files(dir: &Path, logs: &[Vec<Event>]) -> String {
    for (index, log) in logs.iter().enumerate() {
        let lines: String = log.iter().map(|event| event.json() + "\n").collect();
        std::fs::write(dir.join(format!("part-{index:03}.ndjson")), lines).unwrap();
    }
    format!("file:{}/part-*.ndjson", dir.display())
}
