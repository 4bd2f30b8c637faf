//! Where to begin in a log that keeps its past: its earliest record, its end, a time, or given offsets.

use crate::source::Partition;
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
}

/// The text says nothing about where to start.
#[derive(Debug, thiserror::Error)]
#[error(
    "start {0:?}: expected earliest, latest, a time such as 2026-03-10T10:15:00Z, or offsets such as 0=123,1=456"
)]
pub struct StartError(String);

impl FromStr for Start {
    type Err = StartError;

    /// Reads `earliest`, `latest`, an RFC 3339 time, milliseconds since 1970, or `partition=offset,…`.
    fn from_str(text: &str) -> Result<Self, StartError> {
        match text {
            "earliest" => return Ok(Start::Earliest),
            "latest" => return Ok(Start::Latest),
            _ => {}
        }
        if text.contains('=') {
            return offsets(text).map(Start::Offsets).ok_or_else(|| StartError(text.to_owned()));
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

fn offsets(text: &str) -> Option<BTreeMap<Partition, i64>> {
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
    }

    #[test]
    fn refuses_anything_else_by_name() {
        for text in ["", "soon", "0=", "=1", "0=-1", "0=1,", "0=1,0=2", "a=1", "2024-03-29"] {
            let error = text.parse::<Start>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("earliest"), "{error}");
        }
    }
}
