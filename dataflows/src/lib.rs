//! Event time, pane sketches, exchange, merge, windows and top K on Timely Dataflow.
//!
//! One file a stage: [`source`] reads, parses and assigns event time, [`pane_sketch`] counts each pane of each
//! partition, [`merge`] brings all partitions of a pane together, [`windows`] slides, ranks and publishes;
//! [`wiring`] puts them in a row. The windows of an exact board are ranked by a differential dataflow, in `exact`.
//! Beside them, [`control`] tells all workers of all others; [`validate`] tells of an event beforehand whether it will
//! be counted. How a record is read is `crest-formats`' business, and what is durable `crest-state`'s.

mod admission;
mod ahead;
pub mod control;
pub mod event_time;
mod exact;
pub mod examiner;
pub mod frame;
pub mod job;
pub mod lanes;
pub mod local;
mod lookout;
pub mod merge;
pub mod pane_sketch;
mod presence;
pub mod ranked;
pub mod rejects;
pub mod replay;
pub mod route;
pub mod share;
pub mod source;
pub mod status;
pub mod tally;
pub mod validate;
pub mod windows;
pub mod wiring;
