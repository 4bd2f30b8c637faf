//! `GET /items/{board}/{id}`: what is known of one item, whether a ranking lists it or not.
//!
//! Where a current ranking lists it, the answer is from memory, as fresh as the ranking. Otherwise the state has it, where
//! there is one, as has any past interval and its points. Without a state, an item that is not listed has at most what a
//! ranking leaves to those that it does not list.

use super::answer::{Refused, busy, json_answer};
use super::api::{Api, Shared};
use super::ask::{self, Ask, Over, Step, bad, not_found};
use super::current::Current;
use super::interval::{self, caching, no_events, present, question, tag, whole_input};
use super::points::{ItemPoint, points};
use super::rankings::{self, Look, Pairs};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crest_connectors::group_key::GroupKey;
use crest_connectors::memory::Held;
use crest_dataflows::known_item::{KnownItem, in_ranking, shown_of};
use crest_host::clock::wall_clock_ms;
use crest_state::history::{Interval, PastDigest};
use crest_state::series::{Of, Series};
use crest_state::spec::{BoardSpec, WindowSpec};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// The longest id that an event may have, in bytes.
const LONGEST_ID: usize = 1024;
/// Groups that a 404 names.
const MOST_GROUPS: usize = 100;

/// The answer. Times are milliseconds since 1970 UTC; what a snapshot has too has its name and meaning.
#[derive(Serialize)]
struct Item<'a> {
    board: &'a str,
    item_id: &'a str,
    window: &'a str,
    group: &'a GroupKey,
    window_start: i64,
    window_end: i64,
    computed_at: i64,
    watermark: i64,
    #[serde(rename = "final")]
    is_final: bool,
    total: u64,
    error_floor: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [Arc<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<Arc<str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retracts: bool,
    #[serde(flatten)]
    known: KnownItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<ItemPoint<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_age_seconds: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

/// What is known of the item that the path names.
pub async fn item(
    State(api): Shared,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Response {
    let Ok(Path((board, id))) = path else {
        return bad("the path is not UTF-8".into()).into_response();
    };
    let (ask, step) = match read(&api, &board, &id, pairs) {
        Ok(read) => read,
        Err(refused) => return refused.into_response(),
    };
    match (&ask.over, step) {
        (Over::Window(window), None) => in_window(&api, &ask, window, &id, &headers).await,
        (Over::Window(window), step) => match Interval::of(window) {
            Some(interval) => in_past(&api, &ask, (interval, &window.name), &id, step, &headers).await,
            None => whole_input(&api.spec, ask.board, window).into_response(),
        },
        (Over::Past(interval, name), step) => {
            // An interval between two times has points also where nobody says how long their steps are.
            let step = step.or(matches!(interval, Interval::Between(..)).then_some(Step::Auto));
            in_past(&api, &ask, (*interval, name), &id, step, &headers).await
        }
    }
}

fn read<'a>(api: &'a Api, board: &str, id: &str, pairs: Pairs) -> Result<(Ask<'a>, Option<Step>), Refused> {
    if !(1..=LONGEST_ID).contains(&id.len()) {
        let long = id.len();
        return Err(bad(format!("an item's id has from 1 to {LONGEST_ID} bytes, and this one has {long}")));
    }
    let Ok(Query(pairs)) = pairs else { return Err(bad("the query is not name=value pairs".into())) };
    if let Some((_, k)) = pairs.iter().find(|(name, _)| name == "k") {
        return Err(bad(format!("k = {k:?}: means nothing here, where one item is asked for")));
    }
    ask::parse_with_step(&api.spec, Some(board), &pairs)
}

/// In one of the board's windows: as a ranking in memory says where it lists the item, and otherwise as the state does.
async fn in_window(api: &Api, ask: &Ask<'_>, window: &WindowSpec, id: &str, headers: &HeaderMap) -> Response {
    let current = rankings::current(ask, window);
    match rankings::find(api, &current).await {
        Look::Found(held) => {
            let listed = held.snapshot.items.iter().any(|item| item.item_id == id);
            if !listed
                && let Some(interval) = Interval::of(window).filter(|_| api.past.is_some())
                && let Ok(found) = merged(api, ask, interval, &window.name).await
                && found.digest.is_some()
            {
                return show(api, ask, (interval, &window.name), id, (&found, None), headers);
            }
            of_ranking(api, (&current, ask.board), &held, id)
        }
        Look::Elsewhere if api.past.is_some() => match Interval::of(window) {
            Some(interval) => in_past(api, ask, (interval, &window.name), id, None, headers).await,
            None => whole_input(&api.spec, ask.board, window).into_response(),
        },
        Look::Elsewhere => busy("no final ranking is known here; --state says where they are kept"),
        Look::NotYet => busy(&rankings::not_yet(api, ask.board)),
        Look::Unreachable => busy("Redis cannot be read, and this ranking is not known here yet"),
        Look::Missing(missing) => unknown(api, ask, window, missing).into_response(),
    }
}

/// That there is no such group, with those that there are, the largest first.
fn unknown(api: &Api, ask: &Ask<'_>, window: &WindowSpec, missing: String) -> Refused {
    let mut refused = not_found(&api.spec, Some(ask.board), missing);
    let mut groups = api.store.groups(&ask.board.name, &window.name);
    groups.sort_by(|a, b| (b.total, &a.group).cmp(&(a.total, &b.group)));
    let groups: Vec<GroupKey> = groups.into_iter().take(MOST_GROUPS).map(|known| known.group).collect();
    if !groups.is_empty() && !ask.group.is_whole() {
        refused.body["groups"] = json!(groups);
    }
    refused
}

/// In a past interval, with its points where a step says how long they are.
async fn in_past(
    api: &Api,
    ask: &Ask<'_>,
    (interval, name): (Interval, &str),
    id: &str,
    step: Option<Step>,
    headers: &HeaderMap,
) -> Response {
    let Some(step) = step else {
        return match merged(api, ask, interval, name).await {
            Ok(found) => show(api, ask, (interval, name), id, (&found, None), headers),
            Err(refused) => *refused,
        };
    };
    let question = question(ask, interval, step, Of::Item(id.to_owned()));
    match interval::read(api, ask, name, move |history| history.series(&question)).await {
        Ok(series) => show(api, ask, (interval, name), id, (&series.past, Some(&series)), headers),
        Err(refused) => *refused,
    }
}

async fn merged(
    api: &Api,
    ask: &Ask<'_>,
    interval: Interval,
    name: &str,
) -> Result<PastDigest, Box<Response>> {
    let (board, group) = (ask.board.name.clone(), ask.group.clone());
    interval::read(api, ask, name, move |history| history.merge(&board, &group, interval)).await
}

/// What the state has of the item.
fn show(
    api: &Api,
    ask: &Ask<'_>,
    (interval, name): (Interval, &str),
    id: &str,
    (past, series): (&PastDigest, Option<&Series>),
    headers: &HeaderMap,
) -> Response {
    let Some(digest) = &past.digest else { return no_events(&api.spec, ask, name).into_response() };
    let min_count = ask.board.min_count;
    let known = shown_of(ask.board, digest, id);
    let mut points = series.map(|series| points(&series.points, &[(0, None, known.count)], min_count));
    if known.withheld {
        points.iter_mut().flatten().for_each(|point| point.count = known.count);
    }
    let item = Item {
        board: &ask.board.name,
        item_id: id,
        window: name,
        group: &ask.group,
        window_start: past.range.from_ms,
        window_end: past.range.to_ms,
        computed_at: wall_clock_ms(),
        watermark: past.range.to_ms,
        is_final: true,
        total: digest.total(),
        error_floor: digest.floor().max(min_count.saturating_sub(1)),
        partial: past.missing.is_some(),
        since: past.missing.as_ref().map(|(_, since)| *since),
        missing: past.missing.as_ref().map_or(&[], |(regions, _)| regions),
        distinct: ask.board.count.distinct(),
        retracts: ask.board.retracts(),
        known,
        step_ms: series.map(|series| series.step.as_millis() as u64),
        points,
        snapshot_age_seconds: None,
        stale: false,
    };
    let version = series.map_or(past.version, |series| series.version);
    present(&tag(version, ask), caching(interval, &past.range), &item, headers)
}

/// What a ranking in memory says of the item.
fn of_ranking(api: &Api, (current, board): (&Current, &BoardSpec), held: &Held, id: &str) -> Response {
    let (age, ranking) = (i64::try_from(held.age().as_millis()).unwrap_or(i64::MAX), &*held.snapshot);
    let known = in_ranking(board, ranking, id);
    let item = Item {
        board: &ranking.board,
        item_id: id,
        window: &ranking.window,
        group: &ranking.group,
        window_start: ranking.window_start,
        window_end: ranking.window_end,
        computed_at: ranking.computed_at,
        watermark: ranking.watermark,
        is_final: ranking.is_final,
        total: ranking.total,
        error_floor: ranking.error_floor,
        partial: ranking.partial,
        since: ranking.since,
        missing: &ranking.missing,
        distinct: ranking.distinct.clone(),
        retracts: ranking.retracts,
        known,
        step_ms: None,
        points: None,
        snapshot_age_seconds: Some(age as f64 / 1000.0),
        stale: rankings::is_stale(api, current, age),
    };
    let mut response = json_answer(StatusCode::OK, item);
    response.headers_mut().insert(CACHE_CONTROL, api.cache_control.clone());
    response
}
