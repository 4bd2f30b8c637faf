//! The embedded log: events are appended to a file of this process's own, and a job of the same process reads them.
//!
//! [`Log`] holds one file, `events.redb` in the folder of its URL, `log:PATH?partitions=4&keep=7d&keep_bytes=10GiB`.
//! Events are kept in partitions, in the order in which they came, each with an offset of its own; an event's key
//! chooses the partition. A batch whose sender has heard that it is kept is on the disk, and a batch is there whole or
//! not at all. What is older than `keep`, and the oldest of what takes more than `keep_bytes`, is deleted in whole
//! blocks about once a minute; the space is used again, and the file does not shrink.
//!
//! | option | default | |
//! |---|---|---|
//! | `partitions` | 4 | settled when the log is made |
//! | `keep` | `7d` | a duration of 1 s to 36,500 d, such as `90s` or `1h30m` |
//! | `keep_bytes` | `10GiB` | as compressed, with what the file's pages leave free; a size from `1MiB` to `1EiB`, in decimal units too |

mod block;
mod database;
mod factory;
mod folder;
mod health;
mod overlay;
mod queue;
mod retention;
mod salvage;
mod scan;
mod shared;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use overlay::CHECK;
pub use salvage::{Contents, Known, PartitionContents, Salvaged, salvage, verify};

use crate::append::{AppendError, AppendStats, Batch, Done, EventLog, MAX_WAITING_BYTES};
use crate::endpoint::LogUrl;
use crate::source::{MAX_RECORD_BYTES, Partition, SourceError};
use block::Encoder;
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use database::Opener;
use folder::{FILE, make_folder};
use parking_lot::Mutex;
use queue::{Queue, Waiting};
use retention::Retention;
use shared::{Clock, Shared};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use store::Store;
use writer::Writer;

/// Partitions of a log that is made without saying how many.
const DEFAULT_PARTITIONS: u32 = 4;

/// An embedded log that is open, for writing and reading; the file is this process's alone until it is dropped.
pub struct Log {
    url: LogUrl,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log; makes it, and its folder, where there is none.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] for a URL that has another number of partitions than the log,
    /// [`SourceError::File`] for a file that cannot be opened, is held by another process, or is no log.
    pub fn open(url: &LogUrl) -> Result<Arc<Self>, SourceError> {
        let failed = |error| SourceError::File { path: url.folder.display().to_string(), error };
        make_folder(&url.folder).map_err(failed)?;
        let path = url.folder.join(FILE);
        let file = path.clone();
        let opener = Box::new(move || {
            let bytes = fs::metadata(&file).map_or(0, |found| found.len());
            database::builder(bytes).create(&file)
        });
        let log = Self::open_with(url, &path, opener, Box::new(wall_clock_ms))?;
        // The file's own name is durable once its folder is.
        File::open(&url.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(log)
    }

    /// Opens the log that is there, to read it: nothing is written to the file, and nothing in it is deleted.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where there is no log.
    pub fn open_to_read(url: &LogUrl) -> Result<Arc<Self>, SourceError> {
        let path = url.folder.join(FILE);
        let file = path.clone();
        let opener = Box::new(move || overlay::open(&file));
        Self::open_with(&url.clone().keep_all(), &path, opener, Box::new(wall_clock_ms))
    }

    /// Whether there is a log in the folder of a URL.
    pub fn exists(url: &LogUrl) -> bool {
        url.folder.join(FILE).exists()
    }

    /// Opens the log by other means than a plain file and the wall clock.
    fn open_with(url: &LogUrl, path: &Path, opener: Opener, clock: Clock) -> Result<Arc<Self>, SourceError> {
        let failed = |error| SourceError::File { path: path.display().to_string(), error };
        let store = Store::open(path, opener, url.partitions.unwrap_or(DEFAULT_PARTITIONS))?;
        if let Some(other) = url.partitions.filter(|partitions| *partitions != store.partitions()) {
            let is = store.partitions();
            return Err(SourceError::Invalid {
                url: url.to_string(),
                reason: format!("partitions={other}: the log was made with {is}, which stays so"),
            });
        }
        let extents = store.extents().map_err(|failure| failed(io::Error::other(failure.reason)))?;
        let LogUrl { keep, keep_bytes, .. } = *url;
        let (retention, queue) = (Retention { keep, keep_bytes }, Queue::new(MAX_WAITING_BYTES));
        let shared = Arc::new(Shared::new(store, retention, queue, clock, &extents));
        let writer = Writer::new(shared.clone(), Encoder::new().map_err(failed)?, extents);
        let writer = crest_host::thread::spawn("log-writer", move || writer.run()).map_err(|error| {
            failed(io::Error::new(error.kind(), format!("the thread that writes cannot be started: {error}")))
        })?;
        let writer = Mutex::new(Some(writer));
        Ok(Arc::new(Log { url: url.clone(), shared, writer }))
    }

    /// How many partitions the log has, numbered from 0.
    pub fn partitions(&self) -> u32 {
        self.shared.store.partitions()
    }

    /// What tells this log from any other: 32 hexadecimal digits, made with the log.
    pub fn identity(&self) -> String {
        format!("{:032x}", self.shared.store.id())
    }

    /// The partition's name for people.
    fn partition_name(partition: Partition) -> String {
        format!("log/{partition}")
    }

    fn file_error(&self, reason: String) -> SourceError {
        SourceError::File {
            path: self.shared.store.path().display().to_string(),
            error: io::Error::other(reason),
        }
    }
}

impl EventLog for Log {
    /// What is refused at once, because it is too large or too much waits, is told to `done` within the call.
    fn append(&self, batch: Batch, done: Done) {
        if batch.is_empty() {
            return done(Ok(()));
        }
        if let Some((index, bytes)) = too_large(&batch) {
            self.shared.counts.failed();
            let reason = format!("it has {bytes} bytes, and the log takes {MAX_RECORD_BYTES} at most");
            return done(Err(AppendError::Refused { index, reason }));
        }
        if let Err(refused) = self.shared.queue.push(Waiting { batch, done, since: clock::now() }) {
            self.shared.counts.full();
            (refused.done)(Err(AppendError::Full));
        }
    }

    fn stats(&self) -> AppendStats {
        self.shared.counts.stats(self.shared.queue.waiting_bytes(), self.shared.health.failed())
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.shared.queue.flush(deadline)
    }
}

impl Drop for Log {
    /// Waits until what was taken is written, and releases the file.
    fn drop(&mut self) {
        self.shared.queue.close();
        let writer = self.writer.lock().take();
        // A sender may let go of the log in its answer, which comes from the writer itself.
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != thread::current().id()) {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The first event that no block takes: its place and its payload's bytes.
fn too_large(batch: &Batch) -> Option<(usize, usize)> {
    let mut lengths = batch.iter().map(|(_, payload)| payload.len()).enumerate();
    lengths.find(|(_, bytes)| *bytes > MAX_RECORD_BYTES)
}
