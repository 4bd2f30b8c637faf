//! What a client still sends when it is answered already. It is read on for a while, and dropped: a connection that is
//! closed with bytes unread is reset, and the client would see that instead of the answer.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes that are read on at most: eight bodies as long as they may be by default.
const MOST: usize = 64 << 20;
/// How long it is read on at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of a request, which its handler reads as far as it wants; what is left is here.
pub struct Rest {
    body: Reading,
    /// Whether the client sends nothing before it is asked for its body.
    waits: bool,
}

/// The request for its handler, and what is left of its body, where there is one.
pub fn keep(request: Request<Incoming>) -> (Request<Body>, Option<Rest>) {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return (Request::from_parts(head, Body::empty()), None);
    }
    let waits = head.headers.contains_key(EXPECT);
    let body = Reading { body: Arc::new(Mutex::new(body)), begun: Arc::default() };
    (Request::from_parts(head, Body::new(body.clone())), Some(Rest { body, waits }))
}

impl Rest {
    /// Reads on in a task of its own, so that the answer goes out meanwhile.
    pub fn read_on(self) {
        let asked = !self.waits || self.body.begun.load(Ordering::Relaxed);
        if asked && !self.body.is_end_stream() {
            tokio::spawn(tokio::time::timeout(PATIENCE, drain(self.body)));
        }
    }
}

async fn drain(mut body: Reading) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// A body that two may read, one after the other.
#[derive(Clone)]
struct Reading {
    body: Arc<Mutex<Incoming>>,
    /// Whether something of it was asked for.
    begun: Arc<AtomicBool>,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.begun.store(true, Ordering::Relaxed);
        Pin::new(&mut *self.body.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().size_hint()
    }
}
