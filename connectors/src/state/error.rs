//! What can go wrong with the state store, told apart by what a job can do about it.

use std::io;

/// Why the store did not do what it was asked to. Every error names the place or the object; none holds a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The URL or one of its options says nothing that can be opened.
    #[error("state {url}: {reason}")]
    Invalid {
        /// The URL, without secrets.
        url: String,
        /// What is wrong with what, and what is allowed.
        reason: String,
    },
    /// An object's name is not one that every kind of store takes as it is: a mistake of the program.
    #[error("state object {name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What a name may be.
        reason: &'static str,
    },
    /// The place does not answer, or not as it should, after some seconds of trying. It may later.
    #[error("state {url} cannot be reached: {reason}")]
    Unreachable {
        /// The place or the object.
        url: String,
        /// What was tried and what came of it.
        reason: String,
    },
    /// The disk, or the quota, is full. Nothing half-written was left.
    #[error("state {url} cannot be written: no space is left")]
    NoSpace {
        /// The object.
        url: String,
    },
    /// The place answers, and says no: access denied, no such bucket, a read-only folder, a path that is a
    /// file. Trying again will not help until somebody changes that.
    #[error("state {url} is refused: {reason}")]
    Refused {
        /// The place or the object.
        url: String,
        /// What the place says.
        reason: String,
    },
    /// The manifest is not, or no longer, the one that was to be replaced: another job has taken over.
    #[error("the manifest of state {url} was replaced by another job")]
    Superseded {
        /// The place.
        url: String,
    },
}

impl StateError {
    /// Whether the same call may succeed later without anybody changing the settings or the program.
    pub fn is_transient(&self) -> bool {
        matches!(self, StateError::Unreachable { .. } | StateError::NoSpace { .. })
    }

    /// An error of a file or folder.
    pub(super) fn of_file(url: String, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => StateError::NoSpace { url },
            Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::AlreadyExists
            | Kind::FileTooLarge
            | Kind::InvalidFilename
            | Kind::Unsupported => StateError::Refused { url, reason: error.to_string() },
            _ => StateError::Unreachable { url, reason: error.to_string() },
        }
    }
}
