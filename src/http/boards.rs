//! `GET /boards`: which boards and windows there are.

use super::{Shared, json_answer};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crest_dataflows::spec::{BoardSpec, WindowSpec};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

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
    filter: &'a BTreeMap<String, Vec<String>>,
    windows: Vec<Window<'a>>,
}

/// A window of a board. Times are milliseconds.
#[derive(Serialize)]
struct Window<'a> {
    name: &'a str,
    size_ms: u64,
    slide_ms: u64,
}

/// All of them, in the order of the configuration.
pub async fn boards(State(api): Shared) -> Response {
    let boards = api.spec.boards.iter().map(Board::of).collect();
    json_answer(StatusCode::OK, Boards { boards })
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
        Window { name: &window.name, size_ms: ms(window.size), slide_ms: ms(window.slide) }
    }
}
