//! Why a text names no endpoint.

use super::secrets::without_secrets;

/// Why a text names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is of none of the kinds that there are.
    #[error("{url:?}: {allowed}")]
    Unknown {
        /// The text, without secrets.
        url: String,
        /// Which kinds there are.
        allowed: &'static str,
    },
    /// It is of a known kind, and makes no sense.
    #[error("{url:?}: {reason}")]
    Invalid {
        /// The text, without secrets.
        url: String,
        /// What is wrong, and what is allowed.
        reason: String,
    },
}

impl EndpointError {
    pub(super) fn invalid(url: &str, reason: String) -> Self {
        EndpointError::Invalid { url: without_secrets(url), reason }
    }

    /// The text without secrets, and what is wrong with it.
    pub fn into_parts(self) -> (String, String) {
        match self {
            EndpointError::Unknown { url, allowed } => (url, allowed.to_owned()),
            EndpointError::Invalid { url, reason } => (url, reason),
        }
    }
}
