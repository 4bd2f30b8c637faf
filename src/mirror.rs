//! An API node's rankings: those that a job publishes in Redis, kept fresh in memory.
//!
//! The whole-board rankings are always followed, a group's for as long as somebody asks for it. A thread looks at all
//! of them once a period; an answer that is in memory never waits for Redis. While Redis is away, the last known
//! rankings stay, with their true age.

mod asked;
mod follow;
mod shared;

pub use asked::Found;
pub use shared::{MirrorStats, Tended};

use crate::failure::Failure;
use asked::{Answer, Asked};
use crest_connectors::group_key::GroupKey;
use crest_connectors::memory::MemoryStore;
use crest_connectors::outage::Outage;
use crest_connectors::redis::{RankingName, RedisOptions, RedisReader};
use crest_state::spec::JobSpec;
use follow::Follower;
use parking_lot::{Condvar, Mutex};
use shared::{Shared, State};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for a ranking to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rankings of Redis, in memory.
pub struct Mirror {
    shared: Arc<Shared>,
}

impl Mirror {
    /// Connects, reads what there is, and starts the thread that looks again after every period.
    ///
    /// # Errors
    /// Options that make no sense; Redis cannot be reached within about 5 s, or refuses.
    pub fn start(options: RedisOptions, spec: Arc<JobSpec>, every: Duration) -> Result<Arc<Self>, Failure> {
        let reader = RedisReader::open(options)?;
        let state = State {
            asked: Asked::new(every),
            stats: MirrorStats::default(),
            tended: HashMap::new(),
            outage: Outage::default(),
            closed: false,
        };
        let store = Arc::new(MemoryStore::new());
        let shared = Arc::new(Shared { store, spec, state: Mutex::new(state), work: Condvar::new() });
        let mut follower = Follower::new(shared.clone(), reader, every);
        follower.first_round().map_err(Failure::of)?;
        let thread = std::thread::Builder::new().name("mirror".into());
        thread.spawn(move || follower.run()).map_err(Failure::thread("follows Redis"))?;
        Ok(Arc::new(Mirror { shared }))
    }

    /// Where the rankings are.
    pub fn store(&self) -> Arc<MemoryStore> {
        self.shared.store.clone()
    }

    /// Notes that a ranking is wanted. What is not in the store is read first, for which the caller waits at most 2 s.
    pub async fn want(&self, board: &str, window: &str, group: &GroupKey) -> Found {
        let Some(name) = self.shared.name(board, window, group) else { return Found::Absent };
        let found = match self.ask(&name) {
            Answer::Known(found) => found,
            Answer::Wait(answer) => {
                self.shared.work.notify_one();
                match tokio::time::timeout(PATIENCE, answer).await {
                    Ok(Ok(found)) => found,
                    _ => Found::Unreachable,
                }
            }
        };
        // Whatever became of it in Redis, the last known ranking is better than none.
        if self.shared.holds(&name) { Found::Here } else { found }
    }

    /// What the mirror has done, and how it is.
    pub fn stats(&self) -> MirrorStats {
        let state = self.shared.state.lock();
        MirrorStats { disconnected_for: state.outage.age(), ..state.stats }
    }

    /// Whether somebody keeps a window's rankings fresh.
    pub fn tended(&self, board: &Arc<str>, window: &Arc<str>) -> Tended {
        let state = self.shared.state.lock();
        match (state.outage.is_on(), state.tended.get(&(board.clone(), window.clone()))) {
            (true, _) => Tended::Unknown,
            (false, tended) => tended.copied().unwrap_or(Tended::Gone { refresh: None }),
        }
    }

    fn ask(&self, name: &RankingName) -> Answer {
        let mut state = self.shared.state.lock();
        let lost = state.outage.is_on();
        // Those of the whole board are read in every round.
        match (name.group.is_whole(), lost) {
            (true, true) => Answer::Known(Found::Unreachable),
            (true, false) => Answer::Known(Found::Absent),
            (false, _) => state.asked.ask(name, lost),
        }
    }
}

impl Drop for Mirror {
    /// Lets the thread go.
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_one();
    }
}

#[cfg(test)]
mod tests;
