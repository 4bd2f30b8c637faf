//! Events into the log that the job reads: a request is checked whole as the job will read it, and kept whole; what
//! cannot be kept now is refused while it costs nothing.

mod check;
mod passed;
mod split;

use super::answer::Refused;
use super::policy::IngestLimits;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use check::Times;
pub use check::Uncounted;
use crest_connectors::append::{AppendError, AppendStats, Batch, EventLog};
use crest_dataflows::status::JobView;
use crest_dataflows::validate::Validator;
use crest_host::clock::wall_clock_ms;
use crest_state::spec::{JobSpec, TimeSpec};
use flate2::read::MultiGzDecoder;
use parking_lot::Mutex;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of bodies that may be in memory at one time, in KiB: what more come is refused.
const BODIES_KIB: usize = 128 << 10;
/// A body longer than this is read and checked on another thread than those that answer.
const LONG: usize = 32 << 10;

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
    /// Takes events into a log, by the rules of a job.
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

    /// The same into a log that no job here reads.
    pub fn read_elsewhere(self) -> Self {
        Ingest { read_here: false, ..self }
    }

    /// What the log did.
    pub fn stats(&self) -> AppendStats {
        self.log.stats()
    }

    /// Requests in which something was wrong.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Before which event time a job here has passed all partitions; `i64::MIN` where it is not known.
    pub fn passed(&self, view: &JobView, time: &TimeSpec) -> i64 {
        if self.read_here { passed::by_all(view, time) } else { i64::MIN }
    }

    /// Takes the events of a request; what is earlier than `passed` is late. `None` where there is no room for it.
    ///
    /// # Errors
    /// Something is wrong with it, and nothing of it was taken.
    pub async fn take(self: &Arc<Self>, request: Request, passed: i64) -> Result<Option<Taken>, Refused> {
        let taken = self.take_checked(request, passed).await;
        if taken.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    async fn take_checked(self: &Arc<Self>, request: Request, passed: i64) -> Result<Option<Taken>, Refused> {
        let packed = is_packed(request.headers())?;
        let Some(_room) = self.room(request.headers(), packed)? else { return Ok(None) };
        let bytes = self.read(request.into_body()).await?;
        let (batch, uncounted) = if packed || bytes.len() > LONG {
            let _turn = self.turns.acquire().await;
            let theirs = self.clone();
            let checked = tokio::task::spawn_blocking(move || theirs.check(&bytes, packed, passed)).await;
            checked.map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??
        } else {
            self.check(&bytes, false, passed)?
        };
        Ok(Some(Taken { kept: self.keep(batch).await, uncounted }))
    }

    fn too_long(&self) -> Refused {
        let error = format!("the body is longer than {} bytes", self.limits.body);
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    /// Room for a body of which the headers tell; the most that it may be, where they do not.
    fn room(&self, headers: &HeaderMap, packed: bool) -> Result<Option<OwnedSemaphorePermit>, Refused> {
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.limits.body) {
            return Err(self.too_long());
        }
        let bytes = if packed { self.limits.body } else { length.unwrap_or(self.limits.body) };
        let kib = u32::try_from((bytes >> 10) + 1).unwrap_or(u32::MAX).min(BODIES_KIB as u32);
        Ok(self.bodies.clone().try_acquire_many_owned(kib).ok())
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refused> {
        match tokio::time::timeout(self.limits.time, to_bytes(body, self.limits.body)).await {
            Err(_) => {
                let error = format!("the body did not come within {} s", self.limits.time.as_secs());
                Err(Refused::new(StatusCode::REQUEST_TIMEOUT, error))
            }
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_length_limit(&error) => Err(self.too_long()),
            Ok(Err(error)) => {
                Err(Refused::new(StatusCode::BAD_REQUEST, format!("the body did not come whole: {error}")))
            }
        }
    }

    /// Checks a body. `passed`: see [`Times`].
    fn check(&self, bytes: &[u8], packed: bool, passed: i64) -> Result<(Batch, Uncounted), Refused> {
        let unpacked = if packed { Some(self.unpack(bytes)?) } else { None };
        let known = self.validators.lock().pop();
        let mut validator = match known {
            Some(validator) => validator,
            None => Validator::new(&self.spec)
                .map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?,
        };
        let body = unpacked.as_deref().unwrap_or(bytes);
        let times = Times { now: wall_clock_ms(), passed };
        let checked = check::batch(body, self.limits.events, &mut validator, &self.spec, times);
        self.validators.lock().push(validator);
        checked
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut body = Vec::new();
        let most = self.limits.body as u64 + 1;
        match MultiGzDecoder::new(bytes).take(most).read_to_end(&mut body) {
            Ok(_) if body.len() > self.limits.body => Err(self.too_long()),
            Ok(_) => Ok(body),
            Err(error) => {
                Err(Refused::new(StatusCode::BAD_REQUEST, format!("the body is not gzip: {error}")))
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

/// What became of a request in which nothing is wrong.
pub struct Taken {
    /// How many events the log has, or why it has not all.
    pub kept: Result<usize, AppendError>,
    /// Those of them that will not be counted.
    pub uncounted: Uncounted,
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refused> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => {
            let error =
                format!("content-encoding {:?}: must be gzip, or none", String::from_utf8_lossy(other));
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
        }
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
