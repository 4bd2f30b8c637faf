//! The options of `crest completions` and `crest man`.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

/// The options of `crest completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// The options of `crest man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder, such as ~/.local/share/man/man1; it is made where it is missing
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}
