//! Who may ask for what: tokens, how many requests at one time, and the headers that keep an answer what it is.

use super::answer::{busy, json_answer};
use super::api::Api;
use super::policy::{Access, Token};
use axum::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, HeaderMap, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::SemaphorePermit;

/// A place for a request, which it holds until it is answered; a `probe` needs none. An `open` route needs no token to be
/// read.
///
/// # Errors
/// The answer that says why it is not let in.
pub fn admit<'a, B>(
    api: &'a Api,
    open: bool,
    probe: bool,
    request: &Request<B>,
) -> Result<Option<SemaphorePermit<'a>>, Box<Response>> {
    api.hosts.check(request).map_err(|refused| Box::new(refused.into_response()))?;
    let writes = *request.method() == Method::POST;
    let Access { ingest, read } = &api.access;
    if !(open && !writes || permits(if writes { ingest } else { read }, request.headers())) {
        let body = json!({ "error": "a valid token is required: Authorization: Bearer TOKEN" });
        let mut response = json_answer(StatusCode::UNAUTHORIZED, body);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Err(Box::new(response));
    }
    if writes && !is_of_known_origin(api, request.headers()) {
        let error = "pages of this origin may not send events: it is not listed in http.cors";
        return Err(Box::new(json_answer(StatusCode::FORBIDDEN, json!({ "error": error }))));
    }
    // Whoever asks whether this process is well is answered whatever else is asked.
    if probe && !writes {
        return Ok(None);
    }
    // Bodies may come slowly, and must not keep readers out.
    let places = if writes { &api.writes } else { &api.reads };
    places.try_acquire().map(Some).map_err(|_| Box::new(busy("too many requests at once")))
}

/// Where there is no token, everybody may.
fn permits(tokens: &[Token], headers: &HeaderMap) -> bool {
    tokens.is_empty() || bearer(headers).is_some_and(|given| Token::new(given).is_among(tokens))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A browser sends events for any page that asks it to, also to a server that only this machine reaches, and says for
/// which. Programs that are no browsers say nothing.
fn is_of_known_origin(api: &Api, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let own = || {
        let host = origin.to_str().ok()?.split_once("://")?.1;
        Some(host == headers.get(HOST)?.to_str().ok()?)
    };
    api.cors.iter().any(|listed| listed == origin || listed == "*") || own() == Some(true)
}

/// Answers are data, not pages: nothing in them is to be run, framed or guessed at.
pub fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}
