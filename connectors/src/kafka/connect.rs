//! The first contact: whether the brokers answer and have the topic, and at which offsets its partitions begin.

use super::client::{LastError, Properties, describe, lookup_config};
use super::options::KafkaOptions;
use super::topic_id::{Description, TopicId, Unknown, describe_topic};
use crate::endpoint::KafkaUrl;
use crate::range::Until;
use crate::source::{Partition, SourceError};
use crate::span::{Asked, Span};
use crate::start::Start;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// How long one question may take; it is asked again while there is time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a topic may be missing before it is believed: brokers tell each other of a new one.
const MISSING_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// The client that asks about the topic.
pub(crate) struct Lookup {
    client: BaseConsumer<LastError>,
    target: KafkaUrl,
    /// How long the brokers may take to answer, in all.
    timeout: Duration,
}

impl Lookup {
    /// A client that has not asked anything yet.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] where a property is wrong.
    pub(crate) fn new(
        target: &KafkaUrl,
        properties: &Properties,
        timeout: Duration,
    ) -> Result<Self, SourceError> {
        let invalid = |reason| SourceError::Invalid { url: target.to_string(), reason };
        let config = lookup_config(target, properties).map_err(invalid)?;
        let client = config.create_with_context(LastError::default()).map_err(|e| invalid(describe(&e)))?;
        Ok(Lookup { client, target: target.clone(), timeout })
    }

    /// The topic's partitions, once the brokers answer.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] where they do not in time, or have no such topic, or deny access to it.
    pub(crate) fn connect(&self) -> Result<Vec<Partition>, SourceError> {
        let began = Instant::now();
        self.find(|| {
            let missing = || Err(format!("the brokers have no topic {:?}", self.target.topic));
            (began.elapsed() > MISSING_TIMEOUT).then(missing)
        })
    }

