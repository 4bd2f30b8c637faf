//! A sample as a source, from which a job reads it as it would read the source itself.

use super::sample::Sample;
use crest_connectors::source::{Origin, Partition, Progress, Record, Source, SourceError, SourceFactory};
use std::sync::Arc;

/// Makes readers of a sample.
pub struct Replay(pub Arc<Sample>);

struct Reader {
    sample: Arc<Sample>,
    partitions: Vec<Partition>,
    /// How many records of each partition were read.
    read: Vec<usize>,
}

impl SourceFactory for Replay {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let all = 0..self.0.partitions.len() as Partition;
        let partitions: Vec<Partition> = all.skip(worker).step_by(workers).collect();
        Ok(Box::new(Reader { sample: self.0.clone(), read: vec![0; partitions.len()], partitions }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

impl Reader {
    fn partition(&self, slot: usize) -> &super::sample::Partition {
        &self.sample.partitions[self.partitions[slot] as usize]
    }
}

impl Source for Reader {
    fn partitions(&mut self) -> &[Partition] {
        &self.partitions
    }

    fn name(&self, slot: usize) -> String {
        self.partition(slot).name.clone()
    }

    fn origin(&self, slot: usize) -> Origin {
        self.partition(slot).origin.clone()
    }

    fn header(&self, slot: usize) -> Option<&[u8]> {
        self.partition(slot).header.as_deref()
    }

    fn read(
        &mut self,
        slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let from = self.read[slot];
        let records = self.partition(slot).records.iter().skip(from).take(limit);
        let count = records.map(|kept| each(kept.record())).count();
        self.read[slot] += count;
        Ok(if count == 0 { Progress::Ended } else { Progress::Read(count) })
    }

    fn bounded(&self) -> bool {
        true
    }
}
