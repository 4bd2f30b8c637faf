//! A record as a line of JSON, and back, byte for byte.
//!
//! A value that is a JSON document on one line stands there as it is, so that other tools find its fields; other text
//! stands as a string, and what is no text in base64, each under a name of its own. So do keys and headers.

use super::raw::RawRecord;
use crate::source::{BrokerTime, EachHeader, Headers, Origin, Payload, Record};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A line.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    /// Kafka's topic.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) topic: Option<Cow<'a, str>>,
    /// The partition's number in the topic or the log.
    pub(super) partition: u32,
    pub(super) offset: i64,
    /// In milliseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_type: Option<TimeKind>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<Header<'a>>,
    /// The value, where it is a JSON document that can stand on a line.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    /// The value, where it is another text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value_text: Option<Cow<'a, str>>,
    /// The value, where it is no text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value_base64: Option<Cow<'a, str>>,
    /// Set where there is no value, since the source did not deliver it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    too_long: bool,
}

/// Whose clock a time stamp is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum TimeKind {
    Created,
    Appended,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    name_base64: Option<Cow<'a, str>>,
    /// Neither of the two where it is null.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value_base64: Option<Cow<'a, str>>,
}

/// Bytes as text, or else as base64.
fn encoded(bytes: Option<&[u8]>) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    match bytes.map(|bytes| (bytes, simdutf8::basic::from_utf8(bytes))) {
        None => (None, None),
        Some((_, Ok(text))) => (Some(Cow::Borrowed(text)), None),
        Some((bytes, Err(_))) => (None, Some(Cow::Owned(STANDARD.encode(bytes)))),
    }
}

/// The document that a text is, if it can stand in a line as it is, and comes back from there byte for byte.
fn document(text: &str) -> Option<&RawValue> {
    let bytes = text.as_bytes();
    let (first, last) = (bytes.first()?, bytes.last()?);
    // A line without a value is another record than one with the value `null`.
    if text == "null" || first.is_ascii_whitespace() || last.is_ascii_whitespace() {
        return None;
    }
    if memchr::memchr2(b'\n', b'\r', bytes).is_some() {
        return None;
    }
    // Half of a pair of surrogates, which other readers refuse, is only found where texts are decoded.
    let escaped = || memchr::memmem::find(bytes, b"\\ud").or_else(|| memchr::memmem::find(bytes, b"\\uD"));
    if escaped().is_some() {
        serde_json::from_str::<serde_json::Value>(text).ok()?;
    }
    serde_json::from_str(text).ok()
}

/// Appends the line of a record.
///
/// # Errors
/// None that is known: all of it can be written as JSON.
pub(super) fn append(
    to: &mut Vec<u8>,
    (topic, partition): (Option<&str>, u32),
    record: &RawRecord<'_>,
) -> serde_json::Result<()> {
    let (key, key_base64) = encoded(record.key);
    let (text, value_base64) = encoded(record.payload.bytes());
    let text = text.unwrap_or_default();
    let has_text = record.payload.bytes().is_some() && value_base64.is_none();
    let value = if has_text { document(&text) } else { None };
    let (timestamp, timestamp_type) = match record.time {
        None => (None, None),
        Some(BrokerTime::Created(time)) => (Some(time), Some(TimeKind::Created)),
        Some(BrokerTime::Appended(time)) => (Some(time), Some(TimeKind::Appended)),
    };
    let header = |&(name, value)| {
        let ((name, name_base64), (value, value_base64)) = (encoded(Some(name)), encoded(value));
        Header { name, name_base64, value, value_base64 }
    };
    let line = Line {
        topic: topic.map(Cow::Borrowed),
        partition,
        offset: record.offset,
        timestamp,
        timestamp_type,
        key,
        key_base64,
        headers: record.headers.iter().map(header).collect(),
        value,
        value_text: (has_text && value.is_none()).then(|| Cow::Borrowed(&*text)),
        value_base64,
        too_long: record.payload == Payload::TooLong,
    };
    serde_json::to_writer(&mut *to, &line)?;
    to.push(b'\n');
    Ok(())
}

