//! Up to where a log is read, what to do where a part of it is gone, and what is known of it before it is read.

use crate::source::Partition;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Up to where each partition of a log is read, which ends the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Where each partition ends when the source is opened.
    Now,
    /// These offsets, exclusive; partitions that are not named as [`Now`](Self::Now).
    Offsets(BTreeMap<Partition, i64>),
}

/// What to do where records are gone that were to be read: deleted, or overtaken by the broker's retention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnGap {
    /// Stop, with an error.
    #[default]
    Fail,
    /// Go on from the first record that is kept, and tell and count what is skipped.
    Skip,
}

impl fmt::Display for OnGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnGap::Fail => "fail",
            OnGap::Skip => "skip",
        })
    }
}

/// The text names no way to deal with a gap.
#[derive(Debug, thiserror::Error)]
#[error("on_gap {0:?}: expected fail or skip")]
pub struct OnGapError(String);

impl FromStr for OnGap {
    type Err = OnGapError;

    fn from_str(text: &str) -> Result<Self, OnGapError> {
        let known = [OnGap::Fail, OnGap::Skip].into_iter().find(|on_gap| on_gap.to_string() == text);
        known.ok_or_else(|| OnGapError(text.to_owned()))
    }
}

/// What a look at a partition has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The partition's name for people.
    pub name: String,
    /// The first offset that is kept.
    pub low: i64,
    /// The next offset to be written.
    pub high: i64,
    /// The broker's time stamp, of either kind, in milliseconds since 1970 UTC, of the first record at or after the
    /// offset that was asked for; `None` where there is no such record, or nothing was asked.
    pub time: Option<i64>,
}
