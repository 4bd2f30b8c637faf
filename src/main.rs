//! The program: maps what came of a run to an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    match crest::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("crest: {failure}");
            ExitCode::from(failure.status())
        }
    }
}
