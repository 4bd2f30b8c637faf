//! What came beside the bytes of a record: its key, its headers, its time stamp and its place.

use std::str::FromStr;

/// A field named by `record:…`, which is not in the bytes of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordField {
    /// `record:key`: the key of a Kafka record.
    Key,
    /// `record:timestamp`: the broker's time stamp, in milliseconds since 1970 UTC.
    Timestamp,
    /// `record:topic`
    Topic,
    /// `record:partition`: its number in the topic.
    Partition,
    /// `record:file`: the path of the file.
    File,
    /// `record:header:NAME`: the last header of this name.
    Header(Box<str>),
}

/// Not one of the `record:` fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}: must be record:key, record:timestamp, record:topic, record:partition, record:file or record:header:NAME"
)]
pub struct RecordFieldError(pub String);

impl FromStr for RecordField {
    type Err = RecordFieldError;

    fn from_str(text: &str) -> Result<Self, RecordFieldError> {
        match text.strip_prefix("record:") {
            Some("key") => Ok(RecordField::Key),
            Some("timestamp") => Ok(RecordField::Timestamp),
            Some("topic") => Ok(RecordField::Topic),
            Some("partition") => Ok(RecordField::Partition),
            Some("file") => Ok(RecordField::File),
            Some(other) => match other.strip_prefix("header:") {
                Some(name) if !name.is_empty() => Ok(RecordField::Header(name.into())),
                _ => Err(RecordFieldError(text.into())),
            },
            None => Err(RecordFieldError(text.into())),
        }
    }
}

/// What came beside a record.
pub trait Beside {
    /// Appends the text of a field. Returns whether there is one; bytes that are not UTF-8 are none.
    fn append(&self, field: &RecordField, to: &mut String) -> bool;
}

/// Nothing came beside it.
impl Beside for () {
    fn append(&self, _: &RecordField, _: &mut String) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_the_configuration_names_them() {
        assert_eq!("record:header:trace:id".parse(), Ok(RecordField::Header("trace:id".into())));
        assert_eq!("record:timestamp".parse(), Ok(RecordField::Timestamp));
        for other in ["record:", "record:keys", "record:header:", "key"] {
            assert_eq!(other.parse::<RecordField>(), Err(RecordFieldError(other.into())));
        }
    }
}
