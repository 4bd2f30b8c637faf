//! `GET /boards` and `GET /boards/{board}`: which boards, windows and groups there are, many boards in pages.

use super::answer::{Refused, json_answer};
use super::api::{Api, Shared};
use super::ask::{bad, not_found};
use super::rankings::Pairs;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crest_connectors::group_key::GroupKey;
use crest_state::against::Against;
use crest_state::calendar::Unit;
use crest_state::spec::{BoardSpec, Filter, JobSpec, Ties, WindowSpec};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Boards of one page, also where it is not said how many.
const MOST_BOARDS: usize = 1000;
/// Groups that are listed.
const MOST_GROUPS: usize = 1000;

/// The answer.
#[derive(Serialize)]
struct Boards<'a> {
    boards: Vec<Board<'a>>,
    /// The name of the last of these, where more come after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// A board, as its users need to know it.
#[derive(Serialize)]
struct Board<'a> {
    name: &'a str,
    k: usize,
    #[serde(skip_serializing_if = "Ties::is_ordinal")]
    ties: Ties,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_count: Option<u64>,
    /// How many items its blocklist leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<usize>,
    /// The field whose different values it counts, where it does not count events.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<Arc<str>>,
    /// Whether some events take away what others have counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retracts: bool,
    by: &'a [String],
    filter: &'a BTreeMap<String, Filter>,
    windows: Vec<Window<'a>>,
    /// Of one that came in later than its state was begun: from when on it was counted, in milliseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
}

/// One board with its groups.
#[derive(Serialize)]
struct Grouped<'a> {
    #[serde(flatten)]
    board: Board<'a>,
    /// The largest first, at most [`MOST_GROUPS`].
    groups: Vec<GroupKey>,
    groups_total: usize,
}

/// A window of a board. Times are milliseconds; one of the calendar has no size, and one of the whole input none.
#[derive(Serialize)]
struct Window<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slide_ms: Option<u64>,
    /// Of one of the calendar, the unit …
    #[serde(skip_serializing_if = "Option::is_none")]
    calendar: Option<Unit>,
    /// … and where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
    /// What it is compared with in Redis.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rising: &'a [Against],
}

/// All of them, in the order of the configuration; of many, a page.
pub async fn boards(State(api): Shared, pairs: Pairs) -> Response {
    match page(&api.spec, pairs) {
        Ok(mut boards) => {
            let since = since(&api).await;
            boards.boards.iter_mut().for_each(|board| board.since = since.get(board.name).copied());
            json_answer(StatusCode::OK, boards)
        }
        Err(refused) => refused.into_response(),
    }
}

/// At most `limit` boards, those that come after the one that `after` names.
fn page(spec: &JobSpec, pairs: Pairs) -> Result<Boards<'_>, Refused> {
    let Ok(Query(pairs)) = pairs else { return Err(bad("the query is not name=value pairs".into())) };
    let (mut limit, mut after) = (None, None);
    for (name, value) in pairs {
        let known = match name.as_str() {
            "limit" => &mut limit,
            "after" => &mut after,
            _ => return Err(bad(format!("{name:?} means nothing here: only limit and after do"))),
        };
        if known.replace(value).is_some() {
            return Err(bad(format!("{name} is given twice")));
        }
    }
    let limit = match limit.as_deref().map(str::parse) {
        None => MOST_BOARDS,
        Some(Ok(limit)) if (1..=MOST_BOARDS).contains(&limit) => limit,
        Some(_) => {
            return Err(bad(format!(
                "limit = {:?}: must be from 1 to {MOST_BOARDS}",
                limit.unwrap_or_default()
            )));
        }
    };
    let first = match after {
        None => 0,
        Some(after) => {
            let found = spec.boards.iter().position(|board| *board.name == *after);
            1 + found.ok_or_else(|| bad(format!("after = {after:?}: there is no such board")))?
        }
    };
    let rest = spec.boards.get(first..).unwrap_or_default();
    let shown = &rest[..limit.min(rest.len())];
    let next = shown.last().filter(|_| shown.len() < rest.len()).map(|board| &*board.name);
    Ok(Boards { boards: shown.iter().map(Board::of).collect(), next })
}

/// One of them, with the groups of its first window.
pub async fn board(State(api): Shared, Path(name): Path<String>) -> Response {
    let Some(board) = api.spec.boards.iter().find(|board| *board.name == *name) else {
        return not_found(&api.spec, None, format!("there is no board {name:?}")).into_response();
    };
    let window = board.windows.first().map_or("", |window| &window.name);
    let mut groups = api.store.groups(&board.name, window);
    groups.sort_by(|a, b| (b.total, &a.group).cmp(&(a.total, &b.group)));
    let groups_total = groups.len();
    let groups = groups.into_iter().take(MOST_GROUPS).map(|group| group.group).collect();
    let since = since(&api).await.get(&*board.name).copied();
    let board = Board { since, ..Board::of(board) };
    json_answer(StatusCode::OK, Grouped { board, groups, groups_total })
}

/// From when on each board was counted, where that is known and it was not from the beginning.
async fn since(api: &Api) -> BTreeMap<String, i64> {
    match &api.past {
        Some(past) => past.since().await,
        None => BTreeMap::new(),
    }
}

impl<'a> Board<'a> {
    fn of(board: &'a BoardSpec) -> Self {
        let windows = board.windows.iter().map(Window::of).collect();
        let BoardSpec { name, k, ties, by, filter, .. } = board;
        let blocked = board.blocklist.now().map(|blocked| blocked.len());
        let min_count = Some(board.min_count).filter(|least| *least > 0);
        let (distinct, retracts) = (board.count.distinct(), board.retracts());
        let (k, ties, since) = (*k, *ties, None);
        Board { name, k, ties, min_count, blocked, distinct, retracts, by, filter, windows, since }
    }
}

impl<'a> Window<'a> {
    fn of(window: &'a WindowSpec) -> Self {
        let ms = |duration: Duration| duration.as_millis() as u64;
        let (size, slide) = (window.size(), window.sliding_window().map(|window| window.slide));
        let calendar = window.calendar();
        Window {
            name: &window.name,
            size_ms: size.map(ms),
            slide_ms: slide.map(ms),
            calendar: calendar.map(|calendar| calendar.unit()),
            timezone: calendar.map(|calendar| calendar.zone()),
            rising: &window.rising,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_boards_come_in_pages_also_where_none_was_asked_for() {
        let board = |n: usize| BoardSpec { name: format!("b{n}").into(), ..BoardSpec::default() };
        let spec = JobSpec { boards: (0..2500).map(board).collect(), ..JobSpec::default() };
        let (mut names, mut after) = (Vec::new(), None);
        for _ in 0..3 {
            let pairs = after.iter().map(|name: &String| ("after".to_owned(), name.clone())).collect();
            let Boards { boards, next } = page(&spec, Ok(Query(pairs))).unwrap();
            names.extend(boards.iter().map(|board| board.name.to_owned()));
            after = next.map(str::to_owned);
        }
        assert!(after.is_none() && names.iter().eq(spec.boards.iter().map(|board| &*board.name)));
    }
}
