//! What a request for a ranking means: which board, window, group and K of those that there are.

use super::answer::Refused;
use axum::http::StatusCode;
use crest_connectors::Start;
use crest_connectors::group_key::GroupKey;
use crest_state::against::Against;
use crest_state::history::Interval;
use crest_state::spec::{BoardSpec, JobSpec, WindowSpec};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// No log reaches further back.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A request that can be answered.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The board of the job.
    pub board: &'a BoardSpec,
    /// The time that the ranking is of.
    pub over: Over<'a>,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// From 1 to the board's K.
    pub k: usize,
    /// Whether only a final snapshot will do.
    pub final_only: bool,
}

/// The time that a ranking is of.
#[derive(Debug, PartialEq)]
pub enum Over<'a> {
    /// One of the board's windows.
    Window(&'a WindowSpec),
    /// Any interval that is held in the state, as it was asked for.
    Past(Interval, String),
}

/// A request that means nothing.
pub fn bad(error: String) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, error)
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
    let over = match find_interval(&mut values)? {
        Some(past) => past,
        None => find_window(spec, board, values.remove("window"))?,
    };
    let k = read_k(board, values.remove("k"))?;
    let final_only = match values.remove("final") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(bad(format!("final = {other:?}: must be true or false"))),
    };
    let group = read_group(board, &values)?;
    Ok(Ask { board, over, group, k, final_only })
}

/// The length of the steps that an interval is divided into.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// As long as gives about 60 to 120 points.
    Auto,
    /// So long: a multiple of a pane.
    Of(Duration),
}

impl Step {
    /// How long it is, where that was said.
    pub fn length(self) -> Option<Duration> {
        match self {
            Step::Auto => None,
            Step::Of(step) => Some(step),
        }
    }
}

/// As [`parse`], of a question that is answered with points: also the step that it names.
pub fn parse_with_step<'a>(
    spec: &'a JobSpec,
    path: Option<&str>,
    pairs: &[(String, String)],
) -> Result<(Ask<'a>, Option<Step>), Refused> {
    let (words, rest) = take_words(spec, path, pairs, ["step"])?;
    let step = words[0].map(|text| read_step(spec, text)).transpose()?;
    Ok((parse(spec, path, &rest)?, step))
}

/// As [`parse`], of a question that may be about what rises: also what it is compared with, where it is.
pub fn parse_with_rise<'a>(
    spec: &'a JobSpec,
    path: Option<&str>,
    pairs: &[(String, String)],
) -> Result<(Ask<'a>, Option<Against>), Refused> {
    let ([by, against], rest) = take_words(spec, path, pairs, ["by", "against"])?;
    let rises = match by {
        None | Some("count") => false,
        Some("rise") => true,
        Some(other) => return Err(bad(format!("by = {other:?}: must be count or rise"))),
    };
    let against = match against {
        None => rises.then_some(Against::Previous),
        Some(text) if !rises => return Err(bad(format!("against = {text:?}: needs by=rise"))),
        Some(text) => Some(read_against(spec, text)?),
    };
    Ok((parse(spec, path, &rest)?, against))
}

fn read_against(spec: &JobSpec, text: &str) -> Result<Against, Refused> {
    let against: Against = text.parse().map_err(|error| bad(format!("against = {text:?}: {error}")))?;
    let pane = spec.time.pane;
    match against {
        Against::Earlier(by) if !by.as_nanos().is_multiple_of(pane.as_nanos().max(1)) => {
            let pane = humantime::format_duration(pane);
            Err(bad(format!("against = {text:?}: must be a multiple of {pane}, or previous")))
        }
        against => Ok(against),
    }
}

/// The values of some words of a query, and the pairs of all others.
type Taken<'p, const N: usize> = ([Option<&'p str>; N], Vec<(String, String)>);

/// The values of these words of a query, and all other pairs. A dimension of the board that is called as one of them came first,
/// and is asked for as any.
fn take_words<'p, const N: usize>(
    spec: &JobSpec,
    path: Option<&str>,
    pairs: &'p [(String, String)],
    words: [&str; N],
) -> Result<Taken<'p, N>, Refused> {
    let in_query = || pairs.iter().find(|(name, _)| name == "board").map(|(_, board)| board.as_str());
    let board = find_board(spec, path.or_else(in_query)).ok();
    let is_dimension = |word: &str| board.is_some_and(|board| board.by.iter().any(|field| field == word));
    let (mut values, mut rest) = ([None; N], Vec::new());
    for (name, value) in pairs {
        match words.iter().position(|word| name == word).filter(|_| !is_dimension(name)) {
            None => rest.push((name.clone(), value.clone())),
            Some(at) if values[at].is_none() => values[at] = Some(value.as_str()),
            Some(_) => return Err(bad(format!("{name} is given twice"))),
        }
    }
    Ok((values, rest))
}

