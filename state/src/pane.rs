//! Panes: their numbers, the arithmetic of their width, and the digests of one pane.

use crest_connectors::group_key::GroupKey;
use crest_sketches::Digest;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A pane's number: event time divided by the pane's width. It is the dataflow's timestamp.
pub type Pane = u64;

/// The frontier of a bounded log that was counted to its end.
pub const END: Pane = Pane::MAX;

/// The digests of a block as they are stored, by group.
pub type EncodedGroups = BTreeMap<GroupKey, Vec<u8>>;

/// The width of a pane. It converts between times, in milliseconds since 1970 UTC, and panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaneWidth(i64);

impl PaneWidth {
    /// The width of panes as long as `pane`, in whole milliseconds.
    pub fn new(pane: Duration) -> Self {
        PaneWidth((pane.as_millis() as i64).max(1))
    }

    /// The width in milliseconds.
    #[inline]
    pub fn ms(&self) -> i64 {
        self.0
    }

    /// The pane of an event time.
    #[inline]
    pub fn pane(&self, time: i64) -> Pane {
        (time.max(0) / self.0) as Pane
    }

    /// The first millisecond of a pane.
    pub fn start(&self, pane: Pane) -> i64 {
        (pane as i64).saturating_mul(self.0)
    }

    /// The number of whole panes in a duration.
    pub fn panes(&self, duration: Duration) -> u64 {
        duration.as_millis() as u64 / self.0 as u64
    }
}

/// The digests of one pane of one board, closed or still open: one for each group, for the whole board,
/// and for the [rest](crate::rest).
#[derive(Clone, Debug)]
pub struct PaneDigests {
    /// The pane.
    pub pane: Pane,
    /// The digest of each group.
    pub groups: BTreeMap<GroupKey, Rc<Digest>>,
}

impl PaneDigests {
    /// Encodes the digests as they are stored.
    pub fn encode(&self, seed: u64) -> EncodedGroups {
        self.groups.iter().map(|(group, digest)| (group.clone(), digest.encode(seed))).collect()
    }
}
