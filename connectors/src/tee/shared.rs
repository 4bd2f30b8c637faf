//! What the writers of a process share: the store, what is known of it, and the end.

use super::status::ArchiveStatus;
use crate::archive::delete_old;
use crate::outage::Outage;
use crate::state::StateStore;
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often what is too old is looked for, at most and at least.
const LOOK: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(600)];
/// How soon the end of the job is noticed.
const NAP: Duration = Duration::from_millis(200);

/// What the writers of a process share.
pub(super) struct Shared {
    store: StateStore,
    known: Mutex<Known>,
    changed: Condition,
    /// Set once what could not be written yet is given up.
    given_up: AtomicBool,
}

#[derive(Default)]
struct Known {
    status: ArchiveStatus,
    outage: Outage,
    writers: usize,
}

impl Shared {
    pub(super) fn new(store: StateStore) -> Arc<Shared> {
        let given_up = AtomicBool::new(false);
        Arc::new(Shared { store, known: Mutex::default(), changed: Condition::new(), given_up })
    }

    pub(super) fn status(&self) -> ArchiveStatus {
        self.known.lock().status.clone()
    }

    pub(super) fn writer_starts(&self) {
        self.known.lock().writers += 1;
    }

    pub(super) fn writer_ends(&self) {
        self.known.lock().writers -= 1;
        self.changed.notify_all();
    }

    /// Waits until all is written that readers have handed on, which must have ended. Returns false where it was not by
    /// then, and is given up.
    pub(super) fn finish(&self, deadline: Instant) -> bool {
        let mut known = self.known.lock();
        self.changed.wait_while_until(&mut known, |known| known.writers > 0, deadline);
        self.given_up.store(true, Ordering::Release);
        known.writers == 0 && known.status.held_bytes == 0
    }

    pub(super) fn gives_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        self.known.lock().status.calling = Some(clock::now());
        let put = self.store.put(name, bytes);
        self.known.lock().status.calling = None;
        put.map_err(|error| crate::archive::ArchiveError::Store(error).to_string())
    }

    pub(super) fn wrote(&self, records: u64, bytes: u64) {
        let mut known = self.known.lock();
        known.status.blocks += 1;
        known.status.records += records;
        known.status.bytes += bytes;
        known.status.waiting = None;
        if known.outage.end().is_some() {
            tracing::info!("the archive is in order again");
        }
    }

    pub(super) fn failed(&self, reason: String) {
        let mut known = self.known.lock();
        known.status.retries += 1;
        if known.outage.begin(reason.clone()) {
            tracing::warn!("{reason}: it is tried again, and the source waits once too much is held");
            known.status.waiting = Some((wall_clock_ms(), reason));
        }
    }

    /// A worker begins, or ends, to wait for the store.
    pub(super) fn holds_up(&self, begins: bool) {
        let held_up = &mut self.known.lock().status.held_up;
        *held_up = if begins { *held_up + 1 } else { held_up.saturating_sub(1) };
    }

    /// So many bytes were taken from the source.
    pub(super) fn hold(&self, bytes: usize) {
        self.known.lock().status.held_bytes += bytes as u64;
    }

    /// So many bytes are in the store.
    pub(super) fn let_go(&self, bytes: usize) {
        self.known.lock().status.held_bytes -= bytes as u64;
    }

    pub(super) fn gap(&self, offsets: u64) {
        self.known.lock().status.gap_offsets += offsets;
    }
}

/// Starts the thread that deletes what is older than `retention`. It ends with the job.
///
/// # Errors
/// It cannot be started.
pub(super) fn keep_for(retention: Duration, shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::downgrade(shared);
    crest_host::thread::spawn("archive-retention", move || delete_for_ever(retention, &shared)).map(drop)
}

fn delete_for_ever(retention: Duration, shared: &Weak<Shared>) {
    let interval = (retention / 10).clamp(LOOK[0], LOOK[1]);
    loop {
        let Some(found) = shared.upgrade() else { return };
        let age = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        match delete_old(&found.store, wall_clock_ms().saturating_sub(age)) {
            Ok(0) => {}
            Ok(deleted) => {
                found.known.lock().status.deleted += deleted as u64;
                tracing::debug!(deleted, "blocks of the archive were older than its retention");
            }
            // The writers tell of an outage, and the next round tries again.
            Err(error) => tracing::debug!(%error, "what is too old in the archive cannot be deleted"),
        }
        drop(found);
        let due = clock::now() + interval;
        while clock::now() < due {
            crest_host::thread::sleep(NAP.min(interval));
            if shared.strong_count() == 0 {
                return;
            }
        }
    }
}
