//! Which offsets of a partition are read, as it was settled at the first contact.

use crate::gap::{Gap, not_kept};
use crate::range::{OnGap, Until};
use crate::source::{Partition, SourceError};
use crate::start::Start;
use std::collections::BTreeMap;
use std::ops::Range;

/// Which part of a log is asked for.
pub(crate) struct Asked<'a> {
    /// Where each partition begins.
    pub(crate) start: &'a Start,
    /// Up to where an earlier reader came, exclusive.
    pub(crate) reached: &'a BTreeMap<Partition, i64>,
    /// Up to where each partition is read; for ever where it is not said.
    pub(crate) until: Option<&'a Until>,
    /// What to do where records are gone that were to be read.
    pub(crate) on_gap: OnGap,
}

/// From where to where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first offset to read.
    pub(crate) start: i64,
    /// The first one not to read any more; `None` where the partition is read for ever.
    pub(crate) until: Option<i64>,
    /// What was to be read before `start`, and is gone.
    pub(crate) gap: Option<Gap>,
}

impl Span {
    /// What is read of a partition whose offsets from `kept.0` up to `kept.1`, exclusive, are there. `timed`: its
    /// first record at or after the time to start at, where that is asked for and there is one.
    ///
    /// # Errors
    /// [`SourceError::Lost`] where an offset is asked for that is not kept, or the partition ends before it was
    /// reached.
    pub(crate) fn settle(
        asked: &Asked<'_>,
        (partition, name): (Partition, &str),
        timed: Option<i64>,
        kept: (i64, i64),
    ) -> Result<Span, SourceError> {
        if let Some(reached) = asked.reached.get(&partition).filter(|reached| **reached > kept.1) {
            return Err(not_kept(name, *reached, kept));
        }
        let until = asked.until.map(|until| end(until, (partition, name), kept)).transpose()?;
        let wanted = begin(asked.start, timed, (partition, name), kept)?;
        let gap = Gap::find(asked.on_gap, name, wanted, until, kept)?;
        Ok(Span { start: gap.map_or(wanted, |gap| gap.first), until, gap })
    }

    /// Whether nothing is to be read, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_some_and(|until| until <= self.start)
    }

    /// What is read of a bounded partition.
    pub(crate) fn range(&self) -> Option<Range<i64>> {
        self.until.map(|until| self.start..until.max(self.start))
    }
}

/// The first offset that is not read any more.
fn end(until: &Until, (partition, name): (Partition, &str), kept: (i64, i64)) -> Result<i64, SourceError> {
    match until {
        Until::Offsets(offsets) => match offsets.get(&partition) {
            Some(offset) if *offset > kept.1 => Err(not_kept(name, *offset, kept)),
            offset => Ok(offset.copied().unwrap_or(kept.1)),
        },
        Until::Now => Ok(kept.1),
    }
}

/// The first offset that is wanted of a partition.
///
/// # Errors
/// Offsets are asked for by topics, whose partitions whoever opens them has to number first.
fn begin(
    start: &Start,
    timed: Option<i64>,
    (partition, name): (Partition, &str),
    (low, high): (i64, i64),
) -> Result<i64, SourceError> {
    Ok(match start {
        Start::Earliest => low,
        Start::Latest => high,
        // Nothing is as late as the time: what comes next is the first. What is deleted since was not.
        Start::Time(_) => timed.map_or(high, |offset| offset.clamp(low, high)),
        Start::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(low),
        Start::TopicOffsets(_) => {
            let reason = "the offsets to begin at are not told by the numbers of the partitions".to_owned();
            return Err(SourceError::Lost { partition: name.to_owned(), offset: low, reason });
        }
    })
}
