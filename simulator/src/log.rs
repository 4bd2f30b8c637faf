//! A simulated log: partitions whose records come at their times, and a broker that is gone now and then.

use crest_connectors::source::{
    BrokerTime, Partition, Payload, Progress, ReadToEnd, Record, Source, SourceError, SourceFactory,
    SourceStats,
};
use crest_host::clock;
use crest_state::replay::Resume;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A record, and when the log has it: so long after the simulation began.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it comes.
    pub after: Duration,
    /// What the broker stamps it with, in milliseconds since 1970.
    pub stamp: i64,
    /// The event, as JSON.
    pub json: Vec<u8>,
}

/// What all readers of a log share.
#[derive(Debug)]
pub struct Log {
    /// The records of each partition, in their order.
    pub partitions: Vec<Vec<Arrival>>,
    /// When the broker does not answer.
    pub outages: Vec<Range<Duration>>,
    /// Whether a partition ends after its last record.
    pub bounded: bool,
    /// When the simulation began.
    pub began: Instant,
}

/// A log, from where a run reads on.
pub struct LogFrom {
    log: Arc<Log>,
    next: BTreeMap<Partition, usize>,
}

impl LogFrom {
    /// The log from where an earlier run left off.
    pub fn new(log: Arc<Log>, resume: Option<&Resume>) -> Self {
        let partitions = resume.into_iter().flat_map(|resume| &resume.partitions);
        let next = partitions.map(|(partition, at)| (*partition, at.replay as usize)).collect();
        LogFrom { log, next }
    }
}

impl SourceFactory for LogFrom {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let held = (worker..self.log.partitions.len()).step_by(workers);
        let partitions: Vec<Partition> = held.map(|partition| partition as Partition).collect();
        let at = |partition: &Partition| self.next.get(partition).copied().unwrap_or(0);
        let next = partitions.iter().map(at).collect();
        Ok(Box::new(Reader { log: self.log.clone(), partitions, next }))
    }

    fn bounded(&self) -> bool {
        self.log.bounded
    }
}

struct Reader {
    log: Arc<Log>,
    partitions: Vec<Partition>,
    next: Vec<usize>,
}

impl Reader {
    fn records(&self, slot: usize) -> &[Arrival] {
        &self.log.partitions[self.partitions[slot] as usize]
    }

    /// Since when the broker answers; `None` where it does not.
    fn answering_since(&self) -> Option<Instant> {
        let now = clock::now().saturating_duration_since(self.log.began);
        if self.log.outages.iter().any(|outage| outage.contains(&now)) {
            return None;
        }
        let over = self.log.outages.iter().filter(|outage| outage.end <= now).map(|outage| outage.end).max();
        Some(self.log.began + over.unwrap_or_default())
    }
}

impl Source for Reader {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn position(&self, slot: usize) -> Option<i64> {
        Some(self.next[slot] as i64)
    }

    fn name(&self, slot: usize) -> String {
        format!("log/{}", self.partitions[slot])
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let Some(answering_since) = self.answering_since() else { return Ok(Progress::Waiting) };
        let now = clock::now().saturating_duration_since(self.log.began);
        let from = self.next[slot];
        let records = &self.records(slot)[from..];
        // A few at a time, so that a life can end between any two.
        let most = limit.min(1 + (crest_host::draw::random() % 16) as usize);
        let there = records.iter().take(most).take_while(|record| record.after <= now);
        let mut count = 0;
        for (offset, record) in (from as i64..).zip(there) {
            let payload = Payload::Bytes(&record.json);
            each(Record { time: Some(BrokerTime::Appended(record.stamp)), ..Record::new(offset, payload) });
            count += 1;
        }
        let all = count == records.len();
        self.next[slot] += count;
        Ok(match count {
            0 if all && self.log.bounded => Progress::Ended,
            0 => Progress::AtEnd(answering_since),
            count => Progress::Read(count),
        })
    }

    fn read_to_end(&self, slot: usize) -> Option<ReadToEnd> {
        let (answering_since, now) = (self.answering_since()?, clock::now());
        let next = self.records(slot).get(self.next[slot]);
        let there = next.is_some_and(|record| self.log.began + record.after <= now);
        (!there).then_some(ReadToEnd { at: now, answering_since })
    }

    fn bounded(&self) -> bool {
        self.log.bounded
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}
