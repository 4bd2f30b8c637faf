//! The refusal of a spec.

/// A value of a spec that cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {allowed}")]
pub struct SpecError {
    /// The key, as in the configuration file: `board.videos.window.last_1m.size`.
    pub key: String,
    /// The value.
    pub value: String,
    /// Which values are allowed.
    pub allowed: String,
}
