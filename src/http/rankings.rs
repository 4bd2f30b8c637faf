//! `GET /top-k` and `GET /top-k/{board}`: the freshest ranking of a board, window and group.

use super::ask::{self, Ask, Over, Refused, not_found};
use super::{Api, Shared, json_answer, past};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::spec::WindowSpec;
use crest_dataflows::state::history::Interval;
use crest_dataflows::status::{JobView, WorkerStatus};
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A ranking that is older than so many refreshes, and `STALE_SLACK` more, is stale, if something is in the way:
/// where nothing happens it stays as it is, and is as good as new.
const STALE_REFRESHES: u32 = 5;
const STALE_SLACK: Duration = Duration::from_secs(2);
/// A worker tells of itself a few times a second.
const WORKER_SILENCE: Duration = Duration::from_secs(5);

/// Of the board that the query names, or the default one.
pub async fn of_any_board(State(api): Shared, headers: HeaderMap, pairs: Pairs) -> Response {
    answer(&api, None, &headers, pairs).await
}

/// Of the board that the path names.
pub async fn of_board(
    State(api): Shared,
    Path(board): Path<String>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Response {
    answer(&api, Some(&board), &headers, pairs).await
}

async fn answer(api: &Api, board: Option<&str>, headers: &HeaderMap, pairs: Pairs) -> Response {
    let Ok(Query(pairs)) = pairs else {
        return json_answer(StatusCode::BAD_REQUEST, json!({"error": "the query is not name=value pairs"}));
    };
    let ask = match ask::parse(&api.spec, board, &pairs) {
        Ok(ask) => ask,
        Err(Refused { status, body }) => return json_answer(status, body),
    };
    let window = match &ask.over {
        Over::Window(window) => *window,
        Over::Past(interval, name) => return past::answer(api, &ask, *interval, name, headers).await,
    };
    if !api.live {
        return past::answer(api, &ask, Interval::Last(window.size), &window.name, headers).await;
    }
    match find(api, &ask, window) {
        Ok(Some(snapshot)) => show(api, &ask, &snapshot, headers),
        Ok(None) => not_yet(),
        Err(Refused { status, body }) => json_answer(status, body),
    }
}

/// `None` before the board's first ranking.
fn find(api: &Api, ask: &Ask<'_>, window: &WindowSpec) -> Result<Option<Arc<Snapshot>>, Refused> {
    let missing = |error: String| Err(not_found(&api.spec, Some(ask.board), error));
    if api.process != 0 {
        return missing(format!(
            "this is process {}: process 0 of the cluster has the rankings",
            api.process
        ));
    }
    let (board, window) = (&*ask.board.name, &*window.name);
    let found = match ask.final_only {
        true => api.store.latest_final(board, window, &ask.group),
        false => api.store.latest(board, window, &ask.group),
    };
    match found {
        None if ask.group.is_empty() || api.store.latest(board, window, "").is_none() => Ok(None),
        None => missing(format!("board {board:?} has no events of {} in window {window:?}", ask.group)),
        found => Ok(found),
    }
}

fn not_yet() -> Response {
    let body = json!({"error": "there is no ranking yet"});
    let mut response = json_answer(StatusCode::SERVICE_UNAVAILABLE, body);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn show(api: &Api, ask: &Ask<'_>, snapshot: &Snapshot, headers: &HeaderMap) -> Response {
    let tag = format!(
        "W/\"{:x}-{:x}-{:x}-{}-{}\"",
        snapshot.epoch,
        snapshot.window_end,
        snapshot.computed_at,
        u8::from(snapshot.is_final),
        ask.k
    );
    if headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, "no-cache".into())]).into_response();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = now.saturating_sub(Duration::from_millis(snapshot.computed_at.max(0) as u64));
    // The latest final one may well be older than a refresh: what counts is whether anything came since.
    let old = !ask.final_only && age > STALE_REFRESHES * api.spec.time.refresh + STALE_SLACK;
    let stale = old && is_hindered(&api.view);
    match body(&shortened(snapshot, ask.k), age, stale) {
        Ok(body) => {
            let headers = [
                (CONTENT_TYPE, "application/json".to_owned()),
                (ETAG, tag),
                (CACHE_CONTROL, "no-cache".into()),
            ];
            (headers, body).into_response()
        }
        Err(error) => json_answer(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error.to_string()})),
    }
}

/// Whether events wait that should have been counted, or nobody can know.
fn is_hindered(view: &JobView) -> bool {
    let hindered = |heard: &Option<(Instant, WorkerStatus)>| match heard {
        Some((at, status)) => {
            let source = &status.counts.source;
            at.elapsed() > WORKER_SILENCE || source.disconnected || source.lag > 0
        }
        None => true,
    };
    view.with_workers(|workers| workers.iter().any(hindered))
}

/// The snapshot's own JSON with the age behind its last field.
fn body(snapshot: &Snapshot, age: Duration, stale: bool) -> serde_json::Result<String> {
    let mut body = serde_json::to_string(snapshot)?;
    body.pop();
    body.push_str(&format!(",\"snapshot_age_seconds\":{:.3}", age.as_secs_f64()));
    body.push_str(if stale { ",\"stale\":true}" } else { "}" });
    Ok(body)
}

/// The first `k` rows, with what is true of them: the rows after them are now outside.
fn shortened(snapshot: &Snapshot, k: usize) -> Cow<'_, Snapshot> {
    let Some(outside) = snapshot.items.get(k).map(|item| item.upper) else { return Cow::Borrowed(snapshot) };
    let items = snapshot.items[..k].to_vec();
    let least = outside.max(snapshot.error_floor);
    Cow::Owned(Snapshot {
        error: items.iter().map(|item| item.upper - item.lower).max().unwrap_or(0),
        guaranteed: items.iter().take_while(|item| item.lower >= least).count() as u32,
        items,
        ..snapshot.clone()
    })
}
