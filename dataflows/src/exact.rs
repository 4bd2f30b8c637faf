//! The exact engine: the rankings of an exact board's windows, kept up by a differential dataflow over all workers.
//!
//! **In**: the counts of panes, closed or open, by group and item, on the worker that aggregates the board; and which
//! panes each window is made of. **Out**: the leading items of each window and group, and the counts of items that
//! somebody asks for. **Always holds**: what is told of a *round* is what a recount of the panes in the windows would
//! say, since differential dataflow's collections are functions of their inputs (McSherry, Murray, Isaacs, Isard,
//! "Differential dataflow", CIDR 2013). **Costs**: a pane's item is sent once when it comes and once when it has left
//! all windows; on its worker, one change of a count each time it enters or leaves a window.
//!
//! [`graph`] is the dataflow, on every worker, made of [`local`] arrangements, with the [`leaders`] at its end; [`names`] stand for items and groups in it; [`panes`] are what is held of
//! each pane, and [`members`] says of a window which of them it is made of; [`ranks`] feeds a board's graph, round by
//! round, and hands out rankings.

mod graph;
mod leaders;
mod local;
mod members;
mod names;
mod panes;
mod ranks;
mod round;

pub(crate) use graph::{Graph, build};
pub(crate) use ranks::{ExactRanks, Ranked, View};
