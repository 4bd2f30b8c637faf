//! What a reader's client knows of its brokers: whether they answer, and how far they say the partitions go.
//!
//! In: the statistics that librdkafka gives every second, and its errors. Out, for each partition: since when
//! its broker has answered without a break, and whether it was read to its end. librdkafka reports the end of
//! a partition once and stays silent through an outage, so the end alone proves nothing later; it counts only
//! together with a broker that is known to answer its fetches.

use super::client;
use super::errors::{Kind, kind};
use crate::source::{Partition, ReadToEnd};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Statistics, and a broker's last word, are believed for so long: a healthy broker answers fetches many times
/// a second.
const STALE: Duration = Duration::from_secs(3);

/// A new client may take so long to connect before that is an outage.
const FIRST_CONNECT: Duration = Duration::from_secs(3);

/// By so much the time at which librdkafka makes its statistics may differ from when they are heard.
const CLOCK_SLACK: Duration = Duration::from_millis(500);

/// The client's context: it hears what librdkafka reports while the consumer is polled.
pub(crate) struct Watch(pub(crate) Arc<Health>);

/// What was heard.
pub(crate) struct Health {
    topic: String,
    born: Instant,
    /// How long a broker may be silent: longer than it may hold back an answer.
    stale: Duration,
    /// Errors that librdkafka retries, and reports of any kind.
    retries: AtomicU64,
    reports: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    partitions: HashMap<Partition, PartitionState>,
    /// When the statistics came last.
    heard: Option<Instant>,
    /// Whether the held partitions' brokers were ever all connected, and whether they are known not to be.
    ever_connected: bool,
    lost: bool,
    last_error: Option<String>,
    /// Since when the brokers refuse the client, and why.
    denied: Option<(Instant, String)>,
}