/// The record of a line, in memory of its own but for what can be borrowed.
#[derive(Debug)]
pub(super) struct LineRecord<'a> {
    offset: i64,
    time: Option<BrokerTime>,
    value: Value<'a>,
    key: Option<Cow<'a, [u8]>>,
    headers: LineHeaders,
}

#[derive(Debug)]
enum Value<'a> {
    Bytes(Cow<'a, [u8]>),
    Tombstone,
    TooLong,
}

#[derive(Debug)]
struct LineHeaders(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Headers for LineHeaders {
    fn last(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|(known, _)| known == name.as_bytes());
        found.and_then(|(_, value)| value.as_deref())
    }

    fn each(&self, take: EachHeader<'_>) {
        self.0.iter().for_each(|(name, value)| take(name, value.as_deref()));
    }
}

/// Bytes that stand there as text or as base64.
fn decoded<'a>(
    text: Option<Cow<'a, str>>,
    base64: Option<Cow<'a, str>>,
) -> Result<Option<Cow<'a, [u8]>>, String> {
    match (text, base64) {
        (Some(Cow::Borrowed(text)), None) => Ok(Some(Cow::Borrowed(text.as_bytes()))),
        (Some(Cow::Owned(text)), None) => Ok(Some(Cow::Owned(text.into_bytes()))),
        (None, Some(base64)) => {
            let bytes = STANDARD.decode(base64.as_bytes()).map_err(|error| error.to_string())?;
            Ok(Some(Cow::Owned(bytes)))
        }
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("a text and base64 in one place".to_owned()),
    }
}

impl<'a> Line<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// It is not one.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// The record of this line.
    ///
    /// # Errors
    /// What it says makes no sense.
    pub(super) fn record(self) -> Result<LineRecord<'a>, String> {
        let time = match (self.timestamp, self.timestamp_type) {
            (None, None) => None,
            (Some(time), Some(TimeKind::Created)) => Some(BrokerTime::Created(time)),
            (Some(time), Some(TimeKind::Appended)) => Some(BrokerTime::Appended(time)),
            _ => return Err("a time stamp without its type, or the other way round".to_owned()),
        };
        let value = match (self.value, decoded(self.value_text, self.value_base64)?, self.too_long) {
            (Some(value), None, false) => Value::Bytes(Cow::Borrowed(value.get().as_bytes())),
            (None, Some(bytes), false) => Value::Bytes(bytes),
            (None, None, false) => Value::Tombstone,
            (None, None, true) => Value::TooLong,
            _ => return Err("more than one value".to_owned()),
        };
        let header = |header: Header<'_>| {
            let name = decoded(header.name, header.name_base64)?.ok_or("a header without a name")?;
            let value = decoded(header.value, header.value_base64)?;
            Ok::<_, String>((name.into_owned(), value.map(Cow::into_owned)))
        };
        Ok(LineRecord {
            offset: self.offset,
            time,
            value,
            key: decoded(self.key, self.key_base64)?,
            headers: LineHeaders(self.headers.into_iter().map(header).collect::<Result<_, _>>()?),
        })
    }
}

impl LineRecord<'_> {
    /// The record, as the log delivered it.
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            time: self.time,
            payload: match &self.value {
                Value::Bytes(bytes) => Payload::new(bytes),
                Value::Tombstone => Payload::Tombstone,
                Value::TooLong => Payload::TooLong,
            },
            key: self.key.as_deref(),
            headers: Some(&self.headers),
        }
    }
}

