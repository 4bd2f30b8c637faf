//! The program: maps what came of a run to an exit status.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match crest::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may read it any more.
            let _ = writeln!(std::io::stderr(), "crest: {}", failure.line());
            ExitCode::from(failure.status())
        }
    }
}
