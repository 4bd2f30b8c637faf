//! Where a run goes on from what an earlier one left: the offset of each partition.

use crate::pane::Pane;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a run goes on. It travels from process 0 to the others when the cluster meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// All panes before it are durable; [`Pane::MAX`] when a bounded log was counted to its end.
    pub durable: Pane,
    /// Of the partitions that were read so far.
    pub partitions: BTreeMap<u32, Replay>,
    /// What told the log from another of the same name, where the broker said so.
    pub log: Option<String>,
}

/// Where a partition is read on. Records below `replay` are of durable panes, or were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The partition's name: files have no numbers of their own.
    pub name: String,
    /// The offset to read first.
    pub replay: i64,
    /// The first offset that no earlier run is known to have read; what is refused below it was told before.
    pub next: i64,
    /// The pane up to which the broker's times below `replay` let the watermark go, where that is not durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped: Option<Pane>,
    /// Of a partition that came in after the job had closed panes, the first one that was open: what it has of those
    /// before is not counted, by this run or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Pane>,
}
