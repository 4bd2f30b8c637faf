//! Events into the log that the job reads: a request is checked whole as the job will read it, and kept whole; what
//! cannot be kept now is refused while it costs nothing.

mod body;
mod check;
mod passed;
mod split;
mod unpack;

use super::answer::Refused;
use super::policy::IngestLimits;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use body::Bodies;
use check::Times;
pub use check::Uncounted;
use crest_connectors::append::{AppendError, AppendStats, Batch, EventLog};
use crest_dataflows::status::JobView;
use crest_dataflows::validate::Validator;
use crest_host::clock::wall_clock_ms;
use crest_state::spec::{JobSpec, TimeSpec};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// A body longer than this is read and checked on another thread than those that answer.
const LONG: usize = 32 << 10;

/// Takes events.
pub struct Ingest {
    log: Arc<dyn EventLog>,
    spec: Arc<JobSpec>,
    limits: IngestLimits,
    validators: Mutex<Vec<Validator>>,
    bodies: Bodies,
    /// Long bodies that are checked at one time.
    turns: Arc<Semaphore>,
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
            bodies: Bodies::new(limits),
            turns: Arc::new(Semaphore::new(cores)),
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
        let (head, body) = request.into_parts();
        let Some(mut held) = self.bodies.read(&head.headers, body).await? else { return Ok(None) };
        if packed && !held.make_room_to_unpack(&self.limits) {
            return Ok(None);
        }
        let (batch, uncounted) = if packed || held.bytes.len() > LONG {
            let (theirs, turn) = (self.clone(), self.turns.clone().acquire_owned().await);
            // The work goes on where the client has gone meanwhile: till then it has its room and its turn.
            let check = move || {
                let _turn = turn;
                theirs.check(&held.bytes, packed, passed)
            };
            let checked = tokio::task::spawn_blocking(check).await;
            checked.map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??
        } else {
            self.check(&held.bytes, false, passed)?
        };
        Ok(Some(Taken { kept: self.keep(batch).await, uncounted }))
    }

    /// Checks a body. `passed`: see [`Times`].
    fn check(&self, bytes: &[u8], packed: bool, passed: i64) -> Result<(Batch, Uncounted), Refused> {
        let unpacked = packed.then(|| unpack::unpack(bytes, &self.limits)).transpose()?;
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
