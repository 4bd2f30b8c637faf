//! A sink that takes no ranking for a while now and then. What it was given and has not delivered is lost with the life that
//! gave it.

use crate::delivered::Delivered;
use crate::history::Configuration;
use crate::scheduler::{Life, Scheduler};
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_host::clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many rankings wait at most before the sink takes no more.
const MOST_WAITING: usize = 6;

/// The sink of one life.
pub struct Sink {
    /// Where it delivers.
    pub delivered: Arc<Delivered>,
    /// What its life has configured.
    pub configuration: Arc<Configuration>,
    /// By which it fails, and ends its life.
    pub scheduler: Arc<Scheduler>,
    /// The life that publishes to it.
    pub life: Life,
    /// The life is killed at its so many-th final ranking.
    pub last: Option<u64>,
    /// The probability that it begins to fail, each time it delivers.
    pub fails: f64,
    /// What was published and not delivered.
    pub waiting: Mutex<Waiting>,
}

/// What was published and not delivered.
#[derive(Default)]
pub struct Waiting {
    snapshots: Vec<Snapshot>,
    published: u64,
    fails_until: Option<Instant>,
}

impl Sink {
    /// Delivers what waits, unless it fails just now. Returns whether nothing waits any more.
    fn deliver(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let now = clock::now();
        if waiting.fails_until.is_some_and(|until| now < until) {
            return waiting.snapshots.is_empty();
        }
        if self.scheduler.happens(self.fails) {
            waiting.fails_until = Some(now + Duration::from_millis(self.scheduler.below(2_000)));
            return waiting.snapshots.is_empty();
        }
        waiting.snapshots.drain(..).for_each(|snapshot| self.delivered.take(&self.configuration, snapshot));
        true
    }
}

impl SnapshotSink for Sink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if !snapshot.is_final || self.scheduler.is_killed(self.life) {
            return;
        }
        {
            let mut waiting = self.waiting.lock();
            waiting.snapshots.push(Snapshot::clone(snapshot));
            waiting.published += 1;
            if self.last.is_some_and(|last| waiting.published >= last) {
                let kept = self.scheduler.below(waiting.snapshots.len() as u64 + 1) as usize;
                waiting
                    .snapshots
                    .drain(..kept)
                    .for_each(|snapshot| self.delivered.take(&self.configuration, snapshot));
                self.scheduler.kill(self.life);
                return;
            }
        }
        if self.scheduler.happens(0.3) {
            self.deliver();
        }
    }

    fn ready(&self) -> bool {
        self.waiting.lock().snapshots.len() < MOST_WAITING || self.deliver()
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        // A thread whose life was killed ends in the pause.
        if self.scheduler.is_killed(self.life) || !self.deliver() {
            crest_host::thread::sleep(clock::until(deadline).min(Duration::from_millis(50)));
        }
        if self.deliver() { Ok(()) } else { Err(SinkError::Write(std::io::ErrorKind::TimedOut.into())) }
    }
}
