//! Looks at topics without reading them: which offsets are kept, and when a record was written.

use super::client::Properties;
use super::connect::{Lookup, number_all};
use super::options::KafkaOptions;
use super::producer::{CONNECT_TIMEOUT, lookup_properties};
use super::resolve::check_known;
use super::shared::{Known, Shared};
use super::source::KafkaSource;
use crate::endpoint::KafkaUrl;
use crate::range::{OnGap, Probed, Until};
use crate::source::{BrokerTime, Partition, Progress, Source, SourceError};
use crate::span::Span;
use crest_host::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// One record of each partition is wanted, and a look must not fetch millions.
const SMALL: [(&str, &str); 3] = [
    ("queued.min.messages", "1"),
    ("queued.max.messages.kbytes", "1024"),
    ("fetch.message.max.bytes", "65536"),
];
/// Between two looks at what has come.
const PAUSE: Duration = Duration::from_millis(2);

/// The offsets that each partition of the topics of `options` keeps, and, for one that `offsets` names, the time
/// stamp of the first record at or after that offset.
///
/// # Errors
/// As [`KafkaFactory::new`](super::KafkaFactory::new), and [`SourceError::Unreachable`] where the brokers stop
/// answering.
pub fn probe(
    mut options: KafkaOptions,
    offsets: &BTreeMap<Partition, i64>,
) -> Result<BTreeMap<Partition, Probed>, SourceError> {
    options.properties.remove("group.id");
    (options.group_id, options.until) = (None, Some(Until::Now));
    // What is deleted meanwhile is not the first record any more.
    options.on_gap = OnGap::Skip;
    for (key, value) in SMALL {
        options.properties.insert(key.to_owned(), value.to_owned());
    }
    let url = options.url.to_string();
    let (target, timeout) = (&options.url, options.connect_timeout);
    let lookup = Lookup::new((url.clone(), &target.servers), &options.properties, timeout)?;
    let partitions =
        number_all((&url, &target.topics), lookup.connect_all(&target.topics, &BTreeSet::new(), true)?)?;
    check_known(target, "offset", offsets, &partitions)?;
    let kept = lookup.all_kept(&partitions)?;
    let span = |partition: &Partition, (low, high): (i64, i64)| {
        let start = offsets.get(partition).map_or(high, |offset| (*offset).clamp(low, high));
        Span { start, until: Some(high), gap: None }
    };
    let known = |(partition, kept): (&Partition, &(i64, i64))| {
        Some((*partition, Known { at: partitions.get(partition)?.clone(), span: span(partition, *kept) }))
    };
    let known = kept.iter().filter_map(known).collect();
    let patience = options.error_patience;
    let shared = Arc::new(Shared::new(options, (BTreeMap::new(), known), channel().0));
    let times = first_times(KafkaSource::new(shared, 0, 1)?, patience)?;
    let times = times.ok_or_else(|| SourceError::Unreachable {
        url,
        reason: format!("no answer within {} s", patience.as_secs_f64()),
    })?;
    let probed = |(partition, (low, high)): (Partition, (i64, i64))| {
        let name = partitions.get(&partition).map(ToString::to_string).unwrap_or_default();
        (partition, Probed { name, low, high, time: times.get(&partition).copied() })
    };
    Ok(kept.into_iter().map(probed).collect())
}

/// How many partitions a topic has, to which events or rankings are to be written; `None` where there is no such topic.
/// Nothing is written, and no topic is made.
///
/// # Errors
/// [`SourceError::Invalid`] where a property is wrong, [`SourceError::Unreachable`] where the brokers do not answer in time, or
/// deny access to the topic.
pub fn partitions_of(target: &KafkaUrl, properties: &Properties) -> Result<Option<usize>, SourceError> {
    Lookup::of(target, &lookup_properties(properties), CONNECT_TIMEOUT)?.existing(&target.topic)
}

/// When the first record of each partition was written, where there is one and it has a time stamp; `None` where not
/// all are known in time.
fn first_times(
    mut source: KafkaSource,
    patience: Duration,
) -> Result<Option<BTreeMap<Partition, i64>>, SourceError> {
    let partitions = source.partitions().to_vec();
    let mut waiting: Vec<usize> = (0..partitions.len()).collect();
    let (mut times, deadline) = (BTreeMap::new(), clock::now() + patience);
    while !waiting.is_empty() {
        let mut rest = Vec::new();
        for slot in waiting {
            let mut time = None;
            match source.read(slot, 1, &mut |record| time = record.time)? {
                Progress::Read(_) | Progress::Ended => {}
                Progress::Waiting | Progress::AtEnd(_) => rest.push(slot),
            }
            if let Some(BrokerTime::Created(time) | BrokerTime::Appended(time)) = time {
                times.insert(partitions[slot], time);
            }
        }
        if clock::now() >= deadline && !rest.is_empty() {
            return Ok(None);
        }
        if !rest.is_empty() {
            crest_host::thread::sleep(PAUSE);
        }
        waiting = rest;
    }
    Ok(Some(times))
}
