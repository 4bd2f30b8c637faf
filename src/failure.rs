//! The error that ends the program, and the exit status that goes with it.

use crate::text;
use crest_connectors::snapshot::SinkError;
use std::io::Write;

/// Why the program did not do what was asked, as one line.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was asked for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The reason, fit for a terminal: names from outside may be in it.
    pub fn line(&self) -> String {
        text::shown(&self.to_string())
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Failed(_) => 1,
        }
    }

    /// What `error` prevented. An error of the operating system names nothing: see [`system`](Self::system).
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Failure::Failed(error.to_string())
    }

    /// What was being done when the operating system refused.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Failure::Failed(format!("{what}: {error}"))
    }

    /// That the thread which does `what` cannot be started.
    pub(crate) fn thread(what: &str) -> impl FnOnce(std::io::Error) -> Self {
        Self::system(format!("the thread that {what} cannot be started"))
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Invalid { .. } => Failure::Usage(error.to_string()),
            error => Failure::of(error),
        }
    }
}

/// Prints a text on standard output.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &impl std::fmt::Display) -> Result<(), Failure> {
    seen(write!(std::io::stdout(), "{text}"))
}

/// A reader that has seen enough, as after `| head`, is no failure.
pub fn seen(printed: std::io::Result<()>) -> Result<(), Failure> {
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Failure::of),
    }
}
