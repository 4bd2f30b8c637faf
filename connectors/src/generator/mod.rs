//! Synthetic traffic: events over items of Zipf popularity whose head shifts, so that rankings move.
//!
//! In: a URL, `demo:?rate=2000&items=1000&skew=1.1&seed=7&partitions=4&types=view,click&events=100000`, each
//! part optional. Out: events as JSON, a partition's share of them an ordered log of its own that depends on
//! the URL and the partition alone.
//!
//! Without `events` it goes on for ever, `rate` events a second by the wall clock, which also stamps them.
//! With `events` it ends after so many, as fast as they are read, and their event time goes from
//! 2026-01-01T00:00:00Z on at that rate: twice the same URL is twice the same log.

mod popularity;

use crate::endpoint::DemoUrl;
use crate::source::{Partition, Payload, Progress, Record, Source, SourceError, SourceFactory};
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use popularity::Popularity;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the event time of a bounded run begins: 2026-01-01T00:00:00Z.
const BOUNDED_START_MS: i64 = 1_767_225_600_000;

/// An event's time is up to so much before its turn; mostly it is much less.
const MAX_DISORDER_MS: f64 = 2000.0;

/// Where events come from; the first ones come up more often.
const REGIONS: [&str; 6] = ["IN", "US", "BR", "DE", "NG", "JP"];

/// Makes generators of synthetic traffic.
pub struct GeneratorFactory {
    settings: Arc<DemoUrl>,
    /// When the first event is due, by both clocks.
    start: (Instant, i64),
}

impl GeneratorFactory {
    /// Makes what the URL says, from now on.
    pub fn new(settings: DemoUrl) -> Self {
        let now = wall_clock_ms();
        let first = if settings.events.is_some() { BOUNDED_START_MS } else { now };
        GeneratorFactory { settings: Arc::new(settings), start: (clock::now(), first) }
    }
}

impl SourceFactory for GeneratorFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let mine = (0..self.settings.partitions).skip(worker).step_by(workers);
        let traffic =
            mine.clone().map(|partition| PartitionTraffic::new(partition, &self.settings)).collect();
        let partitions = mine.map(Partition::from).collect();
        Ok(Box::new(Generator { settings: self.settings.clone(), start: self.start, partitions, traffic }))
    }

    fn bounded(&self) -> bool {
        self.settings.events.is_some()
    }
}

struct Generator {
    settings: Arc<DemoUrl>,
    start: (Instant, i64),
    partitions: Vec<Partition>,
    traffic: Vec<PartitionTraffic>,
}

impl Source for Generator {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        format!("demo/{}", self.partitions[slot])
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let traffic = &mut self.traffic[slot];
        let (began, first) = self.start;
        let now = clock::since(began);
        let mut records = 0;
        while records < limit {
            if traffic.total.is_some_and(|total| traffic.made == total) {
                return Ok(if records > 0 { Progress::Read(records) } else { Progress::Ended });
            }
            let due = traffic.due(&self.settings);
            if traffic.total.is_none() && due > now {
                break;
            }
            let offset = traffic.made as i64;
            each(Record::new(offset, Payload::Bytes(traffic.event(&self.settings, first, due))));
            traffic.made += 1;
            records += 1;
        }
        if records > 0 {
            return Ok(Progress::Read(records));
        }
        // The log ends at the event that was due last, and nobody can be late to it.
        let before =
            traffic.made.checked_sub(1).map_or(Duration::ZERO, |last| traffic.due_of(last, &self.settings));
        Ok(Progress::AtEnd(began + before))
    }

    fn bounded(&self) -> bool {
        self.settings.events.is_some()
    }
}

/// One partition of the traffic.
struct PartitionTraffic {
    partition: u32,
    made: u64,
    /// How many events it makes in all; `None` for ever.
    total: Option<u64>,
    random: Xoshiro256PlusPlus,
    ranks: Zipf<f64>,
    popularity: Popularity,
    line: Vec<u8>,
}

