//! Which offsets of a partition are read, as it was settled at the first contact.

use super::gap::Gap;
use std::ops::Range;

/// From where to where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first offset to read.
    pub(crate) start: i64,
    /// The first one not to read any more; `None` where the partition is read for ever.
    pub(crate) until: Option<i64>,
    /// What was to be read before `start`, and is gone.
    pub(crate) gap: Option<Gap>,
}

impl Span {
    /// Whether nothing is to be read, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_some_and(|until| until <= self.start)
    }

    /// What is read of a bounded partition.
    pub(crate) fn range(&self) -> Option<Range<i64>> {
        self.until.map(|until| self.start..until.max(self.start))
    }
}
