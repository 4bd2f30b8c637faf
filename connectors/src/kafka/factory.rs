//! Connects to a topic once for all workers of a process, settles what is read of each partition, and looks after the
//! topic while it is read: whether it is still the same, and, where it has no end, whether partitions were added.

use super::connect::Lookup;
use super::options::KafkaOptions;
use super::shared::Shared;
use super::source::KafkaSource;
use super::topic_id::Unknown;
use crate::source::{Partition, Source, SourceError, SourceFactory};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long the brokers may take to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a Kafka topic.
pub struct KafkaFactory {
    shared: Arc<Shared>,
}

impl KafkaFactory {
    /// Connects, and settles where each partition begins and, where it is to, ends, for all workers at once.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] for a property that makes no sense, [`SourceError::Unreachable`] where no
    /// broker answers within about 10 s or the topic does not exist, [`SourceError::Lost`] where an offset is
    /// asked for that is not kept, or a partition ends before the one that was reached.
    pub fn new(mut options: KafkaOptions) -> Result<Self, SourceError> {
        if let Some(group) = options.properties.remove("group.id") {
            options.group_id.get_or_insert(group);
        }
        let lookup = Lookup::new(&options.url, &options.properties, options.connect_timeout)?;
        let partitions = lookup.connect()?;
        let identity = lookup.identity(options.identity_timeout);
        let spans = lookup.resolve(&options, &partitions)?;
        let (alive, ended) = channel();
        let shared = Arc::new(Shared::new(options, (identity, spans), alive));
        let theirs = Arc::downgrade(&shared);
        let thread = thread::Builder::new().name("kafka-topic".into());
        let spawned = thread.spawn(move || look_after(&lookup, &theirs, &ended));
        spawned.map_err(|error| SourceError::Unreachable {
            url: shared.topic().to_string(),
            reason: format!("the thread that looks for new partitions cannot be started: {error}"),
        })?;
        Ok(KafkaFactory { shared })
    }

    /// The topic's partitions that are known by now, with the offset at which each begins.
    pub fn starts(&self) -> BTreeMap<Partition, i64> {
        self.shared.spans().iter().map(|(partition, span)| (*partition, span.start)).collect()
    }
}

#[cfg(test)]
impl KafkaFactory {
    /// Forgets these partitions, as if they had not been there at the start.
    pub(super) fn forget_partitions(&self, partitions: std::ops::Range<Partition>) {
        self.shared.spans().retain(|partition, _| !partitions.contains(partition));
    }
}

impl SourceFactory for KafkaFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(KafkaSource::new(self.shared.clone(), worker, workers)?))
    }

    fn bounded(&self) -> bool {
        self.shared.bounded()
    }

    fn identity(&self) -> Option<String> {
        self.shared.identity.map(|id| id.to_string())
    }

    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        let spans = self.shared.spans();
        spans.iter().filter_map(|(partition, span)| Some((*partition, span.range()?))).collect()
    }
}

/// The thread that looks after the topic, until nobody reads any more. Where the brokers do not answer, the readers say
/// so, and the next round asks again.
fn look_after(lookup: &Lookup, shared: &Weak<Shared>, ended: &Receiver<()>) {
    let Some((interval, patience, identity)) = shared.upgrade().map(|shared| {
        let options = &shared.options;
        (options.discovery_interval, options.error_patience, shared.identity)
    }) else {
        return;
    };
    let mut missing: Option<Instant> = None;
    while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        lookup.drain();
        measure(lookup, shared);
        let found = match identity {
            Some(_) => lookup.describe(LOOK_TIMEOUT),
            None => lookup.describe_without_id(LOOK_TIMEOUT),
        };
        match found {
            Ok(found) => {
                missing = None;
                let unbounded = shared.upgrade().is_some_and(|shared| {
                    shared.compare(found.id);
                    !shared.bounded()
                });
                if unbounded {
                    add_new(lookup, shared, found.partitions);
                }
            }
            // Brokers that are just starting may not know it yet.
            Err(Unknown::Missing) => {
                let since = *missing.get_or_insert_with(Instant::now);
                if let Some(shared) = shared.upgrade().filter(|_| since.elapsed() >= patience) {
                    shared.miss();
                }
            }
            Err(Unknown::Untold(_)) => missing = None,
        }
    }
}

/// Lets the readers take the partitions that were not there before.
fn add_new(lookup: &Lookup, shared: &Weak<Shared>, partitions: Vec<Partition>) {
    for partition in partitions {
        let known = shared.upgrade().is_none_or(|shared| shared.spans().contains_key(&partition));
        if known {
            continue;
        }
        if let (Ok((first, _)), Some(shared)) = (lookup.kept(partition, LOOK_TIMEOUT), shared.upgrade()) {
            shared.add(partition, first);
        }
    }
}

/// Asks where the partitions end that readers leave waiting.
fn measure(lookup: &Lookup, shared: &Weak<Shared>) {
    let wanted = shared.upgrade().map(|shared| shared.ends.wanted()).unwrap_or_default();
    if wanted.is_empty() {
        return;
    }
    // Where the brokers do not answer, the readers say so; they ask again.
    if let (Ok(ends), Some(shared)) = (lookup.ends(&wanted, LOOK_TIMEOUT), shared.upgrade()) {
        shared.ends.note(ends);
    }
}
