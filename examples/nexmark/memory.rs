//! A source over records in memory: each partition a list that ends.

use crest_connectors::source::{
    Partition, Payload, Progress, Record, Source, SourceError, SourceFactory, SourceStats,
};
use std::sync::Arc;

/// The partitions, shared by all workers.
pub struct Memory(pub Vec<Arc<Vec<String>>>);

impl SourceFactory for Memory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let held: Vec<usize> = (0..self.0.len()).filter(|p| p % workers == worker).collect();
        Ok(Box::new(Reader {
            partitions: held.iter().map(|&p| p as Partition).collect(),
            records: held.iter().map(|&p| self.0[p].clone()).collect(),
            next: vec![0; held.len()],
        }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// One worker's partitions, by slot.
struct Reader {
    partitions: Vec<Partition>,
    records: Vec<Arc<Vec<String>>>,
    /// The record to read next.
    next: Vec<usize>,
}

impl Source for Reader {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        format!("memory/{}", self.partitions[slot])
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let from = self.next[slot];
        let rest = &self.records[slot][from..];
        if rest.is_empty() {
            return Ok(Progress::Ended);
        }
        let count = limit.min(rest.len());
        for (offset, record) in (from as i64..).zip(&rest[..count]) {
            each(Record::new(offset, Payload::Bytes(record.as_bytes())));
        }
        self.next[slot] += count;
        Ok(Progress::Read(count))
    }

    fn bounded(&self) -> bool {
        true
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}
