//! The HTTP API and the page: what the job found, to whoever asks, and events from whoever sends them. It reads what is
//! in memory and never waits for the dataflow.

mod ask;
mod boards;
mod front;
mod guard;
mod ingest;
mod metrics;
mod openapi;
mod page;
mod past;
mod rankings;
mod ready;
mod rendered;
mod serve;
mod status;
mod stream;
mod tally;
mod terms;

pub use guard::{Access, Token};
pub use ingest::{Ingest, IngestLimits};
pub use past::PastRankings;
pub use rankings::is_hindered;
pub use ready::ranked;
pub use serve::{Bound, bind};
pub use terms::{Limits, Terms};

use crate::Failure;
use crate::mirror::Mirror;
use ask::Refused;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER,
};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use crest_connectors::memory::MemoryStore;
use crest_connectors::redis::RedisSink;
use crest_dataflows::spec::JobSpec;
use crest_dataflows::status::JobView;
use front::Questions;
use rendered::Answers;
use serde::Serialize;
use serde_json::json;
use status::Rate;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use stream::Beat;
use tally::Tally;
use tokio::sync::{Semaphore, watch};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What the API tells of.
pub struct Shown {
    /// What is computed.
    pub spec: Arc<JobSpec>,
    /// Where the rankings come from.
    pub rankings: Rankings,
    /// The workers.
    pub view: Arc<JobView>,
    /// The state, where there is one.
    pub past: Option<Arc<PastRankings>>,
    /// Where the job reads, without secrets.
    pub source: Option<String>,
    /// Where events that are sent here go.
    pub ingest: Option<Arc<Ingest>>,
    /// Which process of the cluster this is.
    pub process: usize,
    /// When it started.
    pub started: Instant,
    /// The Redis sinks, by their URLs without secrets.
    pub redis: Vec<(String, Arc<RedisSink>)>,
}

/// Where rankings come from.
#[derive(Clone)]
pub enum Rankings {
    /// The job of this process, which puts them there; only process 0 has any.
    Job(Arc<MemoryStore>),
    /// The Redis in which a job publishes.
    Mirror(Arc<Mirror>),
    /// The state of a job.
    State,
}

/// What is shown, and what is needed to show it.
pub struct Api {
    shown: Shown,
    access: Access,
    cors: Vec<HeaderValue>,
    limits: Limits,
    cache_control: HeaderValue,
    answers: Answers,
    questions: Questions,
    rate: Rate,
    beat: watch::Sender<Beat>,
    tally: Tally,
    /// The rankings that are at hand; empty where they come from the state.
    store: Arc<MemoryStore>,
    reads: Semaphore,
    writes: Semaphore,
    streams: Arc<Semaphore>,
}

impl std::ops::Deref for Api {
    type Target = Shown;

    fn deref(&self) -> &Shown {
        &self.shown
    }
}

type Shared = State<Arc<Api>>;

impl Api {
    /// Of what is shown, on these terms.
    pub fn new(shown: Shown, terms: &Terms) -> Self {
        let Terms { access, cors, limits } = terms.clone();
        let refresh = shown.spec.time.refresh.as_secs();
        // A shared cache may answer for as long as a ranking stays; the ranking of who needs a token is nobody else's.
        let cache_control = match (access.read.is_empty(), refresh) {
            (false, _) => "private, no-cache".to_owned(),
            (true, 0) => "no-cache".to_owned(),
            (true, seconds) => format!("public, max-age={seconds}, stale-if-error=60"),
        };
        let store = match &shown.rankings {
            Rankings::Job(store) => store.clone(),
            Rankings::Mirror(mirror) => mirror.store(),
            Rankings::State => Arc::default(),
        };
        Api {
            shown,
            store,
            access,
            cors,
            cache_control: HeaderValue::from_str(&cache_control)
                .unwrap_or(HeaderValue::from_static("no-cache")),
            answers: Answers::default(),
            questions: Questions::default(),
            rate: Rate::default(),
            beat: watch::Sender::default(),
            tally: Tally::default(),
            reads: Semaphore::new(limits.requests),
            writes: Semaphore::new(limits.requests),
            streams: Arc::new(Semaphore::new(limits.streams)),
            limits,
        }
    }
}

impl Api {
    /// Whether a job runs here.
    fn live(&self) -> bool {
        matches!(self.rankings, Rankings::Job(_))
    }

    fn open_streams(&self) -> usize {
        self.limits.streams - self.streams.available_permits()
    }
}

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
    let origins = match api.cors.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(api.cors.clone()),
    };
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, CONTENT_ENCODING, IF_NONE_MATCH])
        .expose_headers([ETAG, RETRY_AFTER]);
    let router = Router::new()
        .merge(page::routes())
        .route("/events", post(ingest::events))
        .route("/top-k", get(rankings::of_any_board))
        .route("/top-k/{board}", get(rankings::of_board))
        .route("/stream/{board}", get(stream::stream))
        .route("/boards", get(boards::boards))
        .route("/boards/{board}", get(boards::board))
        .route("/status", get(status::status))
        .route("/healthz", get(ready::healthz))
        .route("/readyz", get(ready::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        // Bodies have limits of their own.
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(api.clone(), guard::guard));
    // Nobody else's page may read anything unless it is listed.
    let router = if api.cors.is_empty() { router } else { router.layer(cors) };
    router.layer(axum::middleware::map_response(guard::secure)).with_state(api)
}

async fn unknown_path(uri: Uri) -> Response {
    let known = [
        "/",
        "/events",
        "/top-k",
        "/top-k/{board}",
        "/stream/{board}",
        "/boards",
        "/boards/{board}",
        "/status",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
    ];
    json_answer(
        StatusCode::NOT_FOUND,
        json!({"error": format!("there is no {}", uri.path()), "paths": known}),
    )
}

async fn unknown_method(uri: Uri) -> Response {
    let allowed = if uri.path() == "/events" { "only POST is" } else { "only GET and HEAD are" };
    json_answer(StatusCode::METHOD_NOT_ALLOWED, json!({"error": format!("{allowed} answered here")}))
}

fn json_answer(status: StatusCode, body: impl Serialize) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    // Plain numbers and text, which JSON always takes.
    (status, headers, serde_json::to_string(&body).unwrap_or_default()).into_response()
}

/// A request that cannot be answered.
fn refusal(Refused { status, body }: Refused) -> Response {
    json_answer(status, body)
}

/// Not now, but soon.
fn busy(error: &str) -> Response {
    let mut response = json_answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error }));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

#[cfg(test)]
mod tests;
