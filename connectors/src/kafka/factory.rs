//! Connects to the brokers once for all workers of a process, settles what is read of each partition, and looks after the
//! topics while they are read: whether they are still the same, and, where they have no end, whether partitions, or topics
//! that match a pattern, were added.

use super::connect::{Lookup, Partitions, number_all};
use super::options::KafkaOptions;
use super::resolve::resolve;
use super::shared::{Known, Shared};
use super::source::KafkaSource;
use super::topic_id::{Description, Descriptions, Unknown};
use crate::source::{Partition, Source, SourceError, SourceFactory, TopicPartition};
use crate::start::Start;
use crest_host::clock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long the brokers may take to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads Kafka topics.
pub struct KafkaFactory {
    shared: Arc<Shared>,
}

impl KafkaFactory {
    /// Connects, and settles where each partition begins and, where it is to, ends, for all workers at once.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] for a property that makes no sense, [`SourceError::Unreachable`] where no
    /// broker answers within about 10 s, a topic does not exist, or nothing matches a pattern that is not read for ever,
    /// [`SourceError::Lost`] where an offset is asked for that is not kept, or a partition ends before the one that was
    /// reached.
    pub fn new(mut options: KafkaOptions) -> Result<Self, SourceError> {
        if let Some(group) = options.properties.remove("group.id") {
            options.group_id.get_or_insert(group);
        }
        let (url, topics) = (options.url.to_string(), options.url.topics.clone());
        let servers = (url.clone(), options.url.servers.as_str());
        let lookup = Lookup::new(servers, &options.properties, options.connect_timeout)?;
        let wanted: BTreeSet<&str> = match &options.start {
            Start::TopicOffsets(offsets) => offsets.keys().map(|partition| &*partition.topic).collect(),
            _ => BTreeSet::new(),
        };
        let found = lookup.connect_all(&topics, &wanted, options.until.is_some())?;
        if found.is_empty() {
            tracing::info!("Kafka: no topic matches {topics} yet");
        }
        let names: Vec<String> = found.keys().cloned().collect();
        let ids = lookup.identities(&names, options.identity_timeout);
        let partitions = number_all((&url, &topics), found)?;
        let mut spans = resolve(&lookup, &options, &partitions)?;
        let known = |(number, at)| Some((number, Known { at, span: spans.remove(&number)? }));
        let known = partitions.into_iter().filter_map(known).collect();
        let (alive, ended) = channel();
        let shared = Arc::new(Shared::new(options, (ids, known), alive));
        let watched = Watched { lookup, shared: Arc::downgrade(&shared), missing: HashMap::new() };
        let spawned = crest_host::thread::spawn("kafka-topic", move || watched.look_after(&ended));
        spawned.map_err(|error| SourceError::Unreachable {
            url,
            reason: format!("the thread that looks for new partitions cannot be started: {error}"),
        })?;
        Ok(KafkaFactory { shared })
    }
}

#[cfg(test)]
impl KafkaFactory {
    /// Forgets these partitions, as if they had not been there at the start.
    pub(super) fn forget_partitions(&self, partitions: Range<Partition>) {
        self.shared.known().retain(|partition, _| !partitions.contains(partition));
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
        self.shared.identity()
    }

    fn starts(&self) -> BTreeMap<Partition, i64> {
        self.shared.known().iter().map(|(partition, known)| (*partition, known.span.start)).collect()
    }

    fn ranges(&self) -> BTreeMap<Partition, Range<i64>> {
        let known = self.shared.known();
        known.iter().filter_map(|(partition, known)| Some((*partition, known.span.range()?))).collect()
    }
}

/// What the thread that looks after the topics knows.
struct Watched {
    lookup: Lookup,
    shared: Weak<Shared>,
    /// The topics that the brokers do not know, and since when.
    missing: HashMap<String, Instant>,
}

