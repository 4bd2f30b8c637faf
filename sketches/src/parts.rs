//! A sketch as flat columns, which is what travels between processes.

/// Columns of a [`Merged`](crate::Merged) or [`Digest`](crate::Digest); equal sketches have equal parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// 64-bit columns, one after the other.
    pub words: Vec<u64>,
    /// 32-bit columns.
    pub halves: Vec<u32>,
    /// The keys' bytes.
    pub bytes: Vec<u8>,
}

/// Why parts were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// Columns do not have the lengths that the header states.
    #[error("columns do not fit together")]
    Lengths,
}
