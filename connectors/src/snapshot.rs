//! A snapshot: the ranked top K of one board, group and window at one instant, with its bounds. This is the
//! outward JSON contract that every sink and the HTTP API share; the field order is part of it.

use crate::endpoint::EndpointError;
use crate::group_key::GroupKey;
pub use crate::item_id::ItemId;
use crate::rising::Rising;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;
use std::time::Duration;

/// The ranked top K of one board, group and window. Times are milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// The board's name.
    pub board: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// First instant of the window.
    pub window_start: i64,
    /// First instant after the window.
    pub window_end: i64,
    /// When it was ranked, by the wall clock.
    pub computed_at: i64,
    /// No event earlier than this will be counted any more. A final snapshot's is its `window_end`.
    pub watermark: i64,
    /// Whether it never changes again.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The weight of all events in the window.
    pub total: u64,
    /// The largest `upper - lower` among the items.
    pub error: u64,
    /// An item with more than this in the window is among the candidates of the ranking; one that is not listed has at most
    /// this, or the last row's `upper` where there are K rows.
    pub error_floor: u64,
    /// How many leading items are certainly in the true top K.
    pub guaranteed: u32,
    /// Whether some of the window was not counted for this board: it came in, or the window did, when that was past, or a
    /// region is missing from it.
    #[serde(default)]
    pub partial: bool,
    /// Of a partial one, the first instant from which on all was counted.
    #[serde(default)]
    pub since: Option<i64>,
    /// Of one that is merged from the states of regions, the regions whose events are missing from some of the window.
    #[serde(default)]
    pub missing: Vec<Arc<str>>,
    /// Where it counts how many different values each item has, the name of the field that they are of. `total` is then how
    /// many values were counted: of each item and pane each one once, and some again that were not known to be there.
    #[serde(default)]
    pub distinct: Option<Arc<str>>,
    /// Whether some events take away what others have counted. `total`, and what each item has, is then what is left, at least 0; an
    /// item of which nothing is left is not listed.
    #[serde(default)]
    pub retracts: bool,
    /// Best first; ties by item id descending.
    pub items: Vec<Item>,

    /// What rises, in place of `items` (not part of the JSON).
    #[serde(skip)]
    pub rising: Option<Arc<Rising>>,
    /// The weight that the total may lack: of a group, some of whose events may be refused (not part of the JSON).
    #[serde(skip)]
    pub lacking: u64,
    /// The weight that was taken away (not part of the JSON).
    #[serde(skip)]
    pub removed: u64,
    /// Of a final one that has all of a unit of the calendar, that unit (not part of the JSON).
    #[serde(skip)]
    pub unit: Option<CalendarUnit>,
    /// The K asked for (not part of the JSON).
    #[serde(skip)]
    pub k: u32,
    /// The run of the job that computed it: a later run's is greater (not part of the JSON).
    #[serde(skip)]
    pub epoch: u64,
    /// Whether a final one is also kept as a bucket, under its own time (not part of the JSON).
    #[serde(skip)]
    pub bucket: bool,
    /// Whether the bucket is kept while it fills, too: a provisional one is written under its time as well (not
    /// part of the JSON).
    #[serde(skip)]
    pub counters: bool,
}

/// A unit of the calendar, whose ranking is kept as a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarUnit {
    /// Its name, which is the bucket's: `2026-03-10`.
    pub name: Arc<str>,
    /// How long the bucket stays where nobody says for how long.
    pub stays: Duration,
}

/// One row of a ranking: `lower <= true count <= upper`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// From 1.
    pub rank: u32,
    /// The item's id.
    pub item_id: ItemId,
    /// The reported count: `upper`; of different values, how many there are, or most likely are.
    pub count: u64,
    /// At least this much was counted.
    pub lower: u64,
    /// At most this much was counted.
    pub upper: u64,
    /// Whether `lower == upper`.
    pub exact: bool,
    /// Where `count` is an estimate, it and its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Ranks gained since the window's previous final snapshot; null when it was not in it.
    pub change: Option<i32>,
}

/// An estimate of a count of different values: what is not certain, and likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub count: u64,
    /// In two of three cases it is off by at most this.
    pub standard_error: u64,
}

/// What a ranking leaves: the weight of all items without a row, so that shares add up. `lower <= true weight <= upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// The reported weight, which is `upper`.
    pub count: u64,
    /// They have at least this much.
    pub lower: u64,
    /// They have at most this much.
    pub upper: u64,
    /// Whether `lower == upper`.
    pub exact: bool,
}