impl Watched {
    /// Looks after the topics until nobody reads any more. Where the brokers do not answer, the readers say so, and the
    /// next round asks again.
    fn look_after(mut self, ended: &Receiver<()>) {
        let Some(interval) = self.shared.upgrade().map(|shared| shared.options.discovery_interval) else {
            return;
        };
        while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            self.lookup.drain();
            self.measure();
            for (topic, found) in self.describe() {
                self.take(&topic, found);
            }
        }
    }

    /// What the brokers say of the topics that are read, and of those that match a pattern by now.
    fn describe(&self) -> Descriptions {
        let Some(shared) = self.shared.upgrade() else { return Vec::new() };
        let (known, topics) = (shared.ids().clone(), shared.url().topics.clone());
        let mut names: BTreeSet<String> = known.keys().cloned().collect();
        if topics.named().is_none() && !shared.bounded() {
            names.extend(self.lookup.matching(&topics, LOOK_TIMEOUT).unwrap_or_default());
        }
        drop(shared);
        let names = Vec::from_iter(names);
        let with_ids = known.is_empty() || known.values().any(Option::is_some);
        let described = with_ids.then(|| self.lookup.describe(&names, LOOK_TIMEOUT));
        match described {
            Some(Ok(described)) => described,
            Some(Err(_)) if !known.is_empty() => {
                let untold = |name| (name, Err(Unknown::Untold("no answer".to_owned())));
                names.into_iter().map(untold).collect()
            }
            // Of brokers that give no ids to topics each is asked for apart.
            _ => {
                let describe = |name: String| {
                    let described = self.lookup.describe_without_id(&name, LOOK_TIMEOUT);
                    (name, described)
                };
                names.into_iter().map(describe).collect()
            }
        }
    }

    /// Takes what the brokers say of a topic.
    fn take(&mut self, topic: &str, found: Result<Description, Unknown>) {
        let Some(shared) = self.shared.upgrade() else { return };
        match found {
            Ok(found) => {
                self.missing.remove(topic);
                shared.compare(topic, found.id);
                if !shared.bounded() {
                    drop(shared);
                    self.add_new(topic, &found);
                }
            }
            // Brokers that are just starting may not know it yet.
            Err(Unknown::Missing) if shared.ids().contains_key(topic) => {
                let since = *self.missing.entry(topic.to_owned()).or_insert_with(clock::now);
                if clock::since(since) >= shared.options.error_patience {
                    shared.miss(topic);
                }
            }
            Err(Unknown::Missing) => {}
            Err(Unknown::Untold(_)) => drop(self.missing.remove(topic)),
        }
    }

    /// Lets the readers take the partitions of a topic that were not there before.
    fn add_new(&self, topic: &str, found: &Description) {
        let topic: Arc<str> = topic.into();
        for &number in &found.partitions {
            let Some(shared) = self.shared.upgrade() else { return };
            let Some(partition) = shared.url().topics.number(&topic, number) else { continue };
            let at = TopicPartition { topic: topic.clone(), number };
            if shared.known().get(&partition).is_some_and(|known| known.at == at) {
                continue;
            }
            drop(shared);
            if let (Ok((first, _)), Some(shared)) =
                (self.lookup.kept(&at, LOOK_TIMEOUT), self.shared.upgrade())
            {
                shared.add(partition, at, first, found.id);
            }
        }
    }

    /// Asks where the partitions end that readers leave waiting.
    fn measure(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let known = shared.known();
        let wanted = shared.ends.wanted().into_iter();
        let wanted: Partitions =
            wanted.filter_map(|number| Some((number, known.get(&number)?.at.clone()))).collect();
        drop(known);
        drop(shared);
        if wanted.is_empty() {
            return;
        }
        // Where the brokers do not answer, the readers say so; they ask again.
        if let (Ok(ends), Some(shared)) = (self.lookup.ends(&wanted, LOOK_TIMEOUT), self.shared.upgrade()) {
            shared.ends.note(ends);
        }
    }
}
