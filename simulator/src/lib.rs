//! Whole jobs in one process, where a seed decides everything that a machine leaves to chance: which thread runs next, what
//! the clocks say, what the store and the sink make of a call, when the job is killed, and with how many workers it
//! starts again. What it publishes is held against a recount by hand.
//!
//! The same seed is the same run, so that whatever goes wrong once goes wrong again.

pub mod boards;
pub mod core;
pub mod crew;
pub mod delivered;
pub mod history;
pub mod leftovers;
pub mod log;
pub mod plan;
pub mod recount;
pub mod scheduler;
pub mod shrink;
pub mod sink;
pub mod world;
