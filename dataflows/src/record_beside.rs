//! What came beside a record's bytes, as the fields named by `record:…`.

use crest_connectors::source::{BrokerTime, Origin, Record};
use crest_formats::beside::{Beside, RecordField};
use std::fmt::Write;

/// A record with the place that it comes from.
pub struct RecordBeside<'r> {
    /// The record.
    pub record: &'r Record<'r>,
    /// The place.
    pub origin: &'r Origin,
}

impl Beside for RecordBeside<'_> {
    fn append(&self, field: &RecordField, to: &mut String) -> bool {
        let number = |to: &mut String, number: Option<i64>| match number {
            Some(number) => write!(to, "{number}").is_ok(),
            None => false,
        };
        let text = match field {
            RecordField::Timestamp => {
                let time = self.record.time.map(|(BrokerTime::Created(ms) | BrokerTime::Appended(ms))| ms);
                return number(to, time);
            }
            RecordField::Partition => return number(to, self.origin.partition.map(i64::from)),
            RecordField::Key => self.record.key.and_then(|key| std::str::from_utf8(key).ok()),
            RecordField::Topic => self.origin.topic.as_deref(),
            RecordField::File => self.origin.file.as_deref(),
            RecordField::Header(name) => {
                let value = self.record.headers.and_then(|headers| headers.last(name));
                value.and_then(|value| std::str::from_utf8(value).ok())
            }
        };
        to.push_str(text.unwrap_or_default());
        text.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_connectors::source::{EachHeader, Headers, Payload};

    #[derive(Debug)]
    struct Trace;

    impl Headers for Trace {
        fn last(&self, name: &str) -> Option<&[u8]> {
            [("trace", b"t1".as_slice()), ("bytes", b"\xff")]
                .into_iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        }

        fn each(&self, _take: EachHeader<'_>) {}
    }

    #[test]
    fn each_field_is_found_where_it_came() {
        let record = Record {
            time: Some(BrokerTime::Created(7)),
            key: Some(b"k"),
            headers: Some(&Trace),
            ..Record::new(1, Payload::Bytes(b"{}"))
        };
        let origin = Origin { topic: Some("views".into()), partition: Some(3), file: None };
        let beside = RecordBeside { record: &record, origin: &origin };
        let field = |name: &str| {
            let mut text = String::new();
            beside.append(&format!("record:{name}").parse().unwrap(), &mut text).then_some(text)
        };
        let found =
            ["key", "timestamp", "topic", "partition", "file", "header:trace", "header:bytes", "header:x"]
                .map(field);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(found, [some("k"), some("7"), some("views"), some("3"), None, some("t1"), None, None]);
    }
}
