//! The one thread that writes: takes what waits, makes blocks of it, commits them together, and tells each sender.
//! Between commits it deletes what is over.

use super::block::{Draft, Encoder, Key};
use super::queue::Waiting;
use super::retention::Step;
use super::shared::Shared;
use super::store::{Extent, Failure, bytes_in_file};
use crate::append::{AppendError, Batch};
use crest_host::clock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// One commit takes so many bytes at most, so that the first of a long queue need not wait for the last.
const COMMIT_BYTES: usize = 16 << 20;
/// How often what is over is looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// How often the thread looks after the file when nothing comes.
const TICK: Duration = Duration::from_secs(1);
/// How soon it goes on where there was more than one step deletes.
const RETENTION_PAUSE: Duration = Duration::from_millis(100);

/// What the thread works with.
pub(super) struct Writer {
    shared: Arc<Shared>,
    encoder: Encoder,
    /// The partitions as they were after the last commit.
    extents: Vec<Extent>,
    /// Where the next batch's events without a key go.
    turn: u64,
    retention_due: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, encoder: Encoder, extents: Vec<Extent>) -> Self {
        Writer { shared, encoder, extents, turn: 0, retention_due: clock::now() }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(batches) = self.shared.queue.take(COMMIT_BYTES, self.next_look()) {
            let outcome = if batches.is_empty() { self.mend() } else { self.write(&batches) };
            self.tell_people(outcome.as_ref().err());
            self.settle(batches, outcome);
            if clock::now() >= self.retention_due {
                self.delete_what_is_over();
            }
        }
    }

    fn next_look(&self) -> Instant {
        self.retention_due.min(clock::now() + TICK)
    }

    /// Commits the batches: all of them, or nothing.
    fn write(&mut self, batches: &[Waiting]) -> Result<(), Failure> {
        self.shared.health.begin();
        self.mend()?;
        let drafts = self.draft(batches);
        let (blocks, after) = self.encode(&drafts);
        self.shared.store.append(&blocks, &self.extents, &after)?;
        self.adopt(after);
        Ok(())
    }

    /// Opens the file again where a failure has closed it.
    fn mend(&mut self) -> Result<(), Failure> {
        if !self.shared.store.is_open() {
            let found = self.shared.store.reopen().map_err(|reason| Failure { reason, open: false })?;
            self.adopt(found);
        }
        Ok(())
    }

    /// The partitions are so now.
    fn adopt(&mut self, extents: Vec<Extent>) {
        self.shared.publish(&extents);
        self.extents = extents;
    }

    /// The batches' payloads by partition, in blocks.
    fn draft(&mut self, batches: &[Waiting]) -> Vec<Vec<Draft>> {
        let partitions = self.extents.len() as u64;
        let mut drafts: Vec<Vec<Draft>> = self.extents.iter().map(|_| Vec::new()).collect();
        for Waiting { batch, .. } in batches {
            let without_key = (self.turn % partitions) as usize;
            self.turn = self.turn.wrapping_add(1);
            for (key, payload) in batch.iter() {
                let partition =
                    if key.is_empty() { without_key } else { (xxh3_64(key) % partitions) as usize };
                let blocks = &mut drafts[partition];
                match blocks.last_mut() {
                    Some(last) if !last.is_full_for(payload.len()) => last.push(payload),
                    _ => {
                        let mut draft = Draft::default();
                        draft.push(payload);
                        blocks.push(draft);
                    }
                }
            }
        }
        drafts
    }

    /// The blocks as they are stored, and what the partitions are with them.
    fn encode(&mut self, drafts: &[Vec<Draft>]) -> (Vec<(Key, Vec<u8>)>, Vec<Extent>) {
        let now = (self.shared.clock)();
        let mut blocks = Vec::new();
        let mut after = self.extents.clone();
        for ((partition, extent), drafts) in (0..).zip(&mut after).zip(drafts) {
            for draft in drafts {
                // A clock that was set back does not take time back.
                extent.appended = extent.appended.max(now);
                let key = (partition, extent.next);
                let block = self.encoder.encode(draft, key, extent.appended);
                extent.next += u64::from(draft.records);
                extent.bytes += bytes_in_file(block.len());
                blocks.push((key, block));
            }
        }
        (blocks, after)
    }

    /// Tells each sender what became of its batch.
    fn settle(&self, batches: Vec<Waiting>, outcome: Result<(), Failure>) {
        let count = batches.len();
        for waiting in batches {
            self.shared.queue.release(&waiting);
            let answer = match &outcome {
                Ok(()) => Ok(()),
                Err(failure) => Err(refusal(failure, &waiting.batch)),
            };
            match answer {
                Ok(()) => {
                    self.shared.counts.kept(waiting.batch.len(), waiting.batch.bytes(), waiting.since);
                }
                Err(_) => self.shared.counts.failed(),
            }
            (waiting.done)(answer);
        }
        self.shared.queue.settle(count);
    }

    fn tell_people(&self, failure: Option<&Failure>) {
        let path = self.shared.store.path().display();
        match (self.shared.health.end(failure.is_some()), failure) {
            (true, Some(failure)) => {
                tracing::error!("{path}: the file fails, and events are refused: {}", failure.reason);
            }
            (true, None) => tracing::info!("{path}: the file is in order again"),
            (false, _) => {}
        }
    }

    fn delete_what_is_over(&mut self) {
        let Shared { store, retention, clock, .. } = &*self.shared;
        let mut next = RETENTION_INTERVAL;
        match retention.step(store, &self.extents, clock()) {
            Ok(Step::Nothing) => {}
            Ok(Step::Done(after)) => self.adopt(after),
            Ok(Step::More(after)) => {
                self.adopt(after);
                next = RETENTION_PAUSE;
            }
            Err(failure) => {
                tracing::warn!(
                    "{}: old events cannot be deleted: {}",
                    store.path().display(),
                    failure.reason
                );
            }
        }
        self.retention_due = clock::now() + next;
    }
}

/// What the sender of a batch hears of a failure.
fn refusal(failure: &Failure, batch: &Batch) -> AppendError {
    let reason = failure.reason.clone();
    if failure.open {
        AppendError::Partly { kept: 0, of: batch.len(), reason }
    } else {
        AppendError::Unavailable(reason)
    }
}
