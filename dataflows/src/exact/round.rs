//! The time of the exact engine's graph.

/// What the aggregator says in one round is one change.
pub(super) type Round = u64;
