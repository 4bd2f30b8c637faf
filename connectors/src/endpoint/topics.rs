//! The brokers and topics that a source reads: `kafka://host:port/topic`, `…/topic,topic` or `…/^pattern`; and which number
//! each partition of several topics has in a job.
//!
//! A partition of one topic has its own number. One of several topics has a number made of its topic's name and its own:
//! it is the same in every process and every run, whatever other topics come and go, and nobody has to agree on it.

use super::error::EndpointError;
use super::kafka::{KafkaUrl, check_topic, servers};
use crate::partition::{Partition, TopicPartition};
use regex::Regex;
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64;

/// How a source of Kafka is written.
const FORM: &str =
    "expected kafka://host:port[,host:port]/topic, several as /topic,topic, or a pattern as /^orders-.*";
/// A number has so many bits of the partition's own number; the others are of the hash of the topic's name.
const OWN_BITS: u32 = 20;
/// Topics of a list at most.
const MAX_TOPICS: usize = 1000;

/// Topics of Kafka that are read, and their brokers. It holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSourceUrl {
    text: String,
    /// `bootstrap.servers`.
    pub(crate) servers: String,
    pub(crate) topics: Topics,
}

/// Which topics are read.
#[derive(Clone, Debug)]
pub(crate) enum Topics {
    /// This one.
    One(String),
    /// These, in the order of their names.
    Several(Vec<String>),
    /// All that match this text, those too that are made while the source is read. Names that begin with `__` are
    /// Kafka's own.
    Pattern(String, Regex),
}

impl PartialEq for Topics {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Topics {}

impl KafkaSourceUrl {
    fn parse(url: &str) -> Result<Self, String> {
        let (servers, path) = servers(url, FORM)?;
        let topics = if let Some(pattern) = path.strip_prefix('^') {
            // Each of its alternatives is to match from the beginning on.
            let anchored = Regex::new(&format!("^(?:{pattern})"));
            let regex = anchored.map_err(|error| format!("{path:?} is no pattern: {error}"))?;
            Topics::Pattern(path.to_owned(), regex)
        } else {
            let mut names: Vec<String> = path.split(',').map(str::to_owned).collect();
            names.iter().try_for_each(|name| check_topic(name))?;
            names.sort();
            if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("topic {:?} is there twice", twice[0]));
            }
            match names.len() {
                1 => Topics::One(names.remove(0)),
                2..=MAX_TOPICS => Topics::Several(names),
                count => {
                    return Err(format!("{count} topics are more than {MAX_TOPICS}; a pattern has no limit"));
                }
            }
        };
        Ok(KafkaSourceUrl { text: url.to_owned(), servers, topics })
    }

    /// The topic as one to write to, where it is a single one.
    pub fn one(&self) -> Option<KafkaUrl> {
        let Topics::One(topic) = &self.topics else { return None };
        Some(KafkaUrl::new(&self.text, &self.servers, topic))
    }

    /// Whether this topic is one of those that are read.
    pub fn reads(&self, topic: &KafkaUrl) -> bool {
        self.servers == topic.servers && self.topics.include(&topic.topic)
    }

    /// The number that a partition has in a job on this source; `None` where its topic is not read, or Kafka has none
    /// of such a number.
    pub fn number(&self, partition: &TopicPartition) -> Option<Partition> {
        self.topics.number(&partition.topic, partition.number)
    }
}

impl Topics {
    /// The names, where they are known beforehand.
    pub(crate) fn named(&self) -> Option<&[String]> {
        match self {
            Topics::One(topic) => Some(std::slice::from_ref(topic)),
            Topics::Several(topics) => Some(topics),
            Topics::Pattern(..) => None,
        }
    }

    /// Whether the topic of this name is read.
    pub(crate) fn include(&self, topic: &str) -> bool {
        match self {
            Topics::One(name) => name == topic,
            Topics::Several(names) => names.binary_search_by(|name| name.as_str().cmp(topic)).is_ok(),
            Topics::Pattern(_, regex) => !topic.starts_with("__") && regex.is_match(topic),
        }
    }

    /// See [`KafkaSourceUrl::number`].
    pub(crate) fn number(&self, topic: &str, number: u32) -> Option<Partition> {
        match self {
            _ if !self.include(topic) => None,
            Topics::One(_) => Some(number.into()),
            Topics::Several(_) | Topics::Pattern(..) => {
                let fits = number >> OWN_BITS == 0;
                fits.then(|| xxh3_64(topic.as_bytes()) << OWN_BITS | Partition::from(number))
            }
        }
    }

