//! A record that is kept beyond the call in which a source hands it over.

use crate::source::{BrokerTime, EachHeader, Headers, Payload, Record};

/// A record in memory of its own, with those of its headers that were asked for.
#[derive(Debug)]
pub struct OwnedRecord {
    offset: i64,
    time: Option<BrokerTime>,
    payload: OwnedPayload,
    key: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

#[derive(Debug)]
enum OwnedPayload {
    Bytes(Vec<u8>),
    Tombstone,
    TooLong,
}

#[derive(Debug)]
struct OwnedHeaders(Vec<(String, Vec<u8>)>);

impl Headers for OwnedHeaders {
    fn last(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    fn each(&self, take: EachHeader<'_>) {
        self.0.iter().for_each(|(name, value)| take(name.as_bytes(), Some(value)));
    }
}

impl OwnedRecord {
    /// A copy of a record, with those of its headers that have these names.
    pub fn new(record: &Record<'_>, headers: &[String]) -> Self {
        let header = |name: &String| Some((name.clone(), record.headers?.last(name)?.to_vec()));
        OwnedRecord {
            offset: record.offset,
            time: record.time,
            payload: match record.payload {
                Payload::Bytes(bytes) => OwnedPayload::Bytes(bytes.to_vec()),
                Payload::Text(text) => OwnedPayload::Bytes(text.into()),
                Payload::Tombstone => OwnedPayload::Tombstone,
                Payload::TooLong => OwnedPayload::TooLong,
            },
            key: record.key.map(<[u8]>::to_vec),
            headers: OwnedHeaders(headers.iter().filter_map(header).collect()),
        }
    }

    /// Bytes of its payload, its key and its headers.
    pub fn bytes(&self) -> usize {
        let payload = if let OwnedPayload::Bytes(bytes) = &self.payload { bytes.len() } else { 0 };
        let headers = self.headers.0.iter().map(|(name, value)| name.len() + value.len());
        payload + self.key.as_ref().map_or(0, Vec::len) + headers.sum::<usize>()
    }

    /// The record, as it was handed over.
    pub fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            time: self.time,
            payload: match &self.payload {
                OwnedPayload::Bytes(bytes) => Payload::Bytes(bytes),
                OwnedPayload::Tombstone => Payload::Tombstone,
                OwnedPayload::TooLong => Payload::TooLong,
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
    fn a_copy_is_the_record_with_the_headers_that_were_asked_for() {
        let headers = OwnedHeaders(vec![("trace".into(), b"t".to_vec()), ("other".into(), b"o".to_vec())]);
        for payload in [Payload::Bytes(b"{}"), Payload::Tombstone, Payload::TooLong] {
            let record = Record {
                time: Some(BrokerTime::Created(5)),
                key: Some(b"k"),
                headers: Some(&headers),
                ..Record::new(3, payload)
            };
            let copy = OwnedRecord::new(&record, &["trace".into(), "absent".into()]);
            let payload_bytes = payload.bytes().map_or(0, <[u8]>::len);
            assert_eq!(copy.bytes(), payload_bytes + "k".len() + "trace".len() + "t".len());
            let record = copy.record();
            let header = |name: &str| record.headers.and_then(|headers| headers.last(name));
            assert_eq!(
                (record.offset, record.time, record.payload),
                (3, Some(BrokerTime::Created(5)), payload)
            );
            assert_eq!(
                (record.key, header("trace"), header("other")),
                (Some(&b"k"[..]), Some(&b"t"[..]), None)
            );
        }
    }
}
