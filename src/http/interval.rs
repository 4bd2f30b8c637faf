//! Rankings of past intervals, from the state: any width, any time that is held, by any process that can read it.

use super::answer::{Refused, busy, failed, json_answer};
use super::api::Api;
use super::ask::{Ask, Step, not_found};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::ranked::{Ranks, ShownRows, shown_rows};
use crest_host::clock::wall_clock_ms;
use crest_state::error::StateRefusal;
use crest_state::histories::Histories;
use crest_state::history::{HistoryError, Interval, Past};
use crest_state::inspect::Range;
use crest_state::series::{Of, Question};
use crest_state::spec::{BoardSpec, JobSpec, WindowSpec};
use crest_state::top::Top;
use serde::Serialize;
use serde_json::json;

/// The ranking of an interval. `name`: what the answer calls it.
pub async fn answer(
    api: &Api,
    ask: &Ask<'_>,
    interval: Interval,
    name: &str,
    headers: &HeaderMap,
) -> Response {
    let (board, group, top) = (ask.board.name.clone(), ask.group.clone(), Top::first(ask.k, ask.board));
    let found = read(api, ask, name, move |history| history.rank(&board, &group, interval, &top)).await;
    let found = match found {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    let (version, range) = (found.version, found.range);
    match snapshot(&api.spec, ask, name, found) {
        Some(snapshot) => present(&tag(version, ask), caching(interval, &range), &snapshot, headers),
        None => no_events(&api.spec, ask, name).into_response(),
    }
}

/// What `read` makes of the state, in its turn and on a thread of its own.
///
/// # Errors
/// The answer that says why there is none.
pub async fn read<T: Send + 'static>(
    api: &Api,
    ask: &Ask<'_>,
    name: &str,
    read: impl FnOnce(&Histories) -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, Box<Response>> {
    let Some(past) = &api.past else {
        let board = &ask.board.name;
        let error = if ask.board.windows.iter().any(|window| *window.name == *name) {
            format!(
                "board {board:?} has no past of window {name:?} here: the past and its points need --state"
            )
        } else {
            format!("board {board:?} has no window {name:?}; other intervals need --state")
        };
        return Err(Box::new(not_found(&api.spec, Some(ask.board), error).into_response()));
    };
    let Some(turn) = past.turn().await else {
        return Err(Box::new(busy("too many past intervals are asked for at once")));
    };
    let theirs = past.clone();
    let read = move || {
        // The turn is over when all is read, also where nobody waits for the answer any more.
        let _turn = turn;
        theirs.history().and_then(read)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Box::new(refuse(&error))),
        Err(error) => Err(Box::new(failed(&error))),
    }
}

/// What tells one answer to a question from another: the version of what was read, how many rows are asked for, and which are
/// shown, and how.
pub fn tag(version: u64, ask: &Ask<'_>) -> String {
    let BoardSpec { ties, min_count, blocklist, .. } = ask.board;
    format!("{version:x}-{}-{}-{min_count}-{:x}", ask.k, *ties as u8, blocklist.version())
}

/// That a group has no events in an interval.
pub fn no_events(spec: &JobSpec, ask: &Ask<'_>, name: &str) -> Refused {
    let error = format!("board {:?} has no events of {} in {name}", ask.board.name, ask.group);
    not_found(spec, Some(ask.board), error)
}

/// That a window has no size, so that no state keeps it.
pub fn whole_input(spec: &JobSpec, board: &BoardSpec, window: &WindowSpec) -> Refused {
    let error = format!(
        "window {:?} is the whole input, which no state keeps: ask for an interval, from and to",
        window.name
    );
    not_found(spec, Some(board), error)
}

/// What is asked for with points.
pub fn question(ask: &Ask<'_>, interval: Interval, step: Step, of: Of) -> Question {
    let (board, group) = (ask.board.name.to_string(), ask.group.clone());
    Question { board, group, interval, step: step.length(), of }
}

/// The ranking as a snapshot; `None` where the group had no event.
pub fn snapshot(spec: &JobSpec, ask: &Ask<'_>, name: &str, found: Past) -> Option<Snapshot> {
    let ranking = found.ranking?;
    let rows = shown_rows(ask.board, &ranking, &Ranks::default(), spec.sketch.seed);
    let ShownRows { items, error, error_floor, guaranteed, lacking, removed, .. } = rows;
    Some(Snapshot {
        board: ask.board.name.clone(),
        window: name.into(),
        group: ask.group.clone(),
        window_start: found.range.from_ms,
        window_end: found.range.to_ms,
        computed_at: wall_clock_ms(),
        watermark: found.range.to_ms,
        is_final: true,
        total: ranking.total,
        error,
        error_floor,
        guaranteed,
        partial: found.missing.is_some(),
        since: found.missing.as_ref().map(|(_, since)| *since),
        missing: found.missing.map_or(Vec::new(), |(regions, _)| regions),
        distinct: ask.board.count.distinct(),
        retracts: ask.board.retracts(),
        removed,
        items,
        k: ask.k as u32,
        rising: None,
        unit: None,
        lacking: if ask.group.is_whole() { 0 } else { lacking },
        epoch: 0,
        bucket: false,
        counters: false,
    })
}

/// How long an answer about an interval may be kept: what is past changes only when it is counted anew, and what reaches up
/// to now goes on.
pub fn caching(interval: Interval, range: &Range) -> &'static str {
    match interval {
        Interval::Between(_, to) if to <= range.to_ms => "max-age=60",
        _ => "no-cache",
    }
}

/// The answer, or 304 where the client has it already, as `version` says.
pub fn present(version: &str, cache: &'static str, body: &impl Serialize, headers: &HeaderMap) -> Response {
    let tag = format!("W/\"{version}\"");
    if headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, cache.into())]).into_response();
    }
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, tag), (CACHE_CONTROL, cache.into())];
    match serde_json::to_string(body) {
        Ok(body) => (headers, body).into_response(),
        Err(error) => failed(&error),
    }
}

fn refuse(error: &HistoryError) -> Response {
    if let Some(kept) = error.kept() {
        let body = json!({ "error": error.to_string(), "kept": kept });
        return json_answer(StatusCode::RANGE_NOT_SATISFIABLE, body);
    }
    match error {
        HistoryError::Step(why) => json_answer(StatusCode::BAD_REQUEST, json!({ "error": why })),
        HistoryError::Slow(_) => busy(&error.to_string()),
        HistoryError::Nothing | HistoryError::Refused(StateRefusal::NoManifest { .. }) => {
            busy("nothing is durable yet")
        }
        _ => {
            tracing::warn!(%error, "a past ranking cannot be read");
            busy(&format!("the state cannot be read: {error}"))
        }
    }
}
