//! Which offsets of each partition are read, as it is settled at the first contact.

use super::connect::{Lookup, Partitions};
use super::options::KafkaOptions;
use crate::endpoint::KafkaSourceUrl;
use crate::range::Until;
use crate::source::{Partition, SourceError, TopicPartition};
use crate::span::{Asked, Span};
use crate::start::Start;
use std::collections::BTreeMap;

/// Which offsets of each partition are read.
///
/// # Errors
/// [`SourceError::Lost`] where an offset is asked for that is not kept, or a partition ends before it was reached,
/// [`SourceError::Invalid`] where a partition is named that does not exist, [`SourceError::Unreachable`].
pub(crate) fn resolve(
    lookup: &Lookup,
    options: &KafkaOptions,
    partitions: &Partitions,
) -> Result<BTreeMap<Partition, Span>, SourceError> {
    let KafkaOptions { url, reached, until, on_gap, .. } = options;
    let start = &match &options.start {
        Start::TopicOffsets(offsets) => Start::Offsets(offsets_by_number(url, offsets, partitions)?),
        start => start.clone(),
    };
    if let Start::Offsets(offsets) = start {
        check_known(url, "start", offsets, partitions)?;
    }
    if let Some(Until::Offsets(offsets)) = until {
        check_known(url, "until", offsets, partitions)?;
    }
    let times = match start {
        Start::Time(time) => lookup.offsets_at(*time, partitions)?,
        _ => BTreeMap::new(),
    };
    let asked = Asked { start, reached, until: until.as_ref(), on_gap: *on_gap };
    let kept = lookup.all_kept(partitions)?;
    let span = |(number, partition): (&Partition, &TopicPartition)| {
        let times = times.get(number).copied();
        let kept = kept.get(number).copied().unwrap_or_default();
        Ok((*number, Span::settle(&asked, (*number, &partition.to_string()), times, kept)?))
    };
    partitions.iter().map(span).collect()
}

/// The offsets by the partitions' numbers in the job. Refuses a partition that there is not, by its name.
fn offsets_by_number(
    url: &KafkaSourceUrl,
    offsets: &BTreeMap<TopicPartition, i64>,
    partitions: &Partitions,
) -> Result<BTreeMap<Partition, i64>, SourceError> {
    let number = |(partition, offset): (&TopicPartition, &i64)| {
        let number = url.number(partition).filter(|number| partitions.contains_key(number));
        number.map(|number| (number, *offset)).ok_or_else(|| SourceError::Invalid {
            url: url.to_string(),
            reason: format!("start: there is no partition {partition}"),
        })
    };
    offsets.iter().map(number).collect()
}

/// Refuses offsets of a partition that there is not.
///
/// # Errors
/// [`SourceError::Invalid`].
pub(crate) fn check_known(
    url: &KafkaSourceUrl,
    what: &str,
    offsets: &BTreeMap<Partition, i64>,
    partitions: &Partitions,
) -> Result<(), SourceError> {
    let Some(unknown) = offsets.keys().find(|partition| !partitions.contains_key(partition)) else {
        return Ok(());
    };
    let reason = match (url.one(), u32::try_from(*unknown)) {
        (Some(_), _) => {
            format!("{what}: the topic has no partition {unknown}, only {} partitions", partitions.len())
        }
        (None, Ok(number)) => format!(
            "{what}: there is no partition {number}; one of several topics is written topic:number=offset"
        ),
        // Of the number nobody can tell the name.
        (None, Err(_)) => format!("{what}: a partition that was there before is gone"),
    };
    Err(SourceError::Invalid { url: url.to_string(), reason })
}
