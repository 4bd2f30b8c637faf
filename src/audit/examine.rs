//! Asks the exact engine for the true counts of all that is claimed, and judges by them.

use super::board::Board;
use crate::failure::Failure;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::audit_probe::AuditProbe;
use crest_dataflows::status::JobView;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The boards under audit, which workers ask for at once.
pub struct Examination {
    boards: BTreeMap<Arc<str>, Mutex<Board>>,
    /// The exact engine's, which is stopped when the claims cannot be read any further.
    view: OnceLock<Arc<JobView>>,
    failure: Mutex<Option<Failure>>,
}

impl Examination {
    /// Examines these boards.
    pub fn new(boards: Vec<Board>) -> Self {
        let boards = boards.into_iter().map(|board| (board.spec.name.clone(), Mutex::new(board)));
        Examination { boards: boards.collect(), view: OnceLock::new(), failure: Mutex::default() }
    }

    /// Takes in a ranking that is to be judged, if its board is.
    pub fn claim(&self, snapshot: &Snapshot) {
        if let Some(board) = self.boards.get(&snapshot.board) {
            board.lock().claim(snapshot);
        }
    }

    /// Notes the view of the job that counts exactly.
    pub fn begin(&self, view: &Arc<JobView>) {
        let _ = self.view.set(view.clone());
    }

    /// Whether what is claimed could not be read, for which the job was stopped.
    pub fn failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// The boards in the order of their names, when the exact engine has come to its end.
    ///
    /// # Errors
    /// What is claimed could not be read.
    pub fn finish(&self) -> Result<Vec<MutexGuard<'_, Board>>, Failure> {
        if let Some(failure) = self.failure.lock().take() {
            return Err(failure);
        }
        let mut boards: Vec<MutexGuard<'_, Board>> = self.boards.values().map(Mutex::lock).collect();
        boards.iter_mut().try_for_each(|board| board.finish().map_err(Failure::of))?;
        let counted = self.view.get().map(|view| view.boards()).unwrap_or_default();
        let is_crowded = |name: &str| counted.get(name).is_some_and(|counts| counts.refused_weight > 0);
        let crowded = boards.iter_mut().filter(|board| is_crowded(&board.spec.name));
        crowded.for_each(|board| board.set_aside_groups());
        Ok(boards)
    }
}

impl AuditProbe for Examination {
    fn queries(&self, board: &str, window: &str, group: &GroupKey, window_end: i64) -> Option<Vec<Arc<str>>> {
        let Some(board) = self.boards.get(board) else { return Some(Vec::new()) };
        let mut board = board.lock();
        let asks = match board.reach(window_end) {
            Ok(true) => board.asks(window, group, window_end).map(Some).map_err(Failure::of),
            Ok(false) => Ok(None),
            Err(error) => Err(Failure::of(error)),
        };
        asks.unwrap_or_else(|failure| {
            self.failure.lock().get_or_insert(failure);
            self.view.get().inspect(|view| view.request_stop());
            None
        })
    }

    fn observe(&self, exact: &Snapshot, counts: &[u64]) {
        if let Some(board) = self.boards.get(&exact.board) {
            board.lock().answer(exact, counts);
        }
    }
}