    /// How many partitions the topic has, once the brokers answer; `None` where there is no such topic.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) fn existing(&self) -> Result<Option<usize>, SourceError> {
        let partitions = self.find(|| Some(Ok(Vec::new())))?;
        Ok(Some(partitions.len()).filter(|count| *count > 0))
    }

    /// The topic's partitions, once the brokers answer; what `missing` says where they do not have the topic.
    fn find(
        &self,
        missing: impl Fn() -> Option<Result<Vec<Partition>, String>>,
    ) -> Result<Vec<Partition>, SourceError> {
        self.patiently(|| match self.partitions(self.attempt()) {
            Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition)) => missing(),
            Err(KafkaError::MetadataFetch(code @ (Code::TopicAuthorizationFailed | Code::InvalidTopic))) => {
                Some(Err(format!("topic {:?}: {code}", self.target.topic)))
            }
            Ok(partitions) if !partitions.is_empty() => Some(Ok(partitions)),
            Ok(_) | Err(_) => None,
        })
    }

    /// The topic's partitions, as the brokers know them now.
    pub(crate) fn partitions(&self, timeout: Duration) -> KafkaResult<Vec<Partition>> {
        let metadata = self.client.fetch_metadata(Some(&self.target.topic), timeout)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.target.topic);
        let Some(topic) = topic else { return Ok(Vec::new()) };
        if let Some(error) = topic.error() {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        let mut partitions: Vec<Partition> =
            topic.partitions().iter().filter_map(|partition| partition.id().try_into().ok()).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// What the brokers say of the topic now: its id and its partitions, by one request.
    pub(crate) fn describe(&self, timeout: Duration) -> Result<Description, Unknown> {
        describe_topic(&self.client, &self.target.topic, timeout)
    }

    /// The description of the topic by brokers that are not known to give ids to topics.
    pub(crate) fn describe_without_id(&self, timeout: Duration) -> Result<Description, Unknown> {
        match self.partitions(timeout) {
            Ok(partitions) => Ok(Description { id: None, partitions }),
            Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition)) => Err(Unknown::Missing),
            Err(error) => Err(Unknown::Untold(describe(&error))),
        }
    }

    /// The topic's id, where the brokers tell it.
    pub(crate) fn identity(&self, timeout: Duration) -> Option<TopicId> {
        let topic = &self.target.topic;
        let known = match self.describe(timeout) {
            Ok(Description { id: Some(id), .. }) => return Some(id),
            Ok(_) => "it has none".to_owned(),
            Err(why) => why.to_string(),
        };
        tracing::debug!("Kafka: the id of topic {topic:?} is not known: {known}");
        None
    }

    /// The first offset that is kept, and the next one to be written.
    pub(crate) fn kept(&self, partition: Partition, timeout: Duration) -> KafkaResult<(i64, i64)> {
        self.client.fetch_watermarks(&self.target.topic, partition as i32, timeout)
    }

    /// Where partitions end, by one request to each of their brokers.
    pub(crate) fn ends(
        &self,
        partitions: &[Partition],
        timeout: Duration,
    ) -> KafkaResult<Vec<(Partition, i64)>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            // The end takes the place of a time.
            list.add_partition_offset(&self.target.topic, *partition as i32, Offset::End)?;
        }
        let found = self.client.offsets_for_times(list, timeout)?;
        let end = |e: &TopicPartitionListElem<'_>| match e.offset() {
            Offset::Offset(offset) => Some((e.partition().try_into().ok()?, offset)),
            _ => None,
        };
        Ok(found.elements().iter().filter_map(end).collect())
    }

    /// Lets go of what librdkafka has to say between two questions.
    pub(crate) fn drain(&self) {
        for _ in 0..64 {
            let _ = self.client.poll(Duration::ZERO);
        }
    }

    /// The offsets that are kept of each partition.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`].
    pub(crate) fn all_kept(
        &self,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, (i64, i64)>, SourceError> {
        let kept = |&partition: &Partition| {
            let kept = self.patiently(|| self.kept(partition, self.attempt()).ok().map(Ok))?;
            Ok((partition, kept))
        };
        partitions.iter().map(kept).collect()
    }

    /// Which offsets of each partition are read.
    ///
    /// # Errors
    /// [`SourceError::Lost`] where an offset is asked for that is not kept, or a partition ends before it was
    /// reached, [`SourceError::Invalid`] where a partition is named that does not exist,
    /// [`SourceError::Unreachable`].
    pub(crate) fn resolve(
        &self,
        options: &KafkaOptions,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, Span>, SourceError> {
        let KafkaOptions { start, reached, until, on_gap, .. } = options;
        if let Start::Offsets(offsets) = start {
            self.check_known("start", offsets, partitions)?;
        }
        if let Some(Until::Offsets(offsets)) = until {
            self.check_known("until", offsets, partitions)?;
        }
        let times = match start {
            Start::Time(time) => self.offsets_at(*time, partitions)?,
            _ => BTreeMap::new(),
        };
        let asked = Asked { start, reached, until: until.as_ref(), on_gap: *on_gap };
        let span = |(partition, kept): (Partition, (i64, i64))| {
            let name = self.target.partition_name(partition);
            let span = Span::settle(&asked, (partition, &name), times.get(&partition).copied(), kept)?;
            Ok((partition, span))
        };
        self.all_kept(partitions)?.into_iter().map(span).collect()
    }

    /// Refuses offsets of a partition that the topic does not have.
    pub(crate) fn check_known(
        &self,
        what: &str,
        offsets: &BTreeMap<Partition, i64>,
        partitions: &[Partition],
    ) -> Result<(), SourceError> {
        let Some(unknown) = offsets.keys().find(|partition| !partitions.contains(partition)) else {
            return Ok(());
        };
        let reason =
            format!("{what}: the topic has no partition {unknown}, only {} partitions", partitions.len());
        Err(SourceError::Invalid { url: self.target.to_string(), reason })
    }

    /// The first offsets at or after a time; partitions without any are left out.
    fn offsets_at(
        &self,
        time: i64,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, i64>, SourceError> {
        let found = self.patiently(|| {
            let mut list = TopicPartitionList::new();
            for partition in partitions {
                list.add_partition_offset(&self.target.topic, *partition as i32, Offset::Offset(time))
                    .ok()?;
            }
            self.client.offsets_for_times(list, self.attempt()).ok().map(Ok)
        })?;
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        let elements = found.elements();
        Ok(elements
            .iter()
            .filter_map(|e| Some((e.partition().try_into().ok()?, offset(e.offset())?)))
            .collect())
    }

    fn attempt(&self) -> Duration {
        ATTEMPT_TIMEOUT.min(self.timeout)
    }

    /// Tries until there is an answer, or the time for connecting is over.
    fn patiently<T>(&self, mut attempt: impl FnMut() -> Option<Result<T, String>>) -> Result<T, SourceError> {
        let unreachable = |reason| SourceError::Unreachable { url: self.target.to_string(), reason };
        let deadline = Instant::now() + self.timeout;
        let mut why = None;
        loop {
            if let Some(answer) = attempt() {
                return answer.map_err(unreachable);
            }
            self.drain();
            why = self.client.context().take().or(why);
            if Instant::now() >= deadline {
                let seconds = self.timeout.as_secs_f64();
                let why = why.unwrap_or_else(|| "it does not say why".to_owned());
                return Err(unreachable(format!(
                    "no answer from {} within {seconds} s: {why}",
                    self.target.servers
                )));
            }
            thread::sleep(PAUSE);
        }
    }
}
