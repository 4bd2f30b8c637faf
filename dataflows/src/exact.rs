//! The exact engine: the rankings of an exact board's windows, kept up by a differential dataflow over all workers.
//!
//! **In**: the counts of panes, closed or open, by group and item, on the worker that aggregates the board; and which
//! panes each window is made of. **Out**: the leading items of each window and group, and the counts of the items that
//! an audit queries. **Always holds**: the output of a *round* equals a recount of the panes in the windows, since
//! differential dataflow's collections are functions of their inputs (McSherry, Murray, Isaacs, Isard,
//! "Differential dataflow", CIDR 2013). **Costs**: each item of a pane is sent once when the pane comes and once when it
//! has left all windows; on the item's worker, a count changes each time the pane enters or leaves a window.
//!
//! [`graph`] is the dataflow, on every worker. It begins with the [`pane_counts`], is made of [`local`] arrangements and ends
//! with the [`leaders`]. On the aggregator, [`names`] numbers the items and groups, [`panes`] holds the counts of each pane,
//! and [`members`] says which panes a window is made of. [`ranks`] feeds a board's graph, round by round, and hands out
//! rankings.

mod blocked;
mod graph;
mod leaders;
mod local;
mod members;
mod names;
mod pane_counts;
mod panes;
mod ranks;
mod round;

pub(crate) use graph::{Graph, build};
pub(crate) use ranks::{ExactRanks, Ranked, View};