/// A snapshot as JSON shows it; [`snapshot_line`](crate::snapshot_line) writes the same by hand.
#[derive(Serialize)]
struct Shown<'a> {
    board: &'a str,
    window: &'a str,
    group: &'a GroupKey,
    window_start: i64,
    window_end: i64,
    computed_at: i64,
    watermark: i64,
    #[serde(rename = "final")]
    is_final: bool,
    total: u64,
    error: u64,
    error_floor: u64,
    guaranteed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<Other>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retracts: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [Arc<str>],
    items: &'a [Item],
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

impl Snapshot {
    /// The weight of all items that have no row. Its upper bound and the lower bounds of the rows add up to the total, and to what this
    /// may lack. `None` where different values are counted, which do not add up: items share them; and where events take away
    /// what others have counted: items of which less than nothing is left take from the total what others have.
    pub fn other(&self) -> Option<Other> {
        if self.distinct.is_some() || self.retracts {
            return None;
        }
        let sum = |of: fn(&Item) -> u64| self.items.iter().map(of).fold(0, u64::saturating_add);
        let lower = self.total.saturating_sub(sum(|item| item.upper));
        let upper = self.total.saturating_sub(sum(|item| item.lower)).saturating_add(self.lacking);
        Some(Other { count: upper, lower, upper, exact: lower == upper })
    }

    /// Notes what the total may lack, by what all items without a row have at most.
    pub fn note_lacking(&mut self, at_most: u64) {
        self.lacking = 0;
        self.lacking = self.other().map_or(0, |other| at_most.saturating_sub(other.upper));
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            board: &self.board,
            window: &self.window,
            group: &self.group,
            window_start: self.window_start,
            window_end: self.window_end,
            computed_at: self.computed_at,
            watermark: self.watermark,
            is_final: self.is_final,
            total: self.total,
            error: self.error,
            error_floor: self.error_floor,
            guaranteed: self.guaranteed,
            other: self.other(),
            distinct: self.distinct.as_deref(),
            retracts: self.retracts,
            partial: self.partial,
            since: self.since,
            missing: &self.missing,
            items: &self.items,
        }
    }

    /// What orders two snapshots of the same board, group and window: the later window, then the final one,
    /// then the later computed.
    pub fn freshness(&self) -> (u64, i64, bool, i64) {
        (self.epoch, self.window_end, self.is_final, self.computed_at)
    }
}

/// A group that has left its board, and with it all its current rankings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The board's name.
    pub board: Arc<str>,
    /// All windows of the board.
    pub windows: Vec<Arc<str>>,
    /// The group.
    pub group: GroupKey,
    /// The run of the job that says so.
    pub epoch: u64,
}

/// The end (ms) up to which a board is complete when all its windows are published but those of the whole input.
pub const LAST_END: i64 = i64::MAX - 1;

/// Where snapshots go. Called from the dataflow's threads.
pub trait SnapshotSink: Send + Sync {
    /// Takes a snapshot, provisional or final, and returns at once: a slow or absent receiver never holds up
    /// the caller, and never makes a growing queue (the newest of a board, group and window replaces the one
    /// that still waits).
    fn publish(&self, snapshot: &Arc<Snapshot>);

    /// Takes a final snapshot that is not published: an earlier run has published it, or its window has no events and
    /// such are left out. Who compares a ranking with the one before needs it; the others have nothing to do.
    fn pass_over(&self, _snapshot: &Arc<Snapshot>) {}

    /// Forgets a group that has left all windows of its board, or was shown and got no place among the board's groups.
    /// If it comes back, its rankings are published as any. A sink that keeps no rankings has nothing to do.
    fn retire(&self, _group: &Retired) {}

    /// Whether it takes more just now. A sink that may lose nothing says no while its receiver is slow; what is
    /// published all the same is taken.
    fn ready(&self) -> bool {
        true
    }

    /// Whether it has any use for provisional snapshots; they cost something to make.
    fn shows_provisionals(&self) -> bool {
        true
    }

