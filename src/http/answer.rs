//! Answers that are not rankings: small JSON, refusals, and "come again soon".

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// A request that cannot be answered as it stands.
#[derive(Debug, PartialEq)]
pub struct Refused {
    /// From 400 on.
    pub status: StatusCode,
    /// The error, and where it helps what there is.
    pub body: Value,
}

impl Refused {
    /// A refusal with an error and nothing else.
    pub fn new(status: StatusCode, error: String) -> Self {
        Refused { status, body: json!({ "error": error }) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        json_answer(self.status, self.body)
    }
}

/// JSON that no cache keeps.
pub fn json_answer(status: StatusCode, body: impl Serialize) -> Response {
    match serde_json::to_string(&body) {
        Ok(text) => {
            (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// The 500 of a server that could not do its part.
pub fn failed(error: &dyn std::fmt::Display) -> Response {
    json_answer(StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() }))
}

/// The 503 of a server that can answer soon, but not now.
pub fn busy(error: &str) -> Response {
    let mut response = json_answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error }));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
