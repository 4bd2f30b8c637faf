//! The options of `crest doctor`.

use super::run::RunArgs;
use clap::Args;

/// The options of `crest doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How many of the newest records are parsed; of files the first ones
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub sample: u32,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Those of the job.
    #[command(flatten)]
    pub run: RunArgs,
}
