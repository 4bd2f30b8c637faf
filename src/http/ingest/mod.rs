//! `POST /events`: events into the log that the job reads. A request is checked whole as the job will read it, kept
//! whole, and answered once the log has it; what cannot be kept now is refused while it costs nothing.

mod check;
mod passed;
mod split;

use super::{Api, Shared, busy, json_answer, now_ms};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use check::{Times, Uncounted, Wrong};
use crest_connectors::append::{AppendError, AppendStats, Batch, EventLog};
use crest_dataflows::spec::JobSpec;
use crest_dataflows::validate::Validator;
use flate2::read::MultiGzDecoder;
use serde::Serialize;
use serde_json::json;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of bodies that may be in memory at one time, in KiB: what more come is refused.
const BODIES_KIB: usize = 128 << 10;
/// A body longer than this is read and checked on another thread than those that answer.
const LONG: usize = 32 << 10;

/// What a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestLimits {
    /// Bytes of a body, also when it is unpacked.
    pub body: usize,
    /// Events in one request.
    pub events: usize,
    /// For a body to come.
    pub time: Duration,
}

/// Takes events.
pub struct Ingest {
    log: Arc<dyn EventLog>,
    spec: Arc<JobSpec>,
    limits: IngestLimits,
    validators: Mutex<Vec<Validator>>,
    bodies: Arc<Semaphore>,
    /// Long bodies that are checked at one time.
    turns: Semaphore,
    refused: AtomicU64,
    /// Whether the job of this process reads the log, so that it is known what is late in it.
    read_here: bool,
}

impl Ingest {
    /// Into a log, by the rules of a job.
    pub fn new(log: Arc<dyn EventLog>, spec: Arc<JobSpec>, limits: IngestLimits) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ingest {
            log,
            spec,
            limits,
            validators: Mutex::default(),
            bodies: Arc::new(Semaphore::new(BODIES_KIB)),
            turns: Semaphore::new(cores),
            refused: AtomicU64::new(0),
            read_here: true,
        }
    }

    /// Into a log that no job here reads.
    pub fn read_elsewhere(self) -> Self {
        Ingest { read_here: false, ..self }
    }

    /// Of the log.
    pub fn stats(&self) -> AppendStats {
        self.log.stats()
    }

    /// Requests in which something was wrong.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn too_long(&self) -> Wrong {
        let error = format!("the body is longer than {} bytes", self.limits.body);
        Wrong::whole(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    /// Room for a body of which the headers tell; the most that it may be, where they do not.
    fn room(&self, headers: &HeaderMap, packed: bool) -> Result<Option<OwnedSemaphorePermit>, Wrong> {
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.limits.body) {
            return Err(self.too_long());
        }
        let bytes = if packed { self.limits.body } else { length.unwrap_or(self.limits.body) };
        let kib = u32::try_from((bytes >> 10) + 1).unwrap_or(u32::MAX).min(BODIES_KIB as u32);
        Ok(self.bodies.clone().try_acquire_many_owned(kib).ok())
    }

    async fn read(&self, body: Body) -> Result<Bytes, Wrong> {
        match tokio::time::timeout(self.limits.time, to_bytes(body, self.limits.body)).await {
            Err(_) => {
                let error = format!("the body did not come within {} s", self.limits.time.as_secs());
                Err(Wrong::whole(StatusCode::REQUEST_TIMEOUT, error))
            }
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_length_limit(&error) => Err(self.too_long()),
            Ok(Err(error)) => {
                Err(Wrong::whole(StatusCode::BAD_REQUEST, format!("the body did not come whole: {error}")))
            }
        }
    }

    /// Checks a body. `passed`: see [`Times`].
    fn check(&self, bytes: &[u8], packed: bool, passed: i64) -> Result<(Batch, Uncounted), Wrong> {
        let unpacked = if packed { Some(self.unpack(bytes)?) } else { None };
        let known = self.validators.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut validator = known.unwrap_or_else(|| Validator::new(&self.spec));
        let body = unpacked.as_deref().unwrap_or(bytes);
        let times = Times { now: now_ms(), passed };
        let checked = check::batch(body, self.limits.events, &mut validator, &self.spec, times);
        self.validators.lock().unwrap_or_else(PoisonError::into_inner).push(validator);
        checked
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<u8>, Wrong> {
        let mut body = Vec::new();
        let most = self.limits.body as u64 + 1;
        match MultiGzDecoder::new(bytes).take(most).read_to_end(&mut body) {
            Ok(_) if body.len() > self.limits.body => Err(self.too_long()),
            Ok(_) => Ok(body),
            Err(error) => {
                Err(Wrong::whole(StatusCode::BAD_REQUEST, format!("the body is not gzip: {error}")))
            }
        }
    }

    async fn keep(&self, batch: Batch) -> Result<usize, AppendError> {
        let events = batch.len();
        if batch.is_empty() {
            return Ok(0);
        }
        let (done, kept) = tokio::sync::oneshot::channel();
        // Who asked may have gone meanwhile.
        self.log.append(batch, Box::new(move |result| drop(done.send(result))));
        let gone = || AppendError::Partly { kept: 0, of: events, reason: "the log has ended".into() };
        kept.await.unwrap_or_else(|_| Err(gone())).map(|()| events)
    }
}

