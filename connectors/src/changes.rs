//! What entered, left or overtook from one final ranking to the next, told to whoever wants to know.
//!
//! In: the final rankings of one window, in the order of their ends, and the one that an earlier run published last. Out: for
//! each ranking in which something changed, one message, with an id that a replay does not change. Always holds: what is
//! told of a ranking follows from it and the one before alone, so a run that goes on tells the same as one that was not
//! interrupted. **Costs**: the ranking before of each group is kept.

mod compare;
mod event;
mod watch;
mod webhook;

pub use watch::Watch;
pub use webhook::{Webhook, WebhookCourier};

use crate::group_key::GroupKey;
use crate::outbox::Message;
use crate::outbox_sink::Writer;
use crate::snapshot::Snapshot;
use compare::changes;
use event::message;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Makes a message of what changed in a ranking.
pub struct Changes {
    watch: Watch,
    /// The ranking before of each group, unless that was empty.
    before: Mutex<HashMap<GroupKey, Arc<Snapshot>>>,
}

impl Changes {
    /// Of the window that is watched.
    pub fn new(watch: Watch) -> Self {
        Changes { watch, before: Mutex::default() }
    }

    fn is_watched(&self, snapshot: &Snapshot) -> bool {
        let Snapshot { board, window, group, .. } = snapshot;
        snapshot.is_final && snapshot.rising.is_none() && self.watch.selection.has(board, window, group)
    }

    /// Keeps a ranking, and returns the one before, if that was not empty.
    fn keep(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        let mut before = self.before.lock();
        match snapshot.items.is_empty() {
            true => before.remove(&snapshot.group),
            false => before.insert(snapshot.group.clone(), snapshot.clone()),
        }
    }

    fn tell(&self, snapshot: &Snapshot, before: Option<&Snapshot>) -> Option<Message> {
        let Watch { k, certain, .. } = self.watch;
        let found = changes(before, snapshot, k, certain);
        if found.is_empty() {
            return None;
        }
        let failed =
            |error| tracing::error!(%error, watch = self.watch.name, "changes cannot be written as JSON");
        message(&self.watch, snapshot, &found).map_err(failed).ok()
    }
}

impl Writer for Changes {
    fn write(&self, snapshot: &Arc<Snapshot>) -> Option<Message> {
        if !self.is_watched(snapshot) {
            return None;
        }
        let before = self.keep(snapshot);
        self.tell(snapshot, before.as_deref())
    }

    /// The first one of a group is what an earlier run has told of. After that it is one of a window without events, which
    /// all have left.
    fn pass_over(&self, snapshot: &Arc<Snapshot>) -> Option<Message> {
        let before = self.is_watched(snapshot).then(|| self.keep(snapshot))??;
        self.tell(snapshot, Some(&before))
    }
}

#[cfg(test)]
mod tests;