impl PartitionTraffic {
    fn new(partition: u32, settings: &DemoUrl) -> Self {
        let partitions = u64::from(settings.partitions);
        let total = settings
            .events
            .map(|events| events / partitions + u64::from(u64::from(partition) < events % partitions));
        let seed = settings.seed ^ (u64::from(partition) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        PartitionTraffic {
            partition,
            made: 0,
            total,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            ranks: settings.ranks,
            popularity: Popularity::new(settings.items, settings.seed),
            line: Vec::with_capacity(128),
        }
    }

    /// When the next event is due, from the start on.
    fn due(&self, settings: &DemoUrl) -> Duration {
        self.due_of(self.made, settings)
    }

    fn due_of(&self, event: u64, settings: &DemoUrl) -> Duration {
        // The partitions take turns.
        let turn = event as f64 * f64::from(settings.partitions) + f64::from(self.partition);
        Duration::try_from_secs_f64(turn / settings.rate).unwrap_or(Duration::MAX)
    }

    /// The next event as JSON.
    fn event(&mut self, settings: &DemoUrl, first: i64, due: Duration) -> &[u8] {
        let due = due.as_millis() as i64;
        self.popularity.advance_to(due);
        let rank = (self.random.sample(self.ranks) as u64).clamp(1, settings.items) - 1;
        let item = self.popularity.item_at(rank);
        let disorder = MAX_DISORDER_MS * self.random.random::<f64>().powi(3);
        let event_type = self.often_the_first(settings.types.len());
        let region = self.often_the_first(REGIONS.len());

        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(b"{\"item_id\":\"");
        popularity::push_name(line, item);
        line.extend_from_slice(b"\",\"event_type\":\"");
        line.extend_from_slice(settings.types[event_type].as_bytes());
        line.extend_from_slice(b"\",\"timestamp\":");
        popularity::push_number(line, (first + due - disorder as i64).max(0) as u64);
        line.extend_from_slice(b",\"region\":\"");
        line.extend_from_slice(REGIONS[region].as_bytes());
        line.extend_from_slice(b"\"}");
        line
    }

    /// An index below `count`: each is half as likely as the one before it.
    fn often_the_first(&mut self, count: usize) -> usize {
        self.random.random::<u32>().trailing_zeros() as usize % count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashMap};

    fn read(
        factory: &GeneratorFactory,
        worker: usize,
        workers: usize,
        limit: usize,
    ) -> Vec<(String, Vec<String>)> {
        let mut source = factory.open(worker, workers).unwrap();
        let slots = source.partitions().len();
        (0..slots)
            .map(|slot| {
                let mut events = Vec::new();
                let mut each = |record: Record<'_>| {
                    assert_eq!(record.offset, events.len() as i64);
                    events.push(String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap());
                };
                while source.read(slot, limit, &mut each).unwrap() != Progress::Ended {}
                (source.name(slot), events)
            })
            .collect()
    }

    #[test]
    fn the_same_url_is_the_same_log_for_any_number_of_workers() {
        let url = "demo:?events=1003&seed=9";
        let whole = read(&GeneratorFactory::new(url.parse().unwrap()), 0, 1, 17);
        let factory = GeneratorFactory::new(url.parse().unwrap());
        let mut shares: Vec<_> = (0..3).flat_map(|worker| read(&factory, worker, 3, 1000)).collect();
        shares.sort();
        assert_eq!(whole, shares);
        assert_eq!(whole.iter().map(|(_, events)| events.len()).collect::<Vec<_>>(), [251, 251, 251, 250]);
        assert_ne!(whole[0].1, whole[1].1);
        assert_ne!(
            whole,
            read(&GeneratorFactory::new("demo:?events=1003&seed=8".parse().unwrap()), 0, 1, 17)
        );
    }

    #[test]
    fn events_are_json_in_slight_disorder_at_the_rate() {
        #[derive(serde::Deserialize)]
        struct Event {
            item_id: String,
            event_type: String,
            timestamp: i64,
            region: String,
        }
        let factory =
            GeneratorFactory::new("demo:?events=20000&rate=1000&partitions=1&types=a,b".parse().unwrap());
        let (_, lines) = read(&factory, 0, 1, 4096).remove(0);
        let events: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (index, event) in (0..).zip(&events) {
            let behind = BOUNDED_START_MS + index - event.timestamp;
            assert!((0..=2000).contains(&behind), "{behind} ms behind its turn");
        }
        assert!(events.windows(2).any(|pair| pair[0].timestamp > pair[1].timestamp));
        let types: BTreeSet<_> = events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, BTreeSet::from(["a", "b"]));
        assert!(events.iter().all(|event| REGIONS.contains(&event.region.as_str())));

        let mut counts = HashMap::new();
        events.iter().for_each(|event| *counts.entry(&event.item_id).or_insert(0) += 1);
        let most = counts.values().max().unwrap();
        assert!(*most > 1000 && counts.len() > 300, "{most} of {} items", counts.len());
    }

    #[test]
    fn a_live_generator_keeps_to_its_rate_and_is_at_its_end_in_between() {
        let mut factory = GeneratorFactory::new("demo:?rate=10&partitions=1".parse().unwrap());
        let begin = |seconds| Instant::now().checked_sub(Duration::from_secs_f64(seconds)).unwrap();
        factory.start.0 = begin(1.95);
        let mut source = factory.open(0, 1).unwrap();
        assert_eq!(source.read(0, 15, &mut |_| ()).unwrap(), Progress::Read(15));
        assert_eq!(source.read(0, 15, &mut |_| ()).unwrap(), Progress::Read(5));

        let mut slow = GeneratorFactory::new("demo:?rate=0.001&partitions=1".parse().unwrap());
        slow.start.0 = begin(1.0);
        let mut source = slow.open(0, 1).unwrap();
        assert_eq!(source.read(0, 15, &mut |_| ()).unwrap(), Progress::Read(1));
        assert_eq!(source.read(0, 15, &mut |_| ()).unwrap(), Progress::AtEnd(slow.start.0));
        assert!(!source.bounded());
    }
}
