//! The options of the verbs that count a part of the past again.

use super::run::RunArgs;
use clap::Args;
use std::path::PathBuf;

/// The options of `crest audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Where the range begins: a time (2026-03-10T10:15:00Z), rounded down to a pane, or offsets (0=123,1=456, of
    /// several topics a:0=123,b:0=456)
    /// [default: files are read from their beginning]
    #[arg(long, value_name = "WHERE")]
    pub from: Option<String>,
    /// Where it ends, exclusive: a time, rounded up to a pane, or offsets [default: files are read to their end]
    #[arg(long, value_name = "WHERE")]
    pub to: Option<String>,
    /// Judge the final rankings of this file, as --snapshots - has written them; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub rankings: Option<PathBuf>,
    /// Judge this board only; repeatable [default: all]
    #[arg(long, value_name = "NAME")]
    pub board: Vec<String>,
    /// Print one JSON object; times in milliseconds since 1970
    #[arg(long)]
    pub json: bool,
    /// Those of the job.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The options of `crest backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Where the range begins: a time (2026-03-10T10:15:00Z), rounded down to a pane, or offsets (0=123,1=456, of
    /// several topics a:0=123,b:0=456)
    #[arg(long, value_name = "WHERE")]
    pub from: String,
    /// Where it ends, exclusive: a time, rounded up to a pane, or offsets
    #[arg(long, value_name = "WHERE")]
    pub to: String,
    /// Count anew what was counted, too
    #[arg(long)]
    pub replace: bool,
    /// Count this board only, such as one that came in later; what is kept of the others stays [default: all]
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// Those of the job.
    #[command(flatten)]
    pub run: RunArgs,
}
