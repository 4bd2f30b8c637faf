//! The heartbeat of a job: while it lives, its manifest is written at least every two seconds, so that a process that
//! stands by sees that it does.

use crate::commit_queue::CommitQueue;
use crate::error::StateFailure;
use crate::lease::{Heartbeat, LEASE, Lease};
use crate::manifest::Manifest;
use crate::manifest_writer::ManifestWriter;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// The pause after a heartbeat that could not be written.
const AGAIN: Duration = Duration::from_millis(200);

/// Ends the heartbeat of a run, when it is dropped or before.
#[derive(Default)]
pub(super) struct Heart {
    phase: Arc<(Mutex<Phase>, Condition)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// There is no thread.
    #[default]
    Still,
    Beats,
    /// The last beat is to say that the state is free.
    Releases,
    Abandoned,
}

impl Heart {
    /// Starts the thread that beats, unless it was started. `manifests` writes the job's part.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        &self,
        manifests: ManifestWriter,
        lease: Arc<Lease>,
        queue: Arc<CommitQueue>,
    ) -> Result<(), StateFailure> {
        let phase = self.phase.clone();
        {
            let mut phase = phase.0.lock();
            if *phase != Phase::Still {
                return Ok(());
            }
            *phase = Phase::Beats;
        }
        let beating = Beating { manifests, lease, queue, phase, warned: false };
        let started = crest_host::thread::spawn("heartbeat", move || beating.run());
        started.map(|_| ()).map_err(|error| StateFailure::Thread(error.to_string()))
    }

    /// Has the last beat say that the job was stopped, and waits for it, for at most so long.
    pub(super) fn release(&self, patience: Duration) {
        let (phase, changed) = &*self.phase;
        let mut phase = phase.lock();
        if *phase == Phase::Beats {
            *phase = Phase::Releases;
            changed.notify_all();
        }
        changed.wait_while_for(&mut phase, |phase| *phase == Phase::Releases, patience);
    }
}

impl Drop for Heart {
    /// The thread ends when its next beat is due. It is not woken: who drops the state last, and when, is up to the system.
    fn drop(&mut self) {
        *self.phase.0.lock() = Phase::Abandoned;
    }
}

/// The thread's own data.
struct Beating {
    manifests: ManifestWriter,
    lease: Arc<Lease>,
    queue: Arc<CommitQueue>,
    phase: Arc<(Mutex<Phase>, Condition)>,
    warned: bool,
}

impl Beating {
    fn run(mut self) {
        loop {
            match self.wait() {
                Phase::Beats => {}
                Phase::Releases => {
                    let _ = self.beat(true);
                    return self.end();
                }
                Phase::Still | Phase::Abandoned => return,
            }
            match self.beat(false) {
                Ok(true) => self.note_written(),
                Ok(false) => self.note_missed(),
                Err(failure) => {
                    self.queue.fail(failure);
                    return self.end();
                }
            }
        }
    }

    /// Waits until a beat is due or the phase changes.
    fn wait(&self) -> Phase {
        let (phase, changed) = &*self.phase;
        let mut phase = phase.lock();
        loop {
            let due = self.lease.due();
            if *phase != Phase::Beats || due.is_zero() {
                return *phase;
            }
            changed.wait_for(&mut phase, due);
        }
    }

    fn end(&self) {
        *self.phase.0.lock() = Phase::Still;
        self.phase.1.notify_all();
    }

    /// Tries once to write the next beat. The committer writes manifests, too: what it has changed is taken over first.
    fn beat(&mut self, released: bool) -> Result<bool, StateFailure> {
        self.manifests.look()?;
        let next = |manifest: &mut Manifest| {
            manifest.heartbeat = Some(Heartbeat::after(manifest.heartbeat.as_ref(), released));
        };
        self.manifests.try_change(next)
    }

    fn note_written(&mut self) {
        if std::mem::take(&mut self.warned) {
            tracing::info!("the manifest can be written again");
        }
    }

    fn note_missed(&mut self) {
        if !self.lease.is_held() && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "the manifest could not be written for {} s, and a standby may take over: no final ranking is published",
                LEASE.as_secs()
            );
        }
        let (phase, changed) = &*self.phase;
        let mut phase = phase.lock();
        if *phase == Phase::Beats {
            changed.wait_for(&mut phase, AGAIN);
        }
    }
}
