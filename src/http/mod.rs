//! The HTTP API and the page: they answer with what the job found, and take events. It reads what is
//! in memory and never waits for the dataflow.

mod answer;
mod api;
mod ask;
mod boards;
mod connection;
mod current;
mod door;
mod events;
mod guard;
mod host;
mod ingest;
mod interval;
mod items;
mod measured;
mod metrics;
mod openapi;
mod page;
mod parts;
mod past;
mod points;
mod policy;
mod questions;
mod rankings;
mod rate;
mod ready;
mod rendered;
mod rest;
mod rises;
mod route_counts;
mod routes;
mod series;
mod serve;
mod standby;
mod status;
mod stream;

pub use api::{Rankings, Shown};
pub use ingest::Ingest;
pub use measured::Measured;
pub use past::{PastRankings, StatePlace, open as open_histories};
pub use policy::{Access, IngestLimits, Limits, Policy, Token};
pub use rankings::is_hindered;
pub use ready::ranked;
pub use serve::{Bound, Served, take_port};
pub use standby::StandbyView;

#[cfg(test)]
mod tests;
