//! The questions to the brokers: which topics and partitions there are, and which offsets these keep.

use super::client::{LastError, Properties, describe, lookup_config};
use super::topic_id::{Description, Descriptions, TopicId, Unknown, describe_topics};
use crate::endpoint::{KafkaUrl, Topics};
use crate::source::{Partition, SourceError, TopicPartition};
use crest_host::clock;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long one question may take; it is asked again while there is time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a topic may be missing before it is believed: brokers tell each other of a new one.
const MISSING_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Partitions by their numbers in the job.
pub(crate) type Partitions = BTreeMap<Partition, TopicPartition>;

/// The client that asks about topics.
pub(crate) struct Lookup {
    client: BaseConsumer<LastError>,
    /// As errors name it.
    url: String,
    servers: String,
    /// How long the brokers may take to answer, in all.
    timeout: Duration,
}

impl Lookup {
    /// A client that has not asked these servers anything yet; `url` is how errors call them.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] where a property is wrong.
    pub(crate) fn new(
        (url, servers): (String, &str),
        properties: &Properties,
        timeout: Duration,
    ) -> Result<Self, SourceError> {
        let invalid = |reason| SourceError::Invalid { url: url.clone(), reason };
        let config = lookup_config(servers, properties).map_err(invalid)?;
        let client = config.create_with_context(LastError::default()).map_err(|e| invalid(describe(&e)))?;
        Ok(Lookup { client, servers: servers.to_owned(), url, timeout })
    }