    /// Says that every final snapshot of `board` whose window ends at or before `end` (ms; `i64::MAX` at the
    /// end of a bounded run) has been given to [`publish`](Self::publish). After [`LAST_END`] only those come that are of
    /// the whole input.
    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    /// The end (ms) up to which all final snapshots of all boards have been delivered, of those that
    /// [`finals_complete`](Self::finals_complete) has told of; `i64::MAX` where all that was published has been. It may wait
    /// for that until `deadline`. Until then the state keeps what they are made of, and a run after a kill publishes them
    /// again. A sink that delivers later than it takes, and always has something on its way, says how far it is.
    fn delivered(&self, deadline: std::time::Instant) -> i64 {
        if self.flush(deadline).is_ok() { i64::MAX } else { i64::MIN }
    }

    /// Waits until all that was published has been delivered, at most until `deadline`. A sink that delivers at once has
    /// nothing to wait for.
    ///
    /// # Errors
    /// What could not be delivered, and why.
    fn flush(&self, _deadline: std::time::Instant) -> Result<(), SinkError> {
        Ok(())
    }

    /// Ends the delivery, and waits for its end at most until `deadline`. What still waits is not delivered.
    fn close(&self, _deadline: std::time::Instant) {}
}

/// Why a sink cannot be opened or could not deliver.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The URL or an option makes no sense.
    #[error("snapshots {url:?}: {reason}")]
    Invalid {
        /// As it was given, without secrets.
        url: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// It cannot be reached or refuses.
    #[error("snapshots {url}: {reason}")]
    Unreachable {
        /// Without secrets.
        url: String,
        /// What failed.
        reason: String,
    },
    /// Writing failed.
    #[error("snapshots: {0}")]
    Write(#[from] std::io::Error),
}

impl From<EndpointError> for SinkError {
    fn from(error: EndpointError) -> Self {
        let (url, reason) = error.into_parts();
        SinkError::Invalid { url, reason }
    }
}

/// Snapshots for the tests of the sinks.
#[cfg(test)]
pub(crate) mod tests_support {
    use super::*;

    /// A snapshot of a window of 10 s that ends at `end`, with two items.
    pub(crate) fn snapshot(board: &str, window: &str, end: i64, is_final: bool) -> Snapshot {
        Snapshot {
            board: board.into(),
            window: window.into(),
            group: GroupKey::WHOLE,
            window_start: end - 10_000,
            window_end: end,
            computed_at: end + 7,
            watermark: end,
            is_final,
            total: 8,
            error: 0,
            error_floor: 0,
            guaranteed: 2,
            partial: false,
            since: None,
            missing: Vec::new(),
            distinct: None,
            retracts: false,
            items: vec![item(1, "a", 5, 5), item(2, "b", 3, 2)],
            k: 10,
            rising: None,
            unit: None,
            lacking: 0,
            removed: 0,
            epoch: 1,
            bucket: false,
            counters: false,
        }
    }

    /// One row.
    pub(crate) fn item(rank: u32, id: &str, upper: u64, lower: u64) -> Item {
        let exact = lower == upper;
        Item { rank, item_id: id.into(), count: upper, lower, upper, exact, estimate: None, change: None }
    }
}

#[cfg(test)]
mod tests {
    use super::tests_support::{item, snapshot};
    use super::*;

    #[test]
    fn shares_add_up_with_what_the_rows_leave() {
        let other = |snapshot: &Snapshot| {
            let Other { count, lower, upper, exact } = snapshot.other().unwrap();
            assert_eq!((count, exact), (upper, lower == upper));
            (lower, upper)
        };
        let mut ranking = Snapshot { total: 20, ..snapshot("b", "w", 10_000, true) };
        assert_eq!(other(&ranking), (12, 13), "5 and from 2 to 3 of 20 are the rows'");
        ranking.items.truncate(1);
        assert_eq!(other(&ranking), (15, 15));
        // All of them may have the weight that was counted, each of them all that it can.
        ranking.items.push(item(2, "b", 19, 2));
        assert_eq!(other(&ranking), (0, 13));
        ranking.items.clear();
        assert_eq!(other(&ranking), (20, 20));
        let group = GroupKey::from_values([("region", "IN")]);
        let of_group = Snapshot { group, lacking: 4, ..ranking };
        assert_eq!(other(&of_group), (20, 24), "the total of a group may lack some");
        let mut told = Snapshot { lacking: 0, ..of_group.clone() };
        told.note_lacking(24);
        assert_eq!(told, of_group);
        let retracting = Snapshot { retracts: true, ..of_group.clone() };
        assert_eq!(retracting.other(), None, "others may have less than nothing");
        let distinct = Snapshot { distinct: Some("user".into()), ..of_group };
        assert_eq!(distinct.other(), None, "two items may have the same users");
    }
}
