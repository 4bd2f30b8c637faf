//! What is read of a log: settles it once for all workers, and looks at what there is.

use super::Log;
use super::block::LogPartition;
use super::source::LogSource;
use super::store::Extent;
use crate::range::{OnGap, Probed, Until};
use crate::source::{Partition, Source, SourceError, SourceFactory};
use crate::span::{Asked, Span};
use crate::start::Start;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Reads a log.
struct LogFactory {
    log: Arc<Log>,
    /// By partition.
    spans: Vec<Span>,
    bounded: bool,
    on_gap: OnGap,
}

impl Log {
    /// The log as a source. Its offsets begin at 0, and its records bear the time at which they were appended, by the
    /// clock of this machine, which never goes back within a partition.
    ///
    /// `start`: where each partition begins, at its earliest record where it is not said; `reached`: up to where an
    /// earlier reader came, exclusive; `until`: up to where it is read, for ever where it is not said; `on_gap`: what
    /// to do where records are deleted that were to be read.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] where a partition is named that there is not, [`SourceError::Lost`] where an offset is
    /// asked for that is not kept, or a partition ends before the one that was reached, [`SourceError::File`].
    pub fn source(
        self: &Arc<Self>,
        start: Option<Start>,
        reached: BTreeMap<Partition, i64>,
        until: Option<Until>,
        on_gap: OnGap,
    ) -> Result<Arc<dyn SourceFactory>, SourceError> {
        let start = start.unwrap_or_default();
        if let Start::Offsets(offsets) = &start {
            check_known(self, "start", offsets)?;
        }
        if let Some(Until::Offsets(offsets)) = &until {
            check_known(self, "until", offsets)?;
        }
        let asked = Asked { start: &start, reached: &reached, until: until.as_ref(), on_gap };
        let settle = |(partition, extent): (Partition, &Extent)| {
            let timed = match start {
                Start::Time(time) => offset_at(self, partition, extent, time)?,
                _ => None,
            };
            Span::settle(&asked, (partition, &Log::partition_name(partition)), timed, kept(extent))
        };
        let spans = (0..).zip(&extents(self)?).map(settle).collect::<Result<_, _>>()?;
        Ok(Arc::new(LogFactory { log: self.clone(), spans, bounded: until.is_some(), on_gap }))
    }

    /// The offsets that each partition keeps, and, for a partition that `offsets` names, when the first record at or after
    /// that offset was appended.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] where a partition is named that there is not, [`SourceError::File`].
    pub fn probe(
        &self,
        offsets: &BTreeMap<Partition, i64>,
    ) -> Result<BTreeMap<Partition, Probed>, SourceError> {
        check_known(self, "offset", offsets)?;
        let mut probed = BTreeMap::new();
        for (partition, extent) in (0..).zip(&extents(self)?) {
            let (low, high) = kept(extent);
            let wanted = offsets.get(&partition).map(|offset| *offset.max(&low));
            let time = match wanted.filter(|offset| *offset < high) {
                Some(offset) => look(self, partition, offset as u64)?.map(|(_, _, appended)| appended),
                None => None,
            };
            probed.insert(partition, Probed { name: Log::partition_name(partition), low, high, time });
        }
        Ok(probed)
    }
}

impl SourceFactory for LogFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let spans = (0..).zip(self.spans.iter().copied()).skip(worker).step_by(workers).collect();
        Ok(Box::new(LogSource::new(self.log.clone(), spans, self.bounded, self.on_gap)?))
    }

    fn bounded(&self) -> bool {
        self.bounded
    }

    fn identity(&self) -> Option<String> {
        Some(self.log.identity())
    }

    fn starts(&self) -> BTreeMap<Partition, i64> {
        (0..).zip(&self.spans).map(|(partition, span)| (partition, span.start)).collect()
    }

    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        (0..).zip(&self.spans).filter_map(|(partition, span)| Some((partition, span.range()?))).collect()
    }
}

fn extents(log: &Log) -> Result<Vec<Extent>, SourceError> {
    log.shared.store.extents().map_err(|failure| log.file_error(failure.reason))
}

fn kept(extent: &Extent) -> (i64, i64) {
    (extent.first as i64, extent.next as i64)
}

fn look(log: &Log, partition: Partition, offset: u64) -> Result<Option<(u64, u64, i64)>, SourceError> {
    log.shared
        .store
        .look(partition as LogPartition, offset)
        .map_err(|error| log.file_error(error.to_string()))
}

/// The first offset whose record was appended at or after a time. Times never go back within a partition, so that it
/// is found by halving.
fn offset_at(
    log: &Log,
    partition: Partition,
    extent: &Extent,
    time: i64,
) -> Result<Option<i64>, SourceError> {
    let (mut low, mut high) = (extent.first, extent.next);
    while low < high {
        let middle = low + (high - low) / 2;
        match look(log, partition, middle)? {
            Some((base, _, appended)) if base <= middle && appended >= time => high = base,
            Some((base, records, _)) if base <= middle => low = base + records,
            // The middle was deleted meanwhile, and all before it.
            Some((base, ..)) => low = base,
            None => return Ok(None),
        }
    }
    Ok((low < extent.next).then_some(low as i64))
}

fn check_known(log: &Log, what: &str, offsets: &BTreeMap<Partition, i64>) -> Result<(), SourceError> {
    let partitions = log.partitions();
    let Some(unknown) = offsets.keys().find(|partition| **partition >= Partition::from(partitions)) else {
        return Ok(());
    };
    let reason = format!("{what}: the log has no partition {unknown}, only {partitions} partitions");
    Err(SourceError::Invalid { url: log.url.to_string(), reason })
}
