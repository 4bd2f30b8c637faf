//! Why there is nothing to run: the first key that cannot be used, as it was given.

use crate::failure::Failure;
use crate::file::FileError;

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value that cannot run.
    #[error("{key} = {value}: {allowed}")]
    Refused {
        /// As it was given: `--pane`, `CREST_PANE` or `crest.toml: time.pane`.
        key: String,
        /// What it was given, without secrets.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// A refusal of `key`.
pub fn refuse<T>(
    key: impl Into<String>,
    value: impl ToString,
    allowed: impl Into<String>,
) -> Result<T, SettingsError> {
    Err(SettingsError::Refused { key: key.into(), value: value.to_string(), allowed: allowed.into() })
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Failure::Usage(error.to_string())
    }
}
