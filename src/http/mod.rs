//! The HTTP API and the page: what the job found, to whoever asks. It reads what is in memory and never waits
//! for the dataflow.

mod ask;
mod boards;
mod metrics;
mod page;
mod past;
mod rankings;
mod serve;

pub use past::PastRankings;
pub use serve::{Bound, bind};

use crate::Failure;
use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use crest_connectors::memory::MemoryStore;
use crest_connectors::redis::RedisSink;
use crest_dataflows::spec::JobSpec;
use crest_dataflows::status::JobView;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker that does not come round for so long is no longer well.
const WELL: Duration = Duration::from_secs(10);

/// What the API tells of.
pub struct Api {
    /// What is computed.
    pub spec: Arc<JobSpec>,
    /// The rankings; those of process 0 only.
    pub store: Arc<MemoryStore>,
    /// The workers.
    pub view: Arc<JobView>,
    /// Whether a job runs here, whose windows are shown as it finds them; otherwise they come from its state.
    pub live: bool,
    /// The state, where there is one.
    pub past: Option<Arc<PastRankings>>,
    /// Which process of the cluster this is.
    pub process: usize,
    /// When it started.
    pub started: Instant,
    /// The Redis sinks, by their URLs without secrets.
    pub redis: Vec<(String, Arc<RedisSink>)>,
}

type Shared = State<Arc<Api>>;

/// Takes the port of an API.
///
/// # Errors
/// It is taken, or the address is not of this machine.
pub fn take_port(address: &str) -> Result<Bound, Failure> {
    bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::Failed(format!(
            "--http {address}: the port is in use; give another, port 0 for any, or off"
        )),
        _ => Failure::Failed(format!("--http {address}: {error}")),
    })
}

/// All routes.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/top-k", get(rankings::of_any_board))
        .route("/top-k/{board}", get(rankings::of_board))
        .route("/boards", get(boards::boards))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(axum::middleware::map_response(secure))
        .with_state(api)
}

async fn healthz(State(api): Shared) -> Response {
    let silence = api.view.longest_silence();
    if silence < WELL {
        return json_answer(StatusCode::OK, json!({"status": "ok"}));
    }
    let seconds = silence.as_secs();
    json_answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "stuck", "worker_silent_seconds": seconds}))
}

async fn unknown_path(uri: Uri) -> Response {
    let known = ["/", "/top-k", "/top-k/{board}", "/boards", "/healthz", "/metrics"];
    json_answer(
        StatusCode::NOT_FOUND,
        json!({"error": format!("there is no {}", uri.path()), "paths": known}),
    )
}

async fn unknown_method() -> Response {
    json_answer(StatusCode::METHOD_NOT_ALLOWED, json!({"error": "only GET and HEAD are answered"}))
}

fn json_answer(status: StatusCode, body: impl Serialize) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    // Plain numbers and text, which JSON always takes.
    (status, headers, serde_json::to_string(&body).unwrap_or_default()).into_response()
}

/// Answers are data, not pages: nothing in them is to be run, framed or guessed at.
async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

#[cfg(test)]
mod tests;
