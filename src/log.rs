//! Logs: one line each, to standard error, so that standard output holds snapshots only.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged where neither `CREST_LOG` nor `RUST_LOG` says so. The libraries below have nothing to say that
/// is not said better by what uses them.
const DEFAULT: &str = "info,librdkafka=off,rdkafka=error,redis=error";

/// Starts logging; a second call, in one process of tests, changes nothing.
pub fn start() {
    let wanted = ["CREST_LOG", "RUST_LOG"].into_iter().find_map(|name| std::env::var(name).ok());
    let filter =
        EnvFilter::builder().parse_lossy(wanted.filter(|w| !w.is_empty()).as_deref().unwrap_or(DEFAULT));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .try_init();
}