/// What names a partition in lines: its topic, where it has one, and its number there.
pub(super) fn place(origin: &Origin) -> (Option<&str>, u32) {
    (origin.topic.as_deref(), origin.partition.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::raw::RawRecords;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    #[derive(Debug)]
    struct Sent(Vec<(Vec<u8>, Option<Vec<u8>>)>);

    impl Headers for Sent {
        fn last(&self, _name: &str) -> Option<&[u8]> {
            None
        }

        fn each(&self, take: EachHeader<'_>) {
            self.0.iter().for_each(|(name, value)| take(name, value.as_deref()));
        }
    }

    fn line_of(record: &Record<'_>) -> Vec<u8> {
        let (mut raw, mut lines) = (RawRecords::default(), Vec::new());
        raw.push(record);
        raw.iter().for_each(|record| append(&mut lines, (Some("t"), 3), &record).unwrap());
        lines
    }

    fn line_of_value(value: &[u8]) -> Json {
        serde_json::from_slice(&line_of(&Record::new(1, Payload::Bytes(value)))).unwrap()
    }

    /// Bytes, texts, and texts that are nearly JSON.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let json = prop::sample::select(vec![
            "{}",
            "null",
            "[1]",
            "{\"a\":1}",
            "1",
            "\"x\"",
            "{\"a\" : 1.50e3}",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "{\"a\":1,\"a\":2}",
            "{\"a\":",
            "\u{e4}",
            "{\"\u{e4}\":\"\u{1f600}\"}",
            "true",
        ]);
        let around = prop::sample::select(vec!["", " ", "\n", "\r\n", "\t", "\u{feff}", "}"]);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            ".{0,20}".prop_map(String::into_bytes),
            (around.clone(), json, around).prop_map(|(a, json, b)| format!("{a}{json}{b}").into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn a_record_comes_back_byte_for_byte_from_one_line_of_json(
            value in prop::option::of(value()), key in prop::option::of(value()), time in prop::option::of(0i64..1 << 45),
            appended in any::<bool>(),
            headers in prop::collection::vec((value(), prop::option::of(value())), 0..4),
        ) {
            let headers = Sent(headers);
            let record = Record {
                time: time.map(|at| if appended { BrokerTime::Appended(at) } else { BrokerTime::Created(at) }),
                key: key.as_deref(),
                headers: Some(&headers),
                ..Record::new(7, value.as_deref().map_or(Payload::Tombstone, Payload::Bytes))
            };
            let line = line_of(&record);
            prop_assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
            prop_assert!(serde_json::from_slice::<Json>(&line).is_ok(), "any tool reads it");
            let read = Line::read(&line).unwrap();
            prop_assert_eq!((read.topic.as_deref(), read.partition), (Some("t"), 3));
            let read = read.record().unwrap();
            let read = read.record();
            prop_assert_eq!((read.offset, read.time, read.payload, read.key), (7, record.time, record.payload, record.key));
            let mut found = Vec::new();
            read.headers.unwrap().each(&mut |n, v| found.push((n.to_vec(), v.map(<[u8]>::to_vec))));
            prop_assert_eq!(found, headers.0);
        }
    }

    #[test]
    fn a_document_stands_there_as_it_is_and_all_else_under_names_of_its_own() {
        assert_eq!(line_of_value(b"{\"a\":{\"b\":[1]}}")["value"]["a"]["b"][0], 1);
        assert_eq!(line_of_value(b"{\"a\":1}\n")["value_text"], "{\"a\":1}\n");
        assert_eq!(line_of_value(b"null")["value_text"], "null");
        assert_eq!(line_of_value(b"12 buy")["value_text"], "12 buy");
        assert_eq!(line_of_value(b"\xff\x00")["value_base64"], "/wA=");
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let line = line_of(&Record::new(1, Payload::Bytes(deep.as_bytes())));
        assert_eq!(
            Line::read(&line).unwrap().record().unwrap().record().payload.bytes(),
            Some(deep.as_bytes())
        );
    }

    #[test]
    fn what_was_not_delivered_is_no_deletion() {
        for payload in [Payload::Tombstone, Payload::TooLong] {
            let line = line_of(&Record::new(1, payload));
            assert_eq!(Line::read(&line).unwrap().record().unwrap().record().payload, payload);
        }
    }
}
