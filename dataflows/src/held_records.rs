//! Records that are read and wait for their schema, in the order of their partition.
//!
//! While a partition has any, it is not read further, so that there are no more of them than one run reads.

use crest_connectors::source::{BrokerTime, Headers, Payload, Record};
use std::collections::VecDeque;

/// The records of one partition that wait.
#[derive(Debug, Default)]
pub struct HeldRecords(VecDeque<Held>);

#[derive(Debug)]
struct Held {
    offset: i64,
    time: Option<BrokerTime>,
    payload: Content,
    key: Option<Vec<u8>>,
    headers: HeldHeaders,
}

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    Tombstone,
    TooLong,
}

/// The headers that somebody asks for.
#[derive(Debug)]
struct HeldHeaders(Vec<(String, Vec<u8>)>);

impl Headers for HeldHeaders {
    fn last(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

impl HeldRecords {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a record, with those of its headers that have these names.
    pub fn push(&mut self, record: &Record<'_>, headers: &[String]) {
        let header = |name: &String| Some((name.clone(), record.headers?.last(name)?.to_vec()));
        self.0.push_back(Held {
            offset: record.offset,
            time: record.time,
            payload: match record.payload {
                Payload::Bytes(bytes) => Content::Bytes(bytes.to_vec()),
                Payload::Tombstone => Content::Tombstone,
                Payload::TooLong => Content::TooLong,
            },
            key: record.key.map(<[u8]>::to_vec),
            headers: HeldHeaders(headers.iter().filter_map(header).collect()),
        });
    }

    /// Gives the records in their order, until `take` returns false for one, which stays.
    pub fn give(&mut self, mut take: impl FnMut(&Record<'_>) -> bool) {
        while self.0.front().is_some_and(|held| take(&held.record())) {
            self.0.pop_front();
        }
    }
}

impl Held {
    fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            time: self.time,
            payload: match &self.payload {
                Content::Bytes(bytes) => Payload::Bytes(bytes),
                Content::Tombstone => Payload::Tombstone,
                Content::TooLong => Payload::TooLong,
            },
            key: self.key.as_deref(),
            headers: Some(&self.headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_given_as_they_came_up_to_the_one_that_still_waits() {
        let headers = HeldHeaders(vec![("trace".into(), b"t".to_vec()), ("other".into(), b"o".to_vec())]);
        let record = |offset: i64, payload| Record {
            time: Some(BrokerTime::Created(offset)),
            key: Some(b"k"),
            headers: Some(&headers),
            ..Record::new(offset, payload)
        };
        let mut held = HeldRecords::default();
        for (offset, payload) in [(3, Payload::Bytes(b"{}")), (4, Payload::Tombstone), (6, Payload::TooLong)]
        {
            held.push(&record(offset, payload), &["trace".into(), "absent".into()]);
        }
        let mut given = Vec::new();
        held.give(|record| {
            let header =
                |name: &str| record.headers.and_then(|headers| headers.last(name)).map(<[u8]>::to_vec);
            assert_eq!((header("trace"), header("other")), (Some(b"t".to_vec()), None));
            assert_eq!(
                (record.key, record.time),
                (Some(&b"k"[..]), Some(BrokerTime::Created(record.offset)))
            );
            given.push((record.offset, record.payload == Payload::Bytes(b"{}")));
            record.offset < 4
        });
        assert_eq!(given, [(3, true), (4, false)]);
        let mut offsets = Vec::new();
        held.give(|record| {
            offsets.push(record.offset);
            true
        });
        assert_eq!((offsets, held.is_empty()), (vec![4, 6], true));
    }
}
