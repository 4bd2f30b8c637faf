//! The contract of a log that events are written to: Kafka, or the embedded one. What the API accepts is a batch, and
//! its sender hears of it once all of it will outlive the process.

use std::time::{Duration, Instant};

/// Bytes of batches that a log has taken and that are not kept yet, with what it holds beside each event: more is refused.
/// A batch that is larger by itself is never taken.
pub const MAX_WAITING_BYTES: usize = 64 << 20;

/// Events of one request, in their order: each its key (the item, which chooses the partition) and its payload (one
/// object of JSON without a line end).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each event's key and payload end.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    /// Nothing, with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Batch { bytes: Vec::with_capacity(bytes), ends: Vec::new() }
    }

    /// Adds an event.
    pub fn push(&mut self, key: &[u8], payload: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of keys and payloads together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Key and payload of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let mut begin = 0;
        self.ends.iter().map(move |&(key, end)| {
            let event = (&self.bytes[begin..key], &self.bytes[key..end]);
            begin = end;
            event
        })
    }
}

/// Called once: when the batch is kept, or will not be, from a thread of the log's; where the batch is refused at once,
/// from within [`EventLog::append`]. It must not block.
pub type Done = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

/// Where events are written.
pub trait EventLog: Send + Sync {
    /// Takes a batch and returns at once, or refuses it at once; `done` hears which. A log holds a bounded number of
    /// bytes that are not yet kept, and refuses what would exceed it.
    fn append(&self, batch: Batch, done: Done);

    /// What became of the batches so far.
    fn stats(&self) -> AppendStats;

    /// Waits until all that was taken is kept or was given up, at most until `deadline`; whether it is.
    fn flush(&self, deadline: Instant) -> bool;
}

/// Why a batch was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much waits already; nothing of the batch was taken.
    #[error("too much waits to be written")]
    Full,
    /// The log cannot be written to just now; nothing of the batch was kept.
    #[error("{0}")]
    Unavailable(String),
    /// An event that this log never takes (Kafka's `message.max.bytes`); nothing of the batch was kept.
    #[error("event {index}: {reason}")]
    Refused {
        /// Its place in the batch, from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// Nobody knows of all events whether they were kept: some were, or may have been.
    #[error("{kept} of {of} events are known to be kept: {reason}")]
    Partly {
        /// Known to be kept.
        kept: usize,
        /// In the batch.
        of: usize,
        /// Why the others are not.
        reason: String,
    },
}

/// Counters of a log since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendStats {
    /// Events kept.
    pub events: u64,
    /// Bytes of keys and payloads kept.
    pub bytes: u64,
    /// Batches kept.
    pub batches: u64,
    /// Batches refused since too much waited.
    pub full: u64,
    /// Batches that failed otherwise.
    pub failed: u64,
    /// Bytes that wait just now.
    pub waiting_bytes: u64,
    /// From `append` to `done`, over all batches that were kept.
    pub time: Duration,
    /// Whether the last attempt to write failed.
    pub unavailable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_its_events_apart_and_in_order() {
        let mut batch = Batch::with_capacity(10);
        assert!(batch.is_empty());
        batch.push(b"a", b"{}");
        batch.push(b"", b"");
        batch.push(b"bc", b"{\"x\":1}");
        let events: Vec<(&[u8], &[u8])> = batch.iter().collect();
        assert_eq!(events, [(&b"a"[..], &b"{}"[..]), (b"", b""), (b"bc", b"{\"x\":1}")]);
        assert_eq!((batch.len(), batch.bytes(), batch.iter().len()), (3, 12, 3));
    }
}
