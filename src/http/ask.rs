//! What a request for a ranking means: which board, window, group and K of those that there are.

use axum::http::StatusCode;
use crest_connectors::snapshot::group_text;
use crest_dataflows::spec::{BoardSpec, JobSpec, WindowSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A request that can be answered.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Of the job.
    pub board: &'a BoardSpec,
    /// Of the board.
    pub window: &'a WindowSpec,
    /// As the sinks name it; empty for the whole board.
    pub group: String,
    /// From 1 to the board's K.
    pub k: usize,
    /// Whether only a final snapshot will do.
    pub final_only: bool,
}

/// A request that cannot.
#[derive(Debug, PartialEq)]
pub struct Refused {
    /// 400 or 404.
    pub status: StatusCode,
    /// With the error, and what there is.
    pub body: Value,
}

fn bad(error: String) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, body: json!({ "error": error }) }
}

/// What is known, for a 404.
pub fn not_found(spec: &JobSpec, board: Option<&BoardSpec>, error: String) -> Refused {
    let boards: Vec<&str> = spec.boards.iter().map(|board| &*board.name).collect();
    let mut windows: Vec<&str> = Vec::new();
    for window in
        spec.boards.iter().filter(|b| board.is_none_or(|known| known.name == b.name)).flat_map(|b| &b.windows)
    {
        if !windows.contains(&&*window.name) {
            windows.push(&window.name);
        }
    }
    Refused {
        status: StatusCode::NOT_FOUND,
        body: json!({ "error": error, "boards": boards, "windows": windows }),
    }
}

/// Reads the query `pairs` of a request for a ranking; `path` names the board where the path does.
pub fn parse<'a>(
    spec: &'a JobSpec,
    path: Option<&str>,
    pairs: &[(String, String)],
) -> Result<Ask<'a>, Refused> {
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in pairs {
        if values.insert(name, value).is_some() {
            return Err(bad(format!("{name} is given twice")));
        }
    }
    let in_query = values.remove("board");
    let board = find_board(spec, path.or(in_query))?;
    let window = find_window(spec, board, values.remove("window"))?;
    let k = read_k(board, values.remove("k"))?;
    let final_only = match values.remove("final") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(bad(format!("final = {other:?}: must be true or false"))),
    };
    let group = read_group(board, &values)?;
    Ok(Ask { board, window, group, k, final_only })
}

/// Without a name, the board `default`, or else the first.
fn find_board<'a>(spec: &'a JobSpec, name: Option<&str>) -> Result<&'a BoardSpec, Refused> {
    let called = |name: &str| spec.boards.iter().find(|board| &*board.name == name);
    match name {
        Some(name) => {
            called(name).ok_or_else(|| not_found(spec, None, format!("there is no board {name:?}")))
        }
        None => called("default")
            .or(spec.boards.first())
            .ok_or_else(|| not_found(spec, None, "there is no board".into())),
    }
}

/// By its name, or else by its size; without either, the first.
fn find_window<'a>(
    spec: &JobSpec,
    board: &'a BoardSpec,
    name: Option<&str>,
) -> Result<&'a WindowSpec, Refused> {
    let Some(name) = name else {
        let none = || not_found(spec, Some(board), format!("board {:?} has no window", board.name));
        return board.windows.first().ok_or_else(none);
    };
    let size = humantime::parse_duration(name).ok();
    let by_name = board.windows.iter().find(|window| &*window.name == name);
    let by_size = || board.windows.iter().find(|window| Some(window.size) == size);
    by_name
        .or_else(by_size)
        .ok_or_else(|| not_found(spec, Some(board), format!("board {:?} has no window {name:?}", board.name)))
}

fn read_k(board: &BoardSpec, text: Option<&str>) -> Result<usize, Refused> {
    let Some(text) = text else { return Ok(board.k) };
    match text.parse() {
        Ok(k) if (1..=board.k).contains(&k) => Ok(k),
        _ => Err(bad(format!("k = {text:?}: must be from 1 to {}, which is what this board keeps", board.k))),
    }
}

/// All dimensions of the board, or none for the whole of it.
fn read_group(board: &BoardSpec, values: &BTreeMap<&str, &str>) -> Result<String, Refused> {
    let dimensions = board.by.join(", ");
    if let Some(name) = values.keys().find(|name| !board.by.iter().any(|field| field == *name)) {
        return Err(bad(match board.by.len() {
            0 => format!("{name:?} means nothing here: board {:?} has no dimensions", board.name),
            _ => format!("{name:?} means nothing here: board {:?} is grouped by {dimensions}", board.name),
        }));
    }
    if !values.is_empty() && values.len() < board.by.len() {
        return Err(bad(format!("a group needs all of {dimensions}; the whole board needs none")));
    }
    let group = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(group_text(&group))
}