/// A partition as the last statistics have it.
#[derive(Clone, Copy, Default)]
struct PartitionState {
    /// Since when its broker has answered without a break.
    answers_since: Option<Instant>,
    connected: bool,
    /// Since when brokers that answer have not known it.
    gone: Option<Instant>,
    end: Option<i64>,
    high: i64,
    /// When its broker, answering, said last how far it goes.
    measured: Option<Instant>,
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
    /// Of a client of the topic, whose brokers may hold back an answer for `fetch_wait`.
    pub(crate) fn new(topic: &str, fetch_wait: Duration) -> Self {
        Health {
            topic: topic.to_owned(),
            born: Instant::now(),
            stale: STALE + fetch_wait,
            retries: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Since when the broker of the partition has answered without a break and the partition's end has been
    /// at `end`; `None` where that is not known.
    pub(crate) fn at_end_since(&self, partition: Partition, end: i64) -> Option<Instant> {
        let state = self.lock();
        if state.heard?.elapsed() > self.stale {
            return None;
        }
        let partition = state.partitions.get(&partition)?;
        partition.answers_since.filter(|_| partition.end == Some(end))
    }

    /// That a reader which has come to `next` has read all that the partition held when its broker said last how far it
    /// goes; `None` where the broker does not answer, or has said of more.
    pub(crate) fn read_to_end(&self, partition: Partition, next: i64) -> Option<ReadToEnd> {
        let state = self.lock();
        let heard = state.heard.filter(|heard| heard.elapsed() <= self.stale);
        let partition = state.partitions.get(&partition).filter(|_| heard.is_some())?;
        let (at, answering_since) = (partition.measured?, partition.answers_since?);
        (next >= partition.high).then_some(ReadToEnd { at, answering_since })
    }

    /// The next offset to be written to the partition, as last known.
    pub(crate) fn high(&self, partition: Partition) -> Option<i64> {
        self.lock().partitions.get(&partition).map(|partition| partition.high)
    }

    /// How long brokers that answer have not known the partition, as when its topic was deleted. librdkafka
    /// has an error for it, which batches do not deliver.
    pub(crate) fn gone(&self, partition: Partition) -> Option<Duration> {
        Some(self.lock().partitions.get(&partition)?.gone?.elapsed())
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
        self.lock().lost
    }

    /// How long the brokers have refused the client, and why.
    pub(crate) fn denied(&self) -> Option<(Duration, String)> {
        self.lock().denied.as_ref().map(|(since, why)| (since.elapsed(), why.clone()))
    }

    /// Whether the brokers of the held partitions have been lost or are back, since it was last asked.
    pub(crate) fn change(&self, held: &[Partition]) -> Option<Change> {
        let mut state = self.lock();
        let connected =
            held.iter().all(|p| state.partitions.get(p).is_some_and(|partition| partition.connected));
        if connected {
            state.ever_connected = true;
            return std::mem::take(&mut state.lost).then_some(Change::Back);
        }
        // Before the first connection it is not lost yet, and a partition just found was not reported yet.
        let early = !state.ever_connected && self.born.elapsed() < FIRST_CONNECT;
        let unheard = held.iter().any(|partition| !state.partitions.contains_key(partition));
        if state.lost || early || (unheard && state.ever_connected) {
            return None;
        }
        state.lost = true;
        let why = state.last_error.take().unwrap_or_else(|| "a broker does not answer".to_owned());
        Some(Change::Lost(why))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes librdkafka's statistics in, which were made at `now`.
    fn hear(&self, statistics: &Statistics<'_>, now: Instant) {
        let mut state = self.lock();
        state.heard = Some(now);
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
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
        for partition in topic.partitions.values() {
            let Ok(number) = Partition::try_from(partition.partition) else { continue };
            let broker = brokers.get(&partition.broker).copied();
            let known = state.partitions.entry(number).or_default();
            known.hear(partition, broker, self.stale, now);
            let gone = partition.unknown && any_answers;
            known.gone = gone.then(|| known.gone.unwrap_or(now));
        }
    }

    fn hear_error(&self, code: Code, reason: &str) {
        let mut state = self.lock();
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
                state.denied.get_or_insert_with(|| (Instant::now(), reason.to_owned()));
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
    }

    fn hear(
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
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.reports.fetch_add(1, Ordering::Relaxed);
        client::log(level, facility, message);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.0.reports.fetch_add(1, Ordering::Relaxed);
        match serde_json::from_slice(json) {
            Ok(statistics) => self.0.hear(&statistics, Instant::now()),
            Err(error) => tracing::debug!("librdkafka's statistics cannot be read: {error}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(
        state: &str,
        stateage: Duration,
        rxidle: Duration,
        waiting: u32,
        next: i64,
        eof: i64,
    ) -> String {
        format!(
            r#"{{"name":"x","brokers":{{"h:1/1":{{"nodeid":1,"source":"learned","state":"{state}","stateage":{},
            "rxidle":{},"waitresp_cnt":{waiting},"extra":[]}},
            "GroupCoordinator":{{"nodeid":-1,"source":"logical","state":"DOWN","stateage":0,"rxidle":-1,"waitresp_cnt":0}}}},
            "topics":{{"t":{{"partitions":{{"3":{{"partition":3,"broker":1,"unknown":false,"fetch_state":"active","next_offset":{next},
            "eof_offset":{eof},"hi_offset":{next}}},
            "-1":{{"partition":-1,"broker":-1,"unknown":false,"fetch_state":"none","next_offset":0,"eof_offset":-1001,"hi_offset":-1001}}}}}}}}}}"#,
            stateage.as_micros(),
            rxidle.as_micros()
        )
    }

    fn hear(health: &Health, json: &str, now: Instant) {
        health.hear(&serde_json::from_str(json).unwrap(), now);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn up(age: u32, next: i64, eof: i64) -> String {
        statistics("UP", age * SECOND, SECOND / 10, 1, next, eof)
    }

    #[test]
    fn the_end_is_known_only_while_the_broker_answers() {
        let health = Health::new("t", Duration::ZERO);
        let now = Instant::now();
        assert_eq!(health.at_end_since(3, 7), None);
        hear(&health, &up(20, 7, 7), now);
        assert_eq!(health.at_end_since(3, 7), Some(now), "it may not have been asked before");
        hear(&health, &up(21, 7, 7), now + SECOND);
        assert_eq!(health.at_end_since(3, 7), Some(now));
        assert_eq!(health.at_end_since(3, 6), None, "another end");
        assert_eq!(health.at_end_since(4, 7), None, "another partition");
        hear(&health, &up(22, 8, 7), now + 2 * SECOND);
        assert_eq!(health.at_end_since(3, 7), None, "more is on its way");
    }

    #[test]
    fn all_is_read_once_the_reader_has_come_to_where_the_broker_said_that_the_partition_ends() {
        let health = Health::new("t", Duration::ZERO);
        let now = Instant::now();
        let known = |at| Some(ReadToEnd { at, answering_since: now });
        assert_eq!(health.read_to_end(3, 100), None, "nothing was said");
        let unfetched = up(20, 0, 0).replace("\"hi_offset\":0", "\"hi_offset\":-1001");
        hear(&health, &unfetched, now);
        assert_eq!(health.read_to_end(3, 100), None, "the broker was not asked yet");
        hear(&health, &up(20, 7, 3), now);
        assert_eq!((health.read_to_end(3, 6), health.read_to_end(3, 7)), (None, known(now)));
        let later = now + SECOND;
        hear(&health, &up(21, 12, 3), later);
        assert_eq!((health.read_to_end(3, 11), health.read_to_end(3, 13)), (None, known(later)));
        hear(&health, &statistics("CONNECT", SECOND / 2, SECOND, 0, 12, 3), later);
        assert_eq!(health.read_to_end(3, 13), None, "an outage");
    }

    #[test]
    fn an_outage_ends_the_knowledge_and_it_begins_anew() {
        let health = Health::new("t", Duration::ZERO);
        let now = Instant::now();
        let at = |seconds: u32| now - (30 - seconds) * SECOND;
        hear(&health, &up(100, 7, 7), at(0));
        assert_eq!(health.change(&[3]), None);
        hear(&health, &statistics("CONNECT", SECOND / 2, SECOND, 0, 7, 7), at(10));
        assert_eq!(health.at_end_since(3, 7), None);
        assert!(matches!(health.change(&[3]), Some(Change::Lost(_))));
        assert_eq!(health.change(&[3]), None, "it is told once");
        assert!(health.lost());
        hear(&health, &up(0, 7, 7), at(30));
        assert_eq!(health.at_end_since(3, 7), Some(at(30)), "librdkafka does not report the end again");
        assert_eq!(health.change(&[3]), Some(Change::Back));
    }

    #[test]
    fn a_connection_that_came_and_went_between_two_reports_is_a_break() {
        let health = Health::new("t", Duration::ZERO);
        let now = Instant::now();
        hear(&health, &up(100, 7, 7), now - 2 * SECOND);
        hear(&health, &statistics("UP", SECOND / 4, SECOND / 10, 1, 7, 7), now);
        assert_eq!(health.at_end_since(3, 7), Some(now));
    }

    #[test]
    fn a_broker_that_hangs_is_an_outage_and_one_that_is_asked_nothing_is_not() {
        let health = Health::new("t", Duration::ZERO);
        let now = Instant::now();
        hear(&health, &statistics("UP", 100 * SECOND, 4 * SECOND, 0, 7, 7), now);
        assert_eq!(health.at_end_since(3, 7), None);
        assert_eq!(health.change(&[3]), None);
        hear(&health, &statistics("UP", 100 * SECOND, 4 * SECOND, 1, 7, 7), now);
        assert!(matches!(health.change(&[3]), Some(Change::Lost(_))));
        hear(&health, &up(105, 7, 7), now);
        assert_eq!(health.at_end_since(3, 7), Some(now), "it was up all the time, but did not answer");
    }

    #[test]
    fn a_partition_that_answering_brokers_do_not_know_is_gone() {
        let health = Health::new("t", Duration::ZERO);
        let gone = |json: &str| json.replace("\"unknown\":false", "\"unknown\":true");
        let now = Instant::now();
        hear(&health, &gone(&statistics("DOWN", SECOND, SECOND, 0, 7, 7)), now);
        assert_eq!(health.gone(3), None, "nobody answers");
        hear(&health, &gone(&up(10, 7, 7)), now - 5 * SECOND);
        hear(&health, &gone(&up(12, 7, 7)), now - 3 * SECOND);
        assert!(health.gone(3).unwrap() >= 5 * SECOND);
        hear(&health, &up(13, 7, 7), now);
        assert_eq!(health.gone(3), None);
    }

    #[test]
    fn errors_are_counted_and_told() {
        let health = Health::new("t", Duration::ZERO);
        hear(&health, &up(10, 7, 7), Instant::now());
        assert_eq!(health.change(&[3]), None);
        health.hear_error(Code::BrokerTransportFailure, "h:1/1: Connection refused");
        health.hear_error(Code::AllBrokersDown, "1/1 brokers are down");
        assert_eq!(health.retries(), 2);
        assert_eq!(health.at_end_since(3, 7), None);
        let told = health.change(&[3]);
        assert_eq!(told, Some(Change::Lost("h:1/1: Connection refused".to_owned())));
        health.hear_error(Code::SaslAuthenticationFailed, "wrong password");
        assert_eq!(health.denied().unwrap().1, "wrong password");
        hear(&health, &up(1, 7, 7), Instant::now());
        assert_eq!(health.denied(), None);
    }
}
