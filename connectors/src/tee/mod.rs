//! A source whose records are archived while they are read.
//!
//! The archive is complete by offsets, however the job is killed: a run reads on from where the archive ends, or from where
//! the job goes on, whichever comes first. What the job has counted already and the archive lacks goes only to the archive;
//! what is archived already goes only to the job. See [`crate::archive`] for what is written.

mod outlet;
mod shared;
mod source;
mod status;
#[cfg(test)]
mod tests;

pub use status::ArchiveStatus;

use crate::archive::{BLOCKS, Begin, Meta, ends};
use crate::endpoint::SourceUrl;
use crate::gap::not_kept;
use crate::open::{SourceOptions, open_source, probe};
use crate::range::Probed;
use crate::source::{Partition, Source, SourceError, SourceFactory};
use crate::start::Start;
use crate::state::StateStore;
use outlet::Outlet;
use shared::Shared;
use source::{BLOCK_BYTES, Begins, TeeSource};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of records in memory that are not archived yet, in all workers.
const MAX_HELD_BYTES: usize = 256 << 20;

/// How an archive is written.
#[derive(Clone, Debug)]
pub struct TeeOptions {
    /// How long a block stays open at most.
    pub interval: Duration,
    /// How long blocks are kept, and by this process, if it is the one that deletes them; without it for ever.
    pub retention: Option<Duration>,
}

/// The writing of an archive, seen from outside of the source.
#[derive(Clone)]
pub struct ArchiveWriter(Arc<Shared>);

impl ArchiveWriter {
    /// What was done, and what is waited for.
    pub fn status(&self) -> ArchiveStatus {
        self.0.status()
    }

    /// Waits, once the source's readers are gone, until all they have read is archived. Returns false where it was not by
    /// the deadline; the next run reads the rest again.
    pub fn finish(&self, deadline: Instant) -> bool {
        self.0.finish(deadline)
    }
}

/// Opens a log whose records are archived in `store` while they are read.
///
/// # Errors
/// Those of [`open_source`]; the archive is of another log, or ends behind the log's own end; the store fails.
pub fn open_archived(
    url: &SourceUrl,
    options: &SourceOptions,
    store: StateStore,
    tee: &TeeOptions,
) -> Result<(Arc<dyn SourceFactory>, ArchiveWriter), SourceError> {
    let mut inner = open_source(url, options)?;
    let kept = probe(url, options, &BTreeMap::new())?;
    let starts = inner.starts();
    starts.keys().filter_map(|partition| kept.get(partition)).try_for_each(|kept| check_name(&kept.name))?;
    let begin = |(partition, start): (&Partition, &i64)| {
        let kept = kept.get(partition)?;
        // A partition that the archive does not know came later, and is archived from its first record on.
        Some((kept.name.clone(), Begin { new: *start, known: kept.low.min(*start) }))
    };
    let partitions = starts.iter().filter_map(begin).collect();
    Meta::claim(&store, &url.identity(), inner.identity(), partitions)?;
    let begins = Begins { archive: ends(&store)?, job: starts };
    if let Some(start) = earlier(&begins, &kept)? {
        let options = SourceOptions { start: Some(Start::Offsets(start)), ..options.clone() };
        drop(inner);
        inner = open_source(url, &options)?;
    }
    let shared = Shared::new(store);
    if let Some(retention) = tee.retention {
        shared::keep_for(retention, &shared).map_err(|error| SourceError::Archive(error.to_string()))?;
    }
    let writer = ArchiveWriter(shared.clone());
    Ok((Arc::new(TeeFactory { inner, shared, begins, interval: tee.interval }), writer))
}

/// Refuses a partition whose name cannot be that of a folder of blocks in every store: Kafka's topics may begin with a dot, and
/// have 249 characters.
fn check_name(partition: &str) -> Result<(), SourceError> {
    StateStore::check_name(&format!("{BLOCKS}{partition}"))
        .map_err(|error| SourceError::Archive(format!("{partition:?} cannot be archived: {error}")))
}

/// Where reading has to begin so that the archive gets what it lacks, if that is before where the job begins.
fn earlier(
    begins: &Begins,
    kept: &BTreeMap<Partition, Probed>,
) -> Result<Option<BTreeMap<Partition, i64>>, SourceError> {
    let mut starts = begins.job.clone();
    for (partition, start) in &mut starts {
        let (Some(end), Some(kept)) = (begins.archive.get(partition), kept.get(partition)) else { continue };
        if *end > kept.high {
            return Err(not_kept(&kept.name, *end, (kept.low, kept.high)));
        }
        let lacking = (*end).max(kept.low);
        if lacking < *start {
            tracing::info!(
                "archive: {} lacks offsets {lacking} to {}, which are read for it first",
                kept.name,
                *start - 1
            );
            *start = lacking;
        }
    }
    Ok((starts != begins.job).then_some(starts))
}

/// Makes readers that archive what they read.
struct TeeFactory {
    inner: Arc<dyn SourceFactory>,
    shared: Arc<Shared>,
    begins: Begins,
    interval: Duration,
}

impl SourceFactory for TeeFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        let inner = self.inner.open(worker, workers)?;
        // One half for the blocks that are filled, and one for those that wait.
        let share = (MAX_HELD_BYTES / workers / 2).max(BLOCK_BYTES);
        let failed = |error: std::io::Error| {
            SourceError::Archive(format!("the thread that writes the archive cannot be started: {error}"))
        };
        let outlet = Outlet::start(self.shared.clone(), worker, share).map_err(failed)?;
        let ends = (self.shared.clone(), outlet);
        Ok(Box::new(TeeSource::new(inner, ends, self.begins.clone(), self.interval, share)))
    }

    fn bounded(&self) -> bool {
        self.inner.bounded()
    }

    fn identity(&self) -> Option<String> {
        self.inner.identity()
    }

    fn starts(&self) -> BTreeMap<Partition, i64> {
        self.begins.job.clone()
    }

    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        self.inner.ranges()
    }
}
