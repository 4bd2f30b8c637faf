//! What a partition is called: by its number in a job, and of Kafka by its topic's name and its own number.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A partition's number in a job: an ordered log of its own (a Kafka partition, a file, a generator's lane). The partitions
/// of one topic are numbered as Kafka numbers them.
pub type Partition = u64;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its number in the topic.
    pub number: u32,
}

/// The text names no partition of a topic.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition {0:?}: expected topic:number, such as orders:0")]
pub struct TopicPartitionError(String);

impl FromStr for TopicPartition {
    type Err = TopicPartitionError;

    /// Reads `topic:number` and, as partitions are called for people, `topic/number`.
    fn from_str(text: &str) -> Result<Self, TopicPartitionError> {
        let parts = text.rsplit_once([':', '/']).filter(|(topic, _)| !topic.is_empty());
        let read = parts.and_then(|(topic, number)| Some((topic.into(), number.parse().ok()?)));
        let (topic, number) = read.ok_or_else(|| TopicPartitionError(text.to_owned()))?;
        Ok(TopicPartition { topic, number })
    }
}

impl fmt::Display for TopicPartition {
    /// `topic/number`, as partitions are called for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_in_both_spellings() {
        let expected = TopicPartition { topic: "shop.de".into(), number: 12 };
        for text in ["shop.de:12", "shop.de/12"] {
            assert_eq!(text.parse(), Ok(expected.clone()));
        }
        assert_eq!(expected.to_string(), "shop.de/12");
        for text in ["12", ":12", "a:", "a:-1", "a:b"] {
            let error = text.parse::<TopicPartition>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
