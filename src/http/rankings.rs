//! `GET /top-k` and `GET /top-k/{board}`: the freshest ranking of a board, window and group.

use super::answer::{Refused, busy, failed};
use super::api::{Api, Rankings, Shared};
use super::ask::{self, Ask, Over, not_found};
use super::current::Current;
use super::interval;
use super::rendered::{Rendered, Unshown};
use super::rises;
use crate::account::{Account, BoardAccount};
use crate::mirror::{Found, Tended};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use crest_connectors::group_key::GroupKey;
use crest_connectors::memory::Held;
use crest_dataflows::match_counts::Role;
use crest_dataflows::status::{JobView, WorkerStatus};
use crest_state::history::Interval;
use crest_state::spec::{BoardSpec, WindowSpec};
use std::time::{Duration, Instant};

/// The pairs of a query.
pub type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A ranking that is older than so many refreshes, and `STALE_SLACK` more, is stale, if something is in the way and
/// no other ranking came since: where nothing happens it stays as it is, and is as good as new.
const STALE_REFRESHES: u32 = 5;
const STALE_SLACK: Duration = Duration::from_secs(2);
/// Headers of an answer: those that are put in here, and those that every answer has.
const HEADERS: usize = 6;
/// A worker tells of itself a few times a second.
const WORKER_SILENCE: Duration = Duration::from_secs(5);

/// Answers with a ranking of the board that the query names, or of the default one.
pub async fn of_any_board(State(api): Shared, uri: Uri, headers: HeaderMap, pairs: Pairs) -> Response {
    answer(&api, None, &uri, &headers, pairs).await
}

/// Answers with a ranking of the board that the path names.
pub async fn of_board(
    State(api): Shared,
    Path(board): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    pairs: Pairs,
) -> Response {
    answer(&api, Some(&board), &uri, &headers, pairs).await
}

/// The answer to a question that was answered before, if its ranking is still at hand: the same answer as its route
/// gives, from the same memory, in half the time. A group of a mirror is left to its route, which asks Redis for it.
pub fn known<B>(api: &Api, request: &Request<B>) -> Option<Response> {
    let asked = request.uri().path_and_query().filter(|_| *request.method() == Method::GET)?;
    let question = api.questions.find(asked.as_str())?;
    let current = &question.current;
    if matches!(api.rankings, Rankings::Mirror(_)) && !current.group.is_whole() {
        return None;
    }
    // A ranking that comes after this line is in the answer, and the next one who asks only looks for it once more.
    let version = api.store.version();
    if let Some(rendered) = question.answer(version) {
        return Some(present(api, current, &rendered, request.headers()));
    }
    let held = at_hand(api, current)?;
    let rendered = match api.answers.of(current, &held) {
        Ok(rendered) => rendered,
        Err(unshown) => return Some(no_answer(&unshown)),
    };
    question.note(version, &rendered);
    Some(present(api, current, &rendered, request.headers()))
}

/// What a query asks for.
///
/// # Errors
/// It asks for what there is not, or for nothing that is known.
pub fn read<'a>(api: &'a Api, board: Option<&str>, pairs: Pairs) -> Result<Ask<'a>, Refused> {
    ask::parse(&api.spec, board, &named(pairs)?)
}

fn named(pairs: Pairs) -> Result<Vec<(String, String)>, Refused> {
    let Ok(Query(pairs)) = pairs else { return Err(ask::bad("the query is not name=value pairs".into())) };
    Ok(pairs)
}

async fn answer(api: &Api, board: Option<&str>, uri: &Uri, headers: &HeaderMap, pairs: Pairs) -> Response {
    let read = named(pairs).and_then(|pairs| ask::parse_with_rise(&api.spec, board, &pairs));
    let ask = match read {
        Ok((ask, None)) => ask,
        Ok((ask, Some(against))) => return rises::answer(api, &ask, against, headers).await,
        Err(refused) => return refused.into_response(),
    };
    let window = match &ask.over {
        Over::Window(window) => *window,
        Over::Past(interval, name) => return interval::answer(api, &ask, *interval, name, headers).await,
    };
    let current = current(&ask, window);
    match find(api, &current).await {
        Look::Found(held) => {
            if let Some(asked) = uri.path_and_query() {
                api.questions.note(asked.as_str(), &current);
            }
            show(api, &current, &held, headers)
        }
        // What is final, the state knows too.
        Look::Elsewhere if api.past.is_some() => match Interval::of(window) {
            Some(interval) => interval::answer(api, &ask, interval, &window.name, headers).await,
            None => interval::whole_input(&api.spec, ask.board, window).into_response(),
        },
        Look::Elsewhere => busy("no final ranking is known here; --state says where they are kept"),
        Look::NotYet => busy(&not_yet(api, ask.board)),
        Look::Unreachable => busy("Redis cannot be read, and this ranking is not known here yet"),
        Look::Missing(missing) => not_found(&api.spec, Some(ask.board), missing).into_response(),
    }
}

/// That a board has no ranking, and why, where something was read.
pub fn not_yet(api: &Api, board: &BoardSpec) -> String {
    let why = Account::of(&api.spec, &api.view).nothing_of(&board.name);
    why.map_or_else(|| "there is no ranking yet".into(), |why| format!("there is no ranking yet: {why}"))
}

/// Why a board may have no groups at all; empty where it has met what they are made of.
fn without_groups(api: &Api, board: &str) -> String {
    let account = Account::of(&api.spec, &api.view);
    let board = account.boards.iter().find(|known| *known.name == *board);
    let by = board.filter(|board| board.match_counts.matched > 0).into_iter().flat_map(BoardAccount::unseen);
    let names: Vec<&str> =
        by.filter(|field| field.role == Role::By).map(|field| field.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("; no event had {}", names.join(", ")) }
}

