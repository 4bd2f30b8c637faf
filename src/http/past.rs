//! Rankings of past intervals, from the state: any width, any time that is held, by any process that can read it.
//! The store is read on threads of its own, a few at a time.

use super::ask::{Ask, not_found};
use super::{Api, busy, json_answer, now_ms, refusal};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crest_connectors::snapshot::Snapshot;
use crest_connectors::state::StateStore;
use crest_dataflows::ranked::ranked_items;
use crest_dataflows::route::group_of;
use crest_dataflows::spec::JobSpec;
use crest_dataflows::state::StateRefusal;
use crest_dataflows::state::history::{History, HistoryError, Interval, Past};
use crest_dataflows::state::inspect::Range;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Questions that are answered at one time.
const AT_A_TIME: usize = 4;
/// How long one may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is good enough to know what is held.
const HELD_FRESH: Duration = Duration::from_secs(5);

/// The state, as the API reads it.
pub struct PastRankings {
    url: String,
    options: BTreeMap<String, String>,
    /// Once there is a manifest.
    history: OnceLock<History>,
    turns: Semaphore,
    /// What is held, as it was when it was last looked at.
    held: Mutex<Option<(Instant, Option<Range>)>>,
}

impl PastRankings {
    /// Of a store, which is opened when it is asked for the first time.
    pub fn new(url: &str, options: &BTreeMap<String, String>) -> Self {
        PastRankings {
            url: url.to_owned(),
            options: options.clone(),
            history: OnceLock::new(),
            turns: Semaphore::new(AT_A_TIME),
            held: Mutex::default(),
        }
    }

    /// From where to where the past is held, gaps aside, as it was some seconds ago; `None` before anything is.
    pub async fn held(self: &Arc<Self>) -> Option<Range> {
        let known = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, held)) = known.filter(|(at, _)| at.elapsed() < HELD_FRESH) {
            return held;
        }
        let theirs = self.clone();
        let look = tokio::task::spawn_blocking(move || theirs.history().and_then(History::kept));
        let kept = look.await.ok().and_then(Result::ok).unwrap_or_default();
        let held = kept.first().zip(kept.last());
        let held = held.map(|(first, last)| Range { from_ms: first.from_ms, to_ms: last.to_ms });
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), held));
        held
    }

    fn history(&self) -> Result<&History, HistoryError> {
        match self.history.get() {
            Some(history) => Ok(history),
            None => {
                let store = StateStore::open_to_read(&self.url, &self.options).map_err(StateRefusal::from)?;
                let history = History::open(store)?;
                Ok(self.history.get_or_init(|| history))
            }
        }
    }
}

/// What is wanted, free of the request that it came with.
struct Wanted {
    board: Arc<str>,
    group: String,
    interval: Interval,
    /// Of the answer's window.
    name: String,
    k: usize,
}

/// The ranking of an interval. `name`: what the answer calls it.
pub async fn answer(
    api: &Api,
    ask: &Ask<'_>,
    interval: Interval,
    name: &str,
    headers: &HeaderMap,
) -> Response {
    let Some(past) = &api.past else {
        let error =
            format!("board {:?} has no window {name:?}; other intervals need --state", ask.board.name);
        return refusal(not_found(&api.spec, Some(ask.board), error));
    };
    let turn = tokio::time::timeout(PATIENCE, past.turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else { return busy("too many past intervals are asked for at once") };
    let wanted = Wanted {
        board: ask.board.name.clone(),
        group: ask.group.clone(),
        interval,
        name: name.to_owned(),
        k: ask.k,
    };
    let theirs = past.clone();
    let read = tokio::task::spawn_blocking(move || {
        let found = theirs
            .history()
            .and_then(|history| history.rank(&wanted.board, &wanted.group, wanted.interval, wanted.k));
        (wanted, found)
    });
    match read.await {
        Ok((wanted, Ok(found))) => show(&api.spec, ask, wanted, found, headers),
        Ok((_, Err(error))) => refuse(&error),
        Err(error) => json_answer(StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() })),
    }
}

fn show(spec: &JobSpec, ask: &Ask<'_>, wanted: Wanted, found: Past, headers: &HeaderMap) -> Response {
    let Some(ranking) = found.ranking else {
        let error = format!("board {:?} has no events of {} in {}", wanted.board, wanted.group, wanted.name);
        return refusal(not_found(spec, Some(ask.board), error));
    };
    let tag = format!("W/\"{:x}-{}\"", found.version, wanted.k);
    // What is past changes only when it is counted anew; what reaches up to now goes on.
    let cache = match wanted.interval {
        Interval::Between(_, to) if to <= found.range.to_ms => "max-age=60",
        _ => "no-cache",
    };
    if headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, cache.into())]).into_response();
    }
    let snapshot = Snapshot {
        board: wanted.board,
        window: wanted.name.into(),
        group: Arc::new(group_of(&wanted.group)),
        window_start: found.range.from_ms,
        window_end: found.range.to_ms,
        computed_at: now_ms(),
        watermark: found.range.to_ms,
        is_final: true,
        total: ranking.total,
        error: ranking.error(),
        error_floor: ranking.floor,
        guaranteed: ranking.guaranteed() as u32,
        items: ranked_items(ranking, &HashMap::new()),
        k: wanted.k as u32,
        epoch: 0,
        bucket: false,
        counters: false,
    };
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, tag), (CACHE_CONTROL, cache.into())];
    match serde_json::to_string(&snapshot) {
        Ok(body) => (headers, body).into_response(),
        Err(error) => json_answer(StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() })),
    }
}

fn refuse(error: &HistoryError) -> Response {
    match error {
        HistoryError::Gone { kept } => json_answer(
            StatusCode::RANGE_NOT_SATISFIABLE,
            json!({ "error": error.to_string(), "kept": kept }),
        ),
        HistoryError::Nothing | HistoryError::Refused(StateRefusal::NoManifest { .. }) => {
            busy("nothing is durable yet")
        }
        _ => {
            tracing::warn!(%error, "a past ranking cannot be read");
            busy(&format!("the state cannot be read: {error}"))
        }
    }
}
