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
    /// The line or message is longer than a mebibyte, or than 16 MiB once it is turned into JSON.
    TooLong,
    /// The item id is absent, empty, or neither text nor a whole number.
    Item,
    /// The item id is longer than 1 KiB.
    ItemTooLong,
    /// The timestamp is absent, or is no time in the years 2000 to 2099.
    Timestamp,
    /// The schema names a weight, and it is absent or not a whole number from 1 to 4,294,967,295.
    Weight,
    /// The event time is further ahead of the broker time than `max_future_skew`.
    Future,
    /// The watermark of the event's partition has passed its pane.
    Late,
    /// The event's pane was closed before its partition came in, which was added while the job ran or was down.
    BeforePartition,
    /// The record's schema is unknown, or cannot be used.
    Schema,
}

impl Refusal {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Refusal; 11] = [
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
    ];

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
        }
    }
}