/// The answer to a request that was taken; its fields' order is a part of the contract.
#[derive(Serialize)]
struct Accepted {
    message: &'static str,
    accepted: usize,
    #[serde(skip_serializing_if = "is_zero")]
    late: usize,
    #[serde(skip_serializing_if = "is_zero")]
    unmatched: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What became of a request in which nothing is wrong.
struct Taken {
    kept: Result<usize, AppendError>,
    uncounted: Uncounted,
}

/// Takes the events of a request.
pub async fn events(State(api): Shared, request: Request) -> Response {
    let Some(ingest) = api.ingest.clone() else { return no_ingest(&api) };
    let known = api.live() && ingest.read_here;
    let passed = if known { passed::by_all(&api.view, &api.spec.time) } else { i64::MIN };
    match take(&ingest, request, passed).await {
        Ok(Some(taken)) => answer(taken),
        Ok(None) => busy("too much is being read already"),
        Err(Wrong { status, body }) => {
            ingest.refused.fetch_add(1, Ordering::Relaxed);
            json_answer(status, body)
        }
    }
}

fn no_ingest(api: &Api) -> Response {
    let why = match &api.source {
        Some(source) => {
            format!("this server takes no events: its job reads {source}, and --ingest names no topic")
        }
        None => "this server takes no events: --ingest names no topic".to_owned(),
    };
    json_answer(StatusCode::NOT_FOUND, json!({ "error": why }))
}

/// `None` where there is no room for it.
async fn take(ingest: &Arc<Ingest>, request: Request, passed: i64) -> Result<Option<Taken>, Wrong> {
    let packed = is_packed(request.headers())?;
    let Some(_room) = ingest.room(request.headers(), packed)? else { return Ok(None) };
    let bytes = ingest.read(request.into_body()).await?;
    let (batch, uncounted) = if packed || bytes.len() > LONG {
        let _turn = ingest.turns.acquire().await;
        let theirs = ingest.clone();
        let checked = tokio::task::spawn_blocking(move || theirs.check(&bytes, packed, passed)).await;
        checked.map_err(|error| Wrong::whole(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??
    } else {
        ingest.check(&bytes, false, passed)?
    };
    Ok(Some(Taken { kept: ingest.keep(batch).await, uncounted }))
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Wrong> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => {
            let error =
                format!("content-encoding {:?}: must be gzip, or none", String::from_utf8_lossy(other));
            Err(Wrong::whole(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
        }
    }
}

fn answer(Taken { kept, uncounted: Uncounted { late, unmatched } }: Taken) -> Response {
    match kept {
        Ok(accepted) => json_answer(
            StatusCode::ACCEPTED,
            Accepted { message: "Event queued for processing", accepted, late, unmatched },
        ),
        Err(AppendError::Refused { index, reason }) => json_answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            json!({ "error": format!("event {index}: {reason}"), "index": index, "reason": "too_long" }),
        ),
        Err(AppendError::Partly { kept, of, reason }) => {
            let error = format!(
                "it is not known whether all was kept: {kept} of {of} events are known to be: {reason}"
            );
            busy(&error)
        }
        Err(error) => busy(&error.to_string()),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}
