//! A batch on its way: counts down as its records are settled, and tells its sender after the last one.

use super::fate::Fate;
use crate::append::{AppendError, Batch, Done, MAX_WAITING_BYTES};
use crate::append_counts::AppendCounts;
use crest_host::clock;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What librdkafka holds in memory of a record beside its bytes, about.
const RECORD_BYTES: usize = 160;

/// All batches on their way, whose memory is bounded.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) counts: AppendCounts,
    held: Mutex<Held>,
    changed: Condition,
}

#[derive(Clone, Copy, Default)]
struct Held {
    batches: usize,
    /// Keys and payloads.
    bytes: usize,
    records: usize,
}

impl Waiting {
    /// Makes room for a batch; `false` where there is none.
    fn admit(&self, batch: &Batch) -> bool {
        let mut held = self.held.lock();
        let (bytes, records) = (held.bytes + batch.bytes(), held.records + batch.len());
        if bytes + records * RECORD_BYTES > MAX_WAITING_BYTES {
            return false;
        }
        *held = Held { batches: held.batches + 1, bytes, records };
        true
    }

    fn release(&self, bytes: usize, records: usize) {
        let mut held = self.held.lock();
        held.bytes -= bytes;
        held.records -= records;
    }

    fn settled(&self) {
        self.held.lock().batches -= 1;
        self.changed.notify_all();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.held.lock().bytes as u64
    }

    /// Waits until nothing is on its way, at most until `deadline`; whether that is so.
    pub(super) fn flush(&self, deadline: Instant) -> bool {
        let mut held = self.held.lock();
        self.changed.wait_while_until(&mut held, |held| held.batches > 0, deadline);
        held.batches == 0
    }
}

/// One batch; each of its records holds it.
pub(super) struct InFlight {
    waiting: Arc<Waiting>,
    since: Instant,
    bytes: usize,
    records: usize,
    /// Records that are not settled.
    left: AtomicUsize,
    kept: AtomicUsize,
    unknown: AtomicUsize,
    end: Mutex<End>,
}

struct End {
    done: Option<Done>,
    /// Why the first record that failed did.
    reason: Option<String>,
}

impl InFlight {
    /// Takes a batch that has records, or gives `done` back where too much is on its way.
    pub(super) fn new(waiting: &Arc<Waiting>, batch: &Batch, done: Done) -> Result<Arc<Self>, Done> {
        if !waiting.admit(batch) {
            return Err(done);
        }
        Ok(Arc::new(InFlight {
            waiting: waiting.clone(),
            since: clock::now(),
            bytes: batch.bytes(),
            records: batch.len(),
            left: AtomicUsize::new(batch.len()),
            kept: AtomicUsize::new(0),
            unknown: AtomicUsize::new(0),
            end: Mutex::new(End { done: Some(done), reason: None }),
        }))
    }

    /// So many of its records have met this fate.
    pub(super) fn settle(&self, records: usize, fate: Fate, reason: Option<String>) {
        if let Some(reason) = reason {
            self.end.lock().reason.get_or_insert(reason);
        }
        match fate {
            Fate::Kept => self.kept.fetch_add(records, Ordering::Relaxed),
            Fate::Unknown => self.unknown.fetch_add(records, Ordering::Relaxed),
            Fate::Dropped => 0,
        };
        // The call that settles the last record sees what all others have counted.
        if self.left.fetch_sub(records, Ordering::AcqRel) == records {
            let outcome = self.outcome();
            self.finish(outcome);
        }
    }

    /// Refuses the batch, of which nothing was sent.
    pub(super) fn refuse(&self, error: AppendError) {
        self.left.store(0, Ordering::Relaxed);
        self.finish(Err(error));
    }

    fn outcome(&self) -> Result<(), AppendError> {
        let (kept, of) = (self.kept.load(Ordering::Relaxed), self.records);
        if kept == of {
            return Ok(());
        }
        let reason = self.end.lock().reason.clone().unwrap_or_default();
        match self.unknown.load(Ordering::Relaxed) {
            0 if kept == 0 => Err(AppendError::Unavailable(reason)),
            _ => Err(AppendError::Partly { kept, of, reason }),
        }
    }

    fn finish(&self, outcome: Result<(), AppendError>) {
        self.waiting.release(self.bytes, self.records);
        match &outcome {
            Ok(()) => self.waiting.counts.kept(self.records, self.bytes, self.since),
            Err(AppendError::Full) => self.waiting.counts.full(),
            Err(_) => self.waiting.counts.failed(),
        }
        let done = self.end.lock().done.take();
        if let Some(done) = done {
            done(outcome);
        }
        self.waiting.settled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn batch(records: usize, bytes: usize) -> Batch {
        let mut batch = Batch::default();
        (0..records).for_each(|_| batch.push(b"", &vec![0; bytes]));
        batch
    }

    fn taken(waiting: &Arc<Waiting>, batch: &Batch) -> (Arc<InFlight>, Receiver<Result<(), AppendError>>) {
        let (told, hear) = channel();
        let done = Box::new(move |outcome| told.send(outcome).unwrap());
        (InFlight::new(waiting, batch, done).ok().expect("there is room"), hear)
    }

    #[test]
    fn the_sender_hears_once_after_the_last_record() {
        let partly = |kept| AppendError::Partly { kept, of: 3, reason: "first".into() };
        use Fate::{Dropped, Kept, Unknown};
        for (fates, expected) in [
            ([Kept, Kept, Kept], Ok(())),
            ([Dropped, Dropped, Dropped], Err(AppendError::Unavailable("first".into()))),
            ([Kept, Dropped, Kept], Err(partly(2))),
            ([Dropped, Unknown, Dropped], Err(partly(0))),
        ] {
            let waiting = Arc::new(Waiting::default());
            let (flight, hear) = taken(&waiting, &batch(3, 10));
            assert_eq!((waiting.bytes(), waiting.flush(Instant::now())), (30, false));
            for (index, fate) in fates.into_iter().enumerate() {
                assert!(hear.try_recv().is_err());
                let reason = ["first", "second", "third"][index];
                flight.settle(1, fate, (fate != Kept).then(|| reason.replace("second", "first")));
            }
            assert_eq!(hear.try_recv().unwrap(), expected);
            assert_eq!((waiting.bytes(), waiting.flush(Instant::now())), (0, true));
            let stats = waiting.counts.stats(0, false);
            assert_eq!((stats.batches, stats.failed), if expected.is_ok() { (1, 0) } else { (0, 1) });
        }
    }

    #[test]
    fn memory_is_bounded_by_bytes_and_by_records() {
        for batch in [batch(1, 1 << 20), batch(10_000, 0)] {
            let waiting = Arc::new(Waiting::default());
            let mut flights = Vec::new();
            while let Ok(flight) = InFlight::new(&waiting, &batch, Box::new(|_| ())) {
                flights.push(flight);
                assert!(flights.len() <= 64);
            }
            assert!(flights.len() > 40);
            flights[0].refuse(AppendError::Full);
            assert!(InFlight::new(&waiting, &batch, Box::new(|_| ())).is_ok());
        }
    }
}
