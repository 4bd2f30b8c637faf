//! Why an event is not counted: the reasons of the parser, and those of event time and the boards behind it, which
//! are counted and shown together.

use serde::{Deserialize, Serialize};

/// Why an event was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not an object of JSON.
    Malformed,
    /// Not UTF-8.
    InvalidUtf8,
    /// A line or message of more than a mebibyte.
    TooLong,
    /// No item id, or an empty one, or neither text nor a whole number.
    Item,
    /// An item id of more than 1 KiB.
    ItemTooLong,
    /// No timestamp, or none that is a time between the years 2000 and 2100.
    Timestamp,
    /// No weight where the schema says where it is, or one that is not a whole number from 1 to 4,294,967,295.
    Weight,
    /// Further ahead of the broker's time stamp than `max_future_skew`.
    Future,
    /// Of a pane that its partition had passed.
    Late,
    /// Of a pane that was closed before its partition came in: one that was added while the job ran, or was down.
    BeforePartition,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Refusal; 10] = [
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
    ];

    /// Its name in metrics and rejects: `invalid_utf8`.
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
        }
    }
}
