//! The options of `crest try`.

use clap::Args;
use std::path::PathBuf;

/// The options of `crest try`.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// A file, 'file:GLOB', kafka://host:port/topic, log:FOLDER for the embedded log, or - for standard input
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// How many records are read; of a source of several partitions or files the first ones of each
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub sample: u32,
    /// Rows of the ranking
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub k: u16,
    /// A configuration: what it says is taken as it is, and only the rest is guessed
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Write the configuration to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// The schema registry that has the schemas of the records: http://host:port
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
    /// The schema of Avro (.avsc) or Protobuf (.proto, or a set of descriptors) records without a registry
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// The message of a Protobuf schema that has several
    #[arg(long, value_name = "NAME")]
    pub message: Option<String>,
}
