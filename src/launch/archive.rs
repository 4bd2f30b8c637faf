//! The archive of what the job reads: opened before the source, and finished after its readers.

use crate::failure::Failure;
use crate::settings::ArchiveSettings;
use crest_connectors::archive::ArchiveError;
use crest_connectors::state::{StateError, StateStore};
use crest_connectors::tee::{ArchiveWriter, TeeOptions};
use std::time::Instant;

/// Opens its store.
///
/// # Errors
/// It cannot be reached, or not be written.
pub fn open(settings: &ArchiveSettings) -> Result<StateStore, Failure> {
    StateStore::open(&settings.url, &settings.options).map_err(|error| {
        let is_usage = matches!(error, StateError::Invalid { .. });
        let told = ArchiveError::from(error).to_string();
        if is_usage { Failure::Usage(told) } else { Failure::Failed(told) }
    })
}

/// How it is written. The first process alone deletes what is too old.
pub fn options(settings: &ArchiveSettings, first: bool) -> TeeOptions {
    TeeOptions { interval: settings.interval, retention: settings.retention.filter(|_| first) }
}

/// Waits until all is archived that was read, at most until `deadline`.
pub fn finish(archive: Option<&ArchiveWriter>, deadline: Instant) {
    if archive.is_some_and(|archive| !archive.finish(deadline)) {
        tracing::warn!(
            "stopped before all was archived that was read: the next run reads it again for the archive"
        );
    }
}
