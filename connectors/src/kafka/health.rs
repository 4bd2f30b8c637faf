//! What a reader's client knows of its brokers: whether they answer, how far they say the partitions go, and whether the
//! topics are other ones by now.
//!
//! In: the statistics that librdkafka gives every second, and its errors. Out, for each partition: since when
//! its broker has answered without a break, and whether it was read to its end. librdkafka reports the end of
//! a partition once and stays silent through an outage, so the end alone proves nothing later; it counts only
//! together with a broker that is known to answer its fetches.
//!
//! Where a topic is deleted and made anew, librdkafka reads on in the new one at the offset of the old one, and says so
//! in a line of its log only. The line comes before any record of the new one.

use super::client;
use super::client::without_quoted;
use super::errors::{Kind, kind};
use super::topic_id::TopicId;
use crate::endpoint::Topics;
use crate::source::{Partition, ReadToEnd};
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Statistics, and a broker's last word, are believed for so long: a healthy broker answers fetches many times
/// a second.
const STALE: Duration = Duration::from_secs(3);

/// A new client may take so long to connect before that is an outage.
const FIRST_CONNECT: Duration = Duration::from_secs(3);

/// After how long a transaction that is still open is shown, and after how long it is logged.
const OPEN_TRANSACTION: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How much the time that the statistics state may differ from the time at which they arrive.
const CLOCK_SLACK: Duration = Duration::from_millis(500);

/// The client's context: it hears what librdkafka reports while the consumer is polled.
pub(crate) struct Watch(pub(crate) Arc<Health>);

/// What the client has reported.
pub(crate) struct Health {
    topics: Topics,
    born: Instant,
    /// How long a broker may be silent: longer than it may hold back an answer.
    stale: Duration,
    /// Errors that librdkafka retries, and reports of any kind.
    retries: AtomicU64,
    reports: AtomicU64,
    state: Mutex<Observed>,
}

#[derive(Default)]
struct Observed {
    partitions: HashMap<Partition, PartitionState>,
    /// When the statistics came last.
    heard: Option<Instant>,
    /// Whether the held partitions' brokers were ever all connected, and whether they are known not to be.
    ever_connected: bool,
    lost: bool,
    last_error: Option<String>,
    /// Since when the brokers refuse the client, and why.
    denied: Option<(Instant, String)>,
    /// Topics of whose ids the client has told, and nobody has asked since.
    topic_ids: Vec<(String, TopicId)>,
}

/// A partition as the last statistics have it.
#[derive(Clone, Copy, Default)]
struct PartitionState {
    /// Since when its broker has answered without a break.
    answers_since: Option<Instant>,
    connected: bool,
    /// Whether its broker was ever connected, and when the statistics first had the partition.
    ever_connected: bool,
    reported_since: Option<Instant>,
    /// Since when brokers that answer have not known it.
    gone: Option<Instant>,
    end: Option<i64>,
    high: i64,
    /// When its broker, answering, said last how far it goes.
    measured: Option<Instant>,
    /// The transaction that keeps it from being read any further, if one does.
    transaction: Option<Transaction>,
    /// The log has told of one.
    transaction_told: bool,
}

/// A transaction that is open.
#[derive(Clone, Copy)]
struct Transaction {
    /// What is before it is read.
    first: i64,
    since: Instant,
    /// The same by the wall clock, in milliseconds since 1970.
    since_ms: i64,
}

/// A change that people want to know of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The connection was lost, and why.
    Lost(String),
    /// It is back.
    Back,
}

