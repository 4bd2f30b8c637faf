//! The options of the API without a job.

use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The options of `crest serve`.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// The Redis in which the job publishes: redis://host:port/db; a replica will do
    #[arg(long, value_name = "URL", env = "CREST_SNAPSHOTS")]
    pub snapshots: Option<String>,
    /// Where the job's state is, for past intervals and final rankings: a folder, s3://bucket/prefix, gs:// or az://; or
    /// state:URL,URL for those of several regions [default: ./crest-data without --snapshots]
    #[arg(long, value_name = "URL", env = "CREST_STATE")]
    pub state: Option<String>,
    /// Where events that are sent here go: kafka://host:port/topic, on for where the job's configuration reads, or off
    #[arg(long, value_name = "URL|on|off", env = "CREST_INGEST")]
    pub ingest: Option<String>,
    /// Serve the page and the API here [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "CREST_HTTP")]
    pub http: Option<String>,
    /// A bearer token that sends events; others are refused. Better given as CREST_INGEST_TOKEN; repeatable
    #[arg(long, value_name = "TOKEN", env = "CREST_INGEST_TOKEN", value_delimiter = ' ')]
    pub ingest_token: Vec<String>,
    /// A bearer token that reads the API; others are refused. Better given as CREST_READ_TOKEN; repeatable
    #[arg(long, value_name = "TOKEN", env = "CREST_READ_TOKEN", value_delimiter = ' ')]
    pub read_token: Vec<String>,
    /// The job's configuration, which says what its boards are; all of it but its process' own is used
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// The options that came from the environment, by their field's name.
    #[arg(skip)]
    pub from_environment: BTreeSet<String>,
}
