//! Who may ask for what: tokens, how many requests at one time, and the headers that keep an answer what it is.

use super::tally::Tally;
use super::{Api, busy, json_answer};
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, HeaderMap, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use subtle::{Choice, ConstantTimeEq};

/// What is shown to everybody: that the server is there, and the page, which asks for a token itself.
const OPEN: [&str; 4] = ["/", "/healthz", "/readyz", "/openapi.json"];
const OPEN_UNDER: &str = "/page/";

/// A bearer token, as its hash: it is compared in a time that tells nothing of it, and cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// Of its text.
    pub fn new(text: &str) -> Self {
        Token(Sha256::digest(text).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Who may do what. Where there is no token, everybody may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// For `POST /events`.
    pub ingest: Vec<Token>,
    /// For all else.
    pub read: Vec<Token>,
}

impl Access {
    fn permits(&self, request: &Request) -> bool {
        let path = request.uri().path();
        let tokens = match *request.method() == Method::POST {
            true => &self.ingest,
            false if OPEN.contains(&path) || path.starts_with(OPEN_UNDER) => return true,
            false => &self.read,
        };
        tokens.is_empty()
            || bearer(request.headers()).is_some_and(|given| is_among(&Token::new(given), tokens))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Looks at all of them, whichever it is.
fn is_among(given: &Token, tokens: &[Token]) -> bool {
    let found = tokens.iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(&given.0));
    found.into()
}

/// Lets a request through, or says why not; counts how it was answered.
pub async fn guard(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let (route, began) = (Tally::route(&request), Instant::now());
    let response = answer(&api, request, next).await;
    api.tally.count(route, response.status().as_u16(), began.elapsed());
    response
}

async fn answer(api: &Api, request: Request, next: Next) -> Response {
    if !api.access.permits(&request) {
        let body = json!({ "error": "a valid token is wanted: Authorization: Bearer TOKEN" });
        let mut response = json_answer(StatusCode::UNAUTHORIZED, body);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    if *request.method() == Method::POST && !is_of_known_origin(api, request.headers()) {
        let error = "pages of this origin may not send events: it is not listed in http.cors";
        return json_answer(StatusCode::FORBIDDEN, json!({ "error": error }));
    }
    // Bodies may come slowly, and must not keep readers out.
    let places = if *request.method() == Method::POST { &api.writes } else { &api.reads };
    let Ok(_place) = places.try_acquire() else { return busy("too many requests at once") };
    next.run(request).await
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

/// See [`secured`].
pub async fn secure(response: Response) -> Response {
    secured(response)
}

/// Answers are data, not pages: nothing in them is to be run, framed or guessed at.
pub fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}
