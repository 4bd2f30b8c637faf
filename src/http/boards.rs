//! `GET /boards`: which boards and windows there are.

use super::{Shared, json_answer};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crest_dataflows::spec::{BoardSpec, WindowSpec};
use serde_json::{Value, json};
use std::time::Duration;

/// All of them, in the order of the configuration.
pub async fn boards(State(api): Shared) -> Response {
    let boards: Vec<Value> = api.spec.boards.iter().map(board).collect();
    json_answer(StatusCode::OK, json!({ "boards": boards }))
}

fn board(board: &BoardSpec) -> Value {
    let windows: Vec<Value> = board.windows.iter().map(window).collect();
    json!({
        "name": board.name,
        "k": board.k,
        "by": board.by,
        "filter": board.filter,
        "windows": windows,
    })
}

fn window(window: &WindowSpec) -> Value {
    let ms = |duration: Duration| duration.as_millis() as u64;
    json!({ "name": window.name, "size_ms": ms(window.size), "slide_ms": ms(window.slide) })
}