    /// Which of the workers reads a partition. Partitions of a list are dealt out evenly; those of a pattern too, as far
    /// as each process can know without asking the others.
    pub(crate) fn worker(&self, partition: &TopicPartition, workers: usize) -> usize {
        let first = match self {
            Topics::One(_) => 0,
            Topics::Several(names) => names.iter().position(|name| **name == *partition.topic).unwrap_or(0),
            Topics::Pattern(..) => (xxh3_64(partition.topic.as_bytes()) >> OWN_BITS) as usize,
        };
        first.wrapping_add(partition.number as usize) % workers
    }
}

impl FromStr for KafkaSourceUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        KafkaSourceUrl::parse(text).map_err(|reason| EndpointError::invalid(text, reason))
    }
}

impl fmt::Display for KafkaSourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Topics {
    /// As in a URL, where their order says nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topics::One(topic) => f.write_str(topic),
            Topics::Several(topics) => f.write_str(&topics.join(",")),
            Topics::Pattern(text, _) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn topics(path: &str) -> Topics {
        KafkaSourceUrl::parse(&format!("kafka://h/{path}")).unwrap().topics
    }

    fn at(topic: &str, number: u32) -> TopicPartition {
        TopicPartition { topic: topic.into(), number }
    }

    #[test]
    fn the_order_of_a_list_says_nothing_and_a_pattern_begins_with_a_circumflex() {
        assert_eq!(topics("b,a"), Topics::Several(vec!["a".into(), "b".into()]));
        assert_eq!(topics("a"), Topics::One("a".into()));
        assert_eq!(topics("b,a").to_string(), "a,b");
        let shops = topics(r"^shop\..{1,3}$");
        assert_eq!(shops.to_string(), r"^shop\..{1,3}$");
        let taken = ["shop.de", "shop.", "shop.long", "a.shop.de", "__shop.de"].map(|t| shops.include(t));
        assert_eq!(taken, [true, false, false, false, false]);
        let either = topics("^a|b");
        assert_eq!(["a", "b", "ab", "ca", "cb"].map(|t| either.include(t)), [true, true, true, false, false]);
        assert!(!topics("^.*").include("__consumer_offsets"));
    }

    #[test]
    fn events_are_written_to_one_topic() {
        let url = |path: &str| KafkaSourceUrl::parse(&format!("kafka://h:1/{path}")).unwrap();
        let topic: KafkaUrl = "kafka://h:1/a".parse().unwrap();
        assert_eq!(url("a").one(), Some(topic.clone()));
        assert_eq!((url("a,b").one(), url("^a").one()), (None, None));
        assert_eq!(
            ["a", "a,b", "^a", "b", "b,c"].map(|p| url(p).reads(&topic)),
            [true, true, true, false, false]
        );
        assert!(!url("a").reads(&"kafka://h:2/a".parse().unwrap()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (path, why) in [
            ("a,a", "topic \"a\" is there twice"),
            ("a,", "\"\" is no topic"),
            ("a,^b", "\"^b\" is no topic"),
            ("^(", "is no pattern"),
            ("a b", "\"a b\" is no topic"),
            ("", "expected kafka://"),
        ] {
            let error = KafkaSourceUrl::parse(&format!("kafka://h/{path}")).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!("kafka://u:secret@h/a,b".parse::<KafkaSourceUrl>().is_err());
    }

    #[test]
    fn numbers_never_change_since_states_hold_them() {
        assert_eq!(topics("orders").number("orders", 7), Some(7));
        let number = Some(15_897_606_179_425_091_591);
        for path in ["orders,visits", "a,orders", "^ord"] {
            assert_eq!(topics(path).number("orders", 7), number, "{path}");
        }
        assert_eq!(topics("a,b").number("c", 0), None);
        assert_eq!(topics("a,b").number("a", 1 << OWN_BITS), None, "Kafka has none of this number");
    }

    proptest! {
        #[test]
        fn partitions_have_numbers_of_their_own_and_one_worker_each(
            names in prop::collection::btree_set("[a-z]{1,8}", 2..20), partitions in 1u32..9, workers in 1usize..7,
        ) {
            let list = topics(&names.iter().cloned().collect::<Vec<_>>().join(","));
            let all = names.iter().flat_map(|topic| (0..partitions).map(|number| at(topic, number)));
            let numbers: BTreeSet<_> = all.clone().map(|p| list.number(&p.topic, p.number).unwrap()).collect();
            prop_assert_eq!(numbers.len(), names.len() * partitions as usize);
            let mut loads: BTreeMap<usize, u32> = BTreeMap::new();
            for partition in all {
                let worker = list.worker(&partition, workers);
                prop_assert!(worker < workers && topics("^[a-z]").worker(&partition, workers) < workers);
                *loads.entry(worker).or_default() += 1;
            }
            // Where each topic has as many partitions as there are workers, or one, all have the same to do.
            let even = |count: usize| count.is_multiple_of(workers);
            if even(partitions as usize) || (partitions == 1 && even(names.len())) {
                prop_assert!(loads.len() == workers && loads.values().all(|load| load == &loads[&0]));
            }
        }
    }
}
