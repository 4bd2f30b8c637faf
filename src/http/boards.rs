//! `GET /boards` and `GET /boards/{board}`: which boards, windows and groups there are.

use super::answer::json_answer;
use super::api::Shared;
use super::ask::not_found;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crest_state::spec::{BoardSpec, Filter, WindowSpec};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Groups that are listed.
const MOST_GROUPS: usize = 1000;

/// The answer.
#[derive(Serialize)]
struct Boards<'a> {
    boards: Vec<Board<'a>>,
}

/// A board, as its users need to know it.
#[derive(Serialize)]
struct Board<'a> {
    name: &'a str,
    k: usize,
    by: &'a [String],
    filter: &'a BTreeMap<String, Filter>,
    windows: Vec<Window<'a>>,
}

/// One board with its groups.
#[derive(Serialize)]
struct Grouped<'a> {
    #[serde(flatten)]
    board: Board<'a>,
    /// The largest first, at most [`MOST_GROUPS`].
    groups: Vec<Arc<BTreeMap<String, String>>>,
    groups_total: usize,
}

/// A window of a board. Times are milliseconds; one of the whole input has none.
#[derive(Serialize)]
struct Window<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slide_ms: Option<u64>,
}

/// All of them, in the order of the configuration.
pub async fn boards(State(api): Shared) -> Response {
    let boards = api.spec.boards.iter().map(Board::of).collect();
    json_answer(StatusCode::OK, Boards { boards })
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
    json_answer(StatusCode::OK, Grouped { board: Board::of(board), groups, groups_total })
}

impl<'a> Board<'a> {
    fn of(board: &'a BoardSpec) -> Self {
        let windows = board.windows.iter().map(Window::of).collect();
        Board { name: &board.name, k: board.k, by: &board.by, filter: &board.filter, windows }
    }
}

impl<'a> Window<'a> {
    fn of(window: &'a WindowSpec) -> Self {
        let ms = |duration: Duration| duration.as_millis() as u64;
        let (size, slide) = window.size_and_slide().unzip();
        Window { name: &window.name, size_ms: size.map(ms), slide_ms: slide.map(ms) }
    }
}
