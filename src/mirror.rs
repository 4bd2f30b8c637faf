//! An API node's rankings: those that a job publishes in Redis, kept fresh in memory.
//!
//! The whole-board rankings are always followed, a group's for as long as somebody asks for it. A thread looks at all
//! of them once a period; an answer that is in memory never waits for Redis. While Redis is away, the last known
//! rankings stay, with their true age.

mod asked;
mod follow;

use crate::Failure;
use asked::{Answer, Asked};
use crest_connectors::memory::MemoryStore;
use crest_connectors::redis::{RankingName, RedisOptions, RedisReader, Tending};
use crest_connectors::snapshot::{SinkError, group_text, parse_group};
use crest_dataflows::route::MAX_DIMENSION_BYTES;
use crest_dataflows::spec::JobSpec;
use follow::Follower;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one who asks waits for a ranking to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rankings of Redis, in memory.
pub struct Mirror {
    shared: Arc<Shared>,
}

/// Whether a ranking that was asked for can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is in the store.
    Here,
    /// There is none: no event of that group, or no such board, window or group.
    Absent,
    /// Nobody can say: Redis is away or slow, or what it holds there is damaged, and none was read before.
    Unreachable,
}

/// Whether somebody keeps a window's rankings fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// A job does.
    Alive(Tending),
    /// None does just now; how often the last one showed open windows, if one was there.
    Gone {
        /// As it told.
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
    /// Since when Redis cannot be read.
    pub disconnected_for: Option<Duration>,
}

/// What the thread shares with those who ask.
struct Shared {
    store: Arc<MemoryStore>,
    spec: Arc<JobSpec>,
    state: Mutex<State>,
    /// For the thread: somebody waits for a ranking, or the mirror was dropped.
    work: Condvar,
}

struct State {
    asked: Asked,
    stats: MirrorStats,
    /// By board and window.
    tended: HashMap<(Arc<str>, Arc<str>), Tended>,
    lost_since: Option<Instant>,
    closed: bool,
}

impl Mirror {
    /// Connects, reads what there is, and starts the thread that looks again after every period.
    ///
    /// # Errors
    /// Options that make no sense; Redis cannot be reached within about 5 s, or refuses.
    pub fn start(options: RedisOptions, spec: Arc<JobSpec>, every: Duration) -> Result<Arc<Self>, Failure> {
        let reader = RedisReader::open(options).map_err(|error| match error {
            SinkError::Invalid { .. } => Failure::Usage(error.to_string()),
            error => Failure::of(error),
        })?;
        let state = State {
            asked: Asked::new(every),
            stats: MirrorStats::default(),
            tended: HashMap::new(),
            lost_since: None,
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

    /// Notes that a ranking is wanted, the group as text (`region=IN`), empty for the whole board. What is not in the
    /// store is read first, for which the caller waits at most 2 s.
    pub async fn want(&self, board: &str, window: &str, group: &str) -> Found {
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
        let state = self.shared.lock();
        MirrorStats { disconnected_for: state.lost_since.map(|since| since.elapsed()), ..state.stats }
    }

    /// Whether somebody keeps a window's rankings fresh.
    pub fn tended(&self, board: &Arc<str>, window: &Arc<str>) -> Tended {
        let state = self.shared.lock();
        match (state.lost_since, state.tended.get(&(board.clone(), window.clone()))) {
            (Some(_), _) => Tended::Unknown,
            (None, tended) => tended.copied().unwrap_or(Tended::Gone { refresh: None }),
        }
    }

    fn ask(&self, name: &RankingName) -> Answer {
        let mut state = self.shared.lock();
        let lost = state.lost_since.is_some();
        // Those of the whole board are read in every round.
        match (name.group.is_empty(), lost) {
            (true, true) => Answer::Known(Found::Unreachable),
            (true, false) => Answer::Known(Found::Absent),
            (false, _) => state.asked.ask(name, lost),
        }
    }
}

impl Drop for Mirror {
    /// Lets the thread go.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, name: &RankingName) -> bool {
        self.store.latest(&name.board, &name.window, &group_text(&name.group)).is_some()
    }

    /// The ranking's name, where the job can have one of that name.
    fn name(&self, board: &str, window: &str, group: &str) -> Option<RankingName> {
        let board = self.spec.boards.iter().find(|known| &*known.name == board)?;
        let window = board.windows.iter().find(|known| &*known.name == window)?;
        let group = parse_group(group)?;
        let known =
            |(name, value): (&String, &String)| board.by.contains(name) && value.len() <= MAX_DIMENSION_BYTES;
        let possible = group.len() == board.by.len() && group.iter().all(known);
        if !group.is_empty() && !possible {
            return None;
        }
        Some(RankingName { board: board.name.clone(), window: window.name.clone(), group: Arc::new(group) })
    }
}

#[cfg(test)]
mod tests;
