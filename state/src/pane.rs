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
pub struct PaneWidth {
    ms: i64,
    /// 2^64 - 1 divided by the width, rounded down.
    reciprocal: u64,
}

impl PaneWidth {
    /// The width of panes as long as `pane`, in whole milliseconds.
    pub fn new(pane: Duration) -> Self {
        let ms = (pane.as_millis() as i64).max(1);
        PaneWidth { ms, reciprocal: u64::MAX / ms as u64 }
    }

    /// The width in milliseconds.
    #[inline]
    pub fn ms(&self) -> i64 {
        self.ms
    }

    /// The pane of an event time.
    #[inline]
    pub fn pane(&self, time: i64) -> Pane {
        let (time, ms) = (time.max(0) as u64, self.ms as u64);
        // A multiplication takes a fraction of the time of a division. As both are rounded down, and a time is less than
        // 2^63, it is short by one at most.
        let pane = ((u128::from(time) * u128::from(self.reciprocal)) >> 64) as u64;
        pane + u64::from(time - pane * ms >= ms)
    }

    /// The first millisecond of a pane.
    pub fn start(&self, pane: Pane) -> i64 {
        (pane as i64).saturating_mul(self.ms)
    }

    /// The number of whole panes in a duration.
    pub fn panes(&self, duration: Duration) -> u64 {
        duration.as_millis() as u64 / self.ms as u64
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pane_is_the_time_divided_by_the_width(
            time in prop_oneof![any::<i64>(), 0..5_000_000_000_000_i64],
            near in -1..2_i64,
            ms in prop_oneof![1..100_u64, 1..100_000_000_u64, 1..=i64::MAX as u64],
        ) {
            let width = PaneWidth::new(Duration::from_millis(ms));
            let border = (time / ms as i64).saturating_mul(ms as i64).saturating_add(near);
            for time in [time, border, i64::MAX] {
                prop_assert_eq!(width.pane(time), (time.max(0) / ms as i64) as Pane);
            }
        }
    }
}
