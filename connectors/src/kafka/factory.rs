//! What all workers of a process share about a topic: where its partitions begin, which ones there are by now,
//! and whether an outage was told of.

use super::client::Properties;
use super::connect::Lookup;
use super::health::Change;
use super::source::KafkaSource;
use super::target::Target;
use crate::source::{Partition, Source, SourceError, SourceFactory};
use crate::start::Start;
use crate::url::without_secrets;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often new partitions are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(30);
/// How long brokers may take to answer at the start, in all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an error may last that may also pass.
const ERROR_PATIENCE: Duration = Duration::from_secs(30);
/// How long the brokers may take to answer about them.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How a topic is read.
#[derive(Clone)]
pub struct KafkaOptions {
    /// `kafka://host:port[,host:port]/topic`.
    pub url: String,
    /// Where each partition begins.
    pub start: Start,
    /// The consumer group to which positions are committed every 5 s, for lag tools only; none commits nothing.
    pub group_id: Option<String>,
    /// Properties of librdkafka, over the defaults chosen here.
    pub properties: Properties,
    /// How often new partitions are looked for: 30 s.
    pub discovery_interval: Duration,
    /// How long the brokers may take to answer at the start: 10 s.
    pub connect_timeout: Duration,
    /// How long an error is waited out that may be a broker's that is just coming back, or one that lasts (access
    /// denied, a topic that is gone), before the reader gives up: 30 s. Outages are waited out for ever.
    pub error_patience: Duration,
}

impl KafkaOptions {
    /// The topic from its earliest record on.
    pub fn new(url: &str) -> Self {
        KafkaOptions {
            url: url.to_owned(),
            start: Start::Earliest,
            group_id: None,
            properties: BTreeMap::new(),
            discovery_interval: DISCOVERY_INTERVAL,
            connect_timeout: CONNECT_TIMEOUT,
            error_patience: ERROR_PATIENCE,
        }
    }
}

impl fmt::Debug for KafkaOptions {
    /// Without the properties' values, some of which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("url", &without_secrets(&self.url))
            .field("start", &self.start)
            .field("group_id", &self.group_id)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

/// Reads a Kafka topic.
pub struct KafkaFactory {
    shared: Arc<Shared>,
}

impl KafkaFactory {
    /// Connects, and settles where each partition begins, for all workers at once.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] for a URL or property that makes no sense, [`SourceError::Unreachable`] where no
    /// broker answers within about 10 s or the topic does not exist, [`SourceError::Lost`] where an offset is
    /// asked for that is not kept.
    pub fn new(mut options: KafkaOptions) -> Result<Self, SourceError> {
        let url = without_secrets(&options.url);
        let target = Target::parse(&options.url);
        let target = target.map_err(|reason| SourceError::Invalid { url: url.clone(), reason })?;
        if let Some(group) = options.properties.remove("group.id") {
            options.group_id.get_or_insert(group);
        }
        let lookup = Lookup::new(&url, &target, &options.properties, options.connect_timeout)?;
        let partitions = lookup.connect()?;
        let starts = lookup.resolve(&options.start, &partitions)?;
        let (alive, ended) = channel();
        let interval = options.discovery_interval;
        let shared = Arc::new(Shared {
            url,
            target,
            options,
            starts: Mutex::new(starts),
            version: AtomicU64::new(0),
            outage: Mutex::default(),
            _alive: alive,
        });
        let theirs = Arc::downgrade(&shared);
        let thread = thread::Builder::new().name("kafka-partitions".into());
        let spawned = thread.spawn(move || discover(&lookup, &theirs, &ended, interval));
        spawned.map_err(|error| SourceError::Unreachable {
            url: shared.url.clone(),
            reason: error.to_string(),
        })?;
        Ok(KafkaFactory { shared })
    }

    /// The topic's partitions that are known by now, with the offset at which each begins.
    pub fn starts(&self) -> BTreeMap<Partition, i64> {
        self.shared.starts().clone()
    }
}

#[cfg(test)]
impl KafkaFactory {
    /// As if these partitions had not been there at the start.
    pub(super) fn forget_partitions(&self, partitions: std::ops::Range<Partition>) {
        self.shared.starts().retain(|partition, _| !partitions.contains(partition));
    }
}

impl SourceFactory for KafkaFactory {
    fn open(&self, worker: usize, workers: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(KafkaSource::new(self.shared.clone(), worker, workers)?))
    }

    fn bounded(&self) -> bool {
        false
    }
}

/// What the workers and the thread that looks for partitions share.
pub(crate) struct Shared {
    /// Without secrets.
    pub(crate) url: String,
    pub(crate) target: Target,
    pub(crate) options: KafkaOptions,
    starts: Mutex<BTreeMap<Partition, i64>>,
    version: AtomicU64,
    outage: Mutex<Outage>,
    /// Ends the thread when the last worker and the factory have gone.
    _alive: Sender<()>,
}

/// How many workers' clients have lost their brokers, and since when any has.
#[derive(Default)]
struct Outage {
    clients: usize,
    since: Option<Instant>,
}

impl Shared {
    /// Where the known partitions begin.
    pub(crate) fn starts(&self) -> MutexGuard<'_, BTreeMap<Partition, i64>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when partitions were found.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Tells of an outage once, however many clients meet it.
    pub(crate) fn tell(&self, change: Change) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Lost(why) => {
                outage.clients += 1;
                if outage.clients == 1 {
                    outage.since = Some(Instant::now());
                    tracing::warn!("Kafka: the connection is lost, and is tried again: {why}");
                }
            }
            Change::Back => {
                outage.clients -= 1;
                if outage.clients == 0 {
                    let seconds = outage.since.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
                    tracing::info!("Kafka: the connection is back after {seconds:.1} s");
                }
            }
        }
    }

    /// A client that had lost its brokers has ended.
    pub(crate) fn forget_lost(&self) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.clients -= 1;
    }

    /// A partition that was not there at the start begins at its beginning: all of it is new.
    fn add(&self, partition: Partition, first: i64) {
        self.starts().insert(partition, first);
        self.version.fetch_add(1, Ordering::Release);
        tracing::info!("Kafka: found the new partition {}", self.target.partition_name(partition));
    }
}

/// The thread that looks for new partitions, until nobody reads any more.
fn discover(lookup: &Lookup, shared: &Weak<Shared>, ended: &Receiver<()>, interval: Duration) {
    while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        lookup.drain();
        // Where the brokers do not answer, the readers say so; the next round asks again.
        let Ok(partitions) = lookup.partitions(DISCOVERY_TIMEOUT) else { continue };
        for partition in partitions {
            let known = shared.upgrade().is_none_or(|shared| shared.starts().contains_key(&partition));
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
