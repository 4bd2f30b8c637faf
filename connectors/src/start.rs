//! Where to begin in a log that keeps its past: its earliest record, its end, a time, or given offsets.

use crate::endpoint::SourceUrl;
use crate::source::{Partition, TopicPartition};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Where to begin in each partition of a log. Only Kafka and the embedded log keep a past to choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The earliest record that the broker still keeps.
    #[default]
    Earliest,
    /// The end, as it is when the job starts.
    Latest,
    /// The first record with a broker time stamp at or after this many milliseconds since 1970 UTC.
    Time(i64),
    /// The next offset to read of each partition; partitions that are not named begin at their earliest.
    Offsets(BTreeMap<Partition, i64>),
    /// The same, of partitions that are named by topic and number.
    TopicOffsets(BTreeMap<TopicPartition, i64>),
}

/// The text says nothing about where to start.
#[derive(Debug, thiserror::Error)]
#[error(
    "start {0:?}: expected earliest, latest, a time such as 2026-03-10T10:15:00Z, or offsets such as 0=123,1=456, \
     and of several topics a:0=123,b:0=456"
)]
pub struct StartError(String);

impl FromStr for Start {
    type Err = StartError;

    /// Reads `earliest`, `latest`, an RFC 3339 time, milliseconds since 1970, `partition=offset,…`, or
    /// `topic:partition=offset,…`.
    fn from_str(text: &str) -> Result<Self, StartError> {
        match text {
            "earliest" => return Ok(Start::Earliest),
            "latest" => return Ok(Start::Latest),
            _ => {}
        }
        if text.contains('=') {
            let numbered = || offsets(text).map(Start::Offsets);
            let named = || offsets(text).map(Start::TopicOffsets);
            return numbered().or_else(named).ok_or_else(|| StartError(text.to_owned()));
        }
        if let Ok(milliseconds) = text.parse() {
            return Ok(Start::Time(milliseconds));
        }
        match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Start::Time(time.timestamp_millis())),
            Err(_) => Err(StartError(text.to_owned())),
        }
    }
}

impl Start {
    /// The offsets as they are read from text, each with its partition; none where it is no offsets.
    pub fn offsets(&self) -> Vec<String> {
        match self {
            Start::Earliest | Start::Latest | Start::Time(_) => Vec::new(),
            Start::Offsets(offsets) => offsets.iter().map(|(at, offset)| format!("{at}={offset}")).collect(),
            Start::TopicOffsets(offsets) => {
                let pair = |(TopicPartition { topic, number }, offset): (&TopicPartition, &i64)| {
                    format!("{topic}:{number}={offset}")
                };
                offsets.iter().map(pair).collect()
            }
        }
    }

    /// With partitions by their numbers in a job on this source.
    ///
    /// # Errors
    /// The partition that the source cannot have.
    pub fn numbered(self, source: &SourceUrl) -> Result<Start, TopicPartition> {
        let Start::TopicOffsets(offsets) = self else { return Ok(self) };
        let number = |(partition, offset)| match source.kafka().and_then(|url| url.number(&partition)) {
            Some(number) => Ok((number, offset)),
            None => Err(partition),
        };
        offsets.into_iter().map(number).collect::<Result<_, _>>().map(Start::Offsets)
    }
}

fn offsets<P: FromStr + Ord>(text: &str) -> Option<BTreeMap<P, i64>> {
    let mut map = BTreeMap::new();
    for pair in text.split(',') {
        let (partition, offset) = pair.split_once('=')?;
        let offset = offset.trim().parse().ok().filter(|o| *o >= 0)?;
        // A partition named twice is a mistake, whichever offset was meant.
        if map.insert(partition.trim().parse().ok()?, offset).is_some() {
            return None;
        }
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form() {
        assert_eq!("earliest".parse::<Start>().unwrap(), Start::Earliest);
        assert_eq!("latest".parse::<Start>().unwrap(), Start::Latest);
        assert_eq!("1711670400000".parse::<Start>().unwrap(), Start::Time(1_711_670_400_000));
        assert_eq!("2024-03-29T00:00:00Z".parse::<Start>().unwrap(), Start::Time(1_711_670_400_000));
        assert_eq!("2024-03-29T01:00:00+01:00".parse::<Start>().unwrap(), Start::Time(1_711_670_400_000));
        let map = BTreeMap::from([(0, 123), (1, 456)]);
        assert_eq!("0=123,1=456".parse::<Start>().unwrap(), Start::Offsets(map));
        let at = |topic: &str, number| TopicPartition { topic: topic.into(), number };
        let map = BTreeMap::from([(at("a", 0), 123), (at("b.c", 12), 456)]);
        assert_eq!("a:0=123,b.c:12=456".parse::<Start>().unwrap(), Start::TopicOffsets(map));
    }

    #[test]
    fn offsets_are_written_as_they_are_read() {
        for text in ["0=123,1=456", "a:0=123,b.c:12=456"] {
            assert_eq!(text.parse::<Start>().unwrap().offsets().join(","), text);
        }
        assert!(Start::Latest.offsets().is_empty());
    }

    #[test]
    fn topics_are_numbered_as_the_source_numbers_them() {
        let numbered = |text: &str, url: &str| {
            let start: Start = text.parse().unwrap();
            start.numbered(&url.parse().unwrap()).map_err(|unknown| unknown.to_string())
        };
        let plain = Start::Offsets(BTreeMap::from([(0, 5)]));
        assert_eq!(numbered("a:0=5", "kafka://h/a"), Ok(plain.clone()));
        assert_eq!(numbered("0=5", "kafka://h/a,b"), Ok(plain), "whoever opens it refuses that");
        let Ok(Start::Offsets(map)) = numbered("a:0=5,b:0=6", "kafka://h/a,b") else { panic!("two topics") };
        assert_eq!(map.into_values().collect::<Vec<_>>().len(), 2);
        assert_eq!(numbered("a:0=5,c:1=6", "kafka://h/a,b"), Err("c/1".to_owned()));
        assert_eq!(numbered("a:0=5", "log:x"), Err("a/0".to_owned()));
    }

    #[test]
    fn refuses_anything_else_by_name() {
        for text in [
            "",
            "soon",
            "0=",
            "=1",
            "0=-1",
            "0=1,",
            "0=1,0=2",
            "a=1",
            "0=1,a:0=2",
            "a:0=1,a/0=2",
            "2024-03-29",
        ] {
            let error = text.parse::<Start>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("earliest"), "{error}");
        }
    }
}
