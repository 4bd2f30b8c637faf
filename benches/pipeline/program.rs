//! The builds of Crest that are measured: this one, and another one that the environment names.

use std::path::PathBuf;
use std::process::Command;

/// A build of Crest.
pub struct Program {
    /// What the tables call it.
    pub name: &'static str,
    path: PathBuf,
}

impl Program {
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

/// This build, and the one that `OTHER_CREST` names, if it is set.
pub fn all() -> Vec<Program> {
    let this = Program { name: "crest", path: env!("CARGO_BIN_EXE_crest").into() };
    let other = std::env::var_os("OTHER_CREST").map(|path| Program { name: "other", path: path.into() });
    [this].into_iter().chain(other).collect()
}
