//! `crest completions` and `crest man`: what helps to type a command, made from the definition of the command line.

use crate::args::{CompletionsArgs, ManArgs, definition};
use crate::failure::{Failure, seen};
use std::io::Write;

/// Prints what a shell reads to complete the command line.
///
/// # Errors
/// It cannot be written.
pub fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let (mut command, mut text) = (definition(), Vec::new());
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    seen(std::io::stdout().write_all(&text))
}

/// Writes a page for the program and one for each of its commands: `crest.1`, `crest-top.1` and so on.
///
/// # Errors
/// The folder cannot be made, or a page cannot be written.
pub fn man(args: &ManArgs) -> Result<(), Failure> {
    let failed = || Failure::system(args.folder.display().to_string());
    std::fs::create_dir_all(&args.folder).map_err(failed())?;
    clap_mangen::generate_to(definition(), &args.folder).map_err(failed())
}
