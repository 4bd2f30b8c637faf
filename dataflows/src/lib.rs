//! Event time, pane sketches, exchange, merge, windows and top K on Timely Dataflow.
//!
//! One file a stage: [`source`] reads, parses and assigns event time, [`pane_sketch`] counts each pane of each
//! partition, [`merge`] brings all partitions of a pane together, [`windows`] slides, ranks and publishes;
//! [`wiring`] puts them in a row. The windows of an exact board are ranked by a differential dataflow, in `exact`. Beside them, [`control`] tells all workers of all others, and [`state`] makes what
//! is closed durable before it is final; [`validate`] tells of an event beforehand whether it will be counted.

mod admission;
mod ahead;
pub mod check;
pub mod control;
pub mod event_time;
mod exact;
pub mod examiner;
pub mod frame;
pub mod job;
pub mod lanes;
pub mod levels;
pub mod local;
mod lookout;
pub mod merge;
pub mod pane_sketch;
pub mod parse;
mod presence;
mod pyramid;
pub mod ranked;
pub mod rejects;
pub mod replay;
mod rest;
pub mod route;
pub mod share;
pub mod source;
pub mod spec;
pub mod state;
pub mod status;
pub mod tally;
pub mod validate;
pub mod windows;
pub mod wiring;
