//! The option that has a job archive what it reads, and the options of `crest archive`.

use clap::Args;
use std::path::PathBuf;

/// The option of a job.
// Without a group of its own, which would count as an option that the environment gave.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub struct ArchiveOptions {
    /// Keep what Kafka or the embedded log delivers here, beyond the log's own retention: a folder, s3://bucket/prefix, gs://
    /// or az://, or off [default: off]
    #[arg(long, value_name = "URL|off", env = "CREST_ARCHIVE")]
    pub archive: Option<String>,
}

/// The options of `crest archive`.
#[derive(Debug, Default, Args)]
pub struct ArchiveArgs {
    /// Where it is: a folder, s3://bucket/prefix, gs:// or az:// [default: the configuration's]
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// The configuration: its [archive] is used
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print one JSON object; times in milliseconds since 1970
    #[arg(long)]
    pub json: bool,
}