    /// A client of the brokers of a topic.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of(
        target: &KafkaUrl,
        properties: &Properties,
        timeout: Duration,
    ) -> Result<Self, SourceError> {
        Lookup::new((target.to_string(), &target.servers), properties, timeout)
    }

    /// A topic's partitions, once the brokers answer.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] where they do not in time, or have no such topic, or deny access to it.
    pub(crate) fn connect(&self, topic: &str) -> Result<Vec<u32>, SourceError> {
        let began = clock::now();
        self.find(topic, || {
            let missing = || Err(format!("the brokers have no topic {topic:?}"));
            (clock::since(began) > MISSING_TIMEOUT).then(missing)
        })
    }

    /// How many partitions a topic has, once the brokers answer; `None` where there is no such topic.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) fn existing(&self, topic: &str) -> Result<Option<usize>, SourceError> {
        let partitions = self.find(topic, || Some(Ok(Vec::new())))?;
        Ok(Some(partitions.len()).filter(|count| *count > 0))
    }

    /// The partitions of all topics, by the topics' names, once the brokers answer. Brokers that are just starting may not
    /// know all topics that match a pattern: it is waited a little for those that are `wanted`, and for any at all where
    /// `none_is_an_error`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) fn connect_all(
        &self,
        topics: &Topics,
        wanted: &BTreeSet<&str>,
        none_is_an_error: bool,
    ) -> Result<BTreeMap<String, Vec<u32>>, SourceError> {
        if let Some(names) = topics.named() {
            let found = |name: &String| Ok((name.clone(), self.connect(name)?));
            return names.iter().map(found).collect();
        }
        let began = clock::now();
        let names = self.patiently(|| {
            let found = self.matching(topics, self.attempt()).ok()?;
            let is_enough = (!found.is_empty() || !none_is_an_error)
                && wanted.iter().all(|topic| found.iter().any(|found| found == topic));
            match is_enough || clock::since(began) > MISSING_TIMEOUT {
                false => None,
                true if found.is_empty() && none_is_an_error => {
                    Some(Err(format!("the brokers have no topic that matches {topics}")))
                }
                true => Some(Ok(found)),
            }
        })?;
        let mut found = BTreeMap::new();
        for name in names {
            // One that has gone since is none of those that match.
            let partitions = self.find(&name, || Some(Ok(Vec::new())))?;
            if !partitions.is_empty() {
                found.insert(name, partitions);
            }
        }
        Ok(found)
    }

    /// The topics that are read, as the brokers know them now.
    pub(crate) fn matching(&self, topics: &Topics, timeout: Duration) -> KafkaResult<Vec<String>> {
        let metadata = self.client.fetch_metadata(None, timeout)?;
        let names = metadata.topics().iter().map(|topic| topic.name());
        Ok(names.filter(|name| topics.include(name)).map(str::to_owned).collect())
    }

    /// A topic's partitions, once the brokers answer; what `missing` says where they do not have the topic.
    fn find(
        &self,
        topic: &str,
        missing: impl Fn() -> Option<Result<Vec<u32>, String>>,
    ) -> Result<Vec<u32>, SourceError> {
        self.patiently(|| match self.partitions(topic, self.attempt()) {
            Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition)) => missing(),
            Err(KafkaError::MetadataFetch(code @ (Code::TopicAuthorizationFailed | Code::InvalidTopic))) => {
                Some(Err(format!("topic {topic:?}: {code}")))
            }
            Ok(partitions) if !partitions.is_empty() => Some(Ok(partitions)),
            Ok(_) | Err(_) => None,
        })
    }

    /// A topic's partitions, as the brokers know them now.
    fn partitions(&self, topic: &str, timeout: Duration) -> KafkaResult<Vec<u32>> {
        let metadata = self.client.fetch_metadata(Some(topic), timeout)?;
        let Some(topic) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(Vec::new());
        };
        if let Some(error) = topic.error() {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        let mut partitions: Vec<u32> =
            topic.partitions().iter().filter_map(|partition| partition.id().try_into().ok()).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// What the brokers say of topics now, by one request.
    pub(crate) fn describe(&self, topics: &[String], timeout: Duration) -> Result<Descriptions, Unknown> {
        describe_topics(&self.client, topics, timeout)
    }

    /// The description of a topic by brokers that are not known to give ids to topics.
    pub(crate) fn describe_without_id(&self, topic: &str, timeout: Duration) -> Result<Description, Unknown> {
        match self.partitions(topic, timeout) {
            Ok(partitions) => Ok(Description { id: None, partitions }),
            Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition)) => Err(Unknown::Missing),
            Err(error) => Err(Unknown::Untold(describe(&error))),
        }
    }

    /// The ids of topics, where the brokers tell them.
    pub(crate) fn identities(
        &self,
        topics: &[String],
        timeout: Duration,
    ) -> BTreeMap<String, Option<TopicId>> {
        let mut ids: BTreeMap<String, Option<TopicId>> = topics.iter().cloned().map(|t| (t, None)).collect();
        match self.describe(topics, timeout) {
            Ok(all) => {
                let told = all.into_iter().filter_map(|(topic, found)| Some((topic, found.ok()?.id)));
                ids.extend(told);
            }
            Err(why) => tracing::debug!("Kafka: the ids of {topics:?} are not known: {why}"),
        }
        ids
    }

    /// The first offset that is kept, and the next one to be written.
    pub(crate) fn kept(&self, partition: &TopicPartition, timeout: Duration) -> KafkaResult<(i64, i64)> {
        self.client.fetch_watermarks(&partition.topic, partition.number as i32, timeout)
    }

    /// Where partitions end, by one request to each of their brokers.
    pub(crate) fn ends(
        &self,
        partitions: &Partitions,
        timeout: Duration,
    ) -> KafkaResult<BTreeMap<Partition, i64>> {
        // The end takes the place of a time.
        self.offsets_for(partitions, Offset::End, timeout)
    }

    /// The offsets of partitions at a time, or at their ends; those that have none are left out.
    fn offsets_for(
        &self,
        partitions: &Partitions,
        place: Offset,
        timeout: Duration,
    ) -> KafkaResult<BTreeMap<Partition, i64>> {
        let mut list = TopicPartitionList::new();
        for TopicPartition { topic, number } in partitions.values() {
            list.add_partition_offset(topic, *number as i32, place)?;
        }
        let found = self.client.offsets_for_times(list, timeout)?;
        let offset =
            |(partition, TopicPartition { topic, number }): (&Partition, &TopicPartition)| match found
                .find_partition(topic, *number as i32)?
                .offset()
            {
                Offset::Offset(offset) => Some((*partition, offset)),
                _ => None,
            };
        Ok(partitions.iter().filter_map(offset).collect())
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
        partitions: &Partitions,
    ) -> Result<BTreeMap<Partition, (i64, i64)>, SourceError> {
        let kept = |(number, partition): (&Partition, &TopicPartition)| {
            let kept = self.patiently(|| self.kept(partition, self.attempt()).ok().map(Ok))?;
            Ok((*number, kept))
        };
        partitions.iter().map(kept).collect()
    }

    /// The first offsets at or after a time; partitions without any are left out.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`].
    pub(crate) fn offsets_at(
        &self,
        time: i64,
        partitions: &Partitions,
    ) -> Result<BTreeMap<Partition, i64>, SourceError> {
        self.patiently(|| self.offsets_for(partitions, Offset::Offset(time), self.attempt()).ok().map(Ok))
    }

    fn attempt(&self) -> Duration {
        ATTEMPT_TIMEOUT.min(self.timeout)
    }

    /// Tries until there is an answer, or the time for connecting is over.
    fn patiently<T>(&self, mut attempt: impl FnMut() -> Option<Result<T, String>>) -> Result<T, SourceError> {
        let unreachable = |reason| SourceError::Unreachable { url: self.url.clone(), reason };
        let deadline = clock::now() + self.timeout;
        let mut why = None;
        loop {
            if let Some(answer) = attempt() {
                return answer.map_err(unreachable);
            }
            self.drain();
            why = self.client.context().take().or(why);
            if clock::now() >= deadline {
                let seconds = self.timeout.as_secs_f64();
                let why = why.unwrap_or_else(|| "it does not say why".to_owned());
                return Err(unreachable(format!(
                    "no answer from {} within {seconds} s: {why}",
                    self.servers
                )));
            }
            crest_host::thread::sleep(PAUSE);
        }
    }
}

/// The partitions that were found, by their numbers in the job.
///
/// # Errors
/// [`SourceError::SameNumber`], and [`SourceError::Invalid`] for a partition that can have no number.
pub(crate) fn number_all(
    (url, topics): (&str, &Topics),
    found: BTreeMap<String, Vec<u32>>,
) -> Result<Partitions, SourceError> {
    let mut partitions = Partitions::new();
    for (topic, numbers) in found {
        let topic: Arc<str> = topic.into();
        for number in numbers {
            let at = TopicPartition { topic: topic.clone(), number };
            let Some(partition) = topics.number(&topic, number) else {
                let reason = format!("partition {at} has too high a number to be read beside other topics");
                return Err(SourceError::Invalid { url: url.to_owned(), reason });
            };
            if let Some(other) = partitions.insert(partition, at) {
                return Err(SourceError::SameNumber {
                    first: other.topic.to_string(),
                    second: topic.to_string(),
                });
            }
        }
    }
    Ok(partitions)
}
