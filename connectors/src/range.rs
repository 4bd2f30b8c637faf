//! Up to where a log is read, and what is known of a log before it is read.

use crate::source::Partition;
use std::collections::BTreeMap;

/// Up to where each partition of a log is read, which ends the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Where each partition ends when the source is opened.
    Now,
    /// These offsets, exclusive; partitions that are not named as [`Now`](Self::Now).
    Offsets(BTreeMap<Partition, i64>),
}

/// What a look at a partition has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The first offset that is kept.
    pub low: i64,
    /// The next offset to be written.
    pub high: i64,
    /// The broker's time stamp, of either kind, in milliseconds since 1970 UTC, of the first record at or after the
    /// offset that was asked for; `None` where there is no such record, or nothing was asked.
    pub time: Option<i64>,
}
