//! The program: maps what came of a run to an exit status.

use mimalloc::MiMalloc;
use std::io::Write;
use std::process::ExitCode;

/// Beside the system's, it takes a fifth of the time off a run with thousands of groups, and a quarter of the memory off a run that
/// counts a million items exactly.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
