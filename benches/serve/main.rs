//! What serving costs: rankings read over HTTP against bare Redis, and events sent over HTTP into the embedded log.
//!
//! `cargo bench --bench serve` measures all, with the real program, the real redis-server and redis-benchmark, all on this
//! machine. Readers ask on a fixed schedule, and their time counts from when a request was due, so that a server that
//! stalls cannot hide it; the rates a core are of the server's own CPU time, so that the clients' does not count.
//! `SECONDS` (5) is how long each part takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod client;
mod events;
#[path = "../pipeline/figures.rs"]
mod figures;
mod rankings;
mod server;

fn main() {
    let seconds = std::env::var("SECONDS").map_or(5, |text| text.parse().expect("a whole number"));
    let length = std::time::Duration::from_secs(seconds);
    rankings::measure(length);
    events::measure(length);
}
