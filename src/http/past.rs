//! The state, or those of several regions, as the API reads them: opened when it is first asked, and on threads of its own,
//! a few at a time.

use crest_connectors::state::StateStore;
use crest_state::error::StateRefusal;
use crest_state::histories::Histories;
use crest_state::history::{History, HistoryError};
use crest_state::inspect::Range;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions that are answered at one time.
const AT_A_TIME: usize = 4;
/// How long one may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer that can do without the state waits for it.
const GLANCE: Duration = Duration::from_secs(1);
/// How long it is good enough to know what is held.
const HELD_FRESH: Duration = Duration::from_secs(5);

/// Where a state is.
#[derive(Clone, Debug, PartialEq)]
pub struct StatePlace {
    /// The name of its region, where there are several.
    pub name: String,
    /// A folder, or `s3://…` and its kin.
    pub url: String,
    /// The options of a cloud's store, by the names of the `object_store` crate.
    pub options: BTreeMap<String, String>,
}

/// The state, or those of several regions, as the API reads them.
pub struct PastRankings {
    places: Vec<StatePlace>,
    /// The history; set once there is a manifest.
    history: OnceLock<Histories>,
    turns: Arc<Semaphore>,
    /// What is held, as it was when it was last looked at.
    held: Mutex<Option<(Instant, Option<Range>)>>,
    /// From when on boards were counted, as it was when it was last looked at.
    since: Mutex<Option<(Instant, BTreeMap<String, i64>)>>,
}

impl PastRankings {
    /// Reads stores, at least one, which are opened when they are asked for the first time.
    pub fn new(places: Vec<StatePlace>) -> Self {
        PastRankings {
            places,
            history: OnceLock::new(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            held: Mutex::default(),
            since: Mutex::default(),
        }
    }

    /// From where to where the past is held, gaps aside, as it was some seconds ago; `None` before anything is.
    pub async fn held(self: &Arc<Self>) -> Option<Range> {
        let known = *self.held.lock();
        if let Some((_, held)) = known.filter(|(at, _)| at.elapsed() < HELD_FRESH) {
            return held;
        }
        let theirs = self.clone();
        let look = tokio::task::spawn_blocking(move || theirs.history().and_then(Histories::kept));
        let kept = look.await.ok().and_then(Result::ok).unwrap_or_default();
        let held = kept.first().zip(kept.last());
        let held = held.map(|(first, last)| Range { from_ms: first.from_ms, to_ms: last.to_ms });
        *self.held.lock() = Some((Instant::now(), held));
        held
    }

    /// From when on each board was counted, of those that came in later than the state was begun.
    pub async fn since(self: &Arc<Self>) -> BTreeMap<String, i64> {
        let known = self.since.lock().clone();
        if let Some((_, since)) = known.filter(|(at, _)| at.elapsed() < HELD_FRESH) {
            return since;
        }
        let theirs = self.clone();
        let look = tokio::task::spawn_blocking(move || theirs.history().and_then(Histories::since));
        match tokio::time::timeout(GLANCE, look).await {
            Ok(Ok(Ok(since))) => {
                *self.since.lock() = Some((Instant::now(), since.clone()));
                since
            }
            // The store does not answer: what was known before is good enough.
            _ => self.since.lock().clone().map_or(BTreeMap::new(), |(_, since)| since),
        }
    }

    /// A turn at reading; `None` where none came free in time.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await.ok()?.ok()
    }

    /// The history, which is opened when it is first asked for. It blocks.
    ///
    /// # Errors
    /// The store cannot be read, or holds no state.
    pub fn history(&self) -> Result<&Histories, HistoryError> {
        match self.history.get() {
            Some(history) => Ok(history),
            None => {
                let opened = open(&self.places)?;
                Ok(self.history.get_or_init(|| opened))
            }
        }
    }
}

/// Opens the histories in these places, to be read.
///
/// # Errors
/// A store cannot be read, or holds no state; or the states do not fit together.
pub fn open(places: &[StatePlace]) -> Result<Histories, HistoryError> {
    let history = |place: &StatePlace| {
        let of_region = |error: StateRefusal| match places.len() {
            1 => HistoryError::from(error),
            _ => HistoryError::OfRegion { region: place.name.as_str().into(), error: Box::new(error.into()) },
        };
        let store = StateStore::open_to_read(&place.url, &place.options).map_err(StateRefusal::from);
        Ok((place.name.as_str().into(), store.and_then(History::open).map_err(of_region)?))
    };
    let mut histories = places.iter().map(history).collect::<Result<Vec<_>, HistoryError>>()?;
    let (name, first) = histories.remove(0);
    Histories::of(name, first, histories)
}