impl Health {
    /// The health of a client of the topics, whose brokers may hold back an answer for `fetch_wait`.
    pub(crate) fn new(topics: Topics, fetch_wait: Duration) -> Self {
        Health {
            topics,
            born: clock::now(),
            stale: STALE + fetch_wait,
            retries: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Since when the broker of the partition has answered without a break and the partition's end has been
    /// at `end`; `None` where that is not known.
    pub(crate) fn at_end_since(&self, partition: Partition, end: i64) -> Option<Instant> {
        let state = self.state.lock();
        if clock::since(state.heard?) > self.stale {
            return None;
        }
        let partition = state.partitions.get(&partition)?;
        partition.answers_since.filter(|_| partition.end == Some(end))
    }

    /// That a reader which has come to `next` has read all that the partition held when its broker said last how far it
    /// goes; `None` where the broker does not answer, or has said of more.
    pub(crate) fn read_to_end(&self, partition: Partition, next: i64) -> Option<ReadToEnd> {
        let state = self.state.lock();
        let heard = state.heard.filter(|heard| clock::since(*heard) <= self.stale);
        let partition = state.partitions.get(&partition).filter(|_| heard.is_some())?;
        let (at, answering_since) = (partition.measured?, partition.answers_since?);
        (next >= partition.high).then_some(ReadToEnd { at, answering_since })
    }

    /// The next offset to be written to the partition, as last known.
    pub(crate) fn high(&self, partition: Partition) -> Option<i64> {
        self.state.lock().partitions.get(&partition).map(|partition| partition.high)
    }

    /// How long brokers that answer have not known the partition, as when its topic was deleted. librdkafka
    /// has an error for it, which batches do not deliver.
    pub(crate) fn gone(&self, partition: Partition) -> Option<Duration> {
        let gone = self.state.lock().partitions.get(&partition)?.gone?;
        Some(clock::since(gone))
    }

    /// Since when the partition has been read up to the beginning of an open transaction, by the wall clock in
    /// milliseconds since 1970, where that has lasted.
    pub(crate) fn open_transaction(&self, partition: Partition) -> Option<i64> {
        let transaction = self.state.lock().partitions.get(&partition)?.transaction?;
        (clock::since(transaction.since) >= OPEN_TRANSACTION[0]).then_some(transaction.since_ms)
    }

    /// The topics that the client has found to have another id, with that id, since this was last asked.
    pub(crate) fn told_ids(&self) -> Vec<(String, TopicId)> {
        std::mem::take(&mut self.state.lock().topic_ids)
    }

    /// Errors that were retried.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Another error that was retried.
    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// How many reports came; when it stands still, there is none left to serve.
    pub(crate) fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Whether the connection is lost just now.
    pub(crate) fn lost(&self) -> bool {
        self.state.lock().lost
    }

    /// How long the brokers have refused the client, and why.
    pub(crate) fn denied(&self) -> Option<(Duration, String)> {
        self.state.lock().denied.as_ref().map(|(since, why)| (clock::since(*since), why.clone()))
    }

    /// Whether the brokers of the held partitions have been lost or are back, since it was last asked.
    pub(crate) fn change(&self, held: &[Partition]) -> Option<Change> {
        let mut state = self.state.lock();
        let connected =
            held.iter().all(|p| state.partitions.get(p).is_some_and(|partition| partition.connected));
        if connected {
            state.ever_connected = true;
            return std::mem::take(&mut state.lost).then_some(Change::Back);
        }
        // Before the first connection it is not lost yet. Nor is it where only partitions just found have no broker.
        let early = !state.ever_connected && clock::since(self.born) < FIRST_CONNECT;
        let is_fine = |partition: &Partition| {
            state.partitions.get(partition).is_none_or(|known| known.connected || known.is_new())
        };
        if state.lost || early || (state.ever_connected && held.iter().all(is_fine)) {
            return None;
        }
        state.lost = true;
        let why = state.last_error.take().unwrap_or_else(|| "a broker does not answer".to_owned());
        Some(Change::Lost(why))
    }

    /// Takes librdkafka's statistics in, which were made at `now`.
    fn observe(&self, statistics: &Statistics<'_>, now: Instant) {
        let mut state = self.state.lock();
        state.heard = Some(now);
        let brokers: HashMap<i32, &Broker<'_>> = statistics
            .brokers
            .values()
            .filter(|b| b.nodeid >= 0 && b.source != "logical")
            .map(|b| (b.nodeid, b))
            .collect();
        let any_answers = brokers.values().any(|broker| broker.answers(self.stale));
        if any_answers {
            state.denied = None;
        }
        let topics = statistics.topics.iter();
        let partitions = topics.flat_map(|(topic, all)| all.partitions.values().map(move |one| (topic, one)));
        for (topic, partition) in partitions {
            let own = u32::try_from(partition.partition).ok();
            let Some(number) = own.and_then(|own| self.topics.number(topic, own)) else { continue };
            let broker = brokers.get(&partition.broker).copied();
            let known = state.partitions.entry(number).or_default();
            known.observe(partition, broker, self.stale, now);
            known.reported_since.get_or_insert(now);
            known.ever_connected |= known.connected;
            let gone = partition.unknown && any_answers;
            known.gone = gone.then(|| known.gone.unwrap_or(now));
            if known.transaction_lasts(now) {
                let waiting = partition.hi_offset - partition.ls_offset;
                tracing::warn!(
                    partition = format!("{topic}/{}", partition.partition),
                    offset = partition.ls_offset,
                    waiting,
                    "Kafka: a transaction has been open for {} s, and the windows wait for its end, by its producer or \
                     by the broker (transaction.timeout.ms); of further ones of this partition /status tells",
                    OPEN_TRANSACTION[1].as_secs()
                );
            }
        }
    }

    /// Takes a line of librdkafka's log.
    fn hear_log(&self, message: &str) {
        let Some((before, ids)) = message.split_once(" changed id from ") else { return };
        let topic = before.rsplit_once("Topic ").map(|(_, topic)| topic).filter(|t| self.topics.include(t));
        let found = ids.split_once(" to ").and_then(|(_, id)| TopicId::from_base64(id.trim_end()));
        if let (Some(topic), Some(id)) = (topic, found.filter(|id| !id.is_none())) {
            self.state.lock().topic_ids.push((topic.to_owned(), id));
        }
    }

    fn hear_error(&self, code: Code, reason: &str) {
        let mut state = self.state.lock();
        if kind(code) == Kind::Passing {
            self.count_retry();
        }
        match code {
            Code::AllBrokersDown => {
                for partition in state.partitions.values_mut() {
                    partition.break_off();
                }
            }
            Code::Authentication
            | Code::SSL
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism => {
                state.denied.get_or_insert_with(|| (clock::now(), reason.to_owned()));
                state.last_error = Some(reason.to_owned());
            }
            // The group is only used to commit for lag tools; whether it can be is nobody's outage.
            Code::GroupAuthorizationFailed => {}
            _ => state.last_error = Some(reason.to_owned()),
        }
    }
}

impl PartitionState {
    fn break_off(&mut self) {
        (self.answers_since, self.connected, self.measured) = (None, false, None);
        self.transaction = None;
    }

    /// Whether it was found just now, and the client has yet to learn which broker has it.
    fn is_new(&self) -> bool {
        !self.ever_connected && self.reported_since.is_none_or(|since| clock::since(since) < FIRST_CONNECT)
    }

    /// Whether a transaction lasts for which people may look, the first time that one does.
    fn transaction_lasts(&mut self, now: Instant) -> bool {
        let lasts = |open: Transaction| now.saturating_duration_since(open.since) >= OPEN_TRANSACTION[1];
        let tell = !self.transaction_told && self.transaction.is_some_and(lasts);
        self.transaction_told |= tell;
        tell
    }

    fn observe(
        &mut self,
        partition: &PartitionStatistics<'_>,
        broker: Option<&Broker<'_>>,
        stale: Duration,
        now: Instant,
    ) {
        self.high = self.high.max(partition.hi_offset);
        let Some(broker) = broker.filter(|broker| broker.answers(stale)) else {
            self.break_off();
            // A broker that was asked nothing, since all queues are full, owes no answer; it proves nothing
            // either.
            self.connected = broker.is_some_and(|broker| broker.is_up() && broker.waitresp_cnt == 0);
            return;
        };
        self.connected = true;
        let up = Duration::from_micros(broker.stateage.try_into().unwrap_or(0));
        // The connection was not made anew since; its clock and ours may differ a little.
        let unbroken = |since: &Instant| now - *since <= up + CLOCK_SLACK;
        self.answers_since = self.answers_since.filter(unbroken).or(Some(now));
        let at_end = partition.fetch_state == "active" && partition.eof_offset == partition.next_offset;
        self.end = at_end.then_some(partition.eof_offset);
        let known = partition.fetch_state == "active" && partition.hi_offset >= 0;
        self.measured = known.then_some(now);
        let first = partition.ls_offset;
        let open = at_end && partition.eof_offset == first && first < partition.hi_offset;
        let same = self.transaction.filter(|transaction| transaction.first == first);
        self.transaction = open.then(|| same.unwrap_or_else(|| Transaction::new(first, now)));
    }
}

impl Transaction {
    fn new(first: i64, since: Instant) -> Self {
        Transaction { first, since, since_ms: wall_clock_ms() }
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.reports.fetch_add(1, Ordering::Relaxed);
        self.0.hear_log(message);
        client::log(level, facility, message);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.0.reports.fetch_add(1, Ordering::Relaxed);
        match serde_json::from_slice(json) {
            Ok(statistics) => self.0.observe(&statistics, clock::now()),
            Err(error) => tracing::debug!("librdkafka's statistics cannot be read: {error}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = without_quoted(reason);
        self.0.reports.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        if let Some(code) = error.rdkafka_error_code() {
            self.0.hear_error(code, reason);
        }
    }
}

impl ConsumerContext for Watch {}

/// The part of librdkafka's statistics that matters here.
#[derive(Deserialize)]
struct Statistics<'a> {
    #[serde(borrow)]
    brokers: HashMap<String, Broker<'a>>,
    #[serde(borrow)]
    topics: HashMap<String, Topic<'a>>,
}

#[derive(Deserialize)]
struct Broker<'a> {
    nodeid: i32,
    source: &'a str,
    state: &'a str,
    /// Since its state changed, in microseconds.
    stateage: i64,
    /// Since something came from it, in microseconds; negative where nothing did.
    rxidle: i64,
    /// Requests that it has not answered yet.
    waitresp_cnt: i64,
}

impl Broker<'_> {
    fn is_up(&self) -> bool {
        ["UP", "REAUTH"].contains(&self.state)
    }

    /// Whether something came from it lately.
    fn answers(&self, stale: Duration) -> bool {
        let idle = u64::try_from(self.rxidle).map(Duration::from_micros);
        self.is_up() && idle.is_ok_and(|idle| idle <= stale)
    }
}

#[derive(Deserialize)]
struct Topic<'a> {
    #[serde(borrow)]
    partitions: HashMap<String, PartitionStatistics<'a>>,
}

#[derive(Deserialize)]
struct PartitionStatistics<'a> {
    partition: i32,
    /// The node from which it is fetched; negative where there is none.
    broker: i32,
    /// Whether the brokers do not have it.
    unknown: bool,
    fetch_state: &'a str,
    next_offset: i64,
    eof_offset: i64,
    hi_offset: i64,
    /// What is at it or behind it waits for the end of a transaction.
    ls_offset: i64,
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
