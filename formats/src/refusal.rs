//! The reasons why an event is not counted. The parser, the stage of event time and the boards share them, so that they
//! are counted and shown together.

use serde::{Deserialize, Serialize};

/// Why an event was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The record is not a JSON object, or not of the source's format.
    Malformed,
    /// The record is not UTF-8.
    InvalidUtf8,
    /// The line or message is longer than a mebibyte, or than 16 MiB once it is turned into JSON, or its Protobuf types have
    /// over 4,194,304 fields to look at.
    TooLong,
    /// The item id is absent, empty, an object or an array.
    Item,
    /// The item id is longer than 1 KiB.
    ItemTooLong,
    /// The timestamp is absent, or is no time in the years 1970 to 2099.
    Timestamp,
    /// The schema names a weight, and it is absent or not from 1 to 4,294,967,295 units.
    Weight,
    /// The event time is further ahead of the broker time than `max_future_skew`.
    Future,
    /// The watermark of the event's partition has passed its pane.
    Late,
    /// The event's pane was closed before its partition came in, which was added while the job ran or was down.
    BeforePartition,
    /// The record's schema is unknown, or cannot be used.
    Schema,
    /// A board counts different values of a field, and it is absent, empty, an object or an array.
    Distinct,
}

impl Refusal {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Refusal; 12] = [
        Refusal::Malformed,
        Refusal::InvalidUtf8,
        Refusal::TooLong,
        Refusal::Item,
        Refusal::ItemTooLong,
        Refusal::Timestamp,
        Refusal::Weight,
        Refusal::Future,
        Refusal::Late,
        Refusal::BeforePartition,
        Refusal::Schema,
        Refusal::Distinct,
    ];

    /// What a refused event, or the field that it is refused for, must be or is: the end of a sentence about it.
    pub fn requirement(self) -> &'static str {
        match self {
            Refusal::Malformed => "is not an object of JSON",
            Refusal::InvalidUtf8 => "is not UTF-8",
            Refusal::TooLong => "is longer than 1 MiB",
            Refusal::Item | Refusal::Distinct => "must be text that is not empty, a number or a boolean",
            Refusal::ItemTooLong => "must be at most 1024 bytes long",
            Refusal::Timestamp => {
                "must be seconds, milliseconds, microseconds or nanoseconds since 1970, or text as the schema says \
             (RFC 3339 with its zone, unless it has a timestamp_format or a timezone), of the years 1970 to 2099"
            }
            Refusal::Weight => {
                "must be a number of 1 to 4294967295 whole units, also when it is multiplied by the board's factor"
            }
            Refusal::Future => "is further in the future than max_future_skew allows",
            Refusal::Late | Refusal::BeforePartition => "is of a time that is counted already",
            Refusal::Schema => "has a schema that is unknown",
        }
    }

    /// The name in metrics and rejects, such as `invalid_utf8`.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed",
            Refusal::InvalidUtf8 => "invalid_utf8",
            Refusal::TooLong => "too_long",
            Refusal::Item => "item",
            Refusal::ItemTooLong => "item_too_long",
            Refusal::Timestamp => "timestamp",
            Refusal::Weight => "weight",
            Refusal::Future => "future",
            Refusal::Late => "late",
            Refusal::BeforePartition => "before_partition",
            Refusal::Schema => "schema",
            Refusal::Distinct => "distinct",
        }
    }
}