fn read_step(spec: &JobSpec, text: &str) -> Result<Step, Refused> {
    if text == "auto" {
        return Ok(Step::Auto);
    }
    let pane = spec.time.pane;
    let step = humantime::parse_duration(text).ok().filter(|step| *step < LONGEST && !step.is_zero());
    let step = step.filter(|step| step.as_nanos().is_multiple_of(pane.as_nanos().max(1)));
    step.map(Step::Of).ok_or_else(|| {
        let pane = humantime::format_duration(pane);
        bad(format!("step = {text:?}: must be a multiple of {pane}, or auto"))
    })
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

/// Between `from` and `to`, where they are given.
fn find_interval<'a>(values: &mut BTreeMap<&str, &str>) -> Result<Option<Over<'a>>, Refused> {
    let (from, to) = (values.remove("from"), values.remove("to"));
    let Some(from) = from else {
        return match to {
            Some(_) => Err(bad("to is given without from".into())),
            None => Ok(None),
        };
    };
    if values.contains_key("window") {
        return Err(bad("window and from are given together: an interval is one or the other".into()));
    }
    let (start, end) = (time("from", from)?, to.map(|to| time("to", to)).transpose()?);
    if end.is_some_and(|end| end <= start) {
        return Err(bad(format!("to = {:?}: must be after from", to.unwrap_or_default())));
    }
    let name = format!("{from}/{}", to.unwrap_or("now"));
    Ok(Some(Over::Past(Interval::Between(start, end.unwrap_or(i64::MAX / 2)), name)))
}

/// Milliseconds since 1970, or RFC 3339.
fn time(key: &str, text: &str) -> Result<i64, Refused> {
    // A plus sign in a query is a space, unless it was encoded.
    let ms = match text.replace(' ', "+").parse() {
        Ok(Start::Time(ms)) => Some(ms),
        _ => None,
    };
    ms.filter(|ms| (0..i64::MAX / 4).contains(ms)).ok_or_else(|| {
        bad(format!(
            "{key} = {text:?}: must be a time such as 2026-03-10T10:15:00Z, or milliseconds since 1970"
        ))
    })
}

/// By its name, or else by its size; without either, the first. Any other size is of the past up to now.
fn find_window<'a>(spec: &JobSpec, board: &'a BoardSpec, name: Option<&str>) -> Result<Over<'a>, Refused> {
    let Some(name) = name else {
        let none = || not_found(spec, Some(board), format!("board {:?} has no window", board.name));
        return board.windows.first().map(Over::Window).ok_or_else(none);
    };
    let size = humantime::parse_duration(name).ok();
    let by_name = board.windows.iter().find(|window| &*window.name == name);
    let by_size = || board.windows.iter().find(|window| size.is_some() && window.size() == size);
    if let Some(window) = by_name.or_else(by_size) {
        return Ok(Over::Window(window));
    }
    let none = || not_found(spec, Some(board), format!("board {:?} has no window {name:?}", board.name));
    let size = size.ok_or_else(none)?;
    let pane = spec.time.pane.as_millis();
    if size.as_millis() % pane.max(1) != 0 || size.is_zero() || size >= LONGEST {
        let pane = humantime::format_duration(spec.time.pane);
        return Err(bad(format!("window = {name:?}: must be a window's name, or a multiple of {pane}")));
    }
    Ok(Over::Past(Interval::Last(size), name.to_owned()))
}

fn read_k(board: &BoardSpec, text: Option<&str>) -> Result<usize, Refused> {
    let Some(text) = text else { return Ok(board.k) };
    match text.parse() {
        Ok(k) if (1..=board.k).contains(&k) => Ok(k),
        _ => Err(bad(format!("k = {text:?}: must be from 1 to {}, which is what this board keeps", board.k))),
    }
}

/// All dimensions of the board, or none for the whole of it.
fn read_group(board: &BoardSpec, values: &BTreeMap<&str, &str>) -> Result<GroupKey, Refused> {
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
    Ok(GroupKey::from_values(values))
}
