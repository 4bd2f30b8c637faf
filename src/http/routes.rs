//! The routes, in one table: the router, the paths that a 404 lists, who may ask without a token and the names in the
//! metrics all come from it.

use super::answer::{busy, json_answer};
use super::api::Api;
use super::{
    boards, events, guard, items, metrics, openapi, page, rankings, ready, rest, series, status, stream,
};
use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{Method, Request, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use hyper::body::Incoming;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// One route.
pub struct Route {
    /// As the contract writes it.
    pub path: &'static str,
    handler: fn() -> MethodRouter<Arc<Api>>,
    /// Whether it is answered without a token.
    open: bool,
    /// To which part of the API it belongs.
    pub part: Part,
}

impl Route {
    /// Whether a path is of this route; `{…}` stands for anything without a slash.
    fn is_at(&self, path: &str) -> bool {
        if !self.path.ends_with('}') {
            return path == self.path;
        }
        let mut parts = path.split('/');
        let is_next = |named: &str| {
            parts
                .next()
                .is_some_and(|part| if named.starts_with('{') { !part.is_empty() } else { part == named })
        };
        self.path.split('/').all(is_next) && parts.next().is_none()
    }
}

/// The parts of the API.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Rankings, events and the status; each route is counted under its own path.
    Data,
    /// Health, metrics and the contract, for those who operate it.
    Operation,
    /// The page, which is not in the contract.
    Page,
    /// A file that only the page asks for.
    PageFile,
}

const fn data(path: &'static str, handler: fn() -> MethodRouter<Arc<Api>>) -> Route {
    Route { path, handler, open: false, part: Part::Data }
}

const fn open(path: &'static str, handler: fn() -> MethodRouter<Arc<Api>>, part: Part) -> Route {
    Route { path, handler, open: true, part }
}

/// All of them. The page is open, since it asks for a token itself.
pub const ROUTES: [Route; 15] = [
    open("/", || get(page::index), Part::Page),
    data("/events", || post(events::events)),
    data("/top-k", || get(rankings::of_any_board)),
    data("/top-k/{board}", || get(rankings::of_board)),
    data("/items/{board}/{id}", || get(items::item)),
    data("/series/{board}", || get(series::series)),
    data("/stream/{board}", || get(stream::stream)),
    data("/boards", || get(boards::boards)),
    data("/boards/{board}", || get(boards::board)),
    data("/status", || get(status::status)),
    open("/healthz", || get(ready::healthz), Part::Operation),
    open("/readyz", || get(ready::readyz), Part::Operation),
    Route { path: "/metrics", handler: || get(metrics::metrics), open: false, part: Part::Operation },
    open("/openapi.json", || get(openapi::openapi), Part::Operation),
    open("/page/{name}", || get(page::file), Part::PageFile),
];

/// Those that are counted one by one.
pub fn counted() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().filter(|route| route.part == Part::Data).map(|route| route.path)
}

/// Whether a path, as bytes of a request's first line, asks for health, metrics or the contract.
pub fn is_probe(path: &[u8]) -> bool {
    ROUTES.iter().any(|route| route.part == Part::Operation && route.path.as_bytes() == path)
}

/// What answers the requests of a connection.
pub trait Answers:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

/// Answers a connection's requests: outermost the security headers, then other pages' origins, then [`answer`].
pub fn service(api: Arc<Api>) -> impl Answers {
    let routes =
        ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    let routes =
        routes.fallback(unknown_path).method_not_allowed_fallback(unknown_method).with_state(api.clone());
    // Nobody else's page may read anything unless it is listed.
    let cors = (!api.cors.is_empty()).then(|| cors(&api));
    ServiceBuilder::new()
        .map_response(guard::secure)
        .option_layer(cors)
        .service_fn(move |request| answer(api.clone(), routes.clone(), request))
}

/// Answers that there is no room, to those who would wait for a place where too many do already.
pub fn full(api: Arc<Api>) -> impl Answers {
    ServiceBuilder::new().map_response(guard::secure).service_fn(move |request: Request<Incoming>| {
        let api = api.clone();
        async move {
            let began = Instant::now();
            if let (_, Some(rest)) = rest::keep(request) {
                rest.read_on();
            }
            let response = busy("too many connections at once");
            api.route_counts.count("", response.status().as_u16(), began.elapsed());
            Ok(response)
        }
    })
}

/// The one way of a request: it is admitted or refused; a known question is answered from memory and all else by its
/// route; the answer is counted.
async fn answer(api: Arc<Api>, routes: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    let began = Instant::now();
    let (request, rest) = rest::keep(request);
    let path = request.uri().path();
    let route = ROUTES.iter().find(|route| route.is_at(path));
    let name = route.map_or("", |route| route.path);
    let (open, probe) = route.map_or((false, false), |route| (route.open, route.part == Part::Operation));
    let response = match guard::admit(&api, open, probe, &request) {
        Err(refusal) => *refusal,
        Ok(_place) => match rankings::known(&api, &request) {
            Some(known) => known,
            None => routes.oneshot(request).await?,
        },
    };
    // Whose body did not come in time is not waited for again.
    if let Some(rest) = rest.filter(|_| response.status() != StatusCode::REQUEST_TIMEOUT) {
        rest.read_on();
    }
    api.route_counts.count(name, response.status().as_u16(), began.elapsed());
    Ok(response)
}

fn cors(api: &Api) -> CorsLayer {
    let any = api.cors.iter().any(|origin| origin == "*");
    CorsLayer::new()
        .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(api.cors.clone()) })
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, CONTENT_ENCODING, IF_NONE_MATCH])
        .expose_headers([ETAG, RETRY_AFTER])
}

async fn unknown_path(uri: Uri) -> Response {
    let known: Vec<&str> =
        ROUTES.iter().filter(|route| route.part != Part::PageFile).map(|route| route.path).collect();
    json_answer(
        StatusCode::NOT_FOUND,
        json!({"error": format!("there is no {}", uri.path()), "paths": known}),
    )
}

async fn unknown_method(uri: Uri) -> Response {
    let allowed = if uri.path() == "/events" { "only POST is" } else { "only GET and HEAD are" };
    json_answer(StatusCode::METHOD_NOT_ALLOWED, json!({"error": format!("{allowed} answered here")}))
}
