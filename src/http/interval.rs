//! Rankings of past intervals, from the state: any width, any time that is held, by any process that can read it.

use super::answer::{busy, failed, json_answer};
use super::api::Api;
use super::ask::{Ask, not_found};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::ranked::{Ranks, ranked_items};
use crest_host::clock::wall_clock_ms;
use crest_state::error::StateRefusal;
use crest_state::history::{HistoryError, Interval, Past};
use crest_state::spec::JobSpec;
use serde_json::json;
use std::sync::Arc;

/// What is wanted, free of the request that it came with.
struct Wanted {
    board: Arc<str>,
    group: GroupKey,
    interval: Interval,
    /// The name of the answer's window.
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
        return not_found(&api.spec, Some(ask.board), error).into_response();
    };
    let Some(_turn) = past.turn().await else { return busy("too many past intervals are asked for at once") };
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
        Err(error) => failed(&error),
    }
}

fn show(spec: &JobSpec, ask: &Ask<'_>, wanted: Wanted, found: Past, headers: &HeaderMap) -> Response {
    let Some(ranking) = found.ranking else {
        let error = format!("board {:?} has no events of {} in {}", wanted.board, wanted.group, wanted.name);
        return not_found(spec, Some(ask.board), error).into_response();
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
        group: wanted.group,
        window_start: found.range.from_ms,
        window_end: found.range.to_ms,
        computed_at: wall_clock_ms(),
        watermark: found.range.to_ms,
        is_final: true,
        total: ranking.total,
        error: ranking.error(),
        error_floor: ranking.floor,
        guaranteed: ranking.guaranteed() as u32,
        partial: found.missing.is_some(),
        since: found.missing.as_ref().map(|(_, since)| *since),
        missing: found.missing.map_or(Vec::new(), |(regions, _)| regions),
        items: ranked_items(&ranking, &Ranks::default(), spec.sketch.seed),
        k: wanted.k as u32,
        epoch: 0,
        bucket: false,
        counters: false,
    };
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, tag), (CACHE_CONTROL, cache.into())];
    match serde_json::to_string(&snapshot) {
        Ok(body) => (headers, body).into_response(),
        Err(error) => failed(&error),
    }
}

fn refuse(error: &HistoryError) -> Response {
    match error {
        HistoryError::OfRegion { error: of_region, .. } if let HistoryError::Gone { kept } = &**of_region => {
            json_answer(
                StatusCode::RANGE_NOT_SATISFIABLE,
                json!({ "error": error.to_string(), "kept": kept }),
            )
        }
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
