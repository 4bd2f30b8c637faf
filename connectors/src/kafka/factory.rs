//! Connects to a topic once for all workers of a process, settles what is read of each partition, and looks for new
//! partitions while an unbounded job runs.

use super::connect::Lookup;
use super::options::KafkaOptions;
use super::shared::Shared;
use super::source::KafkaSource;
use super::target::Target;
use crate::source::{Partition, Source, SourceError, SourceFactory};
use crate::url::without_secrets;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// How long the brokers may take to answer about them.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a Kafka topic.
pub struct KafkaFactory {
    shared: Arc<Shared>,
    identity: Option<String>,
}

impl KafkaFactory {
    /// Connects, and settles where each partition begins and, where it is to, ends, for all workers at once.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] for a URL or property that makes no sense, [`SourceError::Unreachable`] where no
    /// broker answers within about 10 s or the topic does not exist, [`SourceError::Lost`] where an offset is
    /// asked for that is not kept, or a partition ends before the one that was reached.
    pub fn new(mut options: KafkaOptions) -> Result<Self, SourceError> {
        if let Some(group) = options.properties.remove("group.id") {
            options.group_id.get_or_insert(group);
        }
        let (url, target, lookup) = first_contact(&options)?;
        let partitions = lookup.connect()?;
        let identity = lookup.identity(options.identity_timeout);
        let spans = lookup.resolve(&options, &partitions)?;
        let (alive, ended) = channel();
        let interval = options.discovery_interval;
        let shared = Arc::new(Shared::new(url, target, options, spans, alive));
        if shared.bounded() {
            return Ok(KafkaFactory { shared, identity });
        }
        let theirs = Arc::downgrade(&shared);
        let thread = thread::Builder::new().name("kafka-partitions".into());
        let spawned = thread.spawn(move || discover(&lookup, &theirs, &ended, interval));
        spawned.map_err(|error| SourceError::Unreachable {
            url: shared.url.clone(),
            reason: format!("the thread that looks for new partitions cannot be started: {error}"),
        })?;
        Ok(KafkaFactory { shared, identity })
    }

    /// The topic's partitions that are known by now, with the offset at which each begins.
    pub fn starts(&self) -> BTreeMap<Partition, i64> {
        self.shared.spans().iter().map(|(partition, span)| (*partition, span.start)).collect()
    }
}

#[cfg(test)]
impl KafkaFactory {
    /// As if these partitions had not been there at the start.
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
        self.identity.clone()
    }

    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        let spans = self.shared.spans();
        spans.iter().filter_map(|(partition, span)| Some((*partition, span.range()?))).collect()
    }
}

/// The URL without secrets, what it names, and a client that can ask about it.
pub(super) fn first_contact(options: &KafkaOptions) -> Result<(String, Target, Lookup), SourceError> {
    let url = without_secrets(&options.url);
    let target = Target::parse(&options.url);
    let target = target.map_err(|reason| SourceError::Invalid { url: url.clone(), reason })?;
    let lookup = Lookup::new(&url, &target, &options.properties, options.connect_timeout)?;
    Ok((url, target, lookup))
}

/// The thread that looks for new partitions, until nobody reads any more.
fn discover(lookup: &Lookup, shared: &Weak<Shared>, ended: &Receiver<()>, interval: Duration) {
    while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        lookup.drain();
        measure(lookup, shared);
        // Where the brokers do not answer, the readers say so; the next round asks again.
        let Ok(partitions) = lookup.partitions(DISCOVERY_TIMEOUT) else { continue };
        for partition in partitions {
            let known = shared.upgrade().is_none_or(|shared| shared.spans().contains_key(&partition));
            if known {
                continue;
            }
            if let (Ok((first, _)), Some(shared)) =
                (lookup.kept(partition, DISCOVERY_TIMEOUT), shared.upgrade())
            {
                shared.add(partition, first);
            }
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
    if let (Ok(ends), Some(shared)) = (lookup.ends(&wanted, DISCOVERY_TIMEOUT), shared.upgrade()) {
        shared.ends.note(ends);
    }
}
