//! The options of `crest log`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `crest log` does.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Check that an embedded log is whole
    ///
    /// It reads all of the log's file and changes nothing; the job that has it must be stopped. What is damaged is named by
    /// partition and offset. The status is 1 when anything is.
    Verify(VerifyArgs),
    /// Make a log of all that is whole of a damaged one
    ///
    /// Every event whose block is whole is kept, with its offset; the offsets that are lost are named. The new log takes
    /// the place of the damaged one, which is kept beside it under another name, or with --to is made in another folder.
    /// It is the same log for the job's state, which goes on: where offsets are lost that it has still to read, with
    /// --on-gap skip. A log that is whole is left as it is, and with --to copied. The status is 0 when the log can be used.
    Salvage(SalvageArgs),
}

/// The options of `crest log verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The log's folder
    #[arg(value_name = "FOLDER", default_value = "./crest-data/log")]
    pub folder: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The options of `crest log salvage`.
#[derive(Debug, Args)]
pub struct SalvageArgs {
    /// The log's folder
    #[arg(value_name = "FOLDER", default_value = "./crest-data/log")]
    pub folder: String,
    /// Make the new log in this folder, and leave the damaged one where it is
    #[arg(long, value_name = "FOLDER")]
    pub to: Option<PathBuf>,
    /// The state of the log's job (a folder, s3://bucket/prefix, gs:// or az://): it knows the log's id, and how far it was
    /// read, where the damaged file does not say
    #[arg(long, value_name = "URL", env = "CREST_STATE")]
    pub state: Option<String>,
    /// The configuration: its [state] is used
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
