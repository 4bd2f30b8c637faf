//! The HTTP API and the page: what the job found, to whoever asks, and events from whoever sends them. It reads what is
//! in memory and never waits for the dataflow.

mod answer;
mod api;
mod ask;
mod boards;
mod events;
mod guard;
mod ingest;
mod interval;
mod metrics;
mod openapi;
mod page;
mod past;
mod rankings;
mod rate;
mod ready;
mod rendered;
mod routes;
mod serve;
mod status;
mod stream;
mod tally;
mod terms;

pub use api::{Rankings, Shown};
pub use ingest::Ingest;
pub use past::PastRankings;
pub use rankings::is_hindered;
pub use ready::ranked;
pub use serve::{Bound, take_port};
pub use terms::{Access, IngestLimits, Limits, Terms, Token};

#[cfg(test)]
mod tests;
