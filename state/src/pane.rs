//! Panes: their numbers, the arithmetic of their width, and the digests of one that is closed or as it is now.

use crest_sketches::Digest;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A pane's number: event time divided by the pane's width. It is the dataflow's timestamp.
pub type Pane = u64;

/// The end of all panes, where a bounded log has been counted whole.
pub const END: Pane = Pane::MAX;

/// The digests of a block as they are stored, by group.
pub type EncodedGroups = BTreeMap<String, Vec<u8>>;

/// How wide a pane is, and what follows from it. Times are in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug)]
pub struct PaneWidth(i64);

impl PaneWidth {
    /// Of panes this wide, in whole milliseconds.
    pub fn new(pane: Duration) -> Self {
        PaneWidth((pane.as_millis() as i64).max(1))
    }

    /// In milliseconds.
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

    /// How many panes a duration is (it is a whole number of them).
    pub fn panes(&self, duration: Duration) -> u64 {
        duration.as_millis() as u64 / self.0 as u64
    }
}

/// What is known of one pane of one board: the digest of each group, the whole board under the empty text, and what
/// groups may have that are not listed, the rest, under `*`.
#[derive(Clone, Debug)]
pub struct PaneDigests {
    /// The pane.
    pub pane: Pane,
    /// In the order of their texts.
    pub groups: BTreeMap<String, Rc<Digest>>,
}

impl PaneDigests {
    /// As they are stored.
    pub fn encode(&self, seed: u64) -> EncodedGroups {
        self.groups.iter().map(|(text, digest)| (text.clone(), digest.encode(seed))).collect()
    }
}
