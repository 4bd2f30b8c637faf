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

/// When the log does not answer, after the simulation began.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Of one partition, or of all.
    pub partition: Option<usize>,
    /// From when until when.
    pub when: Range<Duration>,
}

/// From when on a partition lacks its first records, after the simulation began.
#[derive(Clone, Debug)]
pub struct Truncation {
    /// Which partition.
    pub partition: usize,
    /// Since when.
    pub at: Duration,
    /// The first record that is left.
    pub first: usize,
}

/// Records that were deleted before a life had read them.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Which life was the first to miss them there.
    pub life: u32,
    /// Of which partition.
    pub partition: usize,
    /// Which records.
    pub records: Range<usize>,
    /// What was durable when the life began (ms): what is of the time before that is counted all the same.
    pub durable: i64,
}

/// What all readers of a log share.
#[derive(Debug)]
pub struct Log {
    /// The records of each partition, in their order.
    pub partitions: Vec<Vec<Arrival>>,
    /// When each partition is added, in their order.
    pub added: Vec<Duration>,
    /// When the broker does not answer.
    pub outages: Vec<Outage>,
    /// When it deletes records.
    pub truncations: Vec<Truncation>,
    /// Whether a partition ends after its last record.
    pub bounded: bool,
    /// When the simulation began.
    pub began: Instant,
}

/// Is told of the records of a partition that are gone.
pub type Missed = Arc<dyn Fn(usize, Range<usize>) + Send + Sync>;

/// A log, from where a run reads on.
pub struct LogFrom {
    log: Arc<Log>,
    next: BTreeMap<Partition, usize>,
    missed: Missed,
}

impl LogFrom {
    /// The log from where an earlier run left off. Where records are gone, `missed` is told.
    pub fn new(log: Arc<Log>, resume: Option<&Resume>, missed: Missed) -> Self {
        let partitions = resume.into_iter().flat_map(|resume| &resume.partitions);
        let next = partitions.map(|(partition, at)| (*partition, at.replay as usize)).collect();
        LogFrom { log, next, missed }
    }
}

impl SourceFactory for LogFrom {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let (log, from, missed) = (self.log.clone(), self.next.clone(), self.missed.clone());
        let (partitions, next) = (Vec::new(), Vec::new());
        Ok(Box::new(Reader { log, from, missed, gone: 0, worker, workers, partitions, next }))
    }

    fn bounded(&self) -> bool {
        self.log.bounded
    }
}

struct Reader {
    log: Arc<Log>,
    /// Where each partition is read on.
    from: BTreeMap<Partition, usize>,
    missed: Missed,
    /// How many records were gone.
    gone: u64,
    worker: usize,
    workers: usize,
    partitions: Vec<Partition>,
    next: Vec<usize>,
}

impl Reader {
    fn records(&self, slot: usize) -> &[Arrival] {
        &self.log.partitions[self.partitions[slot] as usize]
    }

    /// Since when the broker answers for a partition; `None` where it does not.
    fn answering_since(&self, slot: usize) -> Option<Instant> {
        let now = clock::now().saturating_duration_since(self.log.began);
        let partition = self.partitions[slot] as usize;
        let is_of = |outage: &&Outage| outage.partition.is_none_or(|of| of == partition);
        let outages = || self.log.outages.iter().filter(is_of).map(|outage| &outage.when);
        if outages().any(|outage| outage.contains(&now)) {
            return None;
        }
        let over = outages().filter(|outage| outage.end <= now).map(|outage| outage.end).max();
        Some(self.log.began + over.unwrap_or_default())
    }
}

impl Reader {
    /// Passes over the records that are gone.
    fn pass_over(&mut self, slot: usize) {
        let now = clock::now().saturating_duration_since(self.log.began);
        let (partition, next) = (self.partitions[slot] as usize, self.next[slot]);
        let theirs = self.log.truncations.iter().filter(|gap| gap.partition == partition && gap.at <= now);
        let first = theirs.map(|gap| gap.first).max().unwrap_or(0);
        if first > next {
            (self.missed)(partition, next..first);
            self.gone += (first - next) as u64;
            self.next[slot] = first;
        }
    }
}

impl Source for Reader {
    fn partitions(&mut self) -> &[Partition] {
        let now = clock::now().saturating_duration_since(self.log.began);
        let next = self.worker + self.partitions.len() * self.workers;
        for partition in (next..self.log.partitions.len()).step_by(self.workers) {
            if self.log.added[partition] > now {
                break;
            }
            self.partitions.push(partition as Partition);
            self.next.push(self.from.get(&(partition as Partition)).copied().unwrap_or(0));
        }
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
        let Some(answering_since) = self.answering_since(slot) else { return Ok(Progress::Waiting) };
        self.pass_over(slot);
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
        let (answering_since, now) = (self.answering_since(slot)?, clock::now());
        let next = self.records(slot).get(self.next[slot]);
        let there = next.is_some_and(|record| self.log.began + record.after <= now);
        (!there).then_some(ReadToEnd { at: now, answering_since })
    }

    fn bounded(&self) -> bool {
        self.log.bounded
    }

    fn stats(&self) -> SourceStats {
        SourceStats { gap_records: self.gone, ..SourceStats::default() }
    }
}
