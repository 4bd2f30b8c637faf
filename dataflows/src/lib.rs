//! Event time, pane sketches, exchange, merge, windows and top K on Timely Dataflow.
//!
//! Each stage has a file: [`source`] reads, parses and assigns event time, [`pane_sketch`] counts each pane of each
//! partition, [`merge`] brings all partitions of a pane together, `persist` makes it durable, [`windows`] slides, ranks and
//! publishes; [`wiring`] connects them. The windows of an exact board are ranked by a differential dataflow, in `exact`.
//! Where a job merges the panes of regions, `region_panes` takes the place of the first two.
//! Beside the stages, [`control`] broadcasts the status of each worker to all others, and [`validate`] predicts whether
//! the job will count an event. `crest-formats` reads records, and `crest-state` keeps what is durable.

mod admission;
mod ahead;
pub mod audit_probe;
mod batch_groups;
mod board_pane;
mod closed_group;
mod condition;
pub mod control;
mod decoder;
pub mod event_batch;
pub mod event_time;
mod exact;
mod extracts;
pub mod frame;
mod group_names;
mod group_runs;
mod held_records;
mod idleness;
pub mod job;
pub mod known_item;
pub mod late_pane;
pub mod local;
pub mod match_counts;
mod match_monitor;
pub mod merge;
pub mod pane_sketch;
pub mod passage;
mod persist;
pub mod ranked;
mod record_beside;
mod region_panes;
pub mod registry;
pub mod rejects;
mod removed_counts;
pub mod replay;
pub mod risen;
pub mod route;
pub mod selector;
pub mod share;
pub mod source;
pub mod spot;
pub mod status;
pub mod validate;
mod whole_input;
pub mod windows;
pub mod wiring;
mod withheld;
