//! A topic that is connected to when the first events come: a job that only reads, and may do nothing else, is never in
//! anybody's way.

use crest_connectors::append::{AppendError, AppendStats, Batch, Done, EventLog};
use crest_connectors::endpoint::KafkaUrl;
use crest_connectors::kafka::KafkaLog;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The topic, connected or not.
pub struct OnDemand(Arc<Shared>);

struct Shared {
    url: KafkaUrl,
    /// Properties of librdkafka.
    kafka: BTreeMap<String, String>,
    link: Mutex<Link>,
}

enum Link {
    Idle,
    Connecting,
    There(Arc<KafkaLog>),
}

impl OnDemand {
    /// The topic, with librdkafka's properties.
    pub fn new(url: &KafkaUrl, kafka: &BTreeMap<String, String>) -> Self {
        OnDemand(Arc::new(Shared { url: url.clone(), kafka: kafka.clone(), link: Mutex::new(Link::Idle) }))
    }
}

impl Shared {
    fn there(&self) -> Option<Arc<KafkaLog>> {
        match &*self.link.lock() {
            Link::There(log) => Some(log.clone()),
            Link::Idle | Link::Connecting => None,
        }
    }

    /// Connects for a batch; where that fails, the next one tries again.
    fn connect_for(&self, batch: Batch, done: Done) {
        let connected = KafkaLog::connect(&self.url, &self.kafka).map(Arc::new);
        *self.link.lock() = connected.as_ref().map_or(Link::Idle, |log| Link::There(log.clone()));
        match connected {
            Ok(log) => log.append(batch, done),
            Err(error) => done(Err(AppendError::Unavailable(error.to_string()))),
        }
    }
}

impl EventLog for OnDemand {
    fn append(&self, batch: Batch, done: Done) {
        let mut link = self.0.link.lock();
        match &*link {
            Link::There(log) => {
                let log = log.clone();
                drop(link);
                log.append(batch, done);
            }
            Link::Connecting => {
                drop(link);
                done(Err(AppendError::Unavailable("Kafka is being connected to".to_owned())));
            }
            Link::Idle => {
                *link = Link::Connecting;
                drop(link);
                let theirs = self.0.clone();
                // It may take seconds. A thread that cannot be started has dropped `done`, which its sender hears.
                let thread = std::thread::Builder::new().name("kafka-connect".into());
                if thread.spawn(move || theirs.connect_for(batch, done)).is_err() {
                    *self.0.link.lock() = Link::Idle;
                }
            }
        }
    }

    fn stats(&self) -> AppendStats {
        self.0.there().map_or_else(AppendStats::default, |log| log.stats())
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.0.there().is_none_or(|log| log.flush(deadline))
    }
}