/// What came of looking for a ranking.
pub enum Look {
    /// It is at hand.
    Found(Held),
    /// The board has none yet.
    NotYet,
    /// There is none, and why.
    Missing(String),
    /// Nobody can say.
    Unreachable,
    /// It is not among those that are at hand here, but may be in the state.
    Elsewhere,
}

/// What is asked for, free of the request that it came with.
pub fn current(ask: &Ask<'_>, window: &WindowSpec) -> Current {
    Current {
        board: ask.board.name.clone(),
        window: window.name.clone(),
        group: ask.group.clone(),
        k: ask.k,
        final_only: ask.final_only,
    }
}

/// The ranking, if it is in memory.
fn at_hand(api: &Api, current: &Current) -> Option<Held> {
    let Current { board, window, group, final_only, .. } = current;
    api.store.held(board, window, group, *final_only)
}

/// Looks for a ranking, where there are such.
pub async fn find(api: &Api, current: &Current) -> Look {
    if api.process != 0 {
        let process = api.process;
        return Look::Missing(format!(
            "this is process {process}: process 0 of the cluster has the rankings"
        ));
    }
    let Current { board, window, group, .. } = current;
    let wanted = match &api.rankings {
        Rankings::State | Rankings::Standby(_) => return Look::Elsewhere,
        Rankings::Job(_) => Found::Here,
        Rankings::Mirror(mirror) => mirror.want(board, window, group).await,
    };
    match (at_hand(api, current), wanted) {
        (Some(found), _) => Look::Found(found),
        (None, Found::Unreachable) => Look::Unreachable,
        (None, Found::Here) if current.final_only && !api.live() => Look::Elsewhere,
        (None, _) if group.is_whole() || api.store.latest(board, window, &GroupKey::WHOLE).is_none() => {
            Look::NotYet
        }
        (None, _) => Look::Missing(format!(
            "board {board:?} has no events of {group} in window {window:?}{}",
            without_groups(api, board)
        )),
    }
}

/// The answer that shows a ranking, or 304 where the client has it already.
fn show(api: &Api, current: &Current, held: &Held, headers: &HeaderMap) -> Response {
    match api.answers.of(current, held) {
        Ok(rendered) => present(api, current, &rendered, headers),
        Err(unshown) => no_answer(&unshown),
    }
}

fn no_answer(unshown: &Unshown) -> Response {
    match unshown {
        Unshown::NoRoom => busy(&unshown.to_string()),
        Unshown::Json(_) => failed(unshown),
    }
}

fn present(api: &Api, current: &Current, rendered: &Rendered, headers: &HeaderMap) -> Response {
    let age = rendered.age_ms();
    let stale = is_stale(api, current, age);
    let (tag, cache) = (rendered.tag(stale).clone(), api.cache_control.clone());
    if headers.get(IF_NONE_MATCH).is_some_and(|seen| *seen == tag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, cache)]).into_response();
    }
    let mut response = Response::new(rendered.body(age, stale));
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, cache);
    response
}

/// Whether a ranking of this age, in milliseconds, could not be refreshed.
pub fn is_stale(api: &Api, current: &Current, age: i64) -> bool {
    let held_up = |refresh: Duration| {
        !current.final_only && is_old(age, refresh) && is_old(since_any(api, current, age), refresh)
    };
    match &api.rankings {
        Rankings::Mirror(mirror) => match mirror.tended(&current.board, &current.window) {
            Tended::Unknown => true,
            Tended::Gone { refresh } => is_old(age, refresh.unwrap_or(api.spec.time.refresh)),
            Tended::Alive(job) if job.silent => is_old(age, job.refresh),
            Tended::Alive(job) => job.hindered && held_up(job.refresh),
        },
        // The latest final one may well be older than a refresh: what counts is whether anything came since.
        _ => held_up(api.spec.time.refresh) && is_hindered(&api.view),
    }
}

/// The age, in milliseconds, of the youngest ranking that the same job has made, this one among them. A ranking in which
/// nothing changes is not made anew: while others are, it is as good as new, even if events wait at this instant, as they
/// always do on a busy log. In a mirror, other boards may be of other jobs.
fn since_any(api: &Api, current: &Current, age: i64) -> i64 {
    let is_mirror = matches!(api.rankings, Rankings::Mirror(_));
    let boards = api.spec.boards.iter().filter(|board| !is_mirror || board.name == current.board);
    let windows = boards.flat_map(|board| board.windows.iter().map(|window| (&board.name, &window.name)));
    let held = windows.filter_map(|(board, window)| api.store.held(board, window, &GroupKey::WHOLE, false));
    held.map(|held| i64::try_from(held.age().as_millis()).unwrap_or(i64::MAX)).fold(age, i64::min)
}

/// Whether a ranking of this age, in milliseconds, should have been followed by another.
pub fn is_old(age: i64, refresh: Duration) -> bool {
    age > (STALE_REFRESHES * refresh + STALE_SLACK).as_millis() as i64
}

/// Whether events wait that should have been counted, or nobody can know.
pub fn is_hindered(view: &JobView) -> bool {
    let hindered = |heard: &Option<(Instant, WorkerStatus)>| match heard {
        Some((at, status)) => {
            let source = &status.counts.source;
            at.elapsed() > WORKER_SILENCE || source.disconnected || source.lag > 0
        }
        None => true,
    };
    view.with_workers(|workers| workers.iter().any(hindered))
}
