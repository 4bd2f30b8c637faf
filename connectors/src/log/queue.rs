//! What waits to be written: a bounded number of bytes, in the order in which they came.

use crate::append::{Batch, Done};
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::time::Instant;

/// What an event takes in memory beside its bytes.
const EVENT_BYTES: usize = 16;

/// A batch that was taken and is not kept yet.
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) done: Done,
    /// When it was taken.
    pub(super) since: Instant,
}

impl Waiting {
    /// What it takes in memory.
    fn held(&self) -> usize {
        self.batch.bytes() + self.batch.len() * EVENT_BYTES
    }
}

/// The queue between the callers that append and the thread that writes.
pub(super) struct Queue {
    limit: usize,
    state: Mutex<Queued>,
    /// Something came, or the queue was closed.
    came: Condition,
    /// Batches were settled.
    settled: Condition,
}

#[derive(Default)]
struct Queued {
    batches: Vec<Waiting>,
    /// In memory, with those that are being written.
    held: usize,
    /// Bytes of keys and payloads among them.
    bytes: u64,
    /// Batches ever taken, and settled, which goes in their order.
    taken: u64,
    settled: u64,
    closed: bool,
}

impl Queue {
    /// An empty one for so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Queue { limit, state: Mutex::default(), came: Condition::new(), settled: Condition::new() }
    }

    /// Takes a batch, or gives it back where too much waits.
    pub(super) fn push(&self, waiting: Waiting) -> Result<(), Waiting> {
        let mut state = self.state.lock();
        let held = waiting.held();
        if state.held + held > self.limit {
            return Err(waiting);
        }
        state.held += held;
        state.bytes += waiting.batch.bytes() as u64;
        state.taken += 1;
        state.batches.push(waiting);
        self.came.notify_one();
        Ok(())
    }

    /// What waits, in its order, of about `limit` bytes at most; nothing at `until` where nothing came; `None` once
    /// the queue is closed and empty.
    pub(super) fn take(&self, limit: usize, until: Instant) -> Option<Vec<Waiting>> {
        let mut state = self.state.lock();
        let idle = |state: &mut Queued| state.batches.is_empty() && !state.closed;
        self.came.wait_while_until(&mut state, idle, until);
        if state.batches.is_empty() {
            return (!state.closed).then(Vec::new);
        }
        let mut held = 0;
        let fits = |waiting: &&Waiting| {
            held += waiting.held();
            held <= limit
        };
        // The first one goes however large it is.
        let count = state.batches.iter().take_while(fits).count().max(1);
        let rest = state.batches.split_off(count);
        Some(std::mem::replace(&mut state.batches, rest))
    }

    /// Makes room for as much as this batch took.
    pub(super) fn release(&self, waiting: &Waiting) {
        let mut state = self.state.lock();
        state.held -= waiting.held();
        state.bytes -= waiting.batch.bytes() as u64;
    }

    /// So many of the oldest batches were kept or given up, and their senders have heard of it.
    pub(super) fn settle(&self, batches: usize) {
        self.state.lock().settled += batches as u64;
        self.settled.notify_all();
    }

    /// Waits until all that was taken by now is settled, at most until `deadline`; whether it is.
    pub(super) fn flush(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        let taken = state.taken;
        self.settled.wait_while_until(&mut state, |state| state.settled < taken, deadline);
        state.settled >= taken
    }

    /// Bytes that wait.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// What waits is still to be written, and no more will come.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.came.notify_one();
    }
}
