//! The times and differences of the exact engine's graph. They are half as wide as usual, since most of the graph's memory, and
//! of what it sorts, is made of them.

/// The number of a round. All that the aggregator sends in one round takes effect together. A job has at most some twenty rounds a
/// second (a refresh takes 100 ms or more), which is four billion in seven years; each run begins anew.
pub(super) type Round = u32;
/// How often an element comes or goes, which for all but counts is once.
pub(super) type Change = i32;
