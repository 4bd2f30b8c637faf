//! `GET /series/{board}`: the top K of an interval, and what each of them has in each step of it.

use super::answer::Refused;
use super::api::{Api, Shared};
use super::ask::{self, Ask, Over, Step, bad};
use super::interval::{self, caching, no_events, present, question, snapshot, tag, whole_input};
use super::points::{Column, ItemPoint, points};
use super::rankings::Pairs;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use crest_connectors::snapshot::Snapshot;
use crest_dataflows::known_item::Bounds;
use crest_state::history::Interval;
use crest_state::series::Of;
use crest_state::top::Top;
use serde::Serialize;

/// Rows where the question does not say how many.
const DEFAULT_ROWS: usize = 10;

/// The answer: the ranking of the interval, and its points.
#[derive(Serialize)]
struct Ranked<'a> {
    #[serde(flatten)]
    ranking: &'a Snapshot,
    step_ms: u64,
    points: Vec<ItemPoint<'a>>,
}

/// The points of a board's top items.
pub async fn series(
    State(api): Shared,
    Path(board): Path<String>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Response {
    let (ask, step) = match read(&api, &board, pairs) {
        Ok(read) => read,
        Err(refused) => return refused.into_response(),
    };
    let (interval, name) = match &ask.over {
        Over::Past(interval, name) => (*interval, name.as_str()),
        Over::Window(window) => match Interval::of(window) {
            Some(interval) => (interval, &*window.name),
            None => return whole_input(&api.spec, ask.board, window).into_response(),
        },
    };
    answer(&api, &ask, (interval, name), step, &headers).await
}

fn read<'a>(api: &'a Api, board: &str, pairs: Pairs) -> Result<(Ask<'a>, Step), Refused> {
    let Ok(Query(pairs)) = pairs else { return Err(bad("the query is not name=value pairs".into())) };
    let (mut ask, step) = ask::parse_with_step(&api.spec, Some(board), &pairs)?;
    if !pairs.iter().any(|(name, _)| name == "k") {
        ask.k = ask.k.min(DEFAULT_ROWS);
    }
    Ok((ask, step.unwrap_or(Step::Auto)))
}

async fn answer(
    api: &Api,
    ask: &Ask<'_>,
    (interval, name): (Interval, &str),
    step: Step,
    headers: &HeaderMap,
) -> Response {
    let top = Top::first(ask.k, ask.board);
    let question = question(ask, interval, step, Of::Top(top.clone()));
    let series = match interval::read(api, ask, name, move |history| history.series(&question)).await {
        Ok(series) => series,
        Err(refused) => return *refused,
    };
    let (range, step_ms) = (series.past.range, series.step.as_millis() as u64);
    let Some(ranking) = snapshot(&api.spec, ask, name, series.past.ranked(&top)) else {
        return no_events(&api.spec, ask, name).into_response();
    };
    // Some of the items may not be shown.
    let place = |id: &str| series.items.iter().position(|item| item == id.as_bytes());
    let shown = ranking.items.iter().filter_map(|item| {
        let count = Bounds::new(item.lower, item.upper).into();
        Some((place(&item.item_id)?, Some(&*item.item_id), count))
    });
    let shown: Vec<Column<'_>> = shown.collect();
    let points = points(&series.points, &shown, ask.board.min_count);
    let ranked = Ranked { ranking: &ranking, step_ms, points };
    present(&tag(series.version, ask), caching(interval, &range), &ranked, headers)
}
