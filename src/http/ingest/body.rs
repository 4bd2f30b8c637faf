//! A body as it comes. Room is taken for the bytes that have arrived, whatever was announced: who announces much and sends
//! nothing keeps nobody out.

use crate::http::answer::Refused;
use crate::http::policy::IngestLimits;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, HeaderMap};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of bodies that may be in memory at one time, in KiB: what more come is refused.
const BODIES_KIB: usize = 128 << 10;
/// The most that a byte of gzip unpacks to: deflate's limit of 1032:1, by zlib's "Technical Details".
pub const MOST_OF_A_BYTE: usize = 1032;

/// Reads bodies, of which so many may be in memory at one time.
pub struct Bodies {
    limits: IngestLimits,
    free: Arc<Semaphore>,
}

/// A body that is in memory.
pub struct Held {
    /// All of it.
    pub bytes: Bytes,
    /// Given back when the body is let go of.
    room: Room,
}

impl Bodies {
    /// By these limits.
    pub fn new(limits: IngestLimits) -> Self {
        Bodies { limits, free: Arc::new(Semaphore::new(BODIES_KIB)) }
    }

    /// Reads a body. `None` where there is no room for it.
    ///
    /// # Errors
    /// It is too long, too slow or cut off.
    pub async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Option<Held>, Refused> {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.limits.body) {
            return Err(too_long(&self.limits));
        }
        tokio::time::timeout(self.limits.time, self.collect(body, announced)).await.unwrap_or_else(|_| {
            let error = format!("the body did not come within {} s", self.limits.time.as_secs());
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, error))
        })
    }

    async fn collect(&self, mut body: Body, announced: Option<usize>) -> Result<Option<Held>, Refused> {
        let mut room = Room { free: self.free.clone(), taken: None };
        // Most bodies come in one piece, which is not copied.
        let (mut first, mut all) = (Bytes::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Refused::new(StatusCode::BAD_REQUEST, format!("the body did not come whole: {error}"))
            })?;
            let Ok(piece) = frame.into_data() else { continue };
            let length = first.len().max(all.len()) + piece.len();
            if length > self.limits.body {
                return Err(too_long(&self.limits));
            }
            if !room.grow_to(length) {
                return Ok(None);
            }
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                // At once, since a vector that grows is twice as large as what is in it; what is not written to takes no
                // memory.
                all.reserve_exact(announced.unwrap_or(self.limits.body));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&piece);
        }
        let bytes = if all.is_empty() { first } else { all.into() };
        Ok(Some(Held { bytes, room }))
    }
}

impl Held {
    /// Takes the room for what the body unpacks to at most. False where there is none.
    pub fn make_room_to_unpack(&mut self, limits: &IngestLimits) -> bool {
        let unpacked = self.bytes.len().saturating_mul(MOST_OF_A_BYTE).min(limits.body);
        self.room.grow_to(self.bytes.len() + unpacked)
    }
}

/// A body that is longer than it may be.
pub fn too_long(limits: &IngestLimits) -> Refused {
    let error = format!("the body is longer than {} bytes", limits.body);
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}

/// The room that a body takes.
struct Room {
    free: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes what is missing to so many bytes. False where there is not so much.
    fn grow_to(&mut self, bytes: usize) -> bool {
        let wanted = ((bytes >> 10) + 1).min(BODIES_KIB);
        let missing = wanted.saturating_sub(self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let Ok(more) = self.free.clone().try_acquire_many_owned(missing as u32) else { return false };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        true
    }
}
