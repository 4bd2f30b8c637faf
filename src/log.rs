//! Logs: one line each, to standard error, so that standard output holds snapshots only. As text, or as JSON with
//! `CREST_LOG_FORMAT=json`.

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
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = match std::env::var("CREST_LOG_FORMAT").as_deref() {
        Ok("json") => lines.json().flatten_event(true).with_ansi(false).try_init(),
        _ => lines.with_ansi(std::io::stderr().is_terminal()).compact().try_init(),
    };
}
