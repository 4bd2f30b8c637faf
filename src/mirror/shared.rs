//! What the thread that reads Redis shares with the requests.

use super::asked::Asked;
use crest_connectors::group_key::GroupKey;
use crest_connectors::memory::MemoryStore;
use crest_connectors::outage::Outage;
use crest_connectors::redis::{RankingName, Tending};
use crest_dataflows::route::MAX_DIMENSION_BYTES;
use crest_state::spec::JobSpec;
use parking_lot::{Condvar, Mutex};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether a job keeps a window's rankings fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// A job does.
    Alive(Tending),
    /// None does just now; how often the last one showed open windows, if one was there.
    Gone {
        /// The interval that it stated.
        refresh: Option<Duration>,
    },
    /// Redis cannot be read.
    Unknown,
}

/// What the mirror has done since its start, and how it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MirrorStats {
    /// Rankings that were read whole.
    pub reads: u64,
    /// Rankings that are followed just now.
    pub rankings: usize,
    /// Rounds that failed, and rankings that turned out to be damaged.
    pub failures: u64,
    /// How long the last round took, in milliseconds.
    pub last_read_ms: f64,
    /// Windows whose rankings no job writes that is alive.
    pub without_job: usize,
    /// For how long Redis has not been readable; `None` while it is.
    pub disconnected_for: Option<Duration>,
}

/// What the thread that reads Redis shares with the requests.
pub struct Shared {
    /// The rankings that were read.
    pub store: Arc<MemoryStore>,
    /// The job that publishes them.
    pub spec: Arc<JobSpec>,
    /// What changes.
    pub state: Mutex<State>,
    /// For the thread: somebody waits for a ranking, or the mirror was dropped.
    pub work: Condvar,
}

/// What changes of what is shared.
pub struct State {
    /// Which rankings are asked for.
    pub asked: Asked,
    /// What was done so far, but for the outage.
    pub stats: MirrorStats,
    /// By board and window.
    pub tended: HashMap<(Arc<str>, Arc<str>), Tended>,
    /// Whether Redis cannot be read just now.
    pub outage: Outage,
    /// Whether the mirror was dropped, and the thread is to end.
    pub closed: bool,
}

impl Shared {
    /// Whether a ranking is in memory.
    pub fn holds(&self, name: &RankingName) -> bool {
        self.store.latest(&name.board, &name.window, &name.group).is_some()
    }

    /// The ranking's name, where the job can have one of that name.
    pub fn name(&self, board: &str, window: &str, group: &GroupKey) -> Option<RankingName> {
        let board = self.spec.boards.iter().find(|known| &*known.name == board)?;
        let window = board.windows.iter().find(|known| &*known.name == window)?;
        let known = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            board.by.iter().any(|known| *known == name) && value.len() <= MAX_DIMENSION_BYTES
        };
        let possible = group.pairs().count() == board.by.len() && group.pairs().all(known);
        if !group.is_whole() && !possible {
            return None;
        }
        Some(RankingName { board: board.name.clone(), window: window.name.clone(), group: group.clone() })
    }
}
