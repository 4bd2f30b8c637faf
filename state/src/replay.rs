//! Replay positions: from which offsets a run reads on, and how far the state is durable.

use crate::pane::Pane;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a run goes on. Process 0 sends it to the others when a cluster starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The durable frontier; [`END`](crate::pane::END) when a bounded log was counted to its end.
    pub durable: Pane,
    /// The replay positions of the partitions that were read so far.
    pub partitions: BTreeMap<u64, Replay>,
    /// The id of the Kafka topic or the embedded log, which tells it from another of the same name, where it has one.
    pub log: Option<String>,
    /// For each board, in the order of the spec, the first pane that it counts, where that is not the durable frontier.
    #[serde(default)]
    pub since: Vec<Pane>,
}

/// The replay position of a partition. Records at offsets below `replay` are of durable panes, or were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The partition's name, such as that of a file.
    pub name: String,
    /// The offset to read first.
    pub replay: i64,
    /// The first offset that no earlier run is known to have read. Refusals below it were reported before.
    pub next: i64,
    /// The pane to which the broker times of records below `replay` have moved the watermark, if it is not durable yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped: Option<Pane>,
    /// The pane to which the event times of records below `replay` let the watermark go. Only a job with a window of the
    /// whole input keeps it: it has to know again which events were late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Pane>,
    /// For a partition that came in after the job had closed panes, the first pane that was open then. Its events of
    /// earlier panes are not counted, by this run or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Pane>,
}
