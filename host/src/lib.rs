//! What a job takes from its machine: clocks, threads, waiting and random draws.
//!
//! The crates that make up a job reach these through here and nowhere else, so that a simulation can put its own in their
//! place (see [`Host`]): a run is then decided by the simulation alone. On a thread that no simulation has
//! taken they are those of the machine, and cost a look at a thread's own variable more.

pub mod clock;
pub mod condition;
pub mod draw;
mod taken;
pub mod thread;
pub mod timer;

pub use taken::{Host, run_on};
