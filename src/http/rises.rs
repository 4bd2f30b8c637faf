//! `GET /top-k?by=rise`: what rises in an interval, against an equally long one before it, from the state.

use super::api::Api;
use super::ask::{Ask, Over};
use super::interval::{self, caching, no_events, present, tag, whole_input};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use crest_dataflows::risen::Compared;
use crest_state::against::Against;
use crest_state::histories::Histories;
use crest_state::history::Interval;

/// The answer. A window is the newest one that is durable.
pub async fn answer(api: &Api, ask: &Ask<'_>, against: Against, headers: &HeaderMap) -> Response {
    let (interval, name) = match &ask.over {
        Over::Past(interval, name) => (*interval, name.as_str()),
        Over::Window(window) => match Interval::of(window) {
            Some(interval) => (interval, &*window.name),
            None => return whole_input(&api.spec, ask.board, window).into_response(),
        },
    };
    let (board, group, k) = (ask.board.clone(), ask.group.clone(), ask.k);
    let read = move |history: &Histories| history.rises(&board, &group, interval, against, k);
    let found = match interval::read(api, ask, name, read).await {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    let Some(rises) = found.rises else { return no_events(&api.spec, ask, name).into_response() };
    let compared = Compared {
        board: &ask.board.name,
        window: &name.into(),
        against,
        range: found.range,
        before: found.before,
        missing: &found.missing,
        k,
    };
    let rising = compared.rising(&ask.group, &rises);
    present(&tag(found.version, ask), caching(interval, &found.range), &rising, headers)
}
