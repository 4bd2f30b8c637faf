//! Why there is no decoder.

/// A setting of the format that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {reason}")]
pub struct FormatError {
    /// The key in the configuration, such as `source.pattern`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it, or what is allowed.
    pub reason: String,
}

impl FormatError {
    pub(super) fn new(key: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        FormatError { key, value: value.into(), reason: reason.into() }
    }
}
