//! The time of the exact engine's graph.

/// The number of a round. All that the aggregator sends in one round takes effect together.
pub(super) type Round = u64;
